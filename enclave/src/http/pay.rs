//! Payments on the wire: `GET /api/payments/config`, what is presented, what is asked for, what was taken.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use evidence::json::{Value, object};
use gate::{PaymentProblem, Refusal};
use payments::{Dialect, PaymentError, Reason, x402};

use super::{json, openapi::shapes, problem::Problem, query::NoQuery};
use crate::{
    app::App,
    till::{Paid, Payment},
};

/// What a client presents as payment: version 2's header and version 1's. Clients of this ecosystem send both.
const PRESENTED: [&str; 2] = ["payment-signature", "x-payment"];

const REQUIRED: HeaderName = HeaderName::from_static("payment-required");
const RESPONSE: [HeaderName; 2] =
    [HeaderName::from_static("payment-response"), HeaderName::from_static("x-payment-response")];

/// A payment as it was presented: readable or not. Only a call that costs something looks.
pub(crate) type Presented = Option<Result<Payment, PaymentError>>;

/// `GET /api/payments/config`
#[utoipa::path(get, path = "/api/payments/config", tag = "Payments", summary = "What calls cost",
    responses((status = 200, description = "As asked", body = shapes::PaymentsConfig)))]
pub(crate) async fn config(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    let Some(payments) = &app.config.payments else {
        return json(StatusCode::OK, &object([("enabled", false.into()), ("pricePerCall", "0".into())]));
    };
    let address = |wallet| Value::from(identity::eth::checksummed(wallet));
    json(
        StatusCode::OK,
        &object([
            ("enabled", true.into()),
            ("network", payments.network.caip2().into()),
            ("usdcAddress", address(payments.network.usdc())),
            ("recipientAddress", address(payments.pay_to)),
            ("feePayerAddress", app.fee_payer.map_or(Value::Null, address)),
            ("pricePerCall", payments.price.to_string().into()),
            ("pricePerCallBaseUnits", payments.price.units().to_string().into()),
            ("verifyPrice", payments.verify_price.to_string().into()),
            ("schemes", Value::Array(vec!["exact".into()])),
            ("x402Versions", Value::Array(vec![1_u64.into(), 2_u64.into()])),
            ("managedRelayEnabled", false.into()),
        ]),
    )
}

/// What the headers present. Two headers that say the same are one payment; two that differ are none.
///
/// # Errors
/// [`Refusal::BadRequest`]
pub(crate) fn presented(headers: &HeaderMap) -> Result<Presented, Refusal> {
    let mut values = PRESENTED.iter().flat_map(|name| headers.get_all(*name)).map(HeaderValue::as_bytes);
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(two_payments("the headers PAYMENT-SIGNATURE and X-PAYMENT"));
    }
    Ok(Some(Payment::from_header(first)))
}

/// These places hold different payments.
pub(crate) fn two_payments(places: &str) -> Refusal {
    Refusal::BadRequest {
        reason: "two_payments",
        what: format!("{places} hold two different payments"),
        fix: "send one payment, in one of them or the same in each".to_owned(),
    }
}

/// The answer to a refused REST request: a 402 where a payment is missing or does not do, with what is asked for in the
/// words of x402 v2 (`PAYMENT-REQUIRED`) and of v1 (the body) at once.
pub(crate) fn refused(app: &App, refusal: &Refusal) -> Response {
    match refusal {
        Refusal::Payment(problem) => required(app, problem),
        Refusal::SettlementPending { transaction, .. } => {
            let mut response = Problem::from(refusal).into_response();
            if let Some(rail) = app.till.rail() {
                let network = rail.config().network();
                let pending =
                    payments::settlement_failed(Dialect::V2, &network, Reason::SettlementPending, transaction.as_ref());
                attach(&mut response, &pending);
            }
            response
        }
        other => Problem::from(other).into_response(),
    }
}

fn required(app: &App, problem: &PaymentProblem) -> Response {
    let refusal = Refusal::Payment(Box::new(problem.clone()));
    let Some(offer) = app.till.offer(problem) else { return Problem::internal("payments").into_response() };
    let Value::Object(mut members) = offer.payment_required_v1(problem.reason) else {
        return Problem::internal("payments").into_response();
    };
    let remedy = refusal.remedy();
    let more = [
        ("message", Value::from(format!("{refusal}; {}", remedy.text))),
        ("remediation", object([("action", remedy.action.into()), ("text", remedy.text.into())])),
    ];
    members.extend(more.map(|(name, value)| (name.into(), value)));
    // x402 v2, transport HTTP, "Error handling": 400 for what cannot be read, 402 for what does not pay.
    let malformed = [Reason::InvalidPayload, Reason::InvalidX402Version].map(Reason::as_str).contains(&problem.reason);
    let status = if malformed { StatusCode::BAD_REQUEST } else { StatusCode::PAYMENT_REQUIRED };
    let mut response = json(status, &Value::Object(members));
    if let Ok(value) = HeaderValue::from_str(&x402::header(&offer.payment_required(problem.reason))) {
        response.headers_mut().insert(REQUIRED, value);
    }
    let reason = Reason::ALL.into_iter().find(|known| known.as_str() == problem.reason);
    if let (true, Some(reason), Some(rail)) = (problem.withheld, reason, app.till.rail()) {
        let failed = payments::settlement_failed(Dialect::V2, &rail.config().network(), reason, None);
        attach(&mut response, &failed);
    }
    response
}

/// Puts what was paid into an answer's headers.
pub(crate) fn receipt(mut response: Response, paid: Option<&Paid>) -> Response {
    if let Some(paid) = paid {
        attach(&mut response, &paid.response());
    }
    response
}

fn attach(response: &mut Response, settlement: &Value) {
    if let Ok(value) = HeaderValue::from_str(&x402::header(settlement)) {
        for name in RESPONSE {
            response.headers_mut().insert(name, value.clone());
        }
    }
}
