//! Runtime claims of Azure's paravisor: the JSON whose hash is in REPORT_DATA ([`super::Hcl::claims`]). Source: Azure
//! guest attestation documentation and real blobs.
//!
//! `{"keys":[{"kid":"HCLAkPub","kty":"RSA","e":"AQAB","n":"…"},{"kid":"HCLEkPub",…}],"vm-configuration":{…},
//! "user-data":"<128 hexadecimal digits>"}`

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use evidence::json::{JsonError, Limits, Value, parse};

use super::key::{KeyError, TpmKey};

/// The index holds 2,600 bytes in all; 64 KiB is what a blob may have.
const LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 16, number: 32, exponent: 0 };
/// Keys in one document. Two are known.
const MOST_KEYS: usize = 8;
const AK: &str = "HCLAkPub";
const EK: &str = "HCLEkPub";

/// What the paravisor says of this VM's vTPM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuntimeClaims {
    ak: TpmKey,
    ek: Option<TpmKey>,
    user_data: Option<[u8; 64]>,
    vm_configuration: Option<Value>,
}

impl RuntimeClaims {
    /// Reads the claims: no name twice in any object after unescaping, exactly one key `HCLAkPub`, at most one
    /// `HCLEkPub`, both RSA with exponent 65537 and 2048 to 4096 bits in canonical base64url.
    ///
    /// ```
    /// use attestation_verifier::{ClaimsError, RuntimeClaims};
    ///
    /// assert_eq!(RuntimeClaims::parse(br#"{"keys":[]}"#), Err(ClaimsError::NoAttestationKey));
    /// assert!(matches!(RuntimeClaims::parse(br#"{"keys":[],"k\u0065ys":[]}"#), Err(ClaimsError::Json(_))));
    /// ```
    ///
    /// # Errors
    /// [`ClaimsError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ClaimsError> {
        let claims = parse(bytes, &LIMITS)?;
        let keys = claims.member("keys").and_then(Value::as_array).ok_or(ClaimsError::Member { path: "keys" })?;
        if keys.len() > MOST_KEYS {
            return Err(ClaimsError::TooManyKeys { found: keys.len() });
        }
        let mut names: Vec<&str> = Vec::new();
        for key in keys {
            let name = key.member("kid").and_then(Value::as_str).ok_or(ClaimsError::Member { path: "keys[].kid" })?;
            if names.contains(&name) {
                return Err(ClaimsError::KeyTwice { kid: name.to_owned() });
            }
            names.push(name);
        }
        let key = |kid| keys.iter().find(|key| key.member("kid").and_then(Value::as_str) == Some(kid));
        let user_data = match claims.member("user-data") {
            None => None,
            Some(value) => Some(user_data(value).ok_or(ClaimsError::Member { path: "user-data" })?),
        };
        let vm_configuration = match claims.member("vm-configuration") {
            Some(value @ Value::Object(_)) => Some(value.clone()),
            Some(_) => return Err(ClaimsError::Member { path: "vm-configuration" }),
            None => None,
        };
        let ak = jwk(key(AK).ok_or(ClaimsError::NoAttestationKey)?, AK)?;
        let ek = key(EK).map(|value| jwk(value, EK)).transpose()?;
        if ek.as_ref() == Some(&ak) {
            return Err(ClaimsError::OneKey);
        }
        Ok(Self { ak, ek, user_data, vm_configuration })
    }

    /// `HCLAkPub`: signs quotes. That it is restricted to that is the paravisor's word, which the report carries.
    pub fn ak(&self) -> &TpmKey {
        &self.ak
    }

    /// `HCLEkPub`; `None` in blobs of 2023, which are too old to identify code by: see [`RuntimeClaims::complete`].
    pub fn ek(&self) -> Option<&TpmKey> {
        self.ek.as_ref()
    }

    /// The endorsement key, which claims that a code identity rests on must have.
    ///
    /// # Errors
    /// [`ClaimsError::NoEndorsementKey`].
    pub fn complete(&self) -> Result<&TpmKey, ClaimsError> {
        self.ek.as_ref().ok_or(ClaimsError::NoEndorsementKey)
    }

    /// What the guest put into vTPM index 0x01400002 before this report was made: all zeros if nothing; `None` in the
    /// oldest blobs.
    pub fn user_data(&self) -> Option<&[u8; 64]> {
        self.user_data.as_ref()
    }

    /// `vm-configuration` as it came.
    pub fn vm_configuration(&self) -> Option<&Value> {
        self.vm_configuration.as_ref()
    }
}

fn user_data(value: &Value) -> Option<[u8; 64]> {
    hex::decode(value.as_str()?).ok()?.try_into().ok()
}

fn jwk(key: &Value, kid: &'static str) -> Result<TpmKey, ClaimsError> {
    let text = |name| key.member(name).and_then(Value::as_str);
    if text("kty") != Some("RSA") || text("e") != Some("AQAB") {
        return Err(ClaimsError::NotRsa { kid });
    }
    // The decoder takes neither padding nor bits that no byte uses: one number has one text.
    let modulus = text("n").and_then(|n| URL_SAFE_NO_PAD.decode(n).ok()).ok_or(ClaimsError::Base64 { kid })?;
    TpmKey::from_modulus(&modulus).map_err(|error| ClaimsError::Key { kid, error })
}

/// Runtime claims that say nothing we can rely on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// Not strict JSON.
    #[error("runtime claims: {0}")]
    Json(#[from] JsonError),
    /// A member that is missing or of another shape.
    #[error("runtime claims: {path}: missing, or not of its shape")]
    Member {
        /// Which.
        path: &'static str,
    },
    /// More keys than there are kinds of keys.
    #[error("runtime claims: {found} keys, at most {MOST_KEYS}")]
    TooManyKeys {
        /// As found.
        found: usize,
    },
    /// Two keys of one name: which one is meant?
    #[error("runtime claims: two keys {kid}")]
    KeyTwice {
        /// Its name.
        kid: String,
    },
    /// No `HCLAkPub`.
    #[error("runtime claims: no key HCLAkPub")]
    NoAttestationKey,
    /// No `HCLEkPub`: a blob of 2023, made by a paravisor that did not name it yet.
    #[error("runtime claims: no key HCLEkPub, as in the oldest blobs")]
    NoEndorsementKey,
    /// Attestation and endorsement key are the same, which no TPM makes.
    #[error("runtime claims: HCLAkPub and HCLEkPub are one key")]
    OneKey,
    /// Another kind of key, or another exponent.
    #[error("runtime claims: {kid}: not RSA with exponent 65537 (\"e\":\"AQAB\")")]
    NotRsa {
        /// Its name.
        kid: &'static str,
    },
    /// `n` is not the one base64url text of its bytes.
    #[error("runtime claims: {kid}.n: not canonical base64url without padding")]
    Base64 {
        /// Its name.
        kid: &'static str,
    },
    /// The number is no key.
    #[error("runtime claims: {kid}: {error}")]
    Key {
        /// Its name.
        kid: &'static str,
        /// Why.
        error: KeyError,
    },
}

impl ClaimsError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NoEndorsementKey => "make new evidence on a VM with a current paravisor",
            _ => "the paravisor that the report speaks for wrote these claims: do not believe them",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, byte: u8) -> String {
        let n = URL_SAFE_NO_PAD.encode([byte | 0x81; 256]);
        format!(r#"{{"kid":"{kid}","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":"{n}"}}"#)
    }

    fn claims(keys: &[String], more: &str) -> Result<RuntimeClaims, ClaimsError> {
        RuntimeClaims::parse(format!(r#"{{"keys":[{}]{more}}}"#, keys.join(",")).as_bytes())
    }

    fn both() -> Vec<String> {
        vec![key(AK, 0xA1), key(EK, 0xE1)]
    }

    #[test]
    fn both_keys_and_the_data_of_the_guest_are_read() {
        let user_data = format!(r#","vm-configuration":{{"secure-boot":true}},"user-data":"{}""#, "0aF1".repeat(32));
        let claims = claims(&both(), &user_data).unwrap();
        assert_eq!(claims.complete().unwrap(), &TpmKey::from_modulus(&[0xE1; 256]).unwrap());
        assert_eq!(claims.ak(), &TpmKey::from_modulus(&[0xA1; 256]).unwrap());
        assert_eq!(claims.user_data().map(|data| data[..2].to_vec()), Some(vec![0x0A, 0xF1]));
        assert_eq!(claims.vm_configuration().unwrap().to_text(), r#"{"secure-boot":true}"#);
    }

    #[test]
    fn claims_without_an_endorsement_key_are_readable_and_incomplete() {
        let claims = claims(&[key(AK, 0xA1)], "").unwrap();
        assert_eq!((claims.ek(), claims.user_data()), (None, None));
        assert_eq!(claims.complete(), Err(ClaimsError::NoEndorsementKey));
    }

    #[test]
    fn whatever_two_readers_could_take_for_different_keys_is_refused() {
        let twice = [key(AK, 0xA1), key(AK, 0xA3), key(EK, 0xE1)];
        assert_eq!(claims(&twice, ""), Err(ClaimsError::KeyTwice { kid: AK.to_owned() }));
        let escaped = [key(AK, 0xA1), key(r"HCL\u0041kPub", 0xA3), key(EK, 0xE1)];
        assert_eq!(claims(&escaped, ""), Err(ClaimsError::KeyTwice { kid: AK.to_owned() }));
        for name in ["keys", r"k\u0065ys"] {
            let again = claims(&both(), &format!(r#","{name}":[]"#));
            assert!(matches!(again, Err(ClaimsError::Json(_))), "{name}");
        }
        let inner = both().join(",").replacen(r#""e":"AQAB""#, r#""e":"AQAB","e":"AQAB""#, 1);
        assert!(matches!(claims(&[inner], ""), Err(ClaimsError::Json(_))));
        assert_eq!(claims(&[key(AK, 0xA1), key(EK, 0xA1)], ""), Err(ClaimsError::OneKey));
        assert_eq!(claims(&[key(EK, 0xE1)], ""), Err(ClaimsError::NoAttestationKey));
    }

    #[test]
    fn a_key_has_one_text() {
        let n = URL_SAFE_NO_PAD.encode([0xA1 | 0x81; 256]);
        let ak = key(AK, 0xA1);
        let other = |n: &str| claims(&[ak.replace(&URL_SAFE_NO_PAD.encode([0xA1; 256]), n)], "");
        assert!(other(&n).is_ok());
        let standard = base64::engine::general_purpose::STANDARD.encode([0xFB; 256]);
        // Padding, bits that no byte uses, the other alphabet.
        for bad in [format!("{n}=="), format!("{}R", &n[..n.len() - 1]), standard] {
            assert_eq!(other(&bad), Err(ClaimsError::Base64 { kid: AK }), "{bad}");
        }
        let zero = URL_SAFE_NO_PAD.encode([&[0][..], &[0xA1; 256]].concat());
        assert!(matches!(other(&zero), Err(ClaimsError::Key { kid: AK, .. })));
        assert!(matches!(other(&URL_SAFE_NO_PAD.encode([0xA1; 255])), Err(ClaimsError::Key { kid: AK, .. })));
        assert_eq!(claims(&[ak.replace("AQAB", "Aw")], ""), Err(ClaimsError::NotRsa { kid: AK }));
    }

    #[test]
    fn shapes_and_numbers_of_things_have_limits() {
        let many: Vec<String> = (0..9).map(|at| key(&format!("k{at}"), 0xA1)).collect();
        assert_eq!(claims(&many, ""), Err(ClaimsError::TooManyKeys { found: 9 }));
        for (more, path) in [
            (r#","user-data":"00""#, "user-data"),
            (r#","user-data":null"#, "user-data"),
            (r#","vm-configuration":[]"#, "vm-configuration"),
        ] {
            assert_eq!(claims(&both(), more), Err(ClaimsError::Member { path }), "{more}");
        }
        assert_eq!(RuntimeClaims::parse(b"{}"), Err(ClaimsError::Member { path: "keys" }));
        assert_eq!(claims(&["{}".to_owned()], ""), Err(ClaimsError::Member { path: "keys[].kid" }));
        assert!(matches!(RuntimeClaims::parse(b""), Err(ClaimsError::Json(_))));
    }
}
