//! AMD's roots: ARK and ASK of each product, compiled in; ARK, ASK and ASVK pinned by SHA-256. An ASVK comes with the
//! evidence and must match its pin. Where the certificates are from: `roots/README.md`.

use sha2::{Digest as _, Sha256};

use crate::{Certificate, CertificateError, Product, VekKind, snp::certificate::Authority};

/// What a chain may end in.
#[derive(Clone, Debug)]
pub enum TrustAnchor<'a> {
    /// AMD's pinned roots, all products.
    Amd,
    /// A root that somebody named, which is not AMD's: nothing that ends in it is ever plainly `accepted`.
    Test(Box<Certificate<'a>>),
}

/// Whose word a chain rests on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// AMD's.
    Amd,
    /// That of a root named by the caller.
    Test,
}

impl Trust {
    /// `amd` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd => "amd",
            Self::Test => "test",
        }
    }
}

impl<'a> TrustAnchor<'a> {
    /// A root named by the caller. If it is one of AMD's by its SHA-256, AMD's rules apply.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn named(der: &'a [u8]) -> Result<Self, CertificateError> {
        let root = Certificate::parse(der)?;
        let fingerprint = root.fingerprint();
        if Product::ALL.into_iter().any(|product| ark_pin(product) == fingerprint) {
            return Ok(Self::Amd);
        }
        // An intermediate may be named; that it is no root is what the chain's verdict then says.
        root.check_authority(Authority::Root).or_else(|_| root.check_authority(Authority::Intermediate))?;
        Ok(Self::Test(Box::new(root)))
    }

    /// Who speaks through this anchor.
    pub fn trust(&self) -> Trust {
        match self {
            Self::Amd => Trust::Amd,
            Self::Test(_) => Trust::Test,
        }
    }
}

/// AMD's root certificate, DER.
pub fn ark(product: Product) -> &'static [u8] {
    match product {
        Product::Milan => include_bytes!("../../roots/milan-ark.der"),
        Product::Genoa => include_bytes!("../../roots/genoa-ark.der"),
        Product::Turin => include_bytes!("../../roots/turin-ark.der"),
    }
}

/// AMD's intermediate for chips, DER.
pub fn ask(product: Product) -> &'static [u8] {
    match product {
        Product::Milan => include_bytes!("../../roots/milan-ask.der"),
        Product::Genoa => include_bytes!("../../roots/genoa-ask.der"),
        Product::Turin => include_bytes!("../../roots/turin-ask.der"),
    }
}

/// SHA-256 of the root certificate.
pub fn ark_pin(product: Product) -> [u8; 32] {
    match product {
        Product::Milan => bytes("69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"),
        Product::Genoa => bytes("4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"),
        Product::Turin => bytes("1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"),
    }
}

/// SHA-256 of the intermediate that issues this kind of key: the ASK for VCEKs, the ASVK for VLEKs.
pub fn intermediate_pin(product: Product, kind: VekKind) -> [u8; 32] {
    match (product, kind) {
        (Product::Milan, VekKind::Vcek) => bytes("67d303bd3905fd38db8b20e0793699870e7fa612eaad5dec358293fd8c0bac1b"),
        (Product::Genoa, VekKind::Vcek) => bytes("5464738c1546aed5f2cecf1dc98c5c960a92e8913238a61711bc90ec6e828521"),
        (Product::Turin, VekKind::Vcek) => bytes("5b77ef5fe7a7a004fd9032668fba9d0fda22f88c4442069a479636a6ae3b3185"),
        (Product::Milan, VekKind::Vlek) => bytes("c5e081f59b7efab1fe2f8b505e159704e72f29cab7ef7cf628a05a42439082f5"),
        (Product::Genoa, VekKind::Vlek) => bytes("197e610743a917d6b9bb982a5a9226ccc0a15b611be0619e626aca9151457372"),
        (Product::Turin, VekKind::Vlek) => bytes("104e10a8bd060a3c20a434261a57d0588fd65a88915b4f65b08bdecaf8df1a3c"),
    }
}

/// True if the certificate is the pinned intermediate of that product and kind.
pub fn is_pinned(certificate: &[u8], product: Product, kind: VekKind) -> bool {
    <[u8; 32]>::from(Sha256::digest(certificate)) == intermediate_pin(product, kind)
}

/// Hexadecimal to bytes, when compiling.
const fn bytes(hex: &str) -> [u8; 32] {
    const fn digit(at: u8) -> u8 {
        if at.is_ascii_digit() { at - b'0' } else { at - b'a' + 10 }
    }
    let hex = hex.as_bytes();
    assert!(hex.len() == 64);
    let mut out = [0; 32];
    let mut at = 0;
    while at < 32 {
        #[expect(clippy::indexing_slicing, reason = "the length is asserted, in a constant")]
        {
            out[at] = digit(hex[2 * at]) << 4 | digit(hex[2 * at + 1]);
        }
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ring, clock};

    #[test]
    fn what_is_compiled_in_is_what_is_pinned() {
        for product in Product::ALL {
            assert_eq!(<[u8; 32]>::from(Sha256::digest(ark(product))), ark_pin(product), "{product}");
            assert!(is_pinned(ask(product), product, VekKind::Vcek), "{product}");
            assert!(!is_pinned(ask(product), product, VekKind::Vlek), "{product}");
        }
    }

    #[test]
    fn each_root_signs_itself_and_its_intermediate_and_both_are_authorities() {
        let at = clock::parse("2026-01-01T00:00:00Z").unwrap();
        for product in Product::ALL {
            let (ark, ask) = (Certificate::parse(ark(product)).unwrap(), Certificate::parse(ask(product)).unwrap());
            ark.check_issued_by(&ark, &Ring).unwrap();
            ask.check_issued_by(&ark, &Ring).unwrap();
            for (certificate, rank) in [(&ark, Authority::Root), (&ask, Authority::Intermediate)] {
                certificate.check_authority(rank).unwrap();
                certificate.check_dates(at).unwrap();
            }
            assert_eq!(ark.check_authority(Authority::Intermediate), Err(CertificateError::NoAuthority));
            assert_eq!(ask.check_authority(Authority::Root), Err(CertificateError::NoAuthority));
            assert_eq!(ask.intermediate_kind(), Some((product, VekKind::Vcek)));
            assert_eq!(ark.subject(), format!("ARK-{product}"));
        }
    }

    #[test]
    fn naming_amds_own_root_makes_it_no_test_root() {
        for product in Product::ALL {
            assert!(matches!(TrustAnchor::named(ark(product)), Ok(TrustAnchor::Amd)));
            // An intermediate is no root of AMD's, so naming it can only ever give a test verdict.
            assert_eq!(TrustAnchor::named(ask(product)).map(|anchor| anchor.trust()), Ok(Trust::Test));
        }
    }
}
