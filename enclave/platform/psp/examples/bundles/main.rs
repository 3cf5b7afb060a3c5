//! Makes evidence bundles of a whole simulated boot, good ones and ones with one fault each, for
//! `tests/verify-bundle`: `cargo run -p software-psp --example bundles -- DIR`.
//!
//! Beside `good.json` and `no-nonce.json` a file is named `CODE-fault.json`, after the exit code a verifier owes it
//! when the test root is named: `root-PRODUCT.der` if a product is in its name, otherwise `root.der`. Faults that need
//! no key are made by the test itself.

#![allow(clippy::indexing_slicing, reason = "a maker of vectors that panics has made none")]

mod quoted;

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use evidence::{
    Digest, Ed25519Public, Wallet,
    bundle::{Bundle, CarriedReport, CarriedState, EndorsedReport, Fresh, VekKind},
    core::{Claims, Core, Platform, Recovery, Vtpm, core_digest},
    hash,
    hmac_chain::HmacChain,
    merkle,
    report_data::{Nonce, Purpose, report_data, report_data_without_nonce},
    state::{State, evidence_message, state_digest, state_message},
    tag,
};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use rsa::RsaPrivateKey;
use software_psp::{Authority, Product, ReportRequest, SoftwarePsp};
use time::macros::datetime;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: bundles DIR");
        return ExitCode::from(1);
    };
    match make(&dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(dir: &std::path::Path) -> Outcome<()> {
    let (made, rng) = (datetime!(2026-01-01 0:00 UTC), &mut rsa::rand_core::OsRng);
    // RSA-4096 keys take seconds each, so the three products share theirs.
    let keys = (0..3).map(|_| RsaPrivateKey::new(rng, 4096)).collect::<Result<Vec<_>, _>>()?;
    let [ark, ask, asvk] = &keys[..] else { return Err("three keys".into()) };
    fs::create_dir_all(dir)?;
    let mut genoa = None;
    for product in [Product::Milan, Product::Genoa, Product::Turin] {
        let authority = Authority::from_keys(product, ark.clone(), ask.clone(), made, rng)?;
        let psp = SoftwarePsp::new(authority.with_asvk_key(asvk.clone(), made, rng)?, made, rng)?;
        fs::write(dir.join(format!("root-{}.der", product.name().to_lowercase())), psp.ark())?;
        let boot = Boot::new(psp)?;
        quoted::products(dir, &boot)?;
        if product == Product::Genoa {
            genoa = Some(boot);
        }
    }
    let boot = genoa.ok_or("three products")?;
    fs::write(dir.join("root.der"), boot.psp.ark())?;
    quoted::faults(dir, &boot)?;
    let bytes = |plan: &Plan| -> Outcome<Vec<u8>> { Ok(boot.bundle(plan)?.to_bytes()?) };
    fs::write(dir.join("good.json"), bytes(&Plan::default())?)?;
    fs::write(dir.join("no-nonce.json"), bytes(&Plan { fresh: false, ..Plan::default() })?)?;
    let faults: [(&str, Plan); 15] = [
        ("6-boot-report-of-another-core", Plan { boot_core: Some([9; 32]), ..Plan::default() }),
        ("6-boot-report-of-the-newest-state", Plan { boot_of_newest: true, ..Plan::default() }),
        ("6-fresh-report-of-state-0", Plan { fresh_of_first: true, ..Plan::default() }),
        ("6-states-with-one-seq", Plan { second_seq: 0, ..Plan::default() }),
        ("6-state-with-a-gap", Plan { second_seq: 2, ..Plan::default() }),
        ("6-state-after-another", Plan { second_prev: Some([7; 32]), ..Plan::default() }),
        ("6-state-of-another-core", Plan { second_core: Some([7; 32]), ..Plan::default() }),
        ("3-state-signed-by-another-key", Plan { stranger_signs_state: true, ..Plan::default() }),
        ("6-possession-by-another-key", Plan { stranger_possesses: true, ..Plan::default() }),
        ("6-core-says-baremetal", Plan { platform: Platform::Baremetal, ..Plan::default() }),
        ("2-proof-key-of-small-order", Plan { proof_key: Some(small_order()), ..Plan::default() }),
        ("5-debug-allowed", Plan { change: |report| report.policy |= 1 << 19, ..Plan::default() }),
        ("5-asked-for-at-vmpl-1", Plan { change: |report| report.vmpl = 1, ..Plan::default() }),
        ("6-firmware-level", Plan { change: |report| report.tcb.microcode ^= 1, ..Plan::default() }),
        ("2-version-6", Plan { change: |report| report.version = 6, ..Plan::default() }),
    ];
    for (name, plan) in faults {
        fs::write(dir.join(format!("{name}.json")), bytes(&plan)?)?;
    }
    Ok(())
}

/// The encoded point of order 1: a core may not name it.
fn small_order() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
}

/// One bundle: what of it is not as it should be.
struct Plan {
    fresh: bool,
    platform: Platform,
    proof_key: Option<[u8; 32]>,
    boot_core: Option<Digest>,
    boot_of_newest: bool,
    fresh_of_first: bool,
    second_seq: u64,
    second_prev: Option<Digest>,
    second_core: Option<Digest>,
    stranger_signs_state: bool,
    stranger_possesses: bool,
    change: fn(&mut ReportRequest),
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            fresh: true,
            platform: Platform::Simulated,
            proof_key: None,
            boot_core: None,
            boot_of_newest: false,
            fresh_of_first: false,
            second_seq: 1,
            second_prev: None,
            second_core: None,
            stranger_signs_state: false,
            stranger_possesses: false,
            change: |_| {},
        }
    }
}

pub(crate) struct Boot {
    psp: SoftwarePsp,
    key: Ed25519KeyPair,
    stranger: Ed25519KeyPair,
}

impl Boot {
    fn new(psp: SoftwarePsp) -> Outcome<Self> {
        let made = || -> Outcome<Ed25519KeyPair> {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| "no randomness")?;
            Ok(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|error| error.to_string())?)
        };
        Ok(Self { psp, key: made()?, stranger: made()? })
    }

    fn bundle(&self, plan: &Plan) -> Outcome<Bundle> {
        let core_bytes = self.core(plan)?;
        let core = core_digest(&core_bytes);
        let first = state(core, 0, core).to_bytes()?;
        let s_0 = state_digest(&core, &first);
        let second =
            state(plan.second_core.unwrap_or(core), plan.second_seq, plan.second_prev.unwrap_or(s_0)).to_bytes()?;
        let s_1 = state_digest(&core, &second);
        let nonces = (0..3).map(|n| Nonce::new(vec![0xa0 | n; 32])).collect::<Result<Vec<_>, _>>()?;
        let leaves: Vec<_> = nonces.iter().map(|nonce| nonce.leaf(Purpose::Client)).collect();
        let boot_rd =
            report_data_without_nonce(&plan.boot_core.unwrap_or(core), if plan.boot_of_newest { &s_1 } else { &s_0 });
        let fresh_rd = report_data(&merkle::root(&leaves), 3, &core, if plan.fresh_of_first { &s_0 } else { &s_1 });
        let possesses = if plan.stranger_possesses { &self.stranger } else { &self.key };
        let CarriedReport { report, vek, possession } = self.carried(plan, &core, fresh_rd, &self.key)?;
        let fresh = Fresh {
            report: Some(EndorsedReport { report, vek }),
            quote: None,
            possession,
            purpose: Purpose::Client,
            nonce: nonces.into_iter().nth(2).ok_or("three nonces")?,
            index: 2,
            count: 3,
            path: merkle::path(&leaves, 2).ok_or("three leaves")?,
        };
        let signs = if plan.stranger_signs_state { &self.stranger } else { &self.key };
        Ok(Bundle {
            vek_kind: VekKind::Vcek,
            intermediate: self.psp.ask().to_vec(),
            root: self.psp.ark().to_vec(),
            crls: Vec::new(),
            boot: self.carried(plan, &core, boot_rd, possesses)?,
            fresh: plan.fresh.then_some(fresh),
            quote: None,
            event_log: None,
            hcl: None,
            svsm_manifest: None,
            release: None,
            provenance: None,
            states: vec![
                CarriedState { signature: sign(&self.key, &state_message(&core, &first))?, bytes: first },
                CarriedState { signature: sign(signs, &state_message(&core, &second))?, bytes: second },
            ],
            core: core_bytes,
        })
    }

    fn carried(&self, plan: &Plan, core: &Digest, rd: [u8; 64], key: &Ed25519KeyPair) -> Outcome<CarriedReport> {
        let mut request = self.psp.request(5, rd);
        (plan.change)(&mut request);
        Ok(CarriedReport {
            report: self.psp.report(&request).to_vec(),
            vek: self.psp.vcek().to_vec(),
            possession: sign(key, &evidence_message(core, &rd))?,
        })
    }

    fn core(&self, plan: &Plan) -> Outcome<Vec<u8>> {
        let public: [u8; 32] = self.key.public_key().as_ref().try_into()?;
        let instance = [0x1a; 32];
        let core = Core {
            instance,
            lineage: hash(tag::GENESIS, &[b"{}"]),
            platform: plan.platform,
            boot: "software",
            vtpm: Vtpm { kind: "software", ak_name: None, ak_spki: None, ek_name: None },
            claims: Claims { release: Some("höhe \"1\"".to_owned()), ..Claims::default() },
            proof_key: Ed25519Public::new(public).ok_or("a key ring made is canonical")?,
            peer_key: [0x33; 32],
            hmac_anchor: *HmacChain::new(instance, &[0x5e; 32]).anchor(),
            hmac_length: evidence::hmac_chain::LENGTH,
            release_keys: Vec::new(),
            recovery: Recovery { kind: "none", keys: Vec::new() },
            sealing_pcrs: vec![4, 7, 11],
            sealing_floor: 0,
        };
        let bytes = core.to_bytes()?;
        let Some(other) = plan.proof_key else { return Ok(bytes) };
        // The type cannot hold such a key, so it is written into the text.
        Ok(String::from_utf8(bytes)?.replace(&hex::encode(public), &hex::encode(other)).into_bytes())
    }
}

/// State 0 is that of a gateway whose calls are free; each later one has every member.
fn state(core: Digest, seq: u64, prev: Digest) -> State {
    let paid = seq > 0;
    let catalogue = Some(hash(tag::CATALOGUE, &[&seq.to_be_bytes()]));
    State {
        core,
        seq,
        prev,
        tls: if paid { vec![[0x75; 32], [0x74; 32]] } else { Vec::new() },
        jwks: paid.then_some([0x6a; 32]),
        receipt: paid.then_some(Wallet::new([0x72; 20])),
        fee_payer: paid.then_some(Wallet::new([0x66; 20])),
        pay_to: if paid { vec![Wallet::new([0x70; 20]), Wallet::new([0x71; 20])] } else { Vec::new() },
        prices: paid.then_some([0x24; 32]),
        policy: None,
        catalogue,
    }
}

fn sign(key: &Ed25519KeyPair, message: &[u8]) -> Outcome<[u8; 64]> {
    Ok(key.sign(message).as_ref().try_into()?)
}
