//! Makes `tests/vectors/proofs` anew: `cargo run -p software-psp --example proofs -- tests/vectors/proofs`.
//!
//! One simulated boot, and proofs of free and paid calls, good ones and ones with one fault each. The keys live as long as
//! this process, so nothing more can be signed for the committed bundle.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use evidence::{
    Digest, Ed25519Public, Opened, OpeningSeed, ResultObject, UnixSeconds, UsdcAmount, Wallet,
    bundle::{Bundle, CarriedReport, CarriedState, VekKind},
    core::{Claims, Core, Platform, Recovery, Vtpm, core_digest},
    hash,
    hmac_chain::{HmacChain, LENGTH},
    json::{Limits, Value, parse},
    payment::{Authorization, PaymentClaim},
    proof::{Envelope, Execution, GatewayClaim, Opening, Proof, ProofBody, RegistryDigest, ServerClaim, proof_message},
    report_data::report_data_without_nonce,
    request_hash, response_hash,
    settlement::{self, Settlement, SignedSettlement, settlement_message},
    state::{State, evidence_message, jwks_digest, prices_digest, state_digest, state_message},
    tag,
};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use software_psp::{Authority, Product, SoftwarePsp};
use time::macros::datetime;

type Outcome<T> = Result<T, Box<dyn Error>>;

const AT: &str = "2026-06-01T00:00:00Z";
const INSTANCE: [u8; 32] = [0x1a; 32];
const SEED: [u8; 32] = [0x5e; 32];
const OPENING: [u8; 32] = [0x0f; 32];
const SERVER: &str = "0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f";
const PAYEE: Wallet = Wallet::new([0x70; 20]);
const LATER_PAYEE: Wallet = Wallet::new([0x71; 20]);
const SETTLED: settlement::Outcome =
    settlement::Outcome::Settled { transaction: [0x7a; 32], receipt_sha256: Some([0x5c; 32]) };

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: proofs DIR");
        return ExitCode::from(1);
    };
    match make(&dir) {
        Ok(cases) => {
            eprintln!("{cases} cases");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A case: what of a paid call with its settlement is otherwise, and what a verifier owes.
struct Plan {
    name: &'static str,
    /// The call failed.
    failed: bool,
    body: fn(&mut ProofBody, &Boot),
    /// `None`: no settlement.
    settlement: Option<fn(&mut Settlement)>,
    stranger_settles: bool,
    payment: Option<&'static str>,
    rows: [&'static str; 2],
    rejects: Option<&'static str>,
}

impl Plan {
    fn passes(name: &'static str, rows: [&'static str; 2]) -> Self {
        Self {
            name,
            failed: false,
            body: |_, _| {},
            settlement: Some(|_| {}),
            stranger_settles: false,
            payment: None,
            rows,
            rejects: None,
        }
    }

    fn payment_fails(name: &'static str, body: fn(&mut ProofBody, &Boot)) -> Self {
        Self { body, rejects: Some("payment"), ..Self::passes(name, ["fail", "pass"]) }
    }

    fn settlement_fails(name: &'static str, change: fn(&mut Settlement)) -> Self {
        let rows = ["not_checked", "fail"];
        Self { settlement: Some(change), rejects: Some("settlement"), ..Self::passes(name, rows) }
    }
}

fn plans() -> Vec<Plan> {
    let given = Some("payment.json");
    let of_state_1: fn(&mut ProofBody, &Boot) = |body, boot| body.state = boot.newest;
    vec![
        Plan {
            body: |body, _| body.payment = None,
            settlement: None,
            ..Plan::passes("pass_free_call", ["not_checked", "absent"])
        },
        Plan { payment: given, ..Plan::passes("pass_paid_call", ["pass", "pass"]) },
        Plan { payment: Some("payment-x402.json"), ..Plan::passes("pass_paid_call_x402", ["pass", "pass"]) },
        Plan { settlement: None, ..Plan::passes("pass_paid_call_without_settlement", ["not_checked", "not_checked"]) },
        Plan {
            settlement: Some(|of| of.outcome = settlement::Outcome::Pending { transaction: None }),
            ..Plan::passes("pass_paid_call_pending", ["not_checked", "not_checked"])
        },
        Plan {
            failed: true,
            settlement: Some(|of| of.outcome = settlement::Outcome::Released),
            ..Plan::passes("pass_failed_call_released", ["not_checked", "pass"])
        },
        Plan {
            payment: Some("payment-of-another.json"),
            ..Plan::payment_fails("fail_payment_of_another_call", |_, _| {})
        },
        Plan {
            payment: given,
            settlement: None,
            rows: ["fail", "absent"],
            ..Plan::payment_fails("fail_payment_given_for_a_free_call", |body, _| body.payment = None)
        },
        Plan::payment_fails("fail_pay_to_not_in_state", |body, _| {
            let stranger = Authorization { to: Wallet::new([0x99; 20]), ..terms() };
            body.payment = claim(&stranger).ok();
        }),
        Plan::payment_fails("fail_pay_to_of_an_earlier_state", of_state_1),
        Plan::payment_fails("fail_state_without_prices", |body, boot| {
            body.state = boot.newest;
            body.payment = claim(&Authorization { to: LATER_PAYEE, ..terms() }).ok();
        }),
        Plan::settlement_fails("fail_settlement_of_another_proof", |of| of.proof = [0x99; 32]),
        Plan::settlement_fails("fail_settlement_of_another_core", |of| of.core = [0x99; 32]),
        Plan::settlement_fails("fail_settlement_ref", |of| of.payment_ref = [0x99; 32]),
        Plan::settlement_fails("fail_settlement_network", |of| of.network = "eip155:84532".to_owned()),
        Plan::settlement_fails("fail_settlement_amount", |of| of.amount = UsdcAmount::from_units(499)),
        Plan { stranger_settles: true, ..Plan::settlement_fails("fail_settlement_by_another_key", |_| {}) },
        Plan {
            body: |body, _| body.payment = None,
            ..Plan::settlement_fails("fail_settlement_of_a_free_call", |_| {})
        },
        Plan { failed: true, ..Plan::settlement_fails("fail_failed_call_charged", |_| {}) },
        Plan::settlement_fails("fail_answered_call_released", |of| of.outcome = settlement::Outcome::Released),
    ]
}

fn make(dir: &Path) -> Outcome<usize> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    let boot = Boot::new()?;
    fs::write(dir.join("README.md"), include_str!("proofs.md"))?;
    fs::write(dir.join("root.der"), boot.psp.ark())?;
    fs::write(dir.join("bundle.json"), boot.bundle.to_bytes()?)?;
    fs::write(dir.join("payment.json"), terms().to_bytes()?)?;
    fs::write(dir.join("payment-of-another.json"), Authorization { nonce: [0x99; 32], ..terms() }.to_bytes()?)?;
    fs::write(dir.join("payment-x402.json"), serde_json::to_vec_pretty(&x402(&terms()))?)?;
    let mut manifest = Vec::new();
    for plan in plans() {
        let file = format!("{}.json", plan.name);
        fs::write(dir.join(&file), boot.envelope(&plan)?.to_value().to_text())?;
        let [payment, settlement] = plan.rows;
        manifest.push(json!({
            "id": plan.name, "at": AT, "proof": file, "exit": if plan.rejects.is_some() { 7 } else { 0 },
            "payment": plan.payment, "rows": {"payment": payment, "settlement": settlement}, "rejects": plan.rejects,
        }));
    }
    fs::write(dir.join("cases.json"), serde_json::to_vec_pretty(&manifest)?)?;
    Ok(manifest.len())
}

struct Boot {
    psp: SoftwarePsp,
    key: Ed25519KeyPair,
    stranger: Ed25519KeyPair,
    core: Digest,
    /// S_0.
    first: Digest,
    /// S_1.
    newest: Digest,
    bundle: Bundle,
}

impl Boot {
    fn new() -> Outcome<Self> {
        let (made, rng) = (datetime!(2026-01-01 0:00 UTC), &mut rsa::rand_core::OsRng);
        let psp = SoftwarePsp::new(Authority::generate(Product::Genoa, made, rng)?, made, rng)?;
        let (key, stranger) = (new_key()?, new_key()?);
        let core_bytes = core(&key)?.to_bytes()?;
        let core = core_digest(&core_bytes);
        let carried = |seq, prev| -> Outcome<(Digest, CarriedState)> {
            let bytes = state(core, seq, prev)?.to_bytes()?;
            let signature = sign(&key, &state_message(&core, &bytes))?;
            Ok((state_digest(&core, &bytes), CarriedState { signature, bytes }))
        };
        let (first, state_0) = carried(0, core)?;
        let (newest, state_1) = carried(1, first)?;
        let rd = report_data_without_nonce(&core, &first);
        let boot = CarriedReport {
            report: psp.report(&psp.request(5, rd)).to_vec(),
            vek: psp.vcek().to_vec(),
            possession: sign(&key, &evidence_message(&core, &rd))?,
        };
        let bundle = Bundle {
            vek_kind: VekKind::Vcek,
            intermediate: psp.ask().to_vec(),
            root: psp.ark().to_vec(),
            crls: Vec::new(),
            boot,
            fresh: None,
            quote: None,
            event_log: None,
            hcl: None,
            svsm_manifest: None,
            release: None,
            provenance: None,
            core: core_bytes,
            states: vec![state_0, state_1],
        };
        Ok(Self { psp, key, stranger, core, first, newest, bundle })
    }

    fn envelope(&self, plan: &Plan) -> Outcome<Envelope> {
        let mut body = self.body(plan.failed)?;
        (plan.body)(&mut body, self);
        let bytes = body.to_bytes()?;
        let chain = HmacChain::new(INSTANCE, &SEED);
        let proof = Proof {
            tag: chain.tag_key(body.epoch).ok_or("an epoch of the chain")?.tag(&self.core, &bytes),
            key_source: "tpm-sealed".to_owned(),
            tag_key_id: "hint".to_owned(),
            signature: sign(&self.key, &proof_message(&self.core, &bytes))?,
            signature_key_id: "hint".to_owned(),
            body,
        };
        let settlement = plan.settlement.map(|change| self.settled(&proof, plan, change)).transpose()?;
        Ok(Envelope { proof, opening: Some(Opening::of_seed(&OpeningSeed::new(OPENING))), settlement })
    }

    fn settled(&self, proof: &Proof, plan: &Plan, change: fn(&mut Settlement)) -> Outcome<SignedSettlement> {
        let claim = proof.body.payment.clone().map_or_else(|| claim(&terms()), Ok)?;
        let mut settlement = Settlement {
            core: self.core,
            proof: proof.entry_digest()?,
            payment_ref: claim.payment_ref,
            outcome: SETTLED,
            network: claim.network,
            amount: claim.amount,
        };
        change(&mut settlement);
        let signs = if plan.stranger_settles { &self.stranger } else { &self.key };
        let signature = sign(signs, &settlement_message(&self.core, &settlement.to_bytes()?))?;
        Ok(SignedSettlement { settlement, signature, signature_key_id: "hint".to_owned() })
    }

    fn body(&self, failed: bool) -> Outcome<ProofBody> {
        let salts = OpeningSeed::new(OPENING);
        let id = SERVER.parse()?;
        let arguments = tree(r#"{"message":"hello"}"#)?;
        let result = if failed {
            ResultObject::of_error(tree(r#"{"code":-32603,"message":"it broke"}"#)?)?
        } else {
            ResultObject::of(tree(r#"{"content":[{"type":"text","text":"Echo: hello"}]}"#)?)?
        };
        Ok(ProofBody {
            id: [0x1d; 32],
            core: self.core,
            state: self.first,
            epoch: 1,
            gateway: GatewayClaim {
                code_hash: None,
                git_commit: None,
                tee_enabled: false,
                platform: Platform::Simulated,
                instance: INSTANCE,
                report_sha256: Sha256::digest(self.bundle.boot.report.get(..0x2A0).ok_or("a report")?).into(),
            },
            execution: Execution {
                tool: "echo".to_owned(),
                request_hash: request_hash(&salts.salt(Opened::Request), &id, "echo", &arguments),
                response_hash: response_hash(&salts.salt(Opened::Response), &result),
                is_error: result.is_error(),
                timestamp: 1_780_271_999_123,
                time_source: "host-clock",
                duration_ms: 7,
                environment: Vec::new(),
                challenge: None,
            },
            server: ServerClaim {
                id,
                package: "@modelcontextprotocol/server-everything@2026.8.31".to_owned(),
                registry_digest: Some(RegistryDigest::Sha512([0x51; 64])),
                lock_digest: Some([0x10; 32]),
                image_digest: [0x13; 32],
                runtime: "runc".to_owned(),
            },
            caller: None,
            payment: Some(claim(&terms())?),
        })
    }
}

fn core(key: &Ed25519KeyPair) -> Outcome<Core> {
    Ok(Core {
        instance: INSTANCE,
        lineage: hash(tag::GENESIS, &[b"{}"]),
        platform: Platform::Simulated,
        boot: "software",
        vtpm: Vtpm { kind: "software", ak_name: None, ak_spki: None, ek_name: None },
        claims: Claims::default(),
        proof_key: Ed25519Public::new(key.public_key().as_ref().try_into()?).ok_or("a key ring made is canonical")?,
        peer_key: [0x33; 32],
        hmac_anchor: *HmacChain::new(INSTANCE, &SEED).anchor(),
        hmac_length: LENGTH,
        release_keys: Vec::new(),
        recovery: Recovery { kind: "none", keys: Vec::new() },
        sealing_pcrs: vec![4, 7, 11],
        sealing_floor: 0,
    })
}

fn state(core: Digest, seq: u64, prev: Digest) -> Outcome<State> {
    let first = seq == 0;
    Ok(State {
        core,
        seq,
        prev,
        tls: vec![[0x75; 32]],
        jwks: Some(jwks_digest(&tree(r#"{"keys":[]}"#)?)?),
        receipt: Some(Wallet::new([0x72; 20])),
        fee_payer: Some(Wallet::new([0x66; 20])),
        pay_to: vec![if first { PAYEE } else { LATER_PAYEE }],
        prices: if first { Some(prices_digest(&[tree(r#"{"default":"500"}"#)?])?) } else { None },
        policy: None,
        catalogue: Some(hash(tag::CATALOGUE, &[b"[]"])),
    })
}

fn terms() -> Authorization {
    Authorization {
        network: "eip155:8453".to_owned(),
        asset: Wallet::new([0x83; 20]),
        from: Wallet::new([0xf0; 20]),
        to: PAYEE,
        value: UsdcAmount::from_units(500),
        valid_after: UnixSeconds(0),
        valid_before: UnixSeconds(1_780_272_300),
        nonce: [0x4e; 32],
    }
}

fn claim(terms: &Authorization) -> Outcome<PaymentClaim> {
    Ok(PaymentClaim::of(terms, &OpeningSeed::new(OPENING).salt(Opened::Payment))?)
}

fn x402(terms: &Authorization) -> serde_json::Value {
    let (units, nonce) = (terms.value.units().to_string(), format!("0x{}", hex::encode(terms.nonce)));
    json!({
        "x402Version": 2,
        "accepted": {
            "scheme": "exact", "network": terms.network, "amount": units, "asset": terms.asset.to_string(),
            "payTo": terms.to.to_string(), "maxTimeoutSeconds": 60, "extra": {"name": "USD Coin", "version": "2"},
        },
        "payload": {
            "authorization": {
                "from": terms.from.to_string(), "to": terms.to.to_string(), "value": units,
                "validAfter": terms.valid_after.0.to_string(), "validBefore": terms.valid_before.0.to_string(),
                "nonce": nonce,
            },
        },
    })
}

fn tree(text: &str) -> Outcome<Value> {
    Ok(parse(text.as_bytes(), &Limits::THEIRS)?)
}

fn new_key() -> Outcome<Ed25519KeyPair> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| "no randomness")?;
    Ok(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|error| error.to_string())?)
}

fn sign(key: &Ed25519KeyPair, message: &[u8]) -> Outcome<[u8; 64]> {
    Ok(key.sign(message).as_ref().try_into()?)
}
