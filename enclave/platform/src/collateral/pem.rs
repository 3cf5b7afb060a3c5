//! PEM (RFC 7468) as AMD's and Azure's services hand certificates out: one after the other, in either order.

use attestation_verifier::Certificate;
use base64::{Engine, prelude::BASE64_STANDARD};

use super::subject::Issuers;
use crate::Der;

/// Most certificates in one text; three are the most that make sense.
const MOST: usize = 8;

/// The certificates of a text, in its order. Words around them are not looked at.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<Der>, String> {
    let text = str::from_utf8(text).map_err(|_| "not text, so not PEM".to_owned())?;
    let mut found = Vec::new();
    for part in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let Some((body, _)) = part.split_once("-----END CERTIFICATE-----") else {
            return Err("PEM: a certificate has no END line".into());
        };
        if found.len() == MOST {
            return Err(format!("PEM: more than {MOST} certificates"));
        }
        let letters: String = body.split_ascii_whitespace().collect();
        let der = BASE64_STANDARD.decode(letters).map_err(|_| "PEM: a certificate is not base64".to_owned())?;
        found.push(Der::new(der));
    }
    if found.is_empty() { Err("PEM: no certificate".into()) } else { Ok(found) }
}

/// Intermediate and root out of a text with these two.
pub(crate) fn issuers(text: &[u8]) -> Result<Issuers, String> {
    let found = certificates(text)?;
    let [first, second] =
        <[Der; 2]>::try_from(found).map_err(|all| format!("PEM: {} certificates, not 2", all.len()))?;
    let is_root = |der: &Der| {
        let certificate = Certificate::parse(der.as_bytes()).map_err(|error| format!("PEM: {error}"))?;
        Ok::<bool, String>(certificate.subject().starts_with("ARK-"))
    };
    match (is_root(&first)?, is_root(&second)?) {
        (false, true) => Ok(Issuers { intermediate: first, root: second }),
        (true, false) => Ok(Issuers { intermediate: second, root: first }),
        _ => Err("PEM: not one intermediate and one root".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_texts_are_refused_without_a_panic() {
        let one = Der::new(vec![0x30; 300]).pem();
        assert_eq!(certificates(one.as_bytes()).expect("one").len(), 1);
        assert_eq!(certificates(one.repeat(8).as_bytes()).expect("eight").len(), 8);
        for (text, why) in [
            (one.repeat(9), "more than 8"),
            (one.replace("END", "ENT"), "no END"),
            (one.replace("MDAw", "M?Aw"), "not base64"),
            ("<html>busy</html>".to_owned(), "no certificate"),
            (String::new(), "no certificate"),
        ] {
            let error = certificates(text.as_bytes()).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
        assert!(certificates(&[0xFF, 0xFE]).is_err());
        for cut in 1..one.len() - 1 {
            assert!(certificates(&one.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
    }
}
