//! Files of a virtual TPM, as several commands name them.

use std::path::{Path, PathBuf};

use attestation_verifier::{EventPolicy, QuoteQuestion, SignatureForm, SignedQuote, registers};
use clap::Args;

use super::{Usage, files};

/// Longest nonce: `extraData` holds no more.
const LONGEST_NONCE: usize = 64;

/// What beside a quote is looked at.
#[derive(Args)]
pub(crate) struct Beside {
    /// PCR values: JSON {"sha256":{"0":"…"}}, or what tpm2_pcrread prints.
    #[arg(long, value_name = "FILE")]
    pub(crate) pcrs: Option<PathBuf>,
    /// Firmware event log (/sys/kernel/security/tpm0/binary_bios_measurements).
    #[arg(long, value_name = "FILE", requires = "pcrs")]
    pub(crate) eventlog: Option<PathBuf>,
    /// What the quote's extraData must be: 2 to 128 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    pub(crate) nonce: Option<Nonce>,
}

/// Bytes of a nonce.
#[derive(Clone)]
pub(crate) struct Nonce(Vec<u8>);

/// A quote and what is beside it, read.
pub(crate) struct QuoteFiles {
    attest: Vec<u8>,
    signature: Vec<u8>,
    registers: Option<Vec<(u8, [u8; 32])>>,
    event_log: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
}

impl QuoteFiles {
    pub(crate) fn read(quote: &Path, signature: (&str, &Path), beside: &Beside) -> Result<Self, Usage> {
        Ok(Self {
            attest: files::read("--quote", quote)?,
            signature: files::read(signature.0, signature.1)?,
            registers: beside.pcrs.as_deref().map(pairs).transpose()?,
            event_log: beside.eventlog.as_ref().map(|path| files::read("--eventlog", path)).transpose()?,
            nonce: beside.nonce.as_ref().map(|nonce| nonce.0.clone()),
        })
    }

    pub(crate) fn question<'a>(&'a self, events: &'a EventPolicy) -> QuoteQuestion<'a> {
        QuoteQuestion {
            quote: SignedQuote { attest: &self.attest, signature: &self.signature, form: SignatureForm::Tool },
            registers: self.registers.as_deref(),
            event_log: self.event_log.as_deref(),
            nonce: self.nonce.as_deref(),
            events,
        }
    }
}

/// The registers of a file.
pub(crate) fn pcrs(path: &Path) -> Result<measured_boot::PcrSet, Usage> {
    let text = files::read("--pcrs", path)?;
    registers(&text).map_err(|error| {
        Usage::new(
            format!("--pcrs {}: {error}", path.display()),
            r#"write {"sha256":{"0":"<64 hexadecimal digits>"}}, a member for each register"#,
        )
    })
}

fn pairs(path: &Path) -> Result<Vec<(u8, [u8; 32])>, Usage> {
    let set = pcrs(path)?;
    // Registers of the SHA-256 bank have 32 bytes.
    let pair = |(index, value): (measured_boot::PcrIndex, &measured_boot::PcrValue)| {
        Some((index.number(), <[u8; 32]>::try_from(value.as_bytes()).ok()?))
    };
    Ok(set.iter().filter_map(pair).collect())
}

fn nonce(text: &str) -> Result<Nonce, String> {
    let bytes = hex::decode(text).ok().filter(|bytes| (1..=LONGEST_NONCE).contains(&bytes.len()));
    bytes.map(Nonce).ok_or_else(|| "want 2 to 128 hexadecimal digits, an even number".to_owned())
}
