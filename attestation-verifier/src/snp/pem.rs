//! PEM (RFC 7468), read strictly: one label, base64 between the lines, nothing else inside.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Objects in one file. A host's chain file has three; twice that and some is room enough.
const MOST_OBJECTS: usize = 8;

/// The DER objects of label `label`, in order. Text between objects is skipped.
///
/// # Errors
/// [`PemError`].
pub(crate) fn objects(text: &[u8], label: &'static str) -> Result<Vec<Vec<u8>>, PemError> {
    let text = std::str::from_utf8(text).map_err(|_| PemError::NotText)?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut objects = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&begin) {
        let (body, after) = after.split_once(&end).ok_or(PemError::Unfinished { label })?;
        if objects.len() == MOST_OBJECTS {
            return Err(PemError::TooMany { label });
        }
        let body: String = body.split_ascii_whitespace().collect();
        objects.push(STANDARD.decode(body).map_err(|_| PemError::Base64 { label })?);
        rest = after;
    }
    if objects.is_empty() { Err(PemError::None { label }) } else { Ok(objects) }
}

/// True if the bytes hold a PEM object of some kind.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

/// Text that is not the PEM it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// Not UTF-8.
    #[error("PEM: not text")]
    NotText,
    /// No object of this kind.
    #[error("PEM: holds no {label}")]
    None {
        /// The kind wanted.
        label: &'static str,
    },
    /// BEGIN without END.
    #[error("PEM: a {label} has no END line")]
    Unfinished {
        /// The kind wanted.
        label: &'static str,
    },
    /// Not base64.
    #[error("PEM: a {label} is not base64")]
    Base64 {
        /// The kind wanted.
        label: &'static str,
    },
    /// More than eight.
    #[error("PEM: more than 8 objects of kind {label}")]
    TooMany {
        /// The kind wanted.
        label: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";

    #[test]
    fn objects_come_in_order_whatever_stands_between() {
        let text = format!("subject: x\n{ONE}between\r\n{}", ONE.replace("AQID", "BAUG"));
        assert_eq!(objects(text.as_bytes(), "CERTIFICATE"), Ok(vec![vec![1, 2, 3], vec![4, 5, 6]]));
    }

    #[test]
    fn damage_is_named() {
        assert_eq!(objects(b"", "CERTIFICATE"), Err(PemError::None { label: "CERTIFICATE" }));
        let cut = ONE.replace("-----END", "");
        assert_eq!(objects(cut.as_bytes(), "CERTIFICATE"), Err(PemError::Unfinished { label: "CERTIFICATE" }));
        let bad = ONE.replace("AQID", "AQI!");
        assert_eq!(objects(bad.as_bytes(), "CERTIFICATE"), Err(PemError::Base64 { label: "CERTIFICATE" }));
        assert_eq!(objects(ONE.repeat(9).as_bytes(), "CERTIFICATE"), Err(PemError::TooMany { label: "CERTIFICATE" }));
        assert_eq!(objects(&[0xFF], "CERTIFICATE"), Err(PemError::NotText));
    }
}
