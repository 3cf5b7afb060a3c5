//! A bundle, appraised: its boot report, the core and states that the report binds, and the answer to a nonce.

use evidence::{
    Digest, UnixSeconds,
    bundle::{Bundle, FreshReport},
    core::{Core, Platform, core_digest},
    merkle,
    report_data::{report_data, report_data_without_nonce},
    state::{State, evidence_message, state_digest, state_message},
};

use sha2::Digest as _;

use crate::{
    Class, Collateral, Crypto, EvidenceId, Grade, NotProven, Policy, Question, Trust, TrustAnchor, Verdict,
    appraisal::{Checks, appraise_report, malformed},
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
    /// S_0 to S_n.
    pub states: Vec<Digest>,
    /// Name of the boot report.
    pub boot_report: EvidenceId,
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
    let unread =
        |name, detail: String, fix| BundleAppraisal { verdict: malformed(name, detail, fix, at), attested: None };
    const FETCH: &str = "fetch /api/attestation/bundle again and save the whole answer";
    let bundle = match Bundle::from_bytes(question.bundle) {
        Ok(bundle) => bundle,
        Err(error) => return unread("bundle", error.to_string(), FETCH),
    };
    let core = match Core::from_bytes(&bundle.core) {
        Ok(core) => core,
        Err(error) => return unread("core", error.to_string(), FETCH),
    };
    let mut states = Vec::with_capacity(bundle.states.len());
    for carried in &bundle.states {
        match State::from_bytes(&carried.bytes) {
            Ok(state) => states.push(state),
            Err(error) => return unread("states", format!("bundle.states[{}]: {error}", states.len()), FETCH),
        }
    }
    let c = core_digest(&bundle.core);
    let heads: Vec<Digest> = bundle.states.iter().map(|carried| state_digest(&c, &carried.bytes)).collect();
    let first = heads.first().copied().unwrap_or(c);

    let rd = report_data_without_nonce(&c, &first);
    let mut verdict = appraise_one(&bundle, &bundle.boot.report, &bundle.boot.vek, &rd, question, policy, at, crypto).0;
    // The row speaks of a comparison that this function made itself: RD of the carried core and state.
    if let Some(row) = verdict.checks.iter_mut().find(|check| check.name == "report-data") {
        row.name = "core";
        if row.outcome == crate::Outcome::Pass {
            row.detail = format!("REPORT_DATA names core {} and state 0", short(&c));
        } else if row.outcome == crate::Outcome::Fail {
            row.detail = "report.REPORT_DATA is not the digest of the carried core and state 0".to_owned();
            row.fix = Some("core, states and report are of different boots; fetch the bundle again".to_owned());
        }
    }
    let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
    let found = Attested { core_digest: c, core, states: heads, boot_report: boot_report(&bundle) };
    check_platform(&found.core, verdict.trust, &mut checks);
    check_states(&bundle, &states, &found, crypto, &mut checks);
    check_possession(&bundle, &found, &rd, crypto, &mut checks);
    check_nonce(&bundle, &found, question, policy, at, crypto, &mut checks, &mut verdict);
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

/// One report of the bundle against the data it must carry: the verdict, and REPORT_ID if the report holds.
#[expect(clippy::too_many_arguments, reason = "a report, what it must say, and the question it is part of")]
fn appraise_one(
    bundle: &Bundle,
    report: &[u8],
    vek: &[u8],
    rd: &[u8; 64],
    question: BundleQuestion<'_>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> (Verdict, Option<[u8; 32]>) {
    let crls = bundle.crls.iter().chain(question.crls).cloned().collect();
    let collateral =
        Collateral { vek: Some(vek.to_vec()), intermediate: Some(bundle.intermediate.clone()), crls, host_crl: None };
    let question =
        Question { evidence: report, collateral: &collateral, anchor: question.anchor, report_data: Some(rd) };
    let appraisal = appraise_report(question, policy, at, crypto);
    let id = appraisal.report.map(|report| *report.report_id());
    (appraisal.verdict, id)
}

fn boot_report(bundle: &Bundle) -> EvidenceId {
    EvidenceId(sha2::Sha256::digest(bundle.boot.report.get(..0x2A0).unwrap_or_default()).into())
}

fn check_platform(core: &Core, trust: Option<Trust>, checks: &mut Checks) {
    let says = core.platform.as_str();
    match (core.platform, trust) {
        (_, None) => checks.open("platform", Class::Binding, "nothing vouches for the core"),
        (Platform::Simulated, Some(Trust::Amd)) => {
            let detail = "the core says \"simulated\", the report is signed by AMD's silicon".to_owned();
            checks.fail("platform", Class::Binding, detail, "the gateway is misconfigured; ask its operator");
        }
        (_, Some(Trust::Amd)) => checks.pass("platform", Class::Binding, format!("{says}, on AMD's silicon")),
        (_, Some(Trust::Test)) => {
            checks.pass("platform", Class::Binding, format!("{says}, under a test root: no hardware stands behind it"));
        }
    }
}

fn check_states(bundle: &Bundle, states: &[State], found: &Attested, crypto: &impl Crypto, checks: &mut Checks) {
    let key = found.core.proof_key.as_bytes();
    let mut prev = found.core_digest;
    let links = states.iter().zip(&bundle.states).zip(&found.states);
    for (seq, ((state, carried), head)) in (0_u64..).zip(links) {
        let wrong = if state.core != found.core_digest {
            Some("names another core")
        } else if state.seq != seq {
            Some("is out of sequence")
        } else if state.prev != prev {
            Some("does not follow from the one before")
        } else if crypto.ed25519(key, &state_message(&found.core_digest, &carried.bytes), &carried.signature).is_err() {
            Some("is not signed by the core's proof key")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let detail = format!("bundle.states[{seq}] {wrong}");
            checks.fail("states", Class::Binding, detail, "states belong to another boot or were altered; fetch again");
            return;
        }
        prev = *head;
    }
    match states.len() {
        0 => checks.fail("states", Class::Malformed, "the bundle has no state".to_owned(), "fetch the bundle again"),
        count => checks.pass(
            "states",
            Class::Binding,
            format!("{count} signed by the core's proof key, head {}", short(&prev)),
        ),
    }
}

fn check_possession(bundle: &Bundle, found: &Attested, rd: &[u8; 64], crypto: &impl Crypto, checks: &mut Checks) {
    let message = evidence_message(&found.core_digest, rd);
    match crypto.ed25519(found.core.proof_key.as_bytes(), &message, &bundle.boot.possession) {
        Ok(()) => {
            checks.pass("possession", Class::Binding, "whoever served this holds the core's proof key".to_owned())
        }
        Err(_) => checks.fail(
            "possession",
            Class::Binding,
            "bundle.boot.possession is not by the core's proof key".to_owned(),
            "whoever served this does not hold the key; ask the gateway itself",
        ),
    }
}

#[expect(clippy::too_many_arguments, reason = "the fresh report is judged by everything the boot report was")]
fn check_nonce(
    bundle: &Bundle,
    found: &Attested,
    question: BundleQuestion<'_>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
    checks: &mut Checks,
    verdict: &mut Verdict,
) {
    const ASK: &str = "fetch /api/attestation/bundle?nonce=<hex> with a nonce of your own";
    let fail = |checks: &mut Checks, detail: String| checks.fail("nonce", Class::Binding, detail, ASK);
    let Some(fresh) = &bundle.fresh else {
        match question.nonce {
            Some(_) => fail(checks, "the bundle answers no nonce".to_owned()),
            None => {
                checks.note("nonce", Class::Binding, "none asked for: the evidence may be old");
                verdict.leaves_open(NotProven::NoNonce);
            }
        }
        return;
    };
    if let Some(wrong) = wrong_with(fresh, bundle, found, question, policy, at, crypto) {
        fail(checks, wrong);
        return;
    }
    match question.nonce {
        Some(nonce) if nonce == fresh.nonce.as_bytes() => {
            let detail = format!("answered by a report of its own, {} of {}", fresh.index + 1, fresh.count);
            checks.pass("nonce", Class::Binding, detail);
        }
        Some(_) => fail(checks, "the bundle answers another nonce".to_owned()),
        None => {
            let text = "the bundle answers a nonce, but --nonce does not say whether it is yours";
            checks.note("nonce", Class::Binding, text);
            verdict.leaves_open(NotProven::NoNonce);
        }
    }
}

/// What is wrong with the fresh report, if anything is.
fn wrong_with(
    fresh: &FreshReport,
    bundle: &Bundle,
    found: &Attested,
    question: BundleQuestion<'_>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> Option<String> {
    let leaf = fresh.nonce.leaf(fresh.purpose);
    let root = merkle::root_from(leaf, u64::from(fresh.index), u64::from(fresh.count), &fresh.path);
    let Some(root) = root else {
        return Some("bundle.fresh.path has not the length that index and count ask for".to_owned());
    };
    let head = found.states.last().copied().unwrap_or(found.core_digest);
    let rd = report_data(&root, fresh.count, &found.core_digest, &head);
    let (verdict, id) =
        appraise_one(bundle, &fresh.report.report, &fresh.report.vek, &rd, question, policy, at, crypto);
    if verdict.rejection().is_some() {
        let row = verdict.checks.iter().find(|check| check.outcome == crate::Outcome::Fail);
        let why = row.map_or_else(|| "it is not accepted".to_owned(), |row| format!("{}: {}", row.name, row.detail));
        return Some(format!("bundle.fresh.report: {why}"));
    }
    let (_, boot) = appraise_one(
        bundle,
        &bundle.boot.report,
        &bundle.boot.vek,
        &report_data_without_nonce(&found.core_digest, found.states.first().unwrap_or(&found.core_digest)),
        question,
        policy,
        at,
        crypto,
    );
    if id != boot {
        return Some("bundle.fresh.report is of another guest than bundle.boot.report (REPORT_ID)".to_owned());
    }
    let message = evidence_message(&found.core_digest, &rd);
    let possession = crypto.ed25519(found.core.proof_key.as_bytes(), &message, &fresh.report.possession);
    possession.is_err().then(|| "bundle.fresh.possession is not by the core's proof key".to_owned())
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
