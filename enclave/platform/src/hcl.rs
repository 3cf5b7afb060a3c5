//! The blob that Azure's paravisor keeps in vTPM index 0x01400001: header of 0x20 bytes, report at 0x20, request data at
//! 0x4C0 (u32 length, version, report type, hash type, length of the runtime claims), then the claims, JSON; all
//! little-endian. REPORT_DATA begins with the hash of the claims, the rest of it is zero. Read here so that the gateway
//! knows which report it got; the verifier reads the bytes anew. Source: Azure guest attestation; openhcl.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use evidence::json::{self, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use software_psp::REPORT_LENGTH;

use crate::tpm::public_key::PublicKey;

/// Largest blob looked at; the index holds 2,600 bytes.
const LONGEST: usize = 16 * 1024;
const REPORT: usize = 0x20;
/// Where the request data begins.
const REQUEST: usize = REPORT + REPORT_LENGTH;
/// Claims are flat and small: a dozen members, strings of up to 700 letters.
const CLAIMS: json::Limits = json::Limits { bytes: LONGEST, depth: 8, number: 32, exponent: 32 };

/// A blob whose report speaks for its claims.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hcl<'a> {
    pub(crate) report: &'a [u8],
    claims: &'a [u8],
}

/// What the claims say, as far as we need it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Claims {
    /// What the guest asked for; none where the paravisor is older than that.
    pub(crate) user_data: Option<[u8; 64]>,
    /// HCLAkPub as SubjectPublicKeyInfo.
    pub(crate) key: Vec<u8>,
}

/// Why a blob says nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HclFault {
    /// It is in no order: empty, half written, or none. Another read may find it in order.
    Frame(&'static str),
    /// REPORT_DATA is not the hash of the claims: half of it is older than the other half.
    Torn,
    /// It belongs to another kind of machine.
    NotSnp(u32),
}

impl<'a> Hcl<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, HclFault> {
        if bytes.len() > LONGEST {
            return Err(HclFault::Frame("it is longer than 16 KiB"));
        }
        let cut = HclFault::Frame("it is shorter than it says");
        let word = |at: usize| {
            let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
            word.map(|word| u32::from_le_bytes(*word)).ok_or(cut)
        };
        if !bytes.starts_with(b"HCLA") {
            return Err(HclFault::Frame("it does not begin with HCLA"));
        }
        if !matches!(word(4)?, 1 | 2) {
            return Err(HclFault::Frame("its version is neither 1 nor 2"));
        }
        let kind = word(REQUEST + 8)?;
        if kind != 2 {
            return Err(HclFault::NotSnp(kind));
        }
        let hash = match word(REQUEST + 12)? {
            1 => |bytes: &[u8]| Sha256::digest(bytes).to_vec(),
            2 => |bytes: &[u8]| Sha384::digest(bytes).to_vec(),
            3 => |bytes: &[u8]| Sha512::digest(bytes).to_vec(),
            _ => return Err(HclFault::Frame("its hash is none of SHA-256, SHA-384 and SHA-512")),
        };
        let length = usize::try_from(word(REQUEST + 16)?).map_err(|_| cut)?;
        let report = bytes.get(REPORT..REQUEST).ok_or(cut)?;
        let report_data = report.get(0x50..0x90).ok_or(cut)?;
        let rest = bytes.get(REQUEST + 20..).ok_or(cut)?;
        if rest.len() < length {
            return Err(cut);
        }
        // Newer blobs put a word of capabilities before the claims: both places are tried, the hash decides.
        let claims = [0, 4].into_iter().find_map(|skip: usize| {
            let claims = rest.get(skip..skip.checked_add(length)?)?;
            let mut expected = hash(claims);
            expected.resize(64, 0);
            (expected == report_data).then_some(claims)
        });
        Ok(Self { report, claims: claims.ok_or(HclFault::Torn)? })
    }

    /// Reads the claims; the text says what is wrong with them.
    pub(crate) fn claims(&self) -> Result<Claims, String> {
        let tree = json::parse(self.claims, &CLAIMS).map_err(|error| error.to_string())?;
        let user_data = match tree.member("user-data") {
            None => None,
            Some(value) => Some(user_data(value).ok_or("user-data is not 64 bytes in hexadecimal")?),
        };
        let keys = tree.member("keys").and_then(Value::as_array).ok_or("there is no list `keys`")?;
        let named = |name: &str| {
            keys.iter().filter(|key| key.member("kid").and_then(Value::as_str) == Some(name)).collect::<Vec<_>>()
        };
        if named("HCLEkPub").len() > 1 {
            return Err("two keys are called HCLEkPub".into());
        }
        let key = match named("HCLAkPub").as_slice() {
            [key] => jwk(key)?,
            [] => return Err("no key is called HCLAkPub".into()),
            _ => return Err("two keys are called HCLAkPub".into()),
        };
        Ok(Claims { user_data, key })
    }
}

fn user_data(value: &Value) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    hex::decode_to_slice(value.as_str()?, &mut bytes).ok()?;
    Some(bytes)
}

/// An RSA key of RFC 7518, 6.3.1, 2048 to 4096 bits.
fn jwk(key: &Value) -> Result<Vec<u8>, String> {
    if key.member("kty").and_then(Value::as_str) != Some("RSA") {
        return Err("HCLAkPub is not an RSA key".into());
    }
    let number = |name: &str, most: usize| {
        let text = key.member(name).and_then(Value::as_str)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() <= most && bytes.first().is_some_and(|first| *first != 0)).then_some(bytes)
    };
    let modulus = number("n", 512).filter(|modulus| modulus.len() >= 256).ok_or("HCLAkPub has no usable `n`")?;
    let exponent = number("e", 4).ok_or("HCLAkPub has no usable `e`")?;
    PublicKey::Rsa { modulus, exponent }.spki().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str) -> String {
        format!(r#"{{"kid":"{kid}","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":"{}"}}"#, "q".repeat(341) + "g")
    }

    fn usual() -> String {
        let keys = [key("HCLAkPub"), key("HCLEkPub")].join(",");
        format!(r#"{{"keys":[{keys}],"vm-configuration":{{"secure-boot":true}},"user-data":"{}"}}"#, "0A".repeat(64))
    }

    /// A blob around claims; the report is only as real as reading the frame needs.
    fn blob(claims: &str, gap: usize) -> Vec<u8> {
        let mut bytes = b"HCLA".to_vec();
        bytes.extend([2u32, 0, 2, 0, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()));
        let mut report = vec![0; REPORT_LENGTH];
        report[0x50..0x70].copy_from_slice(&Sha256::digest(claims));
        bytes.extend(report);
        let length = u32::try_from(claims.len()).expect("short");
        bytes.extend([length + 20, 1, 2, 1, length].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(vec![7; gap]);
        bytes.extend(claims.as_bytes());
        bytes.resize(2600, 0);
        bytes
    }

    fn said(claims: &str) -> Result<Claims, String> {
        Hcl::parse(&blob(claims, 0)).expect("in order").claims()
    }

    #[test]
    fn claims_are_found_at_both_places() {
        for gap in [0, 4] {
            let bytes = blob(&usual(), gap);
            let claims = Hcl::parse(&bytes).expect("in order").claims().expect("read");
            assert_eq!((claims.user_data, claims.key.len()), (Some([0x0A; 64]), 294));
        }
        assert_eq!(Hcl::parse(&blob(&usual(), 8)).err(), Some(HclFault::Torn));
    }

    #[test]
    fn a_blob_cut_anywhere_is_no_blob() {
        let bytes = blob(&usual(), 0);
        let end = REQUEST + 20 + usual().len();
        for length in 0..end {
            assert!(Hcl::parse(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(Hcl::parse(&bytes[..end]).is_ok());
        let mut long = bytes;
        long.resize(LONGEST, 0);
        assert!(Hcl::parse(&long).is_ok());
        long.push(0);
        assert_eq!(Hcl::parse(&long).err(), Some(HclFault::Frame("it is longer than 16 KiB")));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let mut bytes = blob(&usual(), 0);
        for length in [u32::MAX, 2600, 0] {
            bytes[REQUEST + 16..REQUEST + 20].copy_from_slice(&length.to_le_bytes());
            assert!(Hcl::parse(&bytes).is_err(), "{length}");
        }
        for (at, value) in [(4, 3), (REQUEST + 8, 4), (REQUEST + 12, 4)] {
            let mut bytes = blob(&usual(), 0);
            bytes[at] = value;
            let fault = Hcl::parse(&bytes).expect_err("refused");
            assert_ne!(fault, HclFault::Torn, "{at}");
        }
    }

    #[test]
    fn claims_with_two_readings_are_refused() {
        let ak = key("HCLAkPub");
        let text = "00".repeat(64);
        for (claims, word) in [
            (format!(r#"{{"keys":[{ak}],"user-data":"{text}","user-data":"{text}"}}"#), "twice"),
            (format!(r#"{{"keys":[{ak}],"user-data":"{text}","user\u002ddata":"{text}"}}"#), "twice"),
            (format!(r#"{{"keys":[{ak},{ak}],"user-data":"{text}"}}"#), "two keys"),
            (format!(r#"{{"keys":[{ak}],"keys":[],"user-data":"{text}"}}"#), "twice"),
            (format!(r#"{{"keys":[{ak},{0},{0}]}}"#, key("HCLEkPub")), "HCLEkPub"),
            (format!(r#"{{"keys":[{}]}}"#, key("HCLEkPub")), "no key"),
            (format!(r#"{{"keys":[{ak}],"user-data":"{}"}}"#, "00".repeat(63)), "64 bytes"),
            (format!(r#"{{"keys":[{ak}],"user-data":7}}"#), "64 bytes"),
            (format!(r#"{{"keys":[{}]}}"#, ak.replace("RSA", "EC")), "RSA"),
            (format!(r#"{{"keys":[{}]}}"#, ak.replace("qqg", "qq")), "`n`"),
            (format!(r#"{{"keys":[{}]}}"#, ak.replace("AQAB", "AAAB")), "`e`"),
            ("[]".to_owned(), "keys"),
            (format!(r#"{{"keys":[{ak}]}} "x""#), "extra"),
        ] {
            let error = said(&claims).expect_err(&claims);
            assert!(error.contains(word), "{claims}: {error}");
        }
        assert_eq!(said(&format!(r#"{{"keys":[{ak}]}}"#)).expect("an old paravisor's").user_data, None);
    }
}
