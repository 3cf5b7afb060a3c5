//! A report that an SVSM asked for, appraised with the services manifest that it covers.

use evidence::UnixSeconds;

use super::svsm::SvsmManifest;
use crate::{
    Class, Crypto, Outcome, Policy, Question, Verdict, VtpmKind,
    appraisal::{Checks, LAST, judge_report},
    policy::checks as policy_checks,
};

/// Appraises a report whose REPORT_DATA must be SHA-512(nonce ‖ manifest). The nonce is what the guest gave the SVSM; what
/// `question` expects of REPORT_DATA is not looked at. Rows `services-manifest` and `vtpm` are added. That a key which
/// signs quotes is in this vTPM cannot be shown to a stranger ([`SvsmManifest`]), so no quote is taken.
///
/// ```
/// use attestation_verifier::{Collateral, Policy, Question, Ring, TrustAnchor, appraise_svsm, clock};
///
/// let at = clock::parse("2026-03-01T00:00:00Z").ok_or("time")?;
/// let (collateral, anchor) = (Collateral::default(), TrustAnchor::Amd);
/// let question = Question { evidence: b"no report", collateral: &collateral, anchor: &anchor, report_data: None };
/// let verdict = appraise_svsm(question, b"no manifest", &[0; 64], &Policy::strict(), at, &Ring);
/// assert_eq!((verdict.word(), verdict.exit_code()), ("rejected", 2));
/// # Ok::<(), &str>(())
/// ```
pub fn appraise_svsm(
    question: Question<'_>,
    manifest: &[u8],
    nonce: &[u8; 64],
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> Verdict {
    const ROW: &str = "services-manifest";
    let parsed = SvsmManifest::parse(manifest);
    let expected = parsed.as_ref().ok().map(|manifest| manifest.report_data(nonce));
    let question = Question { report_data: expected.as_ref(), ..question };
    let appraisal = judge_report(question, policy, at, crypto);
    let vouched = appraisal.report.as_ref().is_some_and(|report| {
        policy_checks::vouched(VtpmKind::Svsm, report.id_key_digest(), report.measurement(), policy)
    });
    let mut verdict = appraisal.verdict;
    let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
    let covered = checks.row("report-data").is_some_and(|row| row.outcome == Outcome::Pass);
    match parsed.and_then(|manifest| manifest.endorsement_key()) {
        Err(error) => {
            checks.fail(ROW, Class::Malformed, error.to_string(), error.fix());
            checks.open("vtpm", LAST, "svsm; bound to the report: no manifest that names its endorsement key");
        }
        Ok(_) if !covered => {
            checks.open(ROW, LAST, "no verified report covers it");
            checks.open("vtpm", LAST, "svsm; bound to the report: no verified report covers the manifest");
        }
        Ok(key) => {
            let name = hex::encode(key.name());
            let detail = format!("the report covers it for your nonce; endorsement key {}, Name {name}", key.key());
            checks.pass(ROW, Class::Binding, detail);
            let detail = "svsm; bound to the report: its endorsement key is; that a key which signs quotes is in the same \
                          vTPM is nothing that a stranger can check";
            checks.note("vtpm", Class::Binding, detail);
            policy_checks::vtpm_kind(VtpmKind::Svsm, vouched, policy, &mut verdict, &mut checks);
        }
    }
    verdict.checks = checks.into_inner();
    verdict
}
