//! Paid calls, with the real token on a chain of our own: what is asked, what is paid, and what is proven of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use sealgate_tests::{
    Paying,
    wallet::{Terms, header},
};
use serde_json::json;

#[test]
fn a_rest_call_is_paid_once_and_its_proof_commits_to_the_payment() {
    let paying = Paying::start();
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let path = format!("/api/servers/{}/tools/echo", gateway.id("everything"));
    let body = json!({"message": "paid"});
    let asked = gateway.anonymous().post(&path, &body);
    assert_eq!(asked.status, 402, "{}", String::from_utf8_lossy(&asked.body));
    let required = Paying::required(&asked);
    let payment = payer.pay(&required["accepts"][0], &Terms::new(&paying.payee));
    let before = (paying.balance(&payer), paying.received());
    let paid = gateway.anonymous().with("payment-signature", &header(&payment)).post(&path, &body);
    assert_eq!(paid.status, 200, "{}", String::from_utf8_lossy(&paid.body));
    assert_eq!(paid.json()["content"][0]["text"], "Echo: paid");
    assert_eq!(paid.json()["payment"]["settled"], true);
    assert_eq!((paying.balance(&payer), paying.received()), (before.0 - 500, before.1 + 500));
    let claim = &paid.json()["proof"]["proof"]["payment"];
    assert_eq!(claim["amount"], "500");
    assert!(paid.header("payment-response").is_some());
}
