//! Chips and providers of all three products, with authorities whose keys are kept between tests.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;

use attestation_verifier::{Collateral, Policy, Question, Ring, TrustAnchor, Verdict, appraise_report};
use evidence::UnixSeconds;
use rsa::{
    RsaPrivateKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey},
    rand_core::OsRng,
};
use software_psp::{
    Authority, Body, ChipId, CrlRequest, Extension, Intermediate, Product, ReportRequest, Tcb, Vek, VekKind, VekRequest,
};
use time::{OffsetDateTime, macros::datetime};

/// When verdicts are asked for.
pub(crate) const NOW: OffsetDateTime = datetime!(2026-06-01 0:00 UTC);
/// The provider of the VLEKs.
pub(crate) const PROVIDER: &str = "CN=cc-us-east-2.amazonaws.com";

/// An authority with one chip and one provider.
pub(crate) struct Silicon {
    pub(crate) product: Product,
    pub(crate) authority: Authority,
    pub(crate) chip: ChipId,
    vcek: Vek,
    vlek: Vek,
}

impl Silicon {
    pub(crate) fn new(product: Product) -> Self {
        let from = datetime!(2026-01-01 0:00 UTC);
        let authority = Authority::from_keys(product, rsa_key("ark"), rsa_key("ask"), from, &mut OsRng).unwrap();
        let authority = authority.with_asvk_key(rsa_key("asvk"), from, &mut OsRng).unwrap();
        let chip = ChipId::new(product, [0xC1; 64]);
        let request = |kind| VekRequest {
            kind,
            tcb: Tcb::recent(product),
            chip_id: chip,
            csp_id: PROVIDER.into(),
            not_before: from,
        };
        let vcek = authority.vek(&request(VekKind::Vcek), &mut OsRng).unwrap();
        let vlek = authority.vek(&request(VekKind::Vlek), &mut OsRng).unwrap();
        Self { product, authority, chip, vcek, vlek }
    }

    /// An honest report before it is signed.
    pub(crate) fn body(&self, version: u32) -> Body {
        ReportRequest::new(self.product, version, self.chip, [0x5A; 64]).body()
    }

    /// The same for the provider's key.
    pub(crate) fn body_of_provider(&self, version: u32) -> Body {
        let request = ReportRequest::new(self.product, version, ChipId::MASKED, [0x5A; 64]);
        ReportRequest { signer: VekKind::Vlek, ..request }.body()
    }

    pub(crate) fn judge(&self, kind: VekKind, body: &Body, policy: &Policy) -> Verdict {
        self.judge_with(kind, body, policy, &[], NOW)
    }

    /// With revocation lists, at a time.
    pub(crate) fn judge_with(
        &self,
        kind: VekKind,
        body: &Body,
        policy: &Policy,
        crls: &[Vec<u8>],
        at: OffsetDateTime,
    ) -> Verdict {
        self.judge_beside(kind, body, policy, crls, &[], at)
    }

    /// The same with lists that only the host handed along.
    pub(crate) fn judge_beside(
        &self,
        kind: VekKind,
        body: &Body,
        policy: &Policy,
        crls: &[Vec<u8>],
        host_crls: &[Vec<u8>],
        at: OffsetDateTime,
    ) -> Verdict {
        let (vek, which) = match kind {
            VekKind::Vcek => (&self.vcek, Intermediate::Ask),
            VekKind::Vlek => (&self.vlek, Intermediate::Asvk),
        };
        let collateral = Collateral {
            vek: Some(vek.der().to_vec()),
            intermediate: self.authority.intermediate(which).map(<[u8]>::to_vec),
            crls: crls.to_vec(),
            host_crls: host_crls.to_vec(),
        };
        let anchor = TrustAnchor::named(self.authority.ark()).unwrap();
        let evidence = vek.sign(body);
        let question = Question { evidence: &evidence, collateral: &collateral, anchor: &anchor, report_data: None };
        let at = UnixSeconds(u64::try_from(at.unix_timestamp()).unwrap());
        appraise_report(question, policy, at, &Ring).verdict
    }

    /// A list by this root.
    pub(crate) fn list(
        &self,
        number: u64,
        dates: (OffsetDateTime, OffsetDateTime),
        revoked: &[Intermediate],
    ) -> Vec<u8> {
        self.list_with(number, dates, revoked, &[], &[])
    }

    /// The same with extensions of each entry and of the list.
    pub(crate) fn list_with(
        &self,
        number: u64,
        (this_update, next_update): (OffsetDateTime, OffsetDateTime),
        revoked: &[Intermediate],
        of_entries: &[Extension],
        of_list: &[Extension],
    ) -> Vec<u8> {
        let revoked = revoked.iter().map(|which| self.authority.serial(*which)).collect();
        let request = CrlRequest { number, this_update, next_update, revoked };
        self.authority.crl_with(&request, of_entries, of_list, &mut OsRng).unwrap()
    }
}

/// A key that takes seconds to make, kept between tests.
pub(crate) fn rsa_key(name: &str) -> RsaPrivateKey {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let path = dir.join(format!("rsa-4096-{name}-v1.der"));
    if let Ok(der) = std::fs::read(&path) {
        return RsaPrivateKey::from_pkcs8_der(&der).unwrap();
    }
    // Whoever is last moves a finished one into place; the name decides which one everybody reads afterwards.
    let key = RsaPrivateKey::new(&mut OsRng, 4096).unwrap();
    let draft = tempfile::NamedTempFile::new_in(&dir).unwrap();
    std::fs::write(draft.path(), key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
    match draft.persist_noclobber(&path) {
        Ok(_) => key,
        Err(_) => RsaPrivateKey::from_pkcs8_der(&std::fs::read(&path).unwrap()).unwrap(),
    }
}
