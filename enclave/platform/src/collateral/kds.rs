//! AMD's key distribution service (AMD 57230, section 4): one certificate per chip and firmware levels, the chains above
//! them, and the revocation lists. It gives about one VCEK per ten seconds and address and promises nothing, so what it
//! gave is kept for ever.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use attestation_verifier::Product;

use super::{
    Chain, Collateral, CollateralError,
    crls::Crls,
    flight::{Flight, Persistence},
    pace::{MachinePace, Pace},
    pem,
    shelf::Shelf,
    store::Store,
    subject::{Issuers, Subject},
    web::{Patience, Web},
};
use crate::{Der, EvidenceError, VekKind, cpu};

/// AMD's key distribution service, or a mirror that answers alike.
pub struct Kds {
    base: String,
    flight: Arc<Flight>,
    shelf: Arc<Shelf>,
    crls: Arc<Crls>,
    /// Of this machine, for reports that do not name theirs.
    product: Option<Product>,
    /// Held while a chain or a certificate is fetched: whoever waits finds it on the shelf.
    turn: Mutex<()>,
}

impl Kds {
    /// AMD's own.
    pub const AMD: &str = "https://kdsintf.amd.com";

    /// Lists are fetched again when they are a day old.
    pub const CRL_AGE: Duration = Duration::from_secs(24 * 3600);

    /// The service at `base` (without a slash at its end), with its cache below `state_dir/collateral`. Nothing is asked
    /// and nothing written yet.
    pub fn open(base: &str, state_dir: &Path, crl_age: Duration) -> Self {
        let product = cpu::product(Path::new("/proc/cpuinfo"));
        Self::with(base, state_dir, crl_age, product, Web::new(Patience::USUAL), Box::new(MachinePace))
    }

    pub(crate) fn with(
        base: &str,
        state_dir: &Path,
        crl_age: Duration,
        product: Option<Product>,
        web: Web,
        pace: Box<dyn Pace>,
    ) -> Self {
        let flight = Arc::new(Flight::new(web, pace));
        let shelf = Arc::new(Shelf::over(Store::below(state_dir)));
        let crls = Arc::new(Crls::new(Arc::clone(&flight), Arc::clone(&shelf), crl_age));
        let base = base.trim_end_matches('/').to_owned();
        Self { base, flight, shelf, crls, product, turn: Mutex::default() }
    }

    /// VCEK and issuers of `subject`.
    pub(crate) fn endorsement(&self, subject: &Subject) -> Result<(Der, Issuers), CollateralError> {
        if let Some(known) = self.shelf.endorsement(subject) {
            return Ok(known);
        }
        let Some(hwid) = &subject.hwid else {
            return Err(match subject.kind {
                VekKind::Vcek => CollateralError::MaskedChip,
                VekKind::Vlek => CollateralError::VlekFromHostOnly,
            });
        };
        // A poisoned turn is a turn: the shelf keeps only what was checked.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.shelf.endorsement(subject) {
            return Ok(known);
        }
        let issuers = self.fetched_issuers(subject)?;
        let hwid = hex::encode(hwid);
        let url = self.vcek_url(subject, &hwid);
        let read = |body: Vec<u8>| {
            let vek = Der::new(body);
            match subject.check_vek(&vek, &issuers) {
                Ok(()) => Ok((vek, issuers.clone())),
                // AMD may have put another intermediate in the kept one's place.
                Err(why) => match self.fetch_issuers(subject, Persistence::Wished) {
                    Ok(newer) if newer != issuers && subject.check_vek(&vek, &newer).is_ok() => Ok((vek, newer)),
                    _ => Err(why),
                },
            }
        };
        let asked = self.flight.ask(&url, None, Persistence::Needed, read);
        let (vek, issuers) = asked.map_err(|error| match error {
            CollateralError::Status { url, status: 404, .. } => {
                CollateralError::NotFound { url, hwid, tcb: subject.tcb.to_string() }
            }
            other => other,
        })?;
        self.shelf.keep_endorsement(subject, &vek, &issuers);
        Ok((vek, issuers))
    }

    /// ASK or ASVK, and ARK.
    pub(crate) fn issuers(&self, subject: &Subject) -> Result<Issuers, CollateralError> {
        if let Some(known) = self.shelf.issuers(subject) {
            return Ok(known);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.fetched_issuers(subject)
    }

    /// The revocation list for this kind of key, if it can be had.
    pub(crate) fn crls(&self, subject: &Subject, root: &Der) -> Vec<Der> {
        let url = format!("{}/{}/v1/{}/crl", self.base, subject.word(), subject.product);
        self.crls.list(subject, root, url).into_iter().collect()
    }

    /// The subject of a report, by this machine's product where the report does not name it.
    pub(crate) fn subject(&self, report: &[u8]) -> Result<Subject, CollateralError> {
        Subject::of(report, self.product)
    }

    /// Only by who has the turn.
    fn fetched_issuers(&self, subject: &Subject) -> Result<Issuers, CollateralError> {
        self.shelf.issuers(subject).map_or_else(|| self.fetch_issuers(subject, Persistence::Needed), Ok)
    }

    fn fetch_issuers(&self, subject: &Subject, persistence: Persistence) -> Result<Issuers, CollateralError> {
        let url = format!("{}/{}/v1/{}/cert_chain", self.base, subject.word(), subject.product);
        let issuers = self.flight.ask(&url, None, persistence, |body| {
            let issuers = pem::issuers(&body)?;
            subject.check_issuers(&issuers).map(|()| issuers)
        })?;
        self.shelf.keep_issuers(subject, &issuers);
        Ok(issuers)
    }

    /// Levels in decimal, two digits at least, in the order of AMD's own example; Turin's begin with the FMC.
    fn vcek_url(&self, subject: &Subject, hwid: &str) -> String {
        let tcb = subject.tcb;
        let fmc = tcb.fmc.map_or(String::new(), |fmc| format!("fmcSPL={fmc:02}&"));
        format!(
            "{}/vcek/v1/{}/{hwid}?{fmc}blSPL={:02}&teeSPL={:02}&snpSPL={:02}&ucodeSPL={:02}",
            self.base, subject.product, tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode
        )
    }
}

impl Collateral for Kds {
    fn endorse(&self, report: &[u8]) -> Result<Chain, EvidenceError> {
        let subject = self.subject(report)?;
        let (vek, issuers) = self.endorsement(&subject)?;
        let crls = self.crls(&subject, &issuers.root);
        Ok(Chain { vek, intermediate: issuers.intermediate, root: issuers.root, crls })
    }
}
