//! Logging in, showing what one got, and taking it back: through the authenticator, as a gateway uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{Account, GATEWAY, Memory, Names, Request, session_key, signed};
use evidence::{UnixSeconds, Wallet, json};
use identity::{
    Audience, Authenticator, By, Class, IdentityError, eth, iso_8601, revoke_all, revoke_token,
    session::{Sessions, TYP},
    signed_request::Rules,
    token_request::{TokenRequest, TokenRequestFault},
    wallet_token::{MAX_AHEAD, MAX_LIFE, WalletToken},
};
use sha2::{Digest, Sha256};

const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

struct Gateway {
    store: Arc<Memory>,
    authenticator: Authenticator<Memory, Names>,
}

impl Gateway {
    fn new() -> Self {
        Self::named(GATEWAY)
    }

    fn named(name: &str) -> Self {
        let (store, audience) = (Arc::new(Memory::default()), Audience::new(name).unwrap());
        let sessions = Sessions::new(audience.clone(), &session_key()).unwrap();
        let authenticator =
            Authenticator::new(Arc::clone(&store), Arc::new(Names), audience, sessions, Rules::of_chain(8453));
        Self { store, authenticator }
    }

    async fn ask(&self, request: &Request, now: UnixSeconds) -> Result<(Option<Wallet>, By), IdentityError> {
        let headers = request.lines();
        let who = self.authenticator.authenticate(&request.borrowed(&headers), now).await?;
        Ok((who.wallet, who.by))
    }

    async fn show(&self, authorization: &str, now: UnixSeconds) -> Result<(Option<Wallet>, By), IdentityError> {
        self.ask(&bare().with("Authorization", authorization), now).await
    }

    async fn code_of(&self, authorization: &str, now: UnixSeconds) -> &'static str {
        self.show(authorization, now).await.unwrap_err().code()
    }

    fn met_challenge(&self, account: &Account, random: u8, now: UnixSeconds) -> String {
        let challenge = self.authenticator.challenge([random; 16], now);
        login_body(account.wallet(), &account.sign_hex(&challenge.message), &challenge.nonce)
    }

    async fn session(&self, account: &Account, now: UnixSeconds) -> String {
        let body = self.met_challenge(account, 1, now);
        self.authenticator.login(body.as_bytes(), [2; 16], now).await.unwrap().1.token
    }

    async fn token(&self, account: &Account, expires: &str, now: UnixSeconds) -> String {
        let request = TokenRequest::new(&account.wallet().to_string(), expires, &[], None, now).unwrap();
        let signature = account.sign_hex(&request.message());
        self.authenticator.create_token(&request, &signature, None, now).await.unwrap().token
    }

    async fn made(
        &self,
        account: &Account,
        expires: &str,
        present: Option<Wallet>,
        now: UnixSeconds,
    ) -> Result<String, IdentityError> {
        let request = TokenRequest::new(&account.wallet().to_string(), expires, &[], None, now).unwrap();
        let signature = account.sign_hex(&request.message());
        self.authenticator.create_token(&request, &signature, present, now).await.map(|made| made.token)
    }
}

fn bare() -> Request {
    Request::to("GET", "https://gw.example/api/servers")
}

fn login_body(wallet: Wallet, signature: &str, nonce: &str) -> String {
    format!(r#"{{"walletAddress":"{}","signature":"{signature}","nonce":"{nonce}"}}"#, eth::checksummed(wallet))
}

fn after(seconds: u64) -> UnixSeconds {
    UnixSeconds(NOW.0 + seconds)
}

#[tokio::test]
async fn who_shows_nothing_is_nobody() {
    assert_eq!(Gateway::new().ask(&bare(), NOW).await, Ok((None, By::Nothing)));
}

#[tokio::test]
async fn a_challenge_that_is_met_gives_a_session_of_a_day() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let token = gateway.session(&account, NOW).await;
    let shown = format!("Bearer {token}");
    assert_eq!(gateway.show(&shown, after(86_399)).await, Ok((Some(account.wallet()), By::Session)));
    assert_eq!(gateway.show(&shown.replace("Bearer", "bearer"), NOW).await.unwrap().1, By::Session);
    assert_eq!(gateway.code_of(&shown, after(86_400)).await, "session_expired");
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["walletAddress"], eth::checksummed(account.wallet()));
    assert_eq!(claims["expiresAt"], iso_8601(after(86_400)));
    assert_eq!(claims["exp"], NOW.0 + 86_400);
}

#[tokio::test]
async fn a_challenge_counts_once_and_five_minutes() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let login = async |body: &str, now| {
        gateway.authenticator.login(body.as_bytes(), [2; 16], now).await.map(|(wallet, _)| wallet).map_err(|e| e.code())
    };
    let body = gateway.met_challenge(&account, 1, NOW);
    assert_eq!(login(&body, after(300)).await, Err("challenge_expired"));
    assert_eq!(login(&body, after(299)).await, Ok(account.wallet()));
    assert_eq!(login(&body, after(299)).await, Err("challenge_used"));
    assert_eq!(login(&body, NOW).await, Err("challenge_used"));
    assert_eq!(login(&gateway.met_challenge(&account, 2, NOW), NOW).await, Ok(account.wallet()));
}

#[tokio::test]
async fn a_challenge_of_another_gateway_an_altered_one_and_anothers_signature_are_refused() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let login = async |body: &str| {
        let refused = gateway.authenticator.login(body.as_bytes(), [2; 16], NOW).await.map(|_| ()).unwrap_err();
        (refused.code(), refused.class())
    };
    let elsewhere = Gateway::named("https://other.example").met_challenge(&account, 1, NOW);
    assert_eq!(login(&elsewhere).await, ("bad_nonce", Class::Unauthenticated));
    let challenge = gateway.authenticator.challenge([1; 16], NOW);
    let good = account.sign_hex(&challenge.message);
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&challenge.nonce).unwrap();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let body = login_body(account.wallet(), &good, &BASE64_URL_SAFE_NO_PAD.encode(altered));
        assert_eq!(login(&body).await.0, "bad_nonce", "byte {at}");
    }
    let other = login_body(Account::new(2).wallet(), &good, &challenge.nonce);
    assert_eq!(login(&other).await, ("bad_signature", Class::Unauthenticated));
    assert_eq!(gateway.store.marks(), 0);
    for (body, code) in [
        ("", "bad_login_body"),
        ("[]", "bad_login_body"),
        ("{}", "bad_login_body"),
        (&format!("{}{}", good, " ".repeat(4096)), "bad_login_body"),
        (r#"{"testMode":true,"walletAddress":"0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"}"#, "test_mode_refused"),
        (r#"{"testMode":false}"#, "test_mode_refused"),
        (r#"{"walletAddress":"0x7e5f","signature":"","nonce":""}"#, "bad_wallet_address"),
    ] {
        assert_eq!(login(body).await, (code, Class::Malformed), "{body}");
    }
}

#[test]
fn a_challenge_says_what_it_is_for() {
    let challenge = Gateway::new().authenticator.challenge([1; 16], NOW);
    let wanted = format!(
        "https://gw.example asks you to sign in with your wallet. This costs nothing and moves no money.\n\n\
         Purpose: session\nNonce: {}\nIssued At: 2026-09-21T14:13:20Z\nExpiration Time: 2026-09-21T14:18:20Z",
        challenge.nonce
    );
    assert_eq!(challenge.message, wanted);
}

#[tokio::test]
async fn a_session_of_another_gateway_or_under_another_key_is_none() {
    let account = Account::new(1);
    let elsewhere = Gateway::named("https://other.example").session(&account, NOW).await;
    let gateway = Gateway::new();
    assert_eq!(gateway.code_of(&format!("Bearer {elsewhere}"), NOW).await, "session_malformed");
    let audience = Audience::new(GATEWAY).unwrap();
    let other = p256::SecretKey::from_slice(&[4; 32]).unwrap();
    let other = p256::pkcs8::EncodePrivateKey::to_pkcs8_der(&other).unwrap();
    let forged = Sessions::new(audience, other.as_bytes()).unwrap().open(account.wallet(), [1; 16], NOW).unwrap();
    assert_eq!(gateway.code_of(&format!("Bearer {}", forged.token), NOW).await, "session_bad_signature");
    assert!(Sessions::new(Audience::new(GATEWAY).unwrap(), b"no key").is_err());
}

#[tokio::test]
async fn no_byte_of_a_session_can_be_changed() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let token = gateway.session(&account, NOW).await;
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(gateway.show(&format!("Bearer {altered}"), NOW).await.is_err(), "byte {at}");
    }
}

#[test]
fn the_key_set_names_its_key_by_thumbprint() {
    let sessions = Sessions::new(Audience::new(GATEWAY).unwrap(), &session_key()).unwrap();
    let jwks: serde_json::Value = serde_json::from_str(&sessions.jwks().to_text()).unwrap();
    let key = &jwks["keys"][0];
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, key["x"], key["y"]);
    assert_eq!(key["kid"], BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(members)));
    assert_eq!((key["alg"].as_str(), key["use"].as_str()), (Some("ES256"), Some("sig")));
    let canonical = evidence::canon(&json::parse(jwks.to_string().as_bytes(), &json::Limits::OURS).unwrap());
    assert_eq!(sessions.jwks_digest(), evidence::hash("sealgate/jwks/v1", &[canonical.as_bytes()]));
    assert_eq!(TYP, "session+jwt");
}

#[tokio::test]
async fn a_wallet_token_lives_until_its_end_but_ninety_days_at_most() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let short = format!("Bearer {}", gateway.token(&account, &iso_8601(after(86_400)), NOW).await);
    assert_eq!(gateway.show(&short, after(86_399)).await, Ok((Some(account.wallet()), By::WalletToken)));
    assert_eq!(gateway.code_of(&short, after(86_400)).await, "wallet_token_expired");
    let long = format!("Bearer {}", gateway.token(&account, &iso_8601(after(2 * MAX_LIFE)), NOW).await);
    assert_eq!(gateway.show(&long, after(MAX_LIFE - 1)).await.unwrap().1, By::WalletToken);
    assert_eq!(gateway.code_of(&long, after(MAX_LIFE)).await, "wallet_token_too_old");
    // A token that was made elsewhere begins its ninety days when it is first shown.
    let elsewhere = format!("Bearer {}", Gateway::new().token(&account, "2027-09-01T00:00:00Z", NOW).await);
    assert_eq!(gateway.show(&elsewhere, after(MAX_LIFE)).await.unwrap().1, By::WalletToken);
    assert_eq!(gateway.show(&elsewhere, after(2 * MAX_LIFE - 1)).await.unwrap().1, By::WalletToken);
    assert_eq!(gateway.code_of(&elsewhere, after(2 * MAX_LIFE)).await, "wallet_token_too_old");
}

#[tokio::test]
async fn a_revoked_token_is_revoked_in_every_spelling() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let token = gateway.token(&account, "2026-12-01T00:00:00Z", NOW).await;
    let other = gateway.token(&account, "2026-12-01T00:00:00.000Z", NOW).await;
    let read = WalletToken::verify(&token, NOW).unwrap();
    revoke_token(&read, &*gateway.store, &Names, NOW).await.unwrap();
    let json = BASE64_URL_SAFE_NO_PAD.decode(token.strip_prefix("mcpwt_").unwrap()).unwrap();
    let spelled = String::from_utf8(json).unwrap().replacen('{', "{ \"more\": 1, ", 1);
    let respelled = format!("mcpwt_{}", BASE64_URL_SAFE_NO_PAD.encode(spelled));
    assert!(WalletToken::verify(&respelled, NOW).is_ok());
    for token in [&token, &respelled] {
        assert_eq!(gateway.code_of(&format!("Bearer {token}"), after(1)).await, "wallet_token_revoked");
    }
    assert!(gateway.show(&format!("Bearer {other}"), after(1)).await.is_ok());
    let again = TokenRequest::new(&account.wallet().to_string(), "2026-12-01T00:00:00Z", &[], None, NOW).unwrap();
    let again = gateway.authenticator.create_token(&again, &account.sign_hex(&again.message()), None, NOW).await;
    assert_eq!(again.unwrap_err().code(), "token_spent");
}

#[tokio::test]
async fn an_epoch_ends_all_that_a_wallet_had_and_nothing_of_others() {
    let (gateway, account, other) = (Gateway::new(), Account::new(1), Account::new(2));
    let old = [
        format!("Bearer {}", gateway.token(&account, "2026-12-01T00:00:00Z", NOW).await),
        format!("Bearer {}", gateway.session(&account, NOW).await),
    ];
    let others = format!("Bearer {}", gateway.token(&other, "2026-12-01T00:00:00Z", NOW).await);
    revoke_all(account.wallet(), &*gateway.store, &Names, NOW).await.unwrap();
    assert_eq!(gateway.code_of(&old[0], NOW).await, "wallet_token_revoked");
    assert_eq!(gateway.code_of(&old[1], NOW).await, "session_revoked");
    assert!(gateway.show(&others, NOW).await.is_ok());
    let new = gateway.made(&account, "2026-12-02T00:00:00Z", Some(account.wallet()), after(1)).await.unwrap();
    assert!(gateway.show(&format!("Bearer {new}"), after(1)).await.is_ok());
}

#[tokio::test]
async fn an_epoch_ends_tokens_that_were_never_shown_here() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let shown = format!("Bearer {}", Gateway::new().token(&account, "2026-12-01T00:00:00Z", NOW).await);
    let kept = format!("Bearer {}", Gateway::new().token(&account, "2026-12-02T00:00:00Z", NOW).await);
    assert!(gateway.show(&shown, NOW).await.is_ok());
    revoke_all(account.wallet(), &*gateway.store, &Names, NOW).await.unwrap();
    for later in [0, 1, 86_400] {
        let refused = gateway.show(&kept, after(later)).await.unwrap_err();
        assert_eq!((refused.code(), refused.class()), ("wallet_token_revoked", Class::Unauthenticated));
        assert!(refused.fix().contains("POST /api/auth/create-token"), "{}", refused.fix());
        assert_eq!(gateway.code_of(&shown, after(later)).await, "wallet_token_revoked");
    }
    assert_eq!(gateway.store.first_uses(), 1, "what is refused is not noted");
    // Of other wallets, and before an epoch, a token from elsewhere is taken.
    let other = format!("Bearer {}", Gateway::new().token(&Account::new(2), "2026-12-01T00:00:00Z", NOW).await);
    assert!(gateway.show(&other, after(1)).await.is_ok());
}

#[tokio::test]
async fn after_an_epoch_a_token_is_made_for_its_wallet_and_not_for_who_found_an_old_one() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let (end, wallet) = ("2026-12-01T00:00:00Z", account.wallet());
    let old = format!("Bearer {}", Gateway::new().token(&account, end, NOW).await);
    revoke_all(wallet, &*gateway.store, &Names, NOW).await.unwrap();
    // The old token holds all that a token is made of.
    for present in [None, Some(Account::new(2).wallet())] {
        let refused = gateway.made(&account, end, present, after(1)).await.unwrap_err();
        assert_eq!((refused.code(), refused.class()), ("log_in_first", Class::Unauthenticated));
        assert!(refused.fix().contains("POST /api/auth/verify"));
    }
    assert_eq!(gateway.code_of(&old, after(1)).await, "wallet_token_revoked");
    let session = format!("Bearer {}", gateway.session(&account, after(1)).await);
    let who = gateway.show(&session, after(1)).await.unwrap();
    assert_eq!(who, (Some(wallet), By::Session));
    let new = gateway.made(&account, "2026-12-02T00:00:00Z", who.0, after(1)).await.unwrap();
    let new = format!("Bearer {new}");
    assert!(gateway.show(&new, after(2)).await.is_ok());
    assert!(gateway.made(&account, "2026-12-02T00:00:00Z", None, after(2)).await.is_ok(), "again is the same token");
    // The next epoch ends it, and then it is spent for everybody.
    revoke_all(wallet, &*gateway.store, &Names, after(3)).await.unwrap();
    assert_eq!(gateway.code_of(&new, after(4)).await, "wallet_token_revoked");
    for present in [None, Some(wallet)] {
        let refused = gateway.made(&account, "2026-12-02T00:00:00Z", present, after(4)).await.unwrap_err();
        assert_eq!(refused.code(), "token_spent");
    }
}

#[tokio::test]
async fn a_token_made_in_the_second_of_the_epoch_is_void() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    revoke_all(account.wallet(), &*gateway.store, &Names, NOW).await.unwrap();
    let made = gateway.made(&account, "2026-12-01T00:00:00Z", Some(account.wallet()), NOW).await;
    assert_eq!(made.unwrap_err().code(), "token_spent");
}

#[tokio::test]
async fn a_token_ends_within_366_days_or_is_none() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let most = NOW.0 + MAX_AHEAD;
    let longest = gateway.token(&account, &iso_8601(UnixSeconds(most)), NOW).await;
    assert!(gateway.show(&format!("Bearer {longest}"), NOW).await.is_ok());
    let address = account.wallet().to_string();
    let refused = TokenRequest::new(&address, &iso_8601(UnixSeconds(most + 1)), &[], None, NOW).unwrap_err();
    assert_eq!((refused.code(), refused.fix().contains("366")), ("bad_expires_at", true));
    // Made elsewhere, a second later.
    let elsewhere = Gateway::new().token(&account, &iso_8601(UnixSeconds(most + 1)), after(1)).await;
    let elsewhere = format!("Bearer {elsewhere}");
    assert_eq!(gateway.code_of(&elsewhere, NOW).await, "wallet_token_too_far");
    assert!(gateway.show(&elsewhere, after(1)).await.is_ok());
}

#[tokio::test]
async fn a_token_is_made_only_from_the_wallets_own_signature() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let address = account.wallet().to_string();
    let request = TokenRequest::new(&address, "2027-01-01", &["*"], Some(""), NOW).unwrap();
    assert_eq!(
        request.message(),
        format!("MCP Gateway Auth\nWallet: {}\nExpires: 2027-01-01", eth::checksummed(account.wallet()))
    );
    for signature in [Account::new(2).sign_hex(&request.message()), account.sign_hex("other"), String::new()] {
        let refused = gateway.authenticator.create_token(&request, &signature, None, NOW).await.unwrap_err();
        assert_eq!((refused.code(), refused.class()), ("bad_signature", Class::Unauthenticated));
    }
    assert_eq!(gateway.store.first_uses(), 0);
    let made =
        gateway.authenticator.create_token(&request, &account.sign_hex(&request.message()), None, NOW).await.unwrap();
    assert_eq!((made.expires_at.as_str(), made.ends), ("2027-01-01", after(MAX_LIFE)));
}

#[test]
fn a_token_that_would_promise_less_than_it_gives_is_not_made() {
    let address = Account::new(1).wallet().to_string();
    let code = |wallet: &str, expires: &str, permissions: &[&str], server: Option<&str>| {
        TokenRequest::new(wallet, expires, permissions, server, NOW).map(|_| ()).map_err(|fault| fault.code())
    };
    assert_eq!(code(&address, "2027-01-01T00:00:00Z", &[], None), Ok(()));
    assert_eq!(code(&address, "2027-01-01T00:00:00Z", &["tools:call"], None), Err("scope_not_signable"));
    assert_eq!(code(&address, "2027-01-01T00:00:00Z", &["*", "tools:*"], None), Err("scope_not_signable"));
    assert_eq!(code(&address, "2027-01-01T00:00:00Z", &[], Some("brave")), Err("scope_not_signable"));
    assert_eq!(code(&address, &iso_8601(NOW), &[], None), Err("bad_expires_at"));
    assert_eq!(code(&address, "tomorrow", &[], None), Err("bad_expires_at"));
    assert_eq!(code("0x", "2027-01-01T00:00:00Z", &[], None), Err("bad_wallet_address"));
    assert!(!TokenRequestFault::Signature.fix().is_empty());
}

#[tokio::test]
async fn a_signature_wins_and_a_bad_one_is_refused_beside_a_good_bearer() {
    let (gateway, signer, bearer) = (Gateway::new(), Account::new(1), Account::new(2));
    let token = format!("Bearer {}", gateway.token(&bearer, "2026-12-01T00:00:00Z", NOW).await);
    let request = signed(&signer, NOW.0, "n").with("Authorization", &token);
    let headers = request.lines();
    let who = gateway.authenticator.authenticate(&request.borrowed(&headers), after(1)).await.unwrap();
    assert_eq!((who.wallet, who.by, who.bearer_ignored), (Some(signer.wallet()), By::Signature, true));
    let replayed = gateway.ask(&request, after(1)).await.unwrap_err();
    assert_eq!((replayed.code(), replayed.class()), ("replay", Class::Unauthenticated));
    let mut altered = signed(&signer, NOW.0, "m").with("Authorization", &token);
    altered.path = "/mcp".into();
    assert_eq!(gateway.ask(&altered, after(1)).await.unwrap_err().code(), "bad_signature");
    for header in ["Signature", "signature-input"] {
        let half = bare().with("Authorization", &token).with(header, "eth=:AAAA:");
        assert_eq!(gateway.ask(&half, after(1)).await.unwrap_err().code(), "missing_headers");
    }
}

#[tokio::test]
async fn an_authorization_that_is_not_one_good_bearer_is_refused() {
    let gateway = Gateway::new();
    let token = format!("Bearer {}", gateway.token(&Account::new(1), "2026-12-01T00:00:00Z", NOW).await);
    let two = bare().with("Authorization", &token).with("authorization", &token);
    let refused = gateway.ask(&two, NOW).await.unwrap_err();
    assert_eq!((refused.code(), refused.class()), ("two_authorizations", Class::Malformed));
    for shown in
        ["Basic dTpw", "Bearer", "Bearer ", "", "mcpwt_x", &format!("{token}, {token}"), &token.replace(' ', "  ")]
    {
        assert_eq!(gateway.code_of(shown, NOW).await, "unknown_scheme", "{shown:?}");
    }
    for shown in ["Bearer x", "Bearer a.b", "Bearer a.b.c.d"] {
        assert_eq!(gateway.code_of(shown, NOW).await, "unknown_bearer", "{shown:?}");
    }
    assert_eq!(gateway.code_of("Bearer a.b.c", NOW).await, "session_malformed");
}

#[tokio::test]
async fn when_the_store_is_down_nobody_is_taken_for_anybody() {
    let (gateway, account) = (Gateway::new(), Account::new(1));
    let wallet_token = format!("Bearer {}", gateway.token(&account, "2026-12-01T00:00:00Z", NOW).await);
    let session = format!("Bearer {}", gateway.session(&account, NOW).await);
    let login = gateway.met_challenge(&account, 3, NOW);
    gateway.store.goes_down();
    let class = |outcome: Result<(Option<Wallet>, By), IdentityError>| outcome.unwrap_err().class();
    assert_eq!(class(gateway.show(&wallet_token, NOW).await), Class::Unavailable);
    assert_eq!(class(gateway.show(&session, NOW).await), Class::Unavailable);
    assert_eq!(class(gateway.ask(&signed(&account, NOW.0, "n"), NOW).await), Class::Unavailable);
    let refused = gateway.authenticator.login(login.as_bytes(), [2; 16], NOW).await.map(|_| ()).unwrap_err();
    assert_eq!((refused.class(), refused.code()), (Class::Unavailable, "identity_unavailable"));
    assert_eq!(gateway.ask(&bare(), NOW).await, Ok((None, By::Nothing)));
}
