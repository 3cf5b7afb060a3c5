//! One GET: plain HTTP/1.1 or TLS by rustls with ring and the machine's roots. No redirects, no proxy (the environment
//! is not read), no compression, and numbers for everything a service could make us wait for or store.

use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use ureq::{
    Agent, Error,
    http::header::RETRY_AFTER,
    tls::{RootCerts, TlsConfig},
};

use super::CollateralError;

/// Longest answer: a chain has 5 KiB, a revocation list less.
pub(crate) const LONGEST: u64 = 64 * 1024;

/// How long a service may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// To take the connection.
    pub(crate) connect: Duration,
    /// From the name's resolution to the last byte.
    pub(crate) total: Duration,
}

impl Patience {
    /// For services that give no promise about either.
    pub(crate) const USUAL: Self = Self { connect: Duration::from_secs(5), total: Duration::from_secs(20) };
}

/// An HTTP client that can only GET small things.
pub(crate) struct Web {
    agent: Agent,
}

impl Web {
    pub(crate) fn new(patience: Patience) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_global(Some(patience.total))
            // Asked once in weeks: a connection kept open would only be found dead.
            .max_idle_connections(0)
            .user_agent("sealgate")
            .build();
        Self { agent: config.new_agent() }
    }

    /// The body of an answer with status 200.
    pub(crate) fn ask(&self, url: &str, header: Option<(&str, &str)>) -> Result<Vec<u8>, CollateralError> {
        let silent = |error: Error| CollateralError::Silent { url: url.to_owned(), why: words(&error) };
        let mut request = self.agent.get(url);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let answer = request.call().map_err(silent)?;
        let status = answer.status().as_u16();
        if status != 200 {
            // Retry-After may also be a date; that form is taken for no wish at all.
            let wish = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = wish.and_then(|text| text.trim().parse().ok());
            return Err(CollateralError::Status { url: url.to_owned(), status, retry_after });
        }
        let mut body = Vec::new();
        let read = answer.into_body().into_reader().take(LONGEST + 1).read_to_end(&mut body);
        match read {
            Err(error) => Err(silent(Error::from(error))),
            Ok(_) if body.len() as u64 > LONGEST => {
                Err(CollateralError::TooLong { url: url.to_owned(), limit: LONGEST })
            }
            Ok(_) => Ok(body),
        }
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Timeout(which) => format!("no answer in time ({which})"),
        Error::HostNotFound => "its name does not resolve".into(),
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => "connection refused".into(),
        other => other.to_string(),
    }
}
