//! `bundle/v1`: one file with everything that a stranger needs to judge a gateway's evidence offline (docs/WIRE.md,
//! P8). Every hashed or signed object is carried as its exact bytes.

use crate::{
    core::DocumentError,
    frame::Digest,
    json::{self, JsonError, Limits, Value, object},
    profile::{Members, ShapeError, from_base64, hex_of, j_within, to_base64, to_hex},
    report_data::{MAX_BATCH, Nonce, Purpose},
};

/// Which kind of endorsement key signed the reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VekKind {
    /// Of one chip.
    Vcek,
    /// Of a cloud provider.
    Vlek,
}

impl VekKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vcek => "vcek",
            Self::Vlek => "vlek",
        }
    }
}

/// One hardware report with the key that signed it. Chain certificates are shared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CarriedReport {
    /// 1,184 bytes as the secure processor gave them.
    pub report: Vec<u8>,
    /// The VCEK or VLEK certificate, DER.
    pub vek: Vec<u8>,
    /// `Sig(proof, "sealgate/evidence/v1", C, RD)`.
    pub possession: [u8; 64],
}

/// A report that answers a nonce.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FreshReport {
    /// The report.
    pub report: CarriedReport,
    /// What the nonce is for.
    pub purpose: Purpose,
    /// The nonce.
    pub nonce: Nonce,
    /// Its place in the batch.
    pub index: u32,
    /// How many nonces the batch has.
    pub count: u32,
    /// Audit path of RFC 6962.
    pub path: Vec<Digest>,
}

/// One signed state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CarriedState {
    /// `J(state)`.
    pub bytes: Vec<u8>,
    /// `Sig(proof, "sealgate/state/v1", C, J(state))`.
    pub signature: [u8; 64],
}

/// Everything offline verification needs. Log, quote, release and provenance are `null` until they are built.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bundle {
    /// VCEK or VLEK.
    pub vek_kind: VekKind,
    /// ASK or ASVK certificate, DER.
    pub intermediate: Vec<u8>,
    /// ARK certificate, DER. Shown to be compared; a verifier has its own.
    pub root: Vec<u8>,
    /// Certificate revocation lists, DER.
    pub crls: Vec<Vec<u8>>,
    /// The report of the boot: count 0, state head S_0.
    pub boot: CarriedReport,
    /// The report that answers the nonce of this request.
    pub fresh: Option<FreshReport>,
    /// `J(core)`.
    pub core: Vec<u8>,
    /// States 0 to n.
    pub states: Vec<CarriedState>,
}

/// Members that are `null` until they are built.
const LATER: [&str; 8] = ["quote", "pcrs", "eventLog", "hcl", "release", "provenance", "log", "witnessPolicy"];

/// The longest bundle, in bytes: some hundreds of states beside two reports and their certificates.
pub const MAX_BYTES: usize = 1 << 20;

/// The member that an HTTP answer adds, and that is not part of the bundle's own bytes.
pub const SCRIPT_MEMBER: &str = "offlineVerification";

impl Bundle {
    /// The bundle as a JSON value of profile `J`.
    pub fn to_value(&self) -> Value {
        let report = |carried: &CarriedReport| {
            vec![
                ("report".to_owned(), to_base64(&carried.report)),
                ("vek".to_owned(), to_base64(&carried.vek)),
                ("possession".to_owned(), to_hex(&carried.possession)),
            ]
        };
        let fresh = self.fresh.as_ref().map_or(Value::Null, |fresh| {
            let mut members = report(&fresh.report);
            members.extend([
                ("purpose".to_owned(), fresh.purpose.as_str().into()),
                ("nonce".to_owned(), to_hex(fresh.nonce.as_bytes())),
                ("index".to_owned(), u64::from(fresh.index).into()),
                ("count".to_owned(), u64::from(fresh.count).into()),
                ("path".to_owned(), Value::Array(fresh.path.iter().map(|d| to_hex(d)).collect())),
            ]);
            Value::Object(members)
        });
        let states = self
            .states
            .iter()
            .map(|state| object([("bytes", to_base64(&state.bytes)), ("signature", to_hex(&state.signature))]));
        let mut members = vec![
            ("type".to_owned(), "bundle".into()),
            ("v".to_owned(), 1_u64.into()),
            (
                "certificates".to_owned(),
                object([
                    ("vekKind", self.vek_kind.as_str().into()),
                    ("intermediate", to_base64(&self.intermediate)),
                    ("root", to_base64(&self.root)),
                    ("crls", Value::Array(self.crls.iter().map(|crl| to_base64(crl)).collect())),
                ]),
            ),
            ("boot".to_owned(), Value::Object(report(&self.boot))),
            ("fresh".to_owned(), fresh),
            ("core".to_owned(), to_base64(&self.core)),
            ("states".to_owned(), Value::Array(states.collect())),
        ];
        members.extend(LATER.map(|name| (name.to_owned(), Value::Null)));
        Value::Object(members)
    }

    /// `J(bundle)`.
    ///
    /// # Errors
    /// Longer than [`MAX_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        j_within(&self.to_value(), MAX_BYTES)
    }

    /// Reads a bundle as it was served or saved, in any layout, with or without `offlineVerification` (which is for the
    /// script's sake and is not looked at).
    ///
    /// # Errors
    /// Not JSON, not in the profile, or a member that is missing, unknown or of another shape.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        // As served, the script repeats the bundle in base64, which makes four bytes of three.
        let limits = Limits { bytes: 3 * MAX_BYTES, ..Limits::OURS };
        let value = match json::parse(bytes, &limits)? {
            Value::Object(mut members) => {
                members.retain(|(name, _)| name != SCRIPT_MEMBER);
                Value::Object(members)
            }
            other => other,
        };
        let _in_profile = j_within(&value, MAX_BYTES)?;
        let mut bundle = Members::of(&value, "bundle")?;
        let _: &str = bundle.word("type", &["bundle"])?;
        if bundle.integer("v")? != 1 {
            return Err(bundle.wrong("v", "want 1: this verifier knows no other version").into());
        }
        let mut certificates = bundle.object("certificates")?;
        let mut boot = bundle.object("boot")?;
        let states = bundle.array("states")?;
        if states.is_empty() {
            return Err(bundle.wrong("states", "want at least state 0").into());
        }
        let read = Self {
            vek_kind: match certificates.word("vekKind", &["vcek", "vlek"])? {
                "vcek" => VekKind::Vcek,
                _ => VekKind::Vlek,
            },
            intermediate: certificates.base64("intermediate")?,
            root: certificates.base64("root")?,
            crls: crls(&mut certificates)?,
            boot: carried(&mut boot)?,
            fresh: match bundle.nullable("fresh")? {
                None => None,
                Some(value) => Some(fresh(value)?),
            },
            core: bundle.base64("core")?,
            states: states.iter().enumerate().map(|(at, item)| state(item, at)).collect::<Result<_, _>>()?,
        };
        for name in LATER {
            bundle.null(name)?;
        }
        for members in [certificates, boot, bundle] {
            members.finish()?;
        }
        Ok(read)
    }
}

fn crls(certificates: &mut Members<'_>) -> Result<Vec<Vec<u8>>, ShapeError> {
    let items = certificates.array("crls")?;
    let read: Option<Vec<_>> = items.iter().map(|item| from_base64(item.as_str()?)).collect();
    read.ok_or_else(|| certificates.wrong("crls", "want base64 with padding"))
}

fn carried(members: &mut Members<'_>) -> Result<CarriedReport, ShapeError> {
    Ok(CarriedReport {
        report: members.base64("report")?,
        vek: members.base64("vek")?,
        possession: members.hex("possession")?,
    })
}

fn fresh(value: &Value) -> Result<FreshReport, ShapeError> {
    let mut members = Members::of(value, "bundle.fresh")?;
    let count = members.integer("count")?;
    let index = members.integer("index")?;
    if count == 0 || count > MAX_BATCH as u64 || index >= count {
        return Err(members.wrong("index", format!("want index < count <= {MAX_BATCH}")));
    }
    let path: Option<Vec<Digest>> = members.array("path")?.iter().map(hex_of).collect();
    let nonce = members.string("nonce")?;
    let read = FreshReport {
        report: carried(&mut members)?,
        purpose: Purpose::of(members.word("purpose", Purpose::WORDS)?)
            .ok_or_else(|| members.wrong("purpose", "unknown purpose"))?,
        nonce: Nonce::from_hex(nonce)
            .ok()
            .filter(|read| hex::encode(read.as_bytes()) == nonce)
            .ok_or_else(|| members.wrong("nonce", "want 16 to 64 bytes in lower-case hexadecimal"))?,
        // Both are at most 1,024 here.
        index: u32::try_from(index).map_err(|_| members.wrong("index", "too large"))?,
        count: u32::try_from(count).map_err(|_| members.wrong("count", "too large"))?,
        path: path.ok_or_else(|| members.wrong("path", "want digests, 64 hexadecimal digits each"))?,
    };
    members.finish()?;
    Ok(read)
}

fn state(value: &Value, at: usize) -> Result<CarriedState, ShapeError> {
    let mut members = Members::of(value, &format!("bundle.states[{at}]"))?;
    let read = CarriedState { bytes: members.base64("bytes")?, signature: members.hex("signature")? };
    members.finish()?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried() -> CarriedReport {
        CarriedReport { report: vec![1; 1184], vek: vec![2; 1350], possession: [3; 64] }
    }

    fn bundle(states: usize) -> Bundle {
        Bundle {
            vek_kind: VekKind::Vcek,
            intermediate: vec![4; 1700],
            root: vec![5; 1600],
            crls: Vec::new(),
            boot: carried(),
            fresh: Some(FreshReport {
                report: carried(),
                purpose: Purpose::Client,
                nonce: Nonce::new(vec![0xab; 32]).unwrap(),
                index: 0,
                count: 1,
                path: Vec::new(),
            }),
            core: vec![6; 1100],
            states: vec![CarriedState { bytes: vec![7; 500], signature: [8; 64] }; states],
        }
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written_however_many_states_a_long_run_has_seen() {
        for states in [1, 2, 500] {
            let written = bundle(states);
            let bytes = written.to_bytes().unwrap();
            assert_eq!(Bundle::from_bytes(&bytes), Ok(written));
        }
        assert!(bundle(2000).to_bytes().is_err(), "wrote more than a reader reads");
    }

    #[test]
    fn a_bundle_without_a_state_is_refused() {
        let text = String::from_utf8(bundle(1).to_bytes().unwrap()).unwrap();
        let at = text.find("\"states\":[").unwrap() + "\"states\":[".len();
        let end = text[at..].find(']').unwrap() + at;
        let without = format!("{}{}", &text[..at], &text[end..]);
        let error = Bundle::from_bytes(without.as_bytes()).unwrap_err();
        assert!(matches!(&error, DocumentError::Shape(shape) if shape.path == "bundle.states"), "{error}");
    }

    #[test]
    fn what_an_answer_adds_for_the_script_is_not_looked_at() {
        let text = String::from_utf8(bundle(1).to_bytes().unwrap()).unwrap();
        let served = text.replacen('{', r##"{"offlineVerification":{"script":"#!/bin/bash\n","x-y":1.5},"##, 1);
        assert_eq!(Bundle::from_bytes(served.as_bytes()), Ok(bundle(1)));
    }

    #[test]
    fn a_nonce_in_capitals_is_refused() {
        let text = String::from_utf8(bundle(1).to_bytes().unwrap()).unwrap();
        let capitals = text.replace(&"ab".repeat(32), &"AB".repeat(32));
        assert!(capitals != text && Bundle::from_bytes(capitals.as_bytes()).is_err());
    }
}
