//! The running gateway.

use std::{fmt, net::SocketAddr, ops::Deref, path::PathBuf, sync::Arc, time::Duration};

use axum::extract::FromRef;

use evidence::{Digest, json::Value};
use gate::{OperatorRule, ledger::FeePayer as _};
use identity::{Audience, Authenticator, signed_request::Rules};
use platform::keys::{PseudonymKey, VaultMaster};
use store::Store;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{
    boot::{self, Failure},
    build::Build,
    catalogue::Catalogue,
    config::{Config, Network, PaymentsConfig},
    desk::{Desk, Pace},
    enablement::Enablement,
    http,
    listener::{self, Limits},
    mcp::lobby::Lobby,
    prover::{Kept, Prover},
    runner::Runner,
    semantic::{self, Semantic},
    till::{Rail, Till},
    vault::{self, Vault},
};

/// Proofs judged at once by `/api/verify`: a body of 16 MiB is a tree of many times that.
const VERIFICATIONS: usize = 2;

/// Bodies of `/api/verify` that are read at once: up to 16 MiB each.
const READINGS: usize = 16;

/// The gateway as one request sees it, from its beginning to its end: one catalogue, the state that names it, and what
/// all requests share.
pub(crate) struct App {
    shared: Arc<Shared>,
    /// What may be called.
    pub(crate) catalogue: Catalogue,
    /// S_n: the state that names this catalogue and its prices.
    pub(crate) state: Digest,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl App {
    /// The same gateway with another catalogue.
    pub(crate) fn with(&self, catalogue: Catalogue, state: Digest) -> Self {
        Self { shared: Arc::clone(&self.shared), catalogue, state }
    }
}

/// What requests come to: the catalogue in force. A request that has begun keeps the one it began with.
#[derive(Clone)]
pub(crate) struct Live(Arc<watch::Sender<Arc<App>>>);

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

impl Live {
    fn new(app: App) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(app))))
    }

    /// The gateway as it is now.
    pub(crate) fn now(&self) -> Arc<App> {
        Arc::clone(&self.0.borrow())
    }

    /// From here on, requests see this.
    pub(crate) fn replace(&self, app: App) {
        self.0.send_replace(Arc::new(app));
    }

    /// The gateway as it is now, and each time that another catalogue is in force: for what outlasts a reload.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<App>> {
        self.0.subscribe()
    }
}

impl FromRef<Live> for Arc<App> {
    fn from_ref(live: &Live) -> Self {
        live.now()
    }
}

/// Everything that requests share, whatever the catalogue.
pub(crate) struct Shared {
    /// The configuration. Its servers are those of the start.
    pub(crate) config: Config,
    /// The file it was read from.
    pub(crate) file: PathBuf,
    /// Held by whoever puts another catalogue in force.
    pub(crate) reloading: tokio::sync::Mutex<()>,
    /// Where it listens.
    pub(crate) listening: SocketAddr,
    /// How callers reach it, without a slash at the end.
    pub(crate) base: String,
    /// Tells who is calling.
    pub(crate) authenticator: Authenticator<Store, PseudonymKey>,
    /// Which callers must sign.
    pub(crate) operators: OperatorRule,
    /// Marks, tokens and the journal.
    pub(crate) store: Arc<Store>,
    /// Names for what must not be kept in clear.
    pub(crate) pseudonyms: Arc<PseudonymKey>,
    /// Secrets of callers.
    pub(crate) vault: Vault<Store, VaultMaster>,
    /// Where the vault's master key comes from: `tpm-sealed`, `env`.
    pub(crate) vault_key_source: &'static str,
    /// Takes money.
    pub(crate) till: Till,
    /// Who pays for gas, where calls cost something. Named in the state.
    pub(crate) fee_payer: Option<evidence::Wallet>,
    /// What each caller has switched on.
    pub(crate) enablement: Enablement,
    /// What the MCP endpoints keep between requests.
    pub(crate) lobby: Arc<Lobby>,
    /// Finds servers by meaning.
    pub(crate) semantic: Semantic,
    /// Tool calls that may run at once.
    pub(crate) slots: Semaphore,
    /// Proofs that may be on their way here at once.
    pub(crate) readings: Semaphore,
    /// Proofs that may be judged at once.
    pub(crate) verifications: Arc<Semaphore>,
    /// Runs servers.
    pub(crate) runner: Runner,
    /// Proves calls.
    pub(crate) prover: Prover,
    /// Answers nonces.
    pub(crate) desk: Desk,
    /// What this executable is.
    pub(crate) build: Build,
    /// Whether hardware protects it.
    pub(crate) tee_enabled: bool,
    /// Whether the evidence carries quotes.
    pub(crate) quotes: bool,
    /// Who runs the vTPM.
    pub(crate) vtpm_kind: &'static str,
    /// Who made the TPM, as it says itself.
    pub(crate) tpm_manufacturer: String,
    /// The test root, where the platform is simulated: what `/api/verify` judges under.
    pub(crate) test_root: Option<Vec<u8>>,
    /// The verdict on its own evidence, at start.
    pub(crate) self_check: Value,
    /// SHA-256 of the TLS key's SubjectPublicKeyInfo, where the listener speaks TLS.
    pub(crate) tls_spki: Option<Digest>,
    /// What that verdict does not prove.
    pub(crate) not_proven: Value,
}

/// Starts, serves until it is interrupted, and ends every container it started.
///
/// # Errors
/// [`Failure`]: what, why and how to fix it. No port has been opened then.
pub(crate) async fn run(config: Config, file: PathBuf) -> Result<(), Failure> {
    let build = Build::of_this_process();
    let runner = Runner::connect(&config).await?;
    // Strangers' packages are installed before any key is in memory.
    let catalogue = runner.install(&config).await?;
    let (config, build, catalogue, booted) = tokio::task::spawn_blocking(move || {
        let booted = boot::boot(&config, &build, &catalogue);
        (config, build, catalogue, booted)
    })
    .await
    .map_err(|error| Failure::new("the boot stopped half way", error, "look at the log above"))?;
    let booted = booted?;
    let verdict = crate::self_check::judge(&booted).inspect_err(|_| boot::forget_collateral(&config))?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        Failure::new(format!("cannot listen on {}", config.listen), error, "choose another port in listen")
    })?;
    let listening = listener
        .local_addr()
        .map_err(|error| Failure::new("the listener has no address", error, "choose another port in listen"))?;
    let scheme = if booted.tls.is_some() { "https" } else { "http" };
    let base = config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{listening}"));
    let (tls, keys) = (booted.tls, booted.keys);
    let pseudonyms = Arc::new(keys.pseudonym);
    let row_key: Arc<dyn gate::keep::RowCipher> = Arc::new(keys.row);
    let opened = |error: store::OpenError| Failure::new("the store could not be opened", &error, error.fix());
    let store = Store::open(&config.state_dir.join("gateway.db"), row_key).await.map_err(opened)?;
    let store = Arc::new(store);
    if let Some(directory) = &config.vault.directory {
        std::fs::create_dir_all(directory)
            .map_err(|error| Failure::new(format!("no directory {}", directory.display()), error, "make it"))?;
    }
    let (master, vault_lineage, vault_key_source) = vault::master(&config.vault, keys.vault, booted.lineage)?;
    // All of the vault's keys come from its master: its directory opens wherever the master does.
    let vault_row_key: Arc<dyn gate::keep::RowCipher> = Arc::new(master.row_key());
    let vault_pseudonyms = Arc::new(master.pseudonym_key());
    let rows = match &config.vault.directory {
        Some(directory) => Store::open(&directory.join("vault.db"), vault_row_key).await.map_err(opened)?,
        None => Store::in_memory(vault_row_key).await.map_err(opened)?,
    };
    let chain_id = config.payments.as_ref().map_or(Network::Base, |payments| payments.network).chain_id();
    let rules = Rules::of_chain(chain_id);
    let fee_payer = config.payments.as_ref().map(|_| evidence::Wallet::new(keys.fee_payer.address()));
    let rail = match &config.payments {
        Some(payments) => Some(rail(payments, &store, keys.fee_payer, &pseudonyms).await?),
        None => None,
    };
    if let Some(rail) = &rail {
        tokio::spawn(recover(Arc::clone(rail)));
    }
    let mut not_proven = verdict.not_proven;
    if let Value::Array(codes) = &mut not_proven {
        // The databases lie on the host's disk, which can put an older file back.
        codes.push("database-freshness".into());
        if vault_key_source == "env" {
            codes.push("env-master".into());
        }
    }
    let semantic = Semantic::new(config.embeddings.as_ref())?;
    let enablement = Enablement::new(Arc::clone(&store), Arc::clone(&pseudonyms) as Arc<dyn gate::keep::Pseudonyms>);
    let attested = Arc::clone(&booted.attested);
    let tee_enabled = booted.hardware.source.tee_enabled();
    let state = attested.head();
    let shared = Arc::new(Shared {
        authenticator: Authenticator::new(
            Arc::clone(&store),
            Arc::clone(&pseudonyms),
            booted.audience,
            booted.sessions,
            rules,
        ),
        operators: OperatorRule::of(config.identity.signers.iter().copied()),
        vault: Vault::new(Arc::new(rows), master, vault_pseudonyms, vault_lineage),
        vault_key_source,
        store,
        pseudonyms,
        till: Till::new(rail, base.clone()),
        base,
        fee_payer,
        lobby: Lobby::open().map_err(|error| Failure::new("no randomness", error, "look at the system's log"))?,
        enablement,
        semantic,
        slots: Semaphore::new(config.calls_at_once),
        readings: Semaphore::new(READINGS),
        verifications: Arc::new(Semaphore::new(VERIFICATIONS)),
        prover: Prover {
            core: attested.core,
            instance: booted.instance,
            platform: config.platform,
            tee_enabled,
            report_sha256: verdict.report_sha256,
            build: build.clone(),
            runtime: config.runtime.name(),
            epoch: booted.epoch,
            tag_key: booted.tag_key,
            proof_key: Arc::clone(&attested.proof_key),
            kept: Kept::default(),
        },
        quotes: booted.hardware.vtpm.is_some(),
        desk: Desk::open(
            attested,
            booted.hardware.source,
            booted.hardware.vtpm,
            Pace { window: config.evidence.nonce_window, interval: config.evidence.nonce_interval },
        ),
        runner,
        build,
        listening,
        tee_enabled,
        vtpm_kind: config.evidence.vtpm().name(),
        tpm_manufacturer: booted.hardware.tpm_manufacturer,
        test_root: booted.test_root,
        self_check: verdict.json,
        not_proven,
        tls_spki: tls.as_ref().map(|tls| tls.spki_sha256()),
        reloading: tokio::sync::Mutex::default(),
        file,
        config,
    });
    let live = Live::new(App { shared: Arc::clone(&shared), catalogue, state });
    tracing::info!(address = %listening, platform = shared.config.platform.as_str(), "the gateway serves");
    if let Some(tls) = tls.clone() {
        tokio::spawn(async move { tls.keep_fresh(|| boot::now().ok()).await });
    }
    tokio::spawn(semantic::keep_up(live.now()));
    let router = http::router(live);
    let limits = Limits::default().within_descriptors();
    // On loopback everybody may come through one front.
    let limits = match listening.ip().is_loopback() {
        true => Limits { connections_of_one_client: limits.connections, ..limits },
        false => limits,
    };
    listener::serve(listener, tls, router, limits, interrupted()).await;
    shared.runner.stop().await;
    tracing::info!("the gateway has stopped");
    Ok(())
}

/// Who logs in to what: the gateway's public address, else its lineage. Sessions are good for one audience.
pub(crate) fn audience(config: &Config, lineage: &[u8; 32]) -> Result<Audience, Failure> {
    let text = config
        .public_url
        .clone()
        .unwrap_or_else(|| format!("sealgate-{}", hex::encode(lineage.get(..8).unwrap_or_default())));
    Audience::new(&text).map_err(|error| Failure::new("public_url names no audience", error, "shorten public_url"))
}

/// The rail, over nodes that serve the configured chain. Nodes that do not answer now are asked again by each payment.
async fn rail(
    payments: &PaymentsConfig,
    store: &Arc<Store>,
    fee_payer: platform::keys::FeePayerKey,
    pseudonyms: &Arc<PseudonymKey>,
) -> Result<Arc<Rail>, Failure> {
    let nodes = chain::Nodes::new(payments.network.chain_id(), payments.rpc.clone(), chain::Limits::default());
    let nodes = nodes.map_err(|error| Failure::new("payments.rpc", &error, error.fix()))?;
    match nodes.confirm().await {
        Ok(()) => {}
        Err(error @ gate::ledger::ChainError::OtherChain { .. }) => {
            return Err(Failure::new("payments.rpc", error, "name nodes of payments.network"));
        }
        Err(error) => tracing::warn!(%error, "payments are refused until the chain answers"),
    }
    let config = payments::Config {
        chain_id: payments.network.chain_id(),
        asset: payments.network.usdc(),
        domain_name: payments.network.usdc_name().to_owned(),
        settle_within: Duration::from_secs(payments.confirm_wait_s),
        ..payments::Config::base_usdc(payments.pay_to)
    };
    let account = identity::eth::checksummed(evidence::Wallet::new(fee_payer.address()));
    tracing::info!(account, "this account pays for gas; fund it");
    let fee_payer = Arc::new(fee_payer);
    let rail = Rail::new(
        config,
        Arc::clone(store),
        Arc::new(nodes),
        fee_payer,
        Arc::clone(pseudonyms) as Arc<dyn gate::keep::Pseudonyms>,
    );
    let rail = rail.map_err(|error| Failure::new("payments cannot work", &error, error.fix()))?;
    match rail.probe().await {
        Ok(()) => {}
        Err(refusal @ payments::PaymentRefusal::CannotSettle(_)) => {
            return Err(Failure::new("payments cannot work", &refusal, refusal.fix()));
        }
        Err(refusal) => tracing::warn!(%refusal, "the token could not be looked at yet"),
    }
    Ok(Arc::new(rail))
}

/// How often unfinished payments are looked at.
const RECOVERY: Duration = Duration::from_secs(15);

/// Brings unfinished payments to their end, for as long as the gateway runs.
async fn recover(rail: Arc<Rail>) {
    loop {
        match boot::now() {
            Ok(now) => match rail.recover(now).await {
                Ok(report) if report == payments::Report::default() => {}
                Ok(report) => tracing::info!(?report, "unfinished payments were looked at"),
                Err(error) => tracing::error!(%error, "the journal does not answer"),
            },
            Err(failure) => tracing::error!(%failure, "no recovery without a clock"),
        }
        tokio::time::sleep(RECOVERY).await;
    }
}

/// Ends when the process is asked to: Ctrl-C or SIGTERM.
async fn interrupted() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be listened for");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
