//! A quote with its registers and its event log, appraised; and Azure's evidence as a whole: report, runtime claims,
//! quote. Pure, as everything here.

use evidence::UnixSeconds;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{
    claims::{ClaimsError, RuntimeClaims},
    events::{self, EventPolicy},
    key::TpmKey,
    key_file::GivenKey,
    quote::{Quote, QuoteError, Registers, SignedQuote, list},
};
use crate::{
    Class, Crypto, Finding, NotProven, Outcome, Policy, Question, Unverified, Verdict, Verified, VtpmKind,
    appraisal::{Checks, LAST, appraise_report},
    policy::checks as policy_checks,
};

/// A quote and what came along.
#[derive(Clone, Copy, Debug)]
pub struct QuoteQuestion<'a> {
    /// TPMS_ATTEST and its signature.
    pub quote: SignedQuote<'a>,
    /// Register and value, SHA-256 bank: exactly the ones that the quote signs.
    pub registers: Option<&'a [(u8, [u8; 32])]>,
    /// The firmware's event log, as the kernel keeps it.
    pub event_log: Option<&'a [u8]>,
    /// What `extraData` must be, if the caller knows.
    pub nonce: Option<&'a [u8]>,
    /// What is asked of the log.
    pub events: &'a EventPolicy,
}

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

/// Appraises Azure's evidence: the report as [`appraise_report`] does; the claims that REPORT_DATA names; the quote by
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
    let appraisal = appraise_report(question.report, policy, at, crypto);
    let (report, mut verdict) = (appraisal.report, appraisal.verdict);
    let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
    let mut bound = appraisal.claims;
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
                Some(_) => checks.pass(
                    "vtpm",
                    Class::Binding,
                    "paravisor; bound to the report: yes, REPORT_DATA is the hash of the claims that name the key"
                        .into(),
                ),
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
        policy_checks::vtpm_kind(VtpmKind::Paravisor, policy, &mut verdict, &mut checks);
    }
    if user_data || nonce {
        answered(&mut verdict, &mut checks, user_data);
    }
    verdict.checks = checks.into_inner();
    verdict
}

/// Appraises a quote by a key that the caller names. No processor is asked, so this is no verdict: it says what the
/// holder of that key said.
///
/// ```
/// use attestation_verifier::{
///     EventPolicy, GivenKey, QuoteQuestion, Ring, SignatureForm, SignedQuote, appraise_quote,
/// };
///
/// // SubjectPublicKeyInfo of a P-256 key.
/// let key = hex::decode(concat!(
///     "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0",
///     "f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
/// ))?;
/// let signature = [&[0, 0x18, 0, 0x0B, 0, 32][..], &[1; 32], &[0, 32], &[1; 32]].concat();
/// let question = QuoteQuestion {
///     quote: SignedQuote { attest: b"TPMS_ATTEST", signature: &signature, form: SignatureForm::Tpm },
///     registers: None,
///     event_log: None,
///     nonce: None,
///     events: &EventPolicy::unchecked("an example"),
/// };
/// let finding = appraise_quote(question, &GivenKey::read(&key)?, &Ring);
/// assert_eq!((finding.word(), finding.exit_code()), ("does not hold", 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn appraise_quote(question: QuoteQuestion<'_>, given: &GivenKey, crypto: &impl Crypto) -> Finding {
    let mut checks = Checks::default();
    let quoted = check_quote(question, given.key(), &mut checks, crypto);
    check_key(given, quoted.as_ref(), &mut checks);
    check_events(question, quoted.as_ref(), &mut checks);
    checks.note(
        "vtpm",
        Class::Binding,
        "kind unknown; bound to a report: not checked, the key is your word. A host's TPM says whatever the host wants",
    );
    Finding::new("the attestation key named by you", checks.into_inner())
}

/// What the key may sign, as far as its form shows that.
fn check_key(given: &GivenKey, quoted: Option<&Quoted>, checks: &mut Checks) {
    const ROW: &str = "attestation-key";
    let Some(area) = given.area() else {
        let detail = format!("{}, {}: does not say what else the key may sign", given.key(), given.form());
        return checks.note(ROW, Class::Binding, &detail);
    };
    let name = hex::encode(area.name());
    if !area.attests() {
        let detail = format!("{}, Name {name}: not a restricted signing key that stays in its TPM", given.key());
        return checks.fail(ROW, Class::Binding, detail, "use a key that signs nothing but what the TPM says");
    }
    let primary = quoted.and_then(|quoted| area.primary_of(quoted.quote.qualified_signer()));
    let place = match (primary, quoted) {
        (Some(hierarchy), _) => format!("; a primary key of the {hierarchy} hierarchy, by qualifiedSigner"),
        (None, Some(_)) => "; by qualifiedSigner below another key".to_owned(),
        (None, None) => String::new(),
    };
    let detail = format!("{}, Name {name}: restricted, signs only what the TPM says{place}", given.key());
    checks.pass(ROW, Class::Binding, detail);
}

/// A quote that verified.
pub(crate) struct Quoted {
    /// What it says.
    pub(crate) quote: Verified<Quote>,
    /// The registers it signs, if they were given and are the ones.
    pub(crate) registers: Option<Registers>,
    /// Did it answer the nonce that was expected?
    pub(crate) nonce: bool,
}

/// The rows `quote`, `quote-nonce` and `pcrs`. `None` if the quote does not verify.
pub(crate) fn check_quote(
    question: QuoteQuestion<'_>,
    key: &TpmKey,
    checks: &mut Checks,
    crypto: &impl Crypto,
) -> Option<Quoted> {
    let quote = match Unverified(question.quote).verify(key, crypto) {
        Ok(quote) => quote,
        Err(error) => {
            let class = match &error {
                QuoteError::Signature { .. } => Class::Chain,
                _ => Class::Malformed,
            };
            checks.fail("quote", class, error.to_string(), error.fix());
            checks.open("quote-nonce", LAST, "no verified quote");
            checks.open("pcrs", LAST, "no verified quote");
            return None;
        }
    };
    checks.pass("quote", Class::Chain, describe(&quote, key));
    let nonce = check_nonce(&quote, question.nonce, checks);
    let registers = match question.registers.map(|given| quote.registers(given)) {
        Some(Ok(registers)) => {
            let detail = format!("the values given are the ones signed: {}", list(quote.selection()));
            checks.pass("pcrs", Class::Binding, detail);
            Some(registers)
        }
        Some(Err(error)) => {
            checks.fail("pcrs", Class::Binding, error.to_string(), error.fix());
            None
        }
        None => {
            checks.note("pcrs", Class::Binding, "no values given: only their digest is signed");
            None
        }
    };
    Some(Quoted { quote, registers, nonce })
}

/// The row `event-log` and those of the event policy.
pub(crate) fn check_events(question: QuoteQuestion<'_>, quoted: Option<&Quoted>, checks: &mut Checks) {
    let registers = quoted.and_then(|quoted| quoted.registers.as_ref());
    events::check(checks, question.event_log, registers, question.events);
}

fn describe(quote: &Verified<Quote>, key: &TpmKey) -> String {
    let clock = quote.clock();
    let safe = if clock.safe { "" } else { ", not known to only go forward" };
    format!(
        "by the {key} attestation key, {}, over the bytes as received; TPM clock {} ms{safe}, reset count {}, restart \
         count {}, firmware version {:#x}",
        quote.scheme(),
        clock.clock,
        clock.reset_count,
        clock.restart_count,
        quote.firmware_version(),
    )
}

fn check_nonce(quote: &Verified<Quote>, expected: Option<&[u8]>, checks: &mut Checks) -> bool {
    let found = hex::encode(quote.extra_data());
    match expected {
        Some(expected) if expected == quote.extra_data() => {
            checks.pass("quote-nonce", Class::Binding, "extraData is as expected".into());
            true
        }
        Some(expected) => {
            let detail = format!("quote.extraData: found \"{found}\", expected {}", hex::encode(expected));
            checks.fail("quote-nonce", Class::Binding, detail, "ask for a quote over your own nonce");
            false
        }
        None => {
            checks.note("quote-nonce", Class::Binding, &format!("no expectation given; extraData is \"{found}\""));
            false
        }
    }
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
