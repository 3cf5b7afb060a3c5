//! `measured-boot release`, as the people who release would run it: two of them, each with a key of openssl's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A folder with two keys, a description and all files it names.
struct Desk(tempfile::TempDir);

const DESCRIPTION: &str = r#"
name = "1.0.0"
git_commit = "9191919191919191919191919191919191919191"
source_archive = "source.tar"
created = 1795219200
policy = "policy.toml"
script = "verify-bundle"
provenance = ["enclave.provenance.json"]
release_keys = ["alice.public.pem", "bob.public.pem"]

[binaries]
enclave = "enclave"
bridge = "bridge"

[[launch_digest]]
file = "digest.json"
vcpu_type = "EPYC-v4"

[[launch_digest]]
measurement = "MEASUREMENT"
platform = "gce"
vcpus = 4

[[paravisor]]
id_key_digest = "MEASUREMENT"
family_id = "00000000000000000000000000000000"
image_id = "11111111111111111111111111111111"
min_guest_svn = 12

[[registers]]
name = "azure"
boot = "paravisor"
pcrs = "pcrs.json"
"#;

fn pcrs() -> Value {
    let value = |pcr: u8| hex::encode([pcr; 32]);
    json!({
        "bank": "sha256", "boot": "uki", "phase": "leave-initrd",
        "pcrs": {"4": value(4), "7": value(7), "9": value(9), "11": value(11), "12": value(0), "13": value(0), "14": value(14)},
        "notPredicted": {"0": "the firmware's"},
    })
}

fn openssl(dir: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("openssl").args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for person in ["alice", "bob", "mallory"] {
            let (key, public) = (format!("{person}.pem"), format!("{person}.public.pem"));
            openssl(desk.dir(), &["genpkey", "-algorithm", "ed25519", "-out", &key]);
            openssl(desk.dir(), &["pkey", "-in", &key, "-pubout", "-out", &public]);
        }
        for file in ["source.tar", "policy.toml", "verify-bundle", "enclave.provenance.json", "enclave", "bridge"] {
            desk.put(file, file);
        }
        desk.put_json(
            "digest.json",
            &json!({
                "mode": "snp", "launchDigest": hex::encode([0x1d; 48]), "vmmType": "QEMU", "vcpus": 2,
                "vcpuSignature": "0xa10f00", "guestFeatures": {"bits": "0x1", "names": ["SNPActive"]},
                "kernelHashes": {"kernel": "00", "initrd": "00", "commandLine": "00"},
            }),
        );
        desk.put_json("pcrs.json", &pcrs());
        desk.describe("", "");
        desk
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn put_json(&self, name: &str, value: &Value) {
        self.put(name, value.to_string());
    }

    /// The description with one piece exchanged.
    fn describe(&self, from: &str, to: &str) {
        let text = DESCRIPTION.replace("MEASUREMENT", &"2d".repeat(48));
        let changed = text.replacen(from, to, 1);
        assert!(from.is_empty() || changed != text, "{from}");
        self.put("release.toml", changed);
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_measured-boot"));
        command.arg("release").args(arguments).current_dir(self.dir()).output().unwrap()
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refuses(&self, arguments: &[&str], code: i32, words: &str) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(words) && text.contains("\nfix: "), "{text}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn create(&self) {
        let _ = fs::remove_file(self.dir().join("release.json"));
        self.does(&["create", "release.toml", "--out", "release.json"]);
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&fs::read(self.dir().join("release.json")).unwrap()).unwrap()
    }
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[test]
fn a_release_is_created_from_files_signed_by_two_and_shown() {
    let desk = Desk::new();
    let said = desk.does(&["create", "release.toml", "--out", "release.json"]);
    assert!(said.starts_with("release 1.0.0, manifest ") && said.ends_with(": 2 to sign\n"), "{said}");
    let draft = desk.refuses(&["show", "release.json", "--json"], 3, "not signed by");
    let shown: Value = serde_json::from_str(&draft).unwrap();
    let release = &shown["release"];
    assert_eq!(shown["complete"], false);
    assert_eq!(release["sourceHash"], sha256("source.tar"));
    assert_eq!(release["binaries"][1], json!({"program": "enclave", "sha256": sha256("enclave")}));
    assert_eq!(
        (&release["policy"], &release["script"]),
        (&sha256("policy.toml").into(), &sha256("verify-bundle").into())
    );
    assert_eq!(release["provenance"], json!([sha256("enclave.provenance.json")]));
    assert_eq!(
        release["launchDigests"][0],
        json!({
            "measurement": hex::encode([0x1d; 48]), "platform": "qemu", "vcpus": 2, "vcpuType": "EPYC-v4", "guestFeatures": 1,
        })
    );
    // A register that a unified kernel image does not decide is none of the set.
    let listed: Vec<_> = release["registers"][0]["pcrs"].as_array().unwrap().iter().map(|pcr| &pcr["pcr"]).collect();
    assert_eq!(listed, [4, 7, 11, 12, 13, 14]);

    let manifest = shown["manifestSha256"].as_str().unwrap();
    let said = desk.does(&["sign", "release.json", "--key", "alice.pem", "--manifest", manifest]);
    assert!(said.contains(manifest) && said.ends_with("; 1 to come\n"), "{said}");
    assert!(desk.refuses(&["show", "release.json"], 3, "not signed by").contains(" missing\n"));
    let said = desk.does(&["sign", "release.json", "--key", "bob.pem"]);
    assert!(said.ends_with("; everybody has signed\n"), "{said}");
    let keys = ["--release-key", "bob.public.pem", "--release-key", "alice.public.pem"];
    let text = desk.does(&[&["show", "release.json"], &keys[..]].concat());
    assert!(text.starts_with("release      1.0.0\n") && text.matches(" signed\n").count() == 2, "{text}");
    assert!(text.contains("PCR 14 ") && text.contains("GUEST_SVN 12 or more") && text.contains("4 vCPU\n"), "{text}");
    desk.refuses(&["show", "release.json", "--release-key", "alice.public.pem"], 3, "which you did not name");
    desk.refuses(&["show", "release.json", "--release-key", "mallory.public.pem"], 3, "which you named");
    let left: Vec<_> = fs::read_dir(desk.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
}

/// The framing of docs/WIRE.md by hand, and a verifier that is not ours.
#[test]
fn openssl_verifies_what_was_signed() {
    let desk = Desk::new();
    desk.create();
    desk.does(&["sign", "release.json", "--key", "alice.pem"]);
    let file = desk.json();
    desk.put("release.b64", file["release"].as_str().unwrap());
    let bytes = openssl(desk.dir(), &["base64", "-d", "-A", "-in", "release.b64"]).stdout;
    let lp = |part: &[u8]| [&u32::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat();
    desk.put("message", [lp(b"sealgate/release/v1"), 1_u32.to_be_bytes().to_vec(), lp(&bytes)].concat());
    desk.put("signature", hex::decode(file["signatures"][0]["value"].as_str().unwrap()).unwrap());
    let verify = ["pkeyutl", "-verify", "-pubin", "-inkey", "alice.public.pem", "-rawin", "-in", "message"];
    openssl(desk.dir(), &[&verify[..], &["-sigfile", "signature"]].concat());
}

#[test]
fn a_signature_that_would_not_count_is_not_made() {
    let desk = Desk::new();
    desk.create();
    desk.refuses(&["sign", "release.json", "--key", "mallory.pem"], 3, "does not list");
    desk.refuses(&["sign", "release.json", "--key", "alice.public.pem"], 1, "no Ed25519 key in PKCS#8 PEM");
    desk.refuses(&["sign", "release.json", "--key", "gone.pem"], 1, "gone.pem");
    openssl(desk.dir(), &["genpkey", "-algorithm", "x25519", "-out", "x.pem"]);
    desk.refuses(&["sign", "release.json", "--key", "x.pem"], 1, "no Ed25519 key");
    desk.refuses(
        &["sign", "release.json", "--key", "alice.pem", "--manifest", &"00".repeat(32)],
        6,
        "not the one you named",
    );
    assert_eq!(desk.json()["signatures"], json!([]));
    desk.does(&["sign", "release.json", "--key", "alice.pem"]);
    desk.refuses(&["sign", "release.json", "--key", "alice.pem"], 3, "has signed it already");
    // Another content under a signature that was made before.
    let signed = desk.json();
    desk.describe("1.0.0", "1.0.1");
    desk.create();
    let mixed = json!({"release": desk.json()["release"], "signatures": signed["signatures"]});
    desk.put_json("release.json", &mixed);
    desk.refuses(&["sign", "release.json", "--key", "bob.pem"], 3, "is not over this content");
    assert!(desk.refuses(&["show", "release.json"], 3, "does not verify").contains("does not verify\n"));
    assert_eq!(desk.json(), mixed, "the file stays as it was");
    desk.put("release.json", "{}");
    desk.refuses(&["sign", "release.json", "--key", "bob.pem"], 2, "file.release: this member is missing");
    desk.refuses(&["show", "release.json"], 2, "release.json: ");
    desk.put("release.json", vec![b' '; 200 * 1024]);
    desk.refuses(&["show", "release.json"], 2, "release.json: ");
}

#[test]
fn a_description_that_does_not_make_a_release_is_refused_by_what_is_wrong_with_it() {
    let desk = Desk::new();
    for (from, to, code, words) in [
        ("created = 1795219200", "created = \"today\"", 2, "release.toml: "),
        ("created = ", "threshold = 1\ncreated = ", 2, "threshold"),
        ("name = \"1.0.0\"", "name = \"1 0\"", 2, "release.name"),
        ("9191", "91", 2, "git_commit: want 40 hexadecimal digits"),
        ("source_archive = \"source.tar\"", "", 2, "source_hash or source_archive"),
        ("enclave = \"enclave\"", "enclave = \"gone\"", 1, "gone"),
        ("enclave = \"enclave\"", "", 2, "want the program enclave among them"),
        ("\"bob.public.pem\"", "\"alice.public.pem\"", 2, "release.releaseKeys"),
        ("[\"alice.public.pem\", \"bob.public.pem\"]", "[]", 2, "release.releaseKeys"),
        ("\"bob.public.pem\"", "\"bob.pem\"", 1, "no Ed25519 public key in PEM"),
        ("\"bob.public.pem\"", "\"0000000000000000000000000000000000000000000000000000000000000000\"", 1, "full order"),
        ("vcpus = 4", "vcpus = 769", 2, "release.launchDigests[1].vcpus: want 1 to 768"),
        ("platform = \"gce\"", "", 2, "launch_digest[1].platform: this member is missing"),
        (
            "file = \"digest.json\"",
            "file = \"digest.json\"\nvcpus = 3",
            2,
            "launch_digest[0]: file, or values, not both",
        ),
        ("file = \"digest.json\"", "file = \"pcrs.json\"", 2, "pcrs.json: mode: want snp"),
        ("[[launch_digest]]\nfile", "[[svsm_digest]]\nfile", 2, "digest.json: mode: want snp:svsm"),
        ("pcrs = \"pcrs.json\"", "pcrs = \"digest.json\"", 2, "digest.json: bank: want sha256"),
        ("boot = \"paravisor\"", "boot = \"launch\"", 2, "registers.boot: want one of"),
        ("min_guest_svn = 12", "min_guest_svn = 4294967296", 2, "min_guest_svn"),
    ] {
        desk.describe(from, to);
        desk.refuses(&["create", "release.toml", "--out", "release.json"], code, words);
        assert!(!desk.dir().join("release.json").exists(), "{to}");
    }
    desk.describe("", "");
    for (change, words) in [
        (json!({"pcrs": {"4": hex::encode([4; 32])}}), "pcrs.7: not predicted"),
        (json!({"phase": "sysinit"}), "phase: want leave-initrd"),
        (json!({"bank": "sha384"}), "bank: want sha256"),
        (json!({"boot": "grub"}), "pcrs.8: not predicted: grub.cfg is not given"),
        (json!({"boot": "lilo"}), "boot: want uki, grub or kernel"),
    ] {
        let mut value = pcrs();
        value["notPredicted"]["8"] = "grub.cfg is not given".into();
        value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        desk.put_json("pcrs.json", &value);
        desk.refuses(&["create", "release.toml", "--out", "release.json"], 2, words);
    }
    // Without a boot stub there is no phase.
    let mut grub = pcrs();
    for (member, value) in [("boot", json!("grub")), ("phase", Value::Null)] {
        grub[member] = value;
    }
    grub["pcrs"]["8"] = hex::encode([8; 32]).into();
    desk.put_json("pcrs.json", &grub);
    desk.create();
    let shown: Value =
        serde_json::from_str(&desk.refuses(&["show", "release.json", "--json"], 3, "not signed")).unwrap();
    assert_eq!(shown["release"]["registers"][0]["pcrs"].as_array().unwrap().len(), 8, "with 8 and 9");
    // Signatures in a file that is there are not thrown away.
    desk.refuses(&["create", "release.toml", "--out", "release.json"], 1, "release.json: ");
}

#[test]
fn a_prediction_that_names_no_kernel_or_is_of_another_machine_is_no_launch_digest() {
    let desk = Desk::new();
    let good: Value = serde_json::from_slice(&fs::read(desk.dir().join("digest.json")).unwrap()).unwrap();
    for (member, value, words) in [
        ("kernelHashes", Value::Null, "kernelHashes: want those of kernel, initrd and command line"),
        ("mode", json!("snp:svsm"), "mode: want snp; this one is for svsm_digest"),
        ("mode", json!("snp:ovmf-hash"), "mode: want snp"),
        ("mode", Value::Null, "mode: want snp"),
        ("launchDigest", json!("00"), "launchDigest: want 96"),
        ("launchDigest", json!("1D".repeat(47)), "launchDigest: want 96"),
    ] {
        let mut other = good.clone();
        other[member] = value;
        desk.put_json("digest.json", &other);
        desk.refuses(&["create", "release.toml", "--out", "release.json"], 2, words);
    }
    desk.put_json("digest.json", &good);
    // One measurement for machines with two and with four vCPUs: one of them is copied from the other.
    let twice = format!("measurement = \"{}\"\nplatform = \"gce\"", hex::encode([0x1d; 48]));
    desk.describe(&format!("measurement = \"{}\"\nplatform = \"gce\"", "2d".repeat(48)), &twice);
    desk.refuses(&["create", "release.toml", "--out", "release.json"], 2, "stands for two machines");
    // Two names of one kind of vCPU are one row.
    desk.describe(
        "[[paravisor]]",
        "[[launch_digest]]\nfile = \"digest.json\"\nvcpu_type = \"EPYC-Genoa\"\n\n[[paravisor]]",
    );
    desk.create();
}

#[test]
fn a_sparse_file_of_ten_gigabytes_is_no_description() {
    let desk = Desk::new();
    fs::File::create(desk.dir().join("release.toml")).unwrap().set_len(10 << 30).unwrap();
    desk.refuses(&["create", "release.toml", "--out", "release.json"], 2, "release.toml: longer than 262144 bytes");
    fs::File::create(desk.dir().join("release.json")).unwrap().set_len(10 << 30).unwrap();
    desk.refuses(&["show", "release.json"], 2, "release.json: ");
    fs::File::create(desk.dir().join("alice.pem")).unwrap().set_len(10 << 30).unwrap();
    fs::remove_file(desk.dir().join("release.json")).unwrap();
    desk.describe("", "");
    desk.create();
    desk.refuses(&["sign", "release.json", "--key", "alice.pem"], 1, "no Ed25519 key");
}
