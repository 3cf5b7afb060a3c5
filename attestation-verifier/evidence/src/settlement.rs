//! `settlement/v1`: what became of the payment that a proof names (docs/WIRE.md, P7).

use crate::{
    core::DocumentError,
    frame::{Digest, hash, t},
    json::{JsonError, Name, Value, object},
    names::UsdcAmount,
    payment::{amount, network},
    profile::{Members, j, to_hex},
    tag,
};

/// What became of a payment. What an outcome cannot have, it has no field for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The money moved.
    Settled {
        /// The transaction that moved it.
        transaction: Digest,
        /// SHA-256 of the receipt as it was given, if one was.
        receipt_sha256: Option<Digest>,
    },
    /// Nothing was taken and nothing will be.
    Released,
    /// Not known yet.
    Pending {
        /// The transaction that may move it, if one was handed in.
        transaction: Option<Digest>,
    },
}

impl Outcome {
    /// `settled`, `released`, `pending`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Settled { .. } => "settled",
            Self::Released => "released",
            Self::Pending { .. } => "pending",
        }
    }
}

/// One settlement: everything that its signature covers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settlement {
    /// C of the instance that signs, the current one.
    pub core: Digest,
    /// [`crate::proof::Proof::entry_digest`] of the proof whose payment this is.
    pub proof: Digest,
    /// paymentRef, as in that proof.
    pub payment_ref: Digest,
    /// See [`Outcome`].
    pub outcome: Outcome,
    /// As in that proof.
    pub network: String,
    /// As in that proof, whatever the outcome.
    pub amount: UsdcAmount,
}

/// A settlement with the signature of the instance's proof key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedSettlement {
    /// What is signed.
    pub settlement: Settlement,
    /// Sig(proof key, "sealgate/settlement/v1", C, J(settlement)).
    pub signature: [u8; 64],
    /// Hint: which proof key. Never trusted.
    pub signature_key_id: String,
}

impl Settlement {
    /// `J(settlement)`.
    ///
    /// # Errors
    /// The network's name is outside the profile.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        j(&Value::Object(self.members()))
    }

    fn members(&self) -> Vec<(Name, Value)> {
        let (transaction, receipt) = match &self.outcome {
            Outcome::Settled { transaction, receipt_sha256 } => (Some(transaction), receipt_sha256.as_ref()),
            Outcome::Released => (None, None),
            Outcome::Pending { transaction } => (transaction.as_ref(), None),
        };
        let digest = |digest: Option<&Digest>| digest.map_or(Value::Null, |d| to_hex(d));
        let members = [
            ("core", to_hex(&self.core)),
            ("proof", to_hex(&self.proof)),
            ("ref", to_hex(&self.payment_ref)),
            ("outcome", self.outcome.as_str().into()),
            ("network", self.network.as_str().into()),
            ("transaction", digest(transaction)),
            ("amount", self.amount.units().to_string().into()),
            ("receiptSha256", digest(receipt)),
        ];
        members.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }
}

impl SignedSettlement {
    /// The settlement's members and `publicSignature`, as a proof has it.
    pub fn to_value(&self) -> Value {
        let mut members = self.settlement.members();
        members.push((
            "publicSignature".into(),
            object([
                ("algorithm", "Ed25519".into()),
                ("value", to_hex(&self.signature)),
                ("keyId", self.signature_key_id.as_str().into()),
            ]),
        ));
        Value::Object(members)
    }

    /// `H("sealgate/settlement-entry/v1", J(settlement with its signature))`, the digest that a log entry holds.
    ///
    /// # Errors
    /// A name in it is outside the profile.
    pub fn entry_digest(&self) -> Result<Digest, JsonError> {
        Ok(hash(tag::SETTLEMENT_ENTRY, &[&j(&self.to_value())?]))
    }

    /// Reads a settlement object.
    ///
    /// # Errors
    /// Not in the profile, or a member that is missing, unknown or of another shape.
    pub fn from_value(value: &Value) -> Result<Self, DocumentError> {
        let _in_profile = j(value)?;
        let mut settlement = Members::of(value, "settlement")?;
        let mut signature = settlement.object("publicSignature")?;
        let word = settlement.word("outcome", &["settled", "released", "pending"])?;
        let transaction = settlement.hex_or_null("transaction")?;
        let receipt_sha256 = settlement.hex_or_null("receiptSha256")?;
        let outcome = match (word, transaction, receipt_sha256) {
            ("settled", Some(transaction), receipt_sha256) => Outcome::Settled { transaction, receipt_sha256 },
            ("released", None, None) => Outcome::Released,
            ("pending", transaction, None) => Outcome::Pending { transaction },
            _ => {
                let wanted = "settled has a transaction, released has none, and only settled may have a receipt";
                return Err(settlement.wrong("outcome", wanted).into());
            }
        };
        let _: &str = signature.word("algorithm", &["Ed25519"])?;
        let read = Self {
            settlement: Settlement {
                core: settlement.hex("core")?,
                proof: settlement.hex("proof")?,
                payment_ref: settlement.hex("ref")?,
                outcome,
                network: network(&mut settlement)?,
                amount: amount(&mut settlement, "amount")?,
            },
            signature: signature.hex("value")?,
            signature_key_id: signature.string("keyId")?.to_owned(),
        };
        signature.finish()?;
        settlement.finish()?;
        Ok(read)
    }
}

/// What the proof key signs of a settlement: `T("sealgate/settlement/v1", C, J(settlement))`.
pub fn settlement_message(core: &Digest, settlement: &[u8]) -> Vec<u8> {
    t(tag::SETTLEMENT, &[core, settlement])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::parse_ours;

    fn settled(outcome: Outcome) -> SignedSettlement {
        let settlement = Settlement {
            core: [1; 32],
            proof: [2; 32],
            payment_ref: [3; 32],
            outcome,
            network: "eip155:8453".to_owned(),
            amount: UsdcAmount::from_units(500),
        };
        SignedSettlement { settlement, signature: [4; 64], signature_key_id: "hint".to_owned() }
    }

    const OUTCOMES: [Outcome; 5] = [
        Outcome::Settled { transaction: [5; 32], receipt_sha256: None },
        Outcome::Settled { transaction: [5; 32], receipt_sha256: Some([6; 32]) },
        Outcome::Released,
        Outcome::Pending { transaction: None },
        Outcome::Pending { transaction: Some([5; 32]) },
    ];

    #[test]
    fn a_settlement_is_read_as_it_was_written() {
        for outcome in OUTCOMES {
            let written = settled(outcome);
            assert_eq!(SignedSettlement::from_value(&written.to_value()), Ok(written));
        }
    }

    #[test]
    fn an_outcome_has_no_member_of_another() {
        let text = String::from_utf8(j(&settled(OUTCOMES[1]).to_value()).unwrap()).unwrap();
        for (from, to) in [
            ("\"settled\"".to_owned(), "\"released\""),
            ("\"settled\"".to_owned(), "\"pending\""),
            ("\"settled\"".to_owned(), "\"refunded\""),
            (format!("\"{}\"", "05".repeat(32)), "null"),
            ("\"500\"".to_owned(), "\"0\""),
            ("\"500\"".to_owned(), "500"),
            ("eip155:8453".to_owned(), "base"),
            ("Ed25519".to_owned(), "HMAC-SHA256"),
            ("{\"amount\"".to_owned(), "{\"later\":null,\"amount\""),
        ] {
            let changed = text.replacen(&from, to, 1);
            assert_ne!(changed, text, "{from}");
            let value = parse_ours(changed.as_bytes()).unwrap();
            assert!(SignedSettlement::from_value(&value).is_err(), "accepted {to}");
        }
    }
}
