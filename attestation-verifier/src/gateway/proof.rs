//! An execution proof, appraised with the bundle of the gateway that made it.

use evidence::{
    Digest, Opened, ResultObject, UnixSeconds,
    hmac_chain::TagKey,
    json::{self, Limits, Value},
    proof::{Envelope, Proof, proof_message},
    request_hash, response_hash,
};

use crate::{
    Attested, BundleQuestion, Class, Crypto, NotProven, Outcome, Policy, Trust, Verdict,
    appraisal::Checks,
    appraise_bundle,
    gateway::bundle::apart,
    gateway::payment::{check_payment, check_settlement},
};

/// What is to be appraised, and against which expectations.
#[derive(Clone, Copy)]
pub struct ProofQuestion<'a> {
    /// `{"proof":…,"opening":…,"settlement":…}` as the gateway gave it.
    pub envelope: &'a [u8],
    /// The gateway's evidence.
    pub bundle: BundleQuestion<'a>,
    /// The request: a JSON-RPC `tools/call`, or the bare argument object.
    pub request: Option<&'a [u8]>,
    /// The answer: a JSON-RPC response, a bare result, or the REST answer.
    pub response: Option<&'a [u8]>,
    /// The challenge that the call must have carried. Without it, the one in the request's `_meta`, if there is one.
    pub challenge: Option<&'a [u8]>,
    /// What was paid with: the authorization's terms, or the x402 payment as it was sent.
    pub payment: Option<&'a [u8]>,
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
            walk(&envelope, &attested, question, policy, crypto, &mut checks, &mut verdict);
        }
    }
    for code in [
        NotProven::TimeHostClock,
        NotProven::NotLogged,
        NotProven::NotWitnessed,
        NotProven::PackageBehaviour,
        NotProven::ToolTruth,
        NotProven::RemoteServices,
    ] {
        verdict.leaves_open(code);
    }
    if checks.row("hmac").is_none_or(|row| row.outcome != Outcome::Pass) {
        verdict.leaves_open(NotProven::HmacNotRevealed);
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
    policy: &Policy,
    crypto: &impl Crypto,
    checks: &mut Checks,
    verdict: &mut Verdict,
) {
    let proof = &envelope.proof;
    if proof.body.payment.is_some() {
        verdict.leaves_open(NotProven::PaymentOnChain);
    }
    if proof.body.payment.is_some() || proof.body.caller.is_some() {
        // Who may call and what was paid rest on rows that a database gave.
        verdict.leaves_open(NotProven::DatabaseFreshness);
    }
    if !proof.body.execution.environment.is_empty() {
        // Secrets of the vault went into the call, and nothing here says how its master key is kept.
        verdict.leaves_open(NotProven::EnvMaster);
    }
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
            let (named, attested) = apart(&proof.body.core, c);
            format!("the proof names core {named}, the bundle is of core {attested}")
        };
        let fix = "use the proof as the gateway gave it, with the bundle of the same boot";
        checks.fail("proof", Class::Proof, detail, fix);
        for name in ["claims", "hmac", "request", "response", "payment", "challenge"] {
            checks.open(name, Class::Proof, "nothing vouches for the proof");
        }
        verdict.leaves_open(NotProven::NoChallenge);
        return;
    }
    checks.pass("proof", Class::Proof, "signed (Ed25519) by the core's proof key".to_owned());
    check_claims(proof, attested, verdict.trust, checks);
    check_tag(proof, &body, c, question.tag_key, checks);
    let request = question.request.map(Request::read);
    check_request(envelope, request.as_ref(), checks);
    check_response(envelope, question.response, checks);
    check_payment(envelope, attested, question.payment, checks);
    check_settlement(envelope, attested, policy, crypto, checks);
    let expected = question.challenge.map(<[u8]>::to_vec);
    let expected = expected.or_else(|| request.and_then(|request| request.ok()?.challenge()));
    check_challenge(proof.body.execution.challenge.as_deref(), expected.as_deref(), checks, verdict);
    verdict.times.claimed = Some(UnixSeconds(proof.body.execution.timestamp / 1000));
}

/// What the gateway says about itself must be what the evidence says.
fn check_claims(proof: &Proof, attested: &Attested, trust: Option<Trust>, checks: &mut Checks) {
    let (body, core) = (&proof.body, &attested.core);
    let wrong = [
        (body.core != attested.core_digest, "proof.core"),
        (attested.state(&body.state).is_none(), "proof.state"),
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
    // Nobody here knows which package or image was wanted, so this compares nothing.
    let server = &body.server;
    let lock = if server.lock_digest.is_some() { "with the digests of its lock and image" } else { "no lock named" };
    let detail =
        format!("the gateway names {} under {}, {lock}: hold them against your own", server.package, server.runtime);
    checks.note("server", Class::Proof, &detail);
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
        Some((epoch, _)) => {
            let detail = format!("of epoch {}, the key at hand is of epoch {epoch}", proof.body.epoch);
            checks.note("hmac", Class::Proof, &detail);
        }
        None => checks.note("hmac", Class::Proof, "the key of its epoch is not revealed; the Ed25519 twin was checked"),
    }
}

/// A request as it was kept. Its shape decides how it is read, so that one file cannot be two requests.
enum Request {
    /// A JSON-RPC `tools/call`: its parameters.
    Message(Value),
    /// The bare argument object, as REST takes it.
    Arguments(Value),
}

impl Request {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let value = json::parse(bytes, &Limits::THEIRS).map_err(|error| error.to_string())?;
        if value.member("jsonrpc").is_none() {
            return Ok(Self::Arguments(value));
        }
        match (value.member("method").and_then(Value::as_str), value.member("params")) {
            (Some("tools/call"), Some(params @ Value::Object(_))) => Ok(Self::Message(params.clone())),
            (Some("tools/call"), _) => Err("the JSON-RPC message has no params".to_owned()),
            _ => Err("the JSON-RPC message is no tools/call".to_owned()),
        }
    }

    /// Whether it names this tool. At the gateway's own endpoint a tool's name is behind its server's: server__tool.
    fn names(&self, tool: &str) -> bool {
        let Self::Message(params) = self else { return true };
        let name = params.member("name").and_then(Value::as_str).unwrap_or_default();
        name == tool || name.split_once("__").is_some_and(|(server, behind)| !server.is_empty() && behind == tool)
    }

    fn arguments(&self) -> Value {
        match self {
            Self::Arguments(arguments) => arguments.clone(),
            Self::Message(params) => {
                let arguments = params.member("arguments").filter(|arguments| **arguments != Value::Null);
                arguments.cloned().unwrap_or(Value::Object(Vec::new()))
            }
        }
    }

    fn challenge(&self) -> Option<Vec<u8>> {
        let Self::Message(params) = self else { return None };
        hex::decode(params.member("_meta")?.member("io.sealgate/challenge")?.as_str()?).ok()
    }
}

fn check_request(envelope: &Envelope, request: Option<&Result<Request, String>>, checks: &mut Checks) {
    let body = &envelope.proof.body;
    let (server, tool) = (&body.server.id, &body.execution.tool);
    let is_proven = |request: &Request, salt: &Digest| {
        request.names(tool) && request_hash(salt, server, tool, &request.arguments()) == body.execution.request_hash
    };
    let what = format!("the arguments are those of the proven call, {tool} of server {server}");
    compare("request", request, envelope, Opened::Request, checks, is_proven, what);
}

fn check_response(envelope: &Envelope, response: Option<&[u8]>, checks: &mut Checks) {
    let body = &envelope.proof.body;
    let response = response.map(read_response);
    let is_proven = |result: &ResultObject, salt: &Digest| {
        response_hash(salt, result) == body.execution.response_hash && result.is_error() == body.execution.is_error
    };
    let what = if body.execution.is_error { "it is the proven one, an error" } else { "it is the proven one" };
    compare("response", response.as_ref(), envelope, Opened::Response, checks, is_proven, what.to_owned());
}

/// The result in a response as it was kept: a JSON-RPC message, or the bare result with or without what REST adds.
fn read_response(bytes: &[u8]) -> Result<ResultObject, String> {
    let value = json::parse(bytes, &Limits::THEIRS).map_err(|error| error.to_string())?;
    let result = match (value.member("jsonrpc"), value.member("result"), value.member("error")) {
        (None, ..) => ResultObject::of(value),
        (Some(_), Some(result), None) => ResultObject::of_server(result.clone()),
        (Some(_), None, Some(error)) => ResultObject::of_error(error.clone()),
        // Whoever reads the one must not be shown the other.
        (Some(_), ..) => {
            return Err("a JSON-RPC response has a result or an error, this one has not one of them".to_owned());
        }
    };
    result.map_err(|fault| fault.to_string())
}

fn check_challenge(carried: Option<&[u8]>, expected: Option<&[u8]>, checks: &mut Checks, verdict: &mut Verdict) {
    const FIX: &str = "take the proof of the call that carried your challenge";
    let fail = |checks: &mut Checks, detail: &str| checks.fail("challenge", Class::Proof, detail.to_owned(), FIX);
    match (carried, expected) {
        (Some(carried), Some(expected)) if carried == expected => {
            checks.pass("challenge", Class::Proof, "yours: the call was made after you chose it".to_owned());
            return;
        }
        (Some(_), Some(_)) => fail(checks, "the proven call carried another challenge"),
        (None, Some(_)) => fail(checks, "the proven call carried no challenge"),
        (Some(_), None) => {
            checks.note(
                "challenge",
                Class::Proof,
                "the call carried one; --challenge or --request says whether it is yours",
            );
        }
        (None, None) => checks.note("challenge", Class::Proof, "the call carried none"),
    }
    verdict.leaves_open(NotProven::NoChallenge);
}

fn compare<T>(
    name: &'static str,
    given: Option<&Result<T, String>>,
    envelope: &Envelope,
    what: Opened,
    checks: &mut Checks,
    is_proven: impl Fn(&T, &Digest) -> bool,
    passes: String,
) {
    let salt = envelope.opening.as_ref().and_then(|opening| opening.salt(what));
    match (given, salt) {
        (None, _) => checks.note(name, Class::Proof, "not given: only its salted digest is proven"),
        (Some(Err(error)), _) => {
            checks.fail(name, Class::Malformed, error.clone(), "give the JSON as it was sent or received");
        }
        (Some(Ok(_)), None) => {
            let detail = "the proof carries nothing that opens its digest; use the envelope that the caller got";
            checks.open(name, Class::Proof, detail);
        }
        (Some(Ok(given)), Some(salt)) if is_proven(given, &salt) => checks.pass(name, Class::Proof, passes),
        (Some(Ok(_)), Some(_)) => {
            let detail = format!("the file is not the {name} that was proven");
            checks.fail(name, Class::Proof, detail, "give the file of this very call, unchanged");
        }
    }
}
