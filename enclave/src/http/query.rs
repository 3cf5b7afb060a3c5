//! Addresses and query strings as they may be: what is unknown, doubled or no UTF-8 is refused, never skipped. A `nonce`
//! that is silently ignored would be taken for an answered one.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The variable parts of an address.
pub(crate) struct Place<T>(pub(crate) T);

impl<S, T> FromRequestParts<S> for Place<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let place = Path::from_request_parts(parts, state).await;
        place.map(|Path(place)| Self(place)).map_err(|rejection| {
            let fix = "percent-encode the UTF-8 of each name in the address";
            Problem::new(StatusCode::BAD_REQUEST, "BAD_PATH", rejection.body_text(), fix)
        })
    }
}

/// The parameters of a query string, each at most once.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads the text after the `?`.
    ///
    /// # Errors
    /// [`Problem`]: a parameter stands twice, or is not percent-encoded UTF-8.
    pub(crate) fn of(text: &str) -> Result<Self, Problem> {
        read(text).map(Self)
    }

    /// A parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Refuses parameters other than these.
    ///
    /// # Errors
    /// [`Problem`] naming the first unknown one.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let Some(unknown) = self.0.keys().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
        let unknown: String = unknown.chars().take(64).collect();
        let fix = match known {
            [] => "leave the query away".to_owned(),
            known => format!("use {}", known.join(", ")),
        };
        Err(bad(format!("query parameter {unknown:?} is unknown"), fix))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.query().unwrap_or_default())
    }
}

/// An address that takes no parameters.
pub(crate) struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::from_request_parts(parts, state).await?.only(&[]).map(|()| Self)
    }
}

fn bad(what: String, fix: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", what, fix)
}

fn read(query: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |part: &str| {
            decoded(part).ok_or_else(|| {
                let what = "a query parameter is not percent-encoded UTF-8".to_owned();
                bad(what, "encode it, for instance with curl -G --data-urlencode")
            })
        };
        let (name, value) = (text(name)?, text(value)?);
        let shown: String = name.chars().take(64).collect();
        if found.insert(name, value).is_some() {
            return Err(bad(format!("query parameter {shown:?} stands twice"), "send it once"));
        }
    }
    Ok(found)
}

/// `application/x-www-form-urlencoded` undone; nothing if a `%` is not followed by two digits or the bytes are no UTF-8.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once_and_stand_once() {
        let found = read("q=a+b%20%C3%A9&empty=&bare&x=1%3D1=2").unwrap();
        let expected = [("bare", ""), ("empty", ""), ("q", "a b é"), ("x", "1=1=2")];
        assert_eq!(found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
        assert!(read("").unwrap().is_empty());
        for wrong in ["a=1&a=2", "a=1&%61=2", "a=%", "a=%4", "a=%zz", "a=%ff", "%ff=1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
