//! `measured-boot diff`: in which event two boots, or a boot and its prediction, first differ.

use std::path::{Path, PathBuf};

use clap::Args;
use measured_boot::{Account, Bank, Digest, MAX_LOG_BYTES, Parting, PcrIndex, Step, Unreplayed};
use serde_json::{Value, json};

use super::{Answer, Stop, files::read};

const FIX: &str = "give two of: a binary event log, what `measured-boot pcrs --json` printed";

/// Arguments of `diff`.
#[derive(Args)]
pub(super) struct Diff {
    /// A binary event log, or a prediction by `pcrs --json`.
    first: PathBuf,
    /// Another one.
    second: PathBuf,
    /// The bank that two logs are compared in; a prediction has its own.
    #[arg(long, value_name = "BANK")]
    bank: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A file, before it is known in which bank it is compared.
enum Given {
    Prediction(Account),
    Log(PathBuf, Vec<u8>),
}

impl Diff {
    /// What goes to standard output, and whether they are the same.
    pub(super) fn run(&self) -> Result<Answer, Stop> {
        let wanted = self.bank.as_deref().map(|name| {
            Bank::from_name(name)
                .ok_or_else(|| Stop::usage("--bank", format!("{name} is none"), "want sha1, sha256, sha384 or sha512"))
        });
        let wanted = wanted.transpose()?;
        let (first, second) = (given(&self.first)?, given(&self.second)?);
        let predicted = [&first, &second].into_iter().find_map(|given| match given {
            Given::Prediction(account) => Some(account.bank()),
            Given::Log(..) => None,
        });
        let bank = predicted.or(wanted).unwrap_or(Bank::Sha256);
        let (first, second) = (first.account(bank, &self.first)?, second.account(bank, &self.second)?);
        let compared = first.compared(&second);
        if compared.is_empty() {
            return Err(Stop::usage("diff", "no register that both tell of", FIX));
        }
        let partings = first.partings(&second);
        let names: Vec<_> = compared.iter().map(|index| index.number()).collect();
        let text = if self.json {
            let partings: Vec<_> = partings.iter().map(parting_json).collect();
            format!("{:#}\n", json!({ "bank": bank.name(), "compared": names, "differences": partings }))
        } else {
            self.text(bank, &names, &partings)
        };
        Ok(Answer { text, code: if partings.is_empty() { 0 } else { 6 } })
    }

    fn text(&self, bank: Bank, names: &[u8], partings: &[Parting]) -> String {
        let names: Vec<_> = names.iter().map(u8::to_string).collect();
        let mut lines = vec![format!("{bank} registers compared: {}", names.join(" "))];
        for parting in partings {
            lines.push(format!("{} differs from event {} on:", parting.index, parting.event));
            for (path, step) in [(&self.first, &parting.first), (&self.second, &parting.second)] {
                let step = match step {
                    Some(step) => format!("{}  {}", step.digest, step.source),
                    None => "no further event".to_owned(),
                };
                lines.push(format!("  {}: {step}", path.display()));
            }
        }
        if partings.is_empty() {
            lines.push("the same events in all of them".to_owned());
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

fn given(path: &Path) -> Result<Given, Stop> {
    let bytes = read(path, MAX_LOG_BYTES)?;
    if bytes.first() == Some(&b'{') {
        return Ok(Given::Prediction(prediction(path, &bytes)?));
    }
    Ok(Given::Log(path.to_owned(), bytes))
}

impl Given {
    fn account(self, bank: Bank, path: &Path) -> Result<Account, Stop> {
        let (log, bytes) = match self {
            Self::Prediction(account) if account.bank() == bank => return Ok(account),
            Self::Prediction(account) => {
                let what = format!("predicts {} registers, the other file {bank} ones", account.bank());
                return Err(Stop::usage(path.display(), what, "predict both in one bank"));
            }
            Self::Log(path, bytes) => (path, bytes),
        };
        let parsed = Unreplayed::parse(&bytes).map_err(|error| Stop::malformed(&log, &error, error.fix()))?;
        Account::of_log(&parsed, bank)
            .ok_or_else(|| Stop::usage(log.display(), format!("no {bank} digests"), "choose another --bank"))
    }
}

/// What `pcrs --json` printed: only `bank` and `events` are looked at.
fn prediction(path: &Path, bytes: &[u8]) -> Result<Account, Stop> {
    let malformed = |what: String| Stop::malformed(path, what, FIX);
    if bytes.len() > MAX_LOG_BYTES {
        return Err(malformed(format!("offset {MAX_LOG_BYTES:#x}: too long")));
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| malformed(format!("line {}, column {}: {error}", error.line(), error.column())))?;
    let bank = value.get("bank").and_then(Value::as_str).and_then(Bank::from_name);
    let bank = bank.ok_or_else(|| malformed("bank: want the name of one".into()))?;
    let events = value.get("events").and_then(Value::as_object);
    let mut account = Account::new(bank);
    for (number, list) in events.ok_or_else(|| malformed("events: want an object".into()))? {
        let place = format!("events.{number}");
        let index = number.parse().ok().and_then(PcrIndex::new);
        let index = index.ok_or_else(|| malformed(format!("{place}: not a register, want 0 to 23")))?;
        let list = list.as_array().ok_or_else(|| malformed(format!("{place}: want an array")))?;
        let steps: Result<Vec<_>, _> = list.iter().map(|event| step(bank, event)).collect();
        account.tell(index, steps.map_err(|what| malformed(format!("{place}: {what}")))?);
    }
    Ok(account)
}

fn step(bank: Bank, event: &Value) -> Result<Step, String> {
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let digest = Digest::from_hex(bank, text("digest").unwrap_or_default()).map_err(|error| error.to_string())?;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    Ok(Step {
        digest,
        source: text("what").unwrap_or("?").chars().map(plain).collect(),
        after_log: event.get("afterLog").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn parting_json(parting: &Parting) -> Value {
    let step = |step: &Option<Step>| match step {
        Some(step) => json!({ "digest": step.digest.to_string(), "source": step.source }),
        None => Value::Null,
    };
    json!({
        "pcr": parting.index.number(),
        "event": parting.event,
        "first": step(&parting.first),
        "second": step(&parting.second),
    })
}
