//! The crate `x509-parser` as an oracle for our own reader: what ours accepts, it accepts, and both read the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::print_stdout, reason = "a test says what it compared")]

mod common;

use attestation_verifier::{Certificate, Crl, Product, roots};
use common::{read, vectors};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList};

/// True if ours accepts; then theirs must, with the same content.
fn certificate_agrees(der: &[u8]) -> bool {
    let Ok(ours) = Certificate::parse(der) else { return false };
    let (rest, theirs) = X509Certificate::from_der(der).expect("ours accepted it");
    assert!(rest.is_empty());
    let only = |name: &x509_parser::x509::X509Name<'_>| {
        let mut names = name.iter_common_name();
        let only = names.next().filter(|_| names.next().is_none());
        only.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
    };
    for (ours, theirs) in [(ours.subject(), theirs.subject()), (ours.issuer(), theirs.issuer())] {
        // Ours takes UTF-8 and printable text alone.
        assert!(ours.is_empty() || ours == only(theirs), "{ours}");
    }
    assert_eq!(ours.serial(), theirs.raw_serial());
    let (from, to) = ours.validity();
    assert_eq!(i64::try_from(from.0).unwrap(), theirs.validity().not_before.timestamp());
    assert_eq!(i64::try_from(to.0).unwrap(), theirs.validity().not_after.timestamp());
    let extensions: Vec<(String, bool, &[u8])> =
        theirs.extensions().iter().map(|e| (e.oid.to_id_string(), e.critical, e.value)).collect();
    assert_eq!(ours.extensions().collect::<Vec<_>>(), extensions);
    true
}

fn list_agrees(der: &[u8]) -> bool {
    let Ok(ours) = Crl::parse(der) else { return false };
    let (rest, theirs) = CertificateRevocationList::from_der(der).expect("ours accepted it");
    assert!(rest.is_empty());
    let (this, next) = ours.updates();
    assert_eq!(i64::try_from(this.0).unwrap(), theirs.last_update().timestamp());
    assert_eq!(next.map(|next| i64::try_from(next.0).unwrap()), theirs.next_update().map(|next| next.timestamp()));
    let serials: Vec<&[u8]> = theirs.iter_revoked_certificates().map(|entry| entry.raw_serial()).collect();
    assert_eq!(ours.serials().collect::<Vec<_>>(), serials);
    true
}

/// Each bit of the object flipped, each byte taken out or doubled, each truncation: (tried, accepted).
fn walk(der: &[u8], agrees: impl Fn(&[u8]) -> bool) -> (usize, usize) {
    let (mut tried, mut accepted) = (0, 0);
    let mut look = |bytes: &[u8]| {
        tried += 1;
        accepted += usize::from(agrees(bytes));
    };
    for at in 0..der.len() {
        let mut bytes = der.to_vec();
        for bit in 0..8 {
            bytes[at] = der[at] ^ 1 << bit;
            look(&bytes);
        }
        bytes.remove(at);
        look(&bytes);
        bytes.insert(at, der[at]);
        bytes.insert(at, der[at]);
        look(&bytes);
        look(&der[..at]);
    }
    (tried, accepted)
}

fn files(ending: &str) -> Vec<Vec<u8>> {
    let folders = ["psp/milan", "psp/genoa", "psp/turin", "registry/sev-8.0.0"];
    let mut found = Vec::new();
    for folder in folders {
        for entry in vectors().join(folder).read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == ending) {
                found.push(read(path));
            }
        }
    }
    found
}

#[test]
fn certificates_read_the_same_whatever_is_changed_in_them() {
    let mut all = files("der");
    for product in Product::ALL {
        all.extend([roots::ark(product).to_vec(), roots::ask(product).to_vec()]);
    }
    assert!(all.len() > 20, "{}", all.len());
    assert!(all.iter().all(|der| certificate_agrees(der)));
    // One of each kind, byte by byte: a root, and an endorsement certificate of either layout.
    for der in [
        roots::ark(Product::Milan).to_vec(),
        read(vectors().join("registry/sev-8.0.0/vcek_turin.der")),
        read(vectors().join("psp/milan/vlek.der")),
    ] {
        let (tried, accepted) = walk(&der, certificate_agrees);
        println!("{tried} changed certificates, {accepted} of them still certificates");
        // Keys, signatures, names, numbers may have any bits; frames may not.
        assert!(accepted > 1000 && accepted < tried, "{accepted} of {tried}");
    }
}

#[test]
fn lists_read_the_same_whatever_is_changed_in_them() {
    let all = files("crl");
    assert!(all.len() >= 8, "{}", all.len());
    assert!(all.iter().all(|der| list_agrees(der)));
    let (tried, accepted) = walk(&read(vectors().join("psp/milan/revokes-ask.crl")), list_agrees);
    println!("{tried} changed lists, {accepted} of them still lists");
    assert!(accepted > 1000 && accepted < tried, "{accepted} of {tried}");
}
