//! Which certificate a report needs, and whether a given one is it. The words of the evidence are the verifier's: no
//! second reading of reports or certificates lives here.

use attestation_verifier::{
    Authority, Certificate, CertificateError, Product, Report, Ring, SignedReport, Tcb, Vek, VekKind as Kind,
};

use super::CollateralError;
use crate::{Der, VekKind};

/// Product, key, chip and firmware levels of a report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Subject {
    pub(crate) product: Product,
    pub(crate) kind: VekKind,
    /// CHIP_ID as the HWID extension has it; none where the host masks it, and beside every VLEK.
    pub(crate) hwid: Option<Vec<u8>>,
    pub(crate) tcb: Tcb,
    /// REPORTED_TCB as it stands in the report: the cache's key.
    pub(crate) tcb_bytes: [u8; 8],
}

/// Certificates that fit each other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Issuers {
    /// ASK or ASVK.
    pub(crate) intermediate: Der,
    /// ARK.
    pub(crate) root: Der,
}

impl Subject {
    /// Reads a report. Its signature is the verifier's business. `product` serves reports of version 2, which do not
    /// name theirs.
    pub(crate) fn of(report: &[u8], product: Option<Product>) -> Result<Self, CollateralError> {
        let unread = |error: attestation_verifier::ReportError| CollateralError::Report(error.to_string());
        let signed = SignedReport::parse(report).map_err(unread)?;
        let named = Report::check_shape(&signed).map_err(unread)?;
        let product = named.or(product).ok_or(CollateralError::UnknownProduct)?;
        let report = Report::decode(signed, product).map_err(unread)?;
        let kind = match report.key_info().signing_key {
            Some(Kind::Vcek) => VekKind::Vcek,
            Some(Kind::Vlek) => VekKind::Vlek,
            None => return Err(CollateralError::Report("it says that no key signed it".into())),
        };
        let hwid = (kind == VekKind::Vcek && !report.chip_id_masked())
            .then(|| report.chip_id().iter().take(product.hwid_length()).copied().collect());
        let mut tcb_bytes = [0; 8];
        for (slot, byte) in tcb_bytes.iter_mut().zip(signed.bytes().iter().skip(0x180)) {
            *slot = *byte;
        }
        Ok(Self { product, kind, hwid, tcb: report.reported_tcb(), tcb_bytes })
    }

    /// Is `vek` the certificate of this chip at these levels, signed by that intermediate?
    pub(crate) fn check_vek(&self, vek: &Der, issuers: &Issuers) -> Result<(), String> {
        let says = |error: CertificateError| format!("{}: {error}", self.kind_name());
        let certificate = Certificate::parse(vek.as_bytes()).map_err(says)?;
        let kind = self.kind_of_verifier();
        if certificate.vek_kind() != Some(kind) || certificate.issued_by() != Some((self.product, kind)) {
            let (subject, issuer) = (certificate.subject(), certificate.issuer());
            return Err(format!("\"{subject}\" by \"{issuer}\" is no {kind} of {}", self.product));
        }
        let intermediate = Certificate::parse(issuers.intermediate.as_bytes()).map_err(says)?;
        certificate.check_issued_by(&intermediate, &Ring).map_err(says)?;
        let read = Vek::decode(&certificate, self.product, kind).map_err(says)?;
        if let Some((part, found, wanted)) = read.tcb().first_difference(&self.tcb) {
            let name = part.name();
            return Err(format!("the {kind} is for {name} {found}, the report says {name} {wanted}"));
        }
        match (&self.hwid, read.hwid()) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                Err(format!("the {kind} is of chip {}, the report of {}", hex::encode(theirs), hex::encode(ours)))
            }
            _ => Ok(()),
        }
    }

    /// Do these issue such certificates, and is the upper one a root?
    pub(crate) fn check_issuers(&self, issuers: &Issuers) -> Result<(), String> {
        let kind = self.kind_of_verifier();
        let says = |what: &'static str| move |error: CertificateError| format!("{what}: {error}");
        let intermediate = Certificate::parse(issuers.intermediate.as_bytes()).map_err(says(kind.issuer()))?;
        if intermediate.intermediate_kind() != Some((self.product, kind)) {
            return Err(format!("\"{}\" is not the {} of {}", intermediate.subject(), kind.issuer(), self.product));
        }
        let root = Certificate::parse(issuers.root.as_bytes()).map_err(says("ARK"))?;
        if root.subject() != format!("ARK-{}", self.product) {
            return Err(format!("\"{}\" is not the ARK of {}", root.subject(), self.product));
        }
        root.check_issued_by(&root, &Ring).map_err(says("ARK"))?;
        intermediate.check_issued_by(&root, &Ring).map_err(says(kind.issuer()))?;
        intermediate.check_authority(Authority::Intermediate).map_err(says(kind.issuer()))
    }

    /// The product that a VEK of unknown origin names, for reports that do not.
    pub(crate) fn product_of(vek: &Der) -> Option<Product> {
        Certificate::parse(vek.as_bytes()).ok()?.issued_by().map(|(product, _)| product)
    }

    /// `VCEK` or `VLEK`.
    pub(crate) fn kind_name(&self) -> &'static str {
        self.kind_of_verifier().name()
    }

    /// `ASK` or `ASVK`.
    pub(crate) fn issuer_name(&self) -> &'static str {
        self.kind_of_verifier().issuer()
    }

    /// `vcek` or `vlek`, as paths of AMD's service and names of files have it.
    pub(crate) fn word(&self) -> &'static str {
        match self.kind {
            VekKind::Vcek => "vcek",
            VekKind::Vlek => "vlek",
        }
    }

    fn kind_of_verifier(&self) -> Kind {
        match self.kind {
            VekKind::Vcek => Kind::Vcek,
            VekKind::Vlek => Kind::Vlek,
        }
    }
}
