//! Azure's HCL blob, frame and claims; see [`crate::Hcl`] for its layout.

use super::{Fields, Part, ShowError, report};
use crate::SignedReport;

pub(super) fn parts(bytes: &[u8]) -> Result<Vec<Part>, ShowError> {
    const REQUEST: usize = 0x20 + SignedReport::LENGTH;
    let cut = || ShowError::new(bytes, "an HCL blob that ends before its claims");
    let word = |at: usize| {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
        word.map(|word| u32::from_le_bytes(*word)).ok_or_else(cut)
    };
    let mut head = Fields::default();
    head.add(0x00, "signature", "HCLA", "");
    for (at, name) in [(0x04, "version"), (0x08, "report size"), (0x0C, "request type"), (0x10, "status")] {
        head.add(at, name, word(at)?, "");
    }
    let inner = bytes.get(0x20..).and_then(|rest| rest.first_chunk()).ok_or_else(cut)?;
    let mut request = Fields::default();
    let names = ["data size", "version", "report type", "hash type", "claims size"];
    for (at, name) in (REQUEST..).step_by(4).zip(names) {
        let value = word(at)?;
        let meaning = match (name, value) {
            ("report type", 2) => "SEV-SNP",
            ("report type", 4) => "Intel TDX",
            ("hash type", 1) => "SHA-256",
            ("hash type", 2) => "SHA-384",
            ("hash type", 3) => "SHA-512",
            _ => "",
        };
        request.add(at, name, value, meaning);
    }
    let claims = bytes.get(REQUEST + 20..).ok_or_else(cut)?;
    // What follows the claims is padding; before them newer blobs have a word of capabilities.
    let text = String::from_utf8_lossy(claims);
    let text = text.trim_end_matches('\0');
    request.add(REQUEST + 20, "claims", text, "JSON; whether REPORT_DATA is its hash is for `report` to say");
    Ok(vec![
        Part { title: "HCL header, 32 bytes".into(), fields: head.0 },
        report::part(inner),
        Part { title: "request data, at 0x4c0 of the file".into(), fields: request.0 },
    ])
}
