//! Bundles with quotes: each kind of key, each kind of vTPM, each product with both kinds of endorsement key; then one
//! lie after another.

use std::{fs, path::Path};

use evidence::{
    bundle::{Bundle, CarriedQuote, CarriedReport, CarriedState, EndorsedReport, Fresh, VekKind},
    core::{Claims, Core, Platform, Recovery, Vtpm, core_digest},
    hash,
    hmac_chain::{HmacChain, LENGTH},
    merkle,
    report_data::{Nonce, Purpose, core_register, quote_data, report_data, report_data_without_nonce},
    state::{evidence_message, state_digest, state_message},
    tag,
};
use ring::signature::KeyPair;
use rsa::rand_core::OsRng;
use software_psp::{
    Body, ChipId, ClaimsHash, Intermediate, QuoteKey, QuoteRequest, ReportRequest, SIGNED_LENGTH, Tcb, Vek,
    VekKind as PspVek, VekRequest, hcl_blob, manifest_report_data, runtime_claims, services_manifest,
};
use time::macros::datetime;

use crate::{Boot, Outcome, sign, state};

/// Keys of one machine's vTPM.
struct Keys {
    rsassa: QuoteKey,
    rsapss: QuoteKey,
    p256: QuoteKey,
    p384: QuoteKey,
    /// Signs what it should not, and is the endorsement key.
    other: QuoteKey,
}

/// One bundle: what kind of machine made it, and what of it is not as it should be.
struct Case {
    name: &'static str,
    boot: &'static str,
    kind: &'static str,
    ak: fn(&Keys) -> &QuoteKey,
    /// Who signs the boot's quote.
    signer: fn(&Keys) -> &QuoteKey,
    core: fn(&mut Core, &Keys),
    quote: fn(&mut QuoteRequest),
    carried: fn(&mut CarriedQuote),
    fresh_quote: fn(&mut QuoteRequest),
    fresh_report: fn(&mut ReportRequest),
    purpose: Purpose,
    hash: ClaimsHash,
    capabilities: Option<u32>,
    claims: fn(&Keys, &[u8; 64]) -> String,
    manifest: fn(&mut Vec<u8>),
    bundle: fn(&mut Bundle),
}

impl Case {
    fn host(name: &'static str) -> Self {
        Self {
            name,
            boot: "host",
            kind: "host",
            ak: |keys| &keys.p256,
            signer: |keys| &keys.p256,
            core: |_, _| {},
            quote: |_| {},
            carried: |_| {},
            fresh_quote: |_| {},
            fresh_report: |_| {},
            purpose: Purpose::Client,
            hash: ClaimsHash::Sha256,
            capabilities: None,
            claims: |keys, rd| runtime_claims(&keys.rsassa, Some(&keys.other), rd),
            manifest: |_| {},
            bundle: |_| {},
        }
    }

    fn azure(name: &'static str) -> Self {
        let ak: fn(&Keys) -> &QuoteKey = |keys| &keys.rsassa;
        Self { boot: "paravisor", kind: "paravisor", ak, signer: ak, ..Self::host(name) }
    }

    fn svsm(name: &'static str) -> Self {
        Self { boot: "svsm", kind: "svsm", ..Self::host(name) }
    }

    fn quote(name: &'static str, quote: fn(&mut QuoteRequest)) -> Self {
        Self { quote, ..Self::host(name) }
    }

    fn carried(name: &'static str, carried: fn(&mut CarriedQuote)) -> Self {
        Self { carried, ..Self::host(name) }
    }

    fn claims(name: &'static str, claims: fn(&Keys, &[u8; 64]) -> String) -> Self {
        Self { claims, ..Self::azure(name) }
    }

    fn blob(name: &'static str, bundle: fn(&mut Bundle)) -> Self {
        Self { bundle, ..Self::azure(name) }
    }

    fn says(name: &'static str, boot: &'static str, kind: &'static str) -> Self {
        Self { boot, kind, ..Self::host(name) }
    }
}

/// Good bundles of one product by each kind of endorsement key, with a revocation list of its root.
pub(crate) fn products(dir: &Path, boot: &Boot) -> Outcome<()> {
    let product = boot.psp.product().name().to_lowercase();
    let keys = Keys::make()?;
    let request = VekRequest {
        kind: PspVek::Vlek,
        tcb: Tcb::recent(boot.psp.product()),
        chip_id: ChipId([0; 64]),
        csp_id: "CN=cc-us-east-2.amazonaws.com".to_owned(),
        not_before: datetime!(2026-05-01 0:00 UTC),
    };
    let vlek = boot.psp.authority().vek(&request, &mut OsRng)?;
    let list = |revoked: Vec<u64>| {
        let (this_update, next_update) = (datetime!(2026-01-01 0:00 UTC), datetime!(2026-12-31 0:00 UTC));
        let request = software_psp::CrlRequest { number: 1, this_update, next_update, revoked };
        boot.psp.authority().crl(&request, &mut OsRng)
    };
    let asvk = boot.psp.authority().intermediate(Intermediate::Asvk).ok_or("an ASVK")?.to_vec();
    let serials = [Intermediate::Ask, Intermediate::Asvk].map(|which| boot.psp.authority().serial(which));
    for (vek, other) in [(PspVek::Vcek, 1), (PspVek::Vlek, 0)] {
        let mut bundle = Case::host("").make(boot, &keys, (vek == PspVek::Vlek).then_some(&vlek))?;
        let word = if vek == PspVek::Vlek {
            (bundle.vek_kind, bundle.intermediate) = (VekKind::Vlek, asvk.clone());
            "vlek"
        } else {
            "vcek"
        };
        let mut write = |case: &str, crls| -> Outcome<()> {
            bundle.crls = crls;
            Ok(fs::write(dir.join(format!("{case}-{product}-{word}.json")), bundle.to_bytes()?)?)
        };
        write("0-good", Vec::new())?;
        // A list may name the other intermediate.
        write("0-other-revoked", vec![list(vec![serials[other]])?])?;
        write("4-revoked", vec![list(vec![serials[1 - other]])?])?;
        // A list names a serial number, not a certificate of its own kind.
        write("4-both-revoked", vec![list(Vec::new())?, list(serials.to_vec())?])?;
    }
    Ok(())
}

/// What of quotes, claims and manifests can be right and wrong.
pub(crate) fn faults(dir: &Path, boot: &Boot) -> Outcome<()> {
    let keys = Keys::make()?;
    for case in cases().into_iter().chain(azure_cases()).chain(svsm_cases()) {
        let bundle = case.make(boot, &keys, None)?;
        fs::write(dir.join(format!("{}.json", case.name)), bundle.to_bytes()?)?;
    }
    // A certificate of the same key, issued on another day; and another key for the same chip and firmware level.
    let mut bundle = Case::host("").make(boot, &keys, None)?;
    let issued = boot.psp.vcek_issued(datetime!(2026-02-01 0:00 UTC), &mut OsRng)?;
    fresh_report(&mut bundle)?.vek = issued.der().to_vec();
    fs::write(dir.join("0-same-key-issued-anew.json"), bundle.to_bytes()?)?;
    let request = VekRequest {
        kind: PspVek::Vcek,
        tcb: Tcb::recent(boot.psp.product()),
        chip_id: boot.psp.chip_id(),
        csp_id: String::new(),
        not_before: datetime!(2026-01-01 0:00 UTC),
    };
    let second = boot.psp.authority().vek(&request, &mut OsRng)?;
    let report = fresh_report(&mut bundle)?;
    let mut body = Body([0; SIGNED_LENGTH]);
    body.put(0, report.report.get(..SIGNED_LENGTH).ok_or("a report")?);
    (report.report, report.vek) = (second.sign(&body).to_vec(), second.der().to_vec());
    fs::write(dir.join("6-second-key-of-one-chip.json"), bundle.to_bytes()?)?;
    Ok(())
}

fn cases() -> Vec<Case> {
    let key = |name, ak: fn(&Keys) -> &QuoteKey| Case { ak, signer: ak, ..Case::host(name) };
    let fresh = |name, fresh_quote: fn(&mut QuoteRequest)| Case { fresh_quote, ..Case::host(name) };
    let report = |name, fresh_report: fn(&mut ReportRequest)| Case { fresh_report, ..Case::host(name) };
    vec![
        key("0-quote-rsassa", |keys| &keys.rsassa),
        key("0-quote-rsapss", |keys| &keys.rsapss),
        key("0-quote-p256", |keys| &keys.p256),
        key("0-quote-p384", |keys| &keys.p384),
        Case::quote("0-quote-with-grub", |request| {
            request.registers.extend([(8, [8; 32]), (9, [9; 32])]);
            request.registers.sort_unstable();
        }),
        Case { bundle: |bundle| bundle.event_log = Some(b"log".to_vec()), ..Case::host("0-event-log") },
        Case { bundle: |bundle| clear_fresh_quote(bundle), ..Case::host("0-fresh-report-alone") },
        Case { signer: |keys| &keys.other, ..Case::host("3-quote-of-another-key") },
        Case { signer: |keys| &keys.rsapss, ..key("3-quote-of-another-rsa-key", |keys| &keys.rsassa) },
        Case::carried("2-quote-signature-cut", |quote| quote.signature.truncate(30)),
        Case::carried("2-quote-signature-longer", |quote| quote.signature.push(0)),
        Case::carried("2-quote-signature-unknown", |quote| quote.signature[0] = 9),
        Case::carried("3-quote-signature-flipped", |quote| {
            if let Some(last) = quote.signature.last_mut() {
                *last ^= 1;
            }
        }),
        Case::carried("3-quote-flipped", |quote| quote.attest[60] ^= 1),
        Case::carried("3-quote-magic-flipped-unsigned", |quote| quote.attest[0] ^= 1),
        Case::quote("6-quote-magic", |request| request.magic ^= 1),
        Case::quote("6-quote-type", |request| request.kind = 0x8017),
        Case::quote("6-quote-bank", |request| request.bank = 4),
        Case::quote("6-quote-no-register", |request| request.registers.clear()),
        Case::quote("6-quote-extra-data", |request| request.extra_data[0] ^= 1),
        Case::quote("6-quote-extra-data-longer", |request| request.extra_data.push(0)),
        Case::quote("2-quote-extra-data-too-long", |request| request.extra_data.resize(67, 0)),
        Case::quote("6-register-missing", |request| _ = request.registers.remove(0)),
        Case::quote("6-register-too-many", |request| request.registers.insert(0, (0, [0; 32]))),
        Case::quote("6-register-8-without-9", |request| request.registers.insert(2, (8, [0; 32]))),
        Case::quote("6-register-15-not-signed", |request| _ = request.registers.pop()),
        Case::quote("6-register-15-empty", |request| request.registers[6].1 = [0; 32]),
        Case::quote("6-register-15-of-another-core", |request| request.registers[6].1 = core_register(&[9; 32])),
        Case::carried("6-register-changed", |quote| quote.pcrs[0].1[0] ^= 1),
        Case::carried("6-register-left-out", |quote| _ = quote.pcrs.pop()),
        Case::carried("6-register-added", |quote| quote.pcrs.insert(0, (0, [0; 32]))),
        fresh("6-fresh-quote-extra-data", |request| request.extra_data[0] ^= 1),
        fresh("6-fresh-register-15", |request| request.registers[6].1 = [0; 32]),
        fresh("0-fresh-register-11-moved", |request| request.registers[2].1 = [0xee; 32]),
        Case { bundle: replay_quote, ..Case::host("6-fresh-quote-replayed") },
        Case { bundle: clear_fresh_report, ..Case::host("6-fresh-quote-alone") },
        Case { purpose: Purpose::Peer, ..Case::host("6-fresh-for-a-peer") },
        report("6-fresh-of-another-run", |request| request.report_id = [0x2d; 32]),
        report("6-fresh-of-another-measurement", |request| request.measurement = [1; 48]),
        report("6-fresh-of-another-host-data", |request| request.host_data = [1; 32]),
        report("6-fresh-of-another-svn", |request| request.guest_svn = 7),
        report("6-fresh-of-another-family", |request| request.family_id = [7; 16]),
        report("6-fresh-of-another-id-key", |request| request.id_key_digest = [7; 48]),
        report("6-fresh-of-another-policy", |request| request.policy &= !(1 << 16)),
        Case { bundle: |bundle| bundle.quote = None, ..Case::host("6-key-without-quote") },
        Case { core: |core, _| forget_key(core), ..Case::host("6-quote-without-key") },
        Case { core: |core, _| core.vtpm.ak_spki = None, ..Case::host("6-name-without-key") },
        Case { core: |core, _| core.vtpm.ak_spki = Some(vec![0x30; 91]), ..Case::host("2-key-that-is-none") },
        Case { core: |core, _| trailing_byte(core), ..Case::host("2-key-with-a-byte-more") },
        Case::says("6-host-says-paravisor", "host", "paravisor"),
        Case::says("6-host-says-svsm", "host", "svsm"),
        Case::says("6-host-says-none", "host", "none"),
        Case::says("6-launch-says-svsm", "launch", "svsm"),
        Case::says("6-software-says-svsm", "software", "svsm"),
        Case::says("0-launch-with-a-host-vtpm", "launch", "host"),
        Case::says("0-software-with-a-quote", "software", "software"),
        Case { core: |core, _| core.platform = Platform::Azure, ..Case::host("6-azure-without-paravisor") },
        Case { bundle: |bundle| bundle.svsm_manifest = Some(vec![0; 24]), ..Case::host("2-manifest-that-is-none") },
        Case { bundle: |bundle| bundle.hcl = Some(b"HCLA".to_vec()), ..Case::host("2-blob-that-is-none") },
    ]
}

fn azure_cases() -> Vec<Case> {
    vec![
        Case::azure("0-paravisor"),
        Case { hash: ClaimsHash::Sha384, capabilities: Some(7), ..Case::azure("0-paravisor-sha384-capabilities") },
        Case { hash: ClaimsHash::Sha512, ..Case::azure("0-paravisor-sha512") },
        Case { core: |core, _| core.platform = Platform::Gcp, ..Case::azure("6-paravisor-on-gcp") },
        Case::claims("6-claims-user-data", |keys, _| runtime_claims(&keys.rsassa, Some(&keys.other), &[7; 64])),
        Case::claims("6-claims-without-user-data", |keys, rd| good(keys, rd).replace("user-data", "user_data")),
        Case::claims("2-claims-user-data-short", |keys, rd| {
            good(keys, rd).replace("\"user-data\":\"", "\"user-data\":\"0")
        }),
        Case::claims("6-claims-keys-exchanged", |keys, rd| runtime_claims(&keys.other, Some(&keys.rsassa), rd)),
        Case::claims("6-claims-without-ek", |keys, rd| runtime_claims(&keys.rsassa, None, rd)),
        Case::claims("6-claims-without-ak", |keys, rd| good(keys, rd).replace("HCLAkPub", "HCLBkPub")),
        Case::claims("2-claims-two-aks", |keys, rd| good(keys, rd).replace("HCLEkPub", "HCLAkPub")),
        Case::claims("2-claims-one-key", |keys, rd| runtime_claims(&keys.rsassa, Some(&keys.rsassa), rd)),
        Case::claims("2-claims-exponent-3", |keys, rd| good(keys, rd).replacen("AQAB", "Aw", 1)),
        Case::claims("2-claims-key-of-a-curve", |keys, rd| good(keys, rd).replacen("\"RSA\"", "\"EC\"", 1)),
        Case::claims("2-claims-keys-twice", |keys, rd| {
            good(keys, rd).replacen("{\"keys\"", "{\"keys\":[],\"keys\"", 1)
        }),
        Case::claims("2-claims-user-data-twice", |keys, rd| {
            good(keys, rd).replacen("\"user-data\"", "\"user\\u002ddata\":\"\",\"user-data\"", 1)
        }),
        Case::claims("2-claims-no-json", |keys, rd| good(keys, rd).replacen('{', "{,", 1)),
        Case::claims("2-claims-configuration-a-list", |keys, rd| {
            good(keys, rd).replacen("\"vm-configuration\":{", "\"vm-configuration\":[],\"x\":{", 1)
        }),
        Case::claims("2-claims-modulus-padded", |keys, rd| good(keys, rd).replacen("\"n\":\"", "\"n\":\"AA", 1)),
        Case::blob("2-blob-magic", |bundle| put(bundle, 0, b'h')),
        Case::blob("2-blob-version", |bundle| put(bundle, 4, 3)),
        Case::blob("2-blob-of-tdx", |bundle| put(bundle, 0x4c8, 4)),
        Case::blob("2-blob-hash-unknown", |bundle| put(bundle, 0x4cc, 9)),
        Case::blob("2-blob-cut", |bundle| {
            if let Some(blob) = &mut bundle.hcl {
                blob.truncate(0x4e0);
            }
        }),
        Case::blob("6-blob-with-another-report", |bundle| put(bundle, 0xb0, 1)),
        Case::blob("6-blob-hash-other", |bundle| put(bundle, 0x4cc, 2)),
        Case::blob("6-blob-claims-changed", |bundle| put(bundle, 0x4d4, b'[')),
        Case::blob("6-blob-left-out", |bundle| bundle.hcl = None),
        Case::blob("6-paravisor-fresh-report", |bundle| {
            let (report, vek) = (bundle.boot.report.clone(), bundle.boot.vek.clone());
            if let Some(fresh) = &mut bundle.fresh {
                fresh.report = Some(EndorsedReport { report, vek });
            }
        }),
        Case { bundle: replay_quote, ..Case::azure("6-paravisor-quote-replayed") },
        Case {
            claims: |_, _| "[]".to_owned(),
            bundle: |bundle| bundle.boot.report[0x2b0] ^= 1,
            ..Case::azure("3-paravisor-unsigned")
        },
    ]
}

fn svsm_cases() -> Vec<Case> {
    let manifest = |name, manifest: fn(&mut Vec<u8>)| Case { manifest, ..Case::svsm(name) };
    let carried = |name, bundle: fn(&mut Bundle)| Case { bundle, ..Case::svsm(name) };
    vec![
        Case::svsm("0-svsm"),
        Case { core: |core, keys| core.vtpm.ek_name = Some(keys.other.name()), ..Case::svsm("0-svsm-ek-named") },
        Case { core: |core, _| core.vtpm.ek_name = Some([7; 34]), ..Case::svsm("6-svsm-ek-of-another-name") },
        manifest("2-svsm-ek-of-no-kind", |manifest| manifest[48] ^= 0xff),
        manifest("2-svsm-other-service", |manifest| manifest[24] ^= 0xff),
        manifest("2-svsm-ek-cut", |manifest| {
            manifest.pop();
            let length = manifest.len();
            manifest[16..18].copy_from_slice(&u16::try_from(length).unwrap_or(0).to_le_bytes());
            manifest[44..46].copy_from_slice(&u16::try_from(length - 48).unwrap_or(0).to_le_bytes());
        }),
        carried("6-svsm-manifest-changed", |bundle| {
            if let Some(last) = bundle.svsm_manifest.as_mut().and_then(|manifest| manifest.last_mut()) {
                *last ^= 2;
            }
        }),
        carried("2-svsm-manifest-cut", |bundle| {
            if let Some(manifest) = &mut bundle.svsm_manifest {
                manifest.truncate(30);
            }
        }),
        carried("6-svsm-manifest-left-out", |bundle| bundle.svsm_manifest = None),
    ]
}

fn good(keys: &Keys, rd: &[u8; 64]) -> String {
    runtime_claims(&keys.rsassa, Some(&keys.other), rd)
}

fn put(bundle: &mut Bundle, at: usize, byte: u8) {
    if let Some(slot) = bundle.hcl.as_mut().and_then(|blob| blob.get_mut(at)) {
        *slot = byte;
    }
}

fn forget_key(core: &mut Core) {
    (core.vtpm.ak_name, core.vtpm.ak_spki) = (None, None);
}

fn trailing_byte(core: &mut Core) {
    if let Some(spki) = &mut core.vtpm.ak_spki {
        spki.push(0);
    }
}

fn clear_fresh_quote(bundle: &mut Bundle) {
    if let Some(fresh) = &mut bundle.fresh {
        fresh.quote = None;
    }
}

fn clear_fresh_report(bundle: &mut Bundle) {
    if let Some(fresh) = &mut bundle.fresh {
        fresh.report = None;
    }
}

fn replay_quote(bundle: &mut Bundle) {
    if let Some(fresh) = &mut bundle.fresh {
        fresh.quote.clone_from(&bundle.quote);
    }
}

fn fresh_report(bundle: &mut Bundle) -> Outcome<&mut EndorsedReport> {
    Ok(bundle.fresh.as_mut().and_then(|fresh| fresh.report.as_mut()).ok_or("a fresh report")?)
}

impl Keys {
    fn make() -> Outcome<Self> {
        Ok(Self {
            rsassa: QuoteKey::rsassa(&mut OsRng)?,
            rsapss: QuoteKey::rsapss(&mut OsRng)?,
            p256: QuoteKey::p256(&mut OsRng),
            p384: QuoteKey::p384(&mut OsRng),
            other: QuoteKey::rsassa(&mut OsRng)?,
        })
    }
}

impl Case {
    /// `vlek` endorses instead of the chip.
    fn make(&self, boot: &Boot, keys: &Keys, vlek: Option<&Vek>) -> Outcome<Bundle> {
        let core_bytes = self.core(boot, keys)?.to_bytes()?;
        let core = core_digest(&core_bytes);
        let first = state(core, 0, core).to_bytes()?;
        let head = state_digest(&core, &first);
        let nonces = (0..2).map(|n| Nonce::new(vec![0xb0 | n; 32])).collect::<Result<Vec<_>, _>>()?;
        let leaves: Vec<_> = nonces.iter().map(|nonce| nonce.leaf(self.purpose)).collect();
        let boot_rd = report_data_without_nonce(&core, &head);
        let fresh_rd = report_data(&merkle::root(&leaves), 2, &core, &head);
        let mut manifest = services_manifest(&keys.other);
        (self.manifest)(&mut manifest);
        let claims = (self.claims)(keys, &boot_rd);
        let data = |rd: &[u8; 64]| match self.boot {
            "svsm" => manifest_report_data(rd, &manifest),
            "paravisor" => self.hash.report_data(claims.as_bytes()),
            _ => *rd,
        };
        let report = |rd: &[u8; 64], change: fn(&mut ReportRequest)| {
            let mut request = boot.psp.request(5, data(rd));
            request.report_id = [0x1d; 32];
            if vlek.is_some() {
                (request.signer, request.chip_id) = (PspVek::Vlek, ChipId([0; 64]));
            }
            change(&mut request);
            vlek.map_or_else(|| boot.psp.report(&request), |vlek| vlek.sign(&request.body()))
        };
        let vek = vlek.map_or_else(|| boot.psp.vcek().to_vec(), |vlek| vlek.der().to_vec());
        let possession = |rd: &[u8; 64]| sign(&boot.key, &evidence_message(&core, rd));
        let quote = |by: &QuoteKey, rd: &[u8; 64], change: fn(&mut QuoteRequest)| {
            let mut request = QuoteRequest::new(quote_data(rd), core_register(&core));
            change(&mut request);
            let attest = request.attest(by);
            CarriedQuote { signature: by.sign(&attest), attest, pcrs: request.registers }
        };
        let mut boot_quote = quote((self.signer)(keys), &boot_rd, self.quote);
        (self.carried)(&mut boot_quote);
        let boot_report = report(&boot_rd, |_| {});
        let is_azure = self.boot == "paravisor";
        let fresh_report = report(&fresh_rd, self.fresh_report).to_vec();
        let mut bundle = Bundle {
            vek_kind: VekKind::Vcek,
            intermediate: boot.psp.ask().to_vec(),
            root: boot.psp.ark().to_vec(),
            crls: Vec::new(),
            boot: CarriedReport { report: boot_report.to_vec(), vek: vek.clone(), possession: possession(&boot_rd)? },
            fresh: Some(Fresh {
                report: (!is_azure).then_some(EndorsedReport { report: fresh_report, vek }),
                quote: Some(quote((self.ak)(keys), &fresh_rd, self.fresh_quote)),
                possession: possession(&fresh_rd)?,
                purpose: self.purpose,
                nonce: nonces.into_iter().nth(1).ok_or("two nonces")?,
                index: 1,
                count: 2,
                path: merkle::path(&leaves, 1).ok_or("two leaves")?,
            }),
            quote: Some(boot_quote),
            event_log: None,
            hcl: is_azure.then(|| hcl_blob(&boot_report, claims.as_bytes(), self.hash, self.capabilities)),
            svsm_manifest: (self.boot == "svsm").then_some(manifest),
            release: None,
            provenance: None,
            states: vec![CarriedState { signature: sign(&boot.key, &state_message(&core, &first))?, bytes: first }],
            core: core_bytes,
        };
        (self.bundle)(&mut bundle);
        Ok(bundle)
    }

    fn core(&self, boot: &Boot, keys: &Keys) -> Outcome<Core> {
        let ak = (self.ak)(keys);
        let instance = [0x1b; 32];
        let mut core = Core {
            instance,
            lineage: hash(tag::GENESIS, &[b"{}"]),
            platform: Platform::Simulated,
            boot: self.boot,
            vtpm: Vtpm { kind: self.kind, ak_name: Some(ak.name()), ak_spki: Some(ak.spki()?), ek_name: None },
            claims: Claims::default(),
            proof_key: evidence::Ed25519Public::new(boot.key.public_key().as_ref().try_into()?).ok_or("a key")?,
            peer_key: [0x33; 32],
            hmac_anchor: *HmacChain::new(instance, &[0x5e; 32]).anchor(),
            hmac_length: LENGTH,
            release_keys: Vec::new(),
            recovery: Recovery { kind: "none", keys: Vec::new() },
            sealing_pcrs: vec![4, 7, 11],
            sealing_floor: 0,
        };
        (self.core)(&mut core, keys);
        Ok(core)
    }
}
