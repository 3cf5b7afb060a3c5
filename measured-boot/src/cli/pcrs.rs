//! `measured-boot pcrs`: what registers will hold after a boot, from files alone.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use measured_boot::{
    Bank, GrubBoot, Kernel, KernelBoot, KernelStart, MAX_DATABASE_BYTES, MAX_IMAGE_BYTES, Pe, Phase, PredictedRegister,
    Prediction, SecureBoot, SignatureLists, Uki, UkiBoot,
};
use serde_json::{Value, json};

use super::{Stop, files::read};

/// Longest list of GRUB's commands.
const MAX_COMMANDS_BYTES: usize = 1 << 20;
/// Most files that GRUB is said to read.
const MAX_FILES: usize = 1024;

/// Where it is, and what is in it.
type NamedFile = (PathBuf, Vec<u8>);

/// Arguments of `pcrs`.
#[derive(Args)]
pub(super) struct Pcrs {
    /// How the kernel is started. Without it: uki if --uki is given, grub if --grub is, kernel if --kernel alone is.
    #[arg(long, value_enum)]
    boot: Option<BootKind>,
    /// A unified kernel image that the firmware starts (systemd-stub 252 or later).
    #[arg(long, value_name = "FILE")]
    uki: Option<PathBuf>,
    /// Which of its profiles.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "uki")]
    profile: usize,
    /// How far systemd got, for PCR 11: stub, enter-initrd, leave-initrd, sysinit or ready.
    #[arg(long, value_name = "PHASE", default_value = "stub", value_parser = phase)]
    phase: Phase,
    /// The kernel (bzImage) that QEMU is given as -kernel, or that GRUB starts.
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Its initial RAM disk.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Its command line: with -kernel that of -append, under GRUB the whole one (BOOT_IMAGE=/vmlinuz root=…).
    #[arg(long, value_name = "TEXT", default_value = "")]
    cmdline: String,
    /// The machine's memory in MiB, if its QEMU is before 10.1 and it is no SEV guest: such a QEMU writes into the kernel's
    /// header (PCR 4).
    #[arg(long, value_name = "MIB", requires = "kernel")]
    qemu_patches_for_memory: Option<u32>,
    /// GRUB, as the firmware or shim starts it.
    #[arg(long, value_name = "FILE", conflicts_with = "uki")]
    grub: Option<PathBuf>,
    /// Shim, if it starts GRUB.
    #[arg(long, value_name = "FILE", requires = "grub")]
    shim: Option<PathBuf>,
    /// What GRUB measures into PCR 8, in order, as an event log states it (grub_cmd: set default=0): a line each, or a JSON
    /// array of texts.
    #[arg(long, value_name = "FILE", requires = "grub")]
    grub_commands: Option<PathBuf>,
    /// A file that GRUB reads (PCR 9); once for each, in order.
    #[arg(long, value_name = "FILE", requires = "grub")]
    grub_file: Vec<PathBuf>,
    /// How GRUB starts the kernel, which decides PCRs 4 and 9: jump (2.06 without shim), handover (Debian's 2.06 below shim
    /// with Secure Boot; needs --kernel), stub (Ubuntu's 2.12 below shim without Secure Boot; needs --kernel --initrd
    /// --cmdline), firmware (2.12 as its makers release it; needs the same). A log of one boot shows which.
    #[arg(long, value_enum, requires = "grub")]
    grub_starts: Option<Starts>,
    /// Is Secure Boot on? Without an answer, PCR 7 is not predicted.
    #[arg(long, value_enum)]
    secure_boot: Option<OnOff>,
    /// The variable PK: EFI signature lists, or a signed update (.auth).
    #[arg(long, value_name = "FILE", requires = "secure_boot")]
    pk: Option<PathBuf>,
    /// The variable KEK.
    #[arg(long, value_name = "FILE", requires = "secure_boot")]
    kek: Option<PathBuf>,
    /// The variable db.
    #[arg(long, value_name = "FILE", requires = "secure_boot", alias = "secure-boot-db")]
    db: Option<PathBuf>,
    /// The variable dbx.
    #[arg(long, value_name = "FILE", requires = "secure_boot")]
    dbx: Option<PathBuf>,
    /// The bank of registers: sha1, sha256, sha384 or sha512.
    #[arg(long, value_name = "BANK", default_value = "sha256", value_parser = bank)]
    bank: Bank,
    /// Print JSON: `pcrs` is what a release's manifest takes.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum BootKind {
    Uki,
    Kernel,
    Grub,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Starts {
    Jump,
    Handover,
    Stub,
    Firmware,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

fn phase(word: &str) -> Result<Phase, String> {
    Phase::of(word).ok_or_else(|| {
        let names: Vec<_> = Phase::ALL.into_iter().map(Phase::name).collect();
        format!("want one of {}", names.join(", "))
    })
}

fn bank(name: &str) -> Result<Bank, String> {
    Bank::from_name(name).ok_or_else(|| "want sha1, sha256, sha384 or sha512".to_owned())
}

impl Pcrs {
    pub(super) fn run(&self) -> Result<String, Stop> {
        let variables = self.variables()?;
        let secure_boot = self.secure_boot(&variables)?;
        let (kind, prediction) = match self.kind()? {
            BootKind::Uki => ("uki", self.uki(secure_boot.as_ref())?),
            BootKind::Kernel => ("kernel", self.kernel(secure_boot.as_ref())?),
            BootKind::Grub => ("grub", self.grub(secure_boot.as_ref())?),
        };
        Ok(if self.json { self.json_report(kind, &prediction) } else { text_report(&prediction) })
    }

    fn kind(&self) -> Result<BootKind, Stop> {
        let given = match (&self.uki, &self.grub, &self.kernel) {
            (Some(_), ..) => BootKind::Uki,
            (None, Some(_), _) => BootKind::Grub,
            (None, None, Some(_)) => BootKind::Kernel,
            (None, None, None) => {
                return Err(Stop::usage("pcrs", "nothing to start", "give --uki FILE, --kernel FILE or --grub FILE"));
            }
        };
        let wanted = self.boot.unwrap_or(given);
        let missing = match (wanted, &self.uki, &self.grub, &self.kernel) {
            (BootKind::Uki, None, ..) => Some("--uki"),
            (BootKind::Grub, _, None, _) => Some("--grub"),
            (BootKind::Kernel, _, _, None) => Some("--kernel"),
            _ => None,
        };
        match missing {
            Some(missing) => Err(Stop::usage("--boot", format!("needs {missing}"), "give the file that is started")),
            None => Ok(wanted),
        }
    }

    fn variables(&self) -> Result<[Option<NamedFile>; 4], Stop> {
        let read_one = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| Ok((path.clone(), read(path, MAX_DATABASE_BYTES)?))).transpose()
        };
        Ok([read_one(&self.pk)?, read_one(&self.kek)?, read_one(&self.db)?, read_one(&self.dbx)?])
    }

    fn secure_boot<'a>(&self, variables: &'a [Option<NamedFile>; 4]) -> Result<Option<SecureBoot<'a>>, Stop> {
        let Some(state) = self.secure_boot else { return Ok(None) };
        let parse = |variable: &'a Option<NamedFile>| {
            let Some((path, bytes)) = variable else { return Ok(None) };
            let lists = SignatureLists::parse_file(bytes);
            lists.map(Some).map_err(|error| Stop::malformed(path, &error, error.fix()))
        };
        let [pk, kek, db, dbx] = variables;
        Ok(Some(SecureBoot {
            on: state == OnOff::On,
            pk: parse(pk)?,
            kek: parse(kek)?,
            db: parse(db)?,
            dbx: parse(dbx)?,
        }))
    }

    fn uki(&self, secure_boot: Option<&SecureBoot<'_>>) -> Result<Prediction, Stop> {
        let path = self.uki.as_deref().unwrap_or(Path::new(""));
        let bytes = read(path, MAX_IMAGE_BYTES)?;
        let uki = Uki::parse(&bytes).map_err(|error| Stop::malformed(path, &error, error.fix()))?;
        if self.profile >= uki.profile_count() {
            let what = format!("{} profiles, the first is 0", uki.profile_count());
            return Err(Stop::usage("--profile", what, "choose a profile that the image has"));
        }
        Ok(UkiBoot { uki, profile: self.profile, phase: self.phase }.predict(self.bank, secure_boot))
    }

    fn kernel(&self, secure_boot: Option<&SecureBoot<'_>>) -> Result<Prediction, Stop> {
        let (kernel, initrd) = self.kernel_files()?;
        Ok(self.kernel_boot(&kernel, initrd.as_deref())?.predict(self.bank, secure_boot))
    }

    fn kernel_files(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), Stop> {
        let kernel = read(self.kernel.as_deref().unwrap_or(Path::new("")), MAX_IMAGE_BYTES)?;
        let initrd = self.initrd.as_deref().map(|path| bounded(path, MAX_IMAGE_BYTES)).transpose()?;
        Ok((kernel, initrd))
    }

    fn kernel_boot<'a>(&self, kernel: &'a [u8], initrd: Option<&'a [u8]>) -> Result<KernelBoot<'a>, Stop> {
        let path = self.kernel.as_deref().unwrap_or(Path::new(""));
        let kernel = Kernel::parse(kernel).map_err(|error| Stop::malformed(path, &error, error.fix()))?;
        let patched_for_bytes = self.qemu_patches_for_memory.map(|mib| u64::from(mib) << 20);
        Ok(KernelBoot { kernel, initrd, cmdline: self.cmdline.clone(), patched_for_bytes })
    }

    fn grub(&self, secure_boot: Option<&SecureBoot<'_>>) -> Result<Prediction, Stop> {
        let path = self.grub.as_deref().unwrap_or(Path::new(""));
        let grub = read(path, MAX_IMAGE_BYTES)?;
        let grub = Pe::parse(&grub).map_err(|error| Stop::malformed(path, &error, error.fix()))?;
        let shim_file = self.shim.as_deref().map(|path| Ok((path, read(path, MAX_IMAGE_BYTES)?))).transpose()?;
        let shim = shim_file
            .as_ref()
            .map(|(path, bytes)| Pe::parse(bytes).map_err(|error| Stop::malformed(path, &error, error.fix())));
        let commands = self.grub_commands.as_deref().map(commands).transpose()?;
        if self.grub_file.len() > MAX_FILES {
            return Err(Stop::usage("--grub-file", format!("more than {MAX_FILES}"), "give the files that GRUB reads"));
        }
        let mut contents = Vec::new();
        for path in &self.grub_file {
            contents.push((path.display().to_string(), bounded(path, MAX_IMAGE_BYTES)?));
        }
        let files = contents.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())).collect();
        let files = if self.grub_file.is_empty() { None } else { Some(files) };
        let needs_kernel = matches!(self.grub_starts, Some(Starts::Handover | Starts::Stub | Starts::Firmware));
        if needs_kernel && self.kernel.is_none() {
            return Err(Stop::usage("--grub-starts", "needs --kernel", "give the kernel that GRUB starts"));
        }
        let loaded = needs_kernel.then(|| self.kernel_files()).transpose()?;
        let kernel = loaded.as_ref().map(|(kernel, initrd)| self.kernel_boot(kernel, initrd.as_deref())).transpose()?;
        let start = match (self.grub_starts, kernel) {
            (None, _) => None,
            (Some(Starts::Handover), Some(kernel)) => Some(KernelStart::Handover(kernel)),
            (Some(Starts::Stub), Some(kernel)) => Some(KernelStart::Stub(kernel)),
            (Some(Starts::Firmware), Some(kernel)) => Some(KernelStart::Firmware(kernel)),
            (Some(_), _) => Some(KernelStart::Jump),
        };
        Ok(GrubBoot { shim: shim.transpose()?, grub, commands, files, start }.predict(self.bank, secure_boot))
    }

    fn json_report(&self, kind: &str, prediction: &Prediction) -> String {
        let (mut events, mut open) = (serde_json::Map::new(), serde_json::Map::new());
        for (index, register) in prediction.registers() {
            match register {
                PredictedRegister::Predicted(list) => {
                    let list = list.iter().map(|event| {
                        json!({ "what": event.what, "digest": event.digest.to_string(), "afterLog": event.after_log })
                    });
                    events.insert(index.number().to_string(), list.collect::<Value>());
                }
                PredictedRegister::NotPredicted { why } => {
                    open.insert(index.number().to_string(), why.as_str().into());
                }
            }
        }
        let pcrs: serde_json::Map<_, _> = prediction
            .pcrs()
            .iter()
            .map(|(index, value)| (index.number().to_string(), Value::from(value.to_string())))
            .collect();
        let value = json!({
            "bank": prediction.bank().name(),
            "boot": kind,
            "phase": if kind == "uki" { self.phase.name().into() } else { Value::Null },
            "secureBoot": self.secure_boot.map(|state| if state == OnOff::On { "on" } else { "off" }),
            "pcrs": pcrs,
            "notPredicted": open,
            "assumes": prediction.assumptions(),
            "events": events,
        });
        format!("{value:#}\n")
    }
}

/// A file that no parser judges: too long is an error here.
fn bounded(path: &Path, limit: usize) -> Result<Vec<u8>, Stop> {
    let bytes = read(path, limit)?;
    if bytes.len() > limit {
        return Err(Stop::malformed(
            path,
            format!("offset {limit:#x}: more than {limit} bytes"),
            "give a shorter file",
        ));
    }
    Ok(bytes)
}

fn commands(path: &Path) -> Result<Vec<String>, Stop> {
    let bytes = bounded(path, MAX_COMMANDS_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Stop::malformed(path, format!("offset {at:#x}: not UTF-8"), "give a text, a line for each command")
    })?;
    if text.starts_with('[') {
        return serde_json::from_str(&text).map_err(|error| {
            let what = format!("line {}, column {}: {error}", error.line(), error.column());
            Stop::malformed(path, what, "give a JSON array of texts")
        });
    }
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn text_report(prediction: &Prediction) -> String {
    let values = prediction.pcrs();
    let mut lines = vec![format!("{}:", prediction.bank())];
    for (index, register) in prediction.registers() {
        match (register, values.value(index)) {
            (PredictedRegister::Predicted(events), Some(value)) => {
                lines.push(format!("  {:>2}: {value}", index.number()));
                if events.is_empty() {
                    lines.push("      nothing is measured into it".to_owned());
                }
                lines.extend(events.iter().map(|event| format!("      {}  {}", event.digest, event.what)));
            }
            (PredictedRegister::NotPredicted { why }, _) => {
                lines.push(format!("  {:>2}: not predicted: {why}", index.number()));
            }
            // A register that is predicted has a value.
            (PredictedRegister::Predicted(_), None) => {}
        }
    }
    lines.push("provided that:".to_owned());
    lines.extend(prediction.assumptions().iter().map(|text| format!("  {text}")));
    lines.push(String::new());
    lines.join("\n")
}
