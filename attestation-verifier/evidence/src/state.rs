//! `state/v1`: what may change within a boot, as a signed chain from the core (docs/WIRE.md, P4).

use crate::{
    core::DocumentError,
    frame::{Digest, hash, t},
    json::{JsonError, Value, object},
    profile::{Members, hex_of, j, parse_carried, to_hex},
    tag,
};

/// One state. What is not built yet is `null` or empty on the wire and has no field here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct State {
    /// C.
    pub core: Digest,
    /// From 0.
    pub seq: u64,
    /// S_{n−1}; C for the first.
    pub prev: Digest,
    /// SHA-256 of the SubjectPublicKeyInfo of each TLS key. Empty: plain HTTP on loopback.
    pub tls: Vec<Digest>,
    /// Digest of the prices in force. `None`: every call is free.
    pub prices: Option<Digest>,
    /// Digest of the policy in force.
    pub policy: Option<Digest>,
    /// Digest of the catalogue in force.
    pub catalogue: Option<Digest>,
}

impl State {
    /// `J(state)`: the bytes that are hashed, signed and carried.
    ///
    /// # Errors
    /// None that a well-formed state can meet; the type is the writer's.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        let digest = |digest: &Option<Digest>| digest.as_ref().map_or(Value::Null, |d| to_hex(d));
        j(&object([
            ("core", to_hex(&self.core)),
            ("seq", self.seq.into()),
            ("prev", to_hex(&self.prev)),
            ("tls", Value::Array(self.tls.iter().map(|d| to_hex(d)).collect())),
            ("import", Value::Null),
            ("jwks", Value::Null),
            ("receipt", Value::Null),
            ("feePayer", Value::Null),
            ("payTo", Value::Array(Vec::new())),
            ("prices", digest(&self.prices)),
            ("policy", digest(&self.policy)),
            ("catalogue", digest(&self.catalogue)),
            ("witnessPolicy", Value::Null),
        ]))
    }

    /// Reads carried bytes.
    ///
    /// # Errors
    /// [`DocumentError`] with the member's path.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value = parse_carried(bytes)?;
        let mut state = Members::of(&value, "state")?;
        let tls: Option<Vec<Digest>> = state.array("tls")?.iter().map(hex_of).collect();
        let read = Self {
            core: state.hex("core")?,
            seq: state.integer("seq")?,
            prev: state.hex("prev")?,
            tls: tls.ok_or_else(|| state.wrong("tls", "want digests, 64 hexadecimal digits each"))?,
            prices: state.hex_or_null("prices")?,
            policy: state.hex_or_null("policy")?,
            catalogue: state.hex_or_null("catalogue")?,
        };
        for later in ["import", "jwks", "receipt", "feePayer", "witnessPolicy"] {
            state.null(later)?;
        }
        if !state.array("payTo")?.is_empty() {
            return Err(state.wrong("payTo", "want an empty array (this version knows nothing else)").into());
        }
        state.finish()?;
        Ok(read)
    }
}

/// `S_n = H("sealgate/state/v1", C, J(state))` over the carried bytes.
pub fn state_digest(core: &Digest, bytes: &[u8]) -> Digest {
    hash(tag::STATE, &[core, bytes])
}

/// What the proof key signs of a state.
pub fn state_message(core: &Digest, bytes: &[u8]) -> Vec<u8> {
    t(tag::STATE, &[core, bytes])
}

/// What the proof key signs beside an evidence answer: possession.
pub fn evidence_message(core: &Digest, report_data: &[u8; 64]) -> Vec<u8> {
    t(tag::EVIDENCE, &[core, report_data])
}
