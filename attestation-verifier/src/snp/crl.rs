//! Revocation lists: RFC 5280 section 5, signed by the ARK. AMD gives every endorsement certificate the serial 0, so a
//! list can only name intermediates.

use evidence::UnixSeconds;

use crate::{
    BadSignature, Certificate, CertificateError, Crypto, Unverified, Verified,
    der::{Tlv, tag},
    snp::{
        signed_object::SignedObject,
        x509::{Entry, ListBody},
    },
};

/// Largest list looked at. AMD's have less than 1,000 bytes.
const LONGEST: usize = 256 * 1024;
const CRL_NUMBER: &str = "2.5.29.20";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const DELTA_INDICATOR: &str = "2.5.29.27";
const DISTRIBUTION_POINT: &str = "2.5.29.28";
const REASON: &str = "2.5.29.21";
const INVALIDITY_DATE: &str = "2.5.29.24";
const CERTIFICATE_ISSUER: &str = "2.5.29.29";

/// A revocation list.
#[derive(Clone, Debug)]
pub struct Crl<'a> {
    outer: SignedObject<'a>,
    body: ListBody<'a>,
}

/// What a list says of a certificate that it revokes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// Serial number, big-endian, without leading zeros.
    pub serial: Vec<u8>,
    /// Since when.
    pub since: UnixSeconds,
    /// Why, in the words of RFC 5280, section 5.3.1; `None` if the list gives no reason.
    pub reason: Option<&'static str>,
    /// Number of the list.
    pub list: Option<u64>,
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

    /// Its number, which grows from list to list.
    pub fn number(&self) -> Option<u64> {
        let extension = self.body.extensions.iter().find(|extension| extension.oid == CRL_NUMBER)?;
        number(extension.value)
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
        self.check_extensions()?;
        self.body.revoked.iter().try_for_each(check_entry)
    }

    /// An indirect, partial or delta list leaves out certificates that are revoked. Whatever else a list may say about
    /// itself is none of AMD's.
    fn check_extensions(&self) -> Result<(), CrlError> {
        let extensions = &self.body.extensions;
        for (at, extension) in extensions.iter().enumerate() {
            if extensions.iter().skip(at + 1).any(|later| later.oid == extension.oid) {
                return Err(CrlError::Twice { oid: extension.oid.clone() });
            }
            match extension.oid.as_str() {
                AUTHORITY_KEY_ID if !extension.critical => {}
                CRL_NUMBER if !extension.critical && number(extension.value).is_some() => {}
                DELTA_INDICATOR => return Err(CrlError::Delta),
                DISTRIBUTION_POINT => return Err(CrlError::Partial),
                _ => return Err(CrlError::Extension { oid: extension.oid.clone() }),
            }
        }
        Ok(())
    }
}

/// An entry of an indirect list is about another issuer's certificate; a critical extension that is not known may say
/// anything.
fn check_entry(entry: &Entry<'_>) -> Result<(), CrlError> {
    for extension in &entry.extensions {
        match extension.oid.as_str() {
            CERTIFICATE_ISSUER => return Err(CrlError::Partial),
            REASON | INVALIDITY_DATE => {}
            _ if extension.critical => return Err(CrlError::Extension { oid: extension.oid.clone() }),
            _ => {}
        }
    }
    Ok(())
}

/// A CRL number of at most 64 bits; RFC 5280 allows 20 bytes, AMD's have counted to single digits so far.
fn number(value: &[u8]) -> Option<u64> {
    let natural = Tlv::only(value, tag::INTEGER)?.natural()?;
    let digits = significant(natural);
    (digits.len() <= 8).then(|| digits.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A reason, by its number.
fn reason(entry: &Entry<'_>) -> Option<&'static str> {
    const ENUMERATED: u8 = 0x0A;
    let value = entry.extensions.iter().find(|extension| extension.oid == REASON)?.value;
    Some(match Tlv::only(value, ENUMERATED)?.content {
        [0] => "unspecified",
        [1] => "keyCompromise",
        [2] => "cACompromise",
        [3] => "affiliationChanged",
        [4] => "superseded",
        [5] => "cessationOfOperation",
        [6] => "certificateHold",
        [8] => "removeFromCRL",
        [9] => "privilegeWithdrawn",
        [10] => "aACompromise",
        _ => "a reason that RFC 5280 does not have",
    })
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
    /// What the list says of this certificate, if it revokes it. A revocation counts at every time and for every reason:
    /// neither a list's age nor the date of its entry makes a revoked intermediate good again.
    pub fn revokes(&self, certificate: &Certificate<'_>) -> Option<Revocation> {
        let serial = significant(certificate.serial());
        let entry = self.body.revoked.iter().find(|entry| significant(entry.serial) == serial)?;
        Some(Revocation {
            serial: serial.to_vec(),
            since: UnixSeconds(entry.revoked_at),
            reason: reason(entry),
            list: self.number(),
        })
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
    /// The same extension twice.
    #[error("extension {oid} stands twice")]
    Twice {
        /// Object identifier.
        oid: String,
    },
    /// Only what has changed since another list.
    #[error("a delta list: it leaves out what was revoked before")]
    Delta,
    /// Only for some certificates, or for those of others.
    #[error("an indirect or partial list: it is not about every certificate of the root")]
    Partial,
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
