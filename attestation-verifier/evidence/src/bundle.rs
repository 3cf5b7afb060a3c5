//! `bundle/v1`: one file with everything that a stranger needs to judge a gateway's evidence offline (docs/WIRE.md,
//! P8). Every hashed or signed object is carried as its exact bytes.

use crate::{
    core::DocumentError,
    dsse,
    frame::Digest,
    json::{self, JsonError, Limits, Value, object},
    profile::{Members, ShapeError, from_base64, hex_of, j_within, to_base64, to_hex},
    release::SignedRelease,
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

/// A hardware report with the certificate of the key that signed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndorsedReport {
    /// 1,184 bytes as the secure processor gave them.
    pub report: Vec<u8>,
    /// The VCEK or VLEK certificate, DER.
    pub vek: Vec<u8>,
}

/// A quote of the vTPM with the registers that it signs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CarriedQuote {
    /// TPMS_ATTEST as the TPM gave it; its `extraData` is Q (docs/WIRE.md, P3).
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE over it.
    pub signature: Vec<u8>,
    /// Register and value, SHA-256 bank, ascending, 0 to 23.
    pub pcrs: Vec<(u8, Digest)>,
}

/// The answer to a nonce: a report, a quote, or both. Where a report takes seconds (Azure) the quote alone answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fresh {
    /// The report over RD of this answer.
    pub report: Option<EndorsedReport>,
    /// The quote over Q of the same RD.
    pub quote: Option<CarriedQuote>,
    /// `Sig(proof, "sealgate/evidence/v1", C, RD)`.
    pub possession: [u8; 64],
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

/// Everything offline verification needs. The log is `null` until it is built.
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
    pub fresh: Option<Fresh>,
    /// The quote of the boot, over Q of the boot report's RD; `None` without a vTPM.
    pub quote: Option<CarriedQuote>,
    /// The firmware's event log as the kernel keeps it. It explains registers, it decides nothing.
    pub event_log: Option<Vec<u8>>,
    /// Azure: vTPM index 0x01400001, whole. Holds the boot report and the runtime claims that name the vTPM's keys.
    pub hcl: Option<Vec<u8>>,
    /// SVSM: the services manifest that the boot report covers.
    pub svsm_manifest: Option<Vec<u8>>,
    /// `J(core)`.
    pub core: Vec<u8>,
    /// States 0 to n.
    pub states: Vec<CarriedState>,
    /// The manifest of the release that this gateway says it is. A verifier's own keys decide what it is worth.
    pub release: Option<SignedRelease>,
    /// The provenance file (DSSE) that lies beside the gateway, byte for byte. What it is worth is as with the release.
    pub provenance: Option<Vec<u8>>,
}

/// Members that are `null` until they are built.
const LATER: [&str; 2] = ["log", "witnessPolicy"];

/// The longest bundle, in bytes: some hundreds of states beside two reports and their certificates.
pub const MAX_BYTES: usize = 1 << 20;

/// The member that an HTTP answer adds, and that is not part of the bundle's own bytes.
pub const SCRIPT_MEMBER: &str = "offlineVerification";

impl Bundle {
    /// The bundle as a JSON value of profile `J`.
    pub fn to_value(&self) -> Value {
        let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(Value::Null, |bytes| to_base64(bytes));
        let boot = object([
            ("report", to_base64(&self.boot.report)),
            ("vek", to_base64(&self.boot.vek)),
            ("possession", to_hex(&self.boot.possession)),
        ]);
        let fresh = self.fresh.as_ref().map_or(Value::Null, |fresh| {
            let part = |part: fn(&EndorsedReport) -> &Vec<u8>| {
                fresh.report.as_ref().map_or(Value::Null, |report| to_base64(part(report)))
            };
            object([
                ("report", part(|report| &report.report)),
                ("vek", part(|report| &report.vek)),
                ("quote", quote_value(fresh.quote.as_ref())),
                ("possession", to_hex(&fresh.possession)),
                ("purpose", fresh.purpose.as_str().into()),
                ("nonce", to_hex(fresh.nonce.as_bytes())),
                ("index", u64::from(fresh.index).into()),
                ("count", u64::from(fresh.count).into()),
                ("path", Value::Array(fresh.path.iter().map(|d| to_hex(d)).collect())),
            ])
        });
        let states = self
            .states
            .iter()
            .map(|state| object([("bytes", to_base64(&state.bytes)), ("signature", to_hex(&state.signature))]));
        let mut members = vec![
            ("type".into(), "bundle".into()),
            ("v".into(), 1_u64.into()),
            (
                "certificates".into(),
                object([
                    ("vekKind", self.vek_kind.as_str().into()),
                    ("intermediate", to_base64(&self.intermediate)),
                    ("root", to_base64(&self.root)),
                    ("crls", Value::Array(self.crls.iter().map(|crl| to_base64(crl)).collect())),
                ]),
            ),
            ("boot".into(), boot),
            ("fresh".into(), fresh),
            ("quote".into(), quote_value(self.quote.as_ref())),
            ("eventLog".into(), bytes(&self.event_log)),
            ("hcl".into(), bytes(&self.hcl)),
            ("svsmManifest".into(), bytes(&self.svsm_manifest)),
            ("core".into(), to_base64(&self.core)),
            ("states".into(), Value::Array(states.collect())),
            ("release".into(), self.release.as_ref().map_or(Value::Null, SignedRelease::to_value)),
            ("provenance".into(), bytes(&self.provenance)),
        ];
        members.extend(LATER.map(|name| (name.into(), Value::Null)));
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
            quote: match bundle.nullable("quote")? {
                None => None,
                Some(value) => Some(quote(value, "bundle.quote")?),
            },
            event_log: bundle.nullable_base64("eventLog")?,
            hcl: bundle.nullable_base64("hcl")?,
            svsm_manifest: bundle.nullable_base64("svsmManifest")?,
            core: bundle.base64("core")?,
            states: states.iter().enumerate().map(|(at, item)| state(item, at)).collect::<Result<_, _>>()?,
            release: match bundle.nullable("release")? {
                None => None,
                Some(value) => Some(SignedRelease::of_value(value, "bundle.release")?),
            },
            provenance: match bundle.nullable_base64("provenance")? {
                Some(file) if file.len() > dsse::MAX_BYTES => {
                    return Err(bundle.wrong("provenance", "want at most 64 KiB").into());
                }
                file => file,
            },
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

fn quote_value(quote: Option<&CarriedQuote>) -> Value {
    quote.map_or(Value::Null, |quote| {
        let pcrs =
            quote.pcrs.iter().map(|(pcr, value)| object([("pcr", u64::from(*pcr).into()), ("sha256", to_hex(value))]));
        object([
            ("attest", to_base64(&quote.attest)),
            ("signature", to_base64(&quote.signature)),
            ("pcrs", Value::Array(pcrs.collect())),
        ])
    })
}

fn quote(value: &Value, path: &str) -> Result<CarriedQuote, ShapeError> {
    let mut members = Members::of(value, path)?;
    let mut pcrs: Vec<(u8, Digest)> = Vec::new();
    for (at, item) in members.array("pcrs")?.iter().enumerate() {
        let mut register = Members::of(item, &format!("{path}.pcrs[{at}]"))?;
        let pcr = register.integer("pcr")?;
        let pcr = u8::try_from(pcr).ok().filter(|pcr| *pcr < 24 && pcrs.last().is_none_or(|(last, _)| last < pcr));
        let pcr = pcr.ok_or_else(|| register.wrong("pcr", "want registers 0 to 23, ascending"))?;
        pcrs.push((pcr, register.hex("sha256")?));
        register.finish()?;
    }
    let read = CarriedQuote { attest: members.base64("attest")?, signature: members.base64("signature")?, pcrs };
    members.finish()?;
    Ok(read)
}

fn fresh(value: &Value) -> Result<Fresh, ShapeError> {
    let mut members = Members::of(value, "bundle.fresh")?;
    let count = members.integer("count")?;
    let index = members.integer("index")?;
    if count == 0 || count > MAX_BATCH as u64 || index >= count {
        return Err(members.wrong("index", format!("want index < count <= {MAX_BATCH}")));
    }
    let path: Option<Vec<Digest>> = members.array("path")?.iter().map(hex_of).collect();
    let nonce = members.string("nonce")?;
    let report = match (members.nullable_base64("report")?, members.nullable_base64("vek")?) {
        (Some(report), Some(vek)) => Some(EndorsedReport { report, vek }),
        (None, None) => None,
        _ => return Err(members.wrong("vek", "want report and vek, or null for both")),
    };
    let quote = match members.nullable("quote")? {
        None => None,
        Some(value) => Some(quote(value, "bundle.fresh.quote")?),
    };
    if report.is_none() && quote.is_none() {
        return Err(members.wrong("report", "want a report, a quote, or both"));
    }
    let read = Fresh {
        report,
        quote,
        possession: members.hex("possession")?,
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
    use crate::release::ReleaseSignature;

    fn carried() -> CarriedReport {
        CarriedReport { report: vec![1; 1184], vek: vec![2; 1350], possession: [3; 64] }
    }

    fn quote() -> CarriedQuote {
        CarriedQuote { attest: vec![1; 145], signature: vec![2; 262], pcrs: vec![(4, [4; 32]), (15, [5; 32])] }
    }

    fn bundle(states: usize) -> Bundle {
        Bundle {
            vek_kind: VekKind::Vcek,
            intermediate: vec![4; 1700],
            root: vec![5; 1600],
            crls: Vec::new(),
            boot: carried(),
            fresh: Some(Fresh {
                report: Some(EndorsedReport { report: vec![1; 1184], vek: vec![2; 1350] }),
                quote: Some(quote()),
                possession: [3; 64],
                purpose: Purpose::Client,
                nonce: Nonce::new(vec![0xab; 32]).unwrap(),
                index: 0,
                count: 1,
                path: Vec::new(),
            }),
            quote: Some(quote()),
            event_log: Some(vec![9; 45_000]),
            hcl: None,
            svsm_manifest: None,
            core: vec![6; 1100],
            states: vec![CarriedState { bytes: vec![7; 500], signature: [8; 64] }; states],
            release: None,
            provenance: Some(b"{}".to_vec()),
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
    fn a_release_is_carried_as_its_file_and_read_no_more_laxly() {
        let key = |bytes| crate::Ed25519Public::new(bytes).unwrap();
        let signatures = [[2; 32], [3; 32]].map(|bytes| ReleaseSignature { key: key(bytes), value: [9; 64] });
        let release = SignedRelease { bytes: b"{}".to_vec(), signatures: signatures.to_vec() };
        let carrying = Bundle { release: Some(release.clone()), ..bundle(1) };
        let bytes = carrying.to_bytes().unwrap();
        assert_eq!(Bundle::from_bytes(&bytes), Ok(carrying));
        // Whoever cuts the member out has the file.
        let value = json::parse(&bytes, &Limits { bytes: MAX_BYTES, ..Limits::OURS }).unwrap();
        let cut = value.member("release").unwrap().to_text();
        assert_eq!(SignedRelease::from_bytes(cut.as_bytes()), Ok(release));
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [
            ("\"release\":{", "\"release\":{\"extra\":1,"),
            (&*"02".repeat(32), &*"03".repeat(32)),
            ("\"release\":\"e30=\"", "\"release\":\"e30\""),
        ] {
            let changed = text.replacen(from, to, 1);
            let error = Bundle::from_bytes(changed.as_bytes()).unwrap_err();
            assert!(
                matches!(&error, DocumentError::Shape(shape) if shape.path.starts_with("bundle.release")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_provenance_file_has_at_most_the_length_of_an_envelope() {
        for (length, fits) in [(dsse::MAX_BYTES, true), (dsse::MAX_BYTES + 1, false)] {
            let bytes = Bundle { provenance: Some(vec![b' '; length]), ..bundle(1) }.to_bytes().unwrap();
            assert_eq!(Bundle::from_bytes(&bytes).is_ok(), fits, "{length}");
        }
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
