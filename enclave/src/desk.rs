//! The evidence desk: one report for many nonces, and never more reports than the device should give.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use evidence::{
    Digest,
    bundle::{Bundle, CarriedQuote, CarriedReport, EndorsedReport, Fresh, VekKind},
    merkle,
    release::SignedRelease,
    report_data::{MAX_BATCH, Nonce, Purpose, report_data, report_data_without_nonce},
    tag,
};
use platform::{Evidence, EvidenceSource, LiveEvidence, keys::ProofKey};
use tokio::sync::{mpsc, oneshot};

use crate::{
    hardware::QuotingTpm,
    states::{ChainFault, StateChain},
};

/// Most callers waiting at once; more are told to come back.
const MAX_WAITING: usize = 2 * MAX_BATCH;

/// Most nonces of one client that wait at once, so that one client does not fill every batch.
const MAX_WAITING_OF_ONE: usize = 64;

/// What is fixed for this boot, and the chain of states that grows from it.
pub(crate) struct Attested {
    /// `J(core)`.
    pub(crate) core_bytes: Vec<u8>,
    /// C.
    pub(crate) core: Digest,
    /// States 0 to n.
    pub(crate) states: RwLock<StateChain>,
    /// The boot report and its certificates.
    pub(crate) boot: Evidence,
    /// The quote of the boot.
    pub(crate) quote: Option<CarriedQuote>,
    /// The firmware's log.
    pub(crate) event_log: Option<Vec<u8>>,
    /// The manifest of the release that this gateway says it is.
    pub(crate) release: Option<SignedRelease>,
    /// What release keys say of the executable's making (DSSE).
    pub(crate) provenance: Option<Vec<u8>>,
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
    waiting: Waiting,
}

struct Ask {
    nonce: Nonce,
    reply: oneshot::Sender<Result<Answer, DeskError>>,
}

/// What answers a nonce.
pub(crate) struct Answer {
    /// States 0 to n as they were when it was asked for: the last is the one that report and quote name.
    pub(crate) states: StateChain,
    /// As the bundle carries it.
    pub(crate) fresh: Fresh,
    /// The report it came from; `None` where the quote alone answers.
    pub(crate) report: Option<Evidence>,
}

/// How often the machine is asked.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// How long the first nonce of a batch waits for others.
    pub(crate) window: Duration,
    /// Shortest time between two batches.
    pub(crate) interval: Duration,
}

impl Attested {
    /// The bundle of this boot, with the answer to a nonce if there is one.
    pub(crate) fn bundle(&self, answer: Option<Answer>) -> Bundle {
        let (states, fresh, report) = match answer {
            Some(answer) => (answer.states, Some(answer.fresh), answer.report),
            None => (self.states(), None, None),
        };
        // Lists go out of date while a gateway runs: a fresh report brings those of now.
        let crls = report.map(|report| report.crls).filter(|crls| !crls.is_empty());
        let crls = crls.as_ref().unwrap_or(&self.boot.crls);
        Bundle {
            vek_kind: match self.boot.vek_kind {
                platform::VekKind::Vcek => VekKind::Vcek,
                platform::VekKind::Vlek => VekKind::Vlek,
            },
            intermediate: self.boot.intermediate.as_bytes().to_vec(),
            root: self.boot.root.as_bytes().to_vec(),
            crls: crls.iter().map(|crl| crl.as_bytes().to_vec()).collect(),
            boot: self.carry(&self.boot, &report_data_without_nonce(&self.core, &states.first_head())),
            fresh,
            quote: self.quote.clone(),
            event_log: self.event_log.clone(),
            hcl: self.boot.hcl.clone(),
            svsm_manifest: self.boot.svsm_manifest.clone(),
            release: self.release.clone(),
            provenance: self.provenance.clone(),
            core: self.core_bytes.clone(),
            states: states.into_carried(),
        }
    }

    /// The states so far.
    pub(crate) fn states(&self) -> StateChain {
        self.states.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// S_n.
    pub(crate) fn head(&self) -> Digest {
        self.states.read().unwrap_or_else(PoisonError::into_inner).head()
    }

    /// Signs the next state, which names this catalogue and these prices, and answers with its digest. From here on
    /// bundles carry it. What they name already needs no new state.
    ///
    /// # Errors
    /// [`ChainFault`]; nothing has changed then.
    pub(crate) fn advance(&self, catalogue: Digest, prices: Option<Digest>) -> Result<Digest, ChainFault> {
        self.states.write().unwrap_or_else(PoisonError::into_inner).advance(catalogue, prices, &self.proof_key)
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
    pub(crate) fn open(
        attested: Arc<Attested>,
        source: Arc<dyn EvidenceSource>,
        vtpm: Option<QuotingTpm>,
        pace: Pace,
    ) -> Self {
        let (ask, asks) = mpsc::channel(MAX_WAITING);
        let machine = Machine { source, vtpm };
        tokio::spawn(serve(Arc::clone(&attested), machine, pace, asks));
        Self { attested, ask, waiting: Waiting::default() }
    }

    /// What is fixed for this boot.
    pub(crate) fn attested(&self) -> &Attested {
        &self.attested
    }

    /// A report made after this nonce was given, with the evidence it came from.
    /// `client` is who asks; `None` where all come through one front, on loopback.
    pub(crate) async fn answer(&self, nonce: Nonce, client: Option<IpAddr>) -> Result<Answer, DeskError> {
        let _place = match client {
            None => None,
            Some(client) => Some(self.waiting.admit(client).ok_or(DeskError::Busy)?),
        };
        let (reply, answer) = oneshot::channel();
        self.ask.try_send(Ask { nonce, reply }).map_err(|_| DeskError::Busy)?;
        answer.await.unwrap_or(Err(DeskError::Device))
    }
}

/// How many nonces of each client wait.
#[derive(Default)]
struct Waiting(Mutex<HashMap<IpAddr, usize>>);

/// One waiting nonce. Dropping it makes room.
struct Place<'a> {
    waiting: &'a Waiting,
    client: IpAddr,
}

impl Waiting {
    fn admit(&self, client: IpAddr) -> Option<Place<'_>> {
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= MAX_WAITING_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Place { waiting: self, client })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Counts stay right whoever panicked while holding them: each change is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut counts = self.waiting.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// What is asked once for a batch.
#[derive(Clone)]
struct Machine {
    source: Arc<dyn EvidenceSource>,
    vtpm: Option<QuotingTpm>,
}

impl Machine {
    /// Report and quote over this report data, as far as the platform has them. Blocks.
    fn ask(&self, report_data: &[u8; 64]) -> Option<(Option<Evidence>, Option<CarriedQuote>)> {
        let report = match self.source.live() {
            LiveEvidence::Quote => None,
            LiveEvidence::Report => match self.source.collect(report_data) {
                Ok(report) => Some(report),
                Err(error) => {
                    tracing::error!(%error, "the device gave no report");
                    return None;
                }
            },
        };
        let quote = match self.vtpm.as_ref().map(|vtpm| vtpm.quote(report_data)).transpose() {
            Ok(quote) => quote,
            Err(error) => {
                tracing::error!(%error, "the TPM gave no quote");
                return None;
            }
        };
        (report.is_some() || quote.is_some()).then_some((report, quote))
    }
}

async fn serve(attested: Arc<Attested>, machine: Machine, pace: Pace, mut asks: mpsc::Receiver<Ask>) {
    let mut last: Option<Instant> = None;
    while let Some(first) = asks.recv().await {
        if let Some(wait) = last.and_then(|last| pace.interval.checked_sub(last.elapsed())) {
            tokio::time::sleep(wait).await;
        }
        tokio::time::sleep(pace.window).await;
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
        let states = attested.states();
        let rd = report_data(&merkle::root(&leaves), count, &attested.core, &states.head());
        let asked = machine.clone();
        let found = tokio::task::spawn_blocking(move || asked.ask(&rd)).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the evidence source panicked");
            None
        });
        for (index, ask) in batch.into_iter().enumerate() {
            let answer = found.as_ref().ok_or(DeskError::Device).map(|(report, quote)| Answer {
                states: states.clone(),
                fresh: Fresh {
                    report: report.as_ref().map(|report| EndorsedReport {
                        report: report.report.clone(),
                        vek: report.vek.as_bytes().to_vec(),
                    }),
                    quote: quote.clone(),
                    possession: attested.possession(&rd),
                    purpose: Purpose::Client,
                    nonce: ask.nonce,
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    count,
                    path: merkle::path(&leaves, index).unwrap_or_default(),
                },
                report: report.clone(),
            });
            // Whoever asked may have gone meanwhile.
            let _gone = ask.reply.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_waits_with_so_many_nonces_and_leaves_room_for_others() {
        let waiting = Waiting::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut places: Vec<_> = (0..MAX_WAITING_OF_ONE).map(|_| waiting.admit(one).unwrap()).collect();
        assert!(waiting.admit(one).is_none(), "one more than the limit");
        assert!(waiting.admit(other).is_some());
        places.pop();
        assert!(waiting.admit(one).is_some());
        drop(places);
        assert!(waiting.counts().is_empty(), "nobody waits, nothing is kept");
    }
}
