//! `report`: one attestation report.

use std::path::{Path, PathBuf};

use attestation_verifier::{
    Collateral, CollateralError, Question, Ring, Verdict, appraise_report, appraise_svsm, check_event_log,
};
use clap::Args;

use super::{Common, Setting, Usage, files, vtpm};

#[derive(Args)]
pub(crate) struct ReportArgs {
    /// The report: 1184 bytes, or the guest driver's 4000-byte response, or Azure's HCL blob.
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    #[command(flatten)]
    endorsements: Endorsements,
    /// REPORT_DATA as it must be: 128 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = bytes_64)]
    report_data: Option<[u8; 64]>,
    /// SVSM: the services manifest (manifestblob) that REPORT_DATA covers together with --services-nonce.
    #[arg(long, value_name = "FILE", requires = "services_nonce", conflicts_with = "report_data")]
    services_manifest: Option<PathBuf>,
    /// SVSM: the nonce that the guest gave it, 128 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = bytes_64, requires = "services_manifest")]
    services_nonce: Option<[u8; 64]>,
    /// Firmware event log of the machine: does it explain the registers of --pcrs?
    #[arg(long, value_name = "FILE", requires = "pcrs")]
    eventlog: Option<PathBuf>,
    /// PCR values: JSON {"sha256":{"0":"…"}}, or what tpm2_pcrread prints.
    #[arg(long, value_name = "FILE", requires = "eventlog")]
    pcrs: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Certificates and revocation lists of a report.
#[derive(Args)]
pub(crate) struct Endorsements {
    /// VCEK or VLEK: DER, PEM (also with its chain), or the host's certificate table (auxblob).
    #[arg(long, value_name = "FILE")]
    vek: Option<PathBuf>,
    /// ASK or ASVK, DER or PEM. AMD's ASKs are built in; an ASVK has to be given.
    #[arg(long, value_name = "FILE")]
    intermediate: Option<PathBuf>,
    /// Revocation list by the root, DER or PEM; may be repeated.
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
}

impl ReportArgs {
    pub(crate) fn path(&self) -> &Path {
        &self.report
    }

    /// Is JSON asked for?
    pub(crate) fn json(&self) -> bool {
        self.common.json
    }

    /// Is anything named beside the report?
    pub(crate) fn names_more(&self) -> bool {
        let Endorsements { vek, intermediate, crl } = &self.endorsements;
        vek.is_some() || intermediate.is_some() || !crl.is_empty() || self.report_data.is_some() || self.common.is_set()
    }
}

pub(crate) fn run(arguments: ReportArgs) -> Result<(Verdict, Setting), Usage> {
    let setting = arguments.common.read()?;
    let evidence = files::read("REPORT", &arguments.report)?;
    let mut collateral = Collateral::default();
    if let Some(rejection) = arguments.endorsements.take(&mut collateral, &setting)? {
        return Ok((rejection, setting));
    }
    let manifest =
        arguments.services_manifest.as_ref().map(|path| files::read("--services-manifest", path)).transpose()?;
    let module = manifest.as_deref().zip(arguments.services_nonce.as_ref());
    let question = (&evidence[..], &collateral, arguments.report_data.as_ref());
    let mut verdict = appraise(&setting, question, module, &arguments.report)?;
    if let (Some(log), Some(pcrs)) = (&arguments.eventlog, &arguments.pcrs) {
        let registers = vtpm::pcrs(pcrs)?;
        check_event_log(&mut verdict, &files::read("--eventlog", log)?, &registers, &setting.events());
    }
    Ok((verdict, setting))
}

impl Endorsements {
    /// Reads the files; a rejection if one is not what it should be.
    pub(crate) fn take(&self, collateral: &mut Collateral, setting: &Setting) -> Result<Option<Verdict>, Usage> {
        let files = self
            .vek
            .iter()
            .map(|path| (Role::Vek, path))
            .chain(self.intermediate.iter().map(|path| (Role::Intermediate, path)))
            .chain(self.crl.iter().map(|path| (Role::Crl, path)));
        for (role, path) in files {
            let bytes = files::read(role.argument(), path)?;
            if let Err(error) = role.take(collateral, &bytes) {
                return Ok(Some(setting.malformed(role.check(), path, &error.to_string(), error.fix())));
            }
        }
        Ok(None)
    }
}

fn appraise(
    setting: &Setting,
    (evidence, collateral, report_data): (&[u8], &Collateral, Option<&[u8; 64]>),
    module: Option<(&[u8], &[u8; 64])>,
    path: &Path,
) -> Result<Verdict, Usage> {
    let anchor = setting.anchor()?;
    let question = Question { evidence, collateral, anchor: &anchor, report_data };
    let (policy, at) = (&setting.policy, setting.moment.at);
    let mut verdict = match module {
        Some((manifest, nonce)) => appraise_svsm(question, manifest, nonce, policy, at, &Ring),
        None => appraise_report(question, policy, at, &Ring).verdict,
    };
    // The library does not know names of files.
    if let Some(form) = verdict.checks.iter_mut().find(|check| check.name == "form") {
        form.detail = format!("{}: {}", path.display(), form.detail);
    }
    Ok(verdict)
}

#[derive(Clone, Copy)]
enum Role {
    Vek,
    Intermediate,
    Crl,
}

impl Role {
    fn argument(self) -> &'static str {
        match self {
            Self::Vek => "--vek",
            Self::Intermediate => "--intermediate",
            Self::Crl => "--crl",
        }
    }

    /// The check that such a file decides.
    fn check(self) -> &'static str {
        match self {
            Self::Vek => "vek",
            Self::Intermediate => "intermediate",
            Self::Crl => "revocation",
        }
    }

    fn take(self, collateral: &mut Collateral, bytes: &[u8]) -> Result<(), CollateralError> {
        match self {
            Self::Vek => collateral.take_vek(bytes),
            Self::Intermediate => collateral.take_intermediate(bytes),
            Self::Crl => collateral.take_crl(bytes),
        }
    }
}

/// 64 bytes.
pub(crate) fn bytes_64(text: &str) -> Result<[u8; 64], String> {
    hex::decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| format!("want 64 bytes as 128 hexadecimal digits, not {} characters", text.len()))
}
