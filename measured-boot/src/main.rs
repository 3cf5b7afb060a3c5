//! `measured-boot replay`: what registers an event log leads to, and whether given registers bear it out.
//!
//! Exit codes are those of the verifier: 0 done, 1 usage or unreadable file, 2 malformed log or register file, 6 the
//! replay differs.
#![allow(clippy::disallowed_methods, reason = "the command, unlike the library, reads the files it is given")]

use std::{
    fmt::Display,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use measured_boot::{
    Bank, Digest, MAX_LOG_BYTES, PcrIndex, PcrSet, PcrValue, ReplayError, Replayed, StartupLocality, Unreplayed,
};
use serde_json::{Map, Value, json};

/// PCR arithmetic and event-log replay.
#[derive(Parser)]
#[command(name = "measured-boot", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay a firmware event log and print the registers it leads to.
    ///
    /// With --pcrs the log is compared with registers you already trust (a verified quote, tpm2_pcrread), and its
    /// events are listed when all of them match. Without, nothing in the log is proven and no event is shown.
    Replay {
        /// The binary crypto-agile log (/sys/kernel/security/tpm0/binary_bios_measurements).
        #[arg(long, value_name = "FILE")]
        eventlog: PathBuf,
        /// Registers to compare with: {"sha256":{"0":"<hex>","7":"<hex>"}}.
        #[arg(long, value_name = "FILE")]
        pcrs: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 1 } else { 0 };
            // Nothing is left to be done where the help cannot be written.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let Command::Replay { eventlog, pcrs, json } = arguments.command;
    let done = replay(&eventlog, pcrs.as_deref(), json);
    match done
        .and_then(|text| io::stdout().write_all(text.as_bytes()).map_err(|error| Stop::usage("stdout", error, "")))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            let _ = writeln!(io::stderr(), "error: {}", stop.what);
            if !stop.fix.is_empty() {
                let _ = writeln!(io::stderr(), "fix: {}", stop.fix);
            }
            ExitCode::from(stop.code)
        }
    }
}

/// Why the command ends early.
struct Stop {
    code: u8,
    what: String,
    fix: String,
}

impl Stop {
    fn usage(name: impl Display, error: impl Display, fix: &str) -> Self {
        Self { code: 1, what: format!("{name}: {error}"), fix: fix.to_owned() }
    }

    fn malformed(path: &Path, error: impl Display, fix: &str) -> Self {
        Self { code: 2, what: format!("{}: {error}", path.display()), fix: fix.to_owned() }
    }
}

fn replay(eventlog: &Path, pcrs: Option<&Path>, as_json: bool) -> Result<String, Stop> {
    let bytes = read(eventlog)?;
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

/// A file of at most [`MAX_LOG_BYTES`].
fn read(path: &Path) -> Result<Vec<u8>, Stop> {
    let fix = "give a readable file; the kernel's own log is readable by root only";
    let fail = |error: io::Error| Stop::usage(path.display(), error, fix);
    let file = fs::File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    // One byte more than the limit, so that the parser sees and names a log that is too long.
    let limit = u64::try_from(MAX_LOG_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    io::Read::read_to_end(&mut io::Read::take(file, limit), &mut bytes).map_err(fail)?;
    Ok(bytes)
}

fn read_pcrs(path: &Path) -> Result<Vec<PcrSet>, Stop> {
    let fix = r#"write {"sha256":{"0":"<64 hexadecimal digits>"}}, a member for each bank and register"#;
    let malformed = |what: String| Stop::malformed(path, what, fix);
    let bytes = read(path)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    let banks = value.as_object().ok_or_else(|| malformed("want a JSON object".to_owned()))?;
    if banks.is_empty() {
        return Err(malformed("no bank in it".to_owned()));
    }
    let mut sets = Vec::new();
    for (name, registers) in banks {
        let bank = Bank::from_name(name).ok_or_else(|| malformed(format!("{name}: not a bank")))?;
        let registers = registers.as_object().ok_or_else(|| malformed(format!("{name}: want a JSON object")))?;
        let mut set = PcrSet::new(bank);
        for (number, hex) in registers {
            let place = format!("{name}.{number}");
            let index = number.parse().ok().and_then(PcrIndex::new);
            let index = index.ok_or_else(|| malformed(format!("{place}: not a register, want 0 to 23")))?;
            let digest = hex.as_str().ok_or_else(|| malformed(format!("{place}: want a string")))?;
            let digest = Digest::from_hex(bank, digest).map_err(|error| malformed(format!("{place}: {error}")))?;
            let inserted = set.insert(index, PcrValue::from_digest(digest));
            inserted.map_err(|error| malformed(format!("{place}: {error}")))?;
        }
        if set.is_empty() {
            return Err(malformed(format!("{name}: no register in it")));
        }
        sets.push(set);
    }
    Ok(sets)
}
