//! Revocation lists: RFC 5280 section 5, signed by the ARK. AMD gives every endorsement certificate the serial 0, so a
//! list can only name intermediates.

use evidence::UnixSeconds;

use crate::{
    BadSignature, Certificate, CertificateError, Crypto, Unverified, Verified,
    snp::{signed_object::SignedObject, x509::ListBody},
};

/// Largest list looked at. AMD's have less than 1,000 bytes.
const LONGEST: usize = 256 * 1024;
const CRL_NUMBER: &str = "2.5.29.20";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";

/// A revocation list.
#[derive(Clone, Debug)]
pub struct Crl<'a> {
    outer: SignedObject<'a>,
    body: ListBody<'a>,
}

/// Where a list stands in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Freshness {
    /// thisUpdate ≤ time ≤ nextUpdate.
    Current,
    /// Before thisUpdate.
    NotYet,
    /// After nextUpdate, or it names none.
    Stale,
}

impl<'a> Crl<'a> {
    /// Reads one DER list.
    ///
    /// # Errors
    /// [`CrlError::NotDer`], [`CrlError::TooLong`].
    pub fn parse(der: &'a [u8]) -> Result<Self, CrlError> {
        if der.len() > LONGEST {
            return Err(CrlError::TooLong { found: der.len() });
        }
        let outer = SignedObject::parse(der).ok_or(CrlError::NotDer)?;
        let body = ListBody::parse(outer.signed_part()).ok_or(CrlError::NotDer)?;
        Ok(Self { outer, body })
    }

    /// Issuer common name, empty if there is not exactly one.
    pub fn issuer(&self) -> &'a str {
        self.body.issuer.common
    }

    /// Serial numbers of what it revokes, big-endian, as encoded.
    pub fn serials(&self) -> impl Iterator<Item = &'a [u8]> {
        self.body.revoked.iter().map(|entry| entry.serial)
    }

    /// thisUpdate and nextUpdate.
    pub fn updates(&self) -> (UnixSeconds, Option<UnixSeconds>) {
        (UnixSeconds(self.body.this_update), self.body.next_update.map(UnixSeconds))
    }

    fn check(&self, root: &Certificate<'_>, crypto: &impl Crypto) -> Result<(), CrlError> {
        if self.body.issuer.whole != root.subject_der() {
            return Err(CrlError::Issuer { root: root.subject().to_owned() });
        }
        if !self.outer.is_amd_pss() {
            return Err(CrlError::Algorithm);
        }
        self.outer
            .check(root.rsa_key().map_err(CrlError::Root)?, crypto)
            .map_err(|BadSignature| CrlError::Signature { root: root.subject().to_owned() })?;
        // An indirect, partial or delta list leaves out certificates that are revoked.
        for extension in &self.body.extensions {
            match extension.oid.as_str() {
                AUTHORITY_KEY_ID | CRL_NUMBER => {}
                _ => return Err(CrlError::Extension { oid: extension.oid.clone() }),
            }
        }
        Ok(())
    }
}

impl<'a> Unverified<Crl<'a>> {
    /// Checks issuer, signature and extensions. Says nothing about time: see [`Verified::<Crl>::freshness`].
    ///
    /// # Errors
    /// [`CrlError`].
    pub fn verify(self, root: &Certificate<'_>, crypto: &impl Crypto) -> Result<Verified<Crl<'a>>, CrlError> {
        self.0.check(root, crypto)?;
        Ok(Verified::by_check(self.0))
    }
}

impl Verified<Crl<'_>> {
    /// Does the list name this certificate? A revocation counts at every time: neither a list's age nor the date of
    /// its entry makes a revoked intermediate good again, for AMD's lists give no reason.
    pub fn revokes(&self, certificate: &Certificate<'_>) -> bool {
        let serial = significant(certificate.serial());
        self.body.revoked.iter().any(|entry| significant(entry.serial) == serial)
    }

    /// May the list be used to say that a certificate is *not* revoked at `at`?
    pub fn freshness(&self, at: UnixSeconds) -> Freshness {
        match self.updates() {
            (this, _) if at < this => Freshness::NotYet,
            (_, Some(next)) if at <= next => Freshness::Current,
            _ => Freshness::Stale,
        }
    }
}

fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    serial.split_at(zeros).1
}

/// A list that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Not a DER revocation list.
    #[error("not an X.509 revocation list in DER")]
    NotDer,
    /// Larger than 256 KiB.
    #[error("{found} bytes, more than a revocation list may have here (262144)")]
    TooLong {
        /// How many.
        found: usize,
    },
    /// By somebody else.
    #[error("not issued by \"{root}\", so it tells nothing about this chain")]
    Issuer {
        /// Root of the chain.
        root: String,
    },
    /// Not RSASSA-PSS with SHA-384 throughout and salt 48.
    #[error("signature algorithm is not RSASSA-PSS with SHA-384, MGF1 with SHA-384 and salt 48")]
    Algorithm,
    /// Not signed by that key.
    #[error("not signed by the key of \"{root}\"")]
    Signature {
        /// Root of the chain.
        root: String,
    },
    /// An extension that may narrow what the list covers.
    #[error("extension {oid} is not of the profile")]
    Extension {
        /// Object identifier.
        oid: String,
    },
    /// The root has no key for this.
    #[error("root: {0}")]
    Root(CertificateError),
}

impl CrlError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        "fetch the list of this product from AMD's key distribution service (/vcek/v1/PRODUCT/crl), or leave --crl out"
    }
}
