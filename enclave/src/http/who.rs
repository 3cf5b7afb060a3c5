//! Who sent a request: the whole of it is read first, since a signature covers the body too.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use gate::{Authentication, Principal, Refusal, Shown};
use identity::{
    By, Class, IdentityError,
    signed_request::{SignedRequest, accept_signature},
};

use super::{Sort, body_of, problem::Problem};
use crate::{app::App, boot};

/// A request, read to its end, and who sent it.
pub(crate) struct Incoming {
    /// Its header fields.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Vec<u8>,
    /// Who sent it.
    pub(crate) who: Authentication,
}

/// Why it is not known who sent a request, and what a signature of it would have to cover.
#[derive(Debug)]
pub(crate) struct Unknown {
    /// Why.
    pub(crate) refusal: Refusal,
    accept_signature: Option<HeaderValue>,
}

impl Incoming {
    /// Reads a request whose body is of this sort and not longer than `limit` bytes.
    ///
    /// # Errors
    /// The body cannot be read, or a credential is shown that does not hold.
    pub(crate) async fn read(app: &App, request: Request, sort: Sort, limit: usize) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let body = body_of(&parts.headers, body, sort, limit).await.map_err(Problem::into_response)?;
        let who = authenticate(app, &parts, &body).await.map_err(|unknown| {
            let problem = Problem::from(&unknown.refusal);
            unknown.decorate(problem.into_response())
        })?;
        Ok(Self { headers: parts.headers, body, who })
    }

    /// Who sent it, if what they showed is enough for them.
    ///
    /// # Errors
    /// [`Refusal::SignatureRequired`] as a response.
    pub(crate) fn principal(&self, app: &App) -> Result<Principal, Response> {
        app.operators.admit(self.who).map_err(|refusal| Problem::from(&refusal).into_response())
    }
}

impl Unknown {
    /// The same answer with what a signature would have to cover (RFC 9421, section 5.1).
    pub(crate) fn decorate(self, mut response: Response) -> Response {
        if let Some(value) = self.accept_signature {
            response.headers_mut().insert("accept-signature", value);
        }
        response
    }
}

/// Who sent this request? What is shown and does not hold is an error; nobody becomes anonymous by it.
///
/// # Errors
/// [`Unknown`].
pub(crate) async fn authenticate(app: &App, parts: &Parts, body: &[u8]) -> Result<Authentication, Unknown> {
    let plain = |refusal| Unknown { refusal, accept_signature: None };
    let now = boot::now().map_err(|_| plain(Refusal::Internal { part: "clock" }))?;
    // The guard has let this host in, and no other authority beside it.
    let authority = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let headers: Vec<(&str, &[u8])> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let request = SignedRequest {
        method: parts.method.as_str(),
        scheme: if app.config.tls.is_some() { "https" } else { "http" },
        authority,
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &headers,
        body,
    };
    match app.authenticator.authenticate(&request, now).await {
        Ok(found) => {
            if found.bearer_ignored {
                tracing::debug!("a bearer beside a signature was not looked at");
            }
            let found = Authentication {
                principal: found.wallet.map_or(Principal::Anonymous, Principal::Wallet),
                shown: match found.by {
                    By::Nothing => Shown::Nothing,
                    By::WalletToken => Shown::WalletToken,
                    By::Session => Shown::Session,
                    By::Signature => Shown::Signature,
                },
            };
            match app.operators.admit(found) {
                Ok(_) => Ok(found),
                Err(refusal) => Err(Unknown { refusal, accept_signature: hint(&request) }),
            }
        }
        Err(error) => {
            let accept_signature = matches!(error, IdentityError::Signature(_)).then(|| hint(&request)).flatten();
            Err(Unknown { refusal: refusal_of(&error), accept_signature })
        }
    }
}

fn hint(request: &SignedRequest<'_>) -> Option<HeaderValue> {
    HeaderValue::from_str(&accept_signature(request)).ok()
}

/// An identity error as a refusal.
pub(crate) fn refusal_of(error: &IdentityError) -> Refusal {
    let (reason, what, fix) = (error.code(), error.to_string(), error.fix().to_owned());
    match error.class() {
        Class::Malformed => Refusal::BadRequest { reason, what, fix },
        Class::Unauthenticated => Refusal::BadCredential { reason, what, fix },
        Class::Unavailable => {
            tracing::error!(%error, "who is calling cannot be told");
            Refusal::Unavailable { part: "identity", retry_after_s: 5 }
        }
    }
}
