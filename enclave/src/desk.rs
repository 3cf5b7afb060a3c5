//! The evidence desk: one report for many nonces, and never more reports than the device should give.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evidence::{
    Digest,
    bundle::{Bundle, CarriedReport, CarriedState, EndorsedReport, Fresh, VekKind},
    merkle,
    report_data::{MAX_BATCH, Nonce, Purpose, report_data, report_data_without_nonce},
    tag,
};
use platform::{Evidence, EvidenceSource, keys::ProofKey};
use tokio::sync::{mpsc, oneshot};

/// How long the first nonce of a batch waits for others.
const WINDOW: Duration = Duration::from_millis(20);

/// Shortest time between two reports asked of the device.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Most callers waiting at once; more are told to come back.
const MAX_WAITING: usize = 2 * MAX_BATCH;

/// What is fixed for this boot.
pub(crate) struct Attested {
    /// `J(core)`.
    pub(crate) core_bytes: Vec<u8>,
    /// C.
    pub(crate) core: Digest,
    /// States 0 to n.
    pub(crate) states: Vec<CarriedState>,
    /// S_n.
    pub(crate) state_head: Digest,
    /// The boot report and its certificates.
    pub(crate) boot: Evidence,
    /// Signs proofs and possession.
    pub(crate) proof_key: Arc<ProofKey>,
}

/// Why no evidence came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum DeskError {
    /// Too many callers wait.
    Busy,
    /// The device failed; the log says how.
    Device,
}

/// Answers nonces.
pub(crate) struct Desk {
    attested: Arc<Attested>,
    ask: mpsc::Sender<Ask>,
}

struct Ask {
    nonce: Nonce,
    reply: oneshot::Sender<Result<(Fresh, Evidence), DeskError>>,
}

impl Attested {
    /// The bundle of this boot, with the answer to a nonce if there is one.
    pub(crate) fn bundle(&self, fresh: Option<Fresh>) -> Bundle {
        Bundle {
            vek_kind: match self.boot.vek_kind {
                platform::VekKind::Vcek => VekKind::Vcek,
                platform::VekKind::Vlek => VekKind::Vlek,
            },
            intermediate: self.boot.intermediate.as_bytes().to_vec(),
            root: self.boot.root.as_bytes().to_vec(),
            crls: Vec::new(),
            boot: self.carry(&self.boot, &report_data_without_nonce(&self.core, &self.first_state_head())),
            fresh,
            quote: None,
            event_log: None,
            hcl: None,
            svsm_manifest: None,
            core: self.core_bytes.clone(),
            states: self.states.clone(),
        }
    }

    fn first_state_head(&self) -> Digest {
        self.states.first().map_or(self.state_head, |first| evidence::state::state_digest(&self.core, &first.bytes))
    }

    fn carry(&self, evidence: &Evidence, rd: &[u8; 64]) -> CarriedReport {
        CarriedReport {
            report: evidence.report.clone(),
            vek: evidence.vek.as_bytes().to_vec(),
            possession: self.possession(rd),
        }
    }

    fn possession(&self, rd: &[u8; 64]) -> [u8; 64] {
        self.proof_key.sign(tag::EVIDENCE, &[&self.core, rd])
    }
}

impl Desk {
    /// Opens the desk. It closes when the value is dropped.
    pub(crate) fn open(attested: Arc<Attested>, source: Arc<dyn EvidenceSource>) -> Self {
        let (ask, asks) = mpsc::channel(MAX_WAITING);
        tokio::spawn(serve(Arc::clone(&attested), source, asks));
        Self { attested, ask }
    }

    /// What is fixed for this boot.
    pub(crate) fn attested(&self) -> &Attested {
        &self.attested
    }

    /// A report made after this nonce was given, with the evidence it came from.
    pub(crate) async fn answer(&self, nonce: Nonce) -> Result<(Fresh, Evidence), DeskError> {
        let (reply, answer) = oneshot::channel();
        self.ask.try_send(Ask { nonce, reply }).map_err(|_| DeskError::Busy)?;
        answer.await.unwrap_or(Err(DeskError::Device))
    }
}

async fn serve(attested: Arc<Attested>, source: Arc<dyn EvidenceSource>, mut asks: mpsc::Receiver<Ask>) {
    let mut last: Option<Instant> = None;
    while let Some(first) = asks.recv().await {
        if let Some(wait) = last.and_then(|last| MIN_INTERVAL.checked_sub(last.elapsed())) {
            tokio::time::sleep(wait).await;
        }
        tokio::time::sleep(WINDOW).await;
        // The batch is fixed before the device is asked; nonces that come later wait for the next report.
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH {
            match asks.try_recv() {
                Ok(ask) => batch.push(ask),
                Err(_) => break,
            }
        }
        last = Some(Instant::now());
        let leaves: Vec<Digest> = batch.iter().map(|ask| ask.nonce.leaf(Purpose::Client)).collect();
        let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        let rd = report_data(&merkle::root(&leaves), count, &attested.core, &attested.state_head);
        let device = Arc::clone(&source);
        let collected = tokio::task::spawn_blocking(move || device.collect(&rd)).await;
        let evidence = match collected {
            Ok(Ok(evidence)) => Some(evidence),
            Ok(Err(error)) => {
                tracing::error!(%error, "the device gave no report");
                None
            }
            Err(error) => {
                tracing::error!(%error, "the evidence source panicked");
                None
            }
        };
        for (index, ask) in batch.into_iter().enumerate() {
            let answer = evidence.as_ref().ok_or(DeskError::Device).map(|evidence| {
                let fresh = Fresh {
                    report: Some(EndorsedReport {
                        report: evidence.report.clone(),
                        vek: evidence.vek.as_bytes().to_vec(),
                    }),
                    quote: None,
                    possession: attested.possession(&rd),
                    purpose: Purpose::Client,
                    nonce: ask.nonce,
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    count,
                    path: merkle::path(&leaves, index).unwrap_or_default(),
                };
                (fresh, evidence.clone())
            });
            // Whoever asked may have gone meanwhile.
            let _gone = ask.reply.send(answer);
        }
    }
}
