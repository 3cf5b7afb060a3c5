//! Quotes of a real software TPM, checked by other software and by hand.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is the test's answer"
)]

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

use platform::{AkChoice, Quoter, Tpm, TpmError, TpmQuote, TpmQuoter};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sealgate_tests::{
    paravisor,
    tpm::{self, Swtpm},
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const Q: [u8; 32] = [0x51; 32];
const PCRS: [u8; 9] = [4, 7, 8, 9, 11, 12, 13, 14, 15];

/// TPMS_ATTEST (part 2, 10.12.12), read field by field; the signature over it is checked first.
struct Quoted {
    extra: Vec<u8>,
    selection: Vec<u8>,
    digest: Vec<u8>,
}

fn checked(quote: &TpmQuote, spki: &[u8]) -> Quoted {
    let (algorithm, rest) = quote.signature.split_at(2);
    let (hash, rest) = rest.split_at(2);
    assert_eq!(hash, [0x00, 0x0B], "SHA-256");
    match algorithm {
        [0x00, 0x18] => {
            let (r, rest) = sized(rest);
            let (s, rest) = sized(rest);
            assert!(rest.is_empty());
            let fixed = [vec![0; 32 - r.len()], r.to_vec(), vec![0; 32 - s.len()], s.to_vec()].concat();
            let point = &spki[spki.len() - 65..];
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(&quote.attest, &fixed).expect("signed");
        }
        [0x00, 0x14] => {
            let (signature, rest) = sized(rest);
            assert!(rest.is_empty());
            // RSAPublicKey stands behind 24 bytes of SubjectPublicKeyInfo.
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &spki[24..]);
            key.verify(&quote.attest, signature).expect("signed");
        }
        other => panic!("signature algorithm {other:02x?}"),
    }
    let (head, rest) = quote.attest.split_at(6);
    assert_eq!(head, [0xFF, 0x54, 0x43, 0x47, 0x80, 0x18], "TPM_GENERATED_VALUE, TPM_ST_ATTEST_QUOTE");
    let (_signer, rest) = sized(rest);
    let (extra, rest) = sized(rest);
    // clockInfo 17, firmwareVersion 8.
    let (selection, rest) = rest[25..].split_at(10);
    let (digest, rest) = sized(rest);
    assert!(rest.is_empty());
    Quoted { extra: extra.to_vec(), selection: selection.to_vec(), digest: digest.to_vec() }
}

fn sized(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes[2..].split_at(usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
}

fn digest(quote: &TpmQuote) -> Vec<u8> {
    let values: Vec<u8> = quote.pcrs.iter().flat_map(|(_, value)| *value).collect();
    Sha256::digest(values).to_vec()
}

fn extend(tpm: &Swtpm, index: u8) {
    Tpm::open(&tpm.tcti()).expect("open").extend_pcr(index, &[0xC0; 32]).expect("extend");
}

#[test]
fn a_quote_by_our_key_covers_what_was_asked_for() {
    let tpm = Swtpm::start();
    extend(&tpm, 15);
    let opened = std::time::Instant::now();
    let quoter = TpmQuoter::open(&tpm.tcti(), AkChoice::Ours).expect("open");
    let opened = opened.elapsed();
    let started = std::time::Instant::now();
    let quote = quoter.quote(&Q, &PCRS).expect("quote");
    eprintln!("open {:.1} ms, quote {:.1} ms", opened.as_secs_f64() * 1e3, started.elapsed().as_secs_f64() * 1e3);
    let quoted = checked(&quote, &quoter.key().spki);
    assert_eq!(quoted.extra, Q);
    // One bank, SHA-256, three bytes of bits: 4 7 8 9 11 12 13 14 15.
    assert_eq!(quoted.selection, [0, 0, 0, 1, 0, 0x0B, 3, 0x90, 0xFB, 0]);
    assert_eq!(quoted.digest, digest(&quote));
    assert_eq!(quote.pcrs.iter().map(|(index, _)| *index).collect::<Vec<_>>(), PCRS);
    let expected: [u8; 32] = Sha256::digest([[0; 32], [0xC0; 32]].concat()).into();
    assert_eq!(quote.pcrs.last(), Some(&(15, expected)));
    let other = quoter.quote(&[0x52; 32], &PCRS).expect("another");
    assert_eq!(checked(&other, &quoter.key().spki).extra, [0x52; 32]);
    // All that there are, the resettable ones too: three commands to read them.
    let all: Vec<u8> = (0..24).collect();
    let quote = quoter.quote(&Q, &all).expect("all");
    assert_eq!(checked(&quote, &quoter.key().spki).digest, digest(&quote));
}

#[test]
fn other_software_accepts_the_quote() {
    let (tpm, dir) = (Swtpm::start(), TempDir::new().expect("directory"));
    let quoter = TpmQuoter::open(&tpm.tcti(), AkChoice::Ours).expect("open");
    let quote = quoter.quote(&Q, &PCRS).expect("quote");
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("ak.der"), &quoter.key().spki).expect("written");
    fs::write(path("msg"), &quote.attest).expect("written");
    fs::write(path("sig"), &quote.signature).expect("written");
    let run = |tool: &str, arguments: &[&str]| {
        std::process::Command::new(tool).args(arguments).output().expect("the tool is installed").status.success()
    };
    assert!(run("openssl", &["pkey", "-pubin", "-inform", "DER", "-in", &path("ak.der"), "-out", &path("ak.pem")]));
    let check = |nonce: &str| {
        let (ak, msg, sig) = (path("ak.pem"), path("msg"), path("sig"));
        run("tpm2_checkquote", &["-Q", "-u", &ak, "-m", &msg, "-s", &sig, "-g", "sha256", "-q", nonce])
    };
    assert!(check(&hex::encode(Q)));
    assert!(!check(&"52".repeat(32)), "it would have seen another nonce");
}

#[test]
fn our_key_is_the_same_at_every_boot_and_on_no_other_machine() {
    let mut tpm = Swtpm::start();
    let quoter = TpmQuoter::open(&tpm.tcti(), AkChoice::Ours).expect("open");
    let key = quoter.key().clone();
    assert_eq!((key.spki.len(), &key.name[..2], key.ek_name), (91, &[0x00, 0x0B][..], None));
    for _ in 0..2 {
        tpm.reboot();
        assert_eq!(TpmQuoter::open(&tpm.tcti(), AkChoice::Ours).expect("open").key(), &key);
    }
    // Clearing takes what the owner made; the key hangs on the maker's seed.
    tpm.tool("tpm2_clear", &[]);
    assert_eq!(TpmQuoter::open(&tpm.tcti(), AkChoice::Ours).expect("open").key(), &key);
    let other = Swtpm::start();
    assert_ne!(TpmQuoter::open(&other.tcti(), AkChoice::Ours).expect("open").key(), &key);
}

#[test]
fn a_key_that_changed_since_the_start_does_not_quote() {
    let tpm = Swtpm::start();
    let quoter = TpmQuoter::open(&tpm.tcti(), AkChoice::Ours).expect("open");
    quoter.quote(&Q, &PCRS).expect("quote");
    tpm.tool("tpm2_changeeps", &[]);
    let error = quoter.quote(&Q, &PCRS).expect_err("another seed");
    assert!(matches!(error, TpmError::OtherKey), "{error}");
}

#[test]
fn a_persistent_key_quotes_as_azures_does() {
    let (tpm, dir) = (Swtpm::start(), TempDir::new().expect("directory"));
    let azure = AkChoice::Persistent(AkChoice::AZURE);
    let error = TpmQuoter::open(&tpm.tcti(), azure).err().expect("no key yet");
    assert!(matches!(error, TpmError::NoKey { handle: 0x8100_0003 }), "{error}");
    assert!(error.fix().contains("paravisor"), "{}", error.fix());
    paravisor::keep_a_key(&tpm, paravisor::FIT, "0x81000003");
    // An endorsement key where the convention has it.
    paravisor::keep_a_key(&tpm, &paravisor::FIT.replace("sign", "decrypt"), "0x81010001");
    let quoter = TpmQuoter::open(&tpm.tcti(), azure).expect("open");
    let quote = quoter.quote(&Q, &PCRS).expect("quote");
    let quoted = checked(&quote, &quoter.key().spki);
    assert_eq!((quoted.extra, quoted.digest), (Q.to_vec(), digest(&quote)));
    // Names as other software computes them.
    for (handle, name) in [("0x81000003", quoter.key().name), ("0x81010001", quoter.key().ek_name.expect("an EK"))] {
        let file = dir.path().join("name").display().to_string();
        tpm.tool("tpm2_readpublic", &["-Q", "-c", handle, "-n", &file]);
        assert_eq!(fs::read(&file).expect("name"), name, "{handle}");
    }
}

#[test]
fn a_key_that_could_sign_anything_is_refused() {
    for attributes in [paravisor::FIT.replace("|restricted", ""), paravisor::FIT.replace("sign", "decrypt")] {
        let tpm = Swtpm::start();
        paravisor::keep_a_key(&tpm, &attributes, "0x81000003");
        let error = TpmQuoter::open(&tpm.tcti(), AkChoice::Persistent(0x8100_0003)).err().expect("refused");
        assert!(matches!(error, TpmError::UnfitKey { .. }), "{error}");
        assert!(error.to_string().contains("0x81000003"), "{error}");
    }
}

#[test]
fn a_register_that_changes_between_read_and_quote_is_read_again() {
    let tpm = Swtpm::start();
    let busy = Between::us_and(tpm.port(), Trouble::Extends { times: 1 });
    let quoter = TpmQuoter::open(&busy.tcti(), AkChoice::Ours).expect("open");
    let quote = quoter.quote(&Q, &PCRS).expect("quote");
    assert_eq!(busy.quotes(), 2, "the first did not agree");
    let quoted = checked(&quote, &quoter.key().spki);
    assert_eq!(quoted.digest, digest(&quote));
    let expected: [u8; 32] = Sha256::digest([[0; 32], [0xEE; 32]].concat()).into();
    assert_eq!(quote.pcrs.iter().find(|(index, _)| *index == 12), Some(&(12, expected)), "it holds what was extended");
}

#[test]
fn registers_that_never_rest_are_given_up() {
    let tpm = Swtpm::start();
    let busy = Between::us_and(tpm.port(), Trouble::Extends { times: u32::MAX });
    let quoter = TpmQuoter::open(&busy.tcti(), AkChoice::Ours).expect("open");
    let error = quoter.quote(&Q, &PCRS).expect_err("they change at every attempt");
    assert!(matches!(error, TpmError::Unsteady), "{error}");
    assert_eq!(busy.quotes(), 5);
    // Registers that do not change are quoted beside those that do.
    quoter.quote(&Q, &[4, 7, 11]).expect("quote");
    assert_eq!(busy.quotes(), 6);
}

#[test]
fn registers_that_cannot_be_quoted_are_refused_before_the_tpm_is_asked() {
    let tpm = Swtpm::start();
    let busy = Between::us_and(tpm.port(), Trouble::Extends { times: 0 });
    let quoter = TpmQuoter::open(&busy.tcti(), AkChoice::Ours).expect("open");
    for indices in [&[][..], &[24], &[7, 4], &[4, 4]] {
        let error = quoter.quote(&Q, indices).expect_err("refused");
        assert!(matches!(error, TpmError::BadSelection { .. }), "{error}");
    }
    assert_eq!(busy.quotes(), 0);
}

#[test]
fn a_quote_over_other_bytes_is_refused() {
    let tpm = Swtpm::start();
    let replaying = Between::us_and(tpm.port(), Trouble::Replays);
    let quoter = TpmQuoter::open(&replaying.tcti(), AkChoice::Ours).expect("open");
    quoter.quote(&Q, &PCRS).expect("the first is what was asked for");
    quoter.quote(&Q, &PCRS).expect("and so is the same once more");
    for (qualifying, indices) in [([0x52; 32], &PCRS[..]), (Q, &[4, 7])] {
        let error = quoter.quote(&qualifying, indices).expect_err("an earlier one");
        assert!(matches!(error, TpmError::Wrong { .. }) && error.to_string().contains("something else"), "{error}");
    }
}

/// What happens between us and the TPM.
#[derive(Clone, Copy)]
enum Trouble {
    /// Somebody extends register 12 just before each of the first quotes.
    Extends { times: u32 },
    /// Every quote is answered by the first one.
    Replays,
}

/// Stands between us and the TPM.
struct Between {
    port: u16,
    quotes: Arc<AtomicU32>,
}

impl Between {
    fn us_and(tpm: u16, trouble: Trouble) -> Self {
        let port = tpm::free_pair();
        let quotes = Arc::new(AtomicU32::new(0));
        for (from, to) in [(port, tpm), (port + 1, tpm + 1)] {
            let listener = TcpListener::bind(("127.0.0.1", from)).expect("a free port");
            let quotes = Arc::clone(&quotes);
            thread::spawn(move || {
                let mut kept = None;
                for client in listener.incoming() {
                    let client = client.expect("client");
                    let server = TcpStream::connect(("127.0.0.1", to)).expect("TPM");
                    if to == tpm {
                        // Commands: one at a time, each with its answer.
                        while exchange(&client, &server, &quotes, trouble, &mut kept).is_ok() {}
                    } else {
                        let (from, to) = (client.try_clone().expect("clone"), server.try_clone().expect("clone"));
                        let answers = thread::spawn(move || copy(&server, &client));
                        copy(&from, &to);
                        answers.join().expect("copied");
                    }
                }
            });
        }
        Self { port, quotes }
    }

    fn tcti(&self) -> String {
        tpm::address(self.port)
    }

    fn quotes(&self) -> u32 {
        self.quotes.load(Relaxed)
    }
}

/// One command and its answer, with trouble around TPM2_Quote.
fn exchange(
    client: &TcpStream,
    mut server: &TcpStream,
    quotes: &AtomicU32,
    trouble: Trouble,
    kept: &mut Option<Vec<u8>>,
) -> std::io::Result<()> {
    let command = message(client)?;
    let is_quote = command[6..10] == 0x158u32.to_be_bytes();
    let before = if is_quote { quotes.fetch_add(1, Relaxed) } else { 0 };
    if is_quote && matches!(trouble, Trouble::Extends { times } if before < times) {
        // TPM2_PCR_Extend of register 12 by the empty password; one digest, SHA-256.
        let parts = ["8002", "00000041", "00000182", "0000000c", "00000009", "40000009", "0000", "00", "0000"];
        let mut extend = hex::decode(parts.concat() + "00000001000b").expect("hex");
        extend.extend([0xEE; 32]);
        server.write_all(&extend)?;
        assert_eq!(message(server)?[6..10], [0; 4], "extended");
    }
    server.write_all(&command)?;
    let answer = message(server)?;
    let replayed = is_quote && matches!(trouble, Trouble::Replays);
    let answer = if replayed { kept.get_or_insert(answer) } else { &answer };
    (&*client).write_all(answer)
}

/// Tag, length of the whole, the rest (part 1, 18).
fn message(mut from: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 6];
    from.read_exact(&mut head)?;
    let length = u32::from_be_bytes(head[2..].try_into().expect("four"));
    let mut whole = head.to_vec();
    whole.resize(usize::try_from(length).expect("short"), 0);
    from.read_exact(&mut whole[6..])?;
    Ok(whole)
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    std::io::copy(&mut from, &mut to).ok();
    to.shutdown(Shutdown::Both).ok();
}
