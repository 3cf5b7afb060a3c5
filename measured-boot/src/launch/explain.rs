//! Which guest a measurement is of, if not the one that was predicted: the usual suspects, tried in turn.
//!
//! Only the vCPUs' pages differ between most guesses, so firmware and metadata are hashed once for each of their variants,
//! and each further vCPU costs one step of the chain: a million guesses take about a second.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use super::{
    Ec2Rdx, Guest, GuestFeatures, Image, ImageError, KernelHashes, LaunchDigest, LaunchError, Machine, Sha256Digest,
    VcpuCount, VcpuSignature, VcpuType,
    chain::{Chain, page_hash},
    guest::{add_sections, svsm_base, with_firmware},
};

/// What the guest was started from, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Boot<'a> {
    /// The firmware file.
    pub firmware: &'a [u8],
    /// The file of the firmware's variables, if there is one.
    pub vars: Option<&'a [u8]>,
    /// The SVSM image, if there is one.
    pub svsm: Option<&'a [u8]>,
    /// Digest of the kernel.
    pub kernel: Option<Sha256Digest>,
    /// Digest of the initrd.
    pub initrd: Option<Sha256Digest>,
    /// The kernel's command line, without NUL.
    pub command_line: &'a [u8],
}

/// A measurement to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// From a report.
    pub measurement: LaunchDigest,
    /// The files.
    pub boot: Boot<'a>,
    /// Guests of up to this many vCPUs are tried.
    pub most_vcpus: VcpuCount,
    /// A signature to try besides those we know.
    pub signature: Option<VcpuSignature>,
    /// Features to try besides those we know.
    pub features: Option<GuestFeatures>,
    /// A length of the variables to try besides those we know, bytes.
    pub vars_bytes: Option<u64>,
}

/// The guest that the measurement is of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// `QEMU`, `ec2`, `gce`.
    pub vmm: &'static str,
    /// Under an SVSM: the length of the variables between it and the firmware, bytes.
    pub svsm_vars_bytes: Option<u64>,
    /// RDX, if EC2 started it.
    pub ec2_rdx: Option<Ec2Rdx>,
    /// Signature, if QEMU started it.
    pub signature: Option<VcpuSignature>,
    /// SEV_FEATURES. None if no vCPU was measured.
    pub features: Option<GuestFeatures>,
    /// How many. 0: the measurement ends before the first vCPU.
    pub vcpus: u32,
    /// What was measured as firmware.
    pub firmware: &'static str,
    /// What was measured as kernel.
    pub kernel: String,
    /// Whether that is the firmware's file as given.
    pub firmware_as_given: bool,
    /// Whether that is the kernel, initrd and command line as given.
    pub kernel_as_given: bool,
    /// Whether hashes of a kernel were measured at all.
    pub has_kernel: bool,
}

/// How far the search went.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tried {
    /// Digests compared.
    pub guesses: u64,
    /// What was measured as firmware, in each variant.
    pub firmware: Vec<&'static str>,
    /// What was measured as kernel, in each variant.
    pub kernel: Vec<String>,
    /// Monitors.
    pub machines: Vec<String>,
    /// Signatures of QEMU's vCPUs.
    pub signatures: Vec<VcpuSignature>,
    /// Sets of features.
    pub features: Vec<GuestFeatures>,
    /// Guests of up to this many vCPUs.
    pub most_vcpus: u32,
    /// The kernel was not tried, for this is what the firmware lacks.
    pub no_kernel_hashes: Option<ImageError>,
}

/// What became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// The guest, if it is among the suspects.
    pub found: Option<Found>,
    /// What was tried.
    pub tried: Tried,
}

/// Lengths of OVMF's variables at the beginning of OVMF.fd: builds of 4 MiB and of 1 or 2 MiB.
const VARS_BYTES: [usize; 2] = [0x8_4000, 0x2_0000];

/// Signatures of processors that `-cpu host` passes on: EPYC 7003, 7003X, 9004, Bergamo and Siena, 9005, 9005 dense.
const HOST_SIGNATURES: [u32; 8] =
    [0xA0_0F11, 0xA0_0F12, 0xA1_0F11, 0xA1_0F12, 0xAA_0F01, 0xAA_0F02, 0xB0_0F21, 0xB1_0F10];

/// Bits of SEV_FEATURES that KVM can set by itself or is asked for: DebugSwap, SecureTSC, SecureAVIC, IbpbOnEntry. Every
/// subset is tried.
const COMMON_FEATURES: [u32; 4] = [5, 9, 16, 21];
/// Others, tried one at a time: vTOM, ReflectVC, RestrictedInjection, AlternateInjection, PreventHostIBS, BTBIsolation,
/// VmplSSS, VmsaRegProt, SmtProtection.
const RARE_FEATURES: [u32; 9] = [1, 2, 3, 4, 6, 7, 8, 14, 15];

impl Question<'_> {
    /// Tries the suspects until one fits.
    ///
    /// # Errors
    /// Firmware or SVSM as given cannot be measured at all.
    pub fn explain(&self) -> Result<Explanation, LaunchError> {
        let boot = &self.boot;
        let whole = Image::parse(boot.firmware).map_err(LaunchError::firmware)?;
        let svsm = boot.svsm.map(Image::parse).transpose().map_err(LaunchError::svsm)?;
        let joined = boot.vars.map(|vars| [vars, boot.firmware].concat());
        let firmware = firmware_variants(whole, joined.as_deref());
        let (kernel, no_kernel_hashes) = self.kernel_variants(&firmware);
        let machines = machines(svsm.as_ref(), &self.vars_lengths());
        let (signatures, features) = (self.signatures(), self.features());
        let mut search = Search { target: self.measurement, guesses: 0 };
        let mut found = None;
        'search: for (firmware_name, image, is_given_firmware) in &firmware {
            let start = with_firmware(image);
            for machine in &machines {
                let starts = vcpu_starts(image, machine, &signatures, &features, self.most_vcpus);
                for (kernel_name, hashes, is_given_kernel) in &kernel {
                    let Some(chain) = before_vcpus(start, image, hashes.as_ref(), machine) else { continue };
                    let Some((vcpus, start)) = search.vcpus_after(chain, &starts) else { continue };
                    let (svsm_vars_bytes, ec2_rdx) = match machine {
                        Machine::Svsm { vars_bytes, .. } => (Some(*vars_bytes), None),
                        Machine::Ec2 { rdx } => (None, Some(*rdx)),
                        Machine::Qemu { .. } | Machine::Gce => (None, None),
                    };
                    found = Some(Found {
                        vmm: machine.name(),
                        svsm_vars_bytes,
                        ec2_rdx,
                        signature: start.and_then(|start| start.signature),
                        features: start.map(|start| start.features),
                        vcpus,
                        firmware: firmware_name,
                        kernel: kernel_name.clone(),
                        firmware_as_given: *is_given_firmware,
                        kernel_as_given: *is_given_kernel,
                        has_kernel: hashes.is_some(),
                    });
                    break 'search;
                }
            }
        }
        let tried = Tried {
            guesses: search.guesses,
            firmware: firmware.iter().map(|(name, ..)| *name).collect(),
            kernel: kernel.into_iter().map(|(name, ..)| name).collect(),
            machines: machines.iter().map(machine_name).collect(),
            signatures,
            features,
            most_vcpus: self.most_vcpus.number(),
            no_kernel_hashes,
        };
        Ok(Explanation { found, tried })
    }

    /// What the monitor may have handed over, the files as given first.
    fn kernel_variants(&self, firmware: &[FirmwareVariant<'_>]) -> (Vec<KernelVariant>, Option<ImageError>) {
        let off = ("no kernel hashes".to_owned(), None, self.boot.kernel.is_none());
        let Some(kernel) = self.boot.kernel else { return (vec![off], None) };
        let probe = KernelHashes { kernel, initrd: [0; 32], command_line: [0; 32] };
        // All variants of the firmware end with the same table and metadata.
        let takes =
            |(_, image, _): &FirmwareVariant<'_>| add_sections(&mut Chain::new(), image, Some(&probe), &Machine::Gce);
        if let Some(Err(error)) = firmware.first().map(takes) {
            return (vec![off], Some(error));
        }
        let mut initrds = vec![(String::new(), self.boot.initrd.unwrap_or_else(KernelHashes::no_initrd))];
        if self.boot.initrd.is_some() {
            initrds.push((", without the initrd".to_owned(), KernelHashes::no_initrd()));
        }
        let mut seen = HashSet::new();
        let mut variants = Vec::new();
        for (initrd_name, initrd) in initrds {
            for (line_name, line) in command_lines(self.boot.command_line) {
                if !seen.insert((initrd, line.clone())) {
                    continue;
                }
                let hashes = KernelHashes { kernel, initrd, command_line: Sha256::digest(&line).into() };
                let is_given = variants.is_empty();
                variants.push((format!("kernel hashes{initrd_name}{line_name}"), Some(hashes), is_given));
            }
        }
        variants.insert(1, ("no kernel hashes (kernel-hashes=off)".to_owned(), None, false));
        (variants, None)
    }

    fn signatures(&self) -> Vec<VcpuSignature> {
        let known = VcpuType::all().map(VcpuType::signature);
        let hosts = HOST_SIGNATURES.into_iter().map(VcpuSignature::from_number);
        once_each(self.signature.into_iter().chain(known).chain(hosts))
    }

    fn features(&self) -> Vec<GuestFeatures> {
        let subsets = (0..1_u32 << COMMON_FEATURES.len()).map(|subset| {
            let bits = (0..).zip(COMMON_FEATURES).filter(|(place, _)| subset >> place & 1 == 1);
            bits.fold(1, |sum, (_, bit)| sum | 1 << bit)
        });
        let rare = RARE_FEATURES.into_iter().map(|bit| 1 | 1 << bit);
        let known = subsets.chain(rare).filter_map(|bits: u64| GuestFeatures::new(bits).ok());
        once_each(self.features.into_iter().chain(known))
    }

    fn vars_lengths(&self) -> Vec<u64> {
        let of_file = self.boot.vars.and_then(|vars| u64::try_from(vars.len()).ok());
        let known = VARS_BYTES.into_iter().chain([0]).filter_map(|bytes| u64::try_from(bytes).ok());
        once_each(self.vars_bytes.into_iter().chain(of_file).chain(known))
    }
}

type FirmwareVariant<'a> = (&'static str, Image<'a>, bool);
type KernelVariant = (String, Option<KernelHashes>, bool);

/// The file as given, with its variables before it, and without those it may begin with.
fn firmware_variants<'a>(whole: Image<'a>, joined: Option<&'a [u8]>) -> Vec<FirmwareVariant<'a>> {
    let bytes = whole.bytes();
    let mut variants = vec![("the firmware as given", whole, true)];
    if let Some(image) = joined.and_then(|bytes| Image::parse(bytes).ok()) {
        variants.push(("the variables and the firmware as one image", image, false));
    }
    let names = [
        "the firmware without its first 0x84000 bytes (variables)",
        "the firmware without its first 0x20000 bytes (variables)",
    ];
    for (name, vars) in names.into_iter().zip(VARS_BYTES) {
        if let Some(image) = bytes.get(vars..).and_then(|bytes| Image::parse(bytes).ok()) {
            variants.push((name, image, false));
        }
    }
    variants
}

/// What may have been hashed as command line, with what ends it; the proper one first.
fn command_lines(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let ended = |parts: &[&[u8]]| parts.concat();
    let unquoted = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
    vec![
        ("", ended(&[text, b"\0"])),
        (", the command line without the NUL that ends it", text.to_vec()),
        (", a newline at the end of the command line", ended(&[text, b"\n\0"])),
        (", a space at the end of the command line", ended(&[text, b" \0"])),
        (", the command line without white space around it", ended(&[text.trim_ascii(), b"\0"])),
        (", the command line without the quotes around it", ended(&[unquoted, b"\0"])),
        (", two NULs at the end of the command line", ended(&[text, b"\0\0"])),
        (", an empty command line", b"\0".to_vec()),
    ]
}

fn machines<'a>(svsm: Option<&Image<'a>>, vars_lengths: &[u64]) -> Vec<Machine<'a>> {
    // The search puts each signature in its turn.
    let vcpu = VcpuSignature::from_number(0);
    let mut machines = Vec::new();
    for &vars_bytes in vars_lengths {
        machines.extend(svsm.map(|image| Machine::Svsm { vcpu, image: image.clone(), vars_bytes }));
    }
    machines.extend([Machine::Qemu { vcpu }, Machine::Ec2 { rdx: Ec2Rdx::X600 }, Machine::Ec2 { rdx: Ec2Rdx::Zero }]);
    machines.push(Machine::Gce);
    machines
}

fn machine_name(machine: &Machine<'_>) -> String {
    match machine {
        Machine::Ec2 { rdx } => format!("ec2 with RDX {:#x}", rdx.number()),
        Machine::Svsm { vars_bytes, .. } => format!("QEMU with the SVSM, {vars_bytes:#x} bytes of variables"),
        Machine::Qemu { .. } | Machine::Gce => machine.name().to_owned(),
    }
}

/// None where there is no such guest.
fn before_vcpus(
    start: Chain,
    firmware: &Image<'_>,
    kernel: Option<&KernelHashes>,
    machine: &Machine<'_>,
) -> Option<Chain> {
    let mut chain = start;
    match machine {
        Machine::Svsm { .. } if kernel.is_some() => return None,
        Machine::Svsm { image, vars_bytes, .. } => {
            chain.add_contents(svsm_base(firmware, image, *vars_bytes).ok()?, image.bytes());
            add_sections(&mut chain, image, None, machine).ok()?;
        }
        _ => add_sections(&mut chain, firmware, kernel, machine).ok()?,
    }
    Some(chain)
}

/// Registers that vCPUs may start with.
struct VcpuStart {
    signature: Option<VcpuSignature>,
    features: GuestFeatures,
    /// Hash of the first vCPU's page.
    first: [u8; 48],
    /// Of the others'.
    other: [u8; 48],
    /// 1 where the firmware does not say where others start.
    most_vcpus: u32,
}

fn vcpu_starts(
    firmware: &Image<'_>,
    machine: &Machine<'_>,
    signatures: &[VcpuSignature],
    features: &[GuestFeatures],
    most_vcpus: VcpuCount,
) -> Vec<VcpuStart> {
    let signatures: Vec<_> = match machine {
        Machine::Qemu { .. } | Machine::Svsm { .. } => signatures.iter().copied().map(Some).collect(),
        Machine::Ec2 { .. } | Machine::Gce => vec![None],
    };
    let features = match machine {
        Machine::Svsm { .. } => &[GuestFeatures::SNP_ACTIVE],
        _ => features,
    };
    let mut starts = Vec::new();
    let mut guest = Guest::new(firmware.clone(), machine.clone(), most_vcpus);
    for &features in features {
        guest.features = features;
        for &signature in &signatures {
            if let (Machine::Qemu { vcpu } | Machine::Svsm { vcpu, .. }, Some(signature)) =
                (&mut guest.machine, signature)
            {
                *vcpu = signature;
            }
            let mut areas = guest.save_areas();
            if areas.is_err() {
                guest.vcpus = VcpuCount::ONE;
                areas = guest.save_areas();
            }
            let Ok((first, other)) = areas else { continue };
            let (first, other) = (page_hash(first.as_bytes()), page_hash(other.as_bytes()));
            starts.push(VcpuStart { signature, features, first, other, most_vcpus: guest.vcpus.number() });
        }
    }
    starts
}

struct Search {
    target: LaunchDigest,
    guesses: u64,
}

impl Search {
    /// How many vCPUs lead from `chain` to the target, and what they start with.
    fn vcpus_after<'a>(&mut self, chain: Chain, starts: &'a [VcpuStart]) -> Option<(u32, Option<&'a VcpuStart>)> {
        if self.is_target(&chain) {
            return Some((0, None));
        }
        for start in starts {
            let mut chain = chain;
            for vcpus in 1..=start.most_vcpus {
                chain.add_save_area(if vcpus == 1 { &start.first } else { &start.other });
                if self.is_target(&chain) {
                    return Some((vcpus, Some(start)));
                }
            }
        }
        None
    }

    fn is_target(&mut self, chain: &Chain) -> bool {
        self.guesses += 1;
        chain.digest() == self.target
    }
}

fn once_each<T: Copy + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    items.filter(|item| seen.insert(*item)).collect()
}
