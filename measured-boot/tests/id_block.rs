//! ID blocks made and checked by the command, beside openssl, snp-create-id-block and the `sev` crate's test files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::disallowed_methods, reason = "tests read vectors from files")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

/// Of the `sev` crate's own test: launch digest, ID block, key digests.
const SEV_DIGEST: &str =
    "a14d638341e5674628fe1e02fbedebe5e5ab4faf1dd72d8966068e615bb99efd13d214b35c231715b38e263dc6059745";
const SEV_BLOCK: &str = "oU1jg0HlZ0Yo/h4C++3r5eWrT68d1y2JZgaOYVu5nv0T0hSzXCMXFbOOJj3GBZdFAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAwAAAAAA";
const SEV_ID_KEY: &str =
    "59fb2c686dfa4fef49f38339aa775c90051c28d57383ddc3baf3b5eb4b1496df3b0dbbdcbae5fe27677a644820773fe2";
const SEV_AUTHOR_KEY: &str =
    "eed81169fb0cb5e0ec34794f128fd4e0c4a46f67c65a1adfa81fcb24bcc088c272369b7ffc3eb2b6af6a4284a1b36c5f";

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn own(name: &str) -> String {
    vectors().join("id-block").join(name).to_str().unwrap().to_owned()
}

fn run(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_measured-boot")).arg("id-block").args(flags).output().unwrap()
}

/// What `check` says, and its exit code.
fn check(block: &Path, auth: &Path, more: &[&str]) -> (Value, i32) {
    let files = ["--id-block", block.to_str().unwrap(), "--id-auth", auth.to_str().unwrap()];
    let output = run(&[&["check", "--json"], &files[..], more].concat());
    let value = serde_json::from_slice(&output.stdout);
    (value.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), output.status.code().unwrap())
}

fn outcome<'a>(value: &'a Value, name: &str) -> &'a str {
    let rows = value["checks"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()["outcome"].as_str().unwrap()
}

/// Made by our keys: a folder with `block` and `auth`.
fn made(more: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let [block, auth] = ["block", "auth"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let (id, digest) = (own("test_only_id_key.pem"), answers()["launchDigest"].as_str().unwrap().to_owned());
    let flags = ["create", "--json", "--launch-digest", &digest, "--id-key", &id];
    let output = run(&[&flags[..], &["--id-block-out", &block, "--id-auth-out", &auth], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(folder.path().join("said.json"), output.stdout).unwrap();
    folder
}

fn answers() -> Value {
    serde_json::from_slice(&fs::read(own("answers.json")).unwrap()).unwrap()
}

/// A field as AMD writes it, big-endian hexadecimal as everybody else does.
fn number(field: &[u8]) -> String {
    assert_eq!(field.len(), 72);
    hex::encode(field.iter().rev().skip(24).copied().collect::<Vec<_>>())
}

#[test]
fn the_same_keys_and_values_give_the_bytes_that_rfc_6979_gives_another_library() {
    let author = own("test_only_author_key.pem");
    let folder = made(&["--author-key", &author]);
    let (block, auth) = (fs::read(folder.path().join("block")).unwrap(), fs::read(folder.path().join("auth")).unwrap());
    let answers = answers();
    assert_eq!(STANDARD.encode(&block), answers["idBlock"].as_str().unwrap());
    for (offset, name) in [(0x40, "idBlockSignature"), (0x680, "idKeySignature")] {
        assert_eq!(number(&auth[offset..offset + 72]), answers[name][0].as_str().unwrap());
        assert_eq!(number(&auth[offset + 72..offset + 144]), answers[name][1].as_str().unwrap());
    }
    // All but the signatures is what snp-create-id-block wrote.
    let mut theirs = fs::read(own("by_snp_create_id_block.auth.bin")).unwrap();
    for offset in [0x40, 0x680] {
        theirs[offset..offset + 144].copy_from_slice(&auth[offset..offset + 144]);
    }
    assert!(theirs == auth);
    let said: Value = serde_json::from_slice(&fs::read(folder.path().join("said.json")).unwrap()).unwrap();
    assert_eq!(
        (&said["idKeyDigest"], &said["authorKeyDigest"]),
        (&answers["idKeyDigest"], &answers["authorKeyDigest"])
    );
    let qemu = format!("id-block={},id-auth={},author-key-enabled=on", STANDARD.encode(block), STANDARD.encode(auth));
    assert_eq!(said["qemu"], qemu);
}

#[test]
fn openssl_accepts_the_signatures() {
    let author = own("test_only_author_key.pem");
    let folder = made(&["--author-key", &author, "--guest-svn", "7", "--policy", "0xb0000"]);
    let auth = fs::read(folder.path().join("auth")).unwrap();
    fs::write(folder.path().join("key"), &auth[0x240..0x644]).unwrap();
    for (offset, message, key) in [(0x40, "block", "test_only_id_key"), (0x680, "key", "test_only_author_key")] {
        let [r, s] = [offset, offset + 72].map(|at| number(&auth[at..at + 72]));
        let text = format!("asn1=SEQUENCE:signature\n[signature]\nr=INTEGER:0x{r}\ns=INTEGER:0x{s}\n");
        let [config, der] = ["config", "der"].map(|name| folder.path().join(name));
        fs::write(&config, text).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["asn1parse", "-noout", "-genconf"]).arg(&config).arg("-out").arg(&der);
        assert!(openssl.status().unwrap().success());
        let mut openssl = Command::new("openssl");
        openssl.args(["dgst", "-sha384", "-verify", &own(&format!("{key}.pub.pem")), "-signature"]).arg(&der);
        let verified = openssl.arg(folder.path().join(message)).output().unwrap();
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    }
}

#[test]
fn what_snp_create_id_block_made_passes_with_its_keys() {
    let [block, auth] = ["block", "auth"].map(|part| PathBuf::from(own(&format!("by_snp_create_id_block.{part}.bin"))));
    let [id, author] = ["id", "author"].map(|name| own(&format!("test_only_{name}_key.pub.pem")));
    let digest = answers()["launchDigest"].as_str().unwrap().to_owned();
    let flags = ["--id-key", &id, "--author-key", &author, "--launch-digest", &digest];
    let (value, code) = check(&block, &auth, &flags);
    assert_eq!(code, 0, "{value:#}");
    for name in ["id-block-signature", "id-key-signature", "launch-digest", "id-key", "author-key"] {
        assert_eq!(outcome(&value, name), "pass");
    }
    assert_eq!(outcome(&value, "report"), "not_checked");
    let (value, code) = check(&block, &auth, &["--id-key", &author, "--launch-digest", SEV_DIGEST]);
    assert_eq!((code, outcome(&value, "id-key"), outcome(&value, "launch-digest")), (6, "fail", "fail"));
}

#[test]
fn the_sev_crates_files_pass_as_its_own_test_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let block = folder.path().join("block");
    // As base64 with line breaks, for tools hand it around so.
    fs::write(&block, format!("{}\n{}\n", &SEV_BLOCK[..64], &SEV_BLOCK[64..])).unwrap();
    let registry = vectors().join("registry/sev-8.0.0");
    let (value, code) = check(&block, &registry.join("test_auth_block.bin"), &["--launch-digest", SEV_DIGEST]);
    assert_eq!((code, outcome(&value, "id-block-signature"), outcome(&value, "id-key-signature")), (0, "pass", "pass"));
    assert_eq!((&value["idKeyDigest"], &value["authorKeyDigest"]), (&SEV_ID_KEY.into(), &SEV_AUTHOR_KEY.into()));
    let auth = fs::read(registry.join("test_auth_block.bin")).unwrap();
    assert_eq!(auth[0x40..0x240], fs::read(registry.join("test_id_sig.bin")).unwrap());
    assert_eq!(auth[0x680..0x880], fs::read(registry.join("test_auth_sig.bin")).unwrap());
}

#[test]
fn the_extra_sets_id_block_passes_with_its_keys() {
    let Some(extra) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("extra set not run: SEALGATE_EXTRA_VECTORS is not set");
        return;
    };
    let extra = Path::new(&extra).join("snp/id-block");
    let folder = tempfile::tempdir().unwrap();
    let block = folder.path().join("block");
    fs::write(&block, SEV_BLOCK).unwrap();
    let [id, author] = ["test_id_key.pub.pem", "test_auth_key.pub.pem"].map(|name| extra.join(name));
    let flags = ["--id-key", id.to_str().unwrap(), "--author-key", author.to_str().unwrap()];
    let (value, code) = check(&block, &extra.join("test_auth_block.bin"), &flags);
    assert_eq!((code, outcome(&value, "id-key"), outcome(&value, "author-key")), (0, "pass", "pass"));
    assert_eq!((&value["idKeyDigest"], &value["authorKeyDigest"]), (&SEV_ID_KEY.into(), &SEV_AUTHOR_KEY.into()));
    let auth = fs::read(extra.join("test_auth_block.bin")).unwrap();
    assert_eq!(auth[0x40..0x240], fs::read(extra.join("test_id_sig.bin")).unwrap());
    assert_eq!(auth[0x680..0x880], fs::read(extra.join("test_auth_sig.bin")).unwrap());
    println!("extra set run");
}

#[test]
fn a_changed_byte_of_block_key_or_signature_ends_with_3() {
    let author = own("test_only_author_key.pem");
    let folder = made(&["--author-key", &author]);
    let [block, auth] = ["block", "auth"].map(|name| folder.path().join(name));
    let (whole_block, whole_auth) = (fs::read(&block).unwrap(), fs::read(&auth).unwrap());
    for offset in [0, 0x30, 0x40, 0x54, 0x58] {
        let mut bytes = whole_block.clone();
        bytes[offset] ^= 1;
        fs::write(&block, bytes).unwrap();
        let (value, code) = check(&block, &auth, &[]);
        assert_eq!((code, outcome(&value, "id-block-signature")), (3, "fail"), "{offset:#x}");
    }
    fs::write(&block, whole_block).unwrap();
    for (offset, name) in [
        (0x40, "id-block-signature"),
        (0x88, "id-block-signature"),
        (0x244, "id-block-signature"),
        (0x28C, "id-key-signature"),
        (0x680, "id-key-signature"),
        (0x884, "id-key-signature"),
    ] {
        let mut bytes = whole_auth.clone();
        bytes[offset] ^= 1;
        fs::write(&auth, bytes).unwrap();
        let (value, code) = check(&block, &auth, &[]);
        assert_eq!((code, outcome(&value, name)), (3, "fail"), "{offset:#x}");
    }
}

#[test]
fn without_author_key_nothing_is_said_of_one() {
    let folder = made(&[]);
    let [block, auth] = ["block", "auth"].map(|name| folder.path().join(name));
    let (value, code) = check(&block, &auth, &[]);
    assert_eq!((code, outcome(&value, "id-key-signature")), (0, "not_checked"));
    assert_eq!(value["authorKeyDigest"], Value::Null);
    let author = own("test_only_author_key.pub.pem");
    let (value, code) = check(&block, &auth, &["--author-key", &author]);
    assert_eq!((code, outcome(&value, "author-key")), (6, "fail"));
    let said: Value = serde_json::from_slice(&fs::read(folder.path().join("said.json")).unwrap()).unwrap();
    assert!(!said["qemu"].as_str().unwrap().contains("author-key-enabled"));
}

#[test]
fn a_report_has_to_show_each_field_of_the_block() {
    let author = own("test_only_author_key.pem");
    let [family, image] = ["0f".repeat(16), "1e".repeat(16)];
    let ids = ["--family-id", &family, "--image-id", &image, "--guest-svn", "5", "--policy", "0x3001f"];
    let folder = made(&[&["--author-key", author.as_str()], &ids[..]].concat());
    let [block, auth] = ["block", "auth"].map(|name| folder.path().join(name));
    let (block_bytes, answers) = (fs::read(&block).unwrap(), answers());
    let mut report = vec![0; 1184];
    let mut put = |offset: usize, bytes: &[u8]| report[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x04, &5_u32.to_le_bytes());
    put(0x08, &0x3001f_u64.to_le_bytes());
    put(0x10, &[0x0F; 16]);
    put(0x20, &[0x1E; 16]);
    put(0x48, &[1]);
    put(0x90, &block_bytes[..48]);
    put(0xE0, &hex::decode(answers["idKeyDigest"].as_str().unwrap()).unwrap());
    put(0x110, &hex::decode(answers["authorKeyDigest"].as_str().unwrap()).unwrap());
    let path = folder.path().join("report");
    let flags = ["--report", path.to_str().unwrap()];
    fs::write(&path, &report).unwrap();
    let (value, code) = check(&block, &auth, &flags);
    assert_eq!(code, 0, "{value:#}");
    for (offset, name) in [
        (0x04, "report-guest-svn"),
        (0x08, "report-policy"),
        (0x10, "report-family-id"),
        (0x20, "report-image-id"),
        (0x48, "report-author-key-en"),
        (0x90, "report-measurement"),
        (0xE0, "report-id-key-digest"),
        (0x110, "report-author-key-digest"),
    ] {
        let mut changed = report.clone();
        changed[offset] ^= 1;
        fs::write(&path, changed).unwrap();
        let (value, code) = check(&block, &auth, &flags);
        assert_eq!((code, outcome(&value, name)), (6, "fail"));
    }
}

#[test]
fn keys_that_cannot_sign_and_values_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str, arguments: &[&str]| {
        let path = folder.path().join(name).to_str().unwrap().to_owned();
        assert!(Command::new("openssl").args(arguments).args(["-out", &path]).status().unwrap().success());
        path
    };
    let p256 = key("p256", &["genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let locked = own("test_only_id_key.pem");
    let locked = key("locked", &["pkey", "-in", &locked, "-aes256", "-passout", "pass:secret"]);
    let parameters = key("parameters", &["ecparam", "-genkey", "-name", "secp384r1"]);
    let sparse = folder.path().join("sparse");
    fs::File::create(&sparse).unwrap().set_len(10 << 30).unwrap();
    let (digest, id) = ("00".repeat(48), own("test_only_id_key.pem"));
    let create = |more: &[&str]| run(&[&["create", "--launch-digest", digest.as_str()], more].concat());
    for (path, words) in
        [(p256.as_str(), "no P-384 key"), (&locked, "encrypted"), (sparse.to_str().unwrap(), "0x10000")]
    {
        let output = create(&["--id-key", path]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(words) && text.contains(path) && text.contains("\nfix: "), "{text}");
        assert!(!text.contains("PRIVATE"), "{text}");
    }
    assert!(create(&["--id-key", &parameters]).status.success());
    for (flags, words) in [
        (["--policy", "0x10000"], "bit 17"),
        (["--family-id", "00"], "32 hexadecimal digits"),
        (["--image-id", "0g"], "32 hexadecimal digits"),
        (["--guest-svn", "0x100000000"], "32 bits"),
        (["--policy", "x"], "want a number"),
    ] {
        let output = create(&[&["--id-key", id.as_str()], &flags[..]].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn files_of_another_length_or_form_are_refused_with_file_and_offset() {
    let folder = made(&[]);
    let [block, auth] = ["block", "auth"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let refused = |words: &[&str]| {
        let output = run(&["check", "--id-block", &block, "--id-auth", &auth]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        for word in words {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
    };
    let whole = fs::read(&auth).unwrap();
    let mut reserved = whole.clone();
    reserved[0x10] = 1;
    fs::write(&auth, reserved).unwrap();
    refused(&[&auth, "offset 0x10", "reserved"]);
    fs::write(&auth, &whole[..4095]).unwrap();
    refused(&[&auth, "offset 0xfff", "4096 bytes"]);
    fs::write(&auth, whole).unwrap();
    let mut version = fs::read(&block).unwrap();
    version[0x50] = 2;
    fs::write(&block, &version).unwrap();
    refused(&[&block, "offset 0x50", "version 2"]);
    fs::write(&block, &version[..95]).unwrap();
    refused(&[&block, "offset 0x5f", "96 bytes"]);
}
