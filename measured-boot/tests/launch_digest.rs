//! Launch digests through the command, compared with what sev-snp-measure says of the same files.
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
use tempfile::TempDir;

/// Rows, and where the files lie that they name.
struct Set {
    rows: Vec<Value>,
    files: Vec<PathBuf>,
    scratch: TempDir,
}

impl Set {
    fn read(rows: &Path, files: &[&Path]) -> Self {
        let rows: Value = serde_json::from_slice(&fs::read(rows).unwrap()).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("empty"), "").unwrap();
        Self {
            rows: rows.as_array().unwrap().clone(),
            files: files.iter().map(|folder| folder.to_path_buf()).collect(),
            scratch,
        }
    }

    /// The file of that name; unpacked if it lies there packed.
    fn file(&self, name: &str) -> PathBuf {
        let plain = |folder: &PathBuf| folder.join(name);
        let ours = [self.scratch.path().to_path_buf()];
        if let Some(found) = ours.iter().chain(&self.files).map(plain).find(|path| path.is_file()) {
            return found;
        }
        let packed = self.files.iter().map(|folder| folder.join(format!("{name}.gz"))).find(|path| path.is_file());
        let unpacked = Command::new("gzip").arg("-dc").arg(packed.unwrap()).output().unwrap();
        assert!(unpacked.status.success());
        let path = self.scratch.path().join(name);
        fs::write(&path, unpacked.stdout).unwrap();
        path
    }

    fn digest(&self, row: &Value, more: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_measured-boot"));
        command.args(["launch-digest", "--mode", row["mode"].as_str().unwrap()]);
        command.args(["--vcpus", &row["vcpus"].to_string(), "--vmm-type", row["vmm"].as_str().unwrap()]);
        command.args(["--guest-features", &row["guest_features"].to_string()]);
        for (flag, member) in [("--ovmf", "ovmf"), ("--kernel", "kernel"), ("--initrd", "initrd"), ("--svsm", "svsm")] {
            if let Some(name) = row[member].as_str() {
                command.arg(flag).arg(self.file(name));
            }
        }
        for (flag, member) in [("--append", "append"), ("--vcpu-type", "vcpu_type"), ("--snp-ovmf-hash", "ovmf_hash")] {
            if let Some(text) = row[member].as_str() {
                command.args([flag, text]);
            }
        }
        if let Some(bytes) = row["ovmf_vars_size"].as_u64() {
            command.args(["--vars-size", &bytes.to_string()]);
        }
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{}: {}", row["name"], String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// How many digests were compared.
    fn every_row_is_predicted(&self) -> usize {
        let mut compared = 0;
        for row in &self.rows {
            assert_eq!(self.digest(row, &[]), row["expected"].as_str().unwrap(), "{}", row["name"]);
            compared += 1;
            if let Some(before) = row["expected_ec2_rdx0"].as_str() {
                assert_eq!(self.digest(row, &["--ec2-rdx", "0"]), before, "{} with RDX 0", row["name"]);
                compared += 1;
            }
        }
        compared
    }
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn launch_digest(flags: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measured-boot"));
    command.arg("launch-digest").args(flags).current_dir(folder).output().unwrap()
}

/// With these flags after those of the simplest guest.
fn simplest_with(flags: &[&str]) -> Output {
    let simplest = ["--ovmf", "measure/made_firmware.bin", "--vcpus", "1", "--vcpu-type", "EPYC-v4"];
    launch_digest(&[&simplest, flags].concat(), &vectors())
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word} is not in: {text}");
    }
    assert!(output.stdout.is_empty());
}

/// A copy of the made firmware, changed.
fn firmware(change: impl FnOnce(&mut Vec<u8>)) -> tempfile::NamedTempFile {
    let mut bytes = fs::read(vectors().join("measure/made_firmware.bin")).unwrap();
    change(&mut bytes);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

fn refused_firmware(file: &tempfile::NamedTempFile, more: &[&str], words: &[&str]) {
    let path = file.path().to_str().unwrap();
    let flags = [&["--ovmf", path, "--vcpus", "2", "--vcpu-type", "EPYC-v4"], more].concat();
    refused(&launch_digest(&flags, &vectors()), 2, &[&[path, "\nfix: "], words].concat());
}

#[test]
fn what_sev_snp_measure_says_of_the_committed_files_is_predicted_from_the_same_flags() {
    let rows: Value =
        serde_json::from_slice(&fs::read(vectors().join("measure/launch-digests.json")).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 158);
    for row in rows {
        let mut flags: Vec<_> = row["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect();
        if let Some(rdx) = row["rdx"].as_str() {
            flags.extend(["--ec2-rdx", rdx]);
        }
        let output = launch_digest(&flags, &vectors());
        assert!(output.status.success(), "{row}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), row["expected"].as_str().unwrap(), "{row}");
    }
}

#[test]
fn json_says_what_the_digest_depends_on() {
    let output = simplest_with(&["--json", "--kernel", "measure/kernel.bin", "--guest-features", "0x21"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["launchDigest"].as_str().unwrap().len(), 96);
    assert_eq!(value["vcpuSignature"], "0x800f12");
    assert_eq!(value["guestFeatures"]["names"], serde_json::json!(["SNPActive", "DebugSwap"]));
    assert_eq!(value["firmware"]["sections"].as_array().unwrap().len(), 7);
    assert_eq!(value["kernelHashes"]["initrd"].as_str().unwrap()[..8], *"e3b0c442");
}

#[test]
fn a_vcpus_registers_are_written_as_they_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let ovmf = vectors().join("measure/made_firmware.bin");
    let flags = ["--ovmf", ovmf.to_str().unwrap(), "--vcpus", "2", "--vcpu-sig", "0x1234", "--dump-vmsa"];
    assert!(launch_digest(&flags, folder.path()).status.success());
    let pages = ["vmsa0.bin", "vmsa1.bin"].map(|name| fs::read(folder.path().join(name)).unwrap());
    for page in &pages {
        assert_eq!(page.len(), 4096);
        assert_eq!(page[0x310..0x318], [0x34, 0x12, 0, 0, 0, 0, 0, 0]);
    }
    assert_eq!(pages[0][0x178..0x17A], [0xF0, 0xFF]);
    assert_eq!(pages[1][0x178..0x17A], [0x04, 0xB0]);
}

#[test]
fn no_vcpu_too_many_and_none_named_are_refused() {
    for count in ["0", "769", "1000", "4294967295"] {
        let flags = ["--ovmf", "measure/made_firmware.bin", "--vcpu-type", "EPYC", "--vcpus", count];
        refused(&launch_digest(&flags, &vectors()), 1, &[count, "1 to 768", "\nfix: "]);
    }
    let flags = ["--ovmf", "measure/made_firmware.bin", "--vcpu-type", "EPYC", "--vcpus", "768"];
    assert!(launch_digest(&flags, &vectors()).status.success());
    let flags = ["--ovmf", "measure/made_firmware.bin", "--vcpus", "1"];
    refused(&launch_digest(&flags, &vectors()), 1, &["--vcpu-type", "EPYC-Genoa-v2", "\nfix: "]);
    refused(&launch_digest(&flags[..2], &vectors()), 1, &["--vcpus is missing"]);
}

#[test]
fn an_unknown_vcpu_type_is_refused_with_the_nearest_and_the_list() {
    let flags = ["--ovmf", "measure/made_firmware.bin", "--vcpus", "1", "--vcpu-type", "EPYC-Mila"];
    refused(&launch_digest(&flags, &vectors()), 1, &["EPYC-Mila", "similar", "'EPYC-Milan'", "EPYC-Turin"]);
    refused(&simplest_with(&["--vcpu-sig", "1"]), 1, &["--vcpu-sig", "cannot be used with"]);
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (flags, words) in [
        (&["--mode", "seves"] as &[&str], "SEV-ES"),
        (&["--mode", "sev"], "SEV"),
        (&["--guest-features", "0x20"], "SNP_ACTIVE"),
        (&["--guest-features", "0x"], "0x"),
        (&["--guest-features", "0x1g"], "0x1g"),
        (&["--guest-features", "0x10000000000000001"], "too large"),
        (&["--ec2-rdx", "1"], "0x600 or 0"),
        (&["--initrd", "measure/initrd.bin"], "--kernel"),
        (&["--append", "quiet"], "--kernel"),
        (&["--svsm", "measure/made_svsm.bin"], "--svsm"),
        (&["--mode", "snp:svsm"], "--svsm"),
        (&["--mode", "snp:svsm", "--svsm", "measure/made_svsm.bin"], "--vars-size"),
        (&["--mode", "snp:svsm", "--svsm", "measure/made_svsm.bin", "--vars-size", "100"], "100 bytes"),
        (&["--mode", "snp:svsm", "--svsm", "measure/made_svsm.bin", "--vars-size", "16781312"], "16777216"),
        (&["--mode", "snp:svsm", "--svsm", "measure/made_svsm.bin", "--vars-size", "0", "--vmm-type", "gce"], "QEMU"),
        (
            &[
                "--mode",
                "snp:svsm",
                "--svsm",
                "measure/made_svsm.bin",
                "--vars-size",
                "0",
                "--kernel",
                "measure/kernel.bin",
            ],
            "no kernel hashes",
        ),
        (&["--snp-ovmf-hash", "abc"], "96 hexadecimal digits"),
        (&["--snp-ovmf-hash", "zz"], "no hexadecimal digit"),
        (&["--kernel", "measure/nothing.bin"], "measure/nothing.bin"),
    ] {
        refused(&simplest_with(flags), 1, &[words]);
    }
    let largest = ["--mode", "snp:svsm", "--svsm", "measure/made_svsm.bin", "--vars-size", "16777216"];
    assert!(simplest_with(&largest).status.success());
}

#[test]
fn firmware_that_says_too_little_is_refused_with_file_and_offset() {
    let no_table = firmware(|bytes| bytes.truncate(0x8000));
    refused_firmware(&no_table, &[], &["offset 0x7fce", "no table of GUIDs"]);
    let truncated = firmware(|bytes| bytes.truncate(bytes.len() - 1));
    refused_firmware(&truncated, &[], &["offset 0xffff", "whole pages"]);
    refused_firmware(&firmware(Vec::clear), &[], &["offset 0x0", "whole pages"]);
    let uuid = [0x66, 0x65, 0x88, 0xdc];
    let no_metadata = firmware(|bytes| {
        let at = bytes.windows(4).rposition(|window| window == uuid).unwrap();
        bytes[at] = 0;
    });
    refused_firmware(&no_metadata, &[], &["OVMF_SEV_META_DATA_GUID"]);
    let no_reset = firmware(|bytes| {
        let at = bytes.windows(4).rposition(|window| window == [0xde, 0x71, 0xf7, 0x00]).unwrap();
        bytes[at] = 0;
    });
    refused_firmware(&no_reset, &[], &["SEV_ES_RESET_BLOCK_GUID"]);
    let no_hashes = vectors().join("registry/sev-8.0.0/ovmf_OvmfX64_suffix.bin");
    let no_hashes = firmware(|bytes| *bytes = fs::read(no_hashes).unwrap());
    refused_firmware(
        &no_hashes,
        &["--kernel", "measure/kernel.bin"],
        &["offset 0x", "SNP_KERNEL_HASHES", "kernel-hashes=off"],
    );
    let flags = ["--ovmf", "measure/made_svsm.bin", "--mode", "snp:svsm", "--svsm", "measure/made_firmware.bin"];
    let more = ["--vars-size", "0", "--vcpus", "1", "--vcpu-type", "EPYC"];
    refused(&launch_digest(&[&flags[..], &more].concat(), &vectors()), 2, &["made_firmware.bin", "SVSM_INFO_GUID"]);
}

#[test]
fn metadata_that_cannot_be_are_refused_where_they_stand() {
    let start = |bytes: &[u8]| bytes.windows(4).rposition(|window| window == b"ASEV").unwrap();
    let with = |offset: usize, number: u32| {
        firmware(|bytes| {
            let at = start(bytes) + offset;
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        })
    };
    for (offset, number, words) in [
        (0, 0, "ASEV"),
        (4, 16 + 7 * 12 - 1, "99 bytes with 7 sections"),
        (4, u32::MAX, "do not fit"),
        (8, 2, "version 2"),
        (12, 8, "8 sections"),
        (12, 65, "at most 64"),
        (16, 0x80_0001, "not whole pages"),
        (20, 0x9001, "not whole pages"),
        (20, 0xFFFF_F000, "passes 4 GiB"),
        (20, 0x0400_1000, "at most 0x4000000"),
        (24, 5, "unknown kind 0x5"),
        (16 + 12 * 2 + 4, 0x2000, "want one page"),
    ] {
        refused_firmware(&with(offset, number), &[], &["offset 0x", words]);
    }
    let largest = with(20, 0x0400_0000 - 0x9000 * 3 - 0x1000);
    let path = largest.path().to_str().unwrap();
    assert!(launch_digest(&["--ovmf", path, "--vcpus", "1", "--vmm-type", "gce"], &vectors()).status.success());
}

#[test]
fn a_table_of_kernel_hashes_that_leaves_its_page_is_refused() {
    for base in [0_u32, 0x81_0F51, 0x81_0FFF] {
        let file = firmware(|bytes| {
            let at = bytes.windows(4).rposition(|window| window == [0x00, 0x0c, 0x81, 0x00]).unwrap();
            bytes[at..at + 4].copy_from_slice(&base.to_le_bytes());
        });
        refused_firmware(&file, &["--kernel", "measure/kernel.bin"], &["offset 0x", "table of kernel hashes"]);
    }
}

#[test]
fn a_file_of_ten_gigabytes_is_refused_without_being_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(10 << 30).unwrap();
    let path = file.path().to_str().unwrap();
    refused_firmware(&file, &[], &["offset 0x1000000", "16777216 bytes"]);
    for flag in ["--kernel", "--initrd"] {
        let flags = ["--kernel", "measure/kernel.bin", flag, path];
        let flags = if flag == "--kernel" { &flags[2..] } else { &flags[..] };
        refused(&simplest_with(flags), 2, &[path, "offset 0xffffffff", "4294967295 bytes", "\nfix: "]);
    }
    file.as_file().set_len((16 << 20) + 1).unwrap();
    refused_firmware(&file, &[], &["offset 0x1000000"]);
    let largest = firmware(|bytes| *bytes = [vec![0; (16 << 20) - bytes.len()], bytes.clone()].concat());
    let flags = ["--ovmf", largest.path().to_str().unwrap(), "--vcpus", "1", "--vmm-type", "gce"];
    assert!(launch_digest(&flags, &vectors()).status.success());
    file.as_file().set_len(1 << 32).unwrap();
    refused(&simplest_with(&["--kernel", path]), 2, &["offset 0xffffffff"]);
}

#[test]
fn the_extra_sets_launch_digests_are_predicted() {
    let Some(extra) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("extra set not run: SEALGATE_EXTRA_VECTORS is not set");
        return;
    };
    let folder = Path::new(&extra).join("snp/measure");
    let set = Set::read(&folder.join("launch-digests.json"), &[&folder]);
    assert_eq!(set.every_row_is_predicted(), 51);
    println!("extra set run");
}
