//! `pcrs`, `replay` and `diff`, run as a stranger would run them: against systemd's own arithmetic, against machines that
//! booted (`tests/vectors/boots`, by `scripts/boots --record`), and against files that are not what they should be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "support/image.rs"]
mod image;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use image::{CERTIFICATES, TABLE, kernel, pe, uki};
use serde_json::Value;

fn run(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measured-boot"));
    for argument in arguments {
        command.arg(argument);
    }
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(output.stdout.is_empty());
}

fn boots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/boots")
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn pcr_11_is_what_systemd_measure_calculates_at_every_phase_and_in_every_bank() {
    let folder = tempfile::tempdir().unwrap();
    let linux = kernel("6.1.0");
    let sections: [(&str, &[u8]); 5] = [
        (".linux", &linux),
        (".osrel", b"ID=test\n"),
        (".cmdline", b"console=ttyS0 quiet\n"),
        (".initrd", &[7; 5000]),
        (".pcrpkey", b"-----BEGIN PUBLIC KEY-----\n"),
    ];
    // Whatever order the file has them in.
    let image = file(
        folder.path(),
        "uki.efi",
        &uki("252.39-1", &[sections[4], sections[3], sections[2], sections[1], sections[0]]),
    );
    let mut measure = Command::new("/usr/lib/systemd/systemd-measure");
    measure.args(["calculate", "--json=short", "--bank=sha256", "--bank=sha384"]);
    for (name, content) in sections {
        let path = file(folder.path(), &name[1..], content);
        measure.arg(format!("--{}={}", &name[1..], path.display()));
    }
    let output = measure.output().expect("systemd-measure, of Debian's package systemd");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calculated: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut compared = 0;
    for (bank, phases) in calculated.as_object().unwrap() {
        for entry in phases.as_array().unwrap() {
            // enter-initrd:leave-initrd is the phase leave-initrd here.
            let phase = entry["phase"].as_str().unwrap().rsplit(':').next().unwrap();
            let said = json(&run(&[&"pcrs", &"--json", &"--uki", &image, &"--phase", &phase, &"--bank", bank]));
            assert_eq!(said["pcrs"]["11"], entry["hash"], "{bank} {phase}");
            compared += 1;
        }
    }
    assert_eq!(compared, 8);
}

#[test]
fn machines_that_booted_hold_what_was_predicted() {
    let mut boots_with_logs = 0;
    for boot in ["uki", "secure", "kernel", "grub", "shim"] {
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(boots().join(format!("{boot}.{name}.json"))).unwrap()).unwrap()
        };
        let (predicted, found) = (read("predicted"), read("pcrs"));
        let values = predicted["pcrs"].as_object().unwrap();
        assert!(values.len() >= 6, "{boot}");
        for (number, value) in values {
            assert_eq!(found["sha256"][number], *value, "{boot} PCR {number}");
        }
        let (log, prediction) =
            (boots().join(format!("{boot}.log.bin")), boots().join(format!("{boot}.predicted.json")));
        if boot == "grub" {
            assert!(!log.exists(), "a kernel that is not started as an EFI program gets no log");
            continue;
        }
        let output = run(&[&"diff", &prediction, &log]);
        assert_eq!(output.status.code(), Some(0), "{boot}: {}", String::from_utf8_lossy(&output.stdout));
        boots_with_logs += 1;
    }
    assert_eq!(boots_with_logs, 4);
}

/// Every event of a log, explained, by registers that bear it out.
fn explained(log: &Path, pcrs: &Path) -> Vec<Value> {
    let said = json(&run(&[&"replay", &"--json", &"--eventlog", &log, &"--pcrs", &pcrs]));
    let events = said["events"].as_array().unwrap().clone();
    assert_eq!(events.len() as u64, said["records"].as_u64().unwrap());
    for event in &events {
        assert!(!(event["byDigest"].is_null() && event["stated"].is_null()), "{}: {event}", log.display());
        let remark = event["statedType"] == "EV_NO_ACTION";
        assert_eq!(event["state"], if remark { "remark" } else { "proven" }, "{event}");
    }
    events
}

#[test]
fn every_event_of_our_own_logs_has_a_meaning() {
    let said =
        |boot: &str| explained(&boots().join(format!("{boot}.log.bin")), &boots().join(format!("{boot}.pcrs.json")));
    let has = |events: &[Value], pcr: u64, field: &str, words: &str| {
        let found = events
            .iter()
            .any(|event| event["pcr"] == pcr && event[field].as_str().is_some_and(|text| text.contains(words)));
        assert!(found, "no event of PCR {pcr} says {words} as {field}");
    };
    let events = said("secure");
    has(&events, 7, "byDigest", "variable SecureBoot = on");
    has(&events, 7, "byDigest", "variable db = the certificate \"sealgate test db\"");
    has(&events, 4, "stated", "\\EFI\\BOOT\\BOOTX64.EFI");
    has(&events, 11, "byDigest", "name of section .linux");
    has(&events, 11, "stated", "content of section .linux");
    has(&events, 9, "stated", "initial RAM disk of the kernel");
    let events = said("shim");
    has(&events, 14, "stated", "the machine owner's MokList");
    has(&events, 8, "byDigest", "text \"set timeout=0\"");
    has(&events, 7, "byDigest", "Microsoft Corporation UEFI CA 2011");
    said("uki");
    said("kernel");
}

#[test]
fn every_event_of_the_extra_sets_logs_has_a_meaning() {
    let Some(extra) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("extra set not run: SEALGATE_EXTRA_VECTORS is not set");
        return;
    };
    let logs = Path::new(&extra).join("snp/eventlog");
    for (name, events) in [("ubuntu-2404-amd-sevsnp", 116), ("arch-linux-workstation", 24)] {
        let all = explained(&logs.join(format!("{name}.bin")), &logs.join(format!("{name}.pcrs.json")));
        assert_eq!(all.len(), events);
    }
    println!("extra set run");
}

#[test]
fn without_registers_every_line_is_unproven() {
    let log = boots().join("uki.log.bin");
    let output = run(&[&"replay", &"--eventlog", &log]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("events, none proven") && text.contains("unproven: variable SecureBoot = off"), "{text}");
    assert!(!text.contains("         proven:"), "{text}");
    let said = json(&run(&[&"replay", &"--json", &"--eventlog", &log]));
    assert!(said["events"].as_array().unwrap().iter().all(|event| event["state"] != "proven"));
}

#[test]
fn diff_names_the_first_event_that_differs_and_what_it_was_of() {
    let log = |boot: &str| boots().join(format!("{boot}.log.bin"));
    assert_eq!(run(&[&"diff", &log("uki"), &log("uki")]).status.code(), Some(0));
    let output = run(&[&"diff", &"--json", &log("uki"), &log("secure")]);
    assert_eq!(output.status.code(), Some(6));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |pcr: u64| said["differences"].as_array().unwrap().iter().find(|parting| parting["pcr"] == pcr).unwrap();
    assert_eq!(of(7)["first"]["source"], "variable SecureBoot");
    assert_eq!(of(11)["second"]["source"], "section .cmdline");
    assert_eq!(of(4)["second"]["source"], "\\EFI\\BOOT\\BOOTX64.EFI");
    let text = String::from_utf8(run(&[&"diff", &log("uki"), &log("secure")]).stdout).unwrap();
    assert!(text.contains("PCR 11 differs from event 5 on:"), "{text}");
    let other = run(&[&"diff", &boots().join("uki.predicted.json"), &log("secure")]);
    assert_eq!(other.status.code(), Some(6));
}

#[test]
fn secure_boot_is_predicted_from_its_variables_and_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let plain = uki("252.1", &[(".linux", &kernel("6.1")), (".cmdline", b"quiet")]);
    let certificate: Vec<u8> = [&[0x30, 0x82, 0, 60][..], &[5; 60]].concat();
    let mut signed = plain.clone();
    let start = u32::try_from(signed.len()).unwrap();
    let table = [&b"signature"[..], &certificate].concat();
    signed[CERTIFICATES..CERTIFICATES + 4].copy_from_slice(&start.to_le_bytes());
    signed[CERTIFICATES + 4..CERTIFICATES + 8].copy_from_slice(&u32::try_from(table.len()).unwrap().to_le_bytes());
    signed.extend(&table);
    let list = |content: &[u8]| {
        let x509 = hex::decode("a159c0a5e494a74a87b5ab155c2bf072").unwrap();
        let (size, entry) = (28 + 16 + content.len() as u32, 16 + content.len() as u32);
        [&x509[..], &size.to_le_bytes(), &[0; 4], &entry.to_le_bytes(), &[1; 16], content].concat()
    };
    let (plain, signed) = (file(folder.path(), "plain.efi", &plain), file(folder.path(), "signed.efi", &signed));
    let db = file(folder.path(), "db.esl", &list(&certificate));
    let other = file(folder.path(), "other.esl", &list(&[&[0x30, 0x82, 0, 60][..], &[6; 60]].concat()));
    let said = |image: &PathBuf, db: &PathBuf| {
        json(&run(&[
            &"pcrs",
            &"--json",
            &"--uki",
            image,
            &"--secure-boot",
            &"on",
            &"--pk",
            db,
            &"--kek",
            db,
            &"--db",
            db,
        ]))
    };
    let predicted = said(&signed, &db);
    let events = predicted["events"]["7"].as_array().unwrap();
    assert_eq!(events.len(), 7);
    assert!(events[6]["what"].as_str().unwrap().contains("which admits the image"));
    for (image, db) in [(&signed, &other), (&plain, &db)] {
        assert!(said(image, db)["notPredicted"]["7"].as_str().unwrap().contains("no certificate of db"));
    }
    let incomplete = json(&run(&[&"pcrs", &"--json", &"--uki", &signed, &"--secure-boot", &"on", &"--db", &db]));
    assert!(incomplete["notPredicted"]["7"].as_str().unwrap().contains("variable PK"));
    let bad = file(folder.path(), "bad.esl", &list(&certificate)[..50]);
    refused(
        &run(&[&"pcrs", &"--uki", &signed, &"--secure-boot", &"on", &"--db", &bad]),
        2,
        &["bad.esl", "offset 0x10", "108 bytes, 50 are left", "\nfix: "],
    );
}

#[test]
fn bad_images_end_with_2_the_file_and_the_offset() {
    let folder = tempfile::tempdir().unwrap();
    let good = uki("252.1", &[(".linux", b"k"), (".initrd", b"i")]);
    let mut over = good.clone();
    over[TABLE + 40 + 20..TABLE + 40 + 24].copy_from_slice(&0x400_u32.to_le_bytes());
    let mut outside = good.clone();
    outside[TABLE + 80 + 20..TABLE + 80 + 24].copy_from_slice(&u32::MAX.to_le_bytes());
    for (name, bytes, words) in [
        ("cut.efi", &good[..good.len() - 1], &["offset 0x210", "section .initrd"][..]),
        ("over.efi", &over, &["offset 0x1b0", "lies over"]),
        ("outside.efi", &outside, &["offset 0x1e8", "0xffffffff"]),
        ("stub.efi", &pe(&[(".text", b"code")]), &["not a unified kernel image"]),
        ("addon.efi", &uki("252.1", &[(".cmdline", b"quiet")]), &["no section .linux"]),
        ("empty.efi", b"", &["offset 0x0", "no MZ"]),
    ] {
        let path = file(folder.path(), name, bytes);
        let output = run(&[&"pcrs", &"--uki", &path]);
        refused(&output, 2, &[name, "\nfix: "]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.iter().all(|word| text.contains(word)), "{name}: {text}");
    }
}

#[test]
fn a_file_of_ten_gigabytes_is_refused_without_reading_it_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.efi");
    fs::File::create(&path).unwrap().set_len(10 << 30).unwrap();
    refused(&run(&[&"pcrs", &"--uki", &path]), 2, &["sparse.efi", "offset 0x40000000", "1073741824 bytes"]);
    refused(&run(&[&"diff", &path, &path]), 2, &["sparse.efi", "offset 0x1000000"]);
    let image = file(folder.path(), "uki.efi", &uki("252.1", &[(".linux", b"k")]));
    let output = run(&[&"pcrs", &"--uki", &image, &"--secure-boot", &"on", &"--db", &path]);
    refused(&output, 2, &["sparse.efi", "offset 0x100000"]);
}

#[test]
fn arguments_that_do_not_fit_together_end_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let image = file(folder.path(), "uki.efi", &uki("252.1", &[(".linux", b"k")]));
    let missing = folder.path().join("missing");
    for arguments in [
        &[&"pcrs" as &dyn AsRef<std::ffi::OsStr>][..],
        &[&"pcrs", &"--uki", &missing],
        &[&"pcrs", &"--uki", &image, &"--phase", &"late"],
        &[&"pcrs", &"--uki", &image, &"--bank", &"md5"],
        &[&"pcrs", &"--uki", &image, &"--profile", &"1"],
        &[&"pcrs", &"--uki", &image, &"--db", &image],
        &[&"pcrs", &"--uki", &image, &"--boot", &"grub"],
        &[&"pcrs", &"--grub", &image, &"--grub-starts", &"stub"],
        &[&"diff", &image],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let odd = file(folder.path(), "odd.json", b"{\"bank\":\"sha256\",\"events\":{\"24\":[]}}");
    refused(&run(&[&"diff", &odd, &odd]), 2, &["odd.json", "events.24"]);
}
