//! `/api/auth/*`: logging in with a wallet, wallet tokens, and taking both back.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use evidence::{
    ServerId, UnixSeconds, Wallet,
    json::{self as tree, Limits, Value, object},
};
use gate::{Principal, Refusal, Shown};
use identity::{
    IdentityError, iso_8601,
    token_request::{TokenRequest, TokenRequestFault},
    wallet_token::WalletToken,
};

use super::{
    Sort, body_of, json,
    openapi::shapes,
    problem::Problem,
    query::{NoQuery, Query},
    who::{Incoming, authenticate, refusal_of},
};
use crate::{app::App, boot, enablement::Scope};

/// Longest body here: a wallet token and its neighbours.
const MAX_BODY_BYTES: usize = 16 << 10;

/// `GET /api/auth/challenge`: `{nonce, message}`, good once, for five minutes.
#[utoipa::path(get, path = "/api/auth/challenge", tag = "Identity", summary = "A text to sign",
    responses((status = 200, description = "As asked", body = shapes::LoginChallenge)))]
pub(crate) async fn challenge(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    let (Ok(random), Ok(now)) = (random(), now()) else { return Problem::internal("randomness").into_response() };
    let challenge = app.authenticator.challenge(random, now);
    json(
        StatusCode::OK,
        &object([("nonce", challenge.nonce.as_str().into()), ("message", challenge.message.as_str().into())]),
    )
}

/// `POST /api/auth/verify` with `{walletAddress, signature, nonce}`: `{token, expiresAt, walletAddress}`.
#[utoipa::path(post, path = "/api/auth/verify", tag = "Identity", summary = "A session for a signed challenge",
    request_body = shapes::Login,
    responses((status = 200, description = "As asked", body = shapes::Session)))]
pub(crate) async fn verify(State(app): State<Arc<App>>, _: NoQuery, request: Request) -> Response {
    answer(verify_inner(&app, request).await)
}

async fn verify_inner(app: &App, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = body_of(&parts.headers, body, Sort::Json, MAX_BODY_BYTES).await?;
    let (id, now) = (random()?, now()?);
    let (wallet, opened) = app.authenticator.login(&body, id, now).await.map_err(|error| refused(&error))?;
    app.hydrate(&wallet).await;
    Ok(json(
        StatusCode::OK,
        &object([
            ("token", opened.token.as_str().into()),
            ("expiresAt", iso_8601(opened.expires).into()),
            ("walletAddress", identity::eth::checksummed(wallet).into()),
        ]),
    ))
}

/// `GET /api/auth/token-message?walletAddress&expiresAt[&permissions][&serverId]`: `{message}`, to be signed verbatim.
#[utoipa::path(get, path = "/api/auth/token-message", tag = "Identity", summary = "The text of a wallet token",
    params(("walletAddress" = String, Query, example = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"),
        ("expiresAt" = String, Query, description = "ISO 8601", example = "2026-12-21T12:00:00.000Z"),
        ("permissions" = Option<String>, Query, description = "Separated by commas"),
        ("serverId" = Option<String>, Query)),
    responses((status = 200, description = "As asked", body = shapes::TokenMessage)))]
pub(crate) async fn token_message(State(_): State<Arc<App>>, query: Query) -> Response {
    answer(token_message_inner(&query))
}

fn token_message_inner(query: &Query) -> Result<Response, Problem> {
    query.only(&["walletAddress", "expiresAt", "permissions", "serverId"])?;
    let need = |name: &'static str| {
        query.get(name).ok_or_else(|| {
            let what = format!("query parameter {name:?} is missing");
            Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", what, "send walletAddress and expiresAt (ISO 8601)")
        })
    };
    let permissions: Vec<&str> = query.get("permissions").map(|list| list.split(',').collect()).unwrap_or_default();
    let (wallet, expires) = (need("walletAddress")?, need("expiresAt")?);
    let wanted = TokenRequest::new(wallet, expires, &permissions, query.get("serverId"), now()?);
    let wanted = wanted.map_err(|fault| refused(&IdentityError::TokenRequest(fault)))?;
    Ok(json(StatusCode::OK, &object([("message", wanted.message().into())])))
}

/// `POST /api/auth/create-token` with `{walletAddress, signature, expiresAt, permissions?, serverId?}`:
/// `{token, walletAddress, expiresAt, endsAt}`. `endsAt` is when it ends here, which may be earlier. A wallet that revoked
/// all it had shows a session or signs the request; of others nothing is asked, and what they show is not looked at.
#[utoipa::path(post, path = "/api/auth/create-token", tag = "Identity", summary = "A wallet token for a signed text",
    request_body = shapes::TokenOrder,
    responses((status = 200, description = "As asked", body = shapes::WalletToken)))]
pub(crate) async fn create_token(State(app): State<Arc<App>>, _: NoQuery, request: Request) -> Response {
    answer(create_token_inner(&app, request).await)
}

async fn create_token_inner(app: &App, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = body_of(&parts.headers, body, Sort::Json, MAX_BODY_BYTES).await?;
    let raw = body;
    let body = tree::parse(&raw, &Limits::THEIRS).map_err(|error| Problem::json(&error))?;
    let text = |name: &str| match body.member(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(bad(format!("{name} is a string, found {}", other.kind()))),
        None => Err(bad(format!("the body has no member {name:?}"))),
    };
    let permissions = match body.member("permissions") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => {
            let list: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            list.ok_or_else(|| bad("permissions is an array of strings".to_owned()))?
        }
        Some(other) => return Err(bad(format!("permissions is an array of strings, found {}", other.kind()))),
    };
    let server = body.member("serverId").filter(|server| **server != Value::Null).map(|_| text("serverId"));
    let now = now()?;
    let wanted = TokenRequest::new(text("walletAddress")?, text("expiresAt")?, &permissions, server.transpose()?, now);
    let wanted = wanted.map_err(|fault| refused(&IdentityError::TokenRequest(fault)))?;
    let signature = text("signature")?;
    let mut made = app.authenticator.create_token(&wanted, signature, None, now).await;
    if let Err(IdentityError::TokenRequest(TokenRequestFault::LogInFirst)) = made {
        let who = match authenticate(app, &parts, &raw).await {
            Ok(who) => who,
            Err(unknown) => {
                let problem = Problem::from(&unknown.refusal);
                return Ok(unknown.decorate(problem.into_response()));
            }
        };
        // Not by a wallet token: whoever found one would make others of it.
        if let (Principal::Wallet(wallet), Shown::Session | Shown::Signature) = (who.principal, who.shown) {
            made = app.authenticator.create_token(&wanted, signature, Some(wallet), now).await;
        }
    }
    let made = made.map_err(|error| refused(&error))?;
    app.hydrate(&made.wallet).await;
    Ok(json(
        StatusCode::OK,
        &object([
            ("token", made.token.as_str().into()),
            ("walletAddress", identity::eth::checksummed(made.wallet).into()),
            ("expiresAt", made.expires_at.as_str().into()),
            ("endsAt", iso_8601(made.ends).into()),
        ]),
    ))
}

/// `POST /api/auth/revoke` with `{"token":"mcpwt_…"}`: that token, by whoever holds it; or with `{"all":true}`: every
/// token and session of the wallet that asks.
#[utoipa::path(post, path = "/api/auth/revoke", tag = "Identity", summary = "Takes back a token, or all of a wallet",
    request_body = shapes::Revocation,
    responses((status = 200, description = "As asked", body = shapes::Revoked)),
    security((), ("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn revoke(State(app): State<Arc<App>>, _: NoQuery, request: Request) -> Response {
    match Incoming::read(&app, request, Sort::Json, MAX_BODY_BYTES).await {
        Ok(incoming) => answer(revoke_inner(&app, &incoming).await),
        Err(response) => response,
    }
}

async fn revoke_inner(app: &App, incoming: &Incoming) -> Result<Response, Problem> {
    let body = tree::parse(&incoming.body, &Limits::THEIRS).map_err(|error| Problem::json(&error))?;
    let now = now()?;
    let what = match (body.member("token"), body.member("all")) {
        (Some(Value::String(token)), None) => {
            let token = WalletToken::verify(token, now).map_err(|fault| refused(&IdentityError::WalletToken(fault)))?;
            identity::revoke_token(&token, &*app.store, &*app.pseudonyms, now).await.map(|()| "token")
        }
        (None, Some(Value::Bool(true))) => {
            let Principal::Wallet(wallet) = incoming.who.principal else {
                return Err(Problem::from(&Refusal::WalletRequired));
            };
            identity::revoke_all(wallet, &*app.store, &*app.pseudonyms, now).await.map(|()| "all")
        }
        _ => return Err(bad("the body is neither {\"token\":\"mcpwt_…\"} nor {\"all\":true}".to_owned())),
    };
    let what = what.map_err(|error| refused(&error.into()))?;
    Ok(json(StatusCode::OK, &object([("revoked", what.into())])))
}

/// `GET /.well-known/jwks.json`: the keys that sign sessions (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "Identity", summary = "The keys that sign sessions",
    responses((status = 200, description = "As asked", body = shapes::Jwks)))]
pub(crate) async fn jwks(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    json(StatusCode::OK, &app.authenticator.sessions().jwks())
}

fn answer(answer: Result<Response, Problem>) -> Response {
    answer.unwrap_or_else(Problem::into_response)
}

fn refused(error: &identity::IdentityError) -> Problem {
    Problem::from(&refusal_of(error))
}

fn bad(what: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BAD_BODY", what, "see docs/CONTRACT.md for the members")
}

fn now() -> Result<UnixSeconds, Problem> {
    boot::now().map_err(|_| Problem::internal("clock"))
}

fn random() -> Result<[u8; 16], Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::internal("randomness"))?;
    Ok(bytes)
}

impl App {
    /// Brings a wallet's switches into memory as it left them. Where it never switched anything, every server for which it
    /// has stored secrets is on.
    pub(crate) async fn hydrate(&self, wallet: &Wallet) {
        let principal = Principal::Wallet(*wallet);
        match self.enablement.load(&principal).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "the switches of a wallet could not be read");
                return;
            }
        }
        match self.vault.servers(wallet).await {
            Ok(servers) => self.enablement.restore(&principal, &servers),
            // Whoever logs in is let in; the call that needs the secrets says what is wrong with them.
            Err(error) => tracing::error!(%error, "the secrets of a wallet could not be looked at"),
        }
    }

    /// A server for which a wallet has stored secrets is on, whatever was decided before.
    pub(crate) async fn switch_on_with_secrets(&self, wallet: &Wallet, server: &ServerId) {
        let has_secrets = match self.vault.servers(wallet).await {
            Ok(servers) => servers.contains(server),
            Err(error) => {
                tracing::error!(%error, "the secrets of a wallet could not be looked at");
                return;
            }
        };
        self.hydrate(wallet).await;
        if let (true, Some(scope)) = (has_secrets, Scope::of(&Principal::Wallet(*wallet), None))
            && let Err(why) = self.enablement.enable(&scope, server).await
        {
            tracing::warn!(%server, ?why, "stored secrets did not enable their server");
        }
    }
}
