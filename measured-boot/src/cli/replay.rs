//! `measured-boot replay`: what registers an event log leads to, and whether given registers bear it out.

use std::path::{Path, PathBuf};

use clap::Args;
use measured_boot::{
    Bank, EventMeaning, MAX_LOG_BYTES, PcrIndex, PcrSet, ReplayError, Replayed, StartupLocality, StatedEvent,
    Unreplayed,
};
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
        "events": listing(log, replayed).map(|line| line.json()).collect::<Vec<_>>(),
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
    }
    lines.push(if replayed.is_empty() {
        "events, none proven: compare with registers you trust by --pcrs FILE".to_owned()
    } else {
        "events; of a proven one the digest, what is called proven, and the order hold, all else is the log's word:"
            .to_owned()
    });
    lines.extend(listing(log, replayed).map(|line| line.text()));
    lines.push(String::new());
    lines.join("\n")
}

/// One event, explained.
struct Line<'a, 'log> {
    number: usize,
    event: StatedEvent<'a, 'log>,
    bank: Bank,
    /// Is its register among those that were compared?
    proven: bool,
    meaning: EventMeaning,
}

/// Every event of the log, in the bank that was compared, or else in SHA-256 if the log has it.
fn listing<'a, 'log>(
    log: &'log Unreplayed<'a>,
    replayed: &'log [Replayed<'a>],
) -> impl Iterator<Item = Line<'a, 'log>> {
    let compared = |bank: Bank| replayed.iter().find(move |replayed| replayed.pcrs().bank() == bank);
    let chosen = compared(Bank::Sha256).or(replayed.first());
    let first = if log.banks().contains(&Bank::Sha256) { Some(Bank::Sha256) } else { log.banks().first().copied() };
    // A log has a bank.
    let bank = chosen.map(|replayed| replayed.pcrs().bank()).or(first).unwrap_or(Bank::Sha256);
    log.stated_events().enumerate().map(move |(number, event)| {
        let index = PcrIndex::new(event.pcr()).filter(|_| !event.is_remark());
        let proven = index.is_some_and(|index| chosen.is_some_and(|replayed| replayed.pcrs().value(index).is_some()));
        Line { number, event, bank, proven, meaning: EventMeaning::of_stated(&event, bank) }
    })
}

impl Line<'_, '_> {
    /// The word for what holds of it.
    fn state(&self) -> &'static str {
        match (self.event.is_remark(), self.proven) {
            (true, _) => "remark",
            (false, true) => "proven",
            (false, false) => "unproven",
        }
    }

    fn digest(&self) -> Option<String> {
        self.event.digest(self.bank).filter(|_| !self.event.is_remark()).map(ToString::to_string)
    }

    fn json(&self) -> Value {
        json!({
            "event": self.number,
            "pcr": self.event.pcr(),
            "statedType": self.event.stated_type().to_string(),
            "offset": self.event.offset(),
            "digest": self.digest(),
            "state": self.state(),
            "byDigest": self.meaning.proven,
            "stated": self.meaning.stated,
        })
    }

    fn text(&self) -> String {
        let by_digest = self.meaning.proven.as_ref().map(|words| match self.proven {
            true => format!("proven: {words}"),
            false => format!("unproven: {words}"),
        });
        let stated = self.meaning.stated.as_ref().map(|words| match self.event.is_remark() {
            true => format!("in no register: {words}"),
            false => format!("stated: {words}"),
        });
        let words: Vec<_> = by_digest.into_iter().chain(stated).collect();
        let words =
            if words.is_empty() { format!("unknown, {} bytes", self.event.data().len()) } else { words.join("; ") };
        let digest = self.digest().unwrap_or_else(|| "-".to_owned());
        let (number, pcr, kind) = (self.number, self.event.pcr(), self.event.stated_type());
        format!("  {number:>3}  PCR {pcr:<2}  {digest}  {kind}\n         {words}")
    }
}
