//! Measurements of other guests than predicted, explained by the command.
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

use serde_json::Value;

const KERNEL: [&str; 6] =
    ["--kernel", "measure/kernel.bin", "--initrd", "measure/initrd.bin", "--append", "console=ttyS0 root=/dev/vda1 ro"];
const OVMF: [&str; 2] = ["--ovmf", "measure/made_firmware.bin"];

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn run(flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measured-boot"));
    command.args(flags).current_dir(vectors()).output().unwrap()
}

fn measurement(flags: &[&str]) -> String {
    let output = run(&[&["launch-digest"], flags].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Few vCPUs, for the search is the same with more.
fn explain(measurement: &str, flags: &[&str]) -> (Value, i32) {
    let output = run(&[&["explain", "--json", "--most-vcpus", "4", "--measurement", measurement], flags].concat());
    let value = serde_json::from_slice(&output.stdout);
    (value.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), output.status.code().unwrap())
}

/// The guest of `started` is found when the caller believes in `believed`, and its flags predict the measurement.
fn found(started: &[&str], believed: &[&str]) -> Value {
    let wanted = measurement(started);
    let (value, code) = explain(&wanted, believed);
    assert_eq!(code, 0, "{started:?}: {value:#}");
    let found = value["found"].clone();
    if found["firmwareAsGiven"] == true && found["kernelAsGiven"] == true {
        let flags: Vec<_> = found["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect();
        assert_eq!(measurement(&flags), wanted, "{flags:?}");
    }
    found
}

#[test]
fn another_monitor_count_type_or_feature_is_named() {
    let qemu = ["--vcpus", "3", "--vcpu-type", "EPYC-Genoa", "--guest-features", "0x201"];
    let believed = [&OVMF[..], &["--vcpus", "2", "--vcpu-type", "EPYC-v4", "--guest-features", "0x1"]].concat();
    let guest = found(&[&OVMF[..], &qemu].concat(), &believed);
    assert_eq!((&guest["vmmType"], &guest["vcpus"]), (&"QEMU".into(), &3.into()));
    assert!(guest["vcpuTypes"].as_array().unwrap().contains(&"EPYC-Genoa-v2".into()));
    assert_eq!(guest["guestFeatures"]["names"], serde_json::json!(["SNPActive", "SecureTSC"]));
    assert_eq!(guest["differences"].as_array().unwrap().len(), 3, "{guest:#}");
    for rdx in ["0x600", "0x0"] {
        let ec2 = [&OVMF[..], &["--vmm-type", "ec2", "--vcpus", "4", "--ec2-rdx", rdx]].concat();
        assert_eq!(found(&ec2, &believed)["ec2Rdx"], rdx);
    }
    let gce = [&OVMF[..], &["--vmm-type", "gce", "--vcpus", "1", "--guest-features", "0x21"]].concat();
    assert_eq!(found(&gce, &believed)["vmmType"], "gce");
}

#[test]
fn a_processor_of_the_host_or_of_the_callers_is_tried() {
    for signature in ["0xa10f11", "0xb00f21"] {
        let started = [&OVMF[..], &["--vcpus", "1", "--vcpu-sig", signature]].concat();
        let guest = found(&started, &OVMF);
        assert_eq!(guest["vcpuSignature"], signature);
        assert_eq!(guest["vcpuTypes"], serde_json::json!([]));
    }
    let other = [&OVMF[..], &["--vcpus", "1", "--vcpu-sig", "0x1234"]].concat();
    assert_eq!(explain(&measurement(&other), &OVMF).1, 6);
    assert_eq!(found(&other, &[&OVMF[..], &["--vcpu-sig", "0x1234"]].concat())["vcpuSignature"], "0x1234");
    let rare = [&OVMF[..], &["--vcpus", "1", "--vcpu-type", "EPYC", "--guest-features", "0x400000001"]].concat();
    assert_eq!(explain(&measurement(&rare), &OVMF).1, 6);
    found(&rare, &[&OVMF[..], &["--guest-features", "0x400000001"]].concat());
}

#[test]
fn slips_with_kernels_and_command_lines_are_named() {
    fn started<'a>(kernel: &[&'a str]) -> Vec<&'a str> {
        [&OVMF[..], &["--vcpus", "2", "--vcpu-type", "EPYC-Milan"], kernel].concat()
    }
    let believed = [&OVMF[..], &KERNEL].concat();
    for (kernel, words) in [
        (&[] as &[&str], "kernel-hashes=off"),
        (&KERNEL[..4], "empty command line"),
        (&[&KERNEL[..2], &KERNEL[4..]].concat(), "without the initrd"),
        (&[&KERNEL[..5], &["console=ttyS0 root=/dev/vda1 ro\n"]].concat(), "newline"),
        (&[&KERNEL[..5], &["console=ttyS0 root=/dev/vda1 ro "]].concat(), "a space"),
    ] {
        let guest = found(&started(kernel), &believed);
        assert_eq!(guest["kernelAsGiven"], false);
        assert!(guest["kernel"].as_str().unwrap().contains(words), "{guest:#}");
    }
    let quoted = [&OVMF[..], &KERNEL[..5], &["\"console=ttyS0 root=/dev/vda1 ro\""]].concat();
    assert!(found(&started(&KERNEL), &quoted)["kernel"].as_str().unwrap().contains("quotes"));
    let as_given = found(&started(&KERNEL), &believed);
    assert_eq!((&as_given["firmwareAsGiven"], &as_given["kernelAsGiven"]), (&true.into(), &true.into()));
}

#[test]
fn firmware_with_or_without_its_variables_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let code = fs::read(vectors().join("measure/made_firmware.bin")).unwrap();
    let vars = vec![0x5A; 0x8_4000];
    let [whole, alone] = ["whole.fd", "vars.fd"].map(|name| folder.path().join(name));
    fs::write(&whole, [vars.as_slice(), &code].concat()).unwrap();
    fs::write(&alone, vars).unwrap();
    let whole = ["--ovmf", whole.to_str().unwrap()];
    let vcpus = ["--vcpus", "1", "--vcpu-type", "EPYC-v4"];
    let cut = found(&[&OVMF[..], &vcpus].concat(), &whole);
    assert!(cut["firmware"].as_str().unwrap().contains("without its first 0x84000"), "{cut:#}");
    let joined =
        found(&[&whole[..], &vcpus].concat(), &[&OVMF[..], &["--vars-file", alone.to_str().unwrap()]].concat());
    assert!(joined["firmware"].as_str().unwrap().contains("as one image"), "{joined:#}");
}

#[test]
fn an_svsm_and_a_measurement_before_the_vcpus_are_found() {
    let svsm = ["--svsm", "measure/made_svsm.bin"];
    let started = ["--mode", "snp:svsm", "--vars-size", "540672", "--vcpus", "2", "--vcpu-type", "EPYC-Milan"];
    let guest = found(&[&OVMF[..], &svsm, &started].concat(), &[&OVMF[..], &svsm].concat());
    assert_eq!(guest["svsmVarsBytes"], 540_672);
    let metadata_only = "registry/sev-8.0.0/ovmf_AmdSev_suffix.bin";
    let (value, code) = explain(&"ab".repeat(48), &["--ovmf", metadata_only]);
    assert_eq!((code, &value["found"]), (6, &Value::Null));
}

#[test]
fn what_is_not_found_ends_with_6_and_says_what_was_tried() {
    let flags = ["--most-vcpus", "2", "--measurement", &"ab".repeat(48)];
    let output = run(&[&["explain"], &OVMF[..], &KERNEL, &flags].concat());
    assert_eq!(output.status.code(), Some(6));
    let text = String::from_utf8(output.stdout).unwrap();
    for words in ["guesses", "ec2 with RDX 0x600", "0 to 2", "another build of the firmware", "--svsm"] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
    let x64 = ["--ovmf", "registry/sev-8.0.0/ovmf_OvmfX64_suffix.bin"];
    let output = run(&[&["explain"], &x64[..], &KERNEL, &flags].concat());
    assert!(String::from_utf8(output.stdout).unwrap().contains("the kernel was not tried"));
}

#[test]
fn a_report_says_its_measurement_itself() {
    let report = "registry/sev-8.0.0/report_milan.bin";
    let output = run(&[&["explain", "--json", "--most-vcpus", "1", "--report", report], &OVMF[..]].concat());
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["measurement"].as_str().unwrap()[..16], *"7a1e5c266c0108db");
    let output = run(&[&["explain", "--report", "measure/kernel.bin"], &OVMF[..]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("offset 0x4a0"));
}

#[test]
fn a_measurement_that_is_none_is_refused() {
    for (text, words) in [("abc", "3 characters"), ("xy", "character 0"), (&"0".repeat(97), "97 characters")] {
        let output = run(&[&["explain", "--measurement", text], &OVMF[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words));
    }
    let output = run(&[&["explain", "--most-vcpus", "769", "--measurement", &"0".repeat(96)], &OVMF[..]].concat());
    assert_eq!(output.status.code(), Some(1));
}
