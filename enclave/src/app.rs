//! The running gateway.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use evidence::json::Value;
use gate::Identities;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
};

use crate::{
    boot::{self, Failure},
    build::Build,
    catalogue::Catalogue,
    config::Config,
    desk::Desk,
    enablement::Enablement,
    http,
    prover::{Kept, Prover},
    runner::Runner,
};

/// Proofs judged at once by `/api/verify`: a body of 16 MiB is a tree of many times that.
const VERIFICATIONS: usize = 2;

/// Everything that requests share.
pub(crate) struct App {
    /// The configuration.
    pub(crate) config: Config,
    /// Where it listens.
    pub(crate) listening: SocketAddr,
    /// Who may call.
    pub(crate) identities: Identities,
    /// What may be called.
    pub(crate) catalogue: Catalogue,
    /// What each caller has switched on.
    pub(crate) enablement: Enablement,
    /// Tool calls that may run at once.
    pub(crate) slots: Semaphore,
    /// Proofs that may be judged at once.
    pub(crate) verifications: Semaphore,
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
    /// Who runs the vTPM.
    pub(crate) vtpm_kind: &'static str,
    /// Who made the TPM, as it says itself.
    pub(crate) tpm_manufacturer: String,
    /// The test root, where the platform is simulated: what `/api/verify` judges under.
    pub(crate) test_root: Option<Vec<u8>>,
    /// The verdict on its own evidence, at start.
    pub(crate) self_check: Value,
    /// What that verdict does not prove.
    pub(crate) not_proven: Value,
}

/// Starts, serves until it is interrupted, and ends every container it started.
///
/// # Errors
/// [`Failure`]: what, why and how to fix it. No port has been opened then.
pub(crate) async fn run(config: Config) -> Result<(), Failure> {
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
    let verdict = crate::self_check::judge(&booted)?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        Failure::new(format!("cannot listen on {}", config.listen), error, "choose another port in listen")
    })?;
    let listening = listener
        .local_addr()
        .map_err(|error| Failure::new("the listener has no address", error, "choose another port in listen"))?;
    let simulated = config.platform == evidence::core::Platform::Simulated;
    let identities = match &config.development_token {
        Some(token) => {
            Identities::anonymous_only().with_development(token.clone(), simulated, listening.ip().is_loopback())
        }
        None => Identities::anonymous_only(),
    };
    let attested = Arc::clone(&booted.attested);
    let tee_enabled = booted.source.tee_enabled();
    let app = Arc::new(App {
        identities,
        enablement: Enablement::default(),
        slots: Semaphore::new(config.calls_at_once),
        verifications: Semaphore::new(VERIFICATIONS),
        prover: Prover {
            core: attested.core,
            state: attested.state_head,
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
        desk: Desk::open(attested, booted.source),
        catalogue,
        runner,
        build,
        listening,
        tee_enabled,
        vtpm_kind: booted.vtpm_kind,
        tpm_manufacturer: booted.tpm_manufacturer,
        test_root: booted.test_root,
        self_check: verdict.json,
        not_proven: verdict.not_proven,
        config,
    });
    tracing::info!(address = %listening, platform = app.config.platform.as_str(), "the gateway serves");
    let stopped = serve(listener, &app).await;
    app.runner.stop().await;
    tracing::info!("the gateway has stopped");
    stopped.map_err(|error| Failure::new("the listener failed", error, "start again"))
}

/// How long calls that run may finish after the process is asked to end. Whoever holds a connection open and says nothing
/// is not waited for any longer.
const DRAIN: Duration = Duration::from_secs(10);

async fn serve(listener: TcpListener, app: &Arc<App>) -> std::io::Result<()> {
    let (ending, asked) = oneshot::channel();
    let serving = axum::serve(listener, http::router(Arc::clone(app))).with_graceful_shutdown(async move {
        interrupted().await;
        let _served_already = ending.send(());
    });
    let drained = async {
        match asked.await {
            Ok(()) => tokio::time::sleep(DRAIN).await,
            // The listener failed before anybody asked.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = serving.into_future() => ended,
        () = drained => {
            tracing::warn!(seconds = DRAIN.as_secs(), "connections were still open and are cut");
            Ok(())
        }
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
