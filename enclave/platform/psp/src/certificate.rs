//! Certificates and revocation lists in the shape AMD gives to its own. Only the organisation name and the host of the
//! revocation URL differ, so that nobody can take one for the other.

use rsa::{
    RsaPrivateKey, RsaPublicKey,
    pkcs8::EncodePublicKey,
    pss::SigningKey,
    rand_core::CryptoRngCore,
    signature::{RandomizedSigner, SignatureEncoding},
};
use sha2::{Digest, Sha256, Sha384};
use time::{Duration, OffsetDateTime};

use crate::{ChipId, Product, PspError, Tcb, der};

/// Where AMD's certificates say `Advanced Micro Devices`.
pub const ORGANISATION: &str = "Sealgate Software PSP (test root, proves nothing)";

/// Life of ARK, ASK and ASVK, in years, as AMD's.
pub const CA_YEARS: i64 = 25;

/// `.invalid` never resolves (RFC 2606).
const CRL_HOST: &str = "software-psp.invalid";

const PSS: &[u32] = &[1, 2, 840, 113549, 1, 1, 10];
const MGF1: &[u32] = &[1, 2, 840, 113549, 1, 1, 8];
const SHA384: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 2];
/// AMD's arc for SEV (57230 section 3).
const AMD: [u32; 8] = [1, 3, 6, 1, 4, 1, 3704, 1];

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

/// A certificate authority's certificate.
pub(crate) fn ca(
    product: Product,
    profile: &CaProfile,
    public: &RsaPublicKey,
    issuer: &RsaPrivateKey,
    not_before: OffsetDateTime,
    rng: &mut impl CryptoRngCore,
) -> Result<Vec<u8>, PspError> {
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
    let algorithm = pss_algorithm(true);
    let tbs = der::sequence(&[
        der::context(0, &der::integer(2)),
        der::integer(profile.serial),
        algorithm.clone(),
        name(&profile.issuer_name),
        validity(not_before, CA_YEARS),
        name(&profile.common_name),
        spki.as_bytes().to_vec(),
        der::context(3, &der::sequence(&extensions)),
    ]);
    Ok(signed(&tbs, &algorithm, issuer, rng))
}

/// An endorsement key's certificate.
pub(crate) fn vek(
    product: Product,
    request: &VekRequest,
    issuer_name: &str,
    spki: &[u8],
    issuer: &RsaPrivateKey,
    rng: &mut impl CryptoRngCore,
) -> Vec<u8> {
    let algorithm = pss_algorithm(false);
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
    let tbs = der::sequence(&[
        der::context(0, &der::integer(2)),
        // AMD gives every endorsement certificate the serial 0: that is why a revocation list cannot name one.
        der::integer(0),
        algorithm.clone(),
        name(issuer_name),
        validity(request.not_before, years),
        name(subject),
        spki.to_vec(),
        der::context(3, &der::sequence(&extensions)),
    ]);
    signed(&tbs, &algorithm, issuer, rng)
}

/// A revocation list by the root. `revoked` are serial numbers of intermediates.
pub(crate) fn crl(
    issuer_name: &str,
    issuer_key_id: [u8; 20],
    number: u64,
    updates: (OffsetDateTime, OffsetDateTime),
    revoked: &[u64],
    issuer: &RsaPrivateKey,
    rng: &mut impl CryptoRngCore,
) -> Vec<u8> {
    let algorithm = pss_algorithm(false);
    let entries: Vec<Vec<u8>> =
        revoked.iter().map(|serial| der::sequence(&[der::integer(*serial), der::time(updates.0)])).collect();
    let extensions = der::sequence(&[
        extension(&[2, 5, 29, 35], false, &der::sequence(&[der::tlv(0x80, &issuer_key_id)])),
        extension(&[2, 5, 29, 20], false, &der::integer(number)),
    ]);
    let mut members =
        vec![der::integer(1), algorithm.clone(), name(issuer_name), der::time(updates.0), der::time(updates.1)];
    if !entries.is_empty() {
        members.push(der::sequence(&entries));
    }
    members.push(der::context(0, &extensions));
    signed(&der::sequence(&members), &algorithm, issuer, rng)
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

fn amd(arcs: &[u32], value: &[u8]) -> Vec<u8> {
    extension(&[&AMD[..], arcs].concat(), false, value)
}

fn extension(arcs: &[u32], critical: bool, value: &[u8]) -> Vec<u8> {
    let mut members = vec![der::oid(arcs)];
    if critical {
        members.push(der::yes());
    }
    members.push(der::octets(value));
    der::sequence(&members)
}

/// RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt 48 (RFC 4055 section 3.1). AMD writes the trailer field, though it is
/// the default, in its authorities' certificates and leaves it out elsewhere; so do we.
fn pss_algorithm(with_trailer: bool) -> Vec<u8> {
    let sha384 = der::sequence(&[der::oid(SHA384), der::null()]);
    let mut parameters = vec![
        der::context(0, &sha384),
        der::context(1, &der::sequence(&[der::oid(MGF1), sha384])),
        der::context(2, &der::integer(48)),
    ];
    if with_trailer {
        parameters.push(der::context(3, &der::integer(1)));
    }
    der::sequence(&[der::oid(PSS), der::sequence(&parameters)])
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

fn validity(not_before: OffsetDateTime, years: i64) -> Vec<u8> {
    let year = i64::from(not_before.year()) + years;
    // 29 February has no namesake in most years: the day before serves.
    let not_after = i32::try_from(year)
        .ok()
        .and_then(|year| {
            not_before.replace_year(year).or_else(|_| (not_before - Duration::DAY).replace_year(year)).ok()
        })
        .unwrap_or(not_before);
    der::sequence(&[der::time(not_before), der::time(not_after)])
}

fn signed(tbs: &[u8], algorithm: &[u8], issuer: &RsaPrivateKey, rng: &mut impl CryptoRngCore) -> Vec<u8> {
    let signature = SigningKey::<Sha384>::new_with_salt_len(issuer.clone(), 48).sign_with_rng(rng, tbs);
    der::sequence(&[tbs.to_vec(), algorithm.to_vec(), der::bits(0, &signature.to_vec())])
}
