//! Proofs, and the requests, answers and payments beside them: no panic, a proof that reads is written and read alike, and
//! only a recorded proof is accepted, with no settlement but its own. The input is the proof; after a zero byte the request,
//! after another the answer, after a third the payment.
#![no_main]

use std::sync::OnceLock;

use attestation_verifier::{
    BundleQuestion, Policy, ProofQuestion, Releases, TrustAnchor, appraise_proof, clock, one_certificate,
};
use evidence::{json, proof::Envelope};
use libfuzzer_sys::fuzz_target;
use sealgate_fuzz::CountAsGood;

/// A bundle with the proofs of its boot that are accepted.
struct Recorded {
    bundle: &'static [u8],
    root: &'static [u8],
    at: &'static str,
    proofs: &'static [&'static [u8]],
}

const RECORDED: [Recorded; 2] = [
    Recorded {
        bundle: include_bytes!("../../vectors/demo/bundle.json"),
        root: include_bytes!("../../vectors/demo/test-root.pem"),
        at: include_str!("../../vectors/demo/recorded-at"),
        proofs: &[include_bytes!("../../vectors/demo/proof.json")],
    },
    Recorded {
        bundle: include_bytes!("../../vectors/proofs/bundle.json"),
        root: include_bytes!("../../vectors/proofs/root.der"),
        at: "2026-06-01T00:00:00Z",
        proofs: &[
            include_bytes!("../../vectors/proofs/pass_free_call.json"),
            include_bytes!("../../vectors/proofs/pass_paid_call.json"),
            include_bytes!("../../vectors/proofs/pass_failed_call_released.json"),
            include_bytes!("../../vectors/proofs/pass_paid_call_pending.json"),
        ],
    },
];

fuzz_target!(|bytes: &[u8]| {
    static ROOTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| RECORDED.iter().filter_map(|set| one_certificate(set.root).ok()).collect());
    assert_eq!(roots.len(), RECORDED.len(), "a recorded root does not read");
    let parts: Vec<_> = bytes.splitn(4, |byte| *byte == 0).collect();
    let [envelope, request, response, payment] = [0, 1, 2, 3].map(|at| parts.get(at).copied());
    let envelope = envelope.unwrap_or_default();
    let read = Envelope::from_bytes(envelope);
    if let Ok(envelope) = &read {
        assert_eq!(Envelope::from_bytes(envelope.to_value().to_text().as_bytes()).as_ref(), Ok(envelope));
    }
    for (set, root) in RECORDED.iter().zip(roots) {
        let (Ok(anchor), Some(at)) = (TrustAnchor::named(root), clock::parse(set.at.trim())) else {
            panic!("the recorded root or time does not read");
        };
        let question = ProofQuestion {
            envelope,
            bundle: BundleQuestion {
                bundle: set.bundle,
                anchor: &anchor,
                nonce: None,
                crls: &[],
                releases: Releases::default(),
            },
            request,
            response,
            challenge: None,
            payment,
            tag_key: None,
        };
        let verdict = appraise_proof(question, &Policy::strict(), at, &CountAsGood::EveryButEd25519);
        let _ = verdict.to_json();
        if verdict.exit_code() != 0 {
            continue;
        }
        let Ok(accepted) = &read else { panic!("accepted what does not read") };
        let recorded = set.proofs.iter().filter_map(|proof| Envelope::from_bytes(proof).ok());
        let mut of_body = recorded.filter(|recorded| recorded.proof.body == accepted.proof.body).peekable();
        assert!(of_body.peek().is_some(), "accepted another proof");
        if let Some(settlement) = &accepted.settlement {
            let own = of_body.filter_map(|recorded| recorded.settlement);
            assert!(own.into_iter().any(|own| own.settlement == settlement.settlement), "accepted another settlement");
        }
        // What passes as the request is JSON, and with it the answer.
        for part in [request, response].into_iter().flatten() {
            assert!(json::parse(part, &json::Limits::THEIRS).is_ok());
        }
    }
});
