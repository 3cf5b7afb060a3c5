//! `measured-boot replay`: what registers an event log leads to, and whether given registers bear it out.

use std::path::{Path, PathBuf};

use clap::Args;
use measured_boot::{MAX_LOG_BYTES, PcrSet, ReplayError, Replayed, StartupLocality, Unreplayed};
use serde_json::{Map, Value, json};

use super::{
    Stop,
    files::{read, read_pcrs},
};

/// Arguments of `replay`.
#[derive(Args)]
pub(super) struct Replay {
    /// The binary crypto-agile log (/sys/kernel/security/tpm0/binary_bios_measurements).
    #[arg(long, value_name = "FILE")]
    eventlog: PathBuf,
    /// Registers to compare with: {"sha256":{"0":"<hex>","7":"<hex>"}}.
    #[arg(long, value_name = "FILE")]
    pcrs: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(super) fn run(&self) -> Result<String, Stop> {
        replay(&self.eventlog, self.pcrs.as_deref(), self.json)
    }
}

fn replay(eventlog: &Path, pcrs: Option<&Path>, as_json: bool) -> Result<String, Stop> {
    let bytes = read(eventlog, MAX_LOG_BYTES)?;
    let log = Unreplayed::parse(&bytes).map_err(|error| Stop::malformed(eventlog, &error, error.fix()))?;
    let given = pcrs.map(read_pcrs).transpose()?;
    let mut claimed = Vec::new();
    for &bank in log.banks() {
        claimed.push(log.claimed_pcrs(bank).map_err(|error| Stop::malformed(eventlog, &error, error.fix()))?);
    }
    let mut replayed = Vec::new();
    for set in given.iter().flatten() {
        let compared = log.clone().replay(set).map_err(|error| {
            let code = if matches!(error, ReplayError::Differs { .. }) { 6 } else { 2 };
            Stop { code, what: format!("{}: {error}", eventlog.display()), fix: error.fix().to_owned() }
        })?;
        replayed.push(compared);
    }
    Ok(if as_json { json_report(&log, &claimed, &replayed) } else { text_report(&log, &claimed, &replayed) })
}

fn json_report(log: &Unreplayed<'_>, claimed: &[PcrSet], replayed: &[Replayed<'_>]) -> String {
    let banks: Map<_, _> = claimed.iter().map(|set| (set.bank().name().to_owned(), pcrs_json(set))).collect();
    let matched: Map<_, _> =
        replayed.iter().map(|replayed| (replayed.pcrs().bank().name().to_owned(), events_json(replayed))).collect();
    let value = json!({
        "records": log.event_count(),
        "startupLocality": log.startup_locality().number(),
        "pcrs": banks,
        "proven": if replayed.is_empty() { Value::Null } else { Value::Object(matched) },
    });
    format!("{value:#}\n")
}

fn pcrs_json(set: &PcrSet) -> Value {
    set.iter().map(|(index, value)| (index.number().to_string(), Value::from(value.to_string()))).collect()
}

fn events_json(replayed: &Replayed<'_>) -> Value {
    let events: Vec<_> = replayed
        .events()
        .map(|event| {
            json!({
                "pcr": event.pcr().number(),
                "statedType": event.stated_type().to_string(),
                "digest": event.digest().to_string(),
                "offset": event.offset(),
                "measuredData": event.measured_data().map(hex::encode),
            })
        })
        .collect();
    json!({ "pcrs": pcrs_json(replayed.pcrs()), "events": events })
}

fn text_report(log: &Unreplayed<'_>, claimed: &[PcrSet], replayed: &[Replayed<'_>]) -> String {
    let mut lines = vec![match log.startup_locality() {
        StartupLocality::Zero => format!("{} records", log.event_count()),
        other => format!("{} records, startup locality {}", log.event_count(), other.number()),
    }];
    for set in claimed {
        lines.push(format!("{}:", set.bank()));
        lines.extend(set.iter().map(|(index, value)| format!("  {:>2}: {value}", index.number())));
    }
    for replayed in replayed {
        let compared: Vec<_> = replayed.pcrs().iter().map(|(index, _)| index.number().to_string()).collect();
        lines.push(format!("replay equals the given {} registers {}", replayed.pcrs().bank(), compared.join(" ")));
        lines.extend(replayed.events().map(|event| {
            let data = match event.measured_data() {
                Some(data) => format!("data proven, {} bytes", data.len()),
                None => format!("data a hint only, {} bytes", event.stated_data().len()),
            };
            format!("  {:>2}  {}  {}  {data}", event.pcr().number(), event.digest(), event.stated_type())
        }));
    }
    if replayed.is_empty() {
        lines.push("nothing proven: compare with registers you trust by --pcrs FILE".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}
