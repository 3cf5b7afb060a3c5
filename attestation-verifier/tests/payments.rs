//! Proofs of paid calls: what they claim is held against the attested state, the payer's own terms and the settlement.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/boot.rs"]
mod boot;

use std::sync::OnceLock;

use attestation_verifier::{Need, NotProven, Policy, Verdict};
use boot::{Asked, Boot, PAYEES, accepted, claim, key, outcome, rejected_by, result, sign, terms, tree};
use evidence::{
    Opened, ResultObject, UnixSeconds, UsdcAmount, Wallet,
    payment::Authorization,
    proof::{Envelope, ProofBody},
    settlement::{Outcome, Settlement, SignedSettlement, settlement_message},
};

const SETTLED: Outcome = Outcome::Settled { transaction: [0x7a; 32], receipt_sha256: Some([0x5c; 32]) };

type Change = fn(&mut Settlement);

/// A paid call's envelope, body and settlement changed before they are signed.
struct Paid {
    result: ResultObject,
    terms: Authorization,
    body: fn(&mut ProofBody, &Boot),
    settlement: Option<Change>,
}

impl Default for Paid {
    fn default() -> Self {
        Self { result: result(), terms: terms(), body: |_, _| {}, settlement: Some(|_| {}) }
    }
}

impl Paid {
    fn failed() -> Self {
        let error = ResultObject::of_error(tree(r#"{"code":-32602,"message":"no such tool"}"#)).unwrap();
        Self { result: error, ..Self::default() }
    }

    fn envelope(&self) -> Envelope {
        let boot = Boot::new();
        let mut body = boot.body(&boot.bundle(), &self.result);
        body.payment = Some(claim(&self.terms));
        (self.body)(&mut body, &boot);
        let mut envelope = boot.envelope(body);
        envelope.settlement = self.settlement.map(|change| {
            let mut settlement = settlement(&envelope);
            change(&mut settlement);
            signed(&boot, settlement)
        });
        envelope
    }

    fn asked(&self) -> Asked {
        ask(&self.envelope())
    }
}

fn ask(envelope: &Envelope) -> Asked {
    let bundle = Boot::new().bundle().to_bytes().unwrap();
    Asked { envelope: envelope.to_value().to_text().into_bytes(), bundle, ..Asked::default() }
}

fn settlement(envelope: &Envelope) -> Settlement {
    let claim = envelope.proof.body.payment.clone().unwrap_or_else(|| claim(&terms()));
    Settlement {
        core: envelope.proof.body.core,
        proof: envelope.proof.entry_digest().unwrap(),
        payment_ref: claim.payment_ref,
        outcome: SETTLED,
        network: claim.network,
        amount: claim.amount,
    }
}

fn signed(boot: &Boot, settlement: Settlement) -> SignedSettlement {
    let signature = sign(&key(1), &settlement_message(&boot.c, &settlement.to_bytes().unwrap()));
    SignedSettlement { settlement, signature, signature_key_id: "hint".to_owned() }
}

fn with_payment(payment: &str) -> Verdict {
    static ASKED: OnceLock<Asked> = OnceLock::new();
    let asked = ASKED.get_or_init(|| Paid::default().asked());
    Asked { payment: Some(payment.to_owned()), ..asked.clone() }.judge()
}

fn own_form(terms: &Authorization) -> String {
    String::from_utf8(terms.to_bytes().unwrap()).unwrap()
}

/// The payment as version 2 of x402 sends it.
fn version_2(terms: &Authorization) -> String {
    format!(
        r#"{{"x402Version":2,"resource":{{"url":"mcp://tool/echo"}},"accepted":{{"scheme":"exact","network":"{}",
            "amount":"{}","asset":"{}","payTo":"{}","maxTimeoutSeconds":60,"extra":{{"name":"USD Coin"}}}},
            "payload":{{"signature":"0x00","authorization":{}}}}}"#,
        terms.network,
        terms.value.units(),
        terms.asset,
        terms.to,
        authorization(terms)
    )
}

fn version_1(terms: &Authorization) -> String {
    format!(
        r#"{{"x402Version":1,"scheme":"exact","network":"base","payload":{{"signature":"0x00","authorization":{}}}}}"#,
        authorization(terms)
    )
}

fn authorization(terms: &Authorization) -> String {
    format!(
        r#"{{"from":"{}","to":"{}","value":"{}","validAfter":"{}","validBefore":"{}","nonce":"0x{}"}}"#,
        terms.from,
        terms.to,
        terms.value.units(),
        terms.valid_after.0,
        terms.valid_before.0,
        hex::encode(terms.nonce)
    )
}

#[test]
fn a_paid_call_is_accepted_and_the_chain_stays_unread() {
    let verdict = Paid::default().asked().judge();
    accepted(&verdict);
    assert_eq!((outcome(&verdict, "payment"), outcome(&verdict, "settlement")), ("not_checked", "pass"));
    assert!(verdict.not_proven.contains(&NotProven::PaymentOnChain));
    // Each account that the state names may be paid.
    accepted(&Paid { terms: Authorization { to: PAYEES[1], ..terms() }, ..Paid::default() }.asked().judge());
}

#[test]
fn a_free_call_is_accepted_and_leaves_no_question_about_a_chain() {
    let free = Paid { body: |body, _| body.payment = None, settlement: None, ..Paid::default() }.asked();
    let verdict = free.judge();
    accepted(&verdict);
    assert_eq!((outcome(&verdict, "payment"), outcome(&verdict, "settlement")), ("not_checked", "absent"));
    assert!(!verdict.not_proven.contains(&NotProven::PaymentOnChain));
    accepted(&free.judge_under(&Policy { settlement: Need::Required, ..Policy::strict() }));
    rejected_by(&Asked { payment: Some(own_form(&terms())), ..free }.judge(), 7, "payment");
    let settled = Paid { body: |body, _| body.payment = None, ..Paid::default() };
    rejected_by(&settled.asked().judge(), 7, "settlement");
}

#[test]
fn the_payers_own_payment_opens_the_claim_in_every_form_it_is_kept_in() {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::STANDARD.encode(version_2(&terms()));
    let as_numbers = version_2(&terms()).replace("\"0\"", "0").replace("\"1772323500\"", "1772323500");
    let checksummed = version_2(&terms()).replace(&"f0".repeat(20), &"F0".repeat(20));
    let forms = [own_form(&terms()), version_2(&terms()), version_1(&terms()), header, as_numbers, checksummed];
    for payment in forms.iter().chain([&format!("\n{}\n", own_form(&terms()))]) {
        let verdict = with_payment(payment);
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "payment"), "pass", "{payment}");
    }
}

#[test]
fn another_payment_than_the_callers_gives_7() {
    let changes: [fn(&mut Authorization); 8] = [
        |terms| terms.network = "eip155:84532".to_owned(),
        |terms| terms.asset = Wallet::new([9; 20]),
        |terms| terms.from = Wallet::new([9; 20]),
        |terms| terms.to = PAYEES[1],
        |terms| terms.value = UsdcAmount::from_units(501),
        |terms| terms.valid_after = UnixSeconds(1),
        |terms| terms.valid_before = UnixSeconds(1_772_323_501),
        |terms| terms.nonce = [9; 32],
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = terms();
        change(&mut other);
        for payment in [own_form(&other), version_2(&other)] {
            rejected_by(&with_payment(&payment), 7, "payment");
        }
        // Version 1 names neither number of chain nor token: they are the proof's.
        if at > 1 {
            rejected_by(&with_payment(&version_1(&other)), 7, "payment");
        }
    }
    // The claim says one thing, its reference another.
    let lying = Paid { body: |body, _| body.payment.as_mut().unwrap().payment_ref = [9; 32], ..Paid::default() };
    let asked = Asked { payment: Some(own_form(&terms())), ..lying.asked() };
    rejected_by(&asked.judge(), 7, "payment");
}

#[test]
fn a_file_that_is_no_payment_is_malformed() {
    let good = version_2(&terms());
    let nonce = hex::encode(terms().nonce);
    for payment in [
        String::new(),
        "{".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        "e30=".to_owned(),
        own_form(&terms()).replace("x402-exact", "x402-upto"),
        own_form(&terms()).replacen('{', r#"{"more":1,"#, 1),
        good.replace("\"x402Version\":2", "\"x402Version\":3"),
        good.replace("exact", "upto"),
        good.replace("\"500\"", "\"0x1f4\""),
        good.replace("\"500\"", "500"),
        good.replace("\"1772323500\"", "\"-1\""),
        good.replace("\"1772323500\"", "\"9007199254740992\""),
        good.replace("\"1772323500\"", "1.5"),
        good.replace(&nonce, &nonce[2..]),
        good.replace("\"authorization\"", "\"permit2Authorization\""),
        good.replacen("\"from\"", "\"to\"", 1),
    ] {
        rejected_by(&with_payment(&payment), 2, "payment");
    }
}

#[test]
fn a_payment_can_only_be_compared_with_what_opens_it() {
    let mut envelope = Paid::default().envelope();
    for (opening, wanted) in [
        (Some(Boot::salts(&[Opened::Payment])), "pass"),
        (Some(Boot::salts(&[Opened::Request])), "not_checked"),
        (None, "not_checked"),
    ] {
        envelope.opening = opening;
        let verdict = Asked { payment: Some(own_form(&terms())), ..ask(&envelope) }.judge();
        assert_eq!(outcome(&verdict, "payment"), wanted);
        assert_eq!(verdict.exit_code(), if wanted == "pass" { 0 } else { 7 });
    }
}

#[test]
fn money_that_went_past_the_attested_state_gives_7() {
    let stranger = Paid { terms: Authorization { to: Wallet::new([9; 20]), ..terms() }, ..Paid::default() };
    let verdict = stranger.asked().judge();
    rejected_by(&verdict, 7, "payment");
    assert!(verdict.check("payment").unwrap().detail.contains("an address the attested state does not name"));
    // Whose terms they are changes nothing.
    let theirs = Asked { payment: Some(own_form(&stranger.terms)), ..stranger.asked() };
    rejected_by(&theirs.judge(), 7, "payment");
    // State 1 no longer names the first account, and has no prices.
    let later = Paid { body: |body, boot| body.state = boot.heads[1], ..Paid::default() };
    rejected_by(&later.asked().judge(), 7, "payment");
    let unpriced = Paid { terms: Authorization { to: PAYEES[1], ..terms() }, ..later };
    let verdict = unpriced.asked().judge();
    rejected_by(&verdict, 7, "payment");
    assert!(verdict.check("payment").unwrap().detail.contains("no prices"));
}

#[test]
fn a_settlement_of_something_else_gives_7() {
    let changes: [(&str, Change); 5] = [
        ("it names core", |settlement| settlement.core = [9; 32]),
        ("settlement.proof", |settlement| settlement.proof = [9; 32]),
        ("settlement.ref", |settlement| settlement.payment_ref = [9; 32]),
        ("settlement.network", |settlement| settlement.network = "eip155:84532".to_owned()),
        ("settlement.amount", |settlement| settlement.amount = UsdcAmount::from_units(499)),
    ];
    for (detail, change) in changes {
        let verdict = Paid { settlement: Some(change), ..Paid::default() }.asked().judge();
        rejected_by(&verdict, 7, "settlement");
        assert!(verdict.check("settlement").unwrap().detail.starts_with(detail), "{detail}");
    }
    // That of a twin of the proof: same payment, another id.
    let twin = Paid { body: |body, _| body.id = [9; 32], ..Paid::default() }.envelope();
    let mut envelope = Paid::default().envelope();
    envelope.settlement = twin.settlement;
    rejected_by(&ask(&envelope).judge(), 7, "settlement");
    // That of the same proof under another HMAC tag: the entry covers the tag.
    let mut envelope = Paid::default().envelope();
    envelope.proof.tag = [9; 32];
    rejected_by(&ask(&envelope).judge(), 7, "settlement");
}

#[test]
fn a_settlement_that_the_core_did_not_sign_as_one_gives_7() {
    let boot = Boot::new();
    let good = Paid::default().envelope();
    let bytes = good.settlement.as_ref().unwrap().settlement.to_bytes().unwrap();
    for signature in [
        sign(&key(2), &settlement_message(&boot.c, &bytes)),
        sign(&key(1), &bytes),
        sign(&key(1), &settlement_message(&boot.heads[0], &bytes)),
        sign(&key(1), &evidence::proof::proof_message(&boot.c, &bytes)),
        [0; 64],
    ] {
        let mut envelope = good.clone();
        envelope.settlement.as_mut().unwrap().signature = signature;
        rejected_by(&ask(&envelope).judge(), 7, "settlement");
    }
}

#[test]
fn what_became_of_a_payment_must_fit_what_became_of_the_call() {
    let required = Policy { settlement: Need::Required, ..Policy::strict() };
    let outcomes: [(Change, [&str; 2]); 4] = [
        (|settlement| settlement.outcome = SETTLED, ["pass", "fail"]),
        (|settlement| settlement.outcome = Outcome::Released, ["fail", "pass"]),
        (|settlement| settlement.outcome = Outcome::Pending { transaction: None }, ["not_checked"; 2]),
        (|settlement| settlement.outcome = Outcome::Pending { transaction: Some([1; 32]) }, ["not_checked"; 2]),
    ];
    for (change, wanted) in outcomes {
        for (paid, wanted) in [Paid::default(), Paid::failed()].into_iter().zip(wanted) {
            let asked = Paid { settlement: Some(change), ..paid }.asked();
            let verdict = asked.judge();
            assert_eq!(outcome(&verdict, "settlement"), wanted);
            assert_eq!(verdict.exit_code(), if wanted == "fail" { 7 } else { 0 });
            let exit = match wanted {
                "pass" => 0,
                "fail" => 7,
                _ => 5,
            };
            assert_eq!(asked.judge_under(&required).exit_code(), exit, "{wanted} where it is required");
        }
    }
    let unsettled = Paid { settlement: None, ..Paid::default() }.asked();
    let verdict = unsettled.judge();
    accepted(&verdict);
    assert_eq!(outcome(&verdict, "settlement"), "not_checked");
    rejected_by(&unsettled.judge_under(&required), 5, "settlement");
}

#[test]
fn any_changed_byte_of_payment_or_settlement_is_rejected() {
    let asked = Paid::default().asked();
    let text = String::from_utf8(asked.envelope.clone()).unwrap();
    let hint = r#""keyId":"hint""#;
    let mut flipped = 0;
    for name in ["payment", "settlement"] {
        let start = text.find(&format!(r#""{name}":{{"#)).unwrap();
        let end = start + text[start..].find(if name == "payment" { "}" } else { "}}" }).unwrap() + 1;
        let shown = text[start..end].find(hint).map(|at| start + at + 9..start + at + hint.len() - 1);
        for at in (start..end).filter(|at| !shown.as_ref().is_some_and(|hint| hint.contains(at))) {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let verdict = Asked { envelope: bytes, ..asked.clone() }.judge();
            assert!(matches!(verdict.exit_code(), 2 | 7), "{name} at {at}: {}", verdict.word());
            flipped += 1;
        }
    }
    assert!(flipped > 800, "{flipped}");
}

#[test]
fn any_missing_doubled_or_added_member_of_payment_or_settlement_gives_7() {
    let asked = Paid::default().asked();
    let text = String::from_utf8(asked.envelope.clone()).unwrap();
    let (claim, settlement) = (text.find(r#""payment":{"#).unwrap(), text.find(r#""settlement":{"#).unwrap());
    for (start, names) in [
        (claim, &["rail", "network", "asset", "payTo", "amount", "ref"][..]),
        (
            settlement,
            &[
                "core",
                "proof",
                "ref",
                "outcome",
                "network",
                "transaction",
                "amount",
                "receiptSha256",
                "publicSignature",
            ],
        ),
    ] {
        for name in names {
            let at = start + text[start..].find(&format!(r#""{name}":"#)).unwrap();
            let renamed = format!("{}\"x{}", &text[..at], &text[at + 1..]);
            let added = format!("{}\"x\":null,{}", &text[..at], &text[at..]);
            for changed in [renamed, added] {
                let verdict = Asked { envelope: changed.into_bytes(), ..asked.clone() }.judge();
                rejected_by(&verdict, 7, "proof");
            }
            let doubled = format!("{}\"{name}\":null,{}", &text[..at], &text[at..]);
            assert_ne!(Asked { envelope: doubled.into_bytes(), ..asked.clone() }.judge().exit_code(), 0, "{name}");
        }
    }
}
