//! The verifier for browsers and for Node: a request as JSON in, the verdict as JSON out, the same bytes as the command
//! prints with `--json`. Nothing but memory is touched; the time is in the request.
//!
//! ```
//! let request = r#"{"at":"2026-03-01T00:00:00Z","report":{"evidence":"bm90aGluZw=="}}"#;
//! let verdict = attestation_verifier_wasm::answer(request.as_bytes());
//! assert!(verdict.contains(r#""verdict": "rejected""#));
//! ```

#[cfg(target_arch = "wasm32")]
mod exports;
mod request;

pub use request::answer;
