//! Azure's metadata service: the host's VCEK and its chain for the machine this VM runs on ("THIM"). Plain HTTP to a
//! link-local address, so what it says is checked like everything else.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use attestation_verifier::Product;
use evidence::json::{self, Limits, Value};

use super::{
    Chain, Collateral, CollateralError, Kds,
    flight::{Flight, Persistence},
    pace::{MachinePace, Pace},
    pem,
    shelf::Shelf,
    store::Store,
    subject::{Issuers, Subject},
    web::{LONGEST, Patience, Web},
};
use crate::{Der, EvidenceError, cpu};

/// Without it the service answers nobody: a guard against requests that were tricked out of a program.
const HEADER: (&str, &str) = ("Metadata", "true");

/// Azure's metadata service.
pub struct Imds {
    url: String,
    flight: Flight,
    shelf: Shelf,
    product: Option<Product>,
    lists: Option<Arc<Kds>>,
    /// Held while the service is asked.
    turn: Mutex<()>,
}

/// What it answered.
struct Answer {
    vek: Der,
    issuers: Issuers,
}

impl Imds {
    /// Where every Azure VM finds it.
    pub const AZURE: &str = "http://169.254.169.254/metadata/THIM/amd/certification";

    /// The service at `base_url` ([`Imds::AZURE`]), with its cache below `state_dir/collateral`. Nothing is asked yet.
    pub fn open(base_url: &str, state_dir: &Path) -> Self {
        let product = cpu::product(Path::new("/proc/cpuinfo"));
        Self::with(base_url, state_dir, product, Web::new(Patience::USUAL), Box::new(MachinePace))
    }

    /// Takes revocation lists, which this service has none of, from AMD's.
    #[must_use]
    pub fn with_lists_from(mut self, kds: Arc<Kds>) -> Self {
        self.lists = Some(kds);
        self
    }

    pub(crate) fn with(
        base_url: &str,
        state_dir: &Path,
        product: Option<Product>,
        web: Web,
        pace: Box<dyn Pace>,
    ) -> Self {
        Self {
            url: base_url.to_owned(),
            flight: Flight::new(web, pace),
            shelf: Shelf::over(Store::below(state_dir)),
            product,
            lists: None,
            turn: Mutex::default(),
        }
    }

    fn endorsement(&self, report: &[u8]) -> Result<(Subject, Der, Issuers), CollateralError> {
        let subject = Subject::of(report, self.product);
        let known = || {
            let subject = subject.as_ref().ok()?;
            self.shelf.endorsement(subject).map(|(vek, issuers)| (subject.clone(), vek, issuers))
        };
        if let Some(known) = known() {
            return Ok(known);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known() {
            return Ok(known);
        }
        // A report that cannot be read needs no request; one that only does not name its product does.
        if let Err(error @ CollateralError::Report(_)) = &subject {
            return Err(error.clone());
        }
        let (subject, answer) = self.flight.ask(&self.url, Some(HEADER), Persistence::Needed, |body| {
            let (answer, levels) = read(&body)?;
            let subject = match &subject {
                Ok(subject) => subject.clone(),
                Err(_) => Subject::of(report, Subject::product_of(&answer.vek)).map_err(|error| error.to_string())?,
            };
            if let Some(levels) = levels.filter(|levels| *levels != u64::from_le_bytes(subject.tcb_bytes)) {
                let ours = u64::from_le_bytes(subject.tcb_bytes);
                return Err(format!("the certificate is for TCB {levels:016x}, the report says {ours:016x}"));
            }
            subject.check_issuers(&answer.issuers)?;
            subject.check_vek(&answer.vek, &answer.issuers)?;
            Ok((subject, answer))
        })?;
        self.shelf.keep_issuers(&subject, &answer.issuers);
        self.shelf.keep_endorsement(&subject, &answer.vek, &answer.issuers);
        Ok((subject, answer.vek, answer.issuers))
    }
}

impl Collateral for Imds {
    fn endorse(&self, report: &[u8]) -> Result<Chain, EvidenceError> {
        let (subject, vek, issuers) = self.endorsement(report)?;
        let crls = self.lists.as_ref().map_or(Vec::new(), |kds| kds.crls(&subject, &issuers.root));
        Ok(Chain { vek, intermediate: issuers.intermediate, root: issuers.root, crls })
    }
}

/// `vcekCert` and `certificateChain` in PEM, and `tcbm`, the levels as hexadecimal of a 64-bit number, if it is there.
fn read(body: &[u8]) -> Result<(Answer, Option<u64>), String> {
    let limits = Limits { bytes: usize::try_from(LONGEST).unwrap_or(usize::MAX), ..Limits::THEIRS };
    let value = json::parse(body, &limits).map_err(|error| format!("JSON: {error}"))?;
    let text =
        |name: &str| value.member(name).and_then(Value::as_str).ok_or_else(|| format!("JSON: no text named `{name}`"));
    let [vek] = <[Der; 1]>::try_from(pem::certificates(text("vcekCert")?.as_bytes())?)
        .map_err(|all| format!("vcekCert: {} certificates, not 1", all.len()))?;
    let issuers = pem::issuers(text("certificateChain")?.as_bytes())?;
    let levels = match value.member("tcbm") {
        None => None,
        Some(value) => {
            let digits = value.as_str().filter(|text| text.len() == 16).ok_or("tcbm: not 16 hexadecimal digits")?;
            Some(u64::from_str_radix(digits, 16).map_err(|_| "tcbm: not 16 hexadecimal digits".to_owned())?)
        }
    };
    Ok((Answer { vek, issuers }, levels))
}
