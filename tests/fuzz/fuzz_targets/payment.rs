//! x402 payments as strangers send them, as a header and as a JSON value: no panic, a reason for every refusal, and
//! nothing of the payer in its words.
#![no_main]

use evidence::json::{Limits, parse};
use libfuzzer_sys::fuzz_target;
use payments::{Payment, PaymentError};

fn check(read: Result<Payment, PaymentError>) {
    match read {
        Ok(payment) => {
            assert!(payment.valid_before.0 < 1 << 53 && payment.signature.len() <= 4096);
            assert!(!format!("{payment:?}").contains(&payment.from.to_string()));
        }
        Err(error) => assert!(!error.reason().as_str().is_empty() && !error.fix().is_empty()),
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(Payment::from_header(bytes));
    // The JSON itself, which random base64 seldom is.
    if let Ok(value) = parse(bytes, &Limits::THEIRS) {
        check(Payment::from_value(&value));
    }
});
