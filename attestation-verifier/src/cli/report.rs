//! `report`: one attestation report.

use std::path::{Path, PathBuf};

use attestation_verifier::{
    Collateral, CollateralError, Question, Ring, Verdict, appraise_report, check_event_log, registers,
};
use clap::Args;

use super::{Common, Setting, Usage, files};

#[derive(Args)]
pub(crate) struct ReportArgs {
    /// The report: 1184 bytes, or the guest driver's 4000-byte response, or Azure's HCL blob.
    #[arg(value_name = "REPORT")]
    report: PathBuf,
    /// VCEK or VLEK: DER, PEM (also with its chain), or the host's certificate table (auxblob).
    #[arg(long, value_name = "FILE")]
    vek: Option<PathBuf>,
    /// ASK or ASVK, DER or PEM. AMD's ASKs are built in; an ASVK has to be given.
    #[arg(long, value_name = "FILE")]
    intermediate: Option<PathBuf>,
    /// Revocation list by the root, DER or PEM; may be repeated.
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// REPORT_DATA as it must be: 128 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = report_data)]
    report_data: Option<[u8; 64]>,
    /// Firmware event log of the machine: does it explain the registers of --pcrs?
    #[arg(long, value_name = "FILE", requires = "pcrs")]
    eventlog: Option<PathBuf>,
    /// PCR values as JSON: {"sha256":{"0":"…"}}.
    #[arg(long, value_name = "FILE", requires = "eventlog")]
    pcrs: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(arguments: ReportArgs) -> Result<(Verdict, Setting), Usage> {
    let setting = arguments.common.read()?;
    let evidence = files::read("REPORT", &arguments.report)?;
    let mut collateral = Collateral::default();
    let files = arguments
        .vek
        .iter()
        .map(|path| (Role::Vek, path))
        .chain(arguments.intermediate.iter().map(|path| (Role::Intermediate, path)))
        .chain(arguments.crl.iter().map(|path| (Role::Crl, path)));
    for (role, path) in files {
        let bytes = files::read(role.argument(), path)?;
        if let Err(error) = role.take(&mut collateral, &bytes) {
            let verdict = setting.malformed(role.check(), path, &error.to_string(), error.fix());
            return Ok((verdict, setting));
        }
    }
    let mut verdict = appraise(&setting, &evidence, &collateral, arguments.report_data.as_ref(), &arguments.report)?;
    if let (Some(log), Some(pcrs)) = (&arguments.eventlog, &arguments.pcrs) {
        let text = files::read("--pcrs", pcrs)?;
        let registers = registers(&text).map_err(|error| {
            Usage::new(
                format!("--pcrs {}: {error}", pcrs.display()),
                r#"write {"sha256":{"0":"<64 hexadecimal digits>"}}, a member for each register"#,
            )
        })?;
        check_event_log(&mut verdict, &files::read("--eventlog", log)?, &registers);
    }
    Ok((verdict, setting))
}

fn appraise(
    setting: &Setting,
    evidence: &[u8],
    collateral: &Collateral,
    report_data: Option<&[u8; 64]>,
    path: &Path,
) -> Result<Verdict, Usage> {
    let anchor = setting.anchor()?;
    let question = Question { evidence, collateral, anchor: &anchor, report_data };
    let mut verdict = appraise_report(question, &setting.policy, setting.moment.at, &Ring).verdict;
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

fn report_data(text: &str) -> Result<[u8; 64], String> {
    hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        format!("want the 64 bytes of REPORT_DATA as 128 hexadecimal digits, not {} characters", text.len())
    })
}
