//! A quote with its registers and its event log, appraised. Pure, as everything here.

use super::{
    event_policy::EventPolicy,
    events,
    key::TpmKey,
    key_file::GivenKey,
    quote::{Quote, QuoteError, Registers, SignedQuote, list},
};
use crate::{
    Class, Crypto, Finding, Unverified, Verified,
    appraisal::{Checks, LAST},
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
