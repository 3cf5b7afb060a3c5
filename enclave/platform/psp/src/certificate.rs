//! Certificates and revocation lists in the shape AMD gives to its own. Only the organisation name and the host of the
//! revocation URL differ, so that nobody can take one for the other.

use rsa::{
    RsaPrivateKey, RsaPublicKey, pkcs1v15,
    pkcs8::EncodePublicKey,
    pss::SigningKey,
    rand_core::CryptoRngCore,
    signature::{RandomizedSigner, SignatureEncoding},
};
use sha2::{Digest, Sha256, Sha384};
use time::{Duration, OffsetDateTime};

use crate::{ChipId, CrlRequest, Product, PspError, Tcb, der};

/// Where AMD's certificates say `Advanced Micro Devices`.
pub const ORGANISATION: &str = "Sealgate Software PSP (test root, proves nothing)";

/// Life of ARK, ASK and ASVK, in years, as AMD's.
pub const CA_YEARS: i64 = 25;

/// `.invalid` never resolves (RFC 2606).
const CRL_HOST: &str = "software-psp.invalid";

const PSS: &[u32] = &[1, 2, 840, 113549, 1, 1, 10];
const MGF1: &[u32] = &[1, 2, 840, 113549, 1, 1, 8];
const SHA384: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 2];
const SHA256: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
/// sha384WithRSAEncryption.
const RSA_SHA384: &[u32] = &[1, 2, 840, 113549, 1, 1, 12];
/// AMD's arc for SEV (57230 section 3).
const AMD: [u32; 8] = [1, 3, 6, 1, 4, 1, 3704, 1];

/// How a certificate is signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt 48: AMD's only one.
    Amd,
    /// The same with a salt of 32 bytes, and named so.
    Salt32,
    /// RSASSA-PSS with SHA-256 throughout, salt 32.
    Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Pkcs1,
}

/// An extension of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension {
    /// Object identifier.
    pub id: Vec<u32>,
    /// Critical.
    pub critical: bool,
    /// What stands in its OCTET STRING.
    pub value: Vec<u8>,
}

/// A certificate before it is signed. Every part may be overwritten to make what no honest authority makes.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Serial number.
    pub serial: u64,
    /// Issuer common name.
    pub issuer: String,
    /// Subject common name.
    pub subject: String,
    /// First and last second.
    pub validity: (OffsetDateTime, OffsetDateTime),
    /// The key, DER `SubjectPublicKeyInfo`.
    pub spki: Vec<u8>,
    /// In this order.
    pub extensions: Vec<Extension>,
    /// How it is signed.
    pub scheme: Scheme,
    /// Whether the algorithm spells the trailer field out.
    pub(crate) trailer: bool,
}

impl Draft {
    /// The extension with this number under AMD's arc, to be overwritten.
    pub fn amd_extension(&mut self, arcs: &[u32]) -> Option<&mut Extension> {
        self.extensions.iter_mut().find(|extension| extension.id == [&AMD[..], arcs].concat())
    }

    /// Takes that extension out.
    pub fn without_amd_extension(&mut self, arcs: &[u32]) {
        self.extensions.retain(|extension| extension.id != [&AMD[..], arcs].concat());
    }

    /// The certificate.
    pub(crate) fn sign(&self, issuer: &RsaPrivateKey, rng: &mut impl CryptoRngCore) -> Vec<u8> {
        let algorithm = self.scheme.algorithm(self.trailer);
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(Extension::der).collect();
        let tbs = der::sequence(&[
            der::context(0, &der::integer(2)),
            der::integer(self.serial),
            algorithm.clone(),
            name(&self.issuer),
            der::sequence(&[der::time(self.validity.0), der::time(self.validity.1)]),
            name(&self.subject),
            self.spki.clone(),
            der::context(3, &der::sequence(&extensions)),
        ]);
        signed(self.scheme, &tbs, &algorithm, issuer, rng)
    }
}

impl Extension {
    fn der(&self) -> Vec<u8> {
        let mut members = vec![der::oid(&self.id)];
        if self.critical {
            members.push(der::yes());
        }
        members.push(der::octets(&self.value));
        der::sequence(&members)
    }
}

impl Scheme {
    /// RFC 4055 section 3.1. AMD writes the trailer field, though it is the default, in its authorities' certificates
    /// and leaves it out elsewhere; so do we.
    fn algorithm(self, with_trailer: bool) -> Vec<u8> {
        let (hash, salt) = match self {
            Self::Amd => (SHA384, 48),
            Self::Salt32 => (SHA384, 32),
            Self::Sha256 => (SHA256, 32),
            Self::Pkcs1 => return der::sequence(&[der::oid(RSA_SHA384), der::null()]),
        };
        let hash = der::sequence(&[der::oid(hash), der::null()]);
        let mut parameters = vec![
            der::context(0, &hash),
            der::context(1, &der::sequence(&[der::oid(MGF1), hash])),
            der::context(2, &der::integer(salt)),
        ];
        if with_trailer {
            parameters.push(der::context(3, &der::integer(1)));
        }
        der::sequence(&[der::oid(PSS), der::sequence(&parameters)])
    }
}

/// Which key signs the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VekKind {
    /// Versioned chip endorsement key: of one chip.
    Vcek,
    /// Versioned loaded endorsement key: of a cloud provider.
    Vlek,
}

/// What an endorsement certificate says.
#[derive(Clone, Debug)]
pub struct VekRequest {
    /// Chip or provider.
    pub kind: VekKind,
    /// Firmware levels the key is derived from.
    pub tcb: Tcb,
    /// The chip; a VLEK names none.
    pub chip_id: ChipId,
    /// The provider, on a VLEK: `CN=cc-us-east-2.amazonaws.com`.
    pub csp_id: String,
    /// Start of its life: seven years for a VCEK, one for a VLEK.
    pub not_before: OffsetDateTime,
}

/// ARK, ASK or ASVK: who signs whom.
pub(crate) struct CaProfile {
    pub(crate) common_name: String,
    pub(crate) issuer_name: String,
    pub(crate) serial: u64,
    pub(crate) crl_path: &'static str,
    pub(crate) issuer_key_id: Option<[u8; 20]>,
    /// False only in the vector that shows a verifier must look.
    pub(crate) authority: bool,
}

/// A certificate authority's certificate, before it is signed.
pub(crate) fn ca(
    product: Product,
    profile: &CaProfile,
    public: &RsaPublicKey,
    not_before: OffsetDateTime,
) -> Result<Draft, PspError> {
    let spki = public.to_public_key_der().map_err(|_| PspError::Encoding("RSA public key".into()))?;
    let key_id = key_id(public)?;
    let url = format!("https://{CRL_HOST}/{}/v1/{}/crl", profile.crl_path, product.name());
    let points = der::sequence(&[der::sequence(&[der::context(0, &der::context(0, &der::tlv(0x86, url.as_bytes())))])]);
    let subject_id = extension(&[2, 5, 29, 14], false, &der::octets(&key_id));
    let distribution = extension(&[2, 5, 29, 31], false, &points);
    let extensions = match profile.issuer_key_id {
        // The root: may sign certificates and revocation lists, any number of levels.
        None => vec![
            extension(&[2, 5, 29, 15], true, &der::bits(1, &[0x06])),
            subject_id,
            extension(&[2, 5, 29, 19], true, &der::sequence(&[der::yes()])),
            distribution,
        ],
        Some(issuer_id) => vec![
            subject_id,
            extension(&[2, 5, 29, 35], false, &der::sequence(&[der::tlv(0x80, &issuer_id)])),
            extension(
                &[2, 5, 29, 19],
                true,
                &if profile.authority { der::sequence(&[der::yes(), der::integer(0)]) } else { der::sequence(&[]) },
            ),
            // One spare bit declared where DER would have two: so does AMD.
            extension(&[2, 5, 29, 15], true, &der::bits(1, &[0x04])),
            distribution,
        ],
    };
    Ok(Draft {
        serial: profile.serial,
        issuer: profile.issuer_name.clone(),
        subject: profile.common_name.clone(),
        validity: (not_before, years_after(not_before, CA_YEARS)),
        spki: spki.as_bytes().to_vec(),
        extensions,
        scheme: Scheme::Amd,
        trailer: true,
    })
}

/// An endorsement key's certificate, before it is signed.
pub(crate) fn vek(product: Product, request: &VekRequest, issuer_name: &str, spki: &[u8]) -> Draft {
    let (subject, years, product_name) = match request.kind {
        VekKind::Vcek => ("SEV-VCEK", 7, product.vcek_name()),
        VekKind::Vlek => ("SEV-VLEK", 1, product.name()),
    };
    let mut extensions =
        vec![amd(&[1], &der::integer(u64::from(product == Product::Turin))), amd(&[2], &der::ia5(product_name))];
    extensions.extend(levels(product, request.tcb).iter().map(|(part, level)| {
        let level = der::integer(u64::from(*level));
        amd(&[3, *part], &level)
    }));
    match request.kind {
        // The one extension that is not DER inside: raw bytes.
        VekKind::Vcek => extensions.push(amd(&[4], request.chip_id.hwid(product))),
        VekKind::Vlek => extensions.push(amd(&[5], &der::ia5(&request.csp_id))),
    }
    Draft {
        // AMD gives every endorsement certificate the serial 0: that is why a revocation list cannot name one.
        serial: 0,
        issuer: issuer_name.to_owned(),
        subject: subject.to_owned(),
        validity: (request.not_before, years_after(request.not_before, years)),
        spki: spki.to_vec(),
        extensions,
        scheme: Scheme::Amd,
        trailer: false,
    }
}

/// A revocation list by the root. `revoked` are serial numbers of intermediates.
pub(crate) fn crl(
    issuer_name: &str,
    issuer_key_id: [u8; 20],
    request: &CrlRequest,
    (of_entries, of_list): (&[Extension], &[Extension]),
    issuer: &RsaPrivateKey,
    rng: &mut impl CryptoRngCore,
) -> Vec<u8> {
    let algorithm = Scheme::Amd.algorithm(false);
    let of_entries: Vec<Vec<u8>> = of_entries.iter().map(Extension::der).collect();
    let entry = |serial: &u64| {
        let mut members = vec![der::integer(*serial), der::time(request.this_update)];
        if !of_entries.is_empty() {
            members.push(der::sequence(&of_entries));
        }
        der::sequence(&members)
    };
    let entries: Vec<Vec<u8>> = request.revoked.iter().map(entry).collect();
    let mut extensions = vec![
        extension(&[2, 5, 29, 35], false, &der::sequence(&[der::tlv(0x80, &issuer_key_id)])).der(),
        extension(&[2, 5, 29, 20], false, &der::integer(request.number)).der(),
    ];
    extensions.extend(of_list.iter().map(Extension::der));
    let extensions = der::sequence(&extensions);
    let mut members = vec![
        der::integer(1),
        algorithm.clone(),
        name(issuer_name),
        der::time(request.this_update),
        der::time(request.next_update),
    ];
    if !entries.is_empty() {
        members.push(der::sequence(&entries));
    }
    members.push(der::context(0, &extensions));
    signed(Scheme::Amd, &der::sequence(&members), &algorithm, issuer, rng)
}

/// Subject key identifier: the first 160 bits of the key's SHA-256 (RFC 7093 section 2, method 1).
pub(crate) fn key_id(public: &RsaPublicKey) -> Result<[u8; 20], PspError> {
    use rsa::pkcs1::EncodeRsaPublicKey;
    let key = public.to_pkcs1_der().map_err(|_| PspError::Encoding("RSA public key".into()))?;
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let mut id = [0; 20];
    id.copy_from_slice(digest.split_at(20).0);
    Ok(id)
}

/// (extension number, level) in AMD's order, which differs between structure versions 0 and 1.
fn levels(product: Product, tcb: Tcb) -> Vec<(u32, u8)> {
    match product {
        Product::Milan | Product::Genoa => {
            vec![(1, tcb.bootloader), (2, tcb.tee), (4, 0), (5, 0), (6, 0), (7, 0), (3, tcb.snp), (8, tcb.microcode)]
        }
        Product::Turin => vec![
            (9, tcb.fmc),
            (1, tcb.bootloader),
            (2, tcb.tee),
            (3, tcb.snp),
            (5, 0),
            (6, 0),
            (7, 0),
            (8, tcb.microcode),
        ],
    }
}

fn amd(arcs: &[u32], value: &[u8]) -> Extension {
    extension(&[&AMD[..], arcs].concat(), false, value)
}

fn extension(arcs: &[u32], critical: bool, value: &[u8]) -> Extension {
    Extension { id: arcs.to_vec(), critical, value: value.to_vec() }
}

fn name(common_name: &str) -> Vec<u8> {
    let part = |arc: u32, value: Vec<u8>| der::set(&der::sequence(&[der::oid(&[2, 5, 4, arc]), value]));
    der::sequence(&[
        part(11, der::utf8("Engineering")),
        part(6, der::printable("US")),
        part(7, der::utf8("Santa Clara")),
        part(8, der::utf8("CA")),
        part(10, der::utf8(ORGANISATION)),
        part(3, der::utf8(common_name)),
    ])
}

fn years_after(not_before: OffsetDateTime, years: i64) -> OffsetDateTime {
    let year = i64::from(not_before.year()) + years;
    // 29 February has no namesake in most years: the day before serves.
    i32::try_from(year)
        .ok()
        .and_then(|year| {
            not_before.replace_year(year).or_else(|_| (not_before - Duration::DAY).replace_year(year)).ok()
        })
        .unwrap_or(not_before)
}

fn signed(
    scheme: Scheme,
    tbs: &[u8],
    algorithm: &[u8],
    issuer: &RsaPrivateKey,
    rng: &mut impl CryptoRngCore,
) -> Vec<u8> {
    let key = issuer.clone();
    let signature = match scheme {
        Scheme::Amd => SigningKey::<Sha384>::new_with_salt_len(key, 48).sign_with_rng(rng, tbs).to_vec(),
        Scheme::Salt32 => SigningKey::<Sha384>::new_with_salt_len(key, 32).sign_with_rng(rng, tbs).to_vec(),
        Scheme::Sha256 => SigningKey::<Sha256>::new_with_salt_len(key, 32).sign_with_rng(rng, tbs).to_vec(),
        Scheme::Pkcs1 => pkcs1v15::SigningKey::<Sha384>::new(key).sign_with_rng(rng, tbs).to_vec(),
    };
    der::sequence(&[tbs.to_vec(), algorithm.to_vec(), der::bits(0, &signature)])
}

/// Any signed part with any algorithm beside it, and a salt of any length.
pub(crate) fn signed_with_salt(
    tbs: &[u8],
    algorithm: &[u8],
    issuer: &RsaPrivateKey,
    salt: usize,
    rng: &mut impl CryptoRngCore,
) -> Vec<u8> {
    let signature = SigningKey::<Sha384>::new_with_salt_len(issuer.clone(), salt).sign_with_rng(rng, tbs);
    der::sequence(&[tbs.to_vec(), algorithm.to_vec(), der::bits(0, &signature.to_vec())])
}
