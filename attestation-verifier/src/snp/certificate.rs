//! AMD's X.509 profile: RFC 5280 certificates, all signed RSASSA-PSS with SHA-384, MGF1 with SHA-384 and salt 48
//! (RFC 4055). Authorities have RSA keys, endorsement keys are P-384 (AMD 57230).

use evidence::UnixSeconds;
use sha2::{Digest as _, Sha256};

use crate::{
    BadSignature, Crypto, Product, VekKind,
    der::{Tlv, tag},
    snp::{
        signed_object::SignedObject,
        x509::{Body, Name},
    },
};

/// Largest certificate looked at. AMD's have less than 1,700 bytes.
const LONGEST: usize = 8 * 1024;

/// A certificate: DER in order, nothing verified yet.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    der: &'a [u8],
    outer: SignedObject<'a>,
    body: Body<'a>,
}

/// Which of its two authorities AMD means: they may do different things.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Authority {
    /// ARK: signs intermediates and revocation lists.
    Root,
    /// ASK, ASVK: sign endorsement certificates and nothing below them.
    Intermediate,
}

impl<'a> Certificate<'a> {
    /// Reads one DER certificate.
    ///
    /// # Errors
    /// [`CertificateError::NotDer`], [`CertificateError::TooLong`].
    pub fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        if der.len() > LONGEST {
            return Err(CertificateError::TooLong { found: der.len() });
        }
        let (first, rest) = Tlv::read(der).ok_or(CertificateError::NotDer)?;
        let outer = SignedObject::parse(first.whole).ok_or(CertificateError::NotDer)?;
        let body = Body::parse(outer.signed_part()).ok_or(CertificateError::NotDer)?;
        if !rest.is_empty() {
            return Err(CertificateError::Trailing { found: rest.len() });
        }
        Ok(Self { der, outer, body })
    }

    /// The bytes as received.
    pub fn der(&self) -> &'a [u8] {
        self.der
    }

    /// SHA-256 of the DER.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.der).into()
    }

    /// Subject common name, empty if there is not exactly one.
    pub fn subject(&self) -> &'a str {
        self.body.subject.common
    }

    /// Issuer common name, empty if there is not exactly one.
    pub fn issuer(&self) -> &'a str {
        self.body.issuer.common
    }

    /// Subject, DER.
    pub(crate) fn subject_der(&self) -> &'a [u8] {
        self.body.subject.whole
    }

    /// Serial number, big-endian, as encoded.
    pub fn serial(&self) -> &'a [u8] {
        self.body.serial
    }

    /// First and last second of its life.
    pub fn validity(&self) -> (UnixSeconds, UnixSeconds) {
        (UnixSeconds(self.body.not_before), UnixSeconds(self.body.not_after))
    }

    /// Which intermediate this is, by its name: `SEV-Milan` is the ASK, `SEV-VLEK-Milan` the ASVK of Milan.
    pub fn intermediate_kind(&self) -> Option<(Product, VekKind)> {
        intermediate_of(self.subject())
    }

    /// Which intermediate issued this, by its issuer's name.
    pub fn issued_by(&self) -> Option<(Product, VekKind)> {
        intermediate_of(self.issuer())
    }

    /// Which kind of endorsement key this is, by its name.
    pub fn vek_kind(&self) -> Option<VekKind> {
        match self.subject() {
            "SEV-VCEK" => Some(VekKind::Vcek),
            "SEV-VLEK" => Some(VekKind::Vlek),
            _ => None,
        }
    }

    /// Checks issuer name, signature, and that the key identifier it names is the issuer's.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check_issued_by(&self, issuer: &Certificate<'_>, crypto: &impl Crypto) -> Result<(), CertificateError> {
        if self.body.issuer.whole != issuer.subject_der() {
            return Err(CertificateError::Issuer {
                found: full_name(&self.body.issuer),
                given: full_name(&issuer.body.subject),
            });
        }
        if !self.outer.is_amd_pss() {
            return Err(CertificateError::Algorithm);
        }
        self.outer
            .check(issuer.rsa_key()?, crypto)
            .map_err(|BadSignature| CertificateError::Signature { issuer: issuer.subject().to_owned() })?;
        match (self.authority_key_id(), issuer.subject_key_id()) {
            (Some(named), Some(own)) if named != own => {
                Err(CertificateError::Extension { oid: AUTHORITY_KEY_ID.into() })
            }
            _ => Ok(()),
        }
    }

    /// Checks the life span, both ends included.
    ///
    /// # Errors
    /// [`CertificateError::Dates`].
    pub fn check_dates(&self, at: UnixSeconds) -> Result<(), CertificateError> {
        let (not_before, not_after) = self.validity();
        if not_before <= at && at <= not_after {
            Ok(())
        } else {
            Err(CertificateError::Dates { not_before, not_after, at })
        }
    }

    /// Checks that this is an authority of that rank: version 3, names, serial number, basic constraints and key usage as
    /// AMD writes them, both critical, an RSA key of 4096 bits.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check_authority(&self, rank: Authority) -> Result<(), CertificateError> {
        self.check_common()?;
        if self.serial() == [0] {
            return Err(CertificateError::Serial);
        }
        let (mut is_ca, mut may_sign) = (false, false);
        for extension in &self.body.extensions {
            let wrong = || CertificateError::Extension { oid: extension.oid.clone() };
            let understood = match (extension.oid.as_str(), extension.critical) {
                (BASIC_CONSTRAINTS, critical) => {
                    is_ca = critical && rank.constraints().contains(&extension.value);
                    true
                }
                (KEY_USAGE, critical) => {
                    may_sign = critical && rank.key_usages().contains(&extension.value);
                    true
                }
                (SUBJECT_KEY_ID, false) => self.subject_key_id().is_some(),
                (AUTHORITY_KEY_ID, false) => self.authority_key_id().is_some(),
                (CRL_POINTS, false) => Tlv::only(extension.value, tag::SEQUENCE).is_some(),
                _ => false,
            };
            if !understood {
                return Err(wrong());
            }
        }
        if !is_ca || !may_sign {
            return Err(CertificateError::NoAuthority);
        }
        let modulus = rsa_modulus(self.rsa_key()?).ok_or(CertificateError::Key { wanted: RSA_4096 })?;
        // 512 bytes without its sign byte, the highest bit set.
        let is_4096 = modulus.len() == 512 && modulus.first().is_some_and(|first| first & 0x80 != 0);
        if is_4096 { Ok(()) } else { Err(CertificateError::Key { wanted: RSA_4096 }) }
    }

    /// Checks that this is an endorsement certificate as far as it is not AMD's extensions: version 3, names, serial
    /// number 0.
    pub(crate) fn check_endorsement(&self) -> Result<(), CertificateError> {
        self.check_common()?;
        if self.serial() == [0] { Ok(()) } else { Err(CertificateError::Serial) }
    }

    fn check_common(&self) -> Result<(), CertificateError> {
        if !self.body.is_version_3 {
            return Err(CertificateError::Version);
        }
        for name in [&self.body.subject, &self.body.issuer] {
            // Under a test root the organisation is another one, but the same throughout.
            if !name.is_of_profile() || name.organisation != self.body.issuer.organisation {
                return Err(CertificateError::Name { found: full_name(name) });
            }
        }
        let extensions = &self.body.extensions;
        for (at, extension) in extensions.iter().enumerate() {
            if extensions.iter().skip(at + 1).any(|later| later.oid == extension.oid) {
                return Err(CertificateError::Twice { oid: extension.oid.clone() });
            }
        }
        Ok(())
    }

    /// The key as DER `RSAPublicKey`, exponent 65537.
    pub(crate) fn rsa_key(&self) -> Result<&'a [u8], CertificateError> {
        let key = self.body.key;
        let is_rsa = key.algorithm == RSA_ENCRYPTION && rsa_modulus(key.bits).is_some();
        if is_rsa { Ok(key.bits) } else { Err(CertificateError::Key { wanted: RSA_4096 }) }
    }

    /// The key as uncompressed P-384 point.
    pub(crate) fn p384_point(&self) -> Result<[u8; 97], CertificateError> {
        let key = self.body.key;
        match <[u8; 97]>::try_from(key.bits) {
            Ok(point) if key.algorithm == EC_P384 && point.first() == Some(&4) => Ok(point),
            _ => Err(CertificateError::Key { wanted: "ECDSA on P-384, uncompressed" }),
        }
    }

    fn subject_key_id(&self) -> Option<&'a [u8]> {
        Tlv::only(self.extension(SUBJECT_KEY_ID)?, tag::OCTET_STRING).map(|id| id.content)
    }

    fn authority_key_id(&self) -> Option<&'a [u8]> {
        const KEY_ID: u8 = 0x80;
        let sequence = Tlv::only(self.extension(AUTHORITY_KEY_ID)?, tag::SEQUENCE)?;
        Tlv::only(sequence.content, KEY_ID).map(|id| id.content)
    }

    fn extension(&self, oid: &str) -> Option<&'a [u8]> {
        self.body.extensions.iter().find(|extension| extension.oid == oid).map(|extension| extension.value)
    }

    /// (object identifier, critical, raw content) of each extension.
    pub fn extensions(&self) -> impl Iterator<Item = (String, bool, &'a [u8])> {
        self.body.extensions.iter().map(|e| (e.oid.clone(), e.critical, e.value))
    }
}

const SUBJECT_KEY_ID: &str = "2.5.29.14";
const KEY_USAGE: &str = "2.5.29.15";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const CRL_POINTS: &str = "2.5.29.31";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";

const RSA_4096: &str = "RSA, 4096 bits, exponent 65537";
/// rsaEncryption, NULL (RFC 3279).
const RSA_ENCRYPTION: [u8; 15] = *b"\x30\x0D\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01\x05\x00";
/// id-ecPublicKey, secp384r1 (RFC 5480).
const EC_P384: [u8; 18] = *b"\x30\x10\x06\x07\x2A\x86\x48\xCE\x3D\x02\x01\x06\x05\x2B\x81\x04\x00\x22";

impl Authority {
    /// cA; the intermediate may have no authority below it.
    fn constraints(self) -> &'static [&'static [u8]] {
        match self {
            Self::Root => &[b"\x30\x03\x01\x01\xFF"],
            Self::Intermediate => &[b"\x30\x06\x01\x01\xFF\x02\x01\x00"],
        }
    }

    /// keyCertSign, and cRLSign for the root. AMD declares one spare bit where DER would have two.
    fn key_usages(self) -> &'static [&'static [u8]] {
        match self {
            Self::Root => &[b"\x03\x02\x01\x06"],
            Self::Intermediate => &[b"\x03\x02\x01\x04", b"\x03\x02\x02\x04"],
        }
    }
}

/// The modulus of an `RSAPublicKey` whose exponent is 65537.
fn rsa_modulus(der: &[u8]) -> Option<&[u8]> {
    let mut parts = Tlv::only(der, tag::SEQUENCE)?.elements();
    let (modulus, exponent) = (parts.next()??, parts.next()??);
    let is_f4 = exponent.positive_integer()? == [1, 0, 1] && parts.next().is_none();
    modulus.positive_integer().filter(|_| is_f4)
}

/// Common name and organisation, by which AMD's names and a test root's differ.
fn full_name(name: &Name<'_>) -> String {
    let organisation = if name.organisation.is_empty() { "nobody" } else { name.organisation };
    format!("{} of {organisation}", name.common)
}

fn intermediate_of(name: &str) -> Option<(Product, VekKind)> {
    let rest = name.strip_prefix("SEV-")?;
    let (kind, product) = match rest.strip_prefix("VLEK-") {
        Some(product) => (VekKind::Vlek, product),
        None => (VekKind::Vcek, rest),
    };
    Product::ALL.into_iter().find(|known| known.name() == product).map(|product| (product, kind))
}

/// A certificate that is not what the chain needs.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not a DER certificate.
    #[error("not an X.509 certificate in DER")]
    NotDer,
    /// Bytes after the certificate.
    #[error("{found} bytes follow the certificate")]
    Trailing {
        /// How many.
        found: usize,
    },
    /// Larger than 8 KiB.
    #[error("{found} bytes, more than a certificate of AMD's ever has (8192)")]
    TooLong {
        /// How many.
        found: usize,
    },
    /// Not version 3, or with unique identifiers.
    #[error("not a version 3 certificate without unique identifiers")]
    Version,
    /// A name that is not written as AMD writes names, or of another organisation than its issuer.
    #[error("the name \"{found}\" is not one of the profile")]
    Name {
        /// Common name and organisation.
        found: String,
    },
    /// Endorsement certificates have the serial number 0, and only they.
    #[error("serial number: an endorsement certificate has 0, an authority has another")]
    Serial,
    /// Not RSASSA-PSS with SHA-384 throughout and salt 48.
    #[error("signature algorithm is not RSASSA-PSS with SHA-384, MGF1 with SHA-384 and salt 48")]
    Algorithm,
    /// The key has another type or size.
    #[error("key is not {wanted}")]
    Key {
        /// The type wanted.
        wanted: &'static str,
    },
    /// The issuer named is not the subject of the certificate above.
    #[error("issued by \"{found}\", which is not the \"{given}\" given")]
    Issuer {
        /// As named in the certificate, with the organisation.
        found: String,
        /// As given.
        given: String,
    },
    /// Not signed by that key.
    #[error("not signed by the key of \"{issuer}\"")]
    Signature {
        /// Subject of the issuer.
        issuer: String,
    },
    /// Outside its dates.
    #[error("valid from {} to {}, not at {}", crate::clock::text(*not_before), crate::clock::text(*not_after), crate::clock::text(*at))]
    Dates {
        /// First second.
        not_before: UnixSeconds,
        /// Last second.
        not_after: UnixSeconds,
        /// The time of verification.
        at: UnixSeconds,
    },
    /// Basic constraints or key usage do not let it issue.
    #[error("may not issue certificates (basic constraints and key usage must say so and be critical)")]
    NoAuthority,
    /// An extension this profile does not have, or with a content it does not allow.
    #[error("extension {oid} is not of the profile, or malformed")]
    Extension {
        /// Object identifier.
        oid: String,
    },
    /// The same extension twice.
    #[error("extension {oid} occurs twice")]
    Twice {
        /// Object identifier.
        oid: String,
    },
    /// An extension this profile needs.
    #[error("extension {oid} ({name}) is missing")]
    Missing {
        /// Object identifier.
        oid: &'static str,
        /// AMD's name for it.
        name: &'static str,
    },
}

impl CertificateError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NotDer | Self::Trailing { .. } | Self::TooLong { .. } => {
                "give one certificate as DER or PEM, as AMD's key distribution service hands it out"
            }
            Self::Dates { .. } => "name the time the evidence was made with --at, or fetch newer evidence",
            Self::Issuer { .. } => {
                "give the intermediate of the same product and kind; if the evidence is simulated, name its root with \
                 --trust-root"
            }
            _ => "fetch the certificate from AMD's key distribution service again",
        }
    }
}
