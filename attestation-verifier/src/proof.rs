//! An execution proof, appraised with the bundle of the gateway that made it.

use evidence::{
    Digest, Opened, ResultObject, UnixSeconds,
    hmac_chain::TagKey,
    json::{self, Limits, Value},
    proof::{Envelope, Proof, proof_message},
    request_hash, response_hash,
};

use crate::{
    Attested, BundleQuestion, Class, Crypto, NotProven, Policy, Trust, Verdict, appraisal::Checks, appraise_bundle,
    bundle::short,
};

/// What is to be appraised, and against which expectations.
#[derive(Clone, Copy)]
pub struct ProofQuestion<'a> {
    /// `{"proof":…,"opening":…}` as the gateway gave it.
    pub envelope: &'a [u8],
    /// The gateway's evidence.
    pub bundle: BundleQuestion<'a>,
    /// The request: a JSON-RPC `tools/call`, or the bare argument object.
    pub request: Option<&'a [u8]>,
    /// The answer: a JSON-RPC response, a bare result, or the REST answer.
    pub response: Option<&'a [u8]>,
    /// The epoch's HMAC key, which only the gateway has while the epoch is open.
    pub tag_key: Option<(u32, &'a TagKey)>,
}

/// Appraises a proof.
pub fn appraise_proof(question: ProofQuestion<'_>, policy: &Policy, at: UnixSeconds, crypto: &impl Crypto) -> Verdict {
    let appraisal = appraise_bundle(question.bundle, policy, at, crypto);
    let mut verdict = appraisal.verdict;
    let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
    match (read(question.envelope), appraisal.attested) {
        (Err((class, detail)), _) => {
            checks.fail("proof", class, detail, "save proof and opening as the gateway gave them, unchanged");
        }
        (Ok(_), None) => checks.open("proof", Class::Proof, "the bundle could not be read"),
        (Ok(envelope), Some(attested)) => {
            walk(&envelope, &attested, question, crypto, &mut checks, &mut verdict);
        }
    }
    for code in [
        NotProven::HmacNotRevealed,
        NotProven::TimeHostClock,
        NotProven::NotLogged,
        NotProven::NotWitnessed,
        NotProven::PackageBehaviour,
        NotProven::ToolTruth,
        NotProven::RemoteServices,
    ] {
        verdict.leaves_open(code);
    }
    verdict.checks = checks.into_inner();
    verdict
}

/// The envelope, or why it is none. What is evidently a proof with something wrong in it is class [`Class::Proof`], what
/// is something else is malformed.
fn read(bytes: &[u8]) -> Result<Envelope, (Class, String)> {
    let error = match Envelope::from_bytes(bytes) {
        Ok(envelope) => return Ok(envelope),
        Err(error) => error,
    };
    let limits = Limits { bytes: 1 << 20, ..Limits::THEIRS };
    let tree = json::parse(bytes, &limits).ok();
    let proof = tree.as_ref().and_then(|tree| tree.member("proof"));
    let is_one =
        proof.is_some_and(|proof| proof.member("signature").is_some() && proof.member("publicSignature").is_some());
    Err((if is_one { Class::Proof } else { Class::Malformed }, error.to_string()))
}

fn walk(
    envelope: &Envelope,
    attested: &Attested,
    question: ProofQuestion<'_>,
    crypto: &impl Crypto,
    checks: &mut Checks,
    verdict: &mut Verdict,
) {
    let proof = &envelope.proof;
    let Ok(body) = proof.body.to_bytes() else {
        checks.fail("proof", Class::Proof, "the body is outside the profile".to_owned(), "ask the gateway again");
        return;
    };
    let c = &attested.core_digest;
    let signed = crypto.ed25519(attested.core.proof_key.as_bytes(), &proof_message(c, &body), &proof.signature);
    if signed.is_err() {
        let detail = if proof.body.core == *c {
            "proof.publicSignature does not verify: the proof was altered".to_owned()
        } else {
            format!("the proof names core {}, the bundle is of core {}", short(&proof.body.core), short(c))
        };
        let fix = "use the proof as the gateway gave it, with the bundle of the same boot";
        checks.fail("proof", Class::Proof, detail, fix);
        for name in ["claims", "request", "response"] {
            checks.open(name, Class::Proof, "nothing vouches for the proof");
        }
        return;
    }
    checks.pass("proof", Class::Proof, "signed (Ed25519) by the core's proof key".to_owned());
    check_claims(proof, attested, verdict.trust, checks);
    check_tag(proof, &body, c, question.tag_key, checks);
    check_request(envelope, question.request, checks);
    check_response(envelope, question.response, checks);
    match &proof.body.execution.challenge {
        Some(challenge) => checks.pass("challenge", Class::Proof, hex::encode(challenge)),
        None => {
            checks.note("challenge", Class::Proof, "the call carried none");
            verdict.leaves_open(NotProven::NoChallenge);
        }
    }
    verdict.times.claimed = Some(UnixSeconds(proof.body.execution.timestamp / 1000));
}

/// What the gateway says about itself must be what the evidence says.
fn check_claims(proof: &Proof, attested: &Attested, trust: Option<Trust>, checks: &mut Checks) {
    let (body, core) = (&proof.body, &attested.core);
    let wrong = [
        (body.core != attested.core_digest, "proof.core"),
        (!attested.states.contains(&body.state), "proof.state"),
        (body.gateway.code_hash != core.claims.code_hash, "proof.gateway.codeHash"),
        (body.gateway.git_commit != core.claims.git_commit, "proof.gateway.gitCommit"),
        (body.gateway.platform != core.platform, "proof.gateway.platform"),
        (body.gateway.instance != core.instance, "proof.gateway.instance"),
        (body.gateway.report_sha256 != attested.boot_report.0, "proof.gateway.reportSha256"),
        (body.gateway.tee_enabled != (trust == Some(Trust::Amd)), "proof.gateway.teeEnabled"),
    ];
    match wrong.iter().find(|(wrong, _)| *wrong) {
        Some((_, name)) => {
            let detail = format!("{name} is not what the bundle shows");
            checks.fail("claims", Class::Proof, detail, "use the bundle of the same boot, fetched after the call");
        }
        None => checks.pass(
            "claims",
            Class::Proof,
            "core, state, code, platform and report as the bundle shows them".to_owned(),
        ),
    }
    let server = &body.server;
    let lock = if server.lock_digest.is_some() { "its lock and image named" } else { "no lock named" };
    checks.pass("server", Class::Proof, format!("{} under {}, {lock}", server.package, server.runtime));
}

fn check_tag(proof: &Proof, body: &[u8], core: &Digest, key: Option<(u32, &TagKey)>, checks: &mut Checks) {
    match key {
        Some((epoch, key)) if epoch == proof.body.epoch => {
            if evidence::ct_eq(&key.tag(core, body), &proof.tag) {
                checks.pass("hmac", Class::Proof, format!("by the key of epoch {epoch}, which is open"));
            } else {
                let detail = "proof.signature does not verify".to_owned();
                checks.fail("hmac", Class::Proof, detail, "use the proof as the gateway gave it");
            }
        }
        _ => checks.note("hmac", Class::Proof, "the key of its epoch is not revealed; the Ed25519 twin was checked"),
    }
}

fn check_request(envelope: &Envelope, request: Option<&[u8]>, checks: &mut Checks) {
    let body = &envelope.proof.body;
    compare("request", request, envelope, Opened::Request, checks, |bytes, salt| {
        let value = json::parse(bytes, &Limits::THEIRS).map_err(|error| error.to_string())?;
        let hash = |arguments: &Value| request_hash(salt, &body.server.id, &body.execution.tool, arguments);
        if hash(&value) == body.execution.request_hash {
            return Ok(true);
        }
        let Some(params) = value.member("params") else { return Ok(false) };
        let name = params.member("name").and_then(Value::as_str).unwrap_or_default();
        // At the gateway's own endpoint a tool's name is behind its server's: <server>__<tool>.
        let named =
            name == body.execution.tool || name.split_once("__").is_some_and(|(_, tool)| tool == body.execution.tool);
        let none = Value::Object(Vec::new());
        let arguments = params.member("arguments").filter(|value| **value != Value::Null).unwrap_or(&none);
        Ok(named && hash(arguments) == body.execution.request_hash)
    });
}

fn check_response(envelope: &Envelope, response: Option<&[u8]>, checks: &mut Checks) {
    let body = &envelope.proof.body;
    compare("response", response, envelope, Opened::Response, checks, |bytes, salt| {
        let value = json::parse(bytes, &Limits::THEIRS).map_err(|error| error.to_string())?;
        let matches = |result: &ResultObject| {
            response_hash(salt, result) == body.execution.response_hash && result.is_error() == body.execution.is_error
        };
        let bare = ResultObject::of(value.clone()).ok();
        let result = value.member("result").and_then(|result| ResultObject::of(result.clone()).ok());
        let error = value.member("error").and_then(|error| ResultObject::of_error(error.clone()).ok());
        Ok([bare, result, error].iter().flatten().any(matches))
    });
}

fn compare(
    name: &'static str,
    given: Option<&[u8]>,
    envelope: &Envelope,
    what: Opened,
    checks: &mut Checks,
    matches: impl Fn(&[u8], &Digest) -> Result<bool, String>,
) {
    let salt = envelope.opening.as_ref().and_then(|opening| opening.salt(what));
    match (given, salt) {
        (None, _) => checks.note(name, Class::Proof, "not given: only its salted digest is proven"),
        (Some(_), None) => {
            let detail = "the proof carries nothing that opens its digest; use the envelope that the caller got";
            checks.open(name, Class::Proof, detail);
        }
        (Some(bytes), Some(salt)) => match matches(bytes, &salt) {
            Ok(true) => checks.pass(name, Class::Proof, "is the one that was proven".to_owned()),
            Ok(false) => {
                let detail = format!("the file is not the {name} that was proven");
                checks.fail(name, Class::Proof, detail, "give the file of this very call, unchanged");
            }
            Err(error) => checks.fail(name, Class::Proof, error, "give the JSON as it was sent or received"),
        },
    }
}
