//! What the TPM offers: sealing, quotes, Azure's report, the firmware's log.

use std::path::Path;

use attestation_verifier::TpmKey;

use super::{Finding, State};
use crate::{AkChoice, Azure, AzureError, EVENT_LOG, Tpm, TpmError, azure, read_event_log};

const SEALING: &str = "keys can be sealed to what was booted. Whether the operator of the host can open them too depends \
                       on who runs the TPM: only one inside the confidential VM (Azure's paravisor, SVSM) keeps him out";
const QUOTING: &str = "registers can be signed. A quote is worth what the TPM's operator is: the verdict names him";
const AZURE: &str = "Azure's paravisor vouches for this VM: report and TPM key are bound to each other";
const LOG: &str = "nothing by itself: it explains registers once a quote has signed them";

/// Rows of the TPM at `tcti`, and of the log of the machine whose file system starts at `root`.
pub(super) fn rows(root: &Path, tcti: &str) -> Vec<Finding> {
    let mut rows = match Tpm::open(tcti).and_then(|mut tpm| Ok((maker(&mut tpm, tcti)?, tpm))) {
        Ok((detail, mut tpm)) => {
            vec![
                Finding { subject: "tpm", state: State::Found, detail, proves: SEALING },
                key(&mut tpm),
                report(&mut tpm),
            ]
        }
        Err(error) => {
            let state = state_of(&error);
            let needs = || "needs the TPM".to_owned();
            vec![
                Finding { subject: "tpm", state, detail: error.to_string(), proves: SEALING },
                Finding { subject: "attestation key", state, detail: needs(), proves: QUOTING },
                Finding { subject: "azure report", state, detail: needs(), proves: AZURE },
            ]
        }
    };
    rows.push(log(root));
    rows
}

fn state_of(error: &TpmError) -> State {
    match error {
        TpmError::Missing { .. } | TpmError::Unsupported => State::Absent,
        _ => State::Unknown,
    }
}

fn maker(tpm: &mut Tpm, tcti: &str) -> Result<String, TpmError> {
    let properties = tpm.properties()?;
    let (high, low) = properties.firmware;
    let whose = match properties.manufacturer.as_str() {
        "IBM" => "software TPM (swtpm or libtpms): whoever runs it can open what it seals",
        "MSFT" => "Hyper-V or Azure vTPM",
        "GOOG" => "Google's vTPM, run by the host",
        "AMZN" => "NitroTPM, run by the host",
        _ => "see its maker",
    };
    let (maker, vendor, revision) = (properties.manufacturer, properties.vendor, properties.revision);
    Ok(format!("{tcti}: {maker} {vendor}, firmware {high:08x}.{low:08x}, revision {revision}; {whose}"))
}

/// The key that the gateway would quote with: Azure's where it is, or one of its own.
fn key(tpm: &mut Tpm) -> Finding {
    let (subject, proves) = ("attestation key", QUOTING);
    let found = tpm.has_key(AkChoice::AZURE).and_then(|azure| {
        let choice = if azure { Azure::KEY } else { AkChoice::Ours };
        Ok((choice, tpm.attestation_key(choice)?))
    });
    match found {
        Ok((choice, key)) => {
            let kind = TpmKey::from_spki(&key.spki).map(|key| key.to_string());
            let kind = kind.unwrap_or_else(|_| "of a kind that verifiers do not take".into());
            let origin = if choice == AkChoice::Ours { ", derived at every boot" } else { "" };
            let detail = format!("{choice}: {kind}{origin}; Name {}", hex::encode(key.name));
            Finding { subject, state: State::Found, detail, proves }
        }
        Err(error) => Finding { subject, state: State::Unknown, detail: error.to_string(), proves },
    }
}

fn report(tpm: &mut Tpm) -> Finding {
    let (state, detail) = match azure::look(tpm) {
        Ok(detail) => (State::Found, detail),
        Err(AzureError::NoReport) => (State::Absent, "no NV index 0x01400001".to_owned()),
        Err(error) => (State::Unknown, format!("{error}; fix: {}", error.fix())),
    };
    Finding { subject: "azure report", state, detail, proves: AZURE }
}

fn log(root: &Path) -> Finding {
    let (state, detail) = match read_event_log(&root.join(EVENT_LOG.trim_start_matches('/'))) {
        Ok(Some(log)) => (State::Found, format!("{EVENT_LOG}: {} bytes", log.len())),
        Ok(None) => (State::Absent, format!("no {EVENT_LOG}")),
        Err(error) => (State::Unknown, format!("{error}; fix: {}", error.fix())),
    };
    Finding { subject: "firmware event log", state, detail, proves: LOG }
}
