//! `measured-boot release create`: from a description and its files to a manifest that nobody has signed yet.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use evidence::{
    UnixSeconds,
    release::{
        Binary, GRUB, LaunchDigest, PREDICTED, ParavisorRow, REGISTER_BOOTS, Registers, ReleaseManifest, SignedRelease,
    },
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    description::{Description, LaunchEntry, RegistersEntry},
    key, text_of, write_new,
};
use crate::cli::{Stop, files::read};

/// Output of `launch-digest` and `pcrs` has some kilobytes.
const MAX_PREDICTION_BYTES: usize = 256 * 1024;

/// Arguments of `create`.
#[derive(Args)]
pub(in crate::cli) struct Create {
    /// What the release is, in TOML: name, commit, and where its files are.
    #[arg(value_name = "DESCRIPTION")]
    description: PathBuf,
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Create {
    pub(super) fn run(&self) -> Result<String, Stop> {
        let description = Description::read(&self.description)?;
        let folder = self.description.parent().unwrap_or_else(|| Path::new(""));
        let manifest = Writer { path: &self.description, folder }.manifest(&description)?;
        let fix = "change the description; docs/WIRE.md, \"Release manifest\", has all shapes and limits";
        let bytes = manifest.to_bytes().map_err(|error| Stop::malformed(&self.description, error, fix))?;
        // A file that verifiers would not read is not written.
        ReleaseManifest::from_bytes(&bytes).map_err(|error| Stop::malformed(&self.description, error, fix))?;
        let digest = hex::encode(Sha256::digest(&bytes));
        let file = SignedRelease { bytes, signatures: Vec::new() };
        write_new(&self.out, &text_of(&self.out, &file)?)?;
        let keys = manifest.release_keys.len();
        Ok(format!("release {}, manifest {digest}: {keys} to sign\n", manifest.name))
    }
}

/// Where the description lies: its name for messages, its folder for files.
struct Writer<'a> {
    path: &'a Path,
    folder: &'a Path,
}

impl Writer<'_> {
    fn manifest(&self, of: &Description) -> Result<ReleaseManifest, Stop> {
        let source_hash = match (&of.source_hash, &of.source_archive) {
            (Some(hex), None) => self.bytes("source_hash", hex)?,
            (None, Some(archive)) => self.hash(archive)?,
            _ => return Err(self.wrong("want source_hash or source_archive, one of them")),
        };
        let hashes = |files: &[PathBuf]| files.iter().map(|file| self.hash(file)).collect::<Result<Vec<_>, _>>();
        let digests = |name: &str, kind, entries: &[LaunchEntry]| -> Result<Vec<_>, Stop> {
            let entries = entries.iter().enumerate();
            let mut digests = entries
                .map(|(at, entry)| self.launch(&format!("{name}[{at}]"), kind, entry))
                .collect::<Result<Vec<LaunchDigest>, _>>()?;
            digests.sort_unstable();
            for pair in digests.windows(2) {
                if let [one, other] = pair
                    && one.measurement == other.measurement
                    && (one.vcpus, &one.platform, one.guest_features)
                        != (other.vcpus, &other.platform, other.guest_features)
                {
                    let measurement = hex::encode(one.measurement);
                    return Err(
                        self.wrong(format!("{name}: {measurement} stands for two machines, of which one is wrong"))
                    );
                }
            }
            // Two names of one kind of vCPU give one digest.
            digests.dedup_by_key(|digest| digest.measurement);
            Ok(digests)
        };
        let binaries = of.binaries.iter().map(|(program, file)| {
            let sha256 = self.hash(file)?;
            Ok(Binary { program: program.clone(), sha256 })
        });
        let paravisors = of.paravisor.iter().enumerate().map(|(at, row)| {
            let name = |member| format!("paravisor[{at}].{member}");
            Ok(ParavisorRow {
                id_key_digest: self.bytes(&name("id_key_digest"), &row.id_key_digest)?,
                family_id: self.bytes(&name("family_id"), &row.family_id)?,
                image_id: self.bytes(&name("image_id"), &row.image_id)?,
                min_guest_svn: row.min_guest_svn,
            })
        });
        Ok(ReleaseManifest {
            name: of.name.clone(),
            git_commit: self.bytes("git_commit", &of.git_commit)?,
            source_hash,
            created: UnixSeconds(of.created),
            binaries: binaries.collect::<Result<_, Stop>>()?,
            launch_digests: digests("launch_digest", Kind::Direct, &of.launch_digest)?,
            svsm_digests: digests("svsm_digest", Kind::Svsm, &of.svsm_digest)?,
            paravisors: paravisors.collect::<Result<_, Stop>>()?,
            registers: of.registers.iter().map(|entry| self.registers(entry)).collect::<Result<_, _>>()?,
            policy: of.policy.as_ref().map(|file| self.hash(file)).transpose()?,
            script: self.hash(&of.script)?,
            provenance: hashes(&of.provenance)?,
            release_keys: of
                .release_keys
                .iter()
                .map(|text| key::public(text, self.folder))
                .collect::<Result<_, _>>()?,
        })
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Stop {
        Stop::malformed(self.path, what, "change the description")
    }

    fn bytes<const N: usize>(&self, member: &str, text: &str) -> Result<[u8; N], Stop> {
        let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| self.wrong(format!("{member}: want {} hexadecimal digits", 2 * N)))
    }

    /// SHA-256 of a file of any length, which is not held in memory.
    fn hash(&self, file: &Path) -> Result<[u8; 32], Stop> {
        let path = self.folder.join(file);
        let mut hasher = Sha256::new();
        File::open(&path).and_then(|mut file| io::copy(&mut file, &mut hasher)).map_err(|error| {
            Stop::usage(path.display(), error, "name a readable file, from the description's folder")
        })?;
        Ok(hasher.finalize().into())
    }

    fn prediction(&self, file: &Path) -> Result<(PathBuf, Value), Stop> {
        let path = self.folder.join(file);
        let bytes = read(&path, MAX_PREDICTION_BYTES)?;
        let value = serde_json::from_slice(&bytes);
        let value = value.map_err(|error| Stop::malformed(&path, error, "write it with --json"))?;
        Ok((path, value))
    }

    fn launch(&self, name: &str, kind: Kind, of: &LaunchEntry) -> Result<LaunchDigest, Stop> {
        let by_values =
            of.measurement.is_some() || of.platform.is_some() || of.vcpus.is_some() || of.guest_features.is_some();
        match &of.file {
            Some(_) if by_values => Err(self.wrong(format!("{name}: file, or values, not both"))),
            Some(file) => {
                let (path, value) = self.prediction(file)?;
                let read = predicted_launch(&value, kind).map_err(|what| {
                    Stop::malformed(&path, what, "write it with `measured-boot launch-digest --json`")
                })?;
                Ok(LaunchDigest { vcpu_type: of.vcpu_type.clone().or(read.vcpu_type), ..read })
            }
            None => {
                let missing = |member: &str| self.wrong(format!("{name}.{member}: this member is missing"));
                let measurement = of.measurement.as_ref().ok_or_else(|| missing("measurement"))?;
                Ok(LaunchDigest {
                    measurement: self.bytes(&format!("{name}.measurement"), measurement)?,
                    platform: of.platform.clone().ok_or_else(|| missing("platform"))?,
                    vcpus: of.vcpus.ok_or_else(|| missing("vcpus"))?,
                    vcpu_type: of.vcpu_type.clone(),
                    guest_features: of.guest_features,
                })
            }
        }
    }

    fn registers(&self, of: &RegistersEntry) -> Result<Registers, Stop> {
        let boot = REGISTER_BOOTS.iter().find(|word| **word == of.boot);
        let boot = boot.ok_or_else(|| self.wrong(format!("registers.boot: want one of {REGISTER_BOOTS:?}")))?;
        let (path, value) = self.prediction(&of.pcrs)?;
        let (values, grub) = predicted_registers(&value).map_err(|what| {
            Stop::malformed(&path, what, "write it with `measured-boot pcrs --phase leave-initrd --json`")
        })?;
        Ok(Registers { name: of.name.clone(), boot, values, grub })
    }
}

/// Which of the two lists a digest is for.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// Machines that boot directly: nothing but the digest says what runs there.
    Direct,
    /// Service modules; what runs below is in registers.
    Svsm,
}

/// What `launch-digest --json` says.
fn predicted_launch(value: &Value, kind: Kind) -> Result<LaunchDigest, String> {
    match (value["mode"].as_str(), kind) {
        (Some("snp"), Kind::Direct) if value["kernelHashes"].is_object() => {}
        (Some("snp"), Kind::Direct) => {
            // Under this digest the host may start any kernel that it likes.
            return Err(
                "kernelHashes: want those of kernel, initrd and command line; without, it is the firmware's alone"
                    .to_owned(),
            );
        }
        (Some("snp:svsm"), Kind::Svsm) => {}
        (Some("snp"), Kind::Svsm) => return Err("mode: want snp:svsm; this one is for launch_digest".to_owned()),
        (Some("snp:svsm"), Kind::Direct) => return Err("mode: want snp; this one is for svsm_digest".to_owned()),
        (_, Kind::Direct) => return Err("mode: want snp".to_owned()),
        (_, Kind::Svsm) => return Err("mode: want snp:svsm".to_owned()),
    }
    let measurement = value["launchDigest"].as_str().and_then(|text| hex::decode(text).ok()?.try_into().ok());
    let guest_features = match value.pointer("/guestFeatures/bits") {
        None => None,
        Some(bits) => {
            let digits = bits.as_str().and_then(|text| text.strip_prefix("0x"));
            let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            Some(number.ok_or("guestFeatures.bits: want text such as 0x1")?)
        }
    };
    Ok(LaunchDigest {
        measurement: measurement.ok_or("launchDigest: want 96 hexadecimal digits")?,
        platform: value["vmmType"].as_str().ok_or("vmmType: want a word")?.to_ascii_lowercase(),
        vcpus: value["vcpus"].as_u64().ok_or("vcpus: want a number")?,
        vcpu_type: value["vcpuSignature"].as_str().map(ToOwned::to_owned),
        guest_features,
    })
}

type Predicted = ([[u8; 32]; 6], Option<[[u8; 32]; 2]>);

/// What `pcrs --json` says, of the phase in which a gateway runs.
fn predicted_registers(value: &Value) -> Result<Predicted, String> {
    if value["bank"] != "sha256" {
        return Err("bank: want sha256".to_owned());
    }
    // Only a boot stub goes through phases: without one, nothing extends PCR 11 afterwards.
    if value["boot"] == "uki" && value["phase"] != "leave-initrd" {
        return Err("phase: want leave-initrd, in which a gateway starts".to_owned());
    }
    let register = |number: u8| -> Result<[u8; 32], String> {
        let number = number.to_string();
        match value.pointer(&format!("/pcrs/{number}")).and_then(Value::as_str) {
            Some(text) => {
                let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
                bytes.ok_or_else(|| format!("pcrs.{number}: want 64 hexadecimal digits"))
            }
            None => {
                let why = value.pointer(&format!("/notPredicted/{number}")).and_then(Value::as_str);
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                Err(format!("pcrs.{number}: not predicted{why}; a release has to predict it"))
            }
        }
    };
    let mut values = [[0; 32]; 6];
    for (into, number) in values.iter_mut().zip(PREDICTED) {
        *into = register(number)?;
    }
    let grub = match value["boot"].as_str() {
        Some("grub") => Some([register(GRUB[0])?, register(GRUB[1])?]),
        Some("uki" | "kernel") => None,
        _ => return Err("boot: want uki, grub or kernel".to_owned()),
    };
    Ok((values, grub))
}
