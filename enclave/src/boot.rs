//! From a configuration to a gateway that has judged its own evidence: unseal, make keys, fix the core, extend PCR 15,
//! sign state 0, ask for the boot report, verify all of it, and only then open a port (docs/WIRE.md, P4).

use std::{
    fmt,
    sync::{Arc, RwLock},
};

use evidence::{
    Ed25519Public, UnixSeconds, Wallet,
    core::{Claims, Core, Platform, Recovery, core_digest},
    hmac_chain::{HmacChain, LENGTH, TagKey},
    json::object,
    profile::to_hex,
    report_data::report_data_without_nonce,
    state::{State, prices_digest},
};
use gate::ledger::FeePayer as _;
use identity::{Audience, session::Sessions};
use platform::{
    PcrSet, Tpm,
    keys::{BootKeys, LastingKeys, SealedKeys},
    keystore,
};

use crate::{
    build::Build,
    catalogue::{Catalogue, Server},
    config::Config,
    desk::Attested,
    hardware::Hardware,
    release::OwnRelease,
    states::StateChain,
    tls::{self, Tls, TlsKey, TlsNames},
};

/// The register that is closed with C, so that what runs later cannot unseal.
pub(crate) const CORE_PCR: u8 = 15;

/// The epoch of the HMAC chain in force. The first stays open until epochs are built.
const EPOCH: u32 = 1;

/// Why the gateway does not start.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    why: String,
    fix: String,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>, why: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.to_string(), fix: fix.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if !self.why.is_empty() {
            write!(f, ": {}", self.why)?;
        }
        if !self.fix.is_empty() {
            write!(f, "\nfix: {}", self.fix)?;
        }
        Ok(())
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new(error.to_string(), "", "")
    }
}

/// What a boot leaves behind.
pub(crate) struct Booted {
    /// Where the machine runs.
    pub(crate) platform: Platform,
    /// Everything the evidence desk serves.
    pub(crate) attested: Arc<Attested>,
    /// What gives fresh evidence.
    pub(crate) hardware: Hardware,
    /// Tags proofs in [`Self::epoch`].
    pub(crate) tag_key: TagKey,
    /// The epoch in force.
    pub(crate) epoch: u32,
    /// Instance of the core.
    pub(crate) instance: [u8; 32],
    /// The test root, where the platform is simulated.
    pub(crate) test_root: Option<Vec<u8>>,
    /// Keys that every boot of the lineage has.
    pub(crate) keys: LastingKeys,
    /// Digest of the genesis entry.
    pub(crate) lineage: [u8; 32],
    /// Who logs in to what.
    pub(crate) audience: Audience,
    /// Makes and checks sessions; its public key is in state 0.
    pub(crate) sessions: Sessions,
    /// What ends TLS, where the listener speaks it.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// `enclave keys init`
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(crate) fn init_keys(config: &Config) -> Result<(), Failure> {
    let pcrs = pcr_set(config)?;
    let keys = keystore::init(&config.tpm_tcti, &config.state_dir, &pcrs, now()?)
        .map_err(|error| Failure::new("the keys were not made", &error, error.fix()))?;
    println!("keys made and sealed to PCRs {:?}; lineage {}", config.tpm_pcrs, hex::encode(keys.lineage()));
    Ok(())
}

/// `enclave keys csr`. Unseals, so it works whenever the gateway itself could start.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(crate) fn print_csr(config: &Config) -> Result<(), Failure> {
    let Some(wanted) = &config.tls else {
        return Err(Failure::new("there is no section [tls]", "", "add [tls] with names = [\"…\"]"));
    };
    let (_, keys) = unseal(config)?;
    let refused = |error: tls::TlsError| Failure::new("no request was made", &error, error.fix());
    let key = keys.tls.pkcs8().expose(|der| TlsKey::from_pkcs8(der)).map_err(refused)?;
    let names = TlsNames::of(&wanted.names).map_err(refused)?;
    print!("{}", tls::request(&key, &names).map_err(refused)?);
    Ok(())
}

/// Brings the gateway to the point where it may serve. Blocks on TPM and device.
pub(crate) fn boot(config: &Config, build: &Build, catalogue: &Catalogue) -> Result<Booted, Failure> {
    let sealed_to = keystore::sealed_to(&config.state_dir)
        .map_err(|error| Failure::new("the sealed keys could not be read", &error, error.fix()))?;
    if sealed_to.indices() != config.tpm_pcrs {
        return Err(Failure::new(
            format!("tpm.pcrs = {:?}, but the keys are sealed to PCRs {:?}", config.tpm_pcrs, sealed_to.indices()),
            "",
            "set tpm.pcrs to the PCRs the keys are sealed to, or make new keys in another state_dir",
        ));
    }
    let release = config.release_manifest.as_ref().map(|path| OwnRelease::read(path, build)).transpose()?;
    let (sealed, keys) = unseal(config)?;
    let tls = tls(config, &keys)?;
    let audience = crate::app::audience(config, &sealed.lineage())?;
    let sessions = keys.session.pkcs8().expose(|der| Sessions::new(audience.clone(), der));
    let sessions = sessions.map_err(|_| Failure::new("the session key is not usable", "", "restore the key file"))?;
    let fresh = BootKeys::make()
        .map_err(|error| Failure::new("no keys for this boot", error, "check the machine's entropy"))?;
    let chain = sealed.hmac_seed().expose(|seed| HmacChain::new(fresh.instance, seed));
    let tag_key = chain.tag_key(EPOCH).ok_or_else(|| Failure::new("no HMAC key for the first epoch", "", ""))?;
    let hardware = Hardware::open(config)?;
    let core = Core {
        instance: fresh.instance,
        lineage: sealed.lineage(),
        platform: config.platform,
        boot: config.evidence.boot.name(),
        vtpm: hardware.core_vtpm(config),
        claims: Claims { release: release.as_ref().map(|release| release.name.clone()), ..build.claims() },
        proof_key: Ed25519Public::new(fresh.proof.public())
            .ok_or_else(|| Failure::new("the proof key is not usable", "small order", "start again"))?,
        peer_key: fresh.peer.public(),
        hmac_anchor: *chain.anchor(),
        hmac_length: LENGTH,
        release_keys: Vec::new(),
        recovery: Recovery { kind: "none", keys: Vec::new() },
        sealing_pcrs: config.tpm_pcrs.clone(),
        sealing_floor: 0,
    };
    let core_bytes = core.to_bytes().map_err(|error| Failure::new("the core does not fit its profile", error, ""))?;
    let core = core_digest(&core_bytes);
    close_core_pcr(config, &core)?;
    let proof_key = Arc::new(fresh.proof);
    let state = State {
        core,
        seq: 0,
        prev: core,
        tls: tls.iter().map(|tls| tls.spki_sha256()).collect(),
        jwks: Some(sessions.jwks_digest()),
        receipt: Some(Wallet::new(keys.receipt.address())),
        fee_payer: Some(Wallet::new(keys.fee_payer.address())),
        pay_to: config.payments.iter().map(|payments| payments.pay_to).collect(),
        prices: prices(config, catalogue)?,
        policy: None,
        catalogue: Some(catalogue.digest()),
    };
    let states = StateChain::begin(state, &proof_key)
        .map_err(|error| Failure::new("state 0 does not fit its profile", error, ""))?;
    let report_data = report_data_without_nonce(&core, &states.head());
    let report = hardware
        .source
        .collect(&report_data)
        .map_err(|error| Failure::new("the secure processor gave no boot report", &error, error.fix()))?;
    let quote = hardware.vtpm.as_ref().map(|vtpm| vtpm.quote(&report_data)).transpose();
    let quote = quote.map_err(|error| Failure::new("the TPM gave no quote of this boot", &error, error.fix()))?;
    let test_root = (config.platform == Platform::Simulated).then(|| report.root.as_bytes().to_vec());
    let attested = Attested {
        core_bytes,
        core,
        states: RwLock::new(states),
        boot: report,
        quote,
        event_log: hardware.event_log.clone(),
        release: release.map(|release| release.file),
        provenance: build.provenance.signed_bytes().map(<[u8]>::to_vec),
        proof_key,
    };
    Ok(Booted {
        platform: config.platform,
        attested: Arc::new(attested),
        tag_key,
        epoch: EPOCH,
        instance: fresh.instance,
        hardware,
        test_root,
        lineage: sealed.lineage(),
        audience,
        sessions,
        keys,
        tls: tls.map(Arc::new),
    })
}

/// The sealed keys, and the lasting ones that they wrap.
fn unseal(config: &Config) -> Result<(SealedKeys, LastingKeys), Failure> {
    let sealed = keystore::unseal(&config.tpm_tcti, &config.state_dir)
        .map_err(|error| Failure::new("the keys could not be unsealed", &error, error.fix()))?;
    let keys = LastingKeys::open(&config.state_dir, &sealed)
        .map_err(|error| Failure::new("the lasting keys could not be opened", &error, error.fix()))?;
    Ok((sealed, keys))
}

/// What the listener shows, by the sealed key.
fn tls(config: &Config, keys: &LastingKeys) -> Result<Option<Tls>, Failure> {
    let Some(wanted) = &config.tls else { return Ok(None) };
    let refused = |error: tls::TlsError| Failure::new("TLS cannot be served", &error, error.fix());
    let key = keys.tls.pkcs8().expose(|der| TlsKey::from_pkcs8(der)).map_err(refused)?;
    let names = TlsNames::of(&wanted.names).map_err(refused)?;
    let source = wanted.certificate.clone().map_or(tls::Source::SelfSigned, tls::Source::File);
    Tls::new(key, names, source, now()?).map(Some).map_err(refused)
}

/// `H("sealgate/prices/v1", J(defaults), J(server)…)`: a part for each server that has prices of its own.
pub(crate) fn prices(config: &Config, catalogue: &Catalogue) -> Result<Option<[u8; 32]>, Failure> {
    let Some(payments) = &config.payments else { return Ok(None) };
    let unfit = |error| Failure::new("the prices do not fit their profile", error, "use plain names of tools");
    let defaults = object([
        ("network", payments.network.caip2().into()),
        ("asset", to_hex(payments.network.usdc().as_bytes())),
        ("call", payments.price.units().to_string().into()),
        ("verify", payments.verify_price.units().to_string().into()),
    ]);
    let parts: Vec<_> =
        std::iter::once(defaults).chain(catalogue.servers().iter().filter_map(Server::prices)).collect();
    prices_digest(&parts).map(Some).map_err(unfit)
}

/// Certificates that were kept from an earlier boot may be what the verifier refuses: whoever answered in AMD's or
/// Azure's place, or wrote to the disk, would stop every boot to come. The next one asks again.
pub(crate) fn forget_collateral(config: &Config) {
    let kept = config.state_dir.join("collateral");
    match std::fs::remove_dir_all(&kept) {
        Ok(()) => tracing::warn!(folder = %kept.display(), "certificates kept from earlier boots are removed"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, folder = %kept.display(), "certificates kept from earlier boots stay"),
    }
}

/// The clock of this machine. The gateway's edge reads it; no decision does.
pub(crate) fn now() -> Result<UnixSeconds, Failure> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since
        .map(|since| UnixSeconds(since.as_secs()))
        .map_err(|error| Failure::new("the clock stands before 1970", error, "set the clock"))
}

fn pcr_set(config: &Config) -> Result<PcrSet, Failure> {
    PcrSet::new(&config.tpm_pcrs)
        .map_err(|error| Failure::new("tpm.pcrs is no set of PCRs", error, "list PCRs from 0 to 23, ascending"))
}

fn close_core_pcr(config: &Config, core: &[u8; 32]) -> Result<(), Failure> {
    let refused = |error: platform::TpmError| Failure::new("PCR 15 could not be closed", &error, error.fix());
    Tpm::open(&config.tpm_tcti).and_then(|mut tpm| tpm.extend_pcr(CORE_PCR, core)).map_err(refused)
}
