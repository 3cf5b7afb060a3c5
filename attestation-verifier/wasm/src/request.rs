//! What is asked, as JSON: common members, and one of `report`, `azure`, `bundle`, `proof`. A member that is not known is
//! refused: whoever misspells an expectation must hear of it. Binary is base64 with padding, `"…"` or, to be called by a
//! name in messages, `{"name":"…","base64":"…"}`; short values are hexadecimal.

use attestation_verifier::{
    AzureQuestion, BundleQuestion, Collateral, CollateralError, Outcome, Policy, ProofQuestion, Question,
    QuoteQuestion, Releases, RustCrypto, SignatureForm, SignedQuote, TrustAnchor, Verdict, appraise_azure,
    appraise_bundle, appraise_proof, appraise_report, clock, malformed, one_certificate, registers,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use evidence::{Ed25519Public, UnixSeconds};
use serde::{Deserialize, Deserializer, de::Error as _};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    /// Time at which dates and revocation are judged, RFC 3339.
    at: String,
    /// The name of a preset, or the text of a policy file. Without it: `strict`.
    #[serde(default = "strict")]
    policy: String,
    /// A root other than AMD's, DER or PEM.
    trust_root: Option<Base64>,
    /// Revocation lists, DER or PEM.
    #[serde(default)]
    crls: Vec<Base64>,
    /// Of a bundle or proof: release manifests to look the code up in. Without them, with keys: the bundle's own.
    #[serde(default)]
    releases: Vec<Base64>,
    /// Release keys, all of which must have signed them: Ed25519, 32 bytes each.
    #[serde(default)]
    release_keys: Vec<Hex>,
    report: Option<Report>,
    azure: Option<Azure>,
    bundle: Option<Bundle>,
    proof: Option<Proof>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Report {
    /// The report, bare or wrapped.
    evidence: Base64,
    /// VCEK or VLEK in any shape that [`Collateral::take_vek`] takes.
    vek: Option<Base64>,
    /// ASK or ASVK.
    intermediate: Option<Base64>,
    /// REPORT_DATA as it must be, 64 bytes.
    report_data: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Azure {
    #[serde(rename = "hcl")]
    evidence: Base64,
    vek: Option<Base64>,
    intermediate: Option<Base64>,
    report_data: Option<Hex>,
    /// Runtime claims beside a bare report.
    runtime_data: Option<Base64>,
    /// What `user-data` of the claims must be, 64 bytes.
    user_data: Option<Hex>,
    quote: Option<Quote>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Quote {
    /// TPMS_ATTEST.
    attest: Base64,
    /// TPMT_SIGNATURE, or the bare RSA number.
    signature: Base64,
    /// PCR values, JSON or as `tpm2_pcrread` prints them.
    pcrs: Option<Base64>,
    eventlog: Option<Base64>,
    nonce: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bundle {
    /// As it was served.
    bundle: Base64,
    /// The nonce that it must answer.
    nonce: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Proof {
    /// As the gateway gave it.
    proof: Base64,
    /// Of the gateway that made it.
    bundle: Base64,
    request: Option<Base64>,
    response: Option<Base64>,
    payment: Option<Base64>,
    challenge: Option<Hex>,
    nonce: Option<Hex>,
}

/// Bytes, and what to call them.
struct Base64 {
    name: Option<String>,
    bytes: Vec<u8>,
}

impl Base64 {
    /// Its name, or that of the member.
    fn called<'a>(&'a self, member: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(member)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "want base64, or {\"name\":\"…\",\"base64\":\"…\"}")]
        enum Wire {
            Bare(String),
            Named(Named),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Named {
            name: String,
            base64: String,
        }
        let (name, text) = match Wire::deserialize(deserializer)? {
            Wire::Bare(text) => (None, text),
            Wire::Named(Named { name, base64 }) => (Some(name), base64),
        };
        let bytes = STANDARD.decode(text).map_err(|_| D::Error::custom("not base64 with padding"))?;
        Ok(Self { name, bytes })
    }
}

struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map(Self).map_err(|_| D::Error::custom("not hexadecimal"))
    }
}

fn strict() -> String {
    "strict".to_owned()
}

/// Answers a request with the verdict, as the command prints it with `--json`. A request that cannot be read gives
/// `{"error":…}` instead, which holds no verdict.
pub fn answer(request: &[u8]) -> String {
    let verdict = serde_json::from_slice::<Request>(request).map_err(|error| error.to_string()).and_then(judge);
    verdict.map_or_else(|error| serde_json::json!({ "error": error }).to_string(), |verdict| verdict.to_json())
}

fn judge(request: Request) -> Result<Verdict, String> {
    let at = clock::parse(&request.at).ok_or("at: want a time such as 2026-03-01T00:00:00Z")?;
    let policy = match Policy::preset(&request.policy) {
        Some(preset) => preset,
        None => Policy::from_toml(&request.policy).map_err(|error| format!("policy: {error}"))?,
    };
    let root = request.trust_root.as_ref().map(|root| one_certificate(&root.bytes)).transpose();
    let root = root.map_err(|error| format!("trustRoot: {error}"))?;
    let anchor = match &root {
        None => TrustAnchor::Amd,
        Some(der) => TrustAnchor::named(der).map_err(|error| format!("trustRoot: {error}"))?,
    };
    let mut collateral = Collateral::default();
    for crl in &request.crls {
        if let Err(error) = collateral.take_crl(&crl.bytes) {
            return Ok(unreadable("revocation", crl.called("crls"), &error, at));
        }
    }
    let crls = &std::mem::take(&mut collateral.crls);
    let keys = release_keys(&request)?;
    let called = |file: &Base64| (file.called("releases").to_owned(), file.bytes.clone());
    let manifests: Vec<_> = request.releases.iter().map(called).collect();
    let releases = Releases { keys: &keys, manifests: &manifests, known: &[] };
    match (&request.report, &request.azure, &request.bundle, &request.proof) {
        (Some(report), None, None, None) => {
            collateral.crls.clone_from(crls);
            judge_report(report, collateral, &anchor, &policy, at)
        }
        (None, Some(asked), None, None) => {
            collateral.crls.clone_from(crls);
            judge_azure(asked, collateral, &anchor, &policy, at)
        }
        (None, None, Some(asked), None) => {
            let question = bundle_question(&asked.bundle, asked.nonce.as_ref(), &anchor, crls, releases);
            let mut verdict = appraise_bundle(question, &policy, at, &RustCrypto).verdict;
            name(&mut verdict, "bundle", &asked.bundle);
            Ok(verdict)
        }
        (None, None, None, Some(asked)) => {
            let bytes = |part: &'_ Option<Base64>| part.as_ref().map(|part| part.bytes.clone());
            let (sent, got, paid) = (bytes(&asked.request), bytes(&asked.response), bytes(&asked.payment));
            let question = ProofQuestion {
                envelope: &asked.proof.bytes,
                bundle: bundle_question(&asked.bundle, asked.nonce.as_ref(), &anchor, crls, releases),
                request: sent.as_deref(),
                response: got.as_deref(),
                challenge: asked.challenge.as_ref().map(|challenge| challenge.0.as_slice()),
                payment: paid.as_deref(),
                tag_key: None,
            };
            let mut verdict = appraise_proof(question, &policy, at, &RustCrypto);
            for (row, part) in [
                ("bundle", Some(&asked.bundle)),
                ("proof", Some(&asked.proof)),
                ("settlement", Some(&asked.proof)),
                ("request", asked.request.as_ref()),
                ("response", asked.response.as_ref()),
                ("payment", asked.payment.as_ref()),
            ] {
                if let Some(part) = part {
                    name(&mut verdict, row, part);
                }
            }
            Ok(verdict)
        }
        _ => Err("want one of report, azure, bundle, proof".to_owned()),
    }
}

/// Puts the evidence's name where the command puts its file's: before the form of a report, and before what fails.
fn name(verdict: &mut Verdict, check: &str, part: &Base64) {
    let Some(name) = &part.name else { return };
    let rows = verdict.checks.iter_mut().filter(|row| row.name == check);
    for row in rows.filter(|row| check == "form" || row.outcome == Outcome::Fail) {
        row.detail = format!("{name}: {}", row.detail);
    }
}

fn judge_report(
    asked: &Report,
    mut collateral: Collateral,
    anchor: &TrustAnchor<'_>,
    policy: &Policy,
    at: UnixSeconds,
) -> Result<Verdict, String> {
    let expected = bytes_64(asked.report_data.as_ref(), "reportData")?;
    if let Some(rejection) = take(&mut collateral, asked.vek.as_ref(), asked.intermediate.as_ref(), at) {
        return Ok(rejection);
    }
    let question =
        Question { evidence: &asked.evidence.bytes, collateral: &collateral, anchor, report_data: expected.as_ref() };
    let mut verdict = appraise_report(question, policy, at, &RustCrypto).verdict;
    name(&mut verdict, "form", &asked.evidence);
    Ok(verdict)
}

fn judge_azure(
    asked: &Azure,
    mut collateral: Collateral,
    anchor: &TrustAnchor<'_>,
    policy: &Policy,
    at: UnixSeconds,
) -> Result<Verdict, String> {
    let expected = bytes_64(asked.report_data.as_ref(), "reportData")?;
    let user_data = bytes_64(asked.user_data.as_ref(), "userData")?;
    if let Some(rejection) = take(&mut collateral, asked.vek.as_ref(), asked.intermediate.as_ref(), at) {
        return Ok(rejection);
    }
    let pcrs = asked.quote.as_ref().and_then(|quote| quote.pcrs.as_ref());
    let pcrs = pcrs.map(|text| pairs(&text.bytes)).transpose()?;
    let quote = asked.quote.as_ref().map(|quote| QuoteQuestion {
        quote: SignedQuote {
            attest: &quote.attest.bytes,
            signature: &quote.signature.bytes,
            form: SignatureForm::Tool,
        },
        registers: pcrs.as_deref(),
        event_log: quote.eventlog.as_ref().map(|log| log.bytes.as_slice()),
        nonce: quote.nonce.as_ref().map(|nonce| nonce.0.as_slice()),
        events: &policy.events,
    });
    let report =
        Question { evidence: &asked.evidence.bytes, collateral: &collateral, anchor, report_data: expected.as_ref() };
    let claims = asked.runtime_data.as_ref().map(|claims| claims.bytes.as_slice());
    let question = AzureQuestion { report, claims, user_data: user_data.as_ref(), quote };
    let mut verdict = appraise_azure(question, policy, at, &RustCrypto);
    name(&mut verdict, "form", &asked.evidence);
    Ok(verdict)
}

/// Takes the certificates; a rejection if one is none.
fn take(
    collateral: &mut Collateral,
    vek: Option<&Base64>,
    intermediate: Option<&Base64>,
    at: UnixSeconds,
) -> Option<Verdict> {
    if let Some(vek) = vek
        && let Err(error) = collateral.take_vek(&vek.bytes)
    {
        return Some(unreadable("vek", vek.called("vek"), &error, at));
    }
    if let Some(intermediate) = intermediate
        && let Err(error) = collateral.take_intermediate(&intermediate.bytes)
    {
        return Some(unreadable("intermediate", intermediate.called("intermediate"), &error, at));
    }
    None
}

fn bytes_64(hex: Option<&Hex>, member: &str) -> Result<Option<[u8; 64]>, String> {
    let bytes = hex.map(|hex| <[u8; 64]>::try_from(hex.0.as_slice())).transpose();
    bytes.map_err(|_| format!("{member}: want 64 bytes as 128 hexadecimal digits"))
}

/// Registers of the SHA-256 bank.
fn pairs(text: &[u8]) -> Result<Vec<(u8, [u8; 32])>, String> {
    let set = registers(text).map_err(|error| format!("quote.pcrs: {error}"))?;
    let pairs = set.iter().map(|(index, value)| Some((index.number(), value.as_bytes().try_into().ok()?)));
    pairs.collect::<Option<_>>().ok_or_else(|| "quote.pcrs: not of the SHA-256 bank".to_owned())
}

fn bundle_question<'a>(
    bundle: &'a Base64,
    nonce: Option<&'a Hex>,
    anchor: &'a TrustAnchor<'a>,
    crls: &'a [Vec<u8>],
    releases: Releases<'a>,
) -> BundleQuestion<'a> {
    BundleQuestion { bundle: &bundle.bytes, anchor, nonce: nonce.map(|nonce| nonce.0.as_slice()), crls, releases }
}

/// Each key once, and none without a file or a bundle that they could be for.
fn release_keys(request: &Request) -> Result<Vec<Ed25519Public>, String> {
    let mut keys = Vec::new();
    for Hex(bytes) in &request.release_keys {
        let key = <[u8; 32]>::try_from(bytes.as_slice()).ok().and_then(Ed25519Public::new);
        let key = key.ok_or("releaseKeys: want canonical Ed25519 keys of full order, 64 hexadecimal digits each")?;
        if keys.contains(&key) {
            return Err("releaseKeys: want each key once".to_owned());
        }
        keys.push(key);
    }
    if keys.is_empty() && !request.releases.is_empty() {
        return Err("releases: no releaseKeys say whose signature counts".to_owned());
    }
    if !keys.is_empty() && request.bundle.is_none() && request.proof.is_none() {
        return Err("releaseKeys: only a bundle or a proof is looked up in releases".to_owned());
    }
    Ok(keys)
}

fn unreadable(check: &'static str, member: &str, error: &CollateralError, at: UnixSeconds) -> Verdict {
    malformed(check, format!("{member}: {error}"), error.fix(), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the first test of RFC 8032 section 7.1.
    const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn what_is_no_request_gets_no_verdict() {
        for (request, said) in [
            ("", "EOF"),
            ("{}", "at"),
            (r#"{"at":"yesterday","report":{"evidence":""}}"#, "at:"),
            (r#"{"at":"2026-03-01T00:00:00Z"}"#, "one of report"),
            (r#"{"at":"2026-03-01T00:00:00Z","report":{"evidence":"?"}}"#, "base64"),
            (r#"{"at":"2026-03-01T00:00:00Z","report":{"evidence":"","nonce":"00"}}"#, "nonce"),
            (r#"{"at":"2026-03-01T00:00:00Z","report":{"evidence":"","reportData":"00"}}"#, "reportData"),
            (r#"{"at":"2026-03-01T00:00:00Z","policy":"lax","report":{"evidence":""}}"#, "policy"),
            (r#"{"at":"2026-03-01T00:00:00Z","trustRoot":"AA==","report":{"evidence":""}}"#, "trustRoot"),
            (r#"{"at":"2026-03-01T00:00:00Z","report":{"evidence":""},"bundle":{"bundle":""}}"#, "one of report"),
            (r#"{"at":"2026-03-01T00:00:00Z","releases":["AA=="],"bundle":{"bundle":""}}"#, "releases:"),
            (r#"{"at":"2026-03-01T00:00:00Z","releaseKeys":["00"],"bundle":{"bundle":""}}"#, "releaseKeys:"),
            (
                &format!(r#"{{"at":"2026-03-01T00:00:00Z","releaseKeys":["{KEY}"],"report":{{"evidence":""}}}}"#),
                "releaseKeys:",
            ),
            (
                &format!(r#"{{"at":"2026-03-01T00:00:00Z","releaseKeys":["{KEY}","{KEY}"],"bundle":{{"bundle":""}}}}"#),
                "each key once",
            ),
        ] {
            let answer = answer(request.as_bytes());
            assert!(answer.starts_with(r#"{"error":"#) && answer.contains(said), "{request}: {answer}");
        }
    }

    #[test]
    fn a_release_manifest_counts_by_the_keys_that_the_request_names() {
        let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
        let bundle = base64(include_bytes!("../../../tests/vectors/proofs/bundle.json"));
        let root = base64(include_bytes!("../../../tests/vectors/proofs/root.der"));
        let release = base64(include_bytes!("../../../tests/fuzz/seeds/release/file"));
        let judged = |keys: &str| {
            let request = format!(
                r#"{{"at":"2026-06-01T00:00:00Z","trustRoot":"{root}","releases":["{release}"],"releaseKeys":[{keys}],"bundle":{{"bundle":"{bundle}"}}}}"#
            );
            let answer: serde_json::Value = serde_json::from_str(&answer(request.as_bytes())).unwrap();
            let rows = answer["checks"].as_array().unwrap().clone();
            rows.into_iter().find(|row| row["name"] == "release").unwrap()["outcome"].clone()
        };
        let both = r#""3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c","fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025""#;
        assert_eq!(judged(both), "pass");
        assert_eq!(judged(&format!("\"{KEY}\"")), "fail");
    }

    #[test]
    fn what_is_a_request_for_bad_evidence_gets_a_rejection() {
        let answer = answer(br#"{"at":"2026-03-01T00:00:00Z","report":{"evidence":{"name":"x","base64":""}}}"#);
        assert!(answer.contains(r#""verdict": "rejected""#) && answer.contains("x: 0 bytes"), "{answer}");
    }
}
