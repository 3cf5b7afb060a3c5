//! Azure's provider against doubles of its paravisor, against genuine blobs, and against a software TPM that holds one.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is the test's answer"
)]

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use attestation_verifier::{Hcl, Ring, RuntimeClaims, SignatureForm, SignedQuote, Unverified};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use platform::{
    AkChoice, AttestationKey, Azure, AzureError, Chain, Collateral, CollateralError, Der, Evidence, EvidenceError,
    EvidenceSource, LiveEvidence, Patience, Quoter, Tpm, TpmError, TpmQuoter, VekKind, Vtpm, doctor,
};
use sealgate_tests::{Swtpm, opened_processor, paravisor};
use sha2::{Digest, Sha256};
use software_psp::SoftwarePsp;

const REPORT: u32 = 0x0140_0001;
const USER_DATA: u32 = 0x0140_0002;
const RD: [u8; 64] = [0x5D; 64];
const AK: [u8; 256] = [0xA5; 256];
const EK: [u8; 256] = [0xE5; 256];

/// Any chain: whose it is, is judged elsewhere.
struct Folder(Result<[&'static str; 3], CollateralError>);

impl Collateral for Folder {
    fn endorse(&self, report: &[u8]) -> Result<Chain, EvidenceError> {
        assert_eq!(report.len(), 1184);
        let der = |name: &str| Der::new(name.as_bytes().to_vec());
        let [vek, intermediate, root] = self.0.clone()?;
        Ok(Chain { vek: der(vek), intermediate: der(intermediate), root: der(root), crls: vec![der("crl")] })
    }
}

fn folder() -> Arc<dyn Collateral> {
    Arc::new(Folder(Ok(["vek", "ask", "ark"])))
}

/// What the paravisor shows at the next reads of its blob, given what was asked for last.
type Show = Box<dyn FnMut(&[u8; 64]) -> Vec<u8> + Send>;

/// A paravisor that does as it is told.
struct Paravisor {
    show: Show,
    input: Option<Vec<u8>>,
    key: Vec<u8>,
    seen: Arc<Mutex<Seen>>,
    /// What somebody else writes after our writes, one a write.
    rivals: VecDeque<[u8; 64]>,
    may_define: bool,
    has_report: bool,
}

#[derive(Default)]
struct Seen {
    reads: u32,
    writes: u32,
    defined: Vec<(u32, u16)>,
    pauses: Vec<Duration>,
}

impl Paravisor {
    fn that(show: impl FnMut(&[u8; 64]) -> Vec<u8> + Send + 'static) -> Self {
        Self {
            show: Box::new(show),
            input: Some(vec![0; 64]),
            key: paravisor::spki(&AK),
            seen: Arc::default(),
            rivals: VecDeque::new(),
            may_define: true,
            has_report: true,
        }
    }
}

impl Vtpm for Paravisor {
    fn has(&mut self, index: u32) -> Result<bool, TpmError> {
        Ok(index == REPORT && self.has_report)
    }

    fn read(&mut self, index: u32) -> Result<Option<Vec<u8>>, TpmError> {
        if index == USER_DATA {
            return Ok(self.input.clone());
        }
        assert_eq!(index, REPORT);
        self.seen.lock().expect("lock").reads += 1;
        let asked = self.input.as_deref().and_then(|input| input.try_into().ok()).unwrap_or([0; 64]);
        Ok(self.has_report.then(|| (self.show)(&asked)))
    }

    fn write(&mut self, index: u32, bytes: &[u8]) -> Result<(), TpmError> {
        assert_eq!((index, bytes.len()), (USER_DATA, 64));
        assert!(self.input.is_some(), "it was defined first");
        self.seen.lock().expect("lock").writes += 1;
        self.input = Some(self.rivals.pop_front().map_or(bytes.to_vec(), |rival| rival.to_vec()));
        Ok(())
    }

    fn define(&mut self, index: u32, size: u16) -> Result<(), TpmError> {
        if !self.may_define {
            return Err(TpmError::Failed { doing: "define an NV index", why: "no room".into() });
        }
        self.seen.lock().expect("lock").defined.push((index, size));
        self.input = Some(Vec::new());
        Ok(())
    }

    fn attestation_key(&mut self) -> Result<AttestationKey, TpmError> {
        Ok(AttestationKey { name: [0; 34], spki: self.key.clone(), ek_name: None })
    }

    fn pause(&mut self, wait: Duration) {
        self.seen.lock().expect("lock").pauses.push(wait);
    }
}

/// A blob of full size for these 64 bytes.
fn genuine(psp: &SoftwarePsp, user_data: &[u8; 64]) -> Vec<u8> {
    paravisor::blob(psp, &paravisor::claims(&AK, Some(&EK), Some(user_data)), 2600)
}

fn collect(paravisor: Paravisor) -> Result<Evidence, EvidenceError> {
    Azure::over(paravisor, folder(), Patience::USUAL).collect(&RD)
}

fn refused(paravisor: Paravisor) -> AzureError {
    match collect(paravisor) {
        Err(EvidenceError::Azure(error)) => error,
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn a_blob_that_repeats_our_bytes_is_evidence() {
    let psp = opened_processor();
    let paravisor = Paravisor::that(move |asked| genuine(&psp, asked));
    let seen = Arc::clone(&paravisor.seen);
    let source = Azure::over(paravisor, folder(), Patience::USUAL);
    assert_eq!((source.platform(), source.tee_enabled(), source.live()), ("azure", true, LiveEvidence::Quote));
    let evidence = source.collect(&RD).expect("evidence");
    let blob = evidence.hcl.as_deref().expect("the blob comes along");
    assert_eq!((blob.len(), &blob[0x20..0x4C0]), (2600, &evidence.report[..]));
    assert_eq!((evidence.vek_kind, evidence.vek.as_bytes()), (VekKind::Vcek, &b"vek"[..]));
    assert_eq!((evidence.intermediate.as_bytes(), evidence.root.as_bytes()), (&b"ask"[..], &b"ark"[..]));
    assert_eq!(evidence.crls.len(), 1);
    let seen = seen.lock().expect("lock");
    assert_eq!((seen.reads, seen.writes, seen.pauses.len(), seen.defined.len()), (1, 1, 0, 0), "nobody waits in vain");
}

#[test]
fn a_late_blob_is_waited_for_ever_longer() {
    let psp = opened_processor();
    let mut reads = 0;
    let paravisor = Paravisor::that(move |asked| {
        reads += 1;
        genuine(&psp, if reads > 6 { asked } else { &[0; 64] })
    });
    let seen = Arc::clone(&paravisor.seen);
    collect(paravisor).expect("evidence");
    let seen = seen.lock().expect("lock");
    let waits: Vec<u128> = seen.pauses.iter().map(Duration::as_millis).collect();
    assert_eq!((seen.reads, waits), (7, vec![100, 200, 400, 800, 1000, 1000]));
}

#[test]
fn a_blob_that_never_comes_is_given_up() {
    let psp = opened_processor();
    let old = genuine(&psp, &[0; 64]);
    let paravisor = Paravisor::that(move |_| old.clone());
    let seen = Arc::clone(&paravisor.seen);
    let error = refused(paravisor);
    assert!(matches!(error, AzureError::NotRefreshed { attempts: 12, .. }), "{error}");
    assert!(error.to_string().contains("other user-data"), "{error}");
    let seen = seen.lock().expect("lock");
    assert_eq!((seen.reads, seen.writes), (12, 1));
    assert_eq!(seen.pauses.iter().sum::<Duration>(), Duration::from_millis(8500));
    // Nothing is a number of reads as well.
    let none = Patience { attempts: 0, ..Patience::USUAL };
    let psp = opened_processor();
    let error = Azure::over(Paravisor::that(move |_| genuine(&psp, &[0; 64])), folder(), none).collect(&RD);
    assert!(matches!(error, Err(EvidenceError::Azure(AzureError::NotRefreshed { attempts: 1, .. }))));
}

#[test]
fn a_blob_half_old_half_new_is_read_again() {
    let psp = opened_processor();
    let (old, new) = (genuine(&psp, &[0; 64]), genuine(&psp, &RD));
    assert_eq!(old.len(), new.len());
    for cut in 1..new.len() {
        for torn in [[&old[..cut], &new[cut..]].concat(), [&new[..cut], &old[cut..]].concat()] {
            let whole = torn == new;
            // One read of the torn one, then the new one.
            let mut shown = vec![new.clone(), torn];
            let paravisor = Paravisor::that(move |_| shown.pop().expect("read at most twice"));
            let seen = Arc::clone(&paravisor.seen);
            let evidence = collect(paravisor).expect("evidence");
            assert_eq!(evidence.hcl.as_deref(), Some(new.as_slice()), "cut at {cut}");
            assert_eq!(seen.lock().expect("lock").reads == 1, whole, "cut at {cut}");
        }
    }
    let torn = [&old[..1024], &new[1024..]].concat();
    let error = refused(Paravisor::that(move |_| torn.clone()));
    assert!(error.to_string().contains("not the hash of its claims"), "{error}");
}

#[test]
fn an_unwritten_or_broken_blob_is_read_again() {
    for broken in [Vec::new(), vec![0; 2600], b"HCLA".to_vec()] {
        let psp = opened_processor();
        let mut reads = 0;
        let paravisor = Paravisor::that(move |asked| {
            reads += 1;
            if reads > 2 { genuine(&psp, asked) } else { broken.clone() }
        });
        collect(paravisor).expect("the third is in order");
    }
    let error = refused(Paravisor::that(|_| Vec::new()));
    assert!(matches!(error, AzureError::NotRefreshed { .. }) && error.to_string().contains("HCLA"), "{error}");
}

#[test]
fn who_writes_over_us_is_written_over() {
    let psp = opened_processor();
    let mut paravisor = Paravisor::that(move |asked| genuine(&psp, asked));
    paravisor.rivals = [[1; 64], [2; 64]].into();
    let seen = Arc::clone(&paravisor.seen);
    collect(paravisor).expect("the third write stood");
    assert_eq!(seen.lock().expect("lock").writes, 3);

    let psp = opened_processor();
    let mut paravisor = Paravisor::that(move |asked| genuine(&psp, asked));
    paravisor.rivals = vec![[1; 64]; 100].into();
    let error = refused(paravisor);
    assert!(matches!(error, AzureError::NotRefreshed { .. }) && error.fix().contains("agent"), "{error}");
}

#[test]
fn the_input_index_is_defined_where_nobody_asked_before() {
    let psp = opened_processor();
    let mut paravisor = Paravisor::that(move |asked| genuine(&psp, asked));
    paravisor.input = None;
    let seen = Arc::clone(&paravisor.seen);
    collect(paravisor).expect("evidence");
    assert_eq!(seen.lock().expect("lock").defined, [(USER_DATA, 64)]);

    let mut paravisor = Paravisor::that(|_| Vec::new());
    (paravisor.input, paravisor.may_define) = (None, false);
    let error = refused(paravisor);
    assert!(matches!(error, AzureError::InputRefused(_)) && error.to_string().contains("0x01400002"), "{error}");
    assert!(error.to_string().contains("no room") && error.fix().contains("owner"), "{error}");

    for found in [32, 65] {
        let mut paravisor = Paravisor::that(|_| Vec::new());
        paravisor.input = Some(vec![0; found]);
        let error = refused(paravisor);
        assert!(matches!(error, AzureError::InputSize { found: size } if size == found), "{error}");
    }
}

#[test]
fn machines_that_cannot_do_it_are_told_at_once() {
    let mut paravisor = Paravisor::that(|_| Vec::new());
    paravisor.has_report = false;
    let seen = Arc::clone(&paravisor.seen);
    let error = refused(paravisor);
    assert!(matches!(error, AzureError::NoReport) && error.fix().contains("confidential VM"), "{error}");
    assert_eq!(seen.lock().expect("lock").writes, 0, "nothing is written on another machine");

    let psp = opened_processor();
    let paravisor = Paravisor::that(move |_| paravisor::blob(&psp, &paravisor::claims(&AK, None, None), 2048));
    let seen = Arc::clone(&paravisor.seen);
    let error = refused(paravisor);
    assert!(matches!(error, AzureError::NoUserData) && error.fix().contains("deallocate"), "{error}");
    assert_eq!(seen.lock().expect("lock").reads, 1, "waiting would not help");

    let psp = opened_processor();
    let error = refused(Paravisor::that(move |asked| {
        let mut blob = genuine(&psp, asked);
        blob[0x4C8] = 4;
        blob
    }));
    assert!(matches!(error, AzureError::NotSnp { found: 4 }) && error.to_string().contains("TDX"), "{error}");

    let psp = opened_processor();
    let error = refused(Paravisor::that(move |asked| {
        let claims = paravisor::claims(&AK, None, Some(asked));
        let twice = format!("{{\"user-data\":\"{}\",{}", hex::encode(asked), &claims[1..]);
        paravisor::blob(&psp, &twice, 2600)
    }));
    assert!(matches!(error, AzureError::Claims { .. }) && error.to_string().contains("twice"), "{error}");
}

#[test]
fn a_key_that_is_not_in_the_claims_is_named_with_the_one_that_is() {
    let psp = opened_processor();
    let mut paravisor = Paravisor::that(move |asked| genuine(&psp, asked));
    let mut other = AK;
    other[255] ^= 1;
    paravisor.key = paravisor::spki(&other);
    let fingerprint = |modulus| hex::encode(Sha256::digest(paravisor::spki(modulus)));
    let (ours, theirs) = (fingerprint(&other), fingerprint(&AK));
    let error = refused(paravisor);
    assert!(matches!(&error, AzureError::OtherKey { in_tpm, in_claims } if *in_tpm == ours && *in_claims == theirs));
    assert!(error.to_string().contains(&ours) && error.to_string().contains(&theirs), "{error}");
}

#[test]
fn a_report_without_certificates_is_no_evidence() {
    let psp = opened_processor();
    let paravisor = Paravisor::that(move |asked| genuine(&psp, asked));
    let none = Arc::new(Folder(Err(CollateralError::Offline { missing: "VCEK" })));
    let error = Azure::over(paravisor, none, Patience::USUAL).collect(&RD).expect_err("no certificates");
    assert!(matches!(error, EvidenceError::Collateral(CollateralError::Offline { .. })), "{error}");
}

/// Blobs of real machines, where the extra set is: what the provider makes of each.
#[test]
fn genuine_blobs_are_read_as_their_machines_wrote_them() {
    let Some(set) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("SEALGATE_EXTRA_VECTORS is not set: genuine blobs were not read");
        return;
    };
    let mut read = 0;
    for entry in fs::read_dir(Path::new(&set).join("snp/reports")).expect("the extra set") {
        let dir = entry.expect("entry").path();
        let Ok(blob) = fs::read(dir.join("hcl-report.bin")) else { continue };
        read += 1;
        let runtime: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.join("runtime-data.json")).expect("claims")).expect("JSON");
        let key = runtime["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == "HCLAkPub").expect("AK");
        let modulus = BASE64_URL_SAFE_NO_PAD.decode(key["n"].as_str().expect("n")).expect("base64url");
        let shown = blob.clone();
        let mut paravisor = Paravisor::that(move |_| shown.clone());
        paravisor.key = paravisor::spki(&modulus.try_into().expect("RSA-2048"));
        let source = Azure::over(paravisor, folder(), Patience { attempts: 1, ..Patience::USUAL });
        let Some(user_data) = runtime["user-data"].as_str() else {
            let error = source.collect(&[0; 64]).expect_err("the oldest paravisor");
            assert!(matches!(error, EvidenceError::Azure(AzureError::NoUserData)), "{}: {error}", dir.display());
            continue;
        };
        let user_data: [u8; 64] = hex::decode(user_data).expect("hex").try_into().expect("64 bytes");
        let evidence = source.collect(&user_data).expect("evidence");
        assert_eq!(evidence.report, fs::read(dir.join("report.bin")).expect("report"), "{}", dir.display());
        assert_eq!(evidence.hcl, Some(blob));
        assert!(source.collect(&[7; 64]).is_err(), "for other bytes it is none");
    }
    assert_eq!(read, 9, "blobs in the set");
}

/// A software TPM that somebody refreshes as the paravisor does.
struct Machine {
    tpm: Arc<Swtpm>,
    quoter: TpmQuoter,
}

impl Machine {
    /// With the key where Azure has it, and a blob of the largest size the software TPM takes.
    fn start() -> Self {
        let tpm = Arc::new(Swtpm::start());
        paravisor::keep_a_key(&tpm, paravisor::FIT, "0x81000003");
        let quoter = TpmQuoter::open(&tpm.tcti(), Azure::KEY).expect("open");
        let mut opened = Tpm::open(&tpm.tcti()).expect("open");
        // libtpms takes 2048 bytes for an index (TPM2_PT_NV_INDEX_MAX); a newer one may take Azure's 2600.
        let size = [2600, 2048].into_iter().find(|size| opened.define_nv(REPORT, *size).is_ok()).expect("some size");
        println!("this software TPM holds an index of {size} bytes");
        Self { tpm, quoter }
    }

    fn blob(&self, user_data: &[u8; 64]) -> Vec<u8> {
        let ak = paravisor::modulus(&self.quoter.key().spki);
        paravisor::blob(&opened_processor(), &paravisor::claims(&ak, None, Some(user_data)), 2048)
    }

    fn put(&self, blob: &[u8]) {
        Tpm::open(&self.tpm.tcti()).expect("open").write_nv(REPORT, blob).expect("write");
    }

    /// What the TPM holds now: nothing was lost between its pieces.
    fn blob_again(&self, read: &[u8]) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("blob").display().to_string();
        self.tpm.tool("tpm2_nvread", &["-C", "o", "0x01400001", "-o", &file]);
        let bytes = fs::read(file).expect("read by other software");
        assert_eq!(bytes, read);
        bytes[..2048].to_vec()
    }

    fn asked(&self) -> Option<[u8; 64]> {
        Tpm::open(&self.tpm.tcti()).expect("open").read_nv(USER_DATA).expect("read")?.try_into().ok()
    }
}

#[test]
fn a_software_tpm_serves_the_provider_as_azures_does() {
    let machine = Machine::start();
    machine.put(&machine.blob(&[0; 64]));
    let done = AtomicBool::new(false);
    let (evidence, waited) = thread::scope(|scope| {
        // The paravisor: a new blob a while after somebody asked.
        scope.spawn(|| {
            while !done.load(Relaxed) {
                if let Some(asked) = machine.asked() {
                    thread::sleep(Duration::from_millis(300));
                    machine.put(&machine.blob(&asked));
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
        });
        let started = Instant::now();
        let evidence = Azure::at(&machine.tpm.tcti(), folder()).collect(&RD);
        done.store(true, Relaxed);
        (evidence, started.elapsed())
    });
    let evidence = evidence.expect("evidence");
    println!("evidence after {waited:?}");
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert_eq!(machine.asked(), Some(RD), "the index is there now, and holds what we asked for");
    let blob = evidence.hcl.expect("blob");
    assert_eq!((&blob[0x20..0x4C0], &blob[..2048]), (&evidence.report[..], &machine.blob_again(&blob)[..]));
    // The same key quotes.
    let quote = machine.quoter.quote(&[0x51; 32], &[4, 7, 11]).expect("quote");
    assert_eq!(quote.pcrs.len(), 3);
}

#[test]
fn a_software_tpm_whose_key_was_replaced_is_refused() {
    let machine = Machine::start();
    machine.put(&machine.blob(&RD));
    machine.tpm.tool("tpm2_evictcontrol", &["-Q", "-C", "o", "-c", "0x81000003"]);
    machine.tpm.tool("tpm2_changeeps", &[]);
    paravisor::keep_a_key(&machine.tpm, paravisor::FIT, "0x81000003");
    let error = Azure::at(&machine.tpm.tcti(), folder()).collect(&RD).expect_err("another key");
    assert!(matches!(error, EvidenceError::Azure(AzureError::OtherKey { .. })), "{error}");
    machine.tpm.tool("tpm2_evictcontrol", &["-Q", "-C", "o", "-c", "0x81000003"]);
    let error = Azure::at(&machine.tpm.tcti(), folder()).collect(&RD).expect_err("no key");
    let none = AkChoice::AZURE;
    assert!(
        matches!(error, EvidenceError::Azure(AzureError::Tpm(TpmError::NoKey { handle })) if handle == none),
        "{error}"
    );
}

/// The whole way of a stranger, except that whose report it is stays open: report, claims, key, quote, registers.
#[test]
fn a_verifier_walks_from_the_report_to_the_registers() {
    let tpm = Swtpm::start();
    paravisor::keep_a_key(&tpm, paravisor::FIT, "0x81000003");
    let quoter = TpmQuoter::open(&tpm.tcti(), Azure::KEY).expect("open");
    let ak = paravisor::modulus(&quoter.key().spki);
    let psp = opened_processor();
    let mut paravisor =
        Paravisor::that(move |asked| paravisor::blob(&psp, &paravisor::claims(&ak, Some(&EK), Some(asked)), 2600));
    paravisor.key = quoter.key().spki.clone();
    let evidence = collect(paravisor).expect("evidence");
    let q = [0x51; 32];
    let quote = quoter.quote(&q, &[4, 7, 11, 12, 13, 14, 15]).expect("quote");

    let hcl = Hcl::parse(evidence.hcl.as_deref().expect("blob")).expect("a blob");
    assert_eq!(hcl.report().bytes(), &evidence.report[..]);
    let claims = RuntimeClaims::parse(hcl.claims(&evidence.report_data()).expect("hashed")).expect("claims");
    assert_eq!(claims.user_data(), Some(&RD));
    claims.complete().expect("with the endorsement key");
    let signed = SignedQuote { attest: &quote.attest, signature: &quote.signature, form: SignatureForm::Tpm };
    let verified = Unverified(signed).verify(claims.ak(), &Ring).expect("by the key in the claims");
    assert_eq!(verified.extra_data(), q);
    assert_eq!(verified.registers(&quote.pcrs).expect("those it signs").value(15), Some(&[0; 32]));
}

#[test]
fn the_doctor_tells_what_the_paravisor_offers() {
    let row = |machine: &Machine, subject: &str| {
        let findings = doctor::examine(Path::new("/nonexistent"), &machine.tpm.tcti());
        findings.into_iter().find(|finding| finding.subject == subject).expect("looked for")
    };
    let machine = Machine::start();
    let report = row(&machine, "azure report");
    assert_eq!(report.state, doctor::State::Unknown, "never written: {}", report.detail);
    machine.put(&machine.blob(&[0; 64]));
    let report = row(&machine, "azure report");
    assert_eq!(report.state, doctor::State::Found, "{}", report.detail);
    assert!(report.detail.contains("0x81000003") && report.detail.contains("who asks first"), "{}", report.detail);
    let key = row(&machine, "attestation key");
    assert!(key.detail.contains("RSA-2048") && key.detail.contains("0x81000003"), "{}", key.detail);
    // Another machine's blob names another machine's key.
    machine.put(&paravisor::blob(&opened_processor(), &paravisor::claims(&AK, None, Some(&RD)), 2048));
    let report = row(&machine, "azure report");
    assert_eq!(report.state, doctor::State::Unknown, "{}", report.detail);
    assert!(report.detail.contains("is not HCLAkPub") && report.detail.contains("fix:"), "{}", report.detail);

    let tpm = Swtpm::start();
    let findings = doctor::examine(Path::new("/nonexistent"), &tpm.tcti());
    let of = |subject: &str| findings.iter().find(|finding| finding.subject == subject).expect("looked for");
    assert_eq!(of("azure report").state, doctor::State::Absent);
    assert!(of("attestation key").detail.starts_with("our attestation key: P-256"), "{}", of("attestation key").detail);
}

#[test]
fn an_ordinary_tpm_is_no_azure_machine() {
    let tpm = Swtpm::start();
    let error = Azure::at(&tpm.tcti(), folder()).collect(&RD).expect_err("no such index");
    assert!(matches!(error, EvidenceError::Azure(AzureError::NoReport)), "{error}");
    assert!(!Tpm::open(&tpm.tcti()).expect("open").has_nv_index(USER_DATA).expect("asked"), "nothing was left there");
    let error = Azure::at("device:/nonexistent/tpm", folder()).collect(&RD).expect_err("no TPM");
    assert!(matches!(error, EvidenceError::Azure(AzureError::Tpm(TpmError::Missing { .. }))), "{error}");
}

/// The oldest genuine blob is the only one that a software TPM can hold.
#[test]
fn a_genuine_blob_in_a_software_tpm_is_read_whole() {
    let Some(set) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("SEALGATE_EXTRA_VECTORS is not set: no genuine blob was put into a TPM");
        return;
    };
    let blob = Path::new(&set).join("snp/reports/v2-azure-hcl-short-no-vcek/hcl-report.bin");
    let blob = fs::read(blob).expect("the extra set");
    let machine = Machine::start();
    machine.put(&blob);
    let read = Tpm::open(&machine.tpm.tcti()).expect("open").read_nv(REPORT).expect("read").expect("defined");
    assert_eq!(read[..blob.len()], blob);
    let error = Azure::at(&machine.tpm.tcti(), folder()).collect(&RD).expect_err("it repeats nothing");
    assert!(matches!(error, EvidenceError::Azure(AzureError::NoUserData)), "{error}");
}
