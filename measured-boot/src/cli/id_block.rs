//! `measured-boot id-block`: made, and held against keys, a launch and a report.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use measured_boot::{
    id_block::{IdAuth, IdBlock, PublicKey, SigningKey, SigningKeyError, verifies},
    launch::LaunchDigest,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Answer, Stop,
    explain::measurement,
    files::{read, read_report},
    numbers::{number, number_32},
};

/// A PEM file of one P-384 key is below 1 KiB.
const MAX_KEY_FILE_BYTES: usize = 64 * 1024;
/// 96 or 4096 bytes, as base64 with line breaks.
const MAX_BLOCK_FILE_BYTES: usize = 8 * 1024;
/// POLICY bit 17 is reserved and must be one.
const POLICY_MUST_BE_ONE: u64 = 1 << 17;

/// A signature does not hold.
const SIGNATURE: u8 = 3;
/// What was measured or reported differs.
const DIFFERS: u8 = 6;

#[derive(Subcommand)]
pub(super) enum IdBlockCommand {
    /// Sign an ID block for a launch digest.
    ///
    /// Prints what QEMU's sev-snp-guest object takes and the key digests that reports will show. The same keys and values
    /// give the same bytes (RFC 6979).
    Create(Create),
    /// Check an ID block: its signatures, and what it says against keys, a launch digest and a report.
    ///
    /// Ends with 3 if a signature does not hold, with 6 if something differs from what it is compared with.
    Check(Check),
}

/// Arguments of `id-block create`.
#[derive(Args)]
pub(super) struct Create {
    /// The launch that is to pass: 96 hexadecimal digits, or 64 characters of base64.
    #[arg(long, value_name = "HEX", value_parser = measurement)]
    launch_digest: LaunchDigest,
    /// Family of the guest, 32 hexadecimal digits of your choice.
    #[arg(long, value_name = "HEX", default_value = "00000000000000000000000000000000", value_parser = id)]
    family_id: [u8; 16],
    /// Image of the guest, 32 hexadecimal digits of your choice.
    #[arg(long, value_name = "HEX", default_value = "00000000000000000000000000000000", value_parser = id)]
    image_id: [u8; 16],
    /// Security version of the guest.
    #[arg(long, value_name = "N", default_value = "0", value_parser = number_32)]
    guest_svn: u32,
    /// The policy that the guest will be started with.
    #[arg(long, value_name = "BITS", default_value = "0x30000", value_parser = number)]
    policy: u64,
    /// Private key that signs the ID block: P-384, PEM.
    #[arg(long, value_name = "FILE")]
    id_key: PathBuf,
    /// Private key that signs the ID key: P-384, PEM.
    #[arg(long, value_name = "FILE")]
    author_key: Option<PathBuf>,
    /// Write the ID block here, 96 bytes.
    #[arg(long, value_name = "FILE")]
    id_block_out: Option<PathBuf>,
    /// Write the ID authentication information here, 4096 bytes.
    #[arg(long, value_name = "FILE")]
    id_auth_out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Arguments of `id-block check`.
#[derive(Args)]
pub(super) struct Check {
    /// The ID block: 96 bytes, or base64 of them.
    #[arg(long, value_name = "FILE")]
    id_block: PathBuf,
    /// The ID authentication information: 4096 bytes, or base64 of them.
    #[arg(long, value_name = "FILE")]
    id_auth: PathBuf,
    /// The launch digest that it has to be for.
    #[arg(long, value_name = "HEX", value_parser = measurement)]
    launch_digest: Option<LaunchDigest>,
    /// The public key that has to have signed the block: PEM.
    #[arg(long, value_name = "FILE")]
    id_key: Option<PathBuf>,
    /// The public key that has to have signed the ID key: PEM.
    #[arg(long, value_name = "FILE")]
    author_key: Option<PathBuf>,
    /// A report whose fields have to agree, 1184 bytes. Its signature is not looked at.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl IdBlockCommand {
    pub(super) fn run(&self) -> Result<Answer, Stop> {
        match self {
            Self::Create(create) => create.run().map(Answer::done),
            Self::Check(check) => check.run(),
        }
    }
}

impl Create {
    fn run(&self) -> Result<String, Stop> {
        if self.policy & POLICY_MUST_BE_ONE == 0 {
            return Err(Stop::arguments(
                format!("--policy {:#x}: bit 17 is not set, and the firmware starts no guest without it", self.policy),
                "take 0x30000, the policy without debugging, and add what the guest needs",
            ));
        }
        let block = IdBlock {
            launch_digest: self.launch_digest,
            family_id: self.family_id,
            image_id: self.image_id,
            guest_svn: self.guest_svn,
            policy: self.policy,
        };
        let id_key = private_key(&self.id_key)?;
        let author_key = self.author_key.as_deref().map(private_key).transpose()?;
        let auth = IdAuth::sign(&block, &id_key, author_key.as_ref());
        let (block, auth_bytes) = (block.to_bytes(), auth.to_bytes());
        for (path, bytes) in [(&self.id_block_out, block.as_slice()), (&self.id_auth_out, auth_bytes.as_slice())] {
            if let Some(path) = path {
                let fix = "name a file in a folder that you may write to";
                fs::write(path, bytes).map_err(|error| Stop::usage(path.display(), error, fix))?;
            }
        }
        let (block, auth_text) = (STANDARD.encode(block), STANDARD.encode(auth_bytes));
        let author = auth.author.map(|(key, _)| key.digest().to_string());
        let mut qemu = format!("id-block={block},id-auth={auth_text}");
        if author.is_some() {
            qemu.push_str(",author-key-enabled=on");
        }
        Ok(if self.json {
            let value = json!({
                "idBlock": block,
                "idAuth": auth_text,
                "qemu": qemu,
                "idKeyDigest": auth.id_key.digest().to_string(),
                "authorKeyDigest": author,
            });
            format!("{value:#}\n")
        } else {
            let author = author.map(|digest| format!("AUTHOR_KEY_DIGEST {digest}\n")).unwrap_or_default();
            format!("{qemu}\nID_KEY_DIGEST     {}\n{author}", auth.id_key.digest())
        })
    }
}

/// One thing that was looked at.
struct Row {
    name: &'static str,
    /// None: there was nothing to compare with.
    passed: Option<bool>,
    detail: String,
    /// Of a failure.
    code: u8,
}

impl Check {
    fn run(&self) -> Result<Answer, Stop> {
        let block_bytes = plain_or_base64(&self.id_block, IdBlock::BYTES)?;
        let auth_bytes = plain_or_base64(&self.id_auth, IdAuth::BYTES)?;
        let fix = "give the files that id-block create, snpguest or sev-snp-measure wrote, in this order";
        let block = IdBlock::parse(&block_bytes).map_err(|error| Stop::malformed(&self.id_block, error, fix))?;
        let auth = IdAuth::parse(&auth_bytes).map_err(|error| Stop::malformed(&self.id_auth, error, fix))?;
        let mut rows = signatures(&block_bytes, &auth);
        rows.push(self.launch_row(&block));
        rows.push(key_row("id-key", "--id-key", Some(&auth.id_key), self.id_key.as_deref())?);
        let author = auth.author.map(|(key, _)| key);
        rows.push(key_row("author-key", "--author-key", author.as_ref(), self.author_key.as_deref())?);
        match &self.report {
            Some(path) => rows.extend(report_rows(&read_report(path)?, &block, &auth)),
            None => rows.push(Row::open("report", "no report was given (--report)")),
        }
        let failed = rows.iter().filter(|row| row.passed == Some(false));
        let code = failed.map(|row| row.code).min().unwrap_or(0);
        let digests = [("ID_KEY_DIGEST", Some(auth.id_key)), ("AUTHOR_KEY_DIGEST", author)];
        let text = if self.json {
            let value = json!({
                "idBlock": block_json(&block),
                "idKeyDigest": auth.id_key.digest().to_string(),
                "authorKeyDigest": author.map(|key| key.digest().to_string()),
                "checks": rows.iter().map(Row::json).collect::<Vec<_>>(),
                "exit": code,
            });
            format!("{value:#}\n")
        } else {
            let mut lines: Vec<_> = rows.iter().map(Row::text).collect();
            for (name, key) in digests {
                lines.extend(key.map(|key| format!("{name} {}", key.digest())));
            }
            lines.push(format!(
                "family {}, image {}, guest SVN {}, policy {:#x}",
                hex::encode(block.family_id),
                hex::encode(block.image_id),
                block.guest_svn,
                block.policy
            ));
            lines.push(String::new());
            lines.join("\n")
        };
        Ok(Answer { text, code })
    }

    fn launch_row(&self, block: &IdBlock) -> Row {
        match self.launch_digest {
            Some(given) => Row::compared("launch-digest", block.launch_digest.to_string(), given.to_string()),
            None => Row::open("launch-digest", &format!("{}, nothing given to compare with", block.launch_digest)),
        }
    }
}

impl Row {
    fn signed(name: &'static str, holds: bool, what: &str) -> Self {
        let detail = if holds { what.to_owned() } else { format!("not so: {what}") };
        Self { name, passed: Some(holds), detail, code: SIGNATURE }
    }

    fn compared(name: &'static str, found: String, wanted: String) -> Self {
        let passed = found == wanted;
        let detail = if passed { found } else { format!("{found}, want {wanted}") };
        Self { name, passed: Some(passed), detail, code: DIFFERS }
    }

    fn open(name: &'static str, why: &str) -> Self {
        Self { name, passed: None, detail: why.to_owned(), code: 0 }
    }

    fn outcome(&self) -> &'static str {
        match self.passed {
            Some(true) => "pass",
            Some(false) => "fail",
            None => "not_checked",
        }
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "outcome": self.outcome(), "detail": self.detail })
    }

    fn text(&self) -> String {
        format!("{:<12} {:<26} {}", self.outcome(), self.name, self.detail)
    }
}

fn signatures(block: &[u8], auth: &IdAuth) -> Vec<Row> {
    let by_id_key = verifies(&auth.id_key, block, &auth.id_block_signature);
    let author = match &auth.author {
        Some((key, signature)) => {
            let holds = verifies(key, &auth.id_key.to_bytes(), signature);
            Row::signed("id-key-signature", holds, "the author key signed the ID key")
        }
        None => Row::open("id-key-signature", "there is no author key"),
    };
    vec![Row::signed("id-block-signature", by_id_key, "the ID key signed the ID block"), author]
}

fn key_row(name: &'static str, flag: &str, found: Option<&PublicKey>, wanted: Option<&Path>) -> Result<Row, Stop> {
    let Some(path) = wanted else { return Ok(Row::open(name, &format!("no key was given ({flag})"))) };
    let text = key_text(path)?;
    let wanted = PublicKey::from_pem(&text).map_err(|error| key_stop(path, &error))?;
    let found = found.map_or_else(|| "no key".to_owned(), |key| key.digest().to_string());
    Ok(Row::compared(name, found, wanted.digest().to_string()))
}

/// Fields of a report as they stand: AMD 56860, Table 23.
fn report_rows(report: &[u8], block: &IdBlock, auth: &IdAuth) -> Vec<Row> {
    let field = |offset: usize, length: usize| {
        let end = offset.saturating_add(length);
        hex::encode(report.get(offset..end).unwrap_or_default())
    };
    let little = |offset: usize, length: usize| {
        let bytes = report.iter().skip(offset).take(length).rev();
        bytes.fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    // AUTHOR_KEY_EN is bit 0 of the byte at 0x48.
    let has_author = report.get(0x48).is_some_and(|byte| byte & 1 == 1);
    let author = auth.author.map_or_else(|| "00".repeat(48), |(key, _)| key.digest().to_string());
    vec![
        Row::compared("report-measurement", field(0x90, 48), block.launch_digest.to_string()),
        Row::compared("report-family-id", field(0x10, 16), hex::encode(block.family_id)),
        Row::compared("report-image-id", field(0x20, 16), hex::encode(block.image_id)),
        Row::compared("report-guest-svn", little(0x04, 4).to_string(), block.guest_svn.to_string()),
        Row::compared("report-policy", format!("{:#x}", little(0x08, 8)), format!("{:#x}", block.policy)),
        Row::compared("report-id-key-digest", field(0xE0, 48), auth.id_key.digest().to_string()),
        Row::compared("report-author-key-en", has_author.to_string(), auth.author.is_some().to_string()),
        Row::compared("report-author-key-digest", field(0x110, 48), author),
    ]
}

fn block_json(block: &IdBlock) -> Value {
    json!({
        "launchDigest": block.launch_digest.to_string(),
        "familyId": hex::encode(block.family_id),
        "imageId": hex::encode(block.image_id),
        "guestSvn": block.guest_svn,
        "policy": format!("{:#x}", block.policy),
    })
}

fn private_key(path: &Path) -> Result<SigningKey, Stop> {
    SigningKey::from_pem(&key_text(path)?).map_err(|error| key_stop(path, &error))
}

fn key_text(path: &Path) -> Result<Zeroizing<String>, Stop> {
    let bytes = Zeroizing::new(read(path, MAX_KEY_FILE_BYTES)?);
    let fix = "give a P-384 key in PEM";
    if bytes.len() > MAX_KEY_FILE_BYTES {
        let what = format!("offset {MAX_KEY_FILE_BYTES:#x}: goes on past {MAX_KEY_FILE_BYTES} bytes, no key does");
        return Err(Stop::malformed(path, what, fix));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| Stop::malformed(path, format!("offset {:#x}: not text", error.valid_up_to()), fix))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn key_stop(path: &Path, error: &SigningKeyError) -> Stop {
    let fix = match error {
        SigningKeyError::Encrypted => "decrypt it beforehand: openssl pkey -in KEY -out PLAIN",
        SigningKeyError::Format(_) => {
            "make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out id-key.pem (its public half: \
             openssl pkey -pubout)"
        }
    };
    Stop::malformed(path, error, fix)
}

/// The file's bytes if there are `length` of them, what it encodes if it is base64 of as many.
fn plain_or_base64(path: &Path, length: usize) -> Result<Vec<u8>, Stop> {
    let bytes = read(path, MAX_BLOCK_FILE_BYTES)?;
    if bytes.len() == length {
        return Ok(bytes);
    }
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match STANDARD.decode(text) {
        Ok(decoded) if decoded.len() == length => Ok(decoded),
        _ => Err(Stop::malformed(
            path,
            format!("offset {:#x}: ends here, want {length} bytes or base64 of as many", bytes.len()),
            "give what id-block create wrote with --id-block-out and --id-auth-out, or its base64",
        )),
    }
}

fn id(text: &str) -> Result<[u8; 16], String> {
    let mut id = [0; 16];
    hex::decode_to_slice(text, &mut id).map_err(|_| format!("{text:?}: want 32 hexadecimal digits"))?;
    Ok(id)
}
