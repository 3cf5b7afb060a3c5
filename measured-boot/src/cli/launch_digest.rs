//! `measured-boot launch-digest`: what MEASUREMENT of a guest's report will be.

use std::{fmt::Write as _, fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, ValueEnum, builder::PossibleValuesParser};
use measured_boot::launch::{
    Ec2Rdx, Guest, GuestFeatures, Image, LaunchDigest as Digest, Machine, SaveArea, VcpuCount, VcpuSignature, VcpuType,
};
use serde_json::{Map, Value, json};

use super::{
    Stop,
    boot_files::{BootFiles, image_stop},
    numbers::{number, number_32},
};

/// Arguments of `launch-digest`.
#[derive(Args)]
pub(super) struct LaunchDigest {
    /// What is measured.
    #[arg(long, value_enum, default_value = "snp")]
    mode: Mode,
    /// Number of vCPUs.
    #[arg(long, value_name = "N", value_parser = number_32)]
    vcpus: Option<u32>,
    #[command(flatten)]
    vcpu: Vcpu,
    /// Who starts the guest.
    #[arg(long, value_enum, default_value = "QEMU", ignore_case = true)]
    vmm_type: Vmm,
    /// What EC2 puts into RDX: 0x600 since 2026-05, 0 before.
    #[arg(long, value_name = "VALUE", default_value = "0x600", value_parser = ec2_rdx)]
    ec2_rdx: Ec2Rdx,
    #[command(flatten)]
    files: BootFiles,
    /// Digest of the firmware alone, from --mode snp:ovmf-hash: then only the firmware's last pages need to be genuine.
    #[arg(long, value_name = "HEX", value_parser = digest)]
    snp_ovmf_hash: Option<Digest>,
    /// SEV_FEATURES of the guest: 0x1, or 0x21 where the host sets debug swap.
    #[arg(long, value_name = "BITS", default_value = "0x1", value_parser = features)]
    guest_features: GuestFeatures,
    /// Write the registers of each vCPU as measured to vmsa0.bin, vmsa1.bin, … here.
    #[arg(long)]
    dump_vmsa: bool,
    /// How to write the digest.
    #[arg(long, value_enum, default_value = "hex")]
    output_format: Format,
    /// Print JSON: the digest and all that it depends on.
    #[arg(long)]
    json: bool,
}

/// Arguments that name a vCPU's signature.
#[derive(Args)]
pub(super) struct Vcpu {
    /// Its model in QEMU's -cpu. For `host`, give the signature of the host's processor.
    #[arg(long, value_name = "TYPE", value_parser = PossibleValuesParser::new(VcpuType::all().map(VcpuType::name)))]
    #[arg(hide_possible_values = true, conflicts_with_all = ["vcpu_sig", "vcpu_family"])]
    vcpu_type: Option<String>,
    /// Its signature: CPUID Fn0000_0001_EAX.
    #[arg(long, value_name = "VALUE", value_parser = number_32, conflicts_with = "vcpu_family")]
    vcpu_sig: Option<u32>,
    /// Its family as lscpu prints it, decimal.
    #[arg(long, value_name = "N", requires = "vcpu_model", requires = "vcpu_stepping")]
    vcpu_family: Option<u32>,
    /// Its model.
    #[arg(long, value_name = "N", requires = "vcpu_family")]
    vcpu_model: Option<u32>,
    /// Its stepping.
    #[arg(long, value_name = "N", requires = "vcpu_family")]
    vcpu_stepping: Option<u32>,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Mode {
    /// An SEV-SNP guest.
    Snp,
    /// The firmware of one alone, for --snp-ovmf-hash.
    #[value(name = "snp:ovmf-hash")]
    SnpOvmfHash,
    /// An SEV-SNP guest with a COCONUT-SVSM below its firmware.
    #[value(name = "snp:svsm")]
    SnpSvsm,
    #[value(hide = true)]
    Sev,
    #[value(hide = true)]
    Seves,
}

/// The monitors, under the names that sev-snp-measure gives them.
#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(super) enum Vmm {
    /// QEMU with KVM.
    #[value(name = "QEMU")]
    Qemu,
    /// Amazon EC2.
    Ec2,
    /// Google Compute Engine.
    Gce,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// 96 digits.
    Hex,
    /// 64 characters.
    Base64,
}

impl LaunchDigest {
    pub(super) fn run(&self) -> Result<String, Stop> {
        if matches!(self.mode, Mode::Sev | Mode::Seves) {
            return Err(Stop::arguments(
                "--mode: SEV and SEV-ES are not measured here, for their reports are not signed by a key that a stranger \
                 could check",
                "take --mode snp",
            ));
        }
        let ovmf = self.files.read_ovmf()?;
        let firmware = self.files.parse_ovmf(&ovmf)?;
        if self.mode == Mode::SnpOvmfHash {
            let digest = Guest::firmware_digest(&firmware);
            let inputs = [("mode", "snp:ovmf-hash".into()), ("firmware", firmware_json(&firmware))];
            return Ok(self.print(digest, || members(inputs)));
        }
        let vcpus = self.vcpus.ok_or_else(|| Stop::arguments("--vcpus is missing", "give the number of vCPUs"))?;
        let vcpus = VcpuCount::new(vcpus)
            .map_err(|error| Stop::arguments(format!("--vcpus: {error}"), "give the number of vCPUs of the guest"))?;
        let svsm = self.files.read_svsm()?;
        let guest = Guest {
            machine: self.machine(svsm.as_deref())?,
            firmware_digest: self.snp_ovmf_hash,
            kernel: self.files.kernel_hashes()?,
            features: self.features(),
            ..Guest::new(firmware, Machine::Gce, vcpus)
        };
        let digest = guest.launch_digest().map_err(|error| self.files.stop(&error))?;
        if self.dump_vmsa {
            let (first, other) = guest.save_areas().map_err(|error| self.files.stop(&error))?;
            dump(&first, &other, vcpus)?;
        }
        Ok(self.print(digest, || self.guest_members(&guest)))
    }

    fn machine<'a>(&self, svsm: Option<&'a [u8]>) -> Result<Machine<'a>, Stop> {
        if self.mode == Mode::SnpSvsm {
            if self.vmm_type != Vmm::Qemu {
                return Err(Stop::arguments("--mode snp:svsm is for QEMU", "leave --vmm-type out"));
            }
            let path = self.files.svsm.as_deref().unwrap_or_else(|| Path::new(""));
            let bytes = svsm.ok_or_else(|| Stop::arguments("--mode snp:svsm wants --svsm", "give the SVSM's image"))?;
            let image = Image::parse(bytes).map_err(|error| image_stop(path, &error))?;
            let vars_bytes = self.files.vars_bytes()?.ok_or_else(|| {
                Stop::arguments("--mode snp:svsm wants --vars-size or --vars-file", "give the length of OVMF_VARS.fd")
            })?;
            return Ok(Machine::Svsm { vcpu: self.vcpu.signature()?, image, vars_bytes });
        }
        if svsm.is_some() {
            return Err(Stop::arguments("--svsm is for --mode snp:svsm", "take --mode snp:svsm, or leave --svsm out"));
        }
        Ok(match self.vmm_type {
            Vmm::Qemu => Machine::Qemu { vcpu: self.vcpu.signature()? },
            Vmm::Ec2 => Machine::Ec2 { rdx: self.ec2_rdx },
            Vmm::Gce => Machine::Gce,
        })
    }

    /// An SVSM starts with SNP_ACTIVE alone; sev-snp-measure takes the flag all the same.
    fn features(&self) -> GuestFeatures {
        if self.mode == Mode::SnpSvsm && self.guest_features != GuestFeatures::SNP_ACTIVE {
            let _ = io::Write::write_all(
                &mut io::stderr(),
                b"note: --guest-features does not count in --mode snp:svsm: an SVSM starts with 0x1\n",
            );
            return GuestFeatures::SNP_ACTIVE;
        }
        self.guest_features
    }

    fn print(&self, digest: Digest, inputs: impl FnOnce() -> Map<String, Value>) -> String {
        let base64 = || STANDARD.encode(digest.as_bytes());
        if self.json {
            let mut members = inputs();
            members.insert("launchDigest".to_owned(), digest.to_string().into());
            members.insert("launchDigestBase64".to_owned(), base64().into());
            return format!("{:#}\n", Value::Object(members));
        }
        match self.output_format {
            Format::Hex => format!("{digest}\n"),
            Format::Base64 => base64() + "\n",
        }
    }

    fn guest_members(&self, guest: &Guest<'_>) -> Map<String, Value> {
        let kernel = guest.kernel.map(|hashes| {
            json!({
                "kernel": hex::encode(hashes.kernel),
                "initrd": hex::encode(hashes.initrd),
                "commandLine": hex::encode(hashes.command_line),
            })
        });
        let mut all = members([
            ("mode", if self.mode == Mode::SnpSvsm { "snp:svsm" } else { "snp" }.into()),
            ("vmmType", guest.machine.name().into()),
            ("vcpus", guest.vcpus.number().into()),
            ("guestFeatures", json!({ "bits": guest.features.to_string(), "names": guest.features.names() })),
            ("firmware", firmware_json(&guest.firmware)),
            ("kernelHashes", kernel.into()),
        ]);
        all.extend(match &guest.machine {
            Machine::Qemu { vcpu } => members([("vcpuSignature", vcpu.to_string().into())]),
            Machine::Ec2 { rdx } => members([("ec2Rdx", format!("{:#x}", rdx.number()).into())]),
            Machine::Gce => Map::new(),
            Machine::Svsm { vcpu, image, vars_bytes } => members([
                ("vcpuSignature", vcpu.to_string().into()),
                ("svsm", firmware_json(image)),
                ("varsBytes", (*vars_bytes).into()),
            ]),
        });
        all
    }
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Vcpu {
    /// What was named.
    pub(super) fn given(&self) -> Result<Option<VcpuSignature>, Stop> {
        if let (Some(family), Some(model), Some(stepping)) = (self.vcpu_family, self.vcpu_model, self.vcpu_stepping) {
            let fix = "give family, model and stepping as lscpu prints them, decimal";
            let signature = VcpuSignature::from_parts(family, model, stepping);
            return signature.map(Some).map_err(|error| Stop::arguments(error, fix));
        }
        // clap has looked the name up.
        let of_type = self.vcpu_type.as_deref().and_then(|name| VcpuType::from_name(name).ok());
        Ok(self.vcpu_sig.map(VcpuSignature::from_number).or(of_type.map(VcpuType::signature)))
    }

    fn signature(&self) -> Result<VcpuSignature, Stop> {
        self.given()?.ok_or_else(|| {
            let mut fix =
                "give --vcpu-type, --vcpu-sig or --vcpu-family, --vcpu-model and --vcpu-stepping; types:".to_owned();
            for kind in VcpuType::all() {
                let _ = write!(fix, " {}", kind.name());
            }
            Stop::arguments("QEMU's vCPUs start with their signature, and none is given", &fix)
        })
    }
}

pub(super) fn digest(text: &str) -> Result<Digest, String> {
    Digest::from_hex(text).map_err(|error| error.to_string())
}

pub(super) fn features(text: &str) -> Result<GuestFeatures, String> {
    GuestFeatures::new(number(text)?).map_err(|error| error.to_string())
}

fn ec2_rdx(text: &str) -> Result<Ec2Rdx, String> {
    match number(text)? {
        0x600 => Ok(Ec2Rdx::X600),
        0 => Ok(Ec2Rdx::Zero),
        _ => Err("want 0x600 or 0".to_owned()),
    }
}

fn firmware_json(image: &Image<'_>) -> Value {
    let sections = image.sections().iter().map(|section| {
        json!({
            "kind": section.kind.name(),
            "gpa": format!("{:#x}", section.gpa),
            "bytes": section.length,
        })
    });
    json!({ "bytes": image.bytes().len(), "sections": sections.collect::<Vec<_>>() })
}

fn dump(first: &SaveArea, other: &SaveArea, vcpus: VcpuCount) -> Result<(), Stop> {
    for index in 0..vcpus.number() {
        let name = format!("vmsa{index}.bin");
        let page = if index == 0 { first } else { other };
        fs::write(&name, page.as_bytes())
            .map_err(|error| Stop::usage(name, error, "go to a folder that you may write to"))?;
    }
    Ok(())
}
