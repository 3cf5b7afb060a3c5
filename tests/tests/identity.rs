//! Who is calling: logging in with a wallet, sessions, wallet tokens, signed requests, and operators who must sign.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use evidence::{Opened, OpeningSeed, caller_ref};
use sealgate_tests::{
    Answer, Client, Gateway, Settings, Wallet,
    clients::send_signed,
    wallet::{SignedRequest, now},
};
use serde_json::{Value, json};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
const ECHO: &str = r#"{"message":"signed"}"#;

#[test]
fn a_wallet_logs_in_by_its_signature_over_a_challenge_and_by_nothing_else() {
    let gateway = Gateway::with(&bare());
    let client = gateway.anonymous();
    let wallet = Wallet::new();
    let challenge = || {
        let challenge = client.get("/api/auth/challenge").json();
        (challenge["nonce"].as_str().unwrap().to_owned(), challenge["message"].as_str().unwrap().to_owned())
    };
    let verify = |body: &Value| client.post("/api/auth/verify", body);
    let login = |address: &str, signature: &str, nonce: &str| json!({"walletAddress": address, "signature": signature, "nonce": nonce});

    // The right one works once; the address is taken in either spelling.
    let (nonce, message) = challenge();
    assert!(message.contains(&nonce), "the text holds the nonce: {message}");
    let good = login(&wallet.address().to_lowercase(), &wallet.sign(&message), &nonce);
    let answer = verify(&good);
    assert_eq!(answer.status, 200, "{}", answer.json());
    assert_eq!(answer.json()["walletAddress"], wallet.address());
    assert!(answer.json()["expiresAt"].as_str().unwrap().ends_with('Z'));
    refused(&verify(&good), 401, "challenge_used");
    let (nonce, message) = challenge();
    let body = login(&wallet.address(), &wallet.sign(&message), &nonce);
    assert_eq!(at_once(|| verify(&body).status), 1, "one of eight at once");

    // What is not signed by the wallet over this text.
    let (nonce, message) = challenge();
    for (what, signature) in [
        ("another text", wallet.sign(&format!("{message} "))),
        ("another wallet's", Wallet::new().sign(&message)),
        ("no hexadecimal", "0xzz".to_owned()),
        ("too short", wallet.sign(&message)[..130].to_owned()),
        ("empty", String::new()),
        ("zeros", format!("0x{}", "00".repeat(65))),
    ] {
        let answer = verify(&login(&wallet.address(), &signature, &nonce));
        assert_eq!(answer.status, 401, "{what}: {}", answer.json());
        refused(&answer, 401, "bad_signature");
    }
    // Failures do not use the challenge up: its owner may still come.
    assert_eq!(verify(&login(&wallet.address(), &wallet.sign(&message), &nonce)).status, 200);

    // Nonces that this gateway did not make: altered, invented, another gateway's.
    let other = Gateway::with(&bare());
    let foreign = other.anonymous().get("/api/auth/challenge").json();
    let (nonce, message) = challenge();
    let mut altered = nonce.clone().into_bytes();
    altered[3] = if altered[3] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for (nonce, message) in [
        (text(&foreign["nonce"]), text(&foreign["message"])),
        (altered.clone(), message.replace(&nonce, &altered)),
        ("0".repeat(64), message.clone()),
        (String::new(), message),
    ] {
        refused(&verify(&login(&wallet.address(), &wallet.sign(&message), &nonce)), 401, "bad_nonce");
    }

    // No other way in.
    let (nonce, message) = challenge();
    let signature = wallet.sign(&message);
    for body in [
        json!({"testMode": true, "walletAddress": wallet.address()}),
        json!({"testMode": true, "walletAddress": wallet.address(), "signature": signature, "nonce": nonce}),
        json!({"testMode": false, "walletAddress": wallet.address(), "signature": signature, "nonce": nonce}),
    ] {
        refused(&verify(&body), 400, "test_mode_refused");
    }
    for body in [
        json!({"walletAddress": wallet.address()}),
        json!({"walletAddress": wallet.address(), "signature": true, "nonce": nonce}),
        json!({"walletAddress": wallet.address(), "signature": signature, "nonce": null}),
        json!([]),
        json!("x"),
    ] {
        refused(&verify(&body), 400, "bad_login_body");
    }
    for address in ["", "0x", "wallet", &wallet.address()[2..], &format!("{}0", wallet.address())] {
        refused(&verify(&login(address, &signature, &nonce)), 400, "bad_wallet_address");
    }
    let mixed = wallet.address().replace("0x", "0X").to_uppercase();
    assert_eq!(verify(&login(&mixed, &signature, &nonce)).status, 400);
    let long = verify(&login(&wallet.address(), &"0".repeat(64 << 10), &nonce));
    assert!((400..500).contains(&long.status), "{}", long.status);

    // The agent gateway's spelling.
    let challenge = client.get("/auth/challenge").json();
    let signature = wallet.sign(challenge["message"].as_str().unwrap());
    let body = login(&wallet.address(), &signature, challenge["nonce"].as_str().unwrap());
    assert_eq!(client.post("/auth/verify", &body).status, 200);
}

#[test]
fn a_session_is_good_where_it_was_made_and_in_no_other_form() {
    let mut gateway = Gateway::start();
    let wallet = Wallet::new();
    let session = wallet.session(&gateway);
    everywhere(&gateway, &session, 200, "");
    let answer = bearer(&gateway, &session).post("/api/servers/everything/tools/echo", &json!({"message": "a"}));
    assert_eq!(caller(&answer.json()["proof"]), principal(&wallet), "the proof commits to the caller");

    // The published key verifies it, by a library that is not ours.
    let jwks = gateway.anonymous().get("/.well-known/jwks.json");
    let keys = jwks.json()["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 1);
    assert!(keys[0].get("d").is_none(), "the public part alone");
    assert!(node_verifies(&keys[0], &session));
    // And the attested state names it.
    let bundle = gateway.anonymous().get("/api/attestation/bundle").json();
    let state = STANDARD.decode(bundle["states"][0]["bytes"].as_str().unwrap()).unwrap();
    let state: Value = serde_json::from_slice(&state).unwrap();
    let tree = evidence::json::parse(&jwks.body, &evidence::json::Limits::THEIRS).unwrap();
    let digest = evidence::hash(evidence::tag::JWKS, &[evidence::canon(&tree).as_bytes()]);
    assert_eq!(state["jwks"], hex::encode(digest));

    let parts: Vec<&str> = session.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    let decoded = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with = |part: &str, name: &str, value: Value| {
        let mut changed = decoded(part);
        changed[name] = value;
        encoded(&changed)
    };
    assert_eq!(decoded(claims)["walletAddress"], wallet.address());
    assert_eq!(decoded(claims)["exp"].as_u64().unwrap() - decoded(claims)["iat"].as_u64().unwrap(), 86_400, "24 hours");
    let symmetric = |key: &[u8]| {
        let signed = format!("{}.{claims}", with(header, "alg", json!("HS256")));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac(key, signed.as_bytes())))
    };
    let coordinates: Vec<u8> =
        ["x", "y"].iter().flat_map(|name| URL_SAFE_NO_PAD.decode(keys[0][*name].as_str().unwrap()).unwrap()).collect();
    let flipped = |part: &str| {
        let mut bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        bytes[10] ^= 1;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let none = with(header, "alg", json!("none"));
    let evil = Wallet::new();
    for (what, token) in [
        (
            "another wallet",
            format!("{header}.{}.{signature}", with(claims, "sub", json!(evil.address().to_lowercase()))),
        ),
        ("a longer life", format!("{header}.{}.{signature}", with(claims, "exp", json!(now() + 999_999)))),
        ("a flipped signature", format!("{header}.{claims}.{}", flipped(signature))),
        ("zeros", format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        ("alg none", format!("{none}.{claims}.")),
        ("alg none with the signature", format!("{none}.{claims}.{signature}")),
        ("HS256 under the set of keys", symmetric(&jwks.body)),
        ("HS256 under the key's coordinates", symmetric(&coordinates)),
        ("HS256 under nothing", symmetric(b"")),
        ("a key of its own", format!("{}.{claims}.{signature}", with(header, "jwk", keys[0].clone()))),
        ("another use", format!("{}.{claims}.{signature}", with(header, "typ", json!("JWT")))),
        ("no signature", format!("{header}.{claims}.")),
        ("two parts", format!("{header}.{claims}")),
        ("four parts", format!("{session}.x")),
        ("dots", "..".to_owned()),
        ("nothing", "x".to_owned()),
    ] {
        let client = bearer(&gateway, &token);
        for answer in [client.rpc("/mcp", "tools/list", json!({})), client.get("/api/secrets/everything")] {
            assert_eq!(answer.status, 401, "{what}: {}", answer.json());
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{what}");
        }
    }
    everywhere(&gateway, "a.b.c", 401, "session_malformed");
    for two in [
        format!("Bearer {session}, Bearer {session}"),
        format!("Bearer  {session}"),
        format!("Token {session}"),
        session.clone(),
    ] {
        let client = gateway.anonymous().with("authorization", &two);
        assert_eq!(client.rpc("/mcp", "tools/list", json!({})).status, 401);
    }
    let doubled = bearer(&gateway, &session).with("authorization", &format!("Bearer {session}"));
    refused(&doubled.rpc("/mcp", "tools/list", json!({})), 400, "two_authorizations");

    // Another gateway's session, and one that this gateway made when it had another name.
    let other = Gateway::with(&bare());
    assert_eq!(bearer(&gateway, &wallet.session(&other)).rpc("/mcp", "tools/list", json!({})).status, 401);
    gateway.stop();
    gateway.serve().unwrap();
    everywhere(&gateway, &session, 200, "");
    gateway.stop();
    gateway.reconfigure("state_dir", "public_url = \"http://gateway.example\"\nstate_dir");
    gateway.serve().unwrap();
    assert_eq!(bearer(&gateway, &session).rpc("/mcp", "tools/list", json!({})).status, 401, "another audience");
    let challenge = gateway.anonymous().get("/api/auth/challenge").json();
    assert!(challenge["message"].as_str().unwrap().starts_with("http://gateway.example asks"), "{challenge}");
    everywhere(&gateway, &wallet.session(&gateway), 200, "");
}

#[test]
fn a_wallet_token_is_what_the_wallet_signed_until_it_is_revoked() {
    let mut gateway = Gateway::start();
    let client = gateway.anonymous();
    let wallet = Wallet::new();
    let until = "2027-01-01T00:00:00.000Z";
    let message = |query: &str| client.get(&format!("/api/auth/token-message?{query}"));
    let asked = format!("walletAddress={}&expiresAt={until}", wallet.address());
    let text = message(&asked).json()["message"].as_str().unwrap().to_owned();
    assert_eq!(text, format!("MCP Gateway Auth\nWallet: {}\nExpires: {until}", wallet.address()), "verbatim");
    let lower = message(&format!("walletAddress={}&expiresAt={until}", wallet.address().to_lowercase()));
    assert_eq!(lower.json()["message"], text, "the checksum is put in");
    let wrong = flip_case(&wallet.address());
    for (query, reason) in [
        (format!("walletAddress={wrong}&expiresAt={until}"), "bad_wallet_address"),
        (format!("walletAddress=0x12&expiresAt={until}"), "bad_wallet_address"),
        (format!("walletAddress={}&expiresAt=2020-01-01T00:00:00Z", wallet.address()), "bad_expires_at"),
        (format!("walletAddress={}&expiresAt=tomorrow", wallet.address()), "bad_expires_at"),
        (format!("{asked}&permissions=tools:call"), "scope_not_signable"),
        (format!("{asked}&serverId=everything"), "scope_not_signable"),
    ] {
        refused(&message(&query), 400, reason);
    }
    assert_eq!(message("expiresAt=2027-01-01").json()["error"], "BAD_QUERY");

    let create = |body: &Value| client.post("/api/auth/create-token", body);
    let body = |wallet: &Wallet, signature: &str, until: &str| json!({"walletAddress": wallet.address(), "signature": signature, "expiresAt": until});
    let made = create(&body(&wallet, &wallet.sign(&text), until));
    assert_eq!(made.status, 200, "{}", made.json());
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("mcpwt_"));
    assert_eq!(made.json()["expiresAt"], until, "as it was given");
    everywhere(&gateway, &token, 200, "");
    let called = bearer(&gateway, &token).post("/api/servers/everything/tools/echo", &json!({"message": "a"}));
    assert_eq!(caller(&called.json()["proof"]), principal(&wallet));
    let unsigned = [
        Wallet::new().sign(&text),
        wallet.sign(&text.replace("MCP Gateway Auth", "Something else")),
        wallet.sign(&text.to_lowercase()),
        "0x".to_owned(),
    ];
    for signature in unsigned {
        refused(&create(&body(&wallet, &signature, until)), 401, "bad_signature");
    }
    refused(&create(&body(&wallet, &wallet.sign(&text), "2027-01-02T00:00:00.000Z")), 401, "bad_signature");

    // Tokens made elsewhere: what the wallet signed is taken, whatever is not is refused.
    let expires = 1_798_761_600_u64;
    let token_of = |content: &Value| format!("mcpwt_{}", URL_SAFE_NO_PAD.encode(content.to_string()));
    let own = Wallet::new();
    let text = format!("MCP Platform Auth\nWallet: {}\nExpires: {until}", own.address());
    let good = json!({"v": 1, "wallet": own.address(), "exp": expires, "msg": text, "sig": own.sign(&text)});
    everywhere(&gateway, &token_of(&good), 200, "");
    let change = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        token_of(&changed)
    };
    let lower = text.replace(&own.address(), &own.address().to_lowercase());
    let resigned = |text: &str| {
        let mut changed = good.clone();
        (changed["msg"], changed["sig"]) = (json!(text), json!(own.sign(text)));
        token_of(&changed)
    };
    for (what, token) in [
        ("another wallet", change("wallet", json!(Wallet::new().address()))),
        ("a later end", change("exp", json!(expires + 1))),
        ("another version", change("v", json!(2))),
        ("another's signature", change("sig", json!(Wallet::new().sign(&text)))),
        ("a lower-case wallet in the text", resigned(&lower)),
        ("a fourth line", resigned(&format!("{text}\nPermissions: *"))),
        ("another purpose", resigned(&text.replace("MCP Platform Auth", "gateway.example wants you to sign in"))),
        ("no JSON", format!("mcpwt_{}", URL_SAFE_NO_PAD.encode("x"))),
        ("padding", format!("{}=", token_of(&good))),
        ("nothing", "mcpwt_".to_owned()),
    ] {
        let answer = bearer(&gateway, &token).rpc("/mcp", "tools/list", json!({}));
        assert_eq!(answer.status, 401, "{what}: {}", answer.json());
        assert!(answer.header("www-authenticate").is_some(), "{what}");
    }
    strangers_vectors(&gateway);

    // A megabyte of token is answered at once.
    let begun = Instant::now();
    for size in [5_000, 60_000, 1 << 20] {
        let said = raw_with_bearer(&gateway, &format!("mcpwt_{}", "A".repeat(size)));
        let status = said.split(' ').nth(1).unwrap_or_else(|| panic!("{size}: no answer: {said:?}"));
        assert!(["401", "431"].contains(&status), "{size}: {said}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());

    // Taken back: at once, for good, and nobody else's.
    let second = token_for(&wallet, &client, "2027-02-01T00:00:00Z");
    let revoked = client.post("/api/auth/revoke", &json!({"token": token}));
    assert_eq!((revoked.status, &revoked.json()["revoked"]), (200, &json!("token")), "{}", revoked.json());
    everywhere(&gateway, &token, 401, "wallet_token_revoked");
    everywhere(&gateway, &second, 200, "");
    everywhere(&gateway, &token_of(&good), 200, "");
    let session = wallet.session(&gateway);
    assert_eq!(client.post("/api/auth/revoke", &json!({"all": true})).status, 401, "nobody's all");
    assert_eq!(client.post("/api/auth/revoke", &json!({"all": false})).status, 400);
    assert_eq!(client.post("/api/auth/revoke", &json!({"token": "mcpwt_x"})).status, 401);
    let all = bearer(&gateway, &second).post("/api/auth/revoke", &json!({"all": true}));
    assert_eq!((all.status, &all.json()["revoked"]), (200, &json!("all")), "{}", all.json());
    everywhere(&gateway, &second, 401, "wallet_token_revoked");
    everywhere(&gateway, &session, 401, "session_revoked");
    gateway.stop();
    gateway.serve().unwrap();
    for (token, reason) in
        [(&token, "wallet_token_revoked"), (&second, "wallet_token_revoked"), (&session, "session_revoked")]
    {
        everywhere(&gateway, token, 401, reason);
    }
    everywhere(&gateway, &token_of(&good), 200, "");
    // Sessions count whole seconds: one of the second of the revocation is ended with the older ones.
    let begun = Instant::now();
    while bearer(&gateway, &wallet.session(&gateway)).rpc("/mcp", "tools/list", json!({})).status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the wallet can come back");
    }
}

#[test]
fn the_official_clients_signed_requests_are_taken_once_and_only_as_they_were_signed() {
    let mut gateway = Gateway::start();
    // The replay after a restart needs the same address: it is signed.
    let address = gateway.base().trim_start_matches("http://").to_owned();
    gateway.reconfigure("127.0.0.1:0", &address);
    let wallet = Wallet::new();
    let stored = bearer(&gateway, &wallet.session(&gateway))
        .post("/api/secrets/everything", &json!({"secrets": {"OF_THE_SIGNER": "x"}}));
    assert_eq!(stored.status, 200);
    let endpoint = gateway.endpoint("everything");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "echo", "arguments": {"message": "signed"}}})
    .to_string();
    let mut sent = Vec::new();
    for (method, path, body) in [
        ("POST", "/mcp", LIST),
        ("POST", endpoint.as_str(), call.as_str()),
        ("POST", "/api/servers/everything/tools/echo", ECHO),
        ("GET", "/api/secrets/everything", ""),
    ] {
        let url = format!("{}{path}", gateway.base());
        let said = send_signed(&wallet.private_key(), method, &url, body, &[]);
        assert_eq!(said["status"], 200, "{path}: {said}");
        sent.push((method, path, body, said));
    }
    let proof = &sent[1].3["body"]["result"]["_meta"]["io.sealgate/proof"];
    assert_eq!(caller(proof), principal(&wallet));
    assert_eq!(caller(&sent[2].3["body"]["proof"]), principal(&wallet));
    assert_eq!(sent[3].3["body"]["configuredSecrets"], json!(["OF_THE_SIGNER"]));

    // The very same bytes again, before and after a restart; and the same signature over something else.
    let again = |gateway: &Gateway, (method, path, body, said): &(&str, &str, &str, Value)| {
        let client = gateway.anonymous();
        let client = said["sent"]
            .as_object()
            .unwrap()
            .iter()
            .fold(client, |client, (name, value)| client.with(name, value.as_str().unwrap()));
        client.send(method, path, None, body.as_bytes())
    };
    for request in &sent {
        let answer = again(&gateway, request);
        refused(&answer, 401, "replay");
        assert!(answer.header("accept-signature").unwrap().contains("@authority"), "it says what to sign");
    }
    let (method, path, _, said) = &sent[2];
    refused(&again(&gateway, &(method, path, r#"{"message":"other"}"#, said.clone())), 401, "digest_mismatch");
    refused(
        &again(&gateway, &(method, "/api/servers/everything/tools/get-sum", ECHO, said.clone())),
        401,
        "bad_signature",
    );
    gateway.stop();
    gateway.serve().unwrap();
    for request in &sent {
        refused(&again(&gateway, request), 401, "replay");
    }

    // By hand: what an official client would not send.
    let request = SignedRequest::new("POST", &address, "/api/servers/everything/tools/echo", ECHO);
    let send = |request: &SignedRequest| signed(&gateway, &wallet, request);
    assert_eq!(send(&request.fresh()).status, 200);
    let (once, headers) = (request.fresh(), request.fresh().sign(&wallet));
    assert_eq!(at_once(|| sent_with(&gateway, &once, &headers).status), 1, "one of eight at once");
    let at = |created: i64, expires: i64| {
        let moved = |by: i64| now().checked_add_signed(by).unwrap();
        SignedRequest { created: moved(created), expires: moved(expires), ..request.fresh() }
    };
    refused(&send(&at(-120, -60)), 401, "expired");
    refused(&send(&at(600, 660)), 401, "not_yet_valid");
    refused(&send(&at(0, 301)), 401, "validity_too_long");
    refused(&send(&at(60, 0)), 401, "bad_time");
    for (covered, component) in [
        (&["@method", "@path", "content-digest"][..], "@authority"),
        (&["@authority", "@path", "content-digest"], "@method"),
        (&["@authority", "@method", "content-digest"], "@path"),
        (&["@authority", "@method", "@path"], "content-digest"),
    ] {
        let answer =
            send(&SignedRequest { covered: covered.iter().map(|c| (*c).to_owned()).collect(), ..request.fresh() });
        refused(&answer, 401, "not_request_bound");
        assert!(answer.json()["message"].as_str().unwrap().contains(component), "{}", answer.json());
    }
    let mut queried = SignedRequest::new("GET", &address, "/api/secrets/everything?page=1", "");
    queried.covered.retain(|component| component != "@query");
    refused(&send(&queried), 401, "not_request_bound");
    refused(&send(&SignedRequest { nonce: None, ..request.fresh() }), 401, "replayable_not_allowed");
    refused(&send(&SignedRequest { chain: 1, ..request.fresh() }), 401, "bad_keyid");
    let covered = [request.covered.clone(), vec!["x-mcp-session".to_owned()]].concat();
    let header =
        SignedRequest { covered, headers: vec![("x-mcp-session".into(), "session-one".into())], ..request.fresh() };
    assert_eq!(send(&header).status, 200);
    let mut altered = SignedRequest { nonce: request.fresh().nonce, ..header };
    let headers = altered.sign(&wallet);
    altered.headers = vec![("x-mcp-session".into(), "session-two".into())];
    refused(&sent_with(&gateway, &altered, &headers), 401, "bad_signature");

    // A signature decides, whatever stands beside it.
    let other = Wallet::new();
    let beside = bearer(&gateway, &other.session(&gateway));
    let fresh = request.fresh();
    let beside_good = send_over(&beside, &fresh, &fresh.sign(&wallet));
    assert_eq!(beside_good.status, 200, "{}", beside_good.json());
    assert_eq!(caller(&beside_good.json()["proof"]), principal(&wallet), "the signer acts, not the bearer");
    for broken in [
        vec![("signature-input".to_owned(), "eth=()".to_owned()), ("signature".to_owned(), "eth=::".to_owned())],
        vec![("signature".to_owned(), "eth=:AAAA:".to_owned())],
        vec![("signature-input".to_owned(), "junk".to_owned())],
        request.fresh().sign(&wallet).into_iter().filter(|(name, _)| name != "signature").collect(),
    ] {
        assert_eq!(send_over(&beside, &request.fresh(), &broken).status, 401, "{broken:?}");
        assert_eq!(sent_with(&gateway, &request.fresh(), &broken).status, 401, "{broken:?}");
    }
    let by_another = SignedRequest { keyid: Some(wallet.address().to_lowercase()), ..request.fresh() };
    refused(&send_over(&beside, &by_another, &by_another.sign(&other)), 401, "bad_signature");
}

#[test]
fn operators_must_sign_where_the_rule_is_on() {
    let (operator, second, member) = (Wallet::new(), Wallet::new(), Wallet::new());
    let listed = format!("{}, {}", operator.address(), second.address().to_lowercase());
    let environment =
        vec![("ERC8128_ENFORCE_OPERATOR_MCP".to_owned(), "true".to_owned()), ("OPERATOR_WALLETS".to_owned(), listed)];
    let mut gateway = Gateway::with(&Settings { environment: environment.clone(), ..Settings::default() });
    let endpoint = gateway.endpoint("everything");
    assert_eq!(gateway.anonymous().get("/api/attestation/security").json()["identities"]["operatorsThatMustSign"], 2);
    let rest = "/api/servers/everything/tools/echo";
    let requests = [
        ("POST", "/mcp", LIST),
        ("POST", endpoint.as_str(), LIST),
        ("POST", rest, ECHO),
        ("GET", "/api/secrets/everything", ""),
        ("POST", "/api/secrets/everything", r#"{"secrets":{"A":"b"}}"#),
        ("PUT", "/api/secrets", r#"{"serverId":"everything","secrets":{"A":"b"}}"#),
        ("DELETE", "/api/secrets/everything", ""),
        ("POST", "/api/auth/revoke", r#"{"all":true}"#),
    ];
    for wallet in [&operator, &second] {
        let token = token_for(wallet, &gateway.anonymous(), "2027-01-01T00:00:00Z");
        for credential in [wallet.session(&gateway), token] {
            let client = bearer(&gateway, &credential);
            for (method, path, body) in requests {
                let answer =
                    client.send(method, path, (!body.is_empty()).then_some("application/json"), body.as_bytes());
                refused(&answer, 401, "signature_missing");
                let wanted = answer.header("accept-signature").unwrap_or_else(|| panic!("{path}"));
                for component in ["@authority", "@method", "@path"] {
                    assert!(wanted.contains(component), "{path}: {wanted}");
                }
                assert_eq!(wanted.contains("content-digest"), !body.is_empty(), "{path}: {wanted}");
            }
        }
    }
    for (method, path, body) in &requests[..6] {
        let url = format!("{}{path}", gateway.base());
        let said = send_signed(&operator.private_key(), method, &url, body, &[]);
        assert_eq!(said["status"], 200, "{path}: {said}");
    }
    everywhere(&gateway, &member.session(&gateway), 200, "");
    assert_eq!(gateway.anonymous().post(rest, &json!({"message": "a"})).status, 200);

    // A rule that holds for nobody, and words that are none.
    gateway.stop();
    for (environment, said) in [
        (vec![environment[0].clone()], "no operator's wallet is named"),
        (vec![("ERC8128_ENFORCE_OPERATOR_MCP".to_owned(), "yes".to_owned()), environment[1].clone()], "\"yes\""),
        (vec![environment[0].clone(), ("OPERATOR_WALLETS".to_owned(), "0x12".to_owned())], "0x12"),
    ] {
        gateway.environment = environment;
        let refusal = gateway.refusal();
        assert!(refusal.contains(said) && refusal.contains("fix:"), "{refusal}");
    }
    // Listed, but the rule is off.
    gateway.environment = vec![environment[1].clone()];
    gateway.serve().unwrap();
    everywhere(&gateway, &operator.session(&gateway), 200, "");
}

fn bare() -> Settings {
    Settings { more: String::new(), ..Settings::default() }
}

fn bearer(gateway: &Gateway, token: &str) -> Client {
    gateway.anonymous().with("authorization", &format!("Bearer {token}"))
}

/// What this credential gets at every kind of endpoint.
fn everywhere(gateway: &Gateway, token: &str, status: u16, reason: &str) {
    let client = bearer(gateway, token);
    for answer in [
        client.rpc("/mcp", "tools/list", json!({})),
        client.rpc("/mcp/server/everything", "tools/list", json!({})),
        client.post("/api/servers/everything/tools/echo", &json!({"message": "a"})),
        client.get("/api/secrets/everything"),
        client.get("/api/secrets/everything/status"),
    ] {
        if status == 200 {
            assert_eq!(answer.status, 200, "{}", answer.json());
        } else {
            refused(&answer, status, reason);
        }
    }
}

/// A refusal with this reason, over REST or MCP; whoever is not known hears how to be.
fn refused(answer: &Answer, status: u16, reason: &str) {
    let said = answer.json();
    let over_mcp = said["jsonrpc"] == "2.0";
    assert_eq!(if over_mcp { &said["error"]["data"]["reason"] } else { &said["reason"] }, reason, "{said}");
    // What is malformed is an error of JSON-RPC there.
    assert_eq!(answer.status, if over_mcp && status == 400 { 200 } else { status }, "{said}");
    if answer.status == 401 {
        assert!(answer.header("www-authenticate").unwrap_or_default().starts_with("Bearer"), "{said}");
    }
    assert!(!said.to_string().contains("panicked"), "{said}");
}

/// Which of the wallets' principals a proof commits to: opened with the seed that its caller got.
fn caller(envelope: &Value) -> (String, String) {
    let seed = envelope["opening"]["seed"].as_str().unwrap_or_else(|| panic!("no seed: {envelope}"));
    let committed = envelope["proof"]["caller"].as_str().expect("somebody called").to_owned();
    (seed.to_owned(), committed)
}

/// To compare with [`caller`].
struct Principal(String);

fn principal(wallet: &Wallet) -> Principal {
    Principal(format!("wallet:{}", wallet.address().to_lowercase()))
}

impl PartialEq<Principal> for (String, String) {
    fn eq(&self, other: &Principal) -> bool {
        let seed = OpeningSeed::new(hex::decode(&self.0).unwrap().try_into().unwrap());
        hex::encode(caller_ref(&seed.salt(Opened::Caller), &other.0)) == self.1
    }
}

impl std::fmt::Debug for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn token_for(wallet: &Wallet, client: &Client, until: &str) -> String {
    let query = format!("/api/auth/token-message?walletAddress={}&expiresAt={until}", wallet.address());
    let text = client.get(&query).json()["message"].as_str().unwrap().to_owned();
    let body = json!({"walletAddress": wallet.address(), "signature": wallet.sign(&text), "expiresAt": until});
    client.post("/api/auth/create-token", &body).json()["token"].as_str().unwrap().to_owned()
}

/// How many of eight that do the same at the same time get a 200; the others get a 401.
fn at_once(attempt: impl Fn() -> u16 + Sync) -> usize {
    let statuses: Vec<u16> = thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(&attempt)).collect();
        tries.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [200, 401].contains(status)), "{statuses:?}");
    statuses.iter().filter(|status| **status == 200).count()
}

fn flip_case(address: &str) -> String {
    let at = address.char_indices().skip(2).find(|(_, c)| c.is_ascii_alphabetic()).expect("a letter").0;
    let mut bytes = address.to_owned().into_bytes();
    bytes[at] ^= 0x20;
    String::from_utf8(bytes).unwrap()
}

fn signed(gateway: &Gateway, wallet: &Wallet, request: &SignedRequest) -> Answer {
    sent_with(gateway, request, &request.sign(wallet))
}

fn sent_with(gateway: &Gateway, request: &SignedRequest, headers: &[(String, String)]) -> Answer {
    send_over(&gateway.anonymous(), request, headers)
}

fn send_over(client: &Client, request: &SignedRequest, headers: &[(String, String)]) -> Answer {
    let all = request.headers.iter().chain(headers);
    let client = all.fold(client.clone(), |client, (name, value)| client.with(name, value));
    let kind = (!request.body.is_empty()).then_some("application/json");
    client.send(&request.method, &request.target, kind, request.body.as_bytes())
}

/// Tokens of others, at today's clock: those that have ended are told so, the others are not let in for what they are.
fn strangers_vectors(gateway: &Gateway) {
    let Ok(folder) = std::env::var("SEALGATE_EXTRA_VECTORS") else { return };
    let file = fs::read(Path::new(&folder).join("identity/wallet-token.json")).expect("the set is complete");
    let set: Value = serde_json::from_slice(&file).unwrap();
    let cases = set["cases"].as_array().unwrap();
    assert!(cases.len() >= 20);
    for case in cases {
        let token = case["token"].as_str().unwrap();
        let said = raw_with_bearer(gateway, token);
        let id = case["id"].as_str().unwrap();
        assert!(said.starts_with("HTTP/1.1 401 ") || token.len() > 60_000, "{id}: {said}");
        if case["expect"]["valid"] == true {
            assert!(said.contains("wallet_token_expired"), "{id}: good, but of another day: {said}");
        }
    }
}

/// The head and body of the answer to a listing with this bearer, over a socket of our own: libraries have limits.
fn raw_with_bearer(gateway: &Gateway, token: &str) -> String {
    let host = gateway.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\nAuthorization: Bearer {token}\r\n\r\n{LIST}",
        LIST.len()
    );
    // The gateway may answer before it has read all of it.
    let _refused = stream.write_all(request.as_bytes());
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let script = "const c=require('crypto');const [k,m]=process.argv.slice(1);process.stdout.write(\
                  c.createHmac('sha256',Buffer.from(k,'hex')).update(Buffer.from(m,'hex')).digest('hex'))";
    hex::decode(node(script, &[&hex::encode(key), &hex::encode(message)])).unwrap()
}

fn node_verifies(key: &Value, token: &str) -> bool {
    let script = "const c=require('crypto');const [k,t]=process.argv.slice(1);const [h,p,s]=t.split('.');\
                  const key=c.createPublicKey({key:JSON.parse(k),format:'jwk'});process.stdout.write(String(\
                  c.verify('sha256',Buffer.from(h+'.'+p),{key,dsaEncoding:'ieee-p1363'},Buffer.from(s,'base64url'))))";
    node(script, &[&key.to_string(), token]) == "true"
}

fn node(script: &str, arguments: &[&str]) -> String {
    let output = Command::new("node").args(["-e", script]).args(arguments).output().expect("node; fix: scripts/setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
