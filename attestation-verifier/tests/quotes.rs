//! Quotes: the ones that a software TPM made (tests/vectors/tpm) through the program, and forgeries of every part.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod common;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use attestation_verifier::{
    AttestError, AwsLc, ClaimsError, Crypto, GivenKey, Hcl, PublicArea, Quote, QuoteError, Ring, RuntimeClaims,
    RustCrypto, SignatureForm, SignedQuote, TpmKey, Unverified, Verified, registers,
};
use common::{Said, read, run_json, vectors};
use software_psp::{QuoteKey, QuoteRequest};

fn set() -> PathBuf {
    vectors().join("tpm")
}

fn nonce() -> String {
    String::from_utf8(read(set().join("nonce.hex"))).unwrap().trim().to_owned()
}

/// `attestation-verifier quote` with these arguments.
fn quote(arguments: &[&Path], more: &[&str]) -> Said {
    let [ak, quote, signature] = arguments else { panic!("want three files") };
    let files = ["--ak", "--quote", "--signature"].map(OsStr::new).into_iter().zip([ak, quote, signature]);
    let files = files.flat_map(|(option, file)| [option, file.as_os_str()]);
    run_json([OsStr::new("quote")].into_iter().chain(files).chain(more.iter().map(OsStr::new)))
}

fn finding(said: &Said) -> (&str, i32) {
    (said.json["finding"].as_str().unwrap(), said.exit)
}

#[test]
fn quotes_of_every_kind_of_key_hold_and_their_boot_is_explained() {
    let (pcrs, log, nonce) = (set().join("pcrs.txt"), set().join("boot.bin"), nonce());
    let more = ["--pcrs", pcrs.to_str().unwrap(), "--eventlog", log.to_str().unwrap(), "--nonce", &nonce];
    for (key, scheme) in
        [("rsassa", "RSASSA with SHA-256"), ("rsapss", "RSAPSS"), ("p256", "SHA-256"), ("p384", "SHA-384")]
    {
        let dir = set().join(key);
        for (ak, row) in [("ak.tpmt", "pass"), ("ak.tpm2b", "pass"), ("ak.pem", "not_checked")] {
            let said = quote(&[&dir.join(ak), &dir.join("quote.msg"), &dir.join("quote.sig")], &more);
            assert_eq!(finding(&said), ("holds", 0), "{key} {ak}: {:?}", said.failures());
            for row in ["quote", "quote-nonce", "pcrs", "event-log"] {
                assert_eq!(said.outcome(row), "pass", "{key} {ak} {row}");
            }
            assert_eq!((said.outcome("attestation-key"), said.outcome("vtpm")), (row, "not_checked"), "{key} {ak}");
            let text = said.json.to_string();
            assert!(text.contains(scheme) && text.contains("phase leave-initrd"), "{key}: {text}");
            assert!(text.contains("named by you"), "{text}");
        }
    }
    // As tools write signatures.
    for key in ["rsassa", "p256", "p384"] {
        let dir = set().join(key);
        let said = quote(&[&dir.join("ak.tpmt"), &dir.join("plain.msg"), &dir.join("plain.sig")], &more);
        assert_eq!(finding(&said), ("holds", 0), "{key}: {:?}", said.failures());
    }
    let dir = set().join("primary");
    let said = quote(&[&dir.join("ak.tpm2b"), &dir.join("quote.msg"), &dir.join("quote.sig")], &more);
    assert_eq!(finding(&said), ("holds", 0));
    assert!(said.json.to_string().contains("a primary key of the endorsement hierarchy"), "{}", said.json);
}

#[test]
fn what_a_key_signs_beside_quotes_is_none() {
    let dir = set().join("p256");
    for (name, exit, says) in
        [("certify", 2, "0x8017"), ("sha1", 2, "selects from sha1"), ("two-banks", 2, "selects from sha1, sha256")]
    {
        let said =
            quote(&[&dir.join("ak.pem"), &dir.join(format!("{name}.msg")), &dir.join(format!("{name}.sig"))], &[]);
        assert_eq!(finding(&said), ("does not hold", exit), "{name}");
        assert!(said.json.to_string().contains(says), "{name}: {}", said.json);
    }
    // The signature is right, and yet no TPM says so.
    let dir = set().join("fail_unrestricted");
    let said = quote(&[&dir.join("ak.tpm2b"), &dir.join("quote.msg"), &dir.join("quote.sig")], &[]);
    assert_eq!(finding(&said), ("does not hold", 6));
    assert_eq!((said.outcome("quote"), said.outcome("attestation-key")), ("pass", "fail"));
}

#[test]
fn another_nonce_other_registers_and_another_key_are_told() {
    let (dir, pcrs) = (set().join("p256"), set().join("pcrs.txt"));
    let files = [dir.join("ak.tpmt"), dir.join("quote.msg"), dir.join("quote.sig")];
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let said = quote(&files, &["--nonce", &"5a".repeat(32)]);
    assert_eq!((finding(&said), said.outcome("quote-nonce")), (("does not hold", 6), "fail"));
    let said = quote(&[&set().join("primary/ak.tpm2b"), files[1], files[2]], &[]);
    assert_eq!((finding(&said), said.outcome("quote")), (("does not hold", 3), "fail"));
    let text = String::from_utf8(read(&pcrs)).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("pcrs.txt");
    let without_15 = text.lines().filter(|line| !line.contains("15:")).collect::<Vec<_>>().join("\n");
    for (text, says) in [
        (without_15.clone(), "given are 0 1 2 3 4 5 6 7 11 12 13 14"),
        (format!("{text}\n    16: 0x{}", "00".repeat(32)), "given are 0 1 2 3 4 5 6 7 11 12 13 14 15 16"),
        (text.replacen("0x2593", "0x2594", 1), "the registers given have"),
    ] {
        std::fs::write(&path, text).unwrap();
        let said = quote(&files, &["--pcrs", path.to_str().unwrap()]);
        assert_eq!((finding(&said), said.outcome("pcrs")), (("does not hold", 6), "fail"));
        assert!(said.json.to_string().contains(says), "{}", said.json);
    }
}

#[test]
fn the_name_of_a_key_is_what_its_tpm_says() {
    for key in ["rsassa", "rsapss", "p256", "p384"] {
        let dir = set().join(key);
        let area = PublicArea::parse(&read(dir.join("ak.tpmt"))).unwrap();
        assert_eq!(area.name()[..], read(dir.join("ak.name"))[..], "{key}");
        assert_eq!(PublicArea::parse(&read(dir.join("ak.tpm2b"))).unwrap(), area);
        assert!(area.attests());
        let given = GivenKey::read(&read(dir.join("ak.pem"))).unwrap();
        assert_eq!(given.key(), area.key());
    }
    let endorsement = PublicArea::parse(&read(set().join("ek.tpmt"))).unwrap();
    assert!(!endorsement.attests(), "an endorsement key decrypts");
    let area = read(set().join("p256/ak.tpmt"));
    for length in 0..area.len() {
        assert!(PublicArea::parse(&area[..length]).is_err(), "{length}");
    }
    assert!(PublicArea::parse(&[&area[..], &[0]].concat()).is_err());
}

/// A key in software, and what it signs.
struct Forger {
    key: QuoteKey,
    spki: TpmKey,
}

impl Forger {
    fn new(key: QuoteKey) -> Self {
        let spki = TpmKey::from_spki(&key.spki().unwrap()).unwrap();
        Self { key, spki }
    }

    fn p256() -> &'static Self {
        static KEY: OnceLock<Forger> = OnceLock::new();
        KEY.get_or_init(|| Self::new(QuoteKey::p256(&mut rsa::rand_core::OsRng)))
    }

    /// What a verifier makes of these bytes with a signature of this key that is right.
    fn signed(&self, attest: &[u8]) -> Result<Verified<Quote>, QuoteError> {
        self.check(attest, &self.key.sign(attest))
    }

    fn check(&self, attest: &[u8], signature: &[u8]) -> Result<Verified<Quote>, QuoteError> {
        Unverified(SignedQuote { attest, signature, form: SignatureForm::Tpm }).verify(&self.spki, &Ring)
    }
}

/// Of the TPM that the software processor plays.
const FIRMWARE: u64 = 0x2016_0000_0000_0001;

fn request() -> QuoteRequest {
    QuoteRequest::new([0x51; 32], [0x15; 32])
}

#[test]
fn a_quote_is_what_a_tpm_would_have_made_and_nothing_else() {
    let forger = Forger::p256();
    let good = request().attest(&forger.key);
    let quote = forger.signed(&good).unwrap();
    assert_eq!((quote.extra_data(), quote.selection()), (&[0x51; 32][..], &[4, 7, 11, 12, 13, 14, 15][..]));
    assert_eq!((quote.clock().reset_count, quote.clock().safe), (7, true));
    assert_eq!((quote.firmware_version(), quote.qualified_signer()), (FIRMWARE, &forger.key.qualified_name()[..]));

    let magic = QuoteRequest { magic: 0xFF54_4348, ..request() }.attest(&forger.key);
    assert_eq!(forger.signed(&magic).unwrap_err(), QuoteError::Attest(AttestError::Magic { found: 0xFF54_4348 }));
    for kind in [0x8014, 0x8016, 0x8017, 0x8019, 0x801A, 0] {
        let other = QuoteRequest { kind, ..request() }.attest(&forger.key);
        assert_eq!(forger.signed(&other).unwrap_err(), QuoteError::Attest(AttestError::Type { found: kind }));
    }
    for bank in [0x0004, 0x000C, 0x000D, 0x0012] {
        let other = QuoteRequest { bank, ..request() }.attest(&forger.key);
        let error = forger.signed(&other).unwrap_err();
        assert_eq!(error, QuoteError::Attest(AttestError::Banks { found: vec![bank] }));
    }
    let nothing = QuoteRequest { registers: vec![], ..request() }.attest(&forger.key);
    assert_eq!(forger.signed(&nothing).unwrap_err(), QuoteError::Attest(AttestError::NothingSelected));
    let longest = QuoteRequest { extra_data: vec![1; 66], ..request() }.attest(&forger.key);
    assert_eq!(forger.signed(&longest).unwrap().extra_data().len(), 66);
    let one_past = QuoteRequest { extra_data: vec![1; 67], ..request() }.attest(&forger.key);
    assert!(matches!(forger.signed(&one_past), Err(QuoteError::Attest(AttestError::Marshal(_)))));
}

#[test]
fn a_correctly_signed_quote_of_any_other_length_is_none() {
    let forger = Forger::p256();
    let good = request().attest(&forger.key);
    for length in 0..good.len() {
        assert!(matches!(forger.signed(&good[..length]), Err(QuoteError::Attest(_))), "{length}");
    }
    assert!(matches!(forger.signed(&[&good[..], &[0]].concat()), Err(QuoteError::Attest(_))));
}

#[test]
fn every_flipped_bit_of_quote_and_signature_breaks_the_signature_first() {
    let forger = Forger::p256();
    let attest = request().attest(&forger.key);
    let signature = forger.key.sign(&attest);
    for at in 0..attest.len() {
        for bit in 0..8 {
            let mut flipped = attest.clone();
            flipped[at] ^= 1 << bit;
            let error = forger.check(&flipped, &signature).unwrap_err();
            assert!(matches!(error, QuoteError::Signature { .. }), "byte {at}, bit {bit}: {error}");
        }
    }
    for at in 0..signature.len() {
        for bit in 0..8 {
            let mut flipped = signature.clone();
            flipped[at] ^= 1 << bit;
            assert!(forger.check(&attest, &flipped).is_err(), "byte {at}, bit {bit}");
        }
    }
    for length in 0..signature.len() {
        let error = forger.check(&attest, &signature[..length]).unwrap_err();
        assert!(matches!(error, QuoteError::SignatureForm(_)), "{length}: {error}");
    }
    assert!(forger.check(&attest, &[&signature[..], &[0]].concat()).is_err());
}

#[test]
fn an_unsigned_quote_and_one_by_another_key_show_nothing() {
    let forger = Forger::p256();
    let attest = request().attest(&forger.key);
    let stranger = QuoteKey::p256(&mut rsa::rand_core::OsRng);
    let others =
        [vec![], vec![0; 72], stranger.sign(&attest), QuoteKey::p384(&mut rsa::rand_core::OsRng).sign(&attest)];
    for signature in others {
        assert!(forger.check(&attest, &signature).is_err());
    }
    // A scheme that we take with a hash that we do not, and a scheme that nobody takes.
    let of_form = |scheme: u8, hash: u8| match forger.check(&attest, &[0, scheme, 0, hash, 0, 1, 1]).unwrap_err() {
        QuoteError::SignatureForm(error) => (error.field, error.offset),
        other => panic!("{other}"),
    };
    for scheme in [0x14, 0x16, 0x18] {
        assert_eq!(of_form(scheme, 0x04), ("hash", 2), "{scheme:#x} with SHA-1");
    }
    assert_eq!(of_form(0x1A, 0x0B), ("sigAlg", 0));
    // R = S = 0, the shape of a signature.
    let zero = [&[0, 0x18, 0, 0x0B, 0, 32][..], &[0; 32], &[0, 32], &[0; 32]].concat();
    assert!(matches!(forger.check(&attest, &zero), Err(QuoteError::Signature { .. })));
    // What tools write is not what bundles carry.
    let plain = SignedQuote {
        attest: &read(set().join("p256/plain.msg")),
        signature: &read(set().join("p256/plain.sig")),
        form: SignatureForm::Tpm,
    };
    let key = GivenKey::read(&read(set().join("p256/ak.pem"))).unwrap();
    assert!(matches!(Unverified(plain).verify(key.key(), &Ring), Err(QuoteError::SignatureForm(_))));
}

#[test]
fn registers_are_the_signed_ones_in_number_place_and_value() {
    for forger in [Forger::p256(), &Forger::new(QuoteKey::p384(&mut rsa::rand_core::OsRng))] {
        let request = request();
        let quote = forger.signed(&request.attest(&forger.key)).unwrap();
        let given = request.registers.clone();
        let believed = quote.registers(&given).unwrap();
        assert_eq!((believed.value(15), believed.value(8), believed.iter().count()), (Some(&[0x15; 32]), None, 7));

        let selection = |given: &[(u8, [u8; 32])]| matches!(quote.registers(given), Err(QuoteError::Selection { .. }));
        let values = |given: &[(u8, [u8; 32])]| matches!(quote.registers(given), Err(QuoteError::Registers { .. }));
        assert!(selection(&given[1..]) && selection(&[]));
        assert!(selection(&[&given[..], &[(8, [8; 32])]].concat()));
        assert!(selection(&[&given[..], &[given[0]]].concat()));
        assert!(selection(&[&given[..6], &[(16, given[6].1)]].concat()));
        let mut exchanged = given.clone();
        (exchanged[0].1, exchanged[1].1) = (given[1].1, given[0].1);
        assert!(values(&exchanged));
        for at in 0..given.len() {
            let mut other = given.clone();
            other[at].1[31] ^= 1;
            assert!(values(&other), "{at}");
        }
        // The order in which they are written means nothing.
        let backwards: Vec<_> = given.iter().rev().copied().collect();
        assert!(quote.registers(&backwards).is_ok());
    }
}

#[test]
fn a_set_of_registers_as_tpm2_pcrread_prints_them_is_the_one_that_is_signed() {
    let set = registers(&read(set().join("pcrs.txt"))).unwrap();
    assert_eq!(set.iter().count(), 13);
}

/// A policy file that asks something of the boot, and nothing of a report that is not there.
fn boot_policy(dir: &Path, events: &str) -> PathBuf {
    let strict = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/strict.toml"));
    let strict = String::from_utf8(strict).unwrap();
    let (before, after) = strict.split_once("\nevents = ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    let path = dir.join("policy.toml");
    std::fs::write(&path, format!("{before}\n{after}\n[events]\n{events}")).unwrap();
    path
}

#[test]
fn a_policy_of_the_boot_is_asked_through_the_program() {
    let sha = |data: &[u8]| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(data));
    let uki = [
        (".linux", sha(b"a kernel")),
        (".osrel", sha(b"NAME=Sealgate\n")),
        (".cmdline", sha(b"root=/dev/mapper/root ro quiet\0")),
        (".initrd", sha(b"an initial file system")),
    ];
    let uki: Vec<String> = uki.iter().map(|(name, digest)| format!("\"{name}\" = [\"{digest}\"]")).collect();
    let events = |kernel: &str| {
        format!(
            r#"secure_boot = "require"
programs = ["{}"]
uki = {{ {} }}
kernel = ["{kernel}"]
initrd = ["{}"]
cmdline = ["root=/dev/mapper/root ro quiet"]
binary = {{ unchecked = "the image holds it" }}
loader_files = []
loader_commands = []
"#,
            sha(b"Authenticode content of the unified kernel image"),
            uki.join(", "),
            sha(b"an initial file system"),
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let (key, pcrs, log) = (set().join("p256"), set().join("pcrs.txt"), set().join("boot.bin"));
    let files = [key.join("ak.tpmt"), key.join("quote.msg"), key.join("quote.sig")];
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let policy = boot_policy(dir.path(), &events(&sha(b"a kernel")));
    let more = ["--policy", policy.to_str().unwrap(), "--pcrs", pcrs.to_str().unwrap()];
    let with_log = [&more[..], &["--eventlog", log.to_str().unwrap()]].concat();
    let rows = ["event-secure-boot", "event-programs", "event-uki", "event-kernel", "event-initrd", "event-cmdline"];

    let said = quote(&files, &with_log);
    assert_eq!(finding(&said), ("holds", 0), "{:?}", said.failures());
    assert!(rows.iter().all(|row| said.outcome(row) == "pass"), "{}", said.json);
    let said = quote(&files, &more);
    assert_eq!(finding(&said), ("does not hold", 5), "asked for, and no log");
    assert!(rows.iter().all(|row| said.outcome(row) == "not_checked"), "{}", said.json);
    boot_policy(dir.path(), &events(&sha(b"another kernel")));
    let said = quote(&files, &with_log);
    assert_eq!((finding(&said), said.outcome("event-kernel")), (("does not hold", 5), "fail"));
    assert_eq!(said.failures().len(), 1, "{:?}", said.failures());
}

/// What of a bincode text comes next: a u64 length, little-endian, and so many parts of this size.
fn taken<'a>(bytes: &mut &'a [u8], size: usize) -> &'a [u8] {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (part, rest) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap() * size);
    *bytes = rest;
    part
}

#[test]
fn a_genuine_azure_quote_of_a_package_verifies_and_its_claims_are_read() {
    let dir = vectors().join("registry/az-cvm-vtpm-0.8.2");
    let recorded = read(dir.join("quote.bin"));
    let mut rest = &recorded[..];
    let (signature, attest, values) = (taken(&mut rest, 1), taken(&mut rest, 1), taken(&mut rest, 32));
    assert!(rest.is_empty());
    let key = GivenKey::read(&read(dir.join("akpub.pem"))).unwrap();
    let check = |attest: &[u8]| {
        Unverified(SignedQuote { attest, signature, form: SignatureForm::Tool }).verify(key.key(), &Ring)
    };
    let quote = check(attest).unwrap();
    assert_eq!(quote.extra_data(), b"challenge");
    let values: Vec<(u8, [u8; 32])> = (0..24).zip(values.chunks(32).map(|value| value.try_into().unwrap())).collect();
    assert_eq!(quote.registers(&values).unwrap().iter().count(), 24);
    let mut flipped = attest.to_vec();
    flipped[50] ^= 1;
    assert!(matches!(check(&flipped), Err(QuoteError::Signature { .. })));

    let claims = RuntimeClaims::parse(&read(dir.join("var-data.bin"))).unwrap();
    assert!(claims.complete().is_ok() && claims.user_data() == Some(&[0; 64]));
    let blob = read(vectors().join("registry/az-snp-vtpm-0.8.2/hcl-report-snp.bin"));
    let hcl = Hcl::parse(&blob).unwrap();
    let report_data = hcl.report().signed_bytes()[0x50..0x90].try_into().unwrap();
    let claims = RuntimeClaims::parse(hcl.claims(report_data).unwrap()).unwrap();
    assert_eq!(claims.complete(), Err(ClaimsError::NoEndorsementKey), "a blob of 2023");
}

#[test]
fn all_back_ends_say_the_same_of_every_quote_and_of_every_damaged_one() {
    fn verdicts(crypto: &impl Crypto) -> Vec<bool> {
        let mut said = Vec::new();
        for name in ["rsassa", "rsapss", "p256", "p384"] {
            let dir = set().join(name);
            let key = GivenKey::read(&read(dir.join("ak.pem"))).unwrap();
            let (attest, signature) = (read(dir.join("quote.msg")), read(dir.join("quote.sig")));
            let mut check = |attest: &[u8], signature: &[u8]| {
                let quote = SignedQuote { attest, signature, form: SignatureForm::Tpm };
                said.push(Unverified(quote).verify(key.key(), crypto).is_ok());
            };
            check(&attest, &signature);
            for at in (0..signature.len()).step_by(7) {
                let mut flipped = signature.clone();
                flipped[at] ^= 0x10;
                check(&attest, &flipped);
            }
            for at in (0..attest.len()).step_by(7) {
                let mut flipped = attest.clone();
                flipped[at] ^= 0x10;
                check(&flipped, &signature);
            }
        }
        said
    }
    let ring = verdicts(&Ring);
    assert_eq!(ring.iter().filter(|holds| **holds).count(), 4, "the four as recorded and no other");
    assert_eq!(ring, verdicts(&RustCrypto));
    assert_eq!(ring, verdicts(&AwsLc));
}

#[test]
fn numbers_of_a_correctly_signed_quote_have_one_form() {
    let forger = Forger::p256();
    let good = request().attest(&forger.key);
    let quote = forger.signed(&good).unwrap();
    // magic, type, qualifiedSigner, extraData, clock, resets, restarts
    let safe = 4 + 2 + 2 + quote.qualified_signer().len() + 2 + quote.extra_data().len() + 8 + 4 + 4;
    let select = safe + 1 + 8 + 4 + 2;
    assert_eq!((good[safe], good[select]), (1, 3));
    let with = |at: usize, byte: u8| {
        let mut other = good.clone();
        other[at] = byte;
        forger.signed(&other)
    };
    assert!(!with(safe, 0).unwrap().clock().safe);
    for (at, byte) in [(safe, 2), (safe, 0xFF), (select, 0), (select, 2), (select, 4), (select, 0xFF)] {
        assert!(matches!(with(at, byte), Err(QuoteError::Attest(AttestError::Marshal(_)))), "byte {at} = {byte}");
    }
    // More selections than are there, and none.
    for count in [0, 2, 17, 0xFF] {
        assert!(matches!(with(select - 3, count), Err(QuoteError::Attest(_))), "{count} selections");
    }
    // Sixteen selections, the most that are read, are too many banks; one more is not looked at.
    let selections = |count: u8| {
        let one = [&[0, 0x0B, 3], &good[select + 1..select + 4]].concat().repeat(usize::from(count));
        forger.signed(&[&good[..select - 6], &[0, 0, 0, count], &one, &good[select + 4..]].concat()).unwrap_err()
    };
    assert_eq!(selections(16), QuoteError::Attest(AttestError::Banks { found: vec![0x0B; 16] }));
    assert!(
        matches!(selections(17), QuoteError::Attest(AttestError::Marshal(error)) if error.field == "pcrSelect.count")
    );
    // Selecting another register changes what has to be given.
    let mut other = good.clone();
    other[select + 1] ^= 0b1;
    let quote = forger.signed(&other).unwrap();
    assert_eq!(quote.selection(), [0, 4, 7, 11, 12, 13, 14, 15]);
    assert!(matches!(quote.registers(&request().registers), Err(QuoteError::Selection { .. })));
}

#[test]
fn what_a_key_may_sign_is_in_its_attributes() {
    let area = read(set().join("p256/ak.tpmt"));
    let with = |bit: u32| {
        let mut other = area.clone();
        let attributes = u32::from_be_bytes(other[4..8].try_into().unwrap()) ^ 1 << bit;
        other[4..8].copy_from_slice(&attributes.to_be_bytes());
        PublicArea::parse(&other).unwrap()
    };
    // fixedTPM, fixedParent, sensitiveDataOrigin, restricted, decrypt, sign.
    for bit in [1, 4, 5, 16, 17, 18] {
        assert!(!with(bit).attests(), "bit {bit}");
    }
    // userWithAuth says who may use it, not for what.
    assert!(with(6).attests());
    assert_ne!(with(6).name(), PublicArea::parse(&area).unwrap().name(), "and yet it is another key");

    let rsa = read(set().join("rsassa/ak.tpmt"));
    let exponent = rsa.len() - 256 - 2 - 4;
    for (value, taken) in [(0, true), (65537, true), (3, false), (65539, false), (1, false)] {
        let mut other = rsa.clone();
        other[exponent..exponent + 4].copy_from_slice(&u32::to_be_bytes(value));
        assert_eq!(PublicArea::parse(&other).is_ok(), taken, "exponent {value}");
    }
    // Name algorithm SHA-384, another curve, a keyed hash.
    for (at, byte) in [(3, 0x0C), (1, 0x08)] {
        let mut other = area.clone();
        other[at] = byte;
        assert!(PublicArea::parse(&other).is_err(), "byte {at}");
    }
}

#[test]
fn every_refusal_of_a_quote_says_what_would_mend_it() {
    let forger = Forger::p256();
    let good = request().attest(&forger.key);
    let signed = |request: QuoteRequest| forger.signed(&request.attest(&forger.key)).unwrap_err();
    let quote = forger.signed(&good).unwrap();
    let mut values = request().registers;
    values[0].1[0] ^= 1;
    for (error, words) in [
        (forger.check(&good, &[0; 4]).unwrap_err(), "the TPMT_SIGNATURE that came with the quote"),
        (forger.check(&good, &forger.key.sign(b"something else")).unwrap_err(), "the key that signed them"),
        (forger.signed(&good[..40]).unwrap_err(), "ask for a quote by a TPM"),
        (signed(QuoteRequest { magic: 0, ..request() }), "use a restricted key"),
        (signed(QuoteRequest { kind: 0x8017, ..request() }), "what TPM2_Quote returned"),
        (signed(QuoteRequest { bank: 4, ..request() }), "of the SHA-256 bank alone"),
        (signed(QuoteRequest { registers: vec![], ..request() }), "of the SHA-256 bank alone"),
        (quote.registers(&values[1..]).unwrap_err(), "exactly the registers that the quote selects"),
        (quote.registers(&values).unwrap_err(), "quote again until nothing changed"),
    ] {
        assert!(error.fix().contains(words), "{error}: {}", error.fix());
    }
}
