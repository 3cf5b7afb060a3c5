//! What comes along with a report: certificates and revocation lists, as DER, from files of several shapes.

use crate::{Certificate, CertificateError, CrlError, HostTable, HostTableError, PemError, Thim, ThimError, snp::pem};

/// Certificates and lists that came with the evidence. Nothing in it is trusted for being here; roots never come this
/// way.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Collateral {
    /// VCEK or VLEK.
    pub vek: Option<Vec<u8>>,
    /// ASK or ASVK; without it the compiled-in ASK serves a VCEK of AMD's.
    pub intermediate: Option<Vec<u8>>,
    /// Lists the caller named. One that cannot be used rejects.
    pub crls: Vec<Vec<u8>>,
    /// Lists that came with the evidence: from the host's table, from a bundle. They count only as far as the root's
    /// signature carries them: one may revoke, and clear while it is current; one that cannot be used is ignored, so that
    /// whoever handed the evidence on cannot make anybody reject.
    pub host_crls: Vec<Vec<u8>>,
}

impl Collateral {
    /// Takes an endorsement certificate: DER, PEM (alone or as a chain), a host's certificate table, or Azure's THIM
    /// answer.
    ///
    /// # Errors
    /// [`CollateralError`].
    pub fn take_vek(&mut self, bytes: &[u8]) -> Result<(), CollateralError> {
        if HostTable::recognises(bytes) {
            let table = HostTable::parse(bytes)?;
            self.vek = Some(table.vek.ok_or(CollateralError::NoVek)?);
            if self.intermediate.is_none() {
                self.intermediate = table.intermediate;
            }
            self.host_crls = table.crl.into_iter().collect();
            return Ok(());
        }
        if Thim::recognises(bytes) {
            let thim = Thim::parse(bytes)?;
            self.vek = Some(thim.vek);
            if self.intermediate.is_none() {
                self.intermediate = thim.intermediate;
            }
            return Ok(());
        }
        if !pem::is_pem(bytes) {
            Certificate::parse(bytes)?;
            self.vek = Some(bytes.to_vec());
            return Ok(());
        }
        let (mut vek, mut intermediate) = (None, None);
        for der in pem::objects(bytes, "CERTIFICATE")? {
            let certificate = Certificate::parse(&der)?;
            let slot = match (certificate.vek_kind(), certificate.intermediate_kind()) {
                (Some(_), _) => &mut vek,
                (None, Some(_)) => &mut intermediate,
                // A root in the file is not looked at.
                (None, None) if certificate.subject().starts_with("ARK-") => continue,
                (None, None) => {
                    return Err(CollateralError::Stranger { subject: certificate.subject().to_owned() });
                }
            };
            if slot.replace(der).is_some() {
                return Err(CollateralError::Twice);
            }
        }
        self.vek = Some(vek.ok_or(CollateralError::NoVek)?);
        if self.intermediate.is_none() {
            self.intermediate = intermediate;
        }
        Ok(())
    }

    /// Takes an intermediate, DER or PEM; it goes before one that came with the endorsement certificate. AMD hands its
    /// intermediates out together with the root, as one PEM file: the root in it is not looked at.
    ///
    /// # Errors
    /// [`CollateralError`].
    pub fn take_intermediate(&mut self, bytes: &[u8]) -> Result<(), CollateralError> {
        let mut found = if pem::is_pem(bytes) { pem::objects(bytes, "CERTIFICATE")? } else { vec![bytes.to_vec()] };
        if found.len() > 1 {
            found.retain(|der| Certificate::parse(der).map_or(true, |c| !c.subject().starts_with("ARK-")));
        }
        let der = only(found)?;
        Certificate::parse(&der)?;
        self.intermediate = Some(der);
        Ok(())
    }

    /// Takes a revocation list, DER or PEM.
    ///
    /// # Errors
    /// [`CollateralError`].
    pub fn take_crl(&mut self, bytes: &[u8]) -> Result<(), CollateralError> {
        let der = if pem::is_pem(bytes) { only(pem::objects(bytes, "X509 CRL")?)? } else { bytes.to_vec() };
        crate::Crl::parse(&der)?;
        self.crls.push(der);
        Ok(())
    }
}

/// One certificate, DER or PEM.
///
/// # Errors
/// [`CollateralError`].
pub fn one_certificate(bytes: &[u8]) -> Result<Vec<u8>, CollateralError> {
    let der = if pem::is_pem(bytes) { only(pem::objects(bytes, "CERTIFICATE")?)? } else { bytes.to_vec() };
    Certificate::parse(&der)?;
    Ok(der)
}

fn only(objects: Vec<Vec<u8>>) -> Result<Vec<u8>, CollateralError> {
    let [only] = <[Vec<u8>; 1]>::try_from(objects).map_err(|_| CollateralError::Twice)?;
    Ok(only)
}

/// A file that holds not what it should.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralError {
    /// Not a certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Not a revocation list.
    #[error(transparent)]
    Crl(#[from] CrlError),
    /// Not PEM, or not of that kind.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Not a certificate table.
    #[error(transparent)]
    HostTable(#[from] HostTableError),
    /// Not a THIM answer.
    #[error(transparent)]
    Thim(#[from] ThimError),
    /// No endorsement certificate inside.
    #[error("holds no VCEK and no VLEK")]
    NoVek,
    /// Several where one is meant.
    #[error("holds several objects of one kind")]
    Twice,
    /// A certificate of somebody else.
    #[error("holds a certificate of \"{subject}\", which is none of AMD's kinds")]
    Stranger {
        /// Subject common name.
        subject: String,
    },
}

impl CollateralError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Certificate(error) => error.fix(),
            Self::Crl(error) => error.fix(),
            Self::Pem(_) | Self::Twice | Self::Stranger { .. } => "give one object of the kind asked for, DER or PEM",
            Self::HostTable(_) => "read the table from the host again, or give the certificates one by one",
            Self::Thim(_) => "ask Azure's metadata service again and save the whole answer",
            Self::NoVek => "give the VCEK or VLEK certificate",
        }
    }
}
