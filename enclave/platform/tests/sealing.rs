//! Sealed keys against a real software TPM.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is the test's answer"
)]

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

use evidence::UnixSeconds;
use gate::{keep::Pseudonyms, ledger::FeePayer};
use platform::{
    KeystoreError, PcrSet, Tpm, TpmError,
    keys::{LastingKeys, SealedKeys},
    keystore,
};
use sealgate_tests::tpm::{self, Swtpm};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const NOW: UnixSeconds = UnixSeconds(1_795_000_000);

fn state() -> TempDir {
    TempDir::new().expect("a state directory")
}

fn init(tpm: &Swtpm, dir: &Path) -> SealedKeys {
    keystore::init(&tpm.tcti(), dir, &PcrSet::of_our_image(), NOW).expect("keys init")
}

/// The seed as bytes. The KEK lies beside it in the same sealed object and is seen by what it opens.
fn seed(keys: &SealedKeys) -> [u8; 32] {
    keys.hmac_seed().expose(|seed| *seed)
}

fn extend(tpm: &Swtpm, index: u8) {
    Tpm::open(&tpm.tcti()).expect("open").extend_pcr(index, &[0xC0; 32]).expect("extend");
}

/// Changes the blob's file and gives it a right check again, as somebody who knows the format would.
fn forge(dir: &Path, change: impl FnOnce(String) -> String) {
    let path = dir.join("sealed-keys");
    let text = fs::read_to_string(&path).expect("blob");
    let (body, _) = text.split_once("check ").expect("a check");
    let body = change(body.to_owned());
    let check = hex::encode(Sha256::digest(&body));
    fs::write(&path, format!("{body}check {check}\n")).expect("forged");
}

#[test]
fn what_was_sealed_is_unsealed_at_every_boot() {
    let (mut tpm, dir) = (Swtpm::start(), state());
    let made = init(&tpm, dir.path());
    let wrapped = made.wrap("log", 1, b"a lasting key").expect("wrapped");
    for _ in 0..2 {
        let started = std::time::Instant::now();
        let opened = keystore::unseal(&tpm.tcti(), dir.path()).expect("unseal");
        eprintln!("unseal: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
        assert_eq!(seed(&opened), seed(&made));
        assert_eq!(opened.lineage(), made.lineage());
        let key = opened.unwrap("log", 1, &wrapped).expect("the same KEK");
        assert!(key.expose(|key| key == b"a lasting key"));
        extend(&tpm, 15);
        tpm.reboot();
    }
    assert_eq!(keystore::sealed_to(dir.path()).expect("blob"), PcrSet::of_our_image());
}

/// Everything of them that may be seen.
fn faces(keys: &LastingKeys) -> [Vec<u8>; 6] {
    [
        keys.tls.spki_sha256().to_vec(),
        keys.session.spki().to_vec(),
        keys.fee_payer.address().to_vec(),
        keys.receipt.address().to_vec(),
        keys.vault.entry_name(&[b"entry"]).to_vec(),
        keys.pseudonym.of("wallet", b"value").to_vec(),
    ]
}

#[test]
fn lasting_keys_are_the_same_at_every_boot_and_on_no_other_machine() {
    let (mut tpm, dir, other) = (Swtpm::start(), state(), state());
    let made = faces(&LastingKeys::open(dir.path(), &init(&tpm, dir.path())).expect("made with the lineage"));
    for _ in 0..2 {
        let started = std::time::Instant::now();
        let sealed = keystore::unseal(&tpm.tcti(), dir.path()).expect("unseal");
        let unsealed = started.elapsed();
        assert_eq!(faces(&LastingKeys::open(dir.path(), &sealed).expect("opened")), made);
        eprintln!("lasting keys: {:.1} ms", (started.elapsed() - unsealed).as_secs_f64() * 1e3);
        tpm.reboot();
    }
    let sealed = init(&tpm, other.path());
    let others = faces(&LastingKeys::open(other.path(), &sealed).expect("made with the lineage"));
    assert!(made.iter().zip(&others).all(|(one, two)| one != two));
    // Nor do all but one.
    fs::copy(dir.path().join("lasting-keys"), other.path().join("lasting-keys")).expect("copied");
    let error = LastingKeys::open(other.path(), &sealed).expect_err("of another lineage");
    assert!(matches!(error, KeystoreError::LastingDamaged { part: "tls", .. }), "{error}");
    assert!(error.to_string().contains("another lineage") && error.fix().contains("backup"), "{error}");
}

#[test]
fn lost_lasting_keys_are_a_refusal_and_are_never_made_again() {
    let (tpm, dir) = (Swtpm::start(), state());
    let sealed = init(&tpm, dir.path());
    fs::remove_file(dir.path().join("lasting-keys")).expect("removed");
    let error = LastingKeys::open(dir.path(), &sealed).expect_err("lost");
    assert!(matches!(error, KeystoreError::LastingMissing { .. }), "{error}");
    let error = keystore::init(&tpm.tcti(), dir.path(), &PcrSet::of_our_image(), NOW).expect_err("second init");
    assert!(matches!(error, KeystoreError::AlreadyInitialised { .. }), "{error}");
    assert!(!dir.path().join("lasting-keys").exists());
}

#[test]
fn lasting_keys_without_sealed_keys_are_not_written_over() {
    let (tpm, dir) = (Swtpm::start(), state());
    init(&tpm, dir.path());
    fs::remove_file(dir.path().join("sealed-keys")).expect("removed");
    let before = fs::read(dir.path().join("lasting-keys")).expect("there");
    let error = keystore::init(&tpm.tcti(), dir.path(), &PcrSet::of_our_image(), NOW).expect_err("keys are here");
    assert!(matches!(error, KeystoreError::LastingWithoutSealed { .. }), "{error}");
    assert!(error.fix().contains("restore it") && error.fix().contains("move"), "{}", error.fix());
    assert_eq!(fs::read(dir.path().join("lasting-keys")).expect("there"), before);
}

#[test]
fn two_machines_have_nothing_in_common() {
    let (tpm, one, two) = (Swtpm::start(), state(), state());
    let (first, second) = (init(&tpm, one.path()), init(&tpm, two.path()));
    assert_ne!(seed(&first), seed(&second));
    assert_ne!(first.lineage(), second.lineage());
    let wrapped = first.wrap("log", 1, b"a lasting key").expect("wrapped");
    assert!(second.unwrap("log", 1, &wrapped).is_err());
}

#[test]
fn keys_are_made_once() {
    let (tpm, dir) = (Swtpm::start(), state());
    let made = init(&tpm, dir.path());
    let error = keystore::init(&tpm.tcti(), dir.path(), &PcrSet::for_restarts(), NOW).expect_err("second init");
    assert!(matches!(error, KeystoreError::AlreadyInitialised { .. }), "{error}");
    assert_eq!(seed(&keystore::unseal(&tpm.tcti(), dir.path()).expect("untouched")), seed(&made));
}

#[test]
fn after_15_is_extended_the_keys_stay_shut_until_the_next_boot() {
    let (mut tpm, dir) = (Swtpm::start(), state());
    let made = init(&tpm, dir.path());
    extend(&tpm, 15);
    let error = keystore::unseal(&tpm.tcti(), dir.path()).expect_err("locked");
    let KeystoreError::WrongPcrs { changed } = &error else { panic!("{error}") };
    let expected: [u8; 32] = Sha256::digest([[0; 32], [0xC0; 32]].concat()).into();
    assert_eq!(changed.iter().map(|change| (change.index, change.now)).collect::<Vec<_>>(), [(15, expected)]);
    assert!(error.to_string().contains("PCR 15"), "{error}");
    assert!(error.fix().contains("once per boot") && error.fix().contains("reboot"), "{}", error.fix());
    tpm.reboot();
    assert_eq!(seed(&keystore::unseal(&tpm.tcti(), dir.path()).expect("next boot")), seed(&made));
}

#[test]
fn without_15_a_gateway_may_restart() {
    let (tpm, dir) = (Swtpm::start(), state());
    let made = keystore::init(&tpm.tcti(), dir.path(), &PcrSet::for_restarts(), NOW).expect("init");
    extend(&tpm, 15);
    assert_eq!(seed(&keystore::unseal(&tpm.tcti(), dir.path()).expect("again")), seed(&made));
}

#[test]
fn every_changed_register_is_named() {
    let (tpm, dir) = (Swtpm::start(), state());
    init(&tpm, dir.path());
    for index in [4, 11] {
        extend(&tpm, index);
    }
    // Not in the set: no reason to refuse, none to mention.
    extend(&tpm, 0);
    let error = keystore::unseal(&tpm.tcti(), dir.path()).expect_err("another boot");
    let KeystoreError::WrongPcrs { changed } = &error else { panic!("{error}") };
    assert_eq!(changed.iter().map(|change| change.index).collect::<Vec<_>>(), [4, 11]);
    assert!(error.fix().contains("4 (boot loader and kernel image), 11 (unified kernel image)"), "{}", error.fix());
}

#[test]
fn a_cleared_tpm_is_told_from_a_damaged_blob() {
    let (tpm, dir) = (Swtpm::start(), state());
    init(&tpm, dir.path());
    tpm.tool("tpm2_clear", &["-c", "p"]);
    let error = keystore::unseal(&tpm.tcti(), dir.path()).expect_err("cleared");
    assert!(matches!(error, KeystoreError::OtherTpm { .. }), "{error}");
    assert!(error.fix().contains("cleared or replaced"));
}

#[test]
fn another_tpm_cannot_open_the_blob() {
    let (tpm, other, dir) = (Swtpm::start(), Swtpm::start(), state());
    init(&tpm, dir.path());
    let error = keystore::unseal(&other.tcti(), dir.path()).expect_err("another TPM");
    assert!(matches!(error, KeystoreError::OtherTpm { .. }), "{error}");
    // Even if the file is made to name that TPM.
    let mut names = Vec::new();
    if let KeystoreError::OtherTpm { sealed, now } = error {
        names.extend([hex::encode(sealed), hex::encode(now)]);
    }
    forge(dir.path(), |text| text.replace(&names[0], &names[1]));
    let error = keystore::unseal(&other.tcti(), dir.path()).expect_err("another TPM");
    assert!(matches!(error, KeystoreError::BlobDamaged { part: "tpm", .. }), "{error}");
}

#[test]
fn a_missing_tpm_names_the_address_and_the_fix() {
    let (mut tpm, dir) = (Swtpm::start(), state());
    init(&tpm, dir.path());
    tpm.stop();
    let error = keystore::unseal(&tpm.tcti(), dir.path()).expect_err("no TPM");
    assert!(matches!(error, KeystoreError::Tpm(TpmError::Missing { .. })), "{error}");
    assert!(error.to_string().contains(&tpm.tcti()) && error.fix().contains("start the software TPM"), "{error}");
    let error = keystore::init("device:/nonexistent/tpmrm0", state().path(), &PcrSet::of_our_image(), NOW);
    assert!(matches!(error, Err(KeystoreError::Tpm(TpmError::Missing { .. }))));
    let error = keystore::unseal("tcp://tpm", dir.path()).expect_err("no address");
    assert!(matches!(error, KeystoreError::Tpm(TpmError::BadAddress { .. })), "{error}");
}

#[test]
fn a_missing_blob_is_not_made_up() {
    let (tpm, dir) = (Swtpm::start(), state());
    let error = keystore::unseal(&tpm.tcti(), dir.path()).expect_err("never made");
    assert!(matches!(error, KeystoreError::BlobMissing { .. }), "{error}");
    assert!(error.fix().contains("enclave keys init"));
    assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 0);
}

#[test]
fn a_failed_init_leaves_nothing_behind() {
    let dir = state();
    keystore::init(&tpm::address(tpm::free_pair()), dir.path(), &PcrSet::of_our_image(), NOW).expect_err("no TPM");
    assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 0);
}

#[test]
fn damage_anywhere_in_the_sealed_object_is_named_as_damage() {
    let (tpm, dir) = (Swtpm::start(), state());
    init(&tpm, dir.path());
    let original = fs::read_to_string(dir.path().join("sealed-keys")).expect("blob");
    let mut tried = 0;
    for entry in ["private", "public"] {
        let line = original.lines().find(|line| line.starts_with(entry)).expect("entry").to_owned();
        let value = line.split_once(' ').expect("value").1.to_owned();
        for at in (0..value.len() / 2).step_by(if entry == "private" { 9 } else { 1 }) {
            let mut bytes = hex::decode(&value).expect("hex");
            bytes[at] ^= 1;
            let changed = format!("{entry} {}", hex::encode(bytes));
            forge(dir.path(), |text| text.replace(&line, &changed));
            let error = keystore::unseal(&tpm.tcti(), dir.path()).expect_err("damaged");
            assert!(matches!(error, KeystoreError::BlobDamaged { .. }), "{entry} byte {at}: {error}");
            fs::write(dir.path().join("sealed-keys"), &original).expect("restored");
            tried += 1;
        }
        forge(dir.path(), |text| text.replace(&line, &line[..line.len() - 2]));
        let error = keystore::unseal(&tpm.tcti(), dir.path()).expect_err("cut");
        assert!(matches!(error, KeystoreError::BlobDamaged { .. }), "{entry} cut: {error}");
        fs::write(dir.path().join("sealed-keys"), &original).expect("restored");
    }
    assert!(tried > 50, "{tried} places");
    // The list of registers is not the one that was sealed to.
    let error = {
        forge(dir.path(), |text| {
            let pcrs = text.lines().find(|line| line.starts_with("pcrs")).expect("pcrs");
            text.replace(pcrs, pcrs.rsplit_once(' ').expect("several").0)
        });
        keystore::unseal(&tpm.tcti(), dir.path()).expect_err("other registers")
    };
    assert!(matches!(error, KeystoreError::BlobDamaged { part: "pcrs", .. }), "{error}");
    fs::write(dir.path().join("sealed-keys"), &original).expect("restored");
    keystore::unseal(&tpm.tcti(), dir.path()).expect("the original still opens");
}

#[test]
fn nothing_on_disk_holds_the_keys() {
    let (tpm, dir) = (Swtpm::start(), state());
    let keys = seed(&init(&tpm, dir.path()));
    for entry in fs::read_dir(dir.path()).expect("directory") {
        let bytes = fs::read(entry.expect("entry").path()).expect("file");
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for window in keys.windows(8) {
            assert!(!contains(&bytes, window) && !text.contains(&hex::encode(window)));
        }
    }
}

#[test]
fn an_empty_password_does_not_open_the_object() {
    let (tpm, dir) = (Swtpm::start(), state());
    init(&tpm, dir.path());
    let text = fs::read_to_string(dir.path().join("sealed-keys")).expect("blob");
    let sized = |entry: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(entry)).expect("entry");
        let bytes = hex::decode(value.trim()).expect("hex");
        [&u16::try_from(bytes.len()).expect("short").to_be_bytes()[..], &bytes].concat()
    };
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("pub"), sized("public ")).expect("written");
    fs::write(path("priv"), sized("private ")).expect("written");
    // Other software derives the same storage key and loads the object, but may not open it.
    let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
    let primary = ["-Q", "-C", "o", "-g", "sha256", "-G", "ecc256:aes128cfb", "-a", attributes, "-c", &path("primary")];
    tpm.tool("tpm2_createprimary", &primary);
    tpm.tool("tpm2_load", &["-Q", "-C", &path("primary"), "-u", &path("pub"), "-r", &path("priv"), "-c", &path("o")]);
    let opened = std::process::Command::new("tpm2_unseal")
        .args(["-T", &tpm.tcti(), "-c", &path("o")])
        .output()
        .expect("tpm2_unseal");
    assert!(!opened.status.success() && opened.stdout.is_empty());
}

#[test]
fn the_keys_cross_the_bus_encrypted() {
    let (tpm, dir) = (Swtpm::start(), state());
    let bus = Recorder::before(tpm.port());
    let made = keystore::init(&bus.tcti(), dir.path(), &PcrSet::of_our_image(), NOW).expect("init");
    let opened = keystore::unseal(&bus.tcti(), dir.path()).expect("unseal");
    assert_eq!(seed(&opened), seed(&made));
    let recorded = bus.bytes();
    // The recorder sees what passes: TPM_CC_Create and TPM_CC_Unseal, and bytes sent in clear by another tool.
    for command in [0x153u32, 0x15E] {
        let header = [&[0x80, 0x02][..], &[0; 4]].concat();
        assert!(
            recorded.windows(10).any(|ten| ten[..2] == header[..2] && ten[6..] == command.to_be_bytes()),
            "command {command:#x} was recorded"
        );
    }
    let clear = tpm::tool_at(&bus.tcti(), "tpm2_getrandom", &["16"]);
    assert!(contains(&bus.bytes(), &clear), "the recorder would have seen plain bytes");
    for window in seed(&made).windows(8) {
        assert!(!contains(&recorded, window), "eight bytes of the keys passed in clear");
    }
}

#[test]
fn answers_changed_on_the_bus_are_refused() {
    // TPM_CC_PCR_Read and TPM_CC_Create; below TPM_CC_Unseal and TPM_CC_CreatePrimary.
    for (command, doing) in [(0x17E, "read its registers"), (0x153, "seal")] {
        let (tpm, dir) = (Swtpm::start(), state());
        let bus = Recorder::that_tampers_with(tpm.port(), command);
        let error = keystore::init(&bus.tcti(), dir.path(), &PcrSet::of_our_image(), NOW).expect_err("tampered");
        assert!(matches!(&error, KeystoreError::Tpm(TpmError::Failed { doing: at, .. }) if *at == doing), "{error}");
        assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 0, "nothing is kept");
    }
    let (tpm, dir) = (Swtpm::start(), state());
    init(&tpm, dir.path());
    let bus = Recorder::that_tampers_with(tpm.port(), 0x15E);
    let error = keystore::unseal(&bus.tcti(), dir.path()).expect_err("tampered");
    assert!(matches!(error, KeystoreError::Tpm(TpmError::Failed { doing: "unseal", .. })), "{error}");
    // Another storage key in its place has another name.
    let bus = Recorder::that_tampers_with(tpm.port(), 0x131);
    keystore::unseal(&bus.tcti(), dir.path()).expect_err("tampered");
}

#[test]
fn registers_extend_as_the_specification_says() {
    let tpm = Swtpm::start();
    let set = PcrSet::new(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15]).expect("more than one command can read");
    extend(&tpm, 15);
    let values = Tpm::open(&tpm.tcti()).expect("open").read_pcrs(&set).expect("read");
    assert_eq!(values.values().len(), 13);
    let expected: [u8; 32] = Sha256::digest([[0; 32], [0xC0; 32]].concat()).into();
    assert_eq!(values.values().last(), Some(&(15, expected)));
    assert_eq!(values.values().first(), Some(&(0, [0; 32])));
    let error = Tpm::open(&tpm.tcti()).expect("open").extend_pcr(24, &[0; 32]).expect_err("no PCR 24");
    assert!(matches!(error, TpmError::Wrong { .. }), "{error}");
}

#[test]
fn the_doctor_names_a_software_tpm() {
    let tpm = Swtpm::start();
    let findings = platform::doctor::examine(Path::new("/nonexistent"), &tpm.tcti());
    let tpm = findings.iter().find(|finding| finding.subject == "tpm").expect("looked for");
    assert_eq!(tpm.state, platform::doctor::State::Found);
    assert!(tpm.detail.contains("IBM") && tpm.detail.contains("software TPM"), "{}", tpm.detail);
}

#[test]
fn the_tpm_library_is_silent_once_told_so() {
    let run = |log: Option<&str>| {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this test"));
        child.args(["--exact", "a_program_that_fails_to_unseal", "--nocapture", "--ignored"]).env_remove("TSS2_LOG");
        if let Some(log) = log {
            child.env("TSS2_LOG", log);
        }
        let output = child.output().expect("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).expect("text")
    };
    let quiet = run(None);
    assert!(!quiet.contains("ERROR") && !quiet.contains("WARNING"), "{quiet}");
    assert!(run(Some("all+ERROR")).contains("ERROR"), "an operator who asks for the noise gets it");
}

/// The other half of the test above: runs as a program of its own.
#[test]
#[ignore = "started by the test above"]
fn a_program_that_fails_to_unseal() {
    platform::silence_tpm_library().expect("run again");
    let address = tpm::address(tpm::free_pair());
    assert!(matches!(Tpm::open(&address), Err(TpmError::Missing { .. })));
}

#[test]
fn a_tpm_may_be_handed_to_another_thread() {
    let tpm = Swtpm::start();
    let mut opened = Tpm::open(&tpm.tcti()).expect("open");
    let set = PcrSet::of_our_image();
    let values = thread::spawn(move || opened.read_pcrs(&set)).join().expect("thread").expect("read");
    assert_eq!(values.set(), PcrSet::of_our_image());
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Stands between the gateway and the TPM and keeps every byte, as somebody with a probe on the bus would.
struct Recorder {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    fn before(tpm: u16) -> Self {
        Self::that(tpm, None)
    }

    /// One that also changes a byte in every answer to `command`.
    fn that_tampers_with(tpm: u16, command: u32) -> Self {
        Self::that(tpm, Some(command))
    }

    fn that(tpm: u16, tampered: Option<u32>) -> Self {
        let (port, listeners) = tpm::bound_pair();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (listener, to) in listeners.into_iter().zip([tpm, tpm + 1]) {
            let seen = Arc::clone(&seen);
            let last = Arc::new(AtomicU32::new(0));
            thread::spawn(move || {
                for client in listener.incoming() {
                    let client = client.expect("client");
                    let server = TcpStream::connect(("127.0.0.1", to)).expect("TPM");
                    for (asking, mut source, mut sink) in [
                        (true, client.try_clone().expect("clone"), server.try_clone().expect("clone")),
                        (false, server, client),
                    ] {
                        let (seen, last) = (Arc::clone(&seen), Arc::clone(&last));
                        thread::spawn(move || {
                            let mut buffer = [0; 4096];
                            while let Ok(n @ 1..) = source.read(&mut buffer) {
                                seen.lock().expect("lock").extend_from_slice(&buffer[..n]);
                                // Command codes stand at offset 6, answers' parameters begin at 14.
                                match (asking, buffer[..n].get(6..10)) {
                                    (true, Some(code)) => {
                                        last.store(u32::from_be_bytes(code.try_into().expect("four")), Relaxed);
                                    }
                                    (false, _) if Some(last.load(Relaxed)) == tampered && n > 60 => buffer[45] ^= 1,
                                    _ => {}
                                }
                                if sink.write_all(&buffer[..n]).is_err() {
                                    break;
                                }
                            }
                            sink.shutdown(Shutdown::Both).ok();
                        });
                    }
                }
            });
        }
        Self { port, seen }
    }

    fn tcti(&self) -> String {
        tpm::address(self.port)
    }

    fn bytes(&self) -> Vec<u8> {
        self.seen.lock().expect("lock").clone()
    }
}
