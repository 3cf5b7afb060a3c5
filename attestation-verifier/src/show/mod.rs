//! Evidence taken apart for people: every field with its place, its value and what it means. Nothing is verified here and
//! nothing refused that can be read at all; a verdict is what [`crate::appraise_report`] gives.

mod certificate;
mod hcl;
mod report;

use serde::Serialize;

use crate::{HostTable, SignedReport, Thim, snp::pem};

/// One field of a file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Field {
    /// Where it begins, counted from the beginning of its part; certificates' have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// Its name in the specification.
    pub name: String,
    /// As it is.
    pub value: String,
    /// What that says; empty if the value says it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

/// A part of a file that has a form of its own.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Part {
    /// What it is.
    pub title: String,
    /// Its fields, in order.
    pub fields: Vec<Field>,
}

/// A file taken apart.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Shown {
    /// What the file is.
    pub kind: &'static str,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// Said before everything that is shown.
pub const DISCLAIMER: &str = "nothing below is vouched for: no signature was checked";

/// Takes a file apart: a report (bare, the guest driver's response, Azure's HCL blob), a certificate, a revocation list
/// (both DER or PEM), a host's certificate table, or Azure's THIM answer.
///
/// ```
/// # let report = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/registry/sev-8.0.0/report_milan.bin"));
/// let shown = attestation_verifier::show(report)?;
/// let version = shown.parts[0].fields.iter().find(|field| field.name == "VERSION").ok_or("VERSION")?;
/// assert_eq!((version.offset, version.value.as_str()), (Some(0), "2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ShowError`]: the file is none of these, or too short for what it is.
pub fn show(bytes: &[u8]) -> Result<Shown, ShowError> {
    const RESPONSE: usize = 4000;
    let shown = |kind, parts| Ok(Shown { kind, parts });
    if bytes.starts_with(b"HCLA") {
        return shown("Azure HCL blob", hcl::parts(bytes)?);
    }
    if let Ok(report) = <&[u8; SignedReport::LENGTH]>::try_from(bytes) {
        return shown("report", vec![report::part(report)]);
    }
    if bytes.len() == RESPONSE {
        return shown("response of the guest driver", report::response(bytes)?);
    }
    if HostTable::recognises(bytes) {
        return shown("certificate table of the host", certificate::table(bytes)?);
    }
    if Thim::recognises(bytes) {
        return shown("THIM answer of Azure", certificate::thim(bytes)?);
    }
    if pem::is_pem(bytes) {
        return shown("PEM", certificate::pem(bytes)?);
    }
    shown("DER", vec![certificate::object(bytes)?])
}

impl Shown {
    /// The same as one JSON object.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            vouched_for: bool,
            note: &'static str,
            #[serde(flatten)]
            shown: &'a Shown,
        }
        // Strings and numbers only: there is nothing in it that could fail.
        serde_json::to_string_pretty(&Wire { vouched_for: false, note: DISCLAIMER, shown: self }).unwrap_or_default()
    }
}

/// A file that cannot be taken apart.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{found} bytes: {what}")]
pub struct ShowError {
    /// Bytes of the file.
    pub found: usize,
    /// What is wrong with them.
    pub what: String,
}

impl ShowError {
    fn new(bytes: &[u8], what: impl ToString) -> Self {
        Self { found: bytes.len(), what: what.to_string() }
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        "give a report, an HCL blob, a certificate, a revocation list, a certificate table or a THIM answer"
    }
}

/// Fields as they are found.
#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn add(
        &mut self,
        offset: impl Into<Option<usize>>,
        name: impl Into<String>,
        value: impl ToString,
        meaning: impl Into<String>,
    ) {
        self.0.push(Field {
            offset: offset.into(),
            name: name.into(),
            value: value.to_string(),
            meaning: meaning.into(),
        });
    }
}
