//! `measured-boot explain`: which guest a measurement is of.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use measured_boot::launch::{
    Boot, Explanation, Found, GuestFeatures, LaunchDigest, MAX_IMAGE_BYTES, Question, Tried, VcpuCount,
};
use serde_json::{Value, json};

use super::{
    Answer, Stop,
    boot_files::BootFiles,
    files::{read, read_report},
    launch_digest::{Vcpu, features},
    numbers::number_32,
};

/// Offset of MEASUREMENT in a report.
const MEASUREMENT: usize = 0x90;
/// What was measured differs.
const DIFFERS: u8 = 6;

/// Arguments of `explain`.
#[derive(Args)]
pub(super) struct Explain {
    /// The measurement: 96 hexadecimal digits, or 64 characters of base64.
    #[arg(long, value_name = "HEX", value_parser = measurement)]
    #[arg(required_unless_present = "report", conflicts_with = "report")]
    measurement: Option<LaunchDigest>,
    /// The report it stands in, 1184 bytes.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    files: BootFiles,
    /// Number of vCPUs you predicted with: named if the guest has another.
    #[arg(long, value_name = "N", value_parser = number_32)]
    vcpus: Option<u32>,
    #[command(flatten)]
    vcpu: Vcpu,
    /// SEV_FEATURES you predicted with: tried first, named if the guest has others.
    #[arg(long, value_name = "BITS", value_parser = features)]
    guest_features: Option<GuestFeatures>,
    /// Guests of up to this many vCPUs are tried.
    #[arg(long, value_name = "N", default_value = "64", value_parser = number_32)]
    most_vcpus: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self) -> Result<Answer, Stop> {
        let most = self.most_vcpus.max(self.vcpus.unwrap_or(1));
        let most_vcpus =
            VcpuCount::new(most).map_err(|error| Stop::arguments(error, "give --most-vcpus and --vcpus within"))?;
        let firmware = self.files.read_ovmf()?;
        let svsm = self.files.read_svsm()?;
        let vars = self.files.vars_file.as_deref().map(|path| read(path, MAX_IMAGE_BYTES)).transpose()?;
        let kernel = self.files.hash_kernel()?;
        let question = Question {
            measurement: self.measurement()?,
            boot: Boot {
                firmware: &firmware,
                vars: vars.as_deref(),
                svsm: svsm.as_deref(),
                kernel: kernel.as_ref().map(|files| files.kernel),
                initrd: kernel.as_ref().and_then(|files| files.initrd),
                command_line: self.files.command_line(),
            },
            most_vcpus,
            signature: self.vcpu.given()?,
            features: self.guest_features,
            vars_bytes: self.files.vars_size,
        };
        let Explanation { found, tried } = question.explain().map_err(|error| self.files.stop(&error))?;
        let text = match (&found, self.json) {
            (found, true) => {
                let value = json!({
                    "measurement": question.measurement.to_string(),
                    "found": found.as_ref().map(|found| self.found_json(found)),
                    "tried": tried_json(&tried),
                });
                format!("{value:#}\n")
            }
            (Some(found), false) => self.found_text(found, &tried),
            (None, false) => self.nothing_text(&question, &tried),
        };
        Ok(Answer { text, code: if found.is_some() { 0 } else { DIFFERS } })
    }

    fn measurement(&self) -> Result<LaunchDigest, Stop> {
        let Some(path) = &self.report else {
            return self.measurement.ok_or_else(|| Stop::arguments("no measurement", "give --measurement or --report"));
        };
        let report = read_report(path)?;
        let field = report.get(MEASUREMENT..).and_then(|rest| rest.first_chunk());
        let bytes = field.ok_or_else(|| Stop::malformed(path, "no room for a measurement", "give the report alone"))?;
        Ok(LaunchDigest::from_bytes(*bytes))
    }

    /// The flags of `launch-digest` that predict it. Of files, those that were measured as they are.
    fn flags(&self, found: &Found) -> Vec<String> {
        let mut flags = vec!["--mode".to_owned()];
        flags.push(if found.svsm_vars_bytes.is_some() { "snp:svsm" } else { "snp" }.to_owned());
        flags.extend(["--vmm-type".to_owned(), found.vmm.to_owned()]);
        flags.extend(["--vcpus".to_owned(), found.vcpus.to_string()]);
        if let Some(signature) = found.signature {
            let named = signature.types().next();
            flags.push(if named.is_some() { "--vcpu-type" } else { "--vcpu-sig" }.to_owned());
            flags.push(named.map_or_else(|| signature.to_string(), str::to_owned));
        }
        if let Some(rdx) = found.ec2_rdx {
            flags.extend(["--ec2-rdx".to_owned(), format!("{:#x}", rdx.number())]);
        }
        if let Some(bytes) = found.svsm_vars_bytes {
            flags.extend(["--vars-size".to_owned(), bytes.to_string()]);
        }
        if let Some(features) = found.features {
            flags.extend(["--guest-features".to_owned(), features.to_string()]);
        }
        if found.firmware_as_given {
            flags.extend(["--ovmf".to_owned(), self.files.ovmf.display().to_string()]);
        }
        if found.has_kernel && found.kernel_as_given {
            flags.extend(self.files.kernel_flags());
        }
        if let (Some(path), Some(_)) = (&self.files.svsm, found.svsm_vars_bytes) {
            flags.extend(["--svsm".to_owned(), path.display().to_string()]);
        }
        flags
    }

    /// What is other than the caller thought.
    fn differences(&self, found: &Found) -> Vec<String> {
        let mut differences = Vec::new();
        if let Some(given) = self.vcpus.filter(|given| *given != found.vcpus) {
            differences.push(format!("{} vCPUs, not {given}", found.vcpus));
        }
        if let (Ok(Some(given)), Some(signature)) = (self.vcpu.given(), found.signature)
            && given != signature
        {
            differences.push(format!("vCPU signature {signature}, not {given}"));
        }
        if let (Some(given), Some(features)) = (self.guest_features, found.features)
            && given != features
        {
            differences.push(format!("guest features {features} ({}), not {given}", features.names().join(", ")));
        }
        if !found.firmware_as_given {
            differences.push(format!("firmware: {}", found.firmware));
        }
        if !found.kernel_as_given {
            differences.push(format!("kernel: {}", found.kernel));
        }
        differences
    }

    fn found_json(&self, found: &Found) -> Value {
        json!({
            "vmmType": found.vmm,
            "svsmVarsBytes": found.svsm_vars_bytes,
            "ec2Rdx": found.ec2_rdx.map(|rdx| format!("{:#x}", rdx.number())),
            "vcpus": found.vcpus,
            "vcpuSignature": found.signature.map(|signature| signature.to_string()),
            "vcpuTypes": found.signature.map(|signature| signature.types().collect::<Vec<_>>()),
            "guestFeatures": found.features.map(|features| json!({ "bits": features.to_string(), "names": features.names() })),
            "firmware": found.firmware,
            "kernel": found.kernel,
            "firmwareAsGiven": found.firmware_as_given,
            "kernelAsGiven": found.kernel_as_given,
            "flags": self.flags(found),
            "differences": self.differences(found),
        })
    }

    fn found_text(&self, found: &Found, tried: &Tried) -> String {
        let mut lines = vec![format!("found after {} guesses:", tried.guesses)];
        lines.push(match found.ec2_rdx {
            Some(rdx) => format!("  monitor         {}, RDX {:#x}", found.vmm, rdx.number()),
            None => format!("  monitor         {}", found.vmm),
        });
        lines.push(match found.vcpus {
            0 => "  vCPUs           none: the measurement ends before the first vCPU's registers".to_owned(),
            count => format!("  vCPUs           {count}"),
        });
        if let Some(signature) = found.signature {
            let types: Vec<_> = signature.types().collect();
            let types = if types.is_empty() { "-cpu host of such a processor".to_owned() } else { types.join(", ") };
            lines.push(format!("  vCPU signature  {signature}: {types}"));
        }
        if let Some(features) = found.features {
            lines.push(format!("  guest features  {features}: {}", features.names().join(", ")));
        }
        if let Some(bytes) = found.svsm_vars_bytes {
            lines.push(format!("  SVSM            below {bytes} bytes of variables"));
        }
        lines.push(format!("  firmware        {}", found.firmware));
        lines.push(format!("  kernel          {}", found.kernel));
        let differences = self.differences(found);
        lines.extend(differences.iter().map(|difference| format!("other than given: {difference}")));
        if found.vcpus > 0 {
            let flags: Vec<_> = self.flags(found).iter().map(|flag| quoted(flag)).collect();
            lines.push(format!("predicted by: measured-boot launch-digest {}", flags.join(" ")));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn nothing_text(&self, question: &Question<'_>, tried: &Tried) -> String {
        let signatures: Vec<_> = tried.signatures.iter().map(ToString::to_string).collect();
        let features: Vec<_> = tried.features.iter().map(ToString::to_string).collect();
        let mut lines = vec![
            format!("{}: none of {} guesses", question.measurement, tried.guesses),
            format!("  monitors         {}", tried.machines.join("; ")),
            format!("  vCPUs            0 to {}", tried.most_vcpus),
            format!("  vCPU signatures  {}", signatures.join(" ")),
            format!("  guest features   {}", features.join(" ")),
            format!("  firmware         {}", tried.firmware.join("; ")),
            format!("  kernel           {}", tried.kernel.join("; ")),
            "what else it can be:".to_owned(),
            format!(
                "  - another build of the firmware: {} has {} bytes. The digest of its pages alone: measured-boot launch-digest \
                 --mode snp:ovmf-hash",
                self.files.ovmf.display(),
                question.boot.firmware.len()
            ),
        ];
        match &tried.no_kernel_hashes {
            Some(error) => lines.push(format!(
                "  - the kernel was not tried, for this firmware does not verify kernels ({error}): was it started with another?"
            )),
            None if self.files.kernel.is_none() => {
                lines.push("  - a kernel that QEMU booted directly: none was given, and its hashes would be measured".to_owned());
            }
            None => lines.push("  - another kernel, initrd or command line; QEMU hashes the files as they are on the host".to_owned()),
        }
        if self.files.svsm.is_none() {
            lines.push("  - an SVSM or a paravisor below the firmware: none was given (--svsm)".to_owned());
        }
        if self.files.vars_file.is_none() {
            lines.push(
                "  - firmware with its variables before it, where only OVMF_CODE.fd was given (--vars-file)".to_owned(),
            );
        }
        lines.push(format!("  - more than {} vCPUs (--most-vcpus), another signature (--vcpu-sig)", tried.most_vcpus));
        lines.push(
            "  - a monitor that sets other registers: a newer QEMU, EC2 or Google, or another one altogether"
                .to_owned(),
        );
        lines.push(String::new());
        lines.join("\n")
    }
}

fn tried_json(tried: &Tried) -> Value {
    json!({
        "guesses": tried.guesses,
        "monitors": tried.machines,
        "mostVcpus": tried.most_vcpus,
        "vcpuSignatures": tried.signatures.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "guestFeatures": tried.features.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "firmware": tried.firmware,
        "kernel": tried.kernel,
        "kernelNotTriedBecause": tried.no_kernel_hashes.as_ref().map(ToString::to_string),
    })
}

/// For a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,+@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Either form that tools print.
pub(super) fn measurement(text: &str) -> Result<LaunchDigest, String> {
    if text.len() == 64
        && let Ok(bytes) = STANDARD.decode(text)
        && let Ok(bytes) = <[u8; 48]>::try_from(bytes)
    {
        return Ok(LaunchDigest::from_bytes(bytes));
    }
    LaunchDigest::from_hex(text).map_err(|error| error.to_string())
}
