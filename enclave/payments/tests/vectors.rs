//! Payments made by others: the committed ones (tests/vectors/x402), and a larger set that is not ours to ship, read in
//! place where `SEALGATE_EXTRA_VECTORS` names it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod common;

use std::{path::PathBuf, sync::Arc};

use common::{Account, NOW, TestJournal, TestLedger, purchase, rail};
use evidence::{
    Wallet,
    json::{Limits, Value, parse},
};
use payments::{Payment, PaymentRefusal, Reserved};

fn read(path: PathBuf) -> Value {
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text, &Limits::THEIRS).unwrap()
}

fn extra() -> Option<PathBuf> {
    let folder = std::env::var_os("SEALGATE_EXTRA_VECTORS");
    if folder.is_none() {
        println!("SEALGATE_EXTRA_VECTORS is not set: the extra set did not run");
    }
    folder.map(|folder| PathBuf::from(folder).join("x402"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.member(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{name}"))
}

/// A chain on which every payer of the tests has money.
async fn answer(payment: &Value, prepare: impl FnOnce(&TestLedger, &Payment)) -> Result<(), PaymentRefusal> {
    let payment = Payment::from_value(payment)?;
    let ledger = Arc::new(TestLedger::with(&[payment.from], 1_000_000));
    prepare(&ledger, &payment);
    let rail = rail(&Arc::new(TestJournal::default()), &ledger);
    match rail.reserve(&purchase(1), &payment, NOW).await? {
        Reserved::Fresh(hold) => rail.release(*hold).await.map_err(PaymentRefusal::from),
        Reserved::Answered(_) => panic!("nothing was ever paid here"),
    }
}

fn expect(id: &str, found: &Result<(), PaymentRefusal>, wanted: &Value) {
    match (found, wanted.member("valid") == Some(&Value::Bool(true))) {
        (Ok(()), true) => {}
        (Err(refusal), false) => {
            assert_eq!(refusal.reason().as_str(), text(wanted, "reason"), "{id}: {refusal}");
            assert!(!refusal.fix().is_empty() && !refusal.to_string().is_empty(), "{id}");
            let said = format!("{refusal:?}{refusal}").to_lowercase();
            assert!(!holds_forty_digits(&said), "{id} names somebody: {said}");
        }
        (found, _) => panic!("{id}: {found:?}, want {wanted:?}"),
    }
}

/// Whether an address, a hash or a signature may be in it.
fn holds_forty_digits(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_hexdigit()).any(|run| run.len() >= 40)
}

#[tokio::test]
async fn committed_payments_are_answered_as_they_say() {
    let file = read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/x402/payments.json"));
    let cases = file.member("cases").unwrap().as_array().unwrap();
    assert_eq!(cases.len(), 54, "cases of the committed set");
    for case in cases {
        let chain = case.member("chain").unwrap();
        let found = answer(case.member("payment").unwrap(), |ledger, payment| {
            ledger.change(|inner| {
                if let Some(Value::Number(units)) = chain.member("balance") {
                    inner.balances.insert(payment.from, units.parse().unwrap());
                }
                if let Some(code) = chain.member("code") {
                    let code = hex::decode(code.as_str().unwrap().trim_start_matches("0x")).unwrap();
                    inner.codes.insert(payment.from, code);
                }
                if chain.member("used").is_some() {
                    inner.used.insert((payment.from, payment.nonce));
                }
                inner.refuses = chain.member("refuses").map(|why| why.as_str().unwrap().to_owned());
            });
        })
        .await;
        expect(text(case, "id"), &found, case.member("expect").unwrap());
    }
}

#[tokio::test]
async fn the_wrong_domain_name_that_examples_show_is_called_by_its_name() {
    let file = read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/x402/payments.json"));
    let cases = file.member("cases").unwrap().as_array().unwrap();
    let case = cases.iter().find(|case| text(case, "id") == "fail_domain_usdc").unwrap();
    let refusal = answer(case.member("payment").unwrap(), |_, _| {}).await.unwrap_err();
    assert!(refusal.to_string().contains("named \"USD Coin\""), "{refusal}");
}

#[tokio::test]
async fn the_extra_set_is_answered_as_it_says() {
    let Some(folder) = extra() else { return };
    let file = read(folder.join("exact-eip3009.json"));
    let cases = file.member("cases").unwrap().as_array().unwrap();
    assert_eq!(cases.len(), 17);
    for case in cases {
        let id = text(case, "id");
        let found = answer(case.member("paymentPayload").unwrap(), |ledger, payment| {
            ledger.change(|inner| match id {
                "s-insufficient-funds" => inner.balances.clear(),
                "s-nonce-used" => {
                    inner.used.insert((payment.from, payment.nonce));
                }
                _ => {}
            });
        })
        .await;
        expect(id, &found, case.member("expect").unwrap());
    }
}

#[tokio::test]
async fn smart_wallets_of_the_extra_set_are_refused_and_told_so() {
    let Some(folder) = extra() else { return };
    let file = read(folder.join("smart-wallets.json"));
    for case in file.member("cases").unwrap().as_array().unwrap() {
        let id = text(case, "id");
        let payment = format!(
            r#"{{"x402Version":1,"scheme":"exact","network":"base","payload":{{"signature":"{}","authorization":{}}}}}"#,
            text(case, "signature"),
            case.member("authorization").unwrap().to_text()
        );
        let payment = parse(payment.as_bytes(), &Limits::THEIRS).unwrap();
        let found = answer(&payment, |ledger, payment| {
            if case.member("deployed") == Some(&Value::Bool(true)) {
                ledger.change(|inner| inner.codes.insert(payment.from, vec![0x60]));
            }
        })
        .await;
        let refusal = found.unwrap_err();
        assert_eq!(refusal.reason().as_str(), "invalid_exact_evm_payload_signature", "{id}");
        assert!(refusal.to_string().contains("smart wallets cannot pay here yet"), "{id}: {refusal}");
    }
}

#[tokio::test]
async fn samples_of_the_specifications_are_read_and_the_signed_one_is_its_signers() {
    let Some(folder) = extra() else { return };
    let file = read(folder.join("spec-samples.json"));
    let mut payments = 0;
    for header in file.member("httpHeaders").unwrap().as_array().unwrap() {
        let payment = Payment::from_header(text(header, "value").as_bytes());
        if matches!(text(header, "header"), "PAYMENT-SIGNATURE" | "X-PAYMENT") {
            let payment = payment.unwrap();
            let payer: Wallet = "0x857b06519E91e3A54538791bDbb0E22373e36b66".parse().unwrap();
            assert_eq!(payment.from, payer);
            payments += 1;
        } else {
            payment.unwrap_err();
        }
    }
    assert_eq!(payments, 2);
    // The sample itself: Base Sepolia, 10000 units, and it has ended.
    let file = read(folder.join("eip712-eip3009.json"));
    let sample = file.member("specSample").unwrap();
    let payment = format!(
        r#"{{"x402Version":2,"scheme":"exact","network":"eip155:84532","payload":{{"signature":"{}","authorization":{}}}}}"#,
        text(sample, "signature"),
        sample.member("authorization").unwrap().to_text()
    );
    let payment = Payment::from_value(&parse(payment.as_bytes(), &Limits::THEIRS).unwrap()).unwrap();
    let config = payments::Config {
        chain_id: 84532,
        asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap(),
        domain_name: "USDC".to_owned(),
        ..payments::Config::base_usdc(payment.to)
    };
    let ledger = Arc::new(TestLedger::with(&[payment.from], 1_000_000));
    let rail = common::rail_with(config, &Arc::new(TestJournal::default()), &ledger);
    let purchase = payments::Purchase { price: evidence::UsdcAmount::from_units(10_000), ..purchase(1) };
    let refusal = rail.reserve(&purchase, &payment, NOW).await.unwrap_err();
    // By its order, the window is found before the signature is looked at; so the signature is looked at alone.
    assert_eq!(refusal.reason().as_str(), "invalid_exact_evm_payload_authorization_valid_before");
}

#[tokio::test]
async fn who_is_refused_leaves_nothing_in_the_journal() {
    let payer = Account::new(5);
    let journal = Arc::new(TestJournal::default());
    let ledger = Arc::new(TestLedger::with(&[payer.wallet()], 499));
    let rail = rail(&journal, &ledger);
    let refusal = rail.reserve(&purchase(1), &common::payment(&payer, 1), NOW).await.unwrap_err();
    assert_eq!(refusal.reason().as_str(), "insufficient_funds");
    assert!(journal.rows().iter().all(|row| row.stage.is_final()));
}
