//! A gateway judges its own evidence before it opens a port, with the verifier that strangers use.

use attestation_verifier::{
    BundleQuestion, Policy, ProofQuestion, Releases, Ring, TrustAnchor, Verdict, appraise_bundle, appraise_proof,
};
use evidence::{
    Digest, UnixSeconds,
    core::Platform,
    json::{self, Limits, Value},
};

use crate::{
    app::App,
    boot::{Booted, Failure, now},
};

/// What a gateway found about itself.
pub(crate) struct SelfCheck {
    /// The verdict as the verifier prints it.
    pub(crate) json: Value,
    /// Its `notProven`.
    pub(crate) not_proven: Value,
    /// SHA-256 of the signed part of the boot report.
    pub(crate) report_sha256: Digest,
}

/// The policy of a gateway for itself: its platform's preset, but for the code, which nothing proves before releases
/// exist.
fn policy(platform: Platform) -> Policy {
    let preset = match platform {
        Platform::Simulated => Policy::strict(),
        real => Policy::preset(real.as_str()).unwrap_or_else(Policy::strict),
    };
    Policy { code: attestation_verifier::Grade::None, ..preset }
}

/// Judges the boot's own bundle.
///
/// # Errors
/// The verdict is a rejection: the gateway must not serve.
pub(crate) fn judge(booted: &Booted) -> Result<SelfCheck, Failure> {
    let bundle = booted
        .attested
        .bundle(None)
        .to_bytes()
        .map_err(|error| Failure::new("the bundle does not fit its profile", error, ""))?;
    let anchor = anchor(booted.test_root.as_deref())?;
    let question =
        BundleQuestion { bundle: &bundle, anchor: &anchor, nonce: None, crls: &[], releases: Releases::default() };
    let appraisal = appraise_bundle(question, &policy(booted.platform), now()?, &Ring);
    let (word, text) = (appraisal.verdict.word(), appraisal.verdict.to_json());
    let Some(evidence) = appraisal.verdict.evidence.filter(|_| appraisal.verdict.rejection().is_none()) else {
        return Err(Failure::new(
            "the gateway's own evidence does not hold, so it does not serve",
            text,
            "see the failed check above; nobody else would accept this evidence either",
        ));
    };
    tracing::info!(verdict = word, evidence = %evidence, "the gateway has judged its own evidence");
    let json = tree(&text);
    let not_proven = json.member("notProven").cloned().unwrap_or(Value::Null);
    Ok(SelfCheck { json, not_proven, report_sha256: evidence.0 })
}

/// `POST /api/verify`: judges a proof of this boot, HMAC included, since the key of an open epoch is here.
///
/// # Errors
/// The bundle or clock is not to be had; details are in the log.
pub(crate) fn judge_proof(
    app: &App,
    envelope: &[u8],
    request: Option<&[u8]>,
    response: Option<&[u8]>,
) -> Result<Verdict, Failure> {
    let bundle = app
        .desk
        .attested()
        .bundle(None)
        .to_bytes()
        .map_err(|error| Failure::new("the bundle does not fit its profile", error, ""))?;
    let anchor = anchor(app.test_root.as_deref())?;
    let question = ProofQuestion {
        envelope,
        bundle: BundleQuestion {
            bundle: &bundle,
            anchor: &anchor,
            nonce: None,
            crls: &[],
            releases: Releases::default(),
        },
        request,
        response,
        challenge: None,
        payment: None,
        tag_key: Some((app.prover.epoch, &app.prover.tag_key)),
    };
    Ok(appraise_proof(question, &policy(app.config.platform), UnixSeconds(now()?.0), &Ring))
}

fn anchor(test_root: Option<&[u8]>) -> Result<TrustAnchor<'_>, Failure> {
    match test_root {
        None => Ok(TrustAnchor::Amd),
        Some(der) => TrustAnchor::named(der).map_err(|error| {
            Failure::new("the software processor's root is unusable", error, "remove it from state_dir")
        }),
    }
}

/// A verdict's text as a tree.
pub(crate) fn tree(text: &str) -> Value {
    json::parse(text.as_bytes(), &Limits::THEIRS).unwrap_or(Value::Null)
}
