//! A bundle, appraised: its boot report, the core and states that the report binds, and the answer to a nonce.

use evidence::{
    Digest, UnixSeconds,
    bundle::Bundle,
    core::{Core, Platform, core_digest},
    report_data::report_data_without_nonce,
    state::{State, evidence_message, state_digest, state_message},
};

use sha2::Digest as _;

use crate::{
    Appraised, Certificate, Class, Collateral, Crl, Crypto, EvidenceId, NotProven, Outcome, Policy, Question,
    Registers, Release, Releases, SignedReport, Trust, TrustAnchor, Unchecked, Verdict, VtpmKind,
    appraisal::{Checks, LAST, judge_report, malformed},
    gateway::{
        code::{Identity, check_code},
        guest::Guest,
        listed::Listed,
        manifest::check_releases,
        provenance::check_carried,
        vtpm::{Bound, Parts, Vtpm},
    },
    policy::checks as policy_checks,
    vtpm::events,
};

/// What is to be appraised, and against which expectations.
#[derive(Clone, Copy, Debug)]
pub struct BundleQuestion<'a> {
    /// The bundle as it was served or saved.
    pub bundle: &'a [u8],
    /// Where the chain may end.
    pub anchor: &'a TrustAnchor<'a>,
    /// The nonce that the bundle must answer.
    pub nonce: Option<&'a [u8]>,
    /// Revocation lists that the verifier brings, DER; beside those in the bundle.
    pub crls: &'a [Vec<u8>],
    /// What the code is looked up in; [`Releases::default`]: nothing.
    pub releases: Releases<'a>,
}

/// What a bundle whose every link was looked at says of its gateway. Whether it is accepted is in the verdict.
#[derive(Clone, Debug)]
pub struct Attested {
    /// C.
    pub core_digest: Digest,
    /// The core itself.
    pub core: Core,
    /// State 0 to the newest.
    pub states: Vec<AttestedState>,
    /// Name of the boot report.
    pub boot_report: EvidenceId,
}

/// One state of a bundle.
#[derive(Clone, Debug)]
pub struct AttestedState {
    /// S_n.
    pub digest: Digest,
    /// What it says.
    pub state: State,
}

impl Attested {
    /// What the state of this digest says, if it is one of the bundle.
    pub fn state(&self, digest: &Digest) -> Option<&State> {
        self.states.iter().find(|attested| attested.digest == *digest).map(|attested| &attested.state)
    }
}

/// A verdict, and what it is about if the bundle could be read.
#[derive(Clone, Debug)]
pub struct BundleAppraisal {
    /// The verdict on the bundle.
    pub verdict: Verdict,
    /// What the bundle says, if core and states could be read.
    pub attested: Option<Attested>,
    /// The same, if the verdict accepts. Private, so that only appraising fills it.
    admitted: Option<Attested>,
}

impl BundleAppraisal {
    /// What the bundle says, if it is accepted; else the verdict that says why not. Rows that were added to the verdict
    /// since count too.
    ///
    /// # Errors
    /// The verdict, if it rejects.
    pub fn accepted(self) -> Result<Appraised<Attested>, Box<Verdict>> {
        match self.admitted {
            Some(attested) => Appraised::by_verdict(attested, self.verdict),
            None => Err(Box::new(self.verdict)),
        }
    }
}

/// Appraises a bundle.
pub fn appraise_bundle(
    question: BundleQuestion<'_>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> BundleAppraisal {
    const FETCH: &str = "fetch /api/attestation/bundle again and save the whole answer";
    let refuse = |(name, detail): (&'static str, String)| BundleAppraisal {
        verdict: malformed(name, detail, FETCH, at),
        attested: None,
        admitted: None,
    };
    let (bundle, core, states) = match read(question.bundle) {
        Ok(documents) => documents,
        Err(wrong) => return refuse(wrong),
    };
    let parts = match Parts::read(&bundle, &core) {
        Ok(parts) => parts,
        Err(wrong) => return refuse(wrong),
    };
    let c = core_digest(&bundle.core);
    let digests = bundle.states.iter().map(|carried| state_digest(&c, &carried.bytes));
    let states: Vec<_> = digests.zip(states).map(|(digest, state)| AttestedState { digest, state }).collect();
    let first = states.first().map_or(c, |state| state.digest);
    let found = Attested { core_digest: c, core, states, boot_report: boot_report(&bundle) };
    let judge = Judge { bundle: &bundle, parts: &parts, found: &found, question, policy, at, crypto };
    let verdict = judge.bundle(&report_data_without_nonce(&c, &first));
    let admitted = verdict.rejection().is_none().then(|| found.clone());
    BundleAppraisal { verdict, attested: Some(found), admitted }
}

/// Bundle, core and states, or which of them is none, and why.
fn read(bytes: &[u8]) -> Result<(Bundle, Core, Vec<State>), (&'static str, String)> {
    let bundle = Bundle::from_bytes(bytes).map_err(|error| ("bundle", error.to_string()))?;
    let fresh = bundle.fresh.as_ref().and_then(|fresh| fresh.report.as_ref());
    let fresh = fresh.map(|fresh| (&fresh.report, "bundle.fresh.report"));
    for (report, path) in std::iter::once((&bundle.boot.report, "bundle.boot.report")).chain(fresh) {
        // Wrappers of reports are for reports alone: a bundle has one place for each thing.
        if report.len() != SignedReport::LENGTH {
            let length = report.len();
            return Err((
                "bundle",
                format!("{path}: want the {} bytes of a report, found {length}", SignedReport::LENGTH),
            ));
        }
    }
    Certificate::parse(&bundle.root).map_err(|error| ("bundle", format!("bundle.certificates.root: {error}")))?;
    for (at, crl) in bundle.crls.iter().enumerate() {
        Crl::parse(crl).map_err(|error| ("bundle", format!("bundle.certificates.crls[{at}]: {error}")))?;
    }
    let core = Core::from_bytes(&bundle.core).map_err(|error| ("core", error.to_string()))?;
    let mut states = Vec::with_capacity(bundle.states.len());
    for (at, carried) in bundle.states.iter().enumerate() {
        let state = State::from_bytes(&carried.bytes);
        states.push(state.map_err(|error| ("states", format!("bundle.states[{at}]: {error}")))?);
    }
    Ok((bundle, core, states))
}

fn boot_report(bundle: &Bundle) -> EvidenceId {
    EvidenceId(sha2::Sha256::digest(bundle.boot.report.get(..SignedReport::SIGNED).unwrap_or_default()).into())
}

/// A bundle under judgement, and by what.
pub(crate) struct Judge<'a, C> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) parts: &'a Parts<'a>,
    pub(crate) found: &'a Attested,
    pub(crate) question: BundleQuestion<'a>,
    pub(crate) policy: &'a Policy,
    pub(crate) at: UnixSeconds,
    pub(crate) crypto: &'a C,
}

/// One report of the bundle, judged.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// `None` if chain or signature do not hold.
    pub(crate) guest: Option<Guest>,
}

/// What the boot's evidence shows, to hold later evidence against.
pub(crate) struct Booted {
    /// `None` if chain or signature do not hold.
    pub(crate) guest: Option<Guest>,
    /// Registers of its quote.
    pub(crate) registers: Option<Registers>,
    /// Does the evidence name this core, and do all rows about the vTPM stand?
    pub(crate) holds: bool,
}

impl<C: Crypto> Judge<'_, C> {
    /// The whole, in the order of the trust chain. `rd` is what the boot report has to carry.
    fn bundle(&self, rd: &[u8; 64]) -> Verdict {
        let core = &self.found.core;
        let bound = Bound::of(self.parts, &self.bundle.boot.report);
        let boot = &self.bundle.boot;
        let Judged { mut verdict, guest } = self.report(&boot.report, &boot.vek, &bound.report_data(rd));
        let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
        self.name_core(&bound, rd, &mut checks);
        self.check_certificates(guest.as_ref(), &mut checks);
        check_platform(core, verdict.trust, &mut checks);
        self.check_states(&mut checks);
        self.check_possession(rd, &mut checks);
        let vtpm = self.vtpm();
        let carried = self.bundle.release.as_ref();
        let releases = check_releases(carried, &self.question.releases, core, self.crypto, &mut checks);
        let vouched = guest.as_ref().is_some_and(|guest| self.vouched(vtpm.kind(), guest, &releases));
        vtpm.check(&bound, guest.is_some(), vouched, &mut checks);
        policy_checks::vtpm_kind(vtpm.kind(), vouched, self.policy, &mut verdict, &mut checks);
        let registers = vtpm.check_boot_quote(rd, &mut checks);
        if self.policy.events.asks() {
            events::check(&mut checks, self.bundle.event_log.as_deref(), registers.as_ref(), &self.policy.events);
        } else {
            vtpm.check_event_log(registers.as_ref(), &mut checks);
        }
        let stands = |name: &str| checks.find(name).is_none_or(|row| row.outcome != Outcome::Fail);
        let holds = ["core", "vtpm", "runtime-data", "services-manifest", "quote", "pcrs"].into_iter().all(stands)
            && checks.find("core").is_some_and(|row| row.outcome == Outcome::Pass);
        let booted = Booted { guest, registers, holds };
        let fresh = self.check_nonce(&booted, &mut checks, &mut verdict);
        let quotes: Vec<_> = booted.registers.iter().chain(&fresh).map(listed).collect();
        let identity = Identity { core, guest: booted.guest.as_ref(), quotes: &quotes, vtpm_holds: booted.holds };
        let measured = check_code(&identity, &releases, self.policy, &mut verdict, &mut checks);
        Listed::of(&measured, &releases).check(self.question.bundle, self.bundle, &self.found.states, &mut checks);
        let (provenance, keys) = (self.bundle.provenance.as_deref(), self.question.releases.keys);
        check_carried(provenance, &core.claims, keys, self.crypto, &mut checks);
        checks.note(
            "log",
            Class::Policy,
            "no log is kept yet: nothing shows when this boot was, or that it was the only one",
        );
        leave_open(core, &mut verdict);
        for field in self.policy.fields() {
            let Err(reason) = field.rule else { continue };
            if field.path == "vtpm" || field.path.starts_with("events.") {
                verdict.leaves_unchecked(Unchecked { field: field.path, reason: reason.to_owned() });
            }
        }
        verdict.checks = checks.into_inner();
        verdict
    }

    /// Is whoever is said to run the vTPM named by the policy or by a release, and not by the core alone?
    fn vouched(&self, kind: VtpmKind, guest: &Guest, releases: &[Release]) -> bool {
        let released = releases.iter().any(|release| match kind {
            VtpmKind::Paravisor => release.paravisors.iter().any(|paravisor| paravisor.id_key == guest.id_key),
            VtpmKind::Svsm => release.svsm_digests.contains(&guest.measurement),
            VtpmKind::Host | VtpmKind::Software | VtpmKind::None => false,
        });
        released || policy_checks::vouched(kind, &guest.id_key, &guest.measurement, self.policy)
    }

    pub(crate) fn vtpm(&self) -> Vtpm<'_, C> {
        Vtpm {
            bundle: self.bundle,
            parts: self.parts,
            core: &self.found.core,
            c: &self.found.core_digest,
            crypto: self.crypto,
        }
    }

    /// A report of the bundle against the data that it must carry.
    pub(crate) fn report(&self, report: &[u8], vek: &[u8], report_data: &[u8; 64]) -> Judged {
        let collateral = Collateral {
            vek: Some(vek.to_vec()),
            intermediate: Some(self.bundle.intermediate.clone()),
            crls: self.question.crls.to_vec(),
            host_crls: self.bundle.crls.clone(),
        };
        let question = Question {
            evidence: report,
            collateral: &collateral,
            anchor: self.question.anchor,
            report_data: Some(report_data),
        };
        let appraisal = judge_report(question, self.policy, self.at, self.crypto);
        let guest = appraisal.report.zip(appraisal.chain).map(|(report, chain)| Guest::of(&report, &chain));
        Judged { verdict: appraisal.verdict, guest }
    }

    /// The row that compares REPORT_DATA becomes the row `core`: the comparison was with RD of core and state 0, as this
    /// machine binds it.
    fn name_core(&self, bound: &Bound<'_>, rd: &[u8; 64], checks: &mut Checks) {
        const FIX: &str = "core, states and report are of different boots; fetch the bundle again";
        let c = short(&self.found.core_digest);
        let Some(row) = checks.row("report-data") else {
            checks.open("core", Class::Binding, "no verified report that could name it");
            return;
        };
        row.name = "core";
        let (outcome, detail) = match bound {
            Bound::ByClaims { claims, .. } => match self.vtpm().user_data_is(*claims, rd) {
                Some(true) => (Outcome::Pass, format!("the claims' user-data names core {c} and state 0")),
                Some(false) => {
                    (Outcome::Fail, "user-data is not the digest of the carried core and state 0".to_owned())
                }
                None => (Outcome::NotChecked, "no runtime claims that could name it".to_owned()),
            },
            Bound::WithManifest(_) if row.outcome == Outcome::Pass => {
                (Outcome::Pass, format!("REPORT_DATA names core {c}, state 0 and the services manifest"))
            }
            Bound::WithManifest(_) => {
                let detail = "report.REPORT_DATA is not that of the carried core, state 0 and services manifest";
                (row.outcome, detail.to_owned())
            }
            Bound::Plainly if row.outcome == Outcome::Pass => {
                (Outcome::Pass, format!("REPORT_DATA names core {c} and state 0"))
            }
            Bound::Plainly => {
                (row.outcome, "report.REPORT_DATA is not the digest of the carried core and state 0".to_owned())
            }
        };
        row.fix = (outcome == Outcome::Fail).then(|| FIX.to_owned());
        // What keeps the claims from being read has a row of its own.
        let class = if outcome == Outcome::NotChecked { LAST } else { Class::Binding };
        (row.outcome, row.detail, row.class) = (outcome, detail, class);
    }

    /// What the bundle says of its certificates must be so: readers may show it.
    fn check_certificates(&self, guest: Option<&Guest>, checks: &mut Checks) {
        let Some(guest) = guest else {
            checks.open("certificates", LAST, "the chain or the report does not hold");
            return;
        };
        let says = self.bundle.vek_kind.as_str();
        let signer = &guest.signer;
        if !says.eq_ignore_ascii_case(signer.kind.name()) {
            let detail = format!("bundle.certificates.vekKind says {says}, the key is a {}", signer.kind);
            checks.fail("certificates", Class::Chain, detail, "fetch the bundle again");
        } else if self.bundle.root != signer.root {
            let detail = "bundle.certificates.root is not the root that the chain ends in".to_owned();
            checks.fail("certificates", Class::Chain, detail, "fetch the bundle again, or name the root it carries");
        } else {
            let detail = format!("the bundle carries the root that you trust, and names a {}", signer.kind);
            checks.pass("certificates", Class::Binding, detail);
        }
    }

    fn check_states(&self, checks: &mut Checks) {
        let mut prev = self.found.core_digest;
        let links = self.found.states.iter().zip(&self.bundle.states);
        for (seq, (AttestedState { digest, state }, carried)) in (0_u64..).zip(links) {
            let message = state_message(&self.found.core_digest, &carried.bytes);
            let wrong = if state.core != self.found.core_digest {
                Some((Class::Binding, "names another core"))
            } else if state.seq != seq {
                Some((Class::Binding, "is out of sequence"))
            } else if state.prev != prev {
                Some((Class::Binding, "does not follow from the one before"))
            } else if !self.signed_by_core(&message, &carried.signature) {
                Some((Class::Chain, "is not signed by the core's proof key"))
            } else {
                None
            };
            if let Some((class, wrong)) = wrong {
                let detail = format!("bundle.states[{seq}] {wrong}");
                let fix = "states belong to another boot or were altered; fetch again";
                checks.fail("states", class, detail, fix);
                return;
            }
            prev = *digest;
        }
        let detail = format!("{} signed by the core's proof key, head {}", self.found.states.len(), short(&prev));
        checks.pass("states", Class::Binding, detail);
        if let Some(newest) = self.found.states.last() {
            checks.note("state", Class::Binding, &says(&newest.state));
        }
    }

    fn check_possession(&self, rd: &[u8; 64], checks: &mut Checks) {
        let message = evidence_message(&self.found.core_digest, rd);
        if self.signed_by_core(&message, &self.bundle.boot.possession) {
            let detail = "the holder of the core's proof key signed core and report data".to_owned();
            checks.pass("possession", Class::Binding, detail);
        } else {
            let detail = "bundle.boot.possession is not by the core's proof key".to_owned();
            let fix = "whoever served this does not hold the key; ask the gateway itself";
            checks.fail("possession", Class::Binding, detail, fix);
        }
    }

    pub(crate) fn signed_by_core(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.crypto.ed25519(self.found.core.proof_key.as_bytes(), message, signature).is_ok()
    }
}

/// What no bundle shows, and what this core says that a reader must know.
fn leave_open(core: &Core, verdict: &mut Verdict) {
    for code in [
        NotProven::TimeHostClock,
        NotProven::NotLogged,
        NotProven::NotWitnessed,
        NotProven::SharedKernel,
        NotProven::TlsElsewhere,
    ] {
        verdict.leaves_open(code);
    }
    if !core.release_keys.is_empty() {
        verdict.leaves_open(NotProven::ReleaseAuthority);
    }
    if core.recovery.kind != "none" {
        verdict.leaves_open(NotProven::RecoveryEscrow);
    }
}

fn listed(registers: &Registers) -> Vec<(u8, Digest)> {
    registers.iter().map(|(register, value)| (register, *value)).collect()
}

/// What the newest state names, for who knows which keys and accounts it should: nobody here does.
fn says(state: &State) -> String {
    let list = |items: Vec<String>, none: &str| if items.is_empty() { none.to_owned() } else { items.join(" ") };
    let tls = list(state.tls.iter().map(hex::encode).collect(), "none (plain HTTP on loopback)");
    let pay_to = list(state.pay_to.iter().map(ToString::to_string).collect(), "nobody");
    let digest = |digest: &Option<Digest>| digest.as_ref().map_or("none".to_owned(), short);
    let (jwks, prices) = (digest(&state.jwks), digest(&state.prices));
    format!("newest: TLS keys {tls}; payees {pay_to}; prices {prices}; token keys {jwks}: hold them against your own")
}

fn check_platform(core: &Core, trust: Option<Trust>, checks: &mut Checks) {
    let says = core.platform.as_str();
    match (core.platform, trust) {
        (_, None) => checks.open("core-platform", Class::Binding, "nothing vouches for the core"),
        (Platform::Simulated, Some(Trust::Amd)) => {
            let detail = "the core says \"simulated\", the report is signed by AMD's silicon".to_owned();
            checks.fail("core-platform", Class::Binding, detail, "the gateway is misconfigured; ask its operator");
        }
        (_, Some(Trust::Amd)) => checks.pass("core-platform", Class::Binding, format!("{says}, on AMD's silicon")),
        (Platform::Simulated, Some(Trust::Test)) => {
            let detail = "simulated, under a test root: no hardware stands behind it".to_owned();
            checks.pass("core-platform", Class::Binding, detail);
        }
        (_, Some(Trust::Test)) => {
            let detail = format!("the core says \"{says}\", and the chain ends in a test root");
            checks.fail(
                "core-platform",
                Class::Binding,
                detail,
                "only a gateway that says \"simulated\" has a test root",
            );
        }
    }
}

/// The first eight bytes, for people.
pub(crate) fn short(digest: &Digest) -> String {
    hex::encode(digest.get(..8).unwrap_or_default())
}

/// Two digests that differ, as short as lets one see it.
pub(crate) fn apart(one: &Digest, other: &Digest) -> (String, String) {
    match (short(one), short(other)) {
        (one_short, other_short) if one_short == other_short => (hex::encode(one), hex::encode(other)),
        shorts => shorts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::sample::core_of;

    #[test]
    fn digests_that_differ_late_are_told_apart_too() {
        let mut late = [7; 32];
        late[31] = 8;
        assert_eq!(apart(&[7; 32], &[8; 32]), ("07".repeat(8), "08".repeat(8)));
        assert_eq!(apart(&[7; 32], &late), ("07".repeat(32), format!("{}08", "07".repeat(31))));
    }

    #[test]
    fn what_the_core_says_of_its_platform_must_fit_the_root() {
        for (platform, trust, outcome) in [
            (Platform::Simulated, Some(Trust::Test), Outcome::Pass),
            (Platform::Simulated, Some(Trust::Amd), Outcome::Fail),
            (Platform::Azure, Some(Trust::Amd), Outcome::Pass),
            (Platform::Azure, Some(Trust::Test), Outcome::Fail),
            (Platform::Azure, None, Outcome::NotChecked),
        ] {
            let mut checks = Checks::default();
            check_platform(&core_of(platform, "software"), trust, &mut checks);
            assert_eq!(checks.into_inner().first().map(|check| check.outcome), Some(outcome), "{platform:?} {trust:?}");
        }
    }
}
