//! The large set of identity vectors, read in place: `SEALGATE_EXTRA_VECTORS` names the folder that holds `identity`.
//! Without it these tests say that they did not run, and `committed.rs` tests the same rules on our own set; with it, a
//! file that is missing, another number of cases or a group that nobody placed is a failure.
//!
//! Out of scope, file by file: `erc8128-v2` and `erc8395-delegation` (dialects that are recognised and refused; one test
//! here), `erc8128-replay` is that dialect's, so its sequences run on a request of ours; `siwe` (our challenge is not
//! SIWE), `rfc9421-appendix-b` and `web-bot-auth` (keys that are not wallets), `mcp-authorization`, `oap-passport`,
//! `reputation-*` (layers of their own), `aes-256-gcm`, `hkdf-sha256`, `hmac-sha256` (the vault's), `jose-cookbook` but
//! for its thumbprints' rule, which `committed.rs` checks on our own key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use std::{collections::BTreeMap, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{Account, Memory, Names, Request, address, last_verdict, read_json, split_target};
use evidence::{UnixSeconds, Wallet};
use identity::{
    JwsFault, PublicKey, eth, open,
    session::Demands,
    signed_request::{Rules, component_line},
    wallet_token::WalletToken,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The cases of a file, by group. `groups` are all there may be, with how many.
fn cases(file: &str, groups: &[(&str, usize)]) -> Option<BTreeMap<String, Vec<Value>>> {
    let Some(folder) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("SEALGATE_EXTRA_VECTORS is not set: {file} did not run");
        return None;
    };
    let all = read_json(Path::new(&folder).join("identity").join(file));
    let mut by_group: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for case in all["cases"].as_array().unwrap() {
        by_group.entry(case["group"].as_str().unwrap().to_owned()).or_default().push(case.clone());
    }
    let found: Vec<(&str, usize)> = by_group.iter().map(|(name, cases)| (name.as_str(), cases.len())).collect();
    let mut wanted = groups.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{file}: the groups are others than those that this test knows");
    Some(by_group)
}

fn wallet(text: &Value) -> Wallet {
    text.as_str().unwrap().parse().unwrap()
}

fn bytes(text: &Value) -> Vec<u8> {
    hex::decode(text.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

#[tokio::test]
async fn every_wallet_token_of_the_set_gets_its_verdict() {
    let Some(groups) = cases("wallet-token.json", &[("accept", 4), ("reject", 18)]) else { return };
    for case in groups.values().flatten() {
        let now = UnixSeconds(case["now"].as_u64().unwrap());
        let token = WalletToken::verify(case["token"].as_str().unwrap(), now);
        if case["expect"]["valid"] == true {
            let token = token.unwrap();
            assert_eq!(token.wallet(), wallet(&case["expect"]["wallet"]), "{}", case["id"]);
            let end = token.admit(&Memory::default(), &Names, now).await.unwrap();
            assert_eq!(end, Ok(token.expires()), "{}", case["id"]);
        } else {
            assert!(token.is_err(), "{} was accepted", case["id"]);
        }
    }
}

#[tokio::test]
async fn every_signed_request_of_version_1_gets_its_verdict() {
    let all = [("binding", 21), ("keyid", 8), ("ok", 14), ("sig", 8), ("time", 6)];
    let Some(groups) = cases("erc8128-v1.json", &all) else { return };
    for case in groups.values().flatten() {
        let id = case["id"].as_str().unwrap();
        let verdict = last_verdict(case).await;
        // Policies that a verifier may have and this one does not: what they would let through is refused by name.
        let without_policy = match id {
            "v1-ok-class-bound" => Some("not_request_bound"),
            "v1-ok-replayable" => Some("replayable_not_allowed"),
            _ => None,
        };
        match (without_policy, case["expect"]["verdict"].as_str().unwrap()) {
            (Some(code), _) => assert_eq!(verdict.unwrap_err().code(), code, "{id}"),
            (None, "accept") => {
                let signer = verdict.unwrap_or_else(|fault| panic!("{id}: {fault}"));
                assert_eq!(signer.wallet, wallet_of(case), "{id}");
            }
            (None, _) => {
                let code = verdict.expect_err(id).code();
                let wanted = case["expect"]["reason"].as_str().unwrap();
                assert!(wanted.split('|').any(|reason| reason == code), "{id}: {code}, want {wanted}");
            }
        }
    }
}

/// Whose signature is to be taken: of several, the second.
fn wallet_of(case: &Value) -> Wallet {
    if case["id"] == "v1-multi-second-wins" { Account::new(2).wallet() } else { wallet(&case["address"]) }
}

/// Both its plain and its delegated form. Cases without a request are changes of a grant, which has no reader here.
#[tokio::test]
async fn the_draft_is_recognised_and_refused_in_all_its_forms() {
    let Some(folder) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else { return };
    let mut seen = 0;
    for file in ["erc8128-v2.json", "erc8395-delegation.json"] {
        let all = read_json(Path::new(&folder).join("identity").join(file));
        for case in all["cases"].as_array().unwrap().iter().filter(|case| case["request"].is_object()) {
            seen += 1;
            let request = draft_request(&case["request"]);
            let verdict = request.verify(&Rules::of_chain(1), &Memory::default(), UnixSeconds(1_700_000_001)).await;
            let code = verdict.unwrap().expect_err(case["id"].as_str().unwrap()).code();
            if ["accept", "positive"].contains(&case["group"].as_str().unwrap()) {
                assert_eq!(code, "dialect_not_supported", "{}", case["id"]);
            }
        }
    }
    assert_eq!(seen, 62);
}

fn draft_request(case: &Value) -> Request {
    let text = |name: &str| case[name].as_str().unwrap().to_owned();
    Request {
        method: text("method"),
        scheme: text("scheme"),
        authority: text("authority"),
        path: text("path"),
        query: case["query"].as_str().map(str::to_owned),
        headers: common::headers(&case["headers"]),
        body: case["body"].as_str().unwrap_or_default().into(),
    }
}

/// The sequences are of the draft; a request of version 1 with the same times takes the place of theirs. `principal`
/// (a wallet that policy denies) has no place before the mark here: whether a known caller may go on is not asked by
/// this crate, so that one sequence is left out.
#[tokio::test]
async fn a_request_counts_once_in_every_sequence_of_the_set() {
    let Some(groups) = cases("erc8128-replay.json", &[("sequence", 8)]) else { return };
    let signed = signed_like_the_sequences();
    let mut ran = 0;
    for case in &groups["sequence"] {
        let steps = case["steps"].as_array().unwrap();
        if steps.iter().any(|step| !step["principal"].is_null()) {
            continue;
        }
        ran += 1;
        let rules = Rules { skew: case["skew"].as_u64().unwrap(), ..Rules::of_chain(8453) };
        let store = Memory::default();
        for (step, expect) in steps.iter().zip(case["expect"].as_array().unwrap()) {
            let now = UnixSeconds(step["now"].as_u64().unwrap());
            let mut request = signed.clone();
            if let Some(change) = step["change"].as_str() {
                request.query = Some(change.split_once('=').unwrap().1.to_owned());
            }
            let times = step["parallel"].as_u64().unwrap_or(1);
            let mut good = 0;
            for _ in 0..times {
                good += u64::from(request.verify(&rules, &store, now).await.unwrap().is_ok());
            }
            let wanted = expect["200"].as_u64().unwrap_or_else(|| u64::from(expect == 200));
            assert_eq!(good, wanted, "{} at {}", case["id"], now.0);
        }
    }
    assert_eq!(ran, 7);
}

fn signed_like_the_sequences() -> Request {
    let account = Account::new(1);
    let params = format!(
        r#"("@authority" "@method" "@path" "@query");created=1700000000;expires=1700000060;nonce="EjRWeJCrze8BI0VniavN7w";keyid="erc8128:8453:{}""#,
        account.wallet()
    );
    let base = format!(
        "\"@authority\": api.example\n\"@method\": GET\n\"@path\": /items\n\"@query\": ?view=full\n\"@signature-params\": {params}"
    );
    let signature = base64::prelude::BASE64_STANDARD.encode(account.sign(base.as_bytes()));
    Request::to("GET", "https://api.example/items?view=full")
        .with("Signature-Input", &format!("eth={params}"))
        .with("Signature", &format!("eth=:{signature}:"))
}

/// `contract` (ERC-1271, ERC-6492) is out of scope: accounts here are keys. Of `eip712` the digest is taken as given;
/// building it is the payments' part.
#[test]
fn every_ethereum_signature_of_the_set_gets_its_verdict() {
    let all = [("contract", 9), ("eip191", 10), ("eip55", 4), ("eip712", 4), ("form", 10)];
    let Some(groups) = cases("ethereum-signatures.json", &all) else { return };
    for case in groups["eip191"].iter().chain(&groups["form"]) {
        let digest = eth::personal_digest(&bytes(&case["message_hex"]));
        if case["prefixed_hash"].is_string() {
            assert_eq!(digest.to_vec(), bytes(&case["prefixed_hash"]), "{}", case["id"]);
        }
        let signed = eth::recover(&digest, &bytes(&case["signature"])) == Ok(wallet(&case["address"]));
        assert_eq!(signed, case["expect"] == "valid", "{}", case["id"]);
    }
    for case in &groups["eip712"] {
        let digest: [u8; 32] = bytes(&case["digest"]).try_into().unwrap();
        let signed = eth::recover(&digest, &bytes(&case["signature"])) == Ok(wallet(&case["address"]));
        assert_eq!(signed, case["expect"] == "valid", "{}", case["id"]);
    }
    for case in &groups["eip55"] {
        let spelled = case["expect"]["checksummed"].as_str().unwrap();
        assert_eq!(eth::checksummed(wallet(&case["lower"])), spelled);
        assert_eq!(eth::parse_wallet(spelled), Ok(wallet(&case["lower"])));
    }
}

/// `structured` and `query-param` are out of scope, and refused: see `signed_request::base`.
#[test]
fn every_component_of_the_set_gives_its_line() {
    let all = [("derived", 14), ("field", 6), ("query-param", 6), ("structured", 7)];
    let Some(groups) = cases("rfc9421-components.json", &all) else { return };
    for (group, cases) in &groups {
        for case in cases {
            let line = component_of(&case["request"], case["component"].as_str().unwrap());
            let wanted = match group.as_str() {
                "structured" | "query-param" => None,
                _ => case["expect_line"].as_str().map(|line| line.as_bytes().to_vec()),
            };
            assert_eq!(line, wanted, "{}", case["id"]);
        }
    }
}

fn component_of(case: &Value, component: &str) -> Option<Vec<u8>> {
    let (path, query) = split_target(case["target"].as_str().unwrap());
    let headers = common::headers(&case["headers"]);
    let authority = headers.iter().find(|(name, _)| name == "Host").map(|(_, value)| value.clone());
    let request = Request {
        method: case["method"].as_str().unwrap().into(),
        scheme: case["scheme"].as_str().unwrap().into(),
        authority: authority.map(|value| String::from_utf8(value).unwrap()).unwrap_or_default(),
        path,
        query,
        headers,
        body: Vec::new(),
    };
    request.view(|view| component_line(view, component))
}

/// One key and ES256 is what a session has; `ok-eddsa`, of the set's second key, is out of scope and refused.
#[test]
fn every_access_token_of_the_set_gets_its_verdict() {
    let all = [("accept", 6), ("bytes", 4), ("claims", 12), ("form", 7), ("header", 14)];
    let Some(groups) = cases("access-token-jwt.json", &all) else { return };
    let verifier = {
        let folder = std::env::var_os("SEALGATE_EXTRA_VECTORS").unwrap();
        read_json(Path::new(&folder).join("identity/access-token-jwt.json"))["verifier"].clone()
    };
    let jwk = &verifier["jwks"]["keys"][0];
    let key = public_key(jwk).named(jwk["kid"].as_str().unwrap());
    let demands = Demands {
        issuer: verifier["issuer"].as_str().unwrap(),
        audience: verifier["audience"].as_str().unwrap(),
        typ: "at+jwt",
    };
    let now = UnixSeconds(verifier["now"].as_u64().unwrap());
    for case in groups.values().flatten() {
        let verdict = demands.check(case["token"].as_str().unwrap(), &key, now);
        let wanted = case["expect"]["verdict"] == "accept" && case["id"] != "ok-eddsa";
        assert_eq!(verdict.is_ok(), wanted, "{}: {verdict:?}", case["id"]);
    }
}

fn public_key(jwk: &Value) -> PublicKey {
    let part = |name: &str| -> [u8; 32] {
        BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap().try_into().unwrap()
    };
    PublicKey::new(&part("x"), &part("y")).unwrap()
}

/// Groups with a key of P-256 for ES256. The others are RSA and HMAC, which no key of ours can be taken for: each of
/// their texts is refused under a key of P-256. `ec_key_for_encryption` asks whether a key may sign at all; ours comes
/// from our own sealed store and is made for nothing else.
#[test]
fn every_es256_signature_of_wycheproof_gets_its_verdict() {
    let Some(folder) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else { return };
    let all = read_json(Path::new(&folder).join("identity/wycheproof-jws.json"));
    let all = all["cases"].as_array().unwrap();
    let key_of_es256 =
        all.iter().find(|case| case["group"] == "es256").map(|case| public_key(&case["public"])).unwrap();
    let (mut es256, mut others) = (0, 0);
    for case in all {
        let text = case["jws"].as_str().unwrap();
        match case["group"].as_str().unwrap() {
            "es256" | "SpecialCaseEs256" => {
                es256 += 1;
                let key = public_key(&case["public"]).named(case["public"]["kid"].as_str().unwrap());
                assert_eq!(open(text, &key).is_ok(), case["result"] == "valid", "{}: {}", case["id"], case["comment"]);
            }
            "ec_key_for_encryption"
            | "base64"
            | "hs256"
            | "ps256"
            | "ps384"
            | "ps512"
            | "rfc7520"
            | "rfc7520WithKeyOps"
            | "rs256"
            | "rs384"
            | "rs512"
            | "rsa_encryption" => {
                others += 1;
                assert!(open(text, &key_of_es256).is_err(), "{}", case["id"]);
            }
            unknown => panic!("a group that nobody placed: {unknown}"),
        }
    }
    assert_eq!((es256, others), (14, 67));
    assert_eq!(open(&"a".repeat(4097), &key_of_es256), Err(JwsFault::TooLong { bytes: 4097 }));
}

/// Who signs is recovered here, not given, so a signature counts as valid if it recovers to the key's wallet. Strictness
/// on top: high s and an r beyond the field's order (v 29 and 30) are refused though the curve has them.
#[test]
fn every_ecdsa_signature_of_wycheproof_gets_its_verdict() {
    let Some(groups) = cases("secp256k1-ecdsa.json", &[("invalid", 32), ("valid", 24)]) else { return };
    for case in groups.values().flatten() {
        let digest: [u8; 32] = Sha256::digest(bytes(&case["msg"])).into();
        let (signature, wallet) = (bytes(&case["sig"]), address(&bytes(&case["public"])));
        let recovered = [27, 28].map(|v| eth::recover(&digest, &[&signature[..], &[v]].concat())).contains(&Ok(wallet));
        let wanted = case["result"] == "valid"
            && !is_high(&signature[32..])
            && case["comment"] != "k*G has a large x-coordinate";
        assert_eq!(recovered, wanted, "{}: {}", case["id"], case["comment"]);
    }
}

/// Above half the order of the group.
fn is_high(s: &[u8]) -> bool {
    let half = hex::decode("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0").unwrap();
    s > &half[..]
}

/// The parser is a library's (sfv); what of the set it must do for us is checked here: dictionaries, and that their order
/// and their last value survive.
#[test]
fn every_structured_field_of_the_set_parses_or_not() {
    let all = [
        ("binary", 10),
        ("boolean", 8),
        ("dictionary", 18),
        ("item", 4),
        ("key-generated", 36),
        ("listlist", 8),
        ("number", 25),
        ("param-dict", 10),
        ("string", 10),
        ("token", 4),
    ];
    let Some(groups) = cases("structured-fields.json", &all) else { return };
    for case in groups.values().flatten() {
        let lines: Vec<&str> = case["raw"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        let raw = lines.join(", ");
        let canonical = match case["header_type"].as_str().unwrap() {
            "dictionary" => sfv::Parser::new(&raw).parse::<sfv::Dictionary>().map(|parsed| written(&parsed)),
            "list" => sfv::Parser::new(&raw).parse::<sfv::List>().map(|parsed| written(&parsed)),
            "item" => sfv::Parser::new(&raw).parse::<sfv::Item>().map(|parsed| sfv::FieldType::serialize(&parsed)),
            other => panic!("{other}"),
        };
        if case["must_fail"] == true {
            assert!(canonical.is_err(), "{}: {}", case["id"], case["name"]);
        } else if case["can_fail"] != true {
            let canonical = canonical.unwrap_or_else(|error| panic!("{}: {error}", case["id"]));
            let wanted = match case["canonical"].as_array() {
                Some(lines) => lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join(", "),
                None => raw,
            };
            assert_eq!(canonical, wanted, "{}: {}", case["id"], case["name"]);
        }
    }
}

fn written(field: &impl MaybeEmpty) -> String {
    field.text().unwrap_or_default()
}

/// An empty dictionary or list is written as no line at all.
trait MaybeEmpty {
    fn text(&self) -> Option<String>;
}

impl MaybeEmpty for sfv::Dictionary {
    fn text(&self) -> Option<String> {
        sfv::FieldType::serialize(self)
    }
}

impl MaybeEmpty for sfv::List {
    fn text(&self) -> Option<String> {
        sfv::FieldType::serialize(self)
    }
}
