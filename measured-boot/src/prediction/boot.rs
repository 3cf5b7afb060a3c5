//! The registers after a boot, from files alone, for the ways to start Linux: EDK II's firmware (OVMF) by its TCG2
//! drivers, systemd's boot stub, GRUB, and the kernel's own EFI stub. Each rule was watched in a machine that booted.

use crate::{
    image::{
        linux::Kernel,
        pe::Pe,
        qemu::hand_over,
        uki::{Phase, Uki, name_digest},
    },
    pcr::Bank,
    prediction::{Events, Prediction, secure_boot::SecureBoot},
};

/// Stubs whose rules are known: systemd 252 to 258.
const LAST_KNOWN_STUB: u32 = 258;
/// The first stub that places the kernel in memory itself, so that the firmware does not measure it.
const STUB_WITH_LOADER: u32 = 258;
/// The first stub that may put files of its own into the initial RAM disk without being given any.
const STUB_WITH_FILES: u32 = 256;
const CALLING: &[u8] = b"Calling EFI Application from Boot Option";

/// A unified kernel image that the firmware starts from a boot option.
#[derive(Clone, Debug)]
pub struct UkiBoot<'a> {
    /// The image.
    pub uki: Uki<'a>,
    /// Which of its profiles.
    pub profile: usize,
    /// How far systemd got.
    pub phase: Phase,
}

/// A kernel that QEMU hands to the firmware (`-kernel`).
#[derive(Clone, Debug)]
pub struct KernelBoot<'a> {
    /// The bzImage.
    pub kernel: Kernel<'a>,
    /// The initial RAM disk.
    pub initrd: Option<&'a [u8]>,
    /// The command line.
    pub cmdline: String,
    /// The machine's memory, if its QEMU is before 10.1 and it is no SEV guest: the kernel is then not handed over as it
    /// is.
    pub patched_for_bytes: Option<u64>,
}

/// GRUB, by itself or started by shim.
#[derive(Clone, Debug)]
pub struct GrubBoot<'a> {
    /// Shim, if the firmware starts it.
    pub shim: Option<Pe<'a>>,
    /// GRUB.
    pub grub: Pe<'a>,
    /// What GRUB measures into PCR 8, in order, as its log has it: `grub_cmd: …`, `kernel_cmdline: …`.
    pub commands: Option<Vec<String>>,
    /// The files that GRUB reads, in order, by name and content.
    pub files: Option<Vec<(String, &'a [u8])>>,
    /// How it starts the kernel, if that is known.
    pub start: Option<KernelStart<'a>>,
}

/// How GRUB starts a kernel, which its builds do in four ways.
#[derive(Clone, Debug)]
pub enum KernelStart<'a> {
    /// It jumps to the kernel's own entry, past all that measures: 2.06 and before without shim.
    Jump,
    /// It has shim check the kernel, twice, and enters it by the handover protocol: Debian's 2.06 below shim with Secure
    /// Boot.
    Handover(KernelBoot<'a>),
    /// It loads the kernel itself and enters its EFI stub: Ubuntu's 2.12 below shim without Secure Boot.
    Stub(KernelBoot<'a>),
    /// It has the firmware load the kernel: 2.12 without distributions' patches.
    Firmware(KernelBoot<'a>),
}

impl UkiBoot<'_> {
    /// The registers of this boot. `secure_boot` is `None` where it is not known.
    pub fn predict(&self, bank: Bank, secure_boot: Option<&SecureBoot<'_>>) -> Prediction {
        let mut prediction = common(bank, secure_boot, self.uki.pe());
        let version = self.uki.stub_version();
        if version.major > LAST_KNOWN_STUB {
            prediction.assume(format!(
                "the stub of systemd {} measures as that of {LAST_KNOWN_STUB} does, the last whose rules are known",
                version.text
            ));
        }
        let kernel = self.uki.section(self.profile, ".linux").map(|section| section.content());
        prediction.put(4, self.programs(bank, secure_boot, kernel.unwrap_or_default()));
        prediction.put(8, Events::new(bank));
        prediction.put(9, self.kernel_events(bank, kernel.unwrap_or_default()));
        prediction.put(11, self.sections(bank));
        prediction.assume(
            "no command line but the image's own, no credentials, no add-ons (PCR 12), no extension images (PCR 13)",
        );
        prediction.put(12, Events::new(bank));
        prediction.put(13, Events::new(bank));
        prediction.put(14, Events::new(bank));
        prediction.assume("the firmware starts the image itself, with no shim and no boot loader before it");
        prediction
    }

    fn programs(&self, bank: Bank, secure_boot: Option<&SecureBoot<'_>>, kernel: &[u8]) -> Events {
        let mut events = called(bank);
        events.digest("the unified kernel image, Authenticode hash", self.uki.pe().authenticode(bank));
        if self.uki.stub_version().major >= STUB_WITH_LOADER {
            return events;
        }
        // The stub has the firmware load the kernel, which measures it; with Secure Boot it vouches for the kernel in the
        // firmware's place, and so nothing is measured.
        match (secure_boot.map(|state| state.on), Pe::parse(kernel)) {
            (Some(true), _) => {}
            (Some(false), Ok(kernel)) => {
                events.digest("section .linux, Authenticode hash of the kernel in it", kernel.authenticode(bank));
            }
            (Some(false), Err(error)) => events.fail(format!("section .linux: {error}")),
            (None, _) => events.fail(
                "with Secure Boot off this stub has the firmware load, and measure, the kernel: say whether it is on",
            ),
        }
        events
    }

    fn sections(&self, bank: Bank) -> Events {
        let mut events = Events::new(bank);
        for (name, section) in self.uki.measured(self.profile) {
            if matches!(name, ".dtbauto" | ".hwids" | ".efifw") {
                events.fail(format!("the stub chooses what it takes of section {name} by the machine's hardware"));
            }
            events.digest(format!("name of section {name}"), name_digest(bank, name));
            events.digest(format!("section {name}"), section.memory_digest(bank));
        }
        for word in self.phase.words() {
            events.after_log(format!("systemd's phase {word}"), word.as_bytes());
        }
        events
    }

    /// What the kernel's EFI stub measures.
    fn kernel_events(&self, bank: Bank, kernel: &[u8]) -> Events {
        let version = self.uki.stub_version().major;
        let adds =
            [".ucode", ".pcrsig", ".pcrpkey"].into_iter().find(|name| self.uki.section(self.profile, name).is_some());
        if let Some(section) = adds {
            return Events::unknown(
                bank,
                format!("the stub puts section {section} into the initial RAM disk, in a form of its own"),
            );
        }
        if version >= STUB_WITH_FILES {
            return Events::unknown(
                bank,
                format!("the stub of systemd {version} puts files of its own into the initial RAM disk"),
            );
        }
        let kernel = match Kernel::parse(kernel) {
            Ok(kernel) => kernel,
            Err(error) => return Events::unknown(bank, format!("section .linux: {error}")),
        };
        let Some(cmdline) = self.uki.section(self.profile, ".cmdline") else {
            return Events::unknown(bank, "the image has no section .cmdline: the kernel's options are the firmware's");
        };
        let initrd = self.uki.section(self.profile, ".initrd").map(|section| section.content());
        let Some(cmdline) = stub_cmdline(cmdline.content()) else {
            return Events::unknown(bank, "section .cmdline is not ASCII");
        };
        kernel.events(bank, &cmdline, initrd)
    }
}

impl KernelBoot<'_> {
    /// The registers of this boot. `secure_boot` is `None` where it is not known.
    pub fn predict(&self, bank: Bank, secure_boot: Option<&SecureBoot<'_>>) -> Prediction {
        let image = self.kernel.pe();
        let mut prediction = common(bank, secure_boot, image);
        prediction.put(4, self.programs(bank));
        prediction.assume(match self.patched_for_bytes {
            None => "QEMU hands over the kernel as it is in the file, as it does for SEV guests and from 10.1 on".to_owned(),
            Some(bytes) => format!(
                "a q35 machine with {} MiB whose QEMU is before 10.1 and writes into the kernel's header (no SEV guest)",
                bytes >> 20
            ),
        });
        // The firmware appends the initial RAM disk's name in its own file system.
        let options = match self.initrd {
            Some(_) => format!("{} initrd=initrd", self.cmdline),
            None => self.cmdline.clone(),
        };
        prediction.put(
            9,
            if self.cmdline.is_empty() {
                Events::unknown(bank, "there is no command line: whether options are measured is the firmware's choice")
            } else {
                self.kernel.events(bank, &options, self.initrd)
            },
        );
        for number in [8, 11, 12, 13, 14] {
            prediction.put(number, Events::new(bank));
        }
        prediction
    }
}

impl KernelBoot<'_> {
    /// The firmware loads what QEMU hands over before it gets ready to boot.
    fn programs(&self, bank: Bank) -> Events {
        let mut events = Events::new(bank);
        let what = "the kernel, Authenticode hash";
        match self.patched_for_bytes {
            None => {
                events.digest(what, self.kernel.pe().authenticode(bank));
            }
            Some(memory) => match hand_over(self.kernel.file(), memory, self.initrd.map(<[u8]>::len)) {
                None => {
                    events.fail("what QEMU writes into the header of a kernel of this version or size is not known")
                }
                Some(patched) => match Pe::parse(&patched) {
                    Ok(image) => {
                        events.digest(format!("{what}, with what QEMU writes into it"), image.authenticode(bank));
                    }
                    Err(error) => events.fail(error.to_string()),
                },
            },
        }
        events.bytes("remark \"Calling EFI Application from Boot Option\"", CALLING).bytes("separator", &[0; 4]);
        events
    }
}

impl GrubBoot<'_> {
    /// The registers of this boot. `secure_boot` is `None` where it is not known.
    pub fn predict(&self, bank: Bank, secure_boot: Option<&SecureBoot<'_>>) -> Prediction {
        let first = self.shim.as_ref().unwrap_or(&self.grub);
        let mut prediction = common(bank, secure_boot, first);
        let mut programs = called(bank);
        if let Some(shim) = &self.shim {
            programs.digest("shim, Authenticode hash", shim.authenticode(bank));
        }
        programs.digest("GRUB, Authenticode hash", self.grub.authenticode(bank));
        match &self.start {
            None => {
                programs.fail("builds of GRUB differ in whether the firmware loads the kernel: say how it starts it")
            }
            Some(KernelStart::Jump | KernelStart::Stub(_)) => {}
            Some(KernelStart::Handover(boot)) => {
                for _ in 0..2 {
                    programs.digest("the kernel, Authenticode hash, by shim", boot.kernel.pe().authenticode(bank));
                }
            }
            Some(KernelStart::Firmware(boot)) => {
                programs.digest("the kernel, Authenticode hash", boot.kernel.pe().authenticode(bank));
            }
        }
        prediction.put(4, programs);
        prediction.put(8, self.texts(bank));
        prediction.put(9, self.read(bank));
        for number in [11, 12, 13] {
            prediction.put(number, Events::new(bank));
        }
        if self.shim.is_some() {
            prediction.put(
                14,
                Events::unknown(bank, "shim measures the machine owner's lists, which are in the firmware's variables"),
            );
            if secure_boot.is_some() {
                let why = "shim measures its own revocation level and by which key it admits GRUB and the kernel";
                prediction.put(7, Events::unknown(bank, why));
            }
        } else {
            prediction.put(14, Events::new(bank));
        }
        prediction
    }

    fn texts(&self, bank: Bank) -> Events {
        let Some(commands) = &self.commands else {
            return Events::unknown(bank, "GRUB measures each command that it runs: give them, in order");
        };
        let mut events = Events::new(bank);
        for line in commands {
            let text = ["grub_cmd: ", "kernel_cmdline: ", "module_cmdline: "]
                .iter()
                .find_map(|prefix| line.strip_prefix(prefix));
            events.bytes(line.clone(), text.unwrap_or(line).as_bytes());
        }
        events
    }

    fn read(&self, bank: Bank) -> Events {
        let Some(files) = &self.files else {
            return Events::unknown(bank, "GRUB measures each file that it reads: give them, in order");
        };
        let mut events = Events::new(bank);
        for (name, content) in files {
            events.bytes(format!("file {name}"), content);
        }
        match &self.start {
            None => {
                events.fail("builds of GRUB differ in whether the kernel measures its options: say how it starts it")
            }
            Some(KernelStart::Jump | KernelStart::Handover(_)) => {}
            Some(KernelStart::Stub(boot) | KernelStart::Firmware(boot)) => {
                events.append(&mut boot.kernel.events(bank, &boot.cmdline, boot.initrd));
            }
        }
        events
    }
}

/// What is the same for all.
fn common(bank: Bank, secure_boot: Option<&SecureBoot<'_>>, first: &Pe<'_>) -> Prediction {
    let mut prediction = Prediction::new(bank);
    for (number, why) in [
        (0, "the firmware's own code and version"),
        (1, "the machine's hardware description and boot variables"),
        (2, "drivers and option ROMs of the machine's devices"),
        (3, "the configuration of those drivers"),
        (5, "the partition table and what the firmware does while it leaves"),
        (6, "the maker of the machine"),
        (10, "files that the kernel measures while the system runs"),
        (15, "the running system"),
    ] {
        prediction.put(number, Events::unknown(bank, format!("decided by {why}, not by the given files")));
    }
    prediction.put(
        7,
        match secure_boot {
            Some(secure_boot) => secure_boot.events(bank, first),
            None => Events::unknown(bank, "depends on Secure Boot: say whether it is on, and give its variables"),
        },
    );
    prediction.assume("no other boot option was tried before");
    prediction
}

fn called(bank: Bank) -> Events {
    let mut events = Events::new(bank);
    events.bytes("remark \"Calling EFI Application from Boot Option\"", CALLING).bytes("separator", &[0; 4]);
    events
}

/// The command line that a stub makes of a section: without white space around it, control characters as spaces.
fn stub_cmdline(section: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(section.split(|byte| *byte == 0).next()?).ok().filter(|text| text.is_ascii())?;
    let plain: String = text.chars().map(|c| if c < ' ' { ' ' } else { c }).collect();
    Some(plain.trim_matches(' ').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_trims_its_command_line() {
        assert_eq!(stub_cmdline(b"quiet\n").as_deref(), Some("quiet"));
        assert_eq!(stub_cmdline(b" a\tb\0c").as_deref(), Some("a b"));
        assert_eq!(stub_cmdline("ä".as_bytes()), None);
        assert_eq!(crate::image::linux::kernel_options("a"), [b'a', 0, 0, 0]);
    }
}
