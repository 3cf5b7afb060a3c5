//! TLS (RFC 8446, RFC 5246) with a key made inside. Certificates come and go; the key stays, and the state names its
//! SubjectPublicKeyInfo, so a client can pin what the evidence proves instead of believing an authority.

mod certificate;
mod error;
mod key;
mod names;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use evidence::{Digest, UnixSeconds};
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

pub(crate) use certificate::request;
pub(crate) use error::TlsError;
pub(crate) use key::TlsKey;
pub(crate) use names::TlsNames;

/// How often the certificate is looked at again.
const LOOK: Duration = Duration::from_secs(3600);

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Signed by the key itself, made anew at each start and before it ends. Clients pin the key.
    SelfSigned,
    /// A PEM file with the chain, leaf first, that an authority gave for our key. Read again when it changes.
    File(PathBuf),
}

/// What ends TLS.
pub(crate) struct Tls {
    key: TlsKey,
    names: TlsNames,
    source: Source,
    shown: Arc<Shown>,
    acceptor: TlsAcceptor,
}

/// The certificate that is shown now.
struct Shown(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// Makes or reads the certificate. Nothing is served yet, so whatever is wrong with a file is a refusal to start.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn new(key: TlsKey, names: TlsNames, source: Source, now: UnixSeconds) -> Result<Self, TlsError> {
        let chain = certificate::chain(&key, &names, &source, now)?;
        let shown = Arc::new(Shown(RwLock::new(Arc::new(key.certified(chain)))));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| TlsError::Library { why: error.to_string() })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), key, names, source, shown })
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo: what `State::tls` names.
    pub(crate) fn spki_sha256(&self) -> Digest {
        self.key.spki_sha256()
    }

    /// Ends TLS on a stream.
    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Takes the certificate anew: the file as it is now, or a younger self-signed one. What was shown before stays if
    /// that fails.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(crate) fn renew(&self, now: UnixSeconds) -> Result<(), TlsError> {
        let chain = certificate::chain(&self.key, &self.names, &self.source, now)?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(self.key.certified(chain));
        Ok(())
    }

    /// Keeps the certificate fresh for as long as the gateway runs. `now` tells the time.
    pub(crate) async fn keep_fresh(&self, now: impl Fn() -> Option<UnixSeconds>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(now) = now() else { continue };
            if let Err(error) = self.renew(now) {
                tracing::error!(%error, fix = error.fix(), "the certificate could not be renewed; the old one is shown");
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("names", &self.names).field("source", &self.source).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(..)")
    }
}

impl ResolvesServerCert for Shown {
    /// One certificate for every name: whoever asks for a name that is not ours notices by itself.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
