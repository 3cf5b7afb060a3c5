//! ARK → ASK or ASVK → VCEK or VLEK (AMD 57230). Each certificate's signature is checked before what it says is read.

use evidence::UnixSeconds;

use crate::{
    Certificate, CertificateError, Crypto, Product, Trust, TrustAnchor, Unverified, Vek, VekKind, Verified, roots,
    snp::certificate::Authority,
};

/// The certificates of a chain, put together by their names.
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    product: Product,
    kind: VekKind,
    trust: Trust,
    root: Certificate<'a>,
    intermediate: Certificate<'a>,
    endorsement: Certificate<'a>,
    /// Filled by the check.
    vek: Option<Vek>,
}

/// A link of the chain.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Link {
    /// ARK.
    Root,
    /// ASK or ASVK.
    Intermediate,
    /// VCEK or VLEK.
    Vek,
}

impl Link {
    /// The name of its check in a verdict.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "ark",
            Self::Intermediate => "intermediate",
            Self::Vek => "vek",
        }
    }
}

impl<'a> Chain<'a> {
    /// Puts a chain together. Without `intermediate` the compiled-in ASK serves a VCEK of AMD's; an ASVK, and every
    /// intermediate under a test root, has to be given.
    ///
    /// # Errors
    /// [`ChainError`]: the names do not say what these certificates are, or one is missing.
    pub fn assemble(
        endorsement: Certificate<'a>,
        intermediate: Option<Certificate<'a>>,
        anchor: &TrustAnchor<'a>,
    ) -> Result<Self, ChainError> {
        let (Some(kind), Some((product, issuer_kind))) = (endorsement.vek_kind(), endorsement.issued_by()) else {
            let (subject, issuer) = (endorsement.subject().to_owned(), endorsement.issuer().to_owned());
            return Err(match unknown_product(&issuer).filter(|_| endorsement.vek_kind().is_some()) {
                Some(product) => ChainError::UnknownProduct { product: product.to_owned() },
                None => ChainError::NotAVek { subject, issuer },
            });
        };
        if kind != issuer_kind {
            return Err(ChainError::Confused { kind, issuer: endorsement.issuer().to_owned() });
        }
        let root = match anchor {
            TrustAnchor::Test(root) => Certificate::clone(root),
            TrustAnchor::Amd => Certificate::parse(roots::ark(product)).map_err(|e| ChainError::at(Link::Root, e))?,
        };
        let intermediate = match (intermediate, anchor, kind) {
            (Some(given), ..) => given,
            (None, TrustAnchor::Amd, VekKind::Vcek) => {
                Certificate::parse(roots::ask(product)).map_err(|e| ChainError::at(Link::Intermediate, e))?
            }
            (None, ..) => return Err(ChainError::NoIntermediate { product, kind }),
        };
        Ok(Self { product, kind, trust: anchor.trust(), root, intermediate, endorsement, vek: None })
    }

    /// Whose silicon, by the issuer's name.
    pub fn product(&self) -> Product {
        self.product
    }
    /// VCEK or VLEK, by the subject's name.
    pub fn kind(&self) -> VekKind {
        self.kind
    }
    /// Whose root.
    pub fn trust(&self) -> Trust {
        self.trust
    }
    /// ARK.
    pub fn root(&self) -> &Certificate<'a> {
        &self.root
    }
    /// ASK or ASVK.
    pub fn intermediate(&self) -> &Certificate<'a> {
        &self.intermediate
    }
    /// VCEK or VLEK.
    pub fn endorsement(&self) -> &Certificate<'a> {
        &self.endorsement
    }

    fn check_root(&self, at: UnixSeconds, crypto: &impl Crypto) -> Result<(), CertificateError> {
        // AMD's are pinned and were checked when this crate was tested.
        if self.trust == Trust::Test {
            self.root.check_issued_by(&self.root, crypto)?;
            self.root.check_authority(Authority::Root)?;
        }
        self.root.check_dates(at)
    }

    fn check_intermediate(&self, at: UnixSeconds, crypto: &impl Crypto) -> Result<(), ChainError> {
        let wrap = |error| ChainError::at(Link::Intermediate, error);
        if self.intermediate.intermediate_kind() != Some((self.product, self.kind)) {
            return Err(ChainError::WrongIntermediate {
                wanted: self.endorsement.issuer().to_owned(),
                given: self.intermediate.subject().to_owned(),
            });
        }
        // The compiled-in one is known to be signed by its root, so its signature need not be checked again.
        let pinned = roots::is_pinned(self.intermediate.der(), self.product, self.kind);
        if self.trust == Trust::Test || !pinned {
            self.intermediate.check_issued_by(&self.root, crypto).map_err(wrap)?;
            self.intermediate.check_authority(Authority::Intermediate).map_err(wrap)?;
        }
        if self.trust == Trust::Amd && !pinned {
            return Err(ChainError::NotPinned { product: self.product, kind: self.kind });
        }
        self.intermediate.check_dates(at).map_err(wrap)
    }

    fn check_endorsement(&self, at: UnixSeconds, crypto: &impl Crypto) -> Result<Vek, CertificateError> {
        self.endorsement.check_issued_by(&self.intermediate, crypto)?;
        self.endorsement.check_dates(at)?;
        Vek::decode(&self.endorsement, self.product, self.kind)
    }
}

impl<'a> Unverified<Chain<'a>> {
    /// Checks names, signatures, pins, dates at `at`, authority and extensions, from the root down.
    ///
    /// # Errors
    /// [`ChainError`], of the first link that fails.
    pub fn verify(self, at: UnixSeconds, crypto: &impl Crypto) -> Result<Verified<Chain<'a>>, ChainError> {
        let mut chain = self.0;
        chain.check_root(at, crypto).map_err(|e| ChainError::at(Link::Root, e))?;
        chain.check_intermediate(at, crypto)?;
        let vek = chain.check_endorsement(at, crypto).map_err(|e| ChainError::at(Link::Vek, e))?;
        chain.vek = Some(vek);
        Ok(Verified::by_check(chain))
    }
}

impl Verified<Chain<'_>> {
    /// The endorsement key and what its certificate says.
    pub fn vek(&self) -> &Vek {
        // The check that makes a verified chain fills it.
        #[expect(clippy::expect_used, reason = "the only door to a verified chain fills it")]
        self.vek.as_ref().expect("a verified chain has its key")
    }
}

/// The product in the name of an intermediate of a product that we do not know.
fn unknown_product(issuer: &str) -> Option<&str> {
    let rest = issuer.strip_prefix("SEV-")?;
    Some(rest.strip_prefix("VLEK-").unwrap_or(rest)).filter(|name| !name.is_empty())
}

/// A chain that does not hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The certificate names neither a VCEK nor a VLEK of a product we know.
    #[error("vek: \"{subject}\" issued by \"{issuer}\" is no endorsement certificate of a product we know")]
    NotAVek {
        /// Subject common name.
        subject: String,
        /// Issuer common name.
        issuer: String,
    },
    /// An endorsement certificate of a product that this verifier does not know.
    #[error(
        "vek: of a {product}; missing here are AMD's root certificate (ARK-{product}) and the layout of its TCB_VERSION"
    )]
    UnknownProduct {
        /// As the issuer's name says.
        product: String,
    },
    /// A VCEK by an ASVK, or a VLEK by an ASK.
    #[error("vek: a {kind} issued by \"{issuer}\", which issues the other kind")]
    Confused {
        /// By its subject.
        kind: VekKind,
        /// Issuer common name.
        issuer: String,
    },
    /// The intermediate has to come with the evidence, and did not.
    #[error("intermediate: the {} of {product} is not given", kind.issuer())]
    NoIntermediate {
        /// By the issuer's name.
        product: Product,
        /// By the subject's name.
        kind: VekKind,
    },
    /// The intermediate given is not the one the endorsement certificate names.
    #[error("intermediate: \"{given}\" is given, the endorsement certificate names \"{wanted}\"")]
    WrongIntermediate {
        /// As named.
        wanted: String,
        /// As given.
        given: String,
    },
    /// Signed by AMD's root, but not the intermediate that is in use.
    #[error("intermediate: signed by ARK-{product}, but not the pinned {} of {product}", kind.issuer())]
    NotPinned {
        /// By the issuer's name.
        product: Product,
        /// By the subject's name.
        kind: VekKind,
    },
    /// A certificate fails.
    #[error("{}: {error}", link.name())]
    Certificate {
        /// Which.
        link: Link,
        /// Why.
        error: CertificateError,
    },
}

impl ChainError {
    fn at(link: Link, error: CertificateError) -> Self {
        Self::Certificate { link, error }
    }

    /// The link that failed.
    pub fn link(&self) -> Link {
        match self {
            Self::NotAVek { .. } | Self::UnknownProduct { .. } | Self::Confused { .. } => Link::Vek,
            Self::NoIntermediate { .. } | Self::WrongIntermediate { .. } | Self::NotPinned { .. } => Link::Intermediate,
            Self::Certificate { link, .. } => *link,
        }
    }

    /// Do the links above the failed one hold? Not if there was nothing to put together.
    pub fn holds_above(&self) -> bool {
        !matches!(
            self,
            Self::NotAVek { .. } | Self::UnknownProduct { .. } | Self::Confused { .. } | Self::NoIntermediate { .. }
        )
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::NotAVek { .. } => "give the VCEK or VLEK certificate with --vek".into(),
            Self::UnknownProduct { .. } => "if this is a newer processor, use a newer verifier".into(),
            Self::Confused { .. } => "fetch the endorsement certificate again; AMD issues none like this".into(),
            Self::NoIntermediate { product, kind } => {
                format!("give the {} of {product} with --intermediate", kind.issuer())
            }
            Self::WrongIntermediate { wanted, .. } => format!("give the certificate \"{wanted}\" with --intermediate"),
            Self::NotPinned { product, kind } => {
                format!("give the current {} of {product}; AMD may have revoked this one", kind.issuer())
            }
            Self::Certificate { error: CertificateError::Signature { .. }, link: Link::Intermediate } => {
                "if the evidence is simulated, name its root with --trust-root".into()
            }
            Self::Certificate { error, .. } => error.fix().into(),
        }
    }
}
