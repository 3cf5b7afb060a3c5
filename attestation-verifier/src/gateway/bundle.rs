//! A bundle, appraised: its boot report, the core and states that the report binds, and the answer to a nonce.

use evidence::{
    Digest, UnixSeconds,
    bundle::{Bundle, Fresh},
    core::{Core, Platform, core_digest},
    merkle,
    report_data::{Purpose, report_data, report_data_without_nonce},
    state::{State, evidence_message, state_digest, state_message},
};

use sha2::Digest as _;

use crate::{
    Certificate, Class, Collateral, Crl, Crypto, EvidenceId, Grade, NotProven, Outcome, Policy, Question, SignedReport,
    Trust, TrustAnchor, VekKind, Verdict,
    appraisal::{Checks, LAST, appraise_report, malformed},
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
}

/// Appraises a bundle.
pub fn appraise_bundle(
    question: BundleQuestion<'_>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> BundleAppraisal {
    let (bundle, core, states) = match read(question.bundle) {
        Ok(parts) => parts,
        Err((name, detail)) => {
            const FETCH: &str = "fetch /api/attestation/bundle again and save the whole answer";
            return BundleAppraisal { verdict: malformed(name, detail, FETCH, at), attested: None };
        }
    };
    let c = core_digest(&bundle.core);
    let digests = bundle.states.iter().map(|carried| state_digest(&c, &carried.bytes));
    let states: Vec<_> = digests.zip(states).map(|(digest, state)| AttestedState { digest, state }).collect();
    let first = states.first().map_or(c, |state| state.digest);
    let found = Attested { core_digest: c, core, states, boot_report: boot_report(&bundle) };
    let judge = Judge { bundle: &bundle, found: &found, question, policy, at, crypto };

    let rd = report_data_without_nonce(&c, &first);
    let Judged { mut verdict, guest } = judge.report(&bundle.boot.report, &bundle.boot.vek, &rd);
    let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
    name_core(&c, &mut checks);
    judge.check_certificates(guest.as_ref(), &mut checks);
    check_platform(&found.core, verdict.trust, &mut checks);
    judge.check_states(&mut checks);
    judge.check_possession(&rd, &mut checks);
    judge.check_nonce(guest.as_ref(), &mut checks, &mut verdict);
    check_code(policy, &mut verdict, &mut checks);
    checks.note(
        "log",
        Class::Policy,
        "no log is kept yet: nothing shows when this boot was, or that it was the only one",
    );
    for code in [
        NotProven::TimeHostClock,
        NotProven::NotLogged,
        NotProven::NotWitnessed,
        NotProven::ReleaseAuthority,
        NotProven::SharedKernel,
        NotProven::TlsElsewhere,
    ] {
        verdict.leaves_open(code);
    }
    if found.core.recovery.kind != "none" {
        verdict.leaves_open(NotProven::RecoveryEscrow);
    }
    verdict.checks = checks.into_inner();
    BundleAppraisal { verdict, attested: Some(found) }
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

/// The row that compares REPORT_DATA speaks of a comparison that this module made itself: RD of core and state 0.
fn name_core(c: &Digest, checks: &mut Checks) {
    let Some(row) = checks.row("report-data") else {
        checks.open("core", Class::Binding, "no verified report that could name it");
        return;
    };
    row.name = "core";
    match row.outcome {
        Outcome::Pass => row.detail = format!("REPORT_DATA names core {} and state 0", short(c)),
        Outcome::Fail => {
            row.detail = "report.REPORT_DATA is not the digest of the carried core and state 0".to_owned();
            row.fix = Some("core, states and report are of different boots; fetch the bundle again".to_owned());
        }
        Outcome::NotChecked => {}
    }
}

/// A bundle under judgement, and by what.
struct Judge<'a, C> {
    bundle: &'a Bundle,
    found: &'a Attested,
    question: BundleQuestion<'a>,
    policy: &'a Policy,
    at: UnixSeconds,
    crypto: &'a C,
}

/// One report of the bundle, judged.
struct Judged {
    verdict: Verdict,
    /// `None` if chain or signature do not hold.
    guest: Option<Guest>,
}

/// What all reports of one guest on one chip have in common, and the certificates above them.
struct Guest {
    report_id: [u8; 32],
    chip_id: [u8; 64],
    measurement: [u8; 48],
    host_data: [u8; 32],
    kind: VekKind,
    root: Vec<u8>,
}

impl Guest {
    /// The first field in which two reports are of different guests.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.report_id == other.report_id, "REPORT_ID"),
            (self.chip_id == other.chip_id, "CHIP_ID"),
            (self.measurement == other.measurement, "MEASUREMENT"),
            (self.host_data == other.host_data, "HOST_DATA"),
        ]
        .into_iter()
        .find_map(|(same, name)| (!same).then_some(name))
    }
}

impl<C: Crypto> Judge<'_, C> {
    /// A report of the bundle against the data that it must carry.
    fn report(&self, report: &[u8], vek: &[u8], rd: &[u8; 64]) -> Judged {
        let collateral = Collateral {
            vek: Some(vek.to_vec()),
            intermediate: Some(self.bundle.intermediate.clone()),
            crls: self.bundle.crls.iter().chain(self.question.crls).cloned().collect(),
            host_crl: None,
        };
        let question =
            Question { evidence: report, collateral: &collateral, anchor: self.question.anchor, report_data: Some(rd) };
        let appraisal = appraise_report(question, self.policy, self.at, self.crypto);
        let guest = appraisal.report.zip(appraisal.chain).map(|(report, chain)| Guest {
            report_id: *report.report_id(),
            chip_id: *report.chip_id(),
            measurement: *report.measurement(),
            host_data: *report.host_data(),
            kind: chain.kind(),
            root: chain.root().der().to_vec(),
        });
        Judged { verdict: appraisal.verdict, guest }
    }

    /// What the bundle says of its certificates must be so: readers may show it.
    fn check_certificates(&self, guest: Option<&Guest>, checks: &mut Checks) {
        let Some(guest) = guest else {
            checks.open("certificates", LAST, "the chain or the report does not hold");
            return;
        };
        let says = self.bundle.vek_kind.as_str();
        if !says.eq_ignore_ascii_case(guest.kind.name()) {
            let detail = format!("bundle.certificates.vekKind says {says}, the key is a {}", guest.kind);
            checks.fail("certificates", Class::Chain, detail, "fetch the bundle again");
        } else if self.bundle.root != guest.root {
            let detail = "bundle.certificates.root is not the root that the chain ends in".to_owned();
            checks.fail("certificates", Class::Chain, detail, "fetch the bundle again, or name the root it carries");
        } else {
            let detail = format!("the bundle carries the root that you trust, and names a {}", guest.kind);
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

    fn signed_by_core(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.crypto.ed25519(self.found.core.proof_key.as_bytes(), message, signature).is_ok()
    }

    /// The fresh report, which is judged whoever asked for it, and whether it answers the nonce of this question.
    fn check_nonce(&self, boot: Option<&Guest>, checks: &mut Checks, verdict: &mut Verdict) {
        const ASK: &str = "fetch /api/attestation/bundle?nonce=<hex> with a nonce of your own";
        let mut holds = false;
        if let Some(fresh) = &self.bundle.fresh {
            match self.check_fresh(fresh, boot, verdict) {
                Ok(detail) => {
                    checks.pass("fresh", Class::Binding, detail);
                    holds = true;
                }
                Err((class, detail)) => checks.fail("fresh", class, detail, ASK),
            }
        }
        match (self.question.nonce, &self.bundle.fresh) {
            (Some(_), None) => checks.fail("nonce", Class::Binding, "the bundle answers no nonce".to_owned(), ASK),
            (Some(nonce), Some(fresh)) if nonce != fresh.nonce.as_bytes() => {
                checks.fail("nonce", Class::Binding, "the bundle answers another nonce".to_owned(), ASK);
            }
            (Some(_), Some(_)) if !holds => checks.open("nonce", LAST, "the report that answers it does not hold"),
            (Some(_), Some(_)) => {
                checks.pass("nonce", Class::Binding, "yours: the fresh report was made after you gave it".to_owned());
            }
            (None, fresh) => {
                verdict.leaves_open(NotProven::NoNonce);
                let detail = match fresh {
                    None => "none asked for: the evidence may be old",
                    Some(_) => "the bundle answers a nonce; --nonce says whether it is yours",
                };
                if self.policy.wants_report_data() {
                    checks.open("nonce", Class::Policy, &format!("{detail}; the policy wants report data of yours"));
                } else {
                    checks.note("nonce", Class::Binding, detail);
                }
            }
        }
    }

    /// What passes, in words, or what is wrong with the fresh report. What it leaves open, the verdict leaves open.
    fn check_fresh(
        &self,
        fresh: &Fresh,
        boot: Option<&Guest>,
        verdict: &mut Verdict,
    ) -> Result<String, (Class, String)> {
        let binding = |detail: &str| Err((Class::Binding, format!("bundle.fresh{detail}")));
        if fresh.purpose != Purpose::Client {
            return binding(".purpose: not a nonce of a caller; others are judged by those who gave them");
        }
        let (index, count) = (u64::from(fresh.index), u64::from(fresh.count));
        let Some(root) = merkle::root_from(fresh.nonce.leaf(fresh.purpose), index, count, &fresh.path) else {
            return binding(".path has not the length that index and count ask for");
        };
        let head = self.found.states.last().map_or(self.found.core_digest, |newest| newest.digest);
        let rd = report_data(&root, fresh.count, &self.found.core_digest, &head);
        let Some(carried) = &fresh.report else { return binding(": no report answers the nonce") };
        let judged = self.report(&carried.report, &carried.vek, &rd);
        if let Some((class, row)) = judged.verdict.reason() {
            let detail = if row.name == "report-data" {
                "REPORT_DATA is not the digest of nonce, core and newest state".to_owned()
            } else {
                format!("{}: {}", row.name, row.detail)
            };
            return Err((class, format!("bundle.fresh.report: {detail}")));
        }
        for code in judged.verdict.not_proven {
            verdict.leaves_open(code);
        }
        let (Some(guest), Some(boot)) = (judged.guest, boot) else {
            return binding(".report: there is no verified boot report to compare it with");
        };
        if let Some(field) = guest.difference(boot) {
            return binding(&format!(".report is of another guest than the boot report ({field})"));
        }
        if guest.root != boot.root || guest.kind != boot.kind {
            return binding(".vek is of another kind than that of the boot report");
        }
        if !self.signed_by_core(&evidence_message(&self.found.core_digest, &rd), &fresh.possession) {
            return binding(".possession is not by the core's proof key");
        }
        Ok(format!("a second report of the same guest names core and newest state, nonce {} of {count}", index + 1))
    }
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

/// The claim `code` (docs/WIRE.md, section 1). Neither quotes nor release manifests are built, so it is never checked.
fn check_code(policy: &Policy, verdict: &mut Verdict, checks: &mut Checks) {
    verdict.leaves_open(NotProven::CodeUnknown);
    verdict.grade = Grade::None;
    let detail = "no quote and no release manifest: nothing says which code runs";
    if policy.code > Grade::None && verdict.trust != Some(Trust::Test) {
        let fix = format!(
            "{detail}; the policy wants grade {} (a policy file with code = \"none\" takes it as it is)",
            policy.code.name()
        );
        checks.open("code", Class::Policy, &fix);
    } else {
        checks.note("code", Class::Policy, detail);
    }
}

/// The first eight bytes, for people.
pub(crate) fn short(digest: &Digest) -> String {
    hex::encode(digest.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the claim `code` makes of a verdict that is otherwise good.
    fn judged(trust: Option<Trust>, wanted: Grade) -> Verdict {
        let at = UnixSeconds(0);
        let mut verdict =
            Verdict { trust, grade: Grade::Hardware, checks: vec![], ..malformed("x", String::new(), "", at) };
        let mut checks = Checks::default();
        check_code(&Policy { code: wanted, ..Policy::strict() }, &mut verdict, &mut checks);
        verdict.checks = checks.into_inner();
        verdict
    }

    #[test]
    fn under_amds_root_the_open_claim_about_the_code_rejects_unless_the_policy_takes_it() {
        assert!(Policy::strict().code > Grade::None, "the strict policy wants to know the code");
        for wanted in [Grade::Host, Grade::Vendor, Grade::Hardware] {
            let verdict = judged(Some(Trust::Amd), wanted);
            assert_eq!((verdict.word(), verdict.exit_code()), ("rejected", 5));
            assert_eq!(verdict.check("code").map(|check| check.outcome), Some(Outcome::NotChecked));
        }
        let verdict = judged(Some(Trust::Amd), Grade::None);
        assert_eq!((verdict.word(), verdict.exit_code(), verdict.grade), ("accepted", 0, Grade::None));
        assert!(verdict.not_proven.contains(&NotProven::CodeUnknown));
    }

    #[test]
    fn a_named_test_root_waives_the_grade_and_never_says_plainly_accepted() {
        let verdict = judged(Some(Trust::Test), Grade::Hardware);
        assert_eq!((verdict.word(), verdict.grade), ("accepted (test root)", Grade::None));
        assert_eq!(judged(None, Grade::None).exit_code(), 3);
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
            check_platform(&core_of(platform), trust, &mut checks);
            assert_eq!(checks.into_inner().first().map(|check| check.outcome), Some(outcome), "{platform:?} {trust:?}");
        }
    }

    fn core_of(platform: Platform) -> Core {
        Core {
            instance: [0; 32],
            lineage: [0; 32],
            platform,
            boot: "software",
            vtpm: evidence::core::Vtpm { kind: "none", ak_name: None, ak_spki: None, ek_name: None },
            claims: evidence::core::Claims::default(),
            proof_key: evidence::Ed25519Public::new([3; 32]).unwrap(),
            peer_key: [0; 32],
            hmac_anchor: [0; 32],
            hmac_length: evidence::hmac_chain::LENGTH,
            release_keys: vec![],
            recovery: evidence::core::Recovery { kind: "none", keys: vec![] },
            sealing_pcrs: vec![],
            sealing_floor: 0,
        }
    }
}
