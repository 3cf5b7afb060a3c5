//! A simulated machine and one boot of it: core, states, reports, one proven call. Everything can be made anew with one
//! thing wrong in it and all signatures right.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use attestation_verifier::{
    BundleAppraisal, BundleQuestion, Policy, ProofQuestion, Releases, Ring, TrustAnchor, Verdict, appraise_bundle,
    appraise_proof, clock,
};
use evidence::{
    Digest, Ed25519Public, Opened, OpeningSeed, ResultObject, ServerId, UnixSeconds, UsdcAmount, Wallet,
    bundle::{Bundle, CarriedReport, CarriedState, EndorsedReport, Fresh, VekKind},
    core::{Claims, Core, Platform, Recovery, Vtpm, core_digest},
    hmac_chain::{HmacChain, LENGTH},
    json::{Limits, Value, parse},
    merkle,
    payment::{Authorization, PaymentClaim},
    proof::{Envelope, Execution, GatewayClaim, Opening, Proof, ProofBody, RegistryDigest, ServerClaim, proof_message},
    report_data::{Nonce, Purpose, report_data, report_data_without_nonce},
    request_hash, response_hash,
    state::{State, evidence_message, state_digest, state_message},
};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest as _, Sha256};
use software_psp::{Product, ReportRequest, SoftwarePsp};

/// When verdicts are asked for.
pub(crate) const AT: &str = "2026-03-01T00:00:00Z";
/// The nonce that the bundle answers.
pub(crate) const NONCE: [u8; 32] = [0xa2; 32];
/// The challenge of the call.
pub(crate) const CHALLENGE: [u8; 16] = [0xc4; 16];
/// The call.
pub(crate) const TOOL: &str = "echo";
pub(crate) const ARGUMENTS: &str = r#"{"message":"héllo","times":1.0}"#;
pub(crate) const RESULT: &str = r#"{"content":[{"type":"text","text":"Echo: héllo"}]}"#;
const OPENING: [u8; 32] = [0x0f; 32];
const INSTANCE: [u8; 32] = [0x1a; 32];
const SEED: [u8; 32] = [0x5e; 32];

pub(crate) fn at() -> UnixSeconds {
    clock::parse(AT).unwrap()
}

/// A chip, kept between tests: its keys take seconds to make.
pub(crate) fn chip() -> &'static SoftwarePsp {
    static CHIP: OnceLock<SoftwarePsp> = OnceLock::new();
    CHIP.get_or_init(|| {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("simulated-chip-v1");
        if let Ok(psp) = SoftwarePsp::open(&dir) {
            return psp;
        }
        // Whoever is first moves a finished one into place; a loser uses the winner's.
        let draft = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let made = time::macros::datetime!(2026-01-01 0:00 UTC);
        let psp = SoftwarePsp::create(draft.path(), Product::Genoa, made).unwrap();
        match std::fs::rename(draft.path(), &dir) {
            Ok(()) => psp,
            Err(_) => SoftwarePsp::open(&dir).unwrap(),
        }
    })
}

/// The gateway's proof key, and one of somebody else.
pub(crate) fn key(of: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[of; 32]).unwrap()
}

pub(crate) fn sign(key: &Ed25519KeyPair, message: &[u8]) -> [u8; 64] {
    key.sign(message).as_ref().try_into().unwrap()
}

/// A core as an honest gateway of this machine writes it.
pub(crate) fn core() -> Core {
    Core {
        instance: INSTANCE,
        lineage: [0x11; 32],
        platform: Platform::Simulated,
        boot: "software",
        vtpm: Vtpm { kind: "software", ak_name: None, ak_spki: None, ek_name: None },
        claims: Claims { code_hash: Some([0xc0; 32]), git_commit: Some([0x91; 20]), release: None },
        proof_key: Ed25519Public::new(key(1).public_key().as_ref().try_into().unwrap()).unwrap(),
        peer_key: [0x33; 32],
        hmac_anchor: *HmacChain::new(INSTANCE, &SEED).anchor(),
        hmac_length: LENGTH,
        release_keys: Vec::new(),
        recovery: Recovery { kind: "none", keys: Vec::new() },
        sealing_pcrs: vec![4, 7, 11],
        sealing_floor: 0,
    }
}

/// One boot with two states.
pub(crate) struct Boot {
    pub(crate) core: Core,
    pub(crate) core_bytes: Vec<u8>,
    pub(crate) c: Digest,
    pub(crate) states: Vec<Vec<u8>>,
    /// S_0, S_1.
    pub(crate) heads: Vec<Digest>,
}

impl Boot {
    pub(crate) fn new() -> Self {
        Self::of(core())
    }

    pub(crate) fn of(core: Core) -> Self {
        let core_bytes = core.to_bytes().unwrap();
        let c = core_digest(&core_bytes);
        let first = state(c, 0, c);
        let s_0 = state_digest(&c, &first);
        let second = state(c, 1, s_0);
        let s_1 = state_digest(&c, &second);
        Self { core, core_bytes, c, states: vec![first, second], heads: vec![s_0, s_1] }
    }

    /// The same with these policies in its two states.
    pub(crate) fn under(core: Core, policies: [Option<Digest>; 2]) -> Self {
        let core_bytes = core.to_bytes().unwrap();
        let c = core_digest(&core_bytes);
        let named = |seq, prev, policy| {
            let named = State { policy, ..State::from_bytes(&state(c, seq, prev)).unwrap() };
            named.to_bytes().unwrap()
        };
        let first = named(0, c, policies[0]);
        let s_0 = state_digest(&c, &first);
        let second = named(1, s_0, policies[1]);
        let s_1 = state_digest(&c, &second);
        Self { core, core_bytes, c, states: vec![first, second], heads: vec![s_0, s_1] }
    }

    pub(crate) fn boot_rd(&self) -> [u8; 64] {
        report_data_without_nonce(&self.c, &self.heads[0])
    }

    /// A report over this data, possession included.
    pub(crate) fn report(&self, rd: [u8; 64], change: impl FnOnce(&mut ReportRequest)) -> CarriedReport {
        let mut request = chip().request(5, rd);
        request.report_id = [0x1d; 32];
        change(&mut request);
        CarriedReport {
            report: chip().report(&request).to_vec(),
            vek: chip().vcek().to_vec(),
            possession: sign(&key(1), &evidence_message(&self.c, &rd)),
        }
    }

    /// The answer to [`NONCE`], last of three in its batch.
    pub(crate) fn fresh(&self, change: impl FnOnce(&mut ReportRequest)) -> Fresh {
        self.fresh_for(Purpose::Client, &self.heads[1], change)
    }

    pub(crate) fn fresh_for(&self, purpose: Purpose, head: &Digest, change: impl FnOnce(&mut ReportRequest)) -> Fresh {
        let nonces = [[0xa0; 32], [0xa1; 32], NONCE].map(|nonce| Nonce::new(nonce.to_vec()).unwrap());
        let leaves: Vec<_> = nonces.iter().map(|nonce| nonce.leaf(purpose)).collect();
        let CarriedReport { report, vek, possession } =
            self.report(report_data(&merkle::root(&leaves), 3, &self.c, head), change);
        Fresh {
            report: Some(EndorsedReport { report, vek }),
            quote: None,
            possession,
            purpose,
            nonce: nonces[2].clone(),
            index: 2,
            count: 3,
            path: merkle::path(&leaves, 2).unwrap(),
        }
    }

    pub(crate) fn bundle(&self) -> Bundle {
        let signed = |bytes: &Vec<u8>| signed_state(&self.c, bytes.clone(), &key(1));
        Bundle {
            vek_kind: VekKind::Vcek,
            intermediate: chip().ask().to_vec(),
            root: chip().ark().to_vec(),
            crls: Vec::new(),
            boot: self.report(self.boot_rd(), |_| {}),
            fresh: Some(self.fresh(|_| {})),
            quote: None,
            event_log: None,
            hcl: None,
            svsm_manifest: None,
            release: None,
            provenance: None,
            core: self.core_bytes.clone(),
            states: self.states.iter().map(signed).collect(),
        }
    }

    /// The body of the proof of one call of [`TOOL`], under state 0.
    pub(crate) fn body(&self, bundle: &Bundle, result: &ResultObject) -> ProofBody {
        let salts = OpeningSeed::new(OPENING);
        ProofBody {
            id: [0x1d; 32],
            core: self.c,
            state: self.heads[0],
            epoch: 1,
            gateway: GatewayClaim {
                code_hash: self.core.claims.code_hash,
                git_commit: self.core.claims.git_commit,
                tee_enabled: false,
                platform: self.core.platform,
                instance: self.core.instance,
                report_sha256: Sha256::digest(&bundle.boot.report[..0x2A0]).into(),
            },
            server: ServerClaim {
                id: server(),
                package: "@modelcontextprotocol/server-everything@2026.8.31".to_owned(),
                registry_digest: Some(RegistryDigest::Sha512([0x51; 64])),
                lock_digest: Some([0x10; 32]),
                image_digest: [0x13; 32],
                runtime: "runc".to_owned(),
            },
            execution: Execution {
                tool: TOOL.to_owned(),
                request_hash: request_hash(&salts.salt(Opened::Request), &server(), TOOL, &tree(ARGUMENTS)),
                response_hash: response_hash(&salts.salt(Opened::Response), result),
                is_error: result.is_error(),
                timestamp: 1_772_323_199_123,
                time_source: "host-clock",
                duration_ms: 7,
                environment: vec![],
                challenge: Some(CHALLENGE.to_vec()),
            },
            caller: None,
            payment: None,
        }
    }

    /// Signs any body, with everything that opens it.
    pub(crate) fn envelope(&self, body: ProofBody) -> Envelope {
        let bytes = body.to_bytes().unwrap();
        let proof = Proof {
            tag: HmacChain::new(INSTANCE, &SEED).tag_key(body.epoch).unwrap().tag(&self.c, &bytes),
            key_source: "tpm-sealed".to_owned(),
            tag_key_id: "hint".to_owned(),
            signature: sign(&key(1), &proof_message(&self.c, &bytes)),
            signature_key_id: "hint".to_owned(),
            body,
        };
        Envelope { proof, opening: Some(Opening::of_seed(&OpeningSeed::new(OPENING))), settlement: None }
    }

    /// An opening that shows some salts only.
    pub(crate) fn salts(shown: &[Opened]) -> Opening {
        Opening::of_salts(&OpeningSeed::new(OPENING), shown)
    }

    pub(crate) fn chain() -> HmacChain {
        HmacChain::new(INSTANCE, &SEED)
    }
}

pub(crate) fn signed_state(c: &Digest, bytes: Vec<u8>, key: &Ed25519KeyPair) -> CarriedState {
    CarriedState { signature: sign(key, &state_message(c, &bytes)), bytes }
}

/// Who may be paid: both under state 0, the second alone under state 1.
pub(crate) const PAYEES: [Wallet; 2] = [Wallet::new([0x70; 20]), Wallet::new([0x71; 20])];

/// State 0 has prices, state 1 has none.
pub(crate) fn state(core: Digest, seq: u64, prev: Digest) -> Vec<u8> {
    let state = State {
        core,
        seq,
        prev,
        tls: vec![[0x75; 32]],
        jwks: Some([0x6a; 32]),
        receipt: Some(Wallet::new([0x72; 20])),
        fee_payer: Some(Wallet::new([0x66; 20])),
        pay_to: PAYEES[usize::try_from(seq).unwrap().min(1)..].to_vec(),
        prices: (seq == 0).then_some([0x24; 32]),
        policy: None,
        catalogue: Some([u8::try_from(seq).unwrap(); 32]),
    };
    state.to_bytes().unwrap()
}

/// What the payer of a call signed.
pub(crate) fn terms() -> Authorization {
    Authorization {
        network: "eip155:8453".to_owned(),
        asset: Wallet::new([0x83; 20]),
        from: Wallet::new([0xf0; 20]),
        to: PAYEES[0],
        value: UsdcAmount::from_units(500),
        valid_after: UnixSeconds(0),
        valid_before: UnixSeconds(1_772_323_500),
        nonce: [0x4e; 32],
    }
}

/// What a proof of a call paid by these terms claims.
pub(crate) fn claim(terms: &Authorization) -> PaymentClaim {
    PaymentClaim::of(terms, &OpeningSeed::new(OPENING).salt(Opened::Payment)).unwrap()
}

pub(crate) fn server() -> ServerId {
    "0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f".parse().unwrap()
}

pub(crate) fn tree(text: &str) -> Value {
    parse(text.as_bytes(), &Limits::THEIRS).unwrap()
}

pub(crate) fn result() -> ResultObject {
    ResultObject::of(tree(RESULT)).unwrap()
}

/// Judges bytes under the chip's root and the strict policy.
pub(crate) fn judge_bytes(bundle: &[u8], nonce: Option<&[u8]>) -> BundleAppraisal {
    let anchor = TrustAnchor::named(chip().ark()).unwrap();
    let question = BundleQuestion { bundle, anchor: &anchor, nonce, crls: &[], releases: Releases::default() };
    appraise_bundle(question, &Policy::strict(), at(), &Ring)
}

pub(crate) fn judge(bundle: &Bundle) -> Verdict {
    judge_bytes(&bundle.to_bytes().unwrap(), Some(&NONCE)).verdict
}

/// A proof with what is known beside it, to be judged.
#[derive(Clone, Default)]
pub(crate) struct Asked {
    pub(crate) envelope: Vec<u8>,
    pub(crate) bundle: Vec<u8>,
    pub(crate) request: Option<String>,
    pub(crate) response: Option<String>,
    pub(crate) challenge: Option<Vec<u8>>,
    pub(crate) payment: Option<String>,
    pub(crate) tag_epoch: Option<(u32, u32)>,
}

impl Asked {
    pub(crate) fn judge(&self) -> Verdict {
        self.judge_under(&Policy::strict())
    }

    pub(crate) fn judge_under(&self, policy: &Policy) -> Verdict {
        let anchor = TrustAnchor::named(chip().ark()).unwrap();
        let key = self.tag_epoch.map(|(says, is)| (says, Boot::chain().tag_key(is).unwrap()));
        let question = ProofQuestion {
            envelope: &self.envelope,
            bundle: BundleQuestion {
                bundle: &self.bundle,
                anchor: &anchor,
                nonce: None,
                crls: &[],
                releases: Releases::default(),
            },
            request: self.request.as_deref().map(str::as_bytes),
            response: self.response.as_deref().map(str::as_bytes),
            challenge: self.challenge.as_deref(),
            payment: self.payment.as_deref().map(str::as_bytes),
            tag_key: key.as_ref().map(|(epoch, key)| (*epoch, key)),
        };
        appraise_proof(question, policy, at(), &Ring)
    }
}

/// Wants this exit code, and that the check of this name is why.
#[track_caller]
pub(crate) fn rejected_by(verdict: &Verdict, exit: u8, name: &str) {
    let reason = verdict.reason().map(|(_, check)| (check.name, check.detail.as_str()));
    assert_eq!((verdict.exit_code(), reason.map(|(name, _)| name)), (exit, Some(name)), "{reason:?}");
    assert_eq!(verdict.word(), "rejected");
}

#[track_caller]
pub(crate) fn accepted(verdict: &Verdict) {
    assert_eq!((verdict.word(), verdict.exit_code()), ("accepted (test root)", 0), "{:?}", verdict.reason());
}

pub(crate) fn outcome(verdict: &Verdict, name: &str) -> &'static str {
    verdict.check(name).map_or("absent", |check| check.outcome.name())
}

pub(crate) fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
