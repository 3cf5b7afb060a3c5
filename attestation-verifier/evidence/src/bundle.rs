//! `bundle/v1`: one file with everything that a stranger needs to judge a gateway's evidence offline (docs/WIRE.md,
//! P8). Every hashed or signed object is carried as its exact bytes.

use crate::{
    core::DocumentError,
    frame::Digest,
    json::{self, JsonError, Limits, Value, object},
    profile::{Members, ShapeError, from_base64, hex_of, j, to_base64, to_hex},
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
    /// Longer than 64 KiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        j(&self.to_value())
    }

    /// Reads a bundle as it was served or saved, in any layout, with or without `offlineVerification` (which is for
    /// the script's sake and is not looked at).
    ///
    /// # Errors
    /// Not JSON, not in the profile, or a member that is missing, unknown or of another shape.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        let limits = Limits { bytes: 1 << 20, number: 16, exponent: 0, depth: 16 };
        let value = match json::parse(bytes, &limits)? {
            Value::Object(mut members) => {
                members.retain(|(name, _)| name != SCRIPT_MEMBER);
                Value::Object(members)
            }
            other => other,
        };
        let _in_profile = j(&value)?;
        let mut bundle = Members::of(&value, "bundle")?;
        let _: &str = bundle.word("type", &["bundle"])?;
        if bundle.integer("v")? != 1 {
            return Err(bundle.wrong("v", "want 1: this verifier knows no other version").into());
        }
        let mut certificates = bundle.object("certificates")?;
        let mut boot = bundle.object("boot")?;
        let states = bundle.array("states")?;
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
        nonce: Nonce::from_hex(nonce).map_err(|error| members.wrong("nonce", error.to_string()))?,
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
