//! AMD's X.509 profile: RFC 5280 certificates, all signed RSASSA-PSS with SHA-384, MGF1 with SHA-384 and salt 48
//! (RFC 4055). Authorities have RSA keys, endorsement keys are P-384 (AMD 57230).

use evidence::UnixSeconds;
use sha2::{Digest as _, Sha256};
use x509_parser::{
    certificate::X509Certificate,
    extensions::ParsedExtension,
    prelude::FromDer,
    public_key::PublicKey,
    x509::{X509Name, X509Version},
};

use crate::{BadSignature, Crypto, Product, VekKind, snp::signed_object::SignedObject};

/// Largest certificate looked at. AMD's have less than 1,700 bytes.
const LONGEST: usize = 8 * 1024;

/// A certificate: DER in order, nothing verified yet.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    der: &'a [u8],
    outer: SignedObject<'a>,
    parsed: X509Certificate<'a>,
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
        match X509Certificate::from_der(der) {
            Ok(([], parsed)) => {
                let outer = SignedObject::parse(der).ok_or(CertificateError::NotDer)?;
                Ok(Self { der, outer, parsed })
            }
            Ok((rest, _)) => Err(CertificateError::Trailing { found: rest.len() }),
            Err(_) => Err(CertificateError::NotDer),
        }
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
    pub fn subject(&self) -> &str {
        common_name(&self.parsed.tbs_certificate.subject)
    }

    /// Issuer common name, empty if there is not exactly one.
    pub fn issuer(&self) -> &str {
        common_name(&self.parsed.tbs_certificate.issuer)
    }

    /// Subject, DER.
    pub(crate) fn subject_der(&self) -> &[u8] {
        self.parsed.tbs_certificate.subject.as_raw()
    }

    /// Serial number, big-endian, as encoded.
    pub fn serial(&self) -> &'a [u8] {
        self.parsed.tbs_certificate.raw_serial()
    }

    /// First and last second of its life.
    pub fn validity(&self) -> (UnixSeconds, UnixSeconds) {
        let validity = self.parsed.tbs_certificate.validity();
        (seconds(validity.not_before.timestamp()), seconds(validity.not_after.timestamp()))
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

    /// Checks issuer name and signature.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check_issued_by(&self, issuer: &Certificate<'_>, crypto: &impl Crypto) -> Result<(), CertificateError> {
        let tbs = &self.parsed.tbs_certificate;
        if tbs.issuer.as_raw() != issuer.subject_der() {
            return Err(CertificateError::Issuer {
                found: full_name(&tbs.issuer),
                given: full_name(&issuer.parsed.tbs_certificate.subject),
            });
        }
        if !self.outer.is_amd_pss() {
            return Err(CertificateError::Algorithm);
        }
        self.outer
            .check(issuer.rsa_key()?, crypto)
            .map_err(|BadSignature| CertificateError::Signature { issuer: issuer.subject().to_owned() })
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

    /// Checks that this may issue certificates: version 3, basic constraints and key usage critical, an RSA key.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check_authority(&self) -> Result<(), CertificateError> {
        self.check_common()?;
        let (mut is_ca, mut may_sign) = (false, false);
        for extension in self.parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) => is_ca = extension.critical && constraints.ca,
                ParsedExtension::KeyUsage(usage) => may_sign = extension.critical && usage.key_cert_sign(),
                ParsedExtension::SubjectKeyIdentifier(_)
                | ParsedExtension::AuthorityKeyIdentifier(_)
                | ParsedExtension::CRLDistributionPoints(_)
                    if !extension.critical => {}
                _ => return Err(CertificateError::Extension { oid: extension.oid.to_id_string() }),
            }
        }
        if !is_ca || !may_sign {
            return Err(CertificateError::NoAuthority);
        }
        self.rsa_key().map(|_| ())
    }

    pub(crate) fn check_common(&self) -> Result<(), CertificateError> {
        let tbs = &self.parsed.tbs_certificate;
        if tbs.version != X509Version::V3 || tbs.issuer_uid.is_some() || tbs.subject_uid.is_some() {
            return Err(CertificateError::Version);
        }
        let extensions = tbs.extensions();
        for (at, extension) in extensions.iter().enumerate() {
            if extensions.iter().skip(at + 1).any(|later| later.oid == extension.oid) {
                return Err(CertificateError::Twice { oid: extension.oid.to_id_string() });
            }
        }
        Ok(())
    }

    /// The key as DER `RSAPublicKey`, 2048 to 8192 bits, exponent 65537.
    pub(crate) fn rsa_key(&self) -> Result<&[u8], CertificateError> {
        let spki = &self.parsed.tbs_certificate.subject_pki;
        match spki.parsed() {
            Ok(PublicKey::RSA(key))
                if (2048..=8192).contains(&key.key_size()) && key.try_exponent().is_ok_and(|e| e == 65537) =>
            {
                Ok(&spki.subject_public_key.data)
            }
            _ => Err(CertificateError::Key { wanted: "RSA, 2048 to 8192 bits, exponent 65537" }),
        }
    }

    /// The key as uncompressed P-384 point.
    pub(crate) fn p384_point(&self) -> Result<[u8; 97], CertificateError> {
        /// id-ecPublicKey and secp384r1 (RFC 5480).
        const EC: &str = "1.2.840.10045.2.1";
        const P384: &str = "1.3.132.0.34";
        let spki = &self.parsed.tbs_certificate.subject_pki;
        let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
        let right = spki.algorithm.algorithm.to_id_string() == EC
            && curve.is_some_and(|curve| curve.to_id_string() == P384)
            && spki.subject_public_key.data.first() == Some(&4);
        let point = spki.subject_public_key.data.as_ref().try_into().ok();
        match point {
            Some(point) if right => Ok(point),
            _ => Err(CertificateError::Key { wanted: "ECDSA on P-384, uncompressed" }),
        }
    }

    /// (object identifier, critical, raw content) of each extension.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = (String, bool, &'a [u8])> {
        self.parsed.extensions().iter().map(|e| (e.oid.to_id_string(), e.critical, e.value))
    }
}

pub(crate) fn seconds(timestamp: i64) -> UnixSeconds {
    UnixSeconds(u64::try_from(timestamp).unwrap_or(0))
}

fn common_name<'n>(name: &'n X509Name<'_>) -> &'n str {
    let mut names = name.iter_common_name();
    match (names.next(), names.next()) {
        (Some(only), None) => only.as_str().unwrap_or(""),
        _ => "",
    }
}

/// Common name and organisation, by which AMD's names and a test root's differ.
fn full_name(name: &X509Name<'_>) -> String {
    let organisation = name.iter_organization().next().and_then(|part| part.as_str().ok()).unwrap_or("nobody");
    format!("{} of {organisation}", common_name(name))
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
