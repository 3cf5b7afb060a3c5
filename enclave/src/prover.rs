//! Makes the proof of a call that ran.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use evidence::{
    Digest, Opened, OpeningSeed, caller_ref,
    core::Platform,
    hmac_chain::TagKey,
    payment::{Authorization, PaymentClaim},
    proof::{Envelope, Execution, GatewayClaim, Opening, Proof, ProofBody, ServerClaim},
    request_hash, response_hash,
    settlement::{Outcome, Settlement, SignedSettlement},
    tag,
};
use gate::{Executed, Refusal, Reservation};
use platform::keys::ProofKey;
use zeroize::Zeroizing;

use crate::{build::Build, catalogue::Ready};

/// Proofs kept for `GET /api/proofs/:id`. The oldest goes first.
const MAX_KEPT: usize = 10_000;

/// What every proof of this boot has in common.
pub(crate) struct Prover {
    /// C.
    pub(crate) core: Digest,
    /// Instance of the core.
    pub(crate) instance: [u8; 32],
    /// Where we run.
    pub(crate) platform: Platform,
    /// Whether hardware protects us.
    pub(crate) tee_enabled: bool,
    /// SHA-256 of the signed part of the boot report.
    pub(crate) report_sha256: Digest,
    /// What the executable is.
    pub(crate) build: Build,
    /// What runs containers: `runc`, `runsc`.
    pub(crate) runtime: &'static str,
    /// Epoch in force. 1 until epochs are built.
    pub(crate) epoch: u32,
    /// Tags proofs in that epoch.
    pub(crate) tag_key: TagKey,
    /// Signs proofs.
    pub(crate) proof_key: Arc<ProofKey>,
    /// What was made, by id.
    pub(crate) kept: Kept,
}

/// The newest proofs, by id.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    inner: Mutex<Newest>,
}

#[derive(Debug, Default)]
struct Newest {
    by_id: HashMap<[u8; 32], Arc<Proof>>,
    order: VecDeque<[u8; 32]>,
}

impl Kept {
    /// The proof with this id alone: what opens it and its settlement are its caller's.
    pub(crate) fn by_id(&self, id: &[u8; 32]) -> Option<Envelope> {
        let found = self.inner.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(id).map(Arc::clone);
        // What became of its payment is not kept: the transaction would tell whoever holds the id who paid.
        found.map(|proof| Envelope { proof: Proof::clone(&proof), opening: None, settlement: None })
    }

    fn keep(&self, envelope: &Envelope) {
        let proof = Arc::new(envelope.proof.clone());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // A reply that is given again must not push out those of others.
        if inner.by_id.contains_key(&envelope.proof.body.id) {
            return;
        }
        if inner.order.len() >= MAX_KEPT
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.by_id.remove(&oldest);
        }
        let id = proof.body.id;
        inner.order.push_back(id);
        inner.by_id.insert(id, proof);
    }
}

impl Prover {
    /// The proof of an executed call, with what opens it. `state` is the one whose catalogue the call was permitted by.
    ///
    /// # Errors
    /// No randomness, or a name that does not fit the profile.
    pub(crate) fn prove<R: Reservation>(
        &self,
        state: Digest,
        executed: &Executed<R>,
        ready: &Ready,
    ) -> Result<Envelope, Refusal> {
        let internal = || Refusal::Internal { part: "prover" };
        // One question to the system for both: each is a call into the kernel.
        let mut random = Zeroizing::new([0; 64]);
        getrandom::fill(random.as_mut_slice()).map_err(|_| internal())?;
        let (id, seed) = random.split_at(32);
        let seed = OpeningSeed::new(seed.try_into().map_err(|_| internal())?);
        let (call, run) = (executed.call(), executed.run());
        let (installed, digests) = (&ready.installed, &ready.digests);
        let body = ProofBody {
            id: id.try_into().map_err(|_| internal())?,
            core: self.core,
            state,
            epoch: self.epoch,
            gateway: GatewayClaim {
                code_hash: self.build.code_hash,
                git_commit: self.build.git_commit,
                tee_enabled: self.tee_enabled,
                platform: self.platform,
                instance: self.instance,
                report_sha256: self.report_sha256,
            },
            server: ServerClaim {
                id: call.server.clone(),
                package: format!("{}@{}", installed.package(), installed.version()),
                registry_digest: digests.registry,
                lock_digest: digests.lock,
                image_digest: digests.image,
                runtime: self.runtime.to_owned(),
            },
            execution: Execution {
                tool: call.tool.clone(),
                request_hash: request_hash(&seed.salt(Opened::Request), &call.server, &call.tool, &call.arguments),
                response_hash: response_hash(&seed.salt(Opened::Response), &run.result),
                is_error: run.result.is_error(),
                timestamp: run.started_ms,
                time_source: "host-clock",
                duration_ms: run.duration_ms,
                environment: run.environment.clone(),
                challenge: call.challenge.as_ref().map(|challenge| challenge.as_bytes().to_vec()),
            },
            caller: executed.principal().name().map(|name| caller_ref(&seed.salt(Opened::Caller), &name)),
            payment: executed.charge().map(|authorization| claim(&seed, authorization)).transpose()?,
        };
        let bytes = body.to_bytes().map_err(|error| {
            tracing::error!(%error, "a proof body does not fit the profile");
            internal()
        })?;
        let envelope = Envelope {
            proof: Proof {
                tag: self.tag_key.tag(&self.core, &bytes),
                key_source: "tpm-sealed".to_owned(),
                tag_key_id: format!("hmac:{}:{}", hex::encode(self.instance.get(..8).unwrap_or_default()), self.epoch),
                signature: self.proof_key.sign(tag::PROOF, &[&self.core, &bytes]),
                signature_key_id: self.proof_key_id(),
                body,
            },
            opening: Some(Opening::of_seed(&seed)),
            settlement: None,
        };
        Ok(envelope)
    }

    /// Says, signed, what became of the payment that a proof names. `None` for a proof that names none.
    ///
    /// # Errors
    /// It does not fit the profile.
    pub(crate) fn settlement(&self, proof: &Proof, transaction: [u8; 32]) -> Result<Option<SignedSettlement>, Refusal> {
        let internal = || Refusal::Internal { part: "prover" };
        // A proof of an earlier boot names another core; a verifier that has only that boot's bundle could not judge this
        // boot's signature, and would have to reject it.
        let Some(payment) = proof.body.payment.as_ref().filter(|_| proof.body.core == self.core) else {
            return Ok(None);
        };
        let settlement = Settlement {
            core: self.core,
            proof: proof.entry_digest().map_err(|_| internal())?,
            payment_ref: payment.payment_ref,
            outcome: Outcome::Settled { transaction, receipt_sha256: None },
            network: payment.network.clone(),
            amount: payment.amount,
        };
        let bytes = settlement.to_bytes().map_err(|_| internal())?;
        Ok(Some(SignedSettlement {
            signature: self.proof_key.sign(tag::SETTLEMENT, &[&self.core, &bytes]),
            signature_key_id: self.proof_key_id(),
            settlement,
        }))
    }

    fn proof_key_id(&self) -> String {
        format!("proof:{}", hex::encode(self.proof_key.public().get(..8).unwrap_or_default()))
    }

    /// Keeps a proof whose call is settled, so that it can be asked for again.
    pub(crate) fn keep(&self, envelope: &Envelope) {
        self.kept.keep(envelope);
    }
}

/// What a proof says of the payment that its caller authorized.
fn claim(seed: &OpeningSeed, authorization: &Authorization) -> Result<PaymentClaim, Refusal> {
    PaymentClaim::of(authorization, &seed.salt(Opened::Payment)).map_err(|error| {
        tracing::error!(%error, "an authorization does not fit the profile");
        Refusal::Internal { part: "prover" }
    })
}
