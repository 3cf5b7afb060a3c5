//! `/api/secrets`: names and their standing leave here, values never do.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use evidence::{
    ServerId, Wallet,
    json::{self as tree, Limits, Name, Value, object},
};
use gate::keep::{StoreError, VaultRows};
use zeroize::Zeroizing;

use super::{json, json_body, problem::Problem};
use crate::vault::{Requirement, Vault, VaultError, VaultKeys};

/// Longest body: all secrets of a server, with room for what JSON escapes.
pub(crate) const MAX_BODY_BYTES: usize = 512 << 10;

/// What is asked for in every error about the body.
const SHAPE: &str = "send {\"secrets\":{\"NAME\":\"value\"}}";

/// `POST` and `PUT /api/secrets/:serverId` with `{secrets:{NAME:value}}`: `{success, stored}`.
///
/// # Errors
/// [`Problem`]; then nothing was stored.
pub(crate) async fn store<R: VaultRows, K: VaultKeys>(
    vault: &Vault<R, K>,
    wallet: Option<&Wallet>,
    server: &ServerId,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wallet = known(wallet)?;
    let asked = Asked::read(headers, body).await?;
    if asked.server.is_some_and(|named| named != server.as_str()) {
        let what = "serverId in the body is not the server in the address".to_owned();
        return Err(Problem::new(StatusCode::BAD_REQUEST, "BAD_SECRETS", what, "leave serverId away"));
    }
    put(vault, wallet, server, asked.secrets).await
}

/// `PUT /api/secrets` with `{serverId, secrets:{NAME:value}}`: the same. `find` says which server is meant.
///
/// # Errors
/// [`Problem`]; then nothing was stored.
pub(crate) async fn store_named<R: VaultRows, K: VaultKeys>(
    vault: &Vault<R, K>,
    wallet: Option<&Wallet>,
    find: impl FnOnce(&str) -> Result<ServerId, Problem>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wallet = known(wallet)?;
    let asked = Asked::read(headers, body).await?;
    let server = asked.server.as_deref().ok_or_else(|| bad("the body has no member \"serverId\"".to_owned()))?;
    put(vault, wallet, &find(server)?, asked.secrets).await
}

/// `GET /api/secrets/:serverId`: `{serverId, configuredSecrets, keys}`, names only.
///
/// # Errors
/// [`Problem`].
pub(crate) async fn list<R: VaultRows, K: VaultKeys>(
    vault: &Vault<R, K>,
    wallet: Option<&Wallet>,
    server: &ServerId,
) -> Result<Response, Problem> {
    let names = vault.names(known(wallet)?, server).await.map_err(|error| Problem::from(&error))?;
    let names = texts(&names);
    // `keys` is how older clients of this ecosystem spell it.
    let members = [("serverId", server.as_str().into()), ("configuredSecrets", names.clone()), ("keys", names)];
    Ok(json(StatusCode::OK, &object(members)))
}

/// `GET /api/secrets/:serverId/status`: see [`crate::vault::Status::to_value`].
///
/// # Errors
/// [`Problem`].
pub(crate) async fn status<R: VaultRows, K: VaultKeys>(
    vault: &Vault<R, K>,
    wallet: Option<&Wallet>,
    server: &ServerId,
    requirements: &[Requirement<'_>],
) -> Result<Response, Problem> {
    let status = vault.status(known(wallet)?, server, requirements).await.map_err(|error| Problem::from(&error))?;
    Ok(json(StatusCode::OK, &status.to_value(server.as_str())))
}

/// `DELETE /api/secrets/:serverId`: `{success, deleted}`, the number of secrets there were.
///
/// # Errors
/// [`Problem`].
pub(crate) async fn delete<R: VaultRows, K: VaultKeys>(
    vault: &Vault<R, K>,
    wallet: Option<&Wallet>,
    server: &ServerId,
) -> Result<Response, Problem> {
    let deleted = vault.delete(known(wallet)?, server).await.map_err(|error| Problem::from(&error))?;
    Ok(json(StatusCode::OK, &object([("success", true.into()), ("deleted", deleted.into())])))
}

async fn put<R: VaultRows, K: VaultKeys>(
    vault: &Vault<R, K>,
    wallet: &Wallet,
    server: &ServerId,
    secrets: Vec<(String, Zeroizing<String>)>,
) -> Result<Response, Problem> {
    let stored = vault.store(wallet, server, secrets).await.map_err(|error| Problem::from(&error))?;
    Ok(json(StatusCode::OK, &object([("success", true.into()), ("stored", texts(&stored))])))
}

fn texts(names: &[String]) -> Value {
    Value::Array(names.iter().map(|name| name.as_str().into()).collect())
}

/// A secret belongs to somebody.
fn known(wallet: Option<&Wallet>) -> Result<&Wallet, Problem> {
    wallet.ok_or_else(|| {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "WALLET_REQUIRED",
            "secrets belong to a wallet, and the request shows none".to_owned(),
            "log in with GET /api/auth/challenge and POST /api/auth/verify, or sign the request (ERC-8128)",
        )
    })
}

fn bad(what: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BAD_SECRETS", what, SHAPE)
}

/// What a body asks for.
struct Asked {
    server: Option<String>,
    secrets: Vec<(String, Zeroizing<String>)>,
}

impl Asked {
    async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let body = Zeroizing::new(json_body(headers, body, MAX_BODY_BYTES).await?);
        // Only offset and kind of a fault are told, never what stands there.
        let limits = Limits { bytes: MAX_BODY_BYTES, ..Limits::THEIRS };
        let value = tree::parse(&body, &limits).map_err(|error| Problem::json(&error))?;
        let Value::Object(members) = value else {
            return Err(bad(format!("the body is {}", value.kind())));
        };
        let mut asked = Self { server: None, secrets: Vec::new() };
        let mut there = false;
        for (name, value) in members {
            match (name.as_str(), value) {
                ("secrets", Value::Object(secrets)) => {
                    there = true;
                    asked.secrets = texts_of(secrets)?;
                }
                ("secrets", other) => return Err(bad(format!("secrets is {}", other.kind()))),
                ("serverId", Value::String(server)) => asked.server = Some(server),
                ("serverId", other) => return Err(bad(format!("serverId is {}", other.kind()))),
                // What nobody reads might be a secret that its sender believes stored.
                (other, _) => {
                    let other: String = other.chars().take(64).collect();
                    return Err(bad(format!("member {other:?} is unknown")));
                }
            }
        }
        if there { Ok(asked) } else { Err(bad("the body has no member \"secrets\"".to_owned())) }
    }
}

fn texts_of(members: Vec<(Name, Value)>) -> Result<Vec<(String, Zeroizing<String>)>, Problem> {
    let mut wrong = None;
    let mut texts = Vec::with_capacity(members.len());
    // All of them are taken into wiping memory before the first fault is told.
    for (name, value) in members {
        match value {
            Value::String(value) => texts.push((name.into(), Zeroizing::new(value))),
            other => wrong = wrong.or(Some((name, other.kind()))),
        }
    }
    match wrong {
        None => Ok(texts),
        Some((name, kind)) => {
            let name: String = name.chars().take(64).collect();
            Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "Invalid secret value",
                format!("the value of secret {name:?} is {kind}, want a string"),
                SHAPE,
            ))
        }
    }
}

/// The vault's part of the table from refusals to statuses. The first words are the ecosystem's.
impl From<&VaultError> for Problem {
    fn from(error: &VaultError) -> Self {
        let (status, code) = match error {
            VaultError::Name(_) => (StatusCode::BAD_REQUEST, "Invalid secret name"),
            VaultError::Value { .. } => (StatusCode::BAD_REQUEST, "Invalid secret value"),
            VaultError::Twice(_) | VaultError::Nothing => (StatusCode::BAD_REQUEST, "BAD_SECRETS"),
            VaultError::TooMany { .. }
            | VaultError::TooLong { .. }
            | VaultError::TooManyServers
            | VaultError::WalletFull { .. } => (StatusCode::BAD_REQUEST, "TOO_MANY_SECRETS"),
            VaultError::Contended => return Self::busy(1),
            VaultError::Store(StoreError::Unavailable { why }) => {
                tracing::error!(why, "the vault's store does not answer");
                let what = "the vault does not answer".to_owned();
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, "VAULT_UNAVAILABLE", what, error.fix());
            }
            VaultError::Store(StoreError::Full { .. }) => {
                tracing::error!("the vault is full");
                let what = "the vault has no room for more secrets".to_owned();
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, "VAULT_FULL", what, error.fix());
            }
            VaultError::Damaged | VaultError::Store(_) | VaultError::Randomness => {
                tracing::error!(%error, "the vault failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "VAULT_FAILED")
            }
        };
        Self::new(status, code, error.to_string(), error.fix())
    }
}

#[cfg(test)]
mod tests {
    use axum::{http::header, response::IntoResponse as _};
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::vault::tests::{Keys, Rows, server, vault, wallet};

    type Answer = (u16, String);

    async fn told(answer: Result<Response, Problem>) -> Answer {
        let response = answer.unwrap_or_else(Problem::into_response);
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn headers() -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, "application/json".parse().unwrap())])
    }

    async fn post(vault: &Vault<Rows, Keys>, body: &str) -> Answer {
        told(store(vault, Some(&wallet(1)), &server(1), &headers(), Body::from(body.to_owned())).await).await
    }

    #[tokio::test]
    async fn a_secret_is_stored_listed_reported_and_deleted_in_the_shapes_of_the_ecosystem() {
        let (vault, alice, id) = (vault(), wallet(1), server(1));
        let stored = post(&vault, r#"{"secrets":{"API_KEY":"swordfish","REGION":"eu"}}"#).await;
        assert_eq!(stored, (200, r#"{"success":true,"stored":["API_KEY","REGION"]}"#.to_owned()));
        let listed = told(list(&vault, Some(&alice), &id).await).await;
        let names = r#"["API_KEY","REGION"]"#;
        assert_eq!(listed.1, format!(r#"{{"serverId":"{id}","configuredSecrets":{names},"keys":{names}}}"#));
        let needs = [Requirement { name: "API_KEY", required: true }, Requirement { name: "TEAM", required: true }];
        let (code, standing) = told(status(&vault, Some(&alice), &id, &needs).await).await;
        assert_eq!(code, 200);
        assert!(standing.contains(r#""missing":["TEAM"],"ready":false,"injectionMode":"env""#), "{standing}");
        assert!(!format!("{listed:?}{standing}").contains("swordfish"));
        let deleted = told(delete(&vault, Some(&alice), &id).await).await;
        assert_eq!(deleted, (200, r#"{"success":true,"deleted":2}"#.to_owned()));
        assert!(told(list(&vault, Some(&alice), &id).await).await.1.contains(r#""configuredSecrets":[]"#));
    }

    #[tokio::test]
    async fn the_server_may_stand_in_the_body() {
        let (vault, alice) = (vault(), wallet(1));
        let find = |asked: &str| {
            assert_eq!(asked, "everything");
            Ok(server(7))
        };
        let body = || Body::from(r#"{"serverId":"everything","secrets":{"A":"x"}}"#);
        assert_eq!(told(store_named(&vault, Some(&alice), find, &headers(), body()).await).await.0, 200);
        assert_eq!(vault.names(&alice, &server(7)).await.unwrap(), ["A"]);
        let without = Body::from(r#"{"secrets":{"A":"x"}}"#);
        let (code, said) = told(store_named(&vault, Some(&alice), |_| Ok(server(7)), &headers(), without).await).await;
        assert!(code == 400 && said.contains("no member"), "{said}");
        let (code, said) = post(&vault, r#"{"serverId":"other","secrets":{"A":"x"}}"#).await;
        assert!(code == 400 && said.contains("is not the server in the address"), "{said}");
    }

    #[tokio::test]
    async fn nobody_without_a_wallet_gets_anywhere() {
        let (vault, id) = (vault(), server(1));
        let body = || Body::from(r#"{"secrets":{"A":"x"}}"#);
        for answer in [
            store(&vault, None, &id, &headers(), body()).await,
            store_named(&vault, None, |_| panic!("asked for a server"), &headers(), body()).await,
            list(&vault, None, &id).await,
            status(&vault, None, &id, &[]).await,
            delete(&vault, None, &id).await,
        ] {
            let (code, said) = told(answer).await;
            assert!(code == 401 && said.contains("WALLET_REQUIRED"), "{said}");
        }
    }

    #[tokio::test]
    async fn every_bad_body_is_told_what_and_how_to_fix_it_and_nothing_of_a_value() {
        let vault = vault();
        let megabyte = format!(r#"{{"secrets":{{"A":"{}"}}}}"#, "swordfish".repeat((1 << 20) / 9));
        let long = format!(r#"{{"secrets":{{"A":"{}"}}}}"#, "swordfish".repeat(4000));
        for (body, status, error, said) in [
            (r#"{"secrets":{"API-KEY":"swordfish"}}"#, 400, "Invalid secret name", "no environment identifier"),
            (r#"{"secrets":{"LD_PRELOAD":"swordfish"}}"#, 400, "Invalid secret name", "is reserved"),
            (r#"{"secrets":{"A":"swordfish","":"x"}}"#, 400, "Invalid secret name", "no environment identifier"),
            (r#"{"secrets":{"A":"sword\u0000fish"}}"#, 400, "Invalid secret value", "NUL"),
            (r#"{"secrets":{"A":"swordfish","B":7}}"#, 400, "Invalid secret value", "want a string"),
            (long.as_str(), 400, "Invalid secret value", "36000 bytes, at most 32768"),
            (megabyte.as_str(), 413, "BODY_TOO_LONG", "longer than 524288 bytes"),
            (r#"{"secrets":{}}"#, 400, "BAD_SECRETS", "names no secret"),
            (r#"{"secrets":["swordfish"]}"#, 400, "BAD_SECRETS", "secrets is an array"),
            (r#"{"API_KEY":"swordfish"}"#, 400, "BAD_SECRETS", "\\\"API_KEY\\\" is unknown"),
            (r#"{}"#, 400, "BAD_SECRETS", "no member"),
            (r#""swordfish""#, 400, "BAD_SECRETS", "the body is a string"),
            (r#"{"secrets":{"A":"swordfish","A":"x"}}"#, 400, "BAD_JSON", "twice"),
            (r#"{"secrets":{"A":"swordfish"#, 400, "BAD_JSON", ""),
        ] {
            let (code, answer) = post(&vault, body).await;
            let shown: String = body.chars().take(60).collect();
            assert_eq!(code, status, "{shown}: {answer}");
            assert!(answer.contains(&format!("\"error\":\"{error}\"")), "{shown}: {answer}");
            assert!(answer.contains(said) && answer.contains("\"message\""), "{shown}: {answer}");
            assert!(!answer.contains("sword"), "{shown}: {answer}");
        }
        assert!(vault.servers(&wallet(1)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_vault_that_cannot_is_no_client_error() {
        let vault = vault();
        let (code, said) = told(Err(Problem::from(&VaultError::Contended))).await;
        assert!(code == 429 && said.contains("BUSY"), "{said}");
        let down = VaultError::Store(StoreError::Unavailable { why: "secret path".into() });
        let (code, said) = told(Err(Problem::from(&down))).await;
        assert!(code == 503 && !said.contains("secret path"), "{said}");
        let full = VaultError::Store(StoreError::Full { table: "vault" });
        let (code, said) = told(Err(Problem::from(&full))).await;
        assert!(code == 503 && said.contains("VAULT_FULL") && said.contains("VAULT_PERSISTENCE_DIR"), "{said}");
        for row in post_and_damage(&vault).await {
            assert_eq!(row.0, 500, "{}", row.1);
        }
    }

    async fn post_and_damage(vault: &Vault<Rows, Keys>) -> Vec<Answer> {
        assert_eq!(post(vault, r#"{"secrets":{"A":"x"}}"#).await.0, 200);
        vault.damage();
        vec![
            told(list(vault, Some(&wallet(1)), &server(1)).await).await,
            told(status(vault, Some(&wallet(1)), &server(1), &[]).await).await,
        ]
    }
}
