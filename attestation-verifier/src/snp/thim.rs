//! Azure's THIM answer (`GET /metadata/THIM/amd/certification` at the instance metadata service): JSON with `vcekCert`
//! (PEM), `certificateChain` (PEM: ASK, ARK), `tcbm` (TCB_VERSION as 16 hexadecimal digits, highest byte first) and
//! `cacheControl`. Whoever passes it on may have written it: nothing in it is trusted for being there.

use evidence::json::{self, Limits, Value};

use super::pem;
use crate::{Certificate, PemError, Tcb, Vek};

/// Most that is read; an answer has less than 8 KiB.
const LIMITS: Limits = Limits { bytes: 64 << 10, depth: 2, number: 16, exponent: 0 };

/// What the answer offers, as DER.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Thim {
    /// VCEK.
    pub vek: Vec<u8>,
    /// ASK, if the chain holds one.
    pub intermediate: Option<Vec<u8>>,
}

impl Thim {
    /// True if the bytes begin like JSON.
    pub fn recognises(bytes: &[u8]) -> bool {
        bytes.trim_ascii_start().first() == Some(&b'{')
    }

    /// Reads an answer. A root in its chain is ignored: roots never come with the evidence. Members of other names are
    /// ignored too, for nothing is concluded from them; a name that occurs twice is refused.
    ///
    /// # Errors
    /// [`ThimError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ThimError> {
        let tree = json::parse(bytes, &LIMITS).map_err(|error| ThimError::Json(error.to_string()))?;
        let [vek] = <[Vec<u8>; 1]>::try_from(certificates(&tree, "vcekCert")?)
            .map_err(|_| ThimError::Content { member: "vcekCert" })?;
        let mut chain = match tree.member("certificateChain") {
            Some(_) => certificates(&tree, "certificateChain")?,
            None => vec![],
        };
        chain.retain(|der| Certificate::parse(der).map_or(true, |c| !c.subject().starts_with("ARK-")));
        if chain.len() > 1 {
            return Err(ThimError::Content { member: "certificateChain" });
        }
        check_tcbm(&tree, &vek)?;
        Ok(Self { vek, intermediate: chain.pop() })
    }
}

fn text<'t>(tree: &'t Value, member: &'static str) -> Result<&'t str, ThimError> {
    let value = tree.member(member).ok_or(ThimError::Missing { member })?;
    value.as_str().ok_or(ThimError::Content { member })
}

fn certificates(tree: &Value, member: &'static str) -> Result<Vec<Vec<u8>>, ThimError> {
    pem::objects(text(tree, member)?.as_bytes(), "CERTIFICATE").map_err(|error| ThimError::Pem { member, error })
}

/// The levels that the answer names are those of its certificate. Compared before anything is believed, to say which of
/// the two is of another time.
fn check_tcbm(tree: &Value, vek: &[u8]) -> Result<(), ThimError> {
    let wrong = ThimError::Content { member: "tcbm" };
    let mut bytes = [0; 8];
    hex::decode_to_slice(text(tree, "tcbm")?, &mut bytes).map_err(|_| wrong.clone())?;
    bytes.reverse();
    let certificate = Certificate::parse(vek).map_err(|_| ThimError::Content { member: "vcekCert" })?;
    let Some((product, kind)) = certificate.issued_by() else {
        return Err(ThimError::Content { member: "vcekCert" });
    };
    let certified = Vek::decode(&certificate, product, kind).map_err(|_| ThimError::Content { member: "vcekCert" })?;
    let named = Tcb::decode(product, bytes).ok_or(wrong)?;
    if named == certified.tcb() { Ok(()) } else { Err(ThimError::Tcb { named, certified: certified.tcb() }) }
}

/// An answer that is malformed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ThimError {
    /// Not strict JSON of at most 64 KiB.
    #[error("THIM answer: {0}")]
    Json(String),
    /// A member is missing.
    #[error("THIM answer: \"{member}\" is missing")]
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// A member is not what it should be.
    #[error("THIM answer: \"{member}\" is not what Azure writes there")]
    Content {
        /// Its name.
        member: &'static str,
    },
    /// A member holds no PEM certificates.
    #[error("THIM answer: \"{member}\": {error}")]
    Pem {
        /// Its name.
        member: &'static str,
        /// Why.
        error: PemError,
    },
    /// The levels named are not the certificate's.
    #[error("THIM answer: \"tcbm\" says {named}, the certificate is for {certified}")]
    Tcb {
        /// By `tcbm`.
        named: Tcb,
        /// By the certificate.
        certified: Tcb,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const VCEK: &[u8] = include_bytes!("../../../tests/vectors/registry/sev-8.0.0/vcek_milan.der");
    const CHAIN: &str = include_str!("../../../tests/vectors/registry/sev-8.0.0/cert_chain_milan");
    /// Microcode 115, SNP 8, boot loader 3.
    const TCBM: &str = "7308000000000003";

    fn pem(der: &[u8]) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    }

    fn answer(vcek: &str, tcbm: &str, chain: &str) -> String {
        serde_json::json!({ "vcekCert": vcek, "tcbm": tcbm, "certificateChain": chain, "cacheControl": "86400" })
            .to_string()
    }

    #[test]
    fn certificate_and_intermediate_are_taken_and_the_root_is_not() {
        let found = Thim::parse(answer(&pem(VCEK), TCBM, CHAIN).as_bytes()).unwrap();
        assert_eq!(found.vek, VCEK);
        assert_eq!(found.intermediate.as_deref(), Some(crate::roots::ask(crate::Product::Milan)));
        // Upper case, white space before, members of other names.
        let text = format!("\n {}", answer(&pem(VCEK), &TCBM.to_uppercase(), CHAIN).replacen('{', r#"{"new":1,"#, 1));
        assert!(Thim::recognises(text.as_bytes()));
        assert_eq!(Thim::parse(text.as_bytes()), Ok(found));
    }

    #[test]
    fn damage_is_named() {
        let refused = |text: &str| Thim::parse(text.as_bytes()).unwrap_err();
        let good = answer(&pem(VCEK), TCBM, CHAIN);
        assert!(matches!(refused(&good.replacen('{', r#"{"tcbm":"00","#, 1)), ThimError::Json(_)), "twice");
        assert!(matches!(refused(&format!("{good} {}", " ".repeat(64 << 10))), ThimError::Json(_)), "too long");
        assert!(matches!(refused(&format!("{good}x")), ThimError::Json(_)), "trailing");
        assert_eq!(refused("{}"), ThimError::Missing { member: "vcekCert" });
        assert_eq!(refused(&good.replace("tcbm", "TCBM")), ThimError::Missing { member: "tcbm" });
        assert_eq!(refused(r#"{"vcekCert":1}"#), ThimError::Content { member: "vcekCert" });
        for tcbm in ["", "730800000000003", "73080000000000030", "zz08000000000003", "7308000000010003"] {
            assert_eq!(refused(&answer(&pem(VCEK), tcbm, CHAIN)), ThimError::Content { member: "tcbm" }, "{tcbm}");
        }
        assert!(matches!(refused(&answer(&pem(VCEK), "7208000000000003", CHAIN)), ThimError::Tcb { .. }));
        let two = pem(VCEK).repeat(2);
        assert_eq!(refused(&answer(&two, TCBM, CHAIN)), ThimError::Content { member: "vcekCert" });
        assert!(matches!(refused(&answer("", TCBM, CHAIN)), ThimError::Pem { member: "vcekCert", .. }));
        assert_eq!(refused(&answer(&pem(VCEK), TCBM, &two)), ThimError::Content { member: "certificateChain" });
        assert_eq!(refused(&answer(CHAIN, TCBM, CHAIN)), ThimError::Content { member: "vcekCert" });
    }
}
