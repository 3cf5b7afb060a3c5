//! A simulated machine with a virtual TPM of each kind: quotes, Azure's blob, an SVSM's manifest, all with any lie.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;

use attestation_verifier::{
    BootKind, BundleQuestion, Paravisor, Policy, RegisterSet, Release, Releases, Ring, TrustAnchor, Verdict,
    appraise_bundle,
};
use evidence::{
    bundle::{Bundle, CarriedQuote, CarriedReport, EndorsedReport, Fresh},
    core::{Core, Vtpm},
    merkle,
    report_data::{Nonce, Purpose, core_register, quote_data, report_data},
    state::evidence_message,
};
use rsa::rand_core::OsRng;
use software_psp::{
    ClaimsHash, QuoteKey, QuoteRequest, ReportRequest, hcl_blob, manifest_report_data, runtime_claims,
    services_manifest,
};

use crate::boot::{Boot, NONCE, at, chip, core, key, sign};

/// A machine, its keys and one boot of it.
pub(crate) struct Quoted {
    pub(crate) boot: Boot,
    pub(crate) ak: QuoteKey,
    pub(crate) ek: QuoteKey,
}

/// What its paravisor is.
pub(crate) const ID_KEY: [u8; 48] = [0x1d; 48];
pub(crate) const GUEST_SVN: u32 = 12;
/// What its SVSM measures, which is never what a direct boot does.
pub(crate) const SVSM_DIGEST: [u8; 48] = [0x53; 48];

impl Quoted {
    /// On a host that runs the vTPM.
    pub(crate) fn host() -> Self {
        Self::with_core("host", "host", QuoteKey::p256(&mut OsRng), |_| {})
    }

    /// Below an SVSM.
    pub(crate) fn svsm() -> Self {
        Self::with_core("svsm", "svsm", QuoteKey::p256(&mut OsRng), |_| {})
    }

    /// On Azure.
    pub(crate) fn azure() -> Self {
        Self::with_core("paravisor", "paravisor", rsa_key("ak"), |_| {})
    }

    pub(crate) fn with_core(
        boot: &'static str,
        kind: &'static str,
        ak: QuoteKey,
        change: impl FnOnce(&mut Core),
    ) -> Self {
        let mut core = Core { boot, ..core() };
        core.vtpm = Vtpm { kind, ak_name: Some(ak.name()), ak_spki: Some(ak.spki().unwrap()), ek_name: None };
        change(&mut core);
        Self { boot: Boot::of(core), ak, ek: rsa_key("ek") }
    }

    /// A quote over Q of this RD, with a change before it is signed.
    pub(crate) fn quote(&self, rd: &[u8; 64], change: impl FnOnce(&mut QuoteRequest)) -> CarriedQuote {
        self.quote_by(&self.ak, rd, change)
    }

    pub(crate) fn quote_by(
        &self,
        by: &QuoteKey,
        rd: &[u8; 64],
        change: impl FnOnce(&mut QuoteRequest),
    ) -> CarriedQuote {
        let mut request = QuoteRequest::new(quote_data(rd), core_register(&self.boot.c));
        change(&mut request);
        let attest = request.attest(by);
        CarriedQuote { signature: by.sign(&attest), attest, pcrs: request.registers }
    }

    pub(crate) fn boot_quote(&self, change: impl FnOnce(&mut QuoteRequest)) -> CarriedQuote {
        self.quote(&self.boot.boot_rd(), change)
    }

    /// RD of the answer to [`NONCE`], last of three.
    pub(crate) fn fresh_rd(&self) -> [u8; 64] {
        report_data(&merkle::root(&leaves()), 3, &self.boot.c, &self.boot.heads[1])
    }

    pub(crate) fn manifest(&self) -> Vec<u8> {
        services_manifest(&self.ek)
    }

    /// REPORT_DATA over this RD, and the possession of it.
    fn report(&self, data: [u8; 64], rd: &[u8; 64], change: impl FnOnce(&mut ReportRequest)) -> CarriedReport {
        let mut carried = self.boot.report(data, |request| {
            request.id_key_digest = ID_KEY;
            if self.boot.core.boot == "svsm" {
                request.measurement = SVSM_DIGEST;
            }
            (request.family_id, request.image_id, request.guest_svn) = ([4; 16], [5; 16], GUEST_SVN);
            change(request);
        });
        carried.possession = sign(&key(1), &evidence_message(&self.boot.c, rd));
        carried
    }

    /// The good bundle of the machine's kind.
    pub(crate) fn bundle(&self) -> Bundle {
        let (boot_rd, fresh_rd) = (self.boot.boot_rd(), self.fresh_rd());
        let mut bundle = self.boot.bundle();
        bundle.quote = Some(self.boot_quote(|_| {}));
        let data = |rd: &[u8; 64]| match self.boot.core.boot {
            "svsm" => manifest_report_data(rd, &self.manifest()),
            _ => *rd,
        };
        bundle.boot = self.report(data(&boot_rd), &boot_rd, |_| {});
        bundle.svsm_manifest = (self.boot.core.boot == "svsm").then(|| self.manifest());
        let CarriedReport { report, vek, possession } = self.report(data(&fresh_rd), &fresh_rd, |_| {});
        bundle.fresh = Some(Fresh {
            report: Some(EndorsedReport { report, vek }),
            quote: Some(self.quote(&fresh_rd, |_| {})),
            possession,
            purpose: Purpose::Client,
            nonce: Nonce::new(NONCE.to_vec()).unwrap(),
            index: 2,
            count: 3,
            path: merkle::path(&leaves(), 2).unwrap(),
        });
        if self.boot.core.boot == "paravisor" {
            let claims = runtime_claims(&self.ak, Some(&self.ek), &boot_rd);
            self.put_claims(&mut bundle, claims.as_bytes(), ClaimsHash::Sha256, None);
            bundle.fresh.as_mut().unwrap().report = None;
        }
        bundle
    }

    /// A boot report over these claims, and the blob that holds both.
    pub(crate) fn put_claims(&self, bundle: &mut Bundle, claims: &[u8], hash: ClaimsHash, capabilities: Option<u32>) {
        bundle.boot = self.report(hash.report_data(claims), &self.boot.boot_rd(), |_| {});
        let report: [u8; 1184] = bundle.boot.report.clone().try_into().unwrap();
        bundle.hcl = Some(hcl_blob(&report, claims, hash, capabilities));
    }

    /// A release that is what this machine measures.
    pub(crate) fn release(&self) -> Release {
        let registers = |boot| RegisterSet {
            name: "uki".to_owned(),
            boot,
            values: [4, 7, 11, 12, 13, 14].map(|register| [register; 32]),
            grub: None,
        };
        Release {
            name: "1.0".to_owned(),
            code_hash: [0xc0; 32],
            git_commit: [0x91; 20],
            launch_digests: vec![[0; 48]],
            svsm_digests: vec![SVSM_DIGEST],
            paravisors: vec![Paravisor {
                id_key: ID_KEY,
                family_id: [4; 16],
                image_id: [5; 16],
                min_guest_svn: GUEST_SVN,
            }],
            registers: [BootKind::Svsm, BootKind::Paravisor, BootKind::Host].map(registers).to_vec(),
            policy: None,
            script: None,
            provenance: vec![],
        }
    }
}

fn leaves() -> Vec<evidence::Digest> {
    [[0xa0; 32], [0xa1; 32], NONCE].map(|nonce| Nonce::new(nonce.to_vec()).unwrap().leaf(Purpose::Client)).to_vec()
}

/// RSA keys take long to make, so they are kept between tests.
fn rsa_key(name: &str) -> QuoteKey {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("quote-key-{name}-v1"));
    if let Ok(key) = QuoteKey::rsassa_from_pkcs8(&std::fs::read(&path).unwrap_or_default()) {
        return key;
    }
    let key = QuoteKey::rsassa(&mut OsRng).unwrap();
    let draft = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(draft.path(), key.to_pkcs8().unwrap()).unwrap();
    // Whoever is first decides.
    match draft.persist_noclobber(&path) {
        Ok(_) => key,
        Err(_) => QuoteKey::rsassa_from_pkcs8(&std::fs::read(&path).unwrap()).unwrap(),
    }
}

/// Releases that are believed as they are.
pub(crate) fn known(known: &[Release]) -> Releases<'_> {
    Releases { known, ..Releases::default() }
}

/// Judges under the chip's root, asking for [`NONCE`].
pub(crate) fn judge_by(bundle: &Bundle, releases: &[Release]) -> Verdict {
    judge_under(bundle, releases, &Policy::strict())
}

pub(crate) fn judge_under(bundle: &Bundle, releases: &[Release], policy: &Policy) -> Verdict {
    let bytes = bundle.to_bytes().unwrap();
    let anchor = TrustAnchor::named(chip().ark()).unwrap();
    let question =
        BundleQuestion { bundle: &bytes, anchor: &anchor, nonce: Some(&NONCE), crls: &[], releases: known(releases) };
    appraise_bundle(question, policy, at(), &Ring).verdict
}
