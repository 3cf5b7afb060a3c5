//! Certificates and revocation lists, and the files they come in.

use super::{Fields, Part, ShowError};
use crate::{Certificate, Crl, HostTable, Thim, Vek, clock, snp::pem};

/// One DER object: a certificate or a revocation list.
pub(super) fn object(der: &[u8]) -> Result<Part, ShowError> {
    match (Certificate::parse(der), Crl::parse(der)) {
        (Ok(certificate), _) => Ok(describe(&certificate)),
        (_, Ok(crl)) => Ok(list(&crl)),
        (Err(error), _) => Err(ShowError::new(der, format!("none of the forms known here; as a certificate: {error}"))),
    }
}

/// Certificates and lists of a PEM file.
pub(super) fn pem(bytes: &[u8]) -> Result<Vec<Part>, ShowError> {
    let mut parts = Vec::new();
    for label in ["CERTIFICATE", "X509 CRL"] {
        match pem::objects(bytes, label) {
            Ok(objects) => parts.extend(objects.iter().map(|der| object(der)).collect::<Result<Vec<_>, _>>()?),
            Err(crate::PemError::None { .. }) => {}
            Err(error) => return Err(ShowError::new(bytes, error)),
        }
    }
    if parts.is_empty() { Err(ShowError::new(bytes, "PEM without certificate or revocation list")) } else { Ok(parts) }
}

/// A host's table. A root in it is not shown: nobody should take one from there.
pub(super) fn table(bytes: &[u8]) -> Result<Vec<Part>, ShowError> {
    let table = HostTable::parse(bytes).map_err(|error| ShowError::new(bytes, error))?;
    [table.vek, table.intermediate, table.crl].into_iter().flatten().map(|der| object(&der)).collect()
}

/// Azure's answer.
pub(super) fn thim(bytes: &[u8]) -> Result<Vec<Part>, ShowError> {
    let thim = Thim::parse(bytes).map_err(|error| ShowError::new(bytes, error))?;
    [Some(thim.vek), thim.intermediate].into_iter().flatten().map(|der| object(&der)).collect()
}

fn describe(certificate: &Certificate<'_>) -> Part {
    let mut fields = Fields::default();
    fields.add(None, "subject", certificate.subject(), "");
    fields.add(None, "issuer", certificate.issuer(), "");
    fields.add(None, "serial", hex::encode(certificate.serial()), "");
    let (from, to) = certificate.validity();
    fields.add(None, "valid from", clock::text(from), "");
    fields.add(None, "valid to", clock::text(to), "");
    fields.add(None, "SHA-256", hex::encode(certificate.fingerprint()), "");
    let pinned =
        crate::Product::ALL.into_iter().find(|product| crate::roots::ark_pin(*product) == certificate.fingerprint());
    if let Some(product) = pinned {
        fields.add(None, "pinned", format!("AMD's root of {product}"), "");
    }
    if let Some((product, kind)) = certificate.intermediate_kind()
        && crate::roots::is_pinned(certificate.der(), product, kind)
    {
        fields.add(None, "pinned", format!("AMD's {} of {product}", kind.issuer()), "");
    }
    if let (Some(kind), Some((product, _))) = (certificate.vek_kind(), certificate.issued_by()) {
        match Vek::decode(certificate, product, kind) {
            Ok(vek) => {
                fields.add(None, "kind", kind, format!("of {product}"));
                fields.add(None, "public key", hex::encode(vek.point()), "P-384, uncompressed");
                fields.add(None, "TCB", vek.tcb(), "the levels that the key is derived from");
                if let Some(hwid) = vek.hwid() {
                    fields.add(None, "HWID", hex::encode(hwid), "the chip");
                }
                if let Some(csp_id) = vek.csp_id() {
                    fields.add(None, "CSP_ID", csp_id, "the cloud provider");
                }
            }
            Err(error) => fields.add(None, "profile", error, "not as AMD issues endorsement certificates"),
        }
    }
    for (oid, critical, value) in certificate.extensions() {
        fields.add(None, format!("extension {oid}"), hex::encode(value), if critical { "critical" } else { "" });
    }
    Part { title: format!("certificate, {} bytes", certificate.der().len()), fields: fields.0 }
}

fn list(crl: &Crl<'_>) -> Part {
    let mut fields = Fields::default();
    fields.add(None, "issuer", crl.issuer(), "");
    let (this, next) = crl.updates();
    fields.add(None, "this update", clock::text(this), "");
    fields.add(None, "next update", next.map_or("none".into(), clock::text), "");
    for serial in crl.serials() {
        fields.add(None, "revoked serial", hex::encode(serial), "");
    }
    Part { title: "revocation list".into(), fields: fields.0 }
}
