//! Templates of primary keys. The TPM derives the same key from the same template until it is cleared, so changing one
//! bit of one changes the key.

use tss_esapi::{
    Error,
    attributes::{ObjectAttributes, ObjectAttributesBuilder},
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
    },
    structures::{
        EccPoint, EccScheme, HashScheme, Public, PublicBuilder, PublicEccParameters, PublicEccParametersBuilder,
        SymmetricDefinitionObject,
    },
};

/// TCG's template for an ECC P-256 storage root key (TPM 2.0 provisioning guidance), so every run derives the same one
/// until the TPM is cleared.
pub(super) fn storage() -> Result<Public, Error> {
    let attributes = own_key().with_decrypt(true).build()?;
    let parameters = PublicEccParametersBuilder::new_restricted_decryption_key(
        SymmetricDefinitionObject::AES_128_CFB,
        EccCurve::NistP256,
    )
    .build()?;
    p256(attributes, parameters)
}

/// ECC P-256, ECDSA with SHA-256, restricted, signing only, empty password.
pub(super) fn attestation() -> Result<Public, Error> {
    let attributes = own_key().with_sign_encrypt(true).build()?;
    let parameters = PublicEccParametersBuilder::new_unrestricted_signing_key(
        EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)),
        EccCurve::NistP256,
    )
    .with_restricted(true)
    .build()?;
    p256(attributes, parameters)
}

/// A restricted key that the TPM makes and keeps, with an empty password.
fn own_key() -> ObjectAttributesBuilder {
    ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
}

/// The template of a primary key on P-256: SHA-256 names it, and nothing else tells two apart.
fn p256(attributes: ObjectAttributes, parameters: PublicEccParameters) -> Result<Public, Error> {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}
