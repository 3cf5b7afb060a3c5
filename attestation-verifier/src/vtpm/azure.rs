//! Azure's evidence as a whole: report, runtime claims, quote.

use evidence::UnixSeconds;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{
    claims::{ClaimsError, RuntimeClaims},
    events,
    quoted::{QuoteQuestion, check_events, check_quote},
};
use crate::{
    Class, Crypto, NotProven, Outcome, Policy, Question, Verdict, VtpmKind,
    appraisal::{Checks, LAST, judge_report},
    policy::checks as policy_checks,
};

/// Evidence of an Azure confidential VM.
#[derive(Clone, Copy, Debug)]
pub struct AzureQuestion<'a> {
    /// The HCL blob, or the bare report with `claims`; and how it is to be judged.
    pub report: Question<'a>,
    /// The runtime claims, where they do not lie in the blob.
    pub claims: Option<&'a [u8]>,
    /// What `user-data` of the claims must be, if the caller knows.
    pub user_data: Option<&'a [u8; 64]>,
    /// The quote, if there is one.
    pub quote: Option<QuoteQuestion<'a>>,
}

/// Appraises Azure's evidence: the report as [`crate::appraise_report`] does; the claims that REPORT_DATA names; the quote by
/// the key that the claims name. `vtpm` says whether all of that hangs together.
///
/// ```
/// use attestation_verifier::{
///     AzureQuestion, Collateral, EventPolicy, Policy, Question, QuoteQuestion, Ring, SignatureForm, SignedQuote,
///     TrustAnchor, appraise_azure, clock,
/// };
///
/// let at = clock::parse("2026-03-01T00:00:00Z").ok_or("time")?;
/// let (blob, attest, signature) = (b"index 0x01400001", b"TPMS_ATTEST", b"TPMT_SIGNATURE");
/// let question = AzureQuestion {
///     report: Question {
///         evidence: blob,
///         collateral: &Collateral::default(),
///         anchor: &TrustAnchor::Amd,
///         report_data: None,
///     },
///     claims: None,
///     user_data: Some(&[0x5E; 64]),
///     quote: Some(QuoteQuestion {
///         quote: SignedQuote { attest, signature, form: SignatureForm::Tpm },
///         registers: None,
///         event_log: None,
///         nonce: Some(b"what you asked for"),
///         events: &EventPolicy::unchecked("nothing is known of what it starts"),
///     }),
/// };
/// let verdict = appraise_azure(question, &Policy::strict(), at, &Ring);
/// assert_eq!((verdict.word(), verdict.exit_code()), ("rejected", 2));
/// # Ok::<(), &str>(())
/// ```
pub fn appraise_azure(question: AzureQuestion<'_>, policy: &Policy, at: UnixSeconds, crypto: &impl Crypto) -> Verdict {
    let appraisal = judge_report(question.report, policy, at, crypto);
    let (report, mut verdict) = (appraisal.report, appraisal.verdict);
    let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
    let mut bound = appraisal.claims;
    let vouched = report.as_ref().is_some_and(|report| {
        policy_checks::vouched(VtpmKind::Paravisor, report.id_key_digest(), report.measurement(), policy)
    });
    if !checks.has("runtime-data") {
        bound = match (question.claims, &report) {
            (Some(claims), Some(report)) => {
                verdict.leaves_open(NotProven::CodeVendorParavisor);
                check_claims_hash(claims, report.report_data(), &mut checks)
            }
            (None, Some(_)) => {
                checks.open(
                    "runtime-data",
                    Class::Binding,
                    "no runtime claims given: give the HCL blob, or --runtime-data",
                );
                None
            }
            (_, None) => {
                checks.open("runtime-data", LAST, "no verified report that could speak for them");
                None
            }
        };
    }
    let claims = check_claims(bound, &mut checks);
    let user_data = check_user_data(question.user_data, claims.as_ref(), &mut checks);
    let nonce = match (&question.quote, &claims) {
        (Some(quote), Some(claims)) => {
            let quoted = check_quote(*quote, claims.ak(), &mut checks, crypto);
            check_events(*quote, quoted.as_ref(), &mut checks);
            match quoted {
                Some(_) => {
                    const BOUND: &str =
                        "bound to the report: yes, REPORT_DATA is the hash of the claims that name the key";
                    if vouched {
                        checks.pass("vtpm", Class::Binding, format!("paravisor; {BOUND}"));
                    } else {
                        let why = policy_checks::by_its_own_word(VtpmKind::Paravisor);
                        checks.note("vtpm", Class::Binding, &format!("paravisor by its own word ({why}); {BOUND}"));
                    }
                }
                None => checks.open("vtpm", LAST, "paravisor; bound to the report: its quote does not verify"),
            }
            quoted.is_some_and(|quoted| quoted.nonce)
        }
        (Some(quote), None) => {
            for row in ["quote", "quote-nonce", "pcrs", "vtpm"] {
                checks.open(row, LAST, "no attestation key that a verified report speaks for");
            }
            check_events(*quote, None, &mut checks);
            false
        }
        (None, Some(_)) => {
            checks.note(
                "vtpm",
                Class::Binding,
                "paravisor; bound to the report: its key is, and no quote by it was given",
            );
            false
        }
        (None, None) => {
            checks.open("vtpm", LAST, "paravisor; bound to the report: no claims that it speaks for");
            false
        }
    };
    if question.quote.is_none() && policy.events.asks() {
        // No quote, no registers: what the policy asks of the boot stays open, and rejects.
        events::check(&mut checks, None, None, &policy.events);
    }
    if claims.is_some() {
        policy_checks::vtpm_kind(VtpmKind::Paravisor, vouched, policy, &mut verdict, &mut checks);
    }
    if user_data || nonce {
        answered(&mut verdict, &mut checks, user_data);
    }
    verdict.checks = checks.into_inner();
    verdict
}

/// Claims beside a bare report: their hash followed by zeros. The blob that would name the hash is not there, so each
/// of the three counts.
fn check_claims_hash<'a>(claims: &'a [u8], report_data: &[u8; 64], checks: &mut Checks) -> Option<&'a [u8]> {
    let hashes = [
        ("SHA-256", Sha256::digest(claims).to_vec()),
        ("SHA-384", Sha384::digest(claims).to_vec()),
        ("SHA-512", Sha512::digest(claims).to_vec()),
    ];
    let holds = |hash: &Vec<u8>| {
        report_data.strip_prefix(hash.as_slice()).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
    };
    match hashes.iter().find(|(_, hash)| holds(hash)) {
        Some((name, _)) => {
            let detail = format!("REPORT_DATA is the {name} of the {} bytes of runtime claims", claims.len());
            checks.pass("runtime-data", Class::Binding, detail);
            Some(claims)
        }
        None => {
            let detail = "report.REPORT_DATA: not the hash of these runtime claims".into();
            checks.fail("runtime-data", Class::Binding, detail, "give report and claims of one HCL blob");
            None
        }
    }
}

fn check_claims(bound: Option<&[u8]>, checks: &mut Checks) -> Option<RuntimeClaims> {
    let Some(bytes) = bound else {
        checks.open("claims", LAST, "no claims that a verified report speaks for");
        return None;
    };
    let parsed = RuntimeClaims::parse(bytes).and_then(|claims| {
        let keys = format!("HCLAkPub {}, HCLEkPub {}", claims.ak(), claims.complete()?);
        Ok((claims, keys))
    });
    match parsed {
        Ok((claims, keys)) => {
            checks.pass("claims", Class::Malformed, keys);
            Some(claims)
        }
        Err(error) => {
            let class = if error == ClaimsError::NoEndorsementKey { Class::Binding } else { Class::Malformed };
            checks.fail("claims", class, error.to_string(), error.fix());
            None
        }
    }
}

fn check_user_data(expected: Option<&[u8; 64]>, claims: Option<&RuntimeClaims>, checks: &mut Checks) -> bool {
    const ROW: &str = "user-data";
    let Some(claims) = claims else {
        match expected {
            Some(_) => checks.open(ROW, LAST, "no claims that a verified report speaks for"),
            None => checks.note(ROW, LAST, "no claims that a verified report speaks for"),
        }
        return false;
    };
    let found = match claims.user_data() {
        Some(data) if data.iter().all(|byte| *byte == 0) => "zeros".to_owned(),
        Some(data) => hex::encode(data),
        None => "absent".to_owned(),
    };
    match expected {
        Some(expected) if Some(expected) == claims.user_data() => {
            checks.pass(ROW, Class::Binding, "as expected".into());
            true
        }
        Some(expected) => {
            let detail = format!("claims.user-data: found {found}, expected {}", hex::encode(expected));
            checks.fail(ROW, Class::Binding, detail, "ask for evidence over your own nonce");
            false
        }
        None => {
            checks.note(ROW, Class::Binding, &format!("no expectation given; it is {found}"));
            false
        }
    }
}

/// The evidence answers what was asked, in another place than REPORT_DATA, which on Azure is a hash of the claims.
fn answered(verdict: &mut Verdict, checks: &mut Checks, in_claims: bool) {
    verdict.settles(NotProven::NoNonce);
    let place = if in_claims { "user-data of the claims" } else { "extraData of the quote" };
    if let Some(row) = checks.row("report-data").filter(|row| row.outcome == Outcome::NotChecked) {
        row.detail = format!("no expectation given; what you asked for is in {place}");
        row.required = false;
    }
}
