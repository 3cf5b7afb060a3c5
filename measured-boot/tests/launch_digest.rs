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
    process::Command,
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
