//! `state/v1`: what may change within a boot, as a signed chain from the core (docs/WIRE.md, P4).

use std::collections::BTreeSet;

use crate::{
    core::DocumentError,
    frame::{Digest, hash, t},
    json::{JsonError, Value, object},
    names::Wallet,
    profile::{Members, ShapeError, hex_of, j, parse_carried, to_hex},
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
    /// Digest of the keys that sign tokens: [`jwks_digest`]. `None`: no token of this gateway is a signed one.
    pub jwks: Option<Digest>,
    /// Account that signs receipts.
    pub receipt: Option<Wallet>,
    /// Account that pays the gas of settlements. Not the one that signs receipts.
    pub fee_payer: Option<Wallet>,
    /// Accounts that may be paid, in any order here, ascending and each once on the wire. Empty: every call is free.
    pub pay_to: Vec<Wallet>,
    /// Digest of the prices in force: [`prices_digest`]. `None`: every call is free.
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
        let wallet = |wallet: &Option<Wallet>| wallet.map_or(Value::Null, |w| to_hex(w.as_bytes()));
        let pay_to: BTreeSet<_> = self.pay_to.iter().collect();
        j(&object([
            ("core", to_hex(&self.core)),
            ("seq", self.seq.into()),
            ("prev", to_hex(&self.prev)),
            ("tls", Value::Array(self.tls.iter().map(|d| to_hex(d)).collect())),
            ("import", Value::Null),
            ("jwks", digest(&self.jwks)),
            ("receipt", wallet(&self.receipt)),
            ("feePayer", wallet(&self.fee_payer)),
            ("payTo", Value::Array(pay_to.into_iter().map(|w| to_hex(w.as_bytes())).collect())),
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
            jwks: state.hex_or_null("jwks")?,
            receipt: state.hex_or_null("receipt")?.map(Wallet::new),
            fee_payer: state.hex_or_null("feePayer")?.map(Wallet::new),
            pay_to: pay_to(&mut state)?,
            prices: state.hex_or_null("prices")?,
            policy: state.hex_or_null("policy")?,
            catalogue: state.hex_or_null("catalogue")?,
        };
        for later in ["import", "witnessPolicy"] {
            state.null(later)?;
        }
        state.finish()?;
        Ok(read)
    }
}

/// Ascending and each once: one set of accounts has one spelling, so one digest.
fn pay_to(state: &mut Members<'_>) -> Result<Vec<Wallet>, ShapeError> {
    let wallets: Option<Vec<Wallet>> = state.array("payTo")?.iter().map(|item| hex_of(item).map(Wallet::new)).collect();
    wallets
        .filter(|wallets| wallets.is_sorted_by(|a, b| a < b))
        .ok_or_else(|| state.wrong("payTo", "want accounts, 40 hexadecimal digits each, ascending, each once"))
}

/// `H("sealgate/prices/v1", J(defaults), J(server)…)`, the digest that a state names: a part for the defaults and one for
/// each server that has prices of its own, so that no catalogue is too long for one document.
///
/// # Errors
/// A part is outside the profile.
pub fn prices_digest(parts: &[Value]) -> Result<Digest, JsonError> {
    let parts = parts.iter().map(j).collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
    Ok(hash(tag::PRICES, &parts))
}

/// `H("sealgate/jwks/v1", J(jwks))`, the digest that a state names: public keys only, as they are served.
///
/// # Errors
/// The keys are outside the profile.
pub fn jwks_digest(jwks: &Value) -> Result<Digest, JsonError> {
    Ok(hash(tag::JWKS, &[&j(jwks)?]))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            core: [1; 32],
            seq: 0,
            prev: [1; 32],
            tls: vec![[2; 32]],
            jwks: Some([3; 32]),
            receipt: Some(Wallet::new([4; 20])),
            fee_payer: Some(Wallet::new([5; 20])),
            pay_to: vec![Wallet::new([6; 20]), Wallet::new([7; 20])],
            prices: Some([8; 32]),
            policy: None,
            catalogue: Some([9; 32]),
        }
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        assert_eq!(State::from_bytes(&state().to_bytes().unwrap()), Ok(state()));
        let free = State { jwks: None, receipt: None, fee_payer: None, pay_to: vec![], prices: None, ..state() };
        assert_eq!(State::from_bytes(&free.to_bytes().unwrap()), Ok(free));
    }

    #[test]
    fn one_set_of_accounts_has_one_spelling() {
        let [low, high] = [[6; 20], [7; 20]].map(Wallet::new);
        let shuffled = State { pay_to: vec![high, low, high], ..state() };
        assert_eq!(shuffled.to_bytes(), state().to_bytes());
    }

    #[test]
    fn members_of_another_shape_are_refused() {
        let text = String::from_utf8(state().to_bytes().unwrap()).unwrap();
        let [four, six, seven] = ["04", "06", "07"].map(|byte| byte.repeat(20));
        for (from, to) in [
            (format!("[\"{six}\",\"{seven}\"]"), format!("[\"{seven}\",\"{six}\"]")),
            (format!("[\"{six}\",\"{seven}\"]"), format!("[\"{six}\",\"{six}\"]")),
            (format!("[\"{six}\",\"{seven}\"]"), "null".to_owned()),
            (six.clone(), format!("0x{six}")),
            (six.clone(), six[2..].to_owned()),
            (format!("\"{four}\""), format!("\"{four}04\"")),
            (format!("\"{four}\""), "\"\"".to_owned()),
            ("03".repeat(32), "03".repeat(20)),
            ("\"import\":null".to_owned(), "\"import\":{}".to_owned()),
        ] {
            let changed = text.replacen(&from, &to, 1);
            assert_ne!(changed, text, "{from}");
            assert!(State::from_bytes(changed.as_bytes()).is_err(), "accepted {to}");
        }
    }
}
