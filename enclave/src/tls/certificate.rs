//! Certificates for the one key: our own, an authority's, and the request that asks an authority for one.

use std::path::Path;

use evidence::UnixSeconds;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::{
    RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Source, TlsError, TlsKey, TlsNames};

/// How long a self-signed certificate holds. A new one is made at each start and each hour.
const SELF_SIGNED: Duration = Duration::days(14);
/// Clocks of clients may be behind ours.
const SKEW: Duration = Duration::hours(1);
/// Longest chain of a file: ours and what lies between it and a root.
const MAX_CHAIN: usize = 8;
/// Longest certificate file, bytes.
const MAX_FILE_BYTES: u64 = 256 << 10;
/// Longest common name (RFC 5280, ub-common-name).
const MAX_COMMON_NAME: usize = 64;

/// The chain to show now.
pub(super) fn chain(
    key: &TlsKey,
    names: &TlsNames,
    source: &Source,
    now: UnixSeconds,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let now = i64::try_from(now.0).ok().and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok());
    let now = now.ok_or_else(|| TlsError::Library { why: "the time is beyond the year 9999".to_owned() })?;
    match source {
        Source::SelfSigned => self_signed(key, names, now),
        Source::File(file) => given(key, names, file, now),
    }
}

/// A certificate signing request (RFC 2986) for these names, PEM: what an authority is asked with.
///
/// # Errors
/// [`TlsError::Library`].
pub(crate) fn request(key: &TlsKey, names: &TlsNames) -> Result<String, TlsError> {
    parameters(names)?.serialize_request(key).and_then(|request| request.pem()).map_err(refused)
}

fn self_signed(key: &TlsKey, names: &TlsNames, now: OffsetDateTime) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut parameters = parameters(names)?;
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|error| TlsError::Library { why: error.to_string() })?;
    // Positive, and as many bytes each time.
    serial[0] = serial[0] & 0x7f | 0x40;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    parameters.not_before = now - SKEW;
    parameters.not_after = now + SELF_SIGNED;
    parameters.is_ca = IsCa::ExplicitNoCa;
    let certificate = parameters.self_signed(key).map_err(refused)?;
    Ok(vec![certificate.der().clone()])
}

fn parameters(names: &TlsNames) -> Result<CertificateParams, TlsError> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    if let Some(first) = names.to_texts().into_iter().find(|name| name.len() <= MAX_COMMON_NAME) {
        parameters.distinguished_name.push(DnType::CommonName, first);
    }
    for name in names.iter() {
        parameters.subject_alt_names.push(match name {
            ServerName::IpAddress(address) => SanType::IpAddress((*address).into()),
            other => SanType::DnsName(other.to_str().into_owned().try_into().map_err(refused)?),
        });
    }
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

fn refused(error: rcgen::Error) -> TlsError {
    TlsError::Library { why: error.to_string() }
}

/// A chain from a file, if it is one that clients will take: ours first, for our key and names, valid now, each
/// certificate followed by its issuer. Whether the authority is a trusted one is for the clients to say.
fn given(
    key: &TlsKey,
    names: &TlsNames,
    file: &Path,
    now: OffsetDateTime,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |why: std::io::Error| TlsError::Unreadable { file: file.to_owned(), why: why.to_string() };
    let wrong = |why: String| TlsError::NotAChain { file: file.to_owned(), why };
    if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(wrong(format!("the file is longer than {MAX_FILE_BYTES} bytes")));
    }
    let text = std::fs::read(file).map_err(unreadable)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong(error.to_string()))?;
    if chain.len() > MAX_CHAIN {
        return Err(wrong(format!("{} certificates, at most {MAX_CHAIN} make a chain", chain.len())));
    }
    let mut parsed = Vec::with_capacity(chain.len());
    for (at, der) in chain.iter().enumerate() {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|error| wrong(format!("certificate {}: {error}", at + 1)))?;
        if !rest.is_empty() {
            return Err(wrong(format!("certificate {}: bytes follow it", at + 1)));
        }
        parsed.push(certificate);
    }
    let (Some(leaf), Some(leaf_der)) = (parsed.first(), chain.first()) else {
        return Err(wrong("no CERTIFICATE block".to_owned()));
    };
    if leaf.public_key().raw != key.spki() {
        return Err(TlsError::OtherKey {
            file: file.to_owned(),
            found: hex::encode(Sha256::digest(leaf.public_key().raw)),
            ours: hex::encode(key.spki_sha256()),
        });
    }
    for certificate in &parsed {
        let validity = certificate.validity();
        if now.unix_timestamp() < validity.not_before.timestamp()
            || validity.not_after.timestamp() < now.unix_timestamp()
        {
            let validity = format!("{}: {} to {}", certificate.subject(), validity.not_before, validity.not_after);
            return Err(TlsError::Expired { file: file.to_owned(), validity });
        }
    }
    for (at, (certificate, issuer)) in parsed.iter().zip(parsed.iter().skip(1)).enumerate() {
        if certificate.issuer() != issuer.subject() {
            return Err(wrong(format!("certificate {} is not followed by its issuer", at + 1)));
        }
    }
    let end = ParsedCertificate::try_from(leaf_der).map_err(|error| wrong(error.to_string()))?;
    if let [_, issuers @ .., last] = chain.as_slice() {
        // As a client does that trusts the last one.
        let mut roots = RootCertStore::empty();
        roots.add(last.clone()).map_err(|error| wrong(error.to_string()))?;
        let now = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&end, &roots, issuers, now, algorithms)
            .map_err(|error| wrong(error.to_string()))?;
    }
    for name in names.iter() {
        verify_server_name(&end, name)
            .map_err(|_| TlsError::NotForName { file: file.to_owned(), name: name.to_str().into_owned() })?;
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, Issuer, KeyPair};

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

    fn key() -> TlsKey {
        TlsKey::from_pkcs8(KeyPair::generate().unwrap().serialized_der()).unwrap()
    }

    fn names() -> TlsNames {
        TlsNames::of(&["gateway.example".to_owned(), "192.0.2.7".to_owned()]).unwrap()
    }

    fn at(days: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(NOW.0 as i64).unwrap() + Duration::days(days)
    }

    /// An authority that signs what a request asks for, or a key as it is.
    struct Authority(Issuer<'static, KeyPair>, String);

    impl Authority {
        fn new(name: &str) -> Self {
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name.push(DnType::CommonName, name);
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let pair = KeyPair::generate().unwrap();
            let pem = parameters.self_signed(&pair).unwrap().pem();
            Self(Issuer::new(parameters, pair), pem)
        }

        fn sign(&self, key: &TlsKey, names: &TlsNames, from: i64, to: i64) -> String {
            let mut parameters = parameters(names).unwrap();
            (parameters.not_before, parameters.not_after) = (at(from), at(to));
            parameters.signed_by(key, &self.0).unwrap().pem()
        }
    }

    fn read(text: &str, key: &TlsKey, names: &TlsNames) -> Result<usize, TlsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        chain(key, names, &Source::File(file.path().to_owned()), NOW).map(|chain| chain.len())
    }

    #[test]
    fn a_self_signed_certificate_is_short_lived_for_our_key_and_no_authority() {
        let (key, names) = (key(), names());
        let [one, two] = [0, 1].map(|_| chain(&key, &names, &Source::SelfSigned, NOW).unwrap());
        let (_, certificate) = X509Certificate::from_der(&one[0]).unwrap();
        assert_eq!(certificate.public_key().raw, key.spki());
        assert!(!certificate.is_ca());
        let validity = certificate.validity();
        assert_eq!(validity.not_before.to_datetime(), at(0) - SKEW);
        assert_eq!(validity.not_after.to_datetime(), at(0) + SELF_SIGNED);
        assert_ne!(one[0], two[0], "the serial number is new each time");
        let end = ParsedCertificate::try_from(&one[0]).unwrap();
        for name in names.iter() {
            verify_server_name(&end, name).unwrap();
        }
    }

    #[test]
    fn openssl_reads_the_request_and_finds_it_signed_by_the_key_for_the_names() {
        let key = key();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), request(&key, &names()).unwrap()).unwrap();
        let said = std::process::Command::new("openssl")
            .args(["req", "-noout", "-verify", "-text", "-in"])
            .arg(file.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && text.contains("verify OK"), "{text}");
        assert!(text.contains("DNS:gateway.example, IP Address:192.0.2.7") && text.contains("P-256"), "{text}");
    }

    #[test]
    fn a_chain_for_our_key_and_names_is_taken() {
        let (key, names, authority) = (key(), names(), Authority::new("authority"));
        let leaf = authority.sign(&key, &names, -1, 89);
        assert_eq!(read(&leaf, &key, &names), Ok(1));
        assert_eq!(read(&format!("{leaf}{}", authority.1), &key, &names), Ok(2));
    }

    #[test]
    fn every_wrong_file_is_refused_with_what_and_how_to_fix_it() {
        let (key, names, authority) = (key(), names(), Authority::new("authority"));
        let good = authority.sign(&key, &names, -1, 89);
        let other_key = authority.sign(&self::key(), &names, -1, 89);
        let one_name = TlsNames::of(&["gateway.example".to_owned()]).unwrap();
        let impostor = Authority::new("authority");
        let elsewhere = Authority::new("elsewhere");
        for (text, said) in [
            (other_key, "for another key"),
            (authority.sign(&key, &names, -9, -1), "does not hold now"),
            (authority.sign(&key, &names, 1, 9), "does not hold now"),
            (authority.sign(&key, &one_name, -1, 89), "not for 192.0.2.7"),
            (format!("{good}{}", elsewhere.1), "not followed by its issuer"),
            (format!("{good}{}", impostor.1), "no certificate chain"),
            (format!("{}{good}", authority.1), "for another key"),
            (good.repeat(MAX_CHAIN + 1), "at most 8"),
            (String::new(), "no CERTIFICATE block"),
            (good.replace("MII", "AAA"), "certificate 1"),
            (" ".repeat(MAX_FILE_BYTES as usize + 1), "longer than"),
        ] {
            let error = read(&text, &key, &names).unwrap_err();
            assert!(error.to_string().contains(said), "{said}: {error}");
            assert!(!error.fix().is_empty());
        }
        let nowhere = Source::File("/nonexistent/chain.pem".into());
        let error = chain(&key, &names, &nowhere, NOW).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/chain.pem: cannot be read"), "{error}");
    }
}
