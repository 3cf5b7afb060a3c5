//! Where a node answers. Providers put their keys into the address, so it is printed nowhere.

use std::{fmt, net::IpAddr, str::FromStr};

use reqwest::Url;

/// Shorter pieces of an address are words like `v2`, not keys.
const SHORTEST_KEY: usize = 6;

/// The address of a node: `https://…`, or `http://…` on loopback. Prints as `RpcUrl(..)`.
#[derive(Clone, Eq, PartialEq)]
pub struct RpcUrl(Url);

/// Why a text is no address of a node. The text itself is left out: it may hold a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RpcUrlError {
    /// Not an absolute address, or without a host.
    NotAnAddress,
    /// Neither `http` nor `https`.
    OtherScheme,
    /// `http` to another machine: whoever sits between could say what they like about the chain.
    PlainHttp,
}

impl fmt::Display for RpcUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnAddress => "the node's address is not an absolute URL",
            Self::OtherScheme => "the node's address is neither https nor http",
            Self::PlainHttp => "the node's address is plain http to another machine",
        })
    }
}

impl std::error::Error for RpcUrlError {}

impl RpcUrlError {
    /// How to mend it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NotAnAddress | Self::OtherScheme => "write it as https://HOST/PATH",
            Self::PlainHttp => "use the node's https address; plain http is for 127.0.0.1, ::1 and localhost",
        }
    }
}

impl FromStr for RpcUrl {
    type Err = RpcUrlError;

    fn from_str(text: &str) -> Result<Self, RpcUrlError> {
        let url = Url::parse(text).map_err(|_| RpcUrlError::NotAnAddress)?;
        let host = url.host_str().filter(|host| !host.is_empty());
        match (url.scheme(), host) {
            ("https", Some(_)) => Ok(Self(url)),
            ("http", Some(host)) if is_loopback(host) => Ok(Self(url)),
            ("http", Some(_)) => Err(RpcUrlError::PlainHttp),
            ("http" | "https", None) => Err(RpcUrlError::NotAnAddress),
            _ => Err(RpcUrlError::OtherScheme),
        }
    }
}

impl fmt::Debug for RpcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RpcUrl(..)")
    }
}

impl RpcUrl {
    /// For the transport alone.
    pub(crate) fn expose(&self) -> &Url {
        &self.0
    }

    /// A node's words without the parts of its address that it may repeat, in one line of at most `most` characters.
    pub(crate) fn redact(&self, words: &str, most: usize) -> String {
        let mut clean: String = words.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
        for piece in self.pieces() {
            clean = clean.replace(piece, "…");
        }
        clean.chars().take(most).collect()
    }

    /// The longest first, so that none is left over when another is part of it.
    fn pieces(&self) -> Vec<&str> {
        let Self(url) = self;
        let mut pieces = vec![url.as_str(), url.username(), url.password().unwrap_or_default()];
        pieces.extend(url.host_str());
        pieces.extend(url.path().split('/'));
        pieces.extend(url.query().into_iter().flat_map(|query| query.split(['&', '='])));
        pieces.retain(|piece| piece.len() >= SHORTEST_KEY);
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
        pieces
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_reached_by_https_or_on_this_machine() {
        for good in ["https://base.example/v2/key", "http://127.0.0.1:8545", "http://[::1]:1/", "http://localhost:1"] {
            assert!(good.parse::<RpcUrl>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", RpcUrlError::NotAnAddress),
            ("base.example", RpcUrlError::NotAnAddress),
            ("https://", RpcUrlError::NotAnAddress),
            ("wss://base.example", RpcUrlError::OtherScheme),
            ("file:///etc/passwd", RpcUrlError::OtherScheme),
            ("http://base.example", RpcUrlError::PlainHttp),
            ("http://127.0.0.1.example", RpcUrlError::PlainHttp),
            ("http://10.0.0.1:8545", RpcUrlError::PlainHttp),
        ] {
            assert_eq!(bad.parse::<RpcUrl>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn an_address_is_printed_nowhere() {
        let url: RpcUrl = "https://user:hunter22@base.example/v2/0123456789abcdef?apikey=topsecret".parse().unwrap();
        assert_eq!(format!("{url:?}"), "RpcUrl(..)");
        let echo = "no such key 0123456789abcdef (topsecret, hunter22)\nat https://base.example/v2/0123456789abcdef";
        let said = url.redact(echo, 200);
        for secret in ["0123456789abcdef", "topsecret", "hunter22", "base.example", "\n"] {
            assert!(!said.contains(secret), "{said}");
        }
        assert!(said.starts_with("no such key …"), "{said}");
        assert_eq!(url.redact(&"x".repeat(201), 200).len(), 200);
    }
}
