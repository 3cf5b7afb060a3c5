//! Firmware: no bytes make the reader of its table and metadata or the launch digest panic, what is accepted keeps the
//! limits, and a digest is explained as the guest it is of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use measured_boot::launch::{
    Boot, Ec2Rdx, Guest, GuestFeatures, Image, KernelHashes, MAX_SECTION_BYTES, Machine, PAGE_BYTES, Question,
    VcpuCount, VcpuType,
};

fuzz_target!(|bytes: &[u8]| {
    let Some(([how, vcpus, vars], file)) = bytes.split_first_chunk() else { return };
    // The table stands at the end: most inputs are moved there, so that one more byte does not end everything.
    let mut image =
        if how & 1 == 0 { vec![0xFF; file.len().next_multiple_of(PAGE_BYTES) - file.len()] } else { vec![] };
    image.extend(file);
    let Ok(firmware) = Image::parse(&image) else { return };
    let total: u64 = firmware.sections().iter().map(|section| u64::from(section.length)).sum();
    assert!(total <= MAX_SECTION_BYTES, "{total} bytes of sections");
    for section in firmware.sections() {
        assert_eq!((section.gpa % 4096, section.length % 4096), (0, 0), "{section:?}");
    }
    // Time is for other inputs; the limit itself has a test.
    if total > 1 << 20 {
        return;
    }
    let Ok(vcpus) = VcpuCount::new(u32::from(*vcpus % 8)) else { return };
    let vcpu = VcpuType::from_name("EPYC-Milan").unwrap().signature();
    let kernel = KernelHashes { kernel: [1; 32], initrd: [2; 32], command_line: [3; 32] };
    let machines = [
        Machine::Qemu { vcpu },
        Machine::Ec2 { rdx: Ec2Rdx::X600 },
        Machine::Ec2 { rdx: Ec2Rdx::Zero },
        Machine::Gce,
        Machine::Svsm { vcpu, image: firmware.clone(), vars_bytes: u64::from(*vars) << 10 },
    ];
    let mut digests = Vec::new();
    let mut of_qemu = None;
    for machine in machines {
        let guest = Guest {
            machine,
            features: GuestFeatures::new(0x21).unwrap(),
            ..Guest::new(firmware.clone(), Machine::Gce, vcpus)
        };
        let with_kernel = Guest { kernel: Some(kernel), ..guest.clone() };
        let plain = guest.launch_digest();
        if let (Ok(plain), Ok(measured)) = (&plain, with_kernel.launch_digest()) {
            assert_ne!(*plain, measured, "the kernel is not in the measurement");
        }
        if matches!(guest.machine, Machine::Qemu { .. }) {
            of_qemu = plain.as_ref().ok().copied();
        }
        digests.extend(plain);
    }
    for (place, digest) in digests.iter().enumerate() {
        assert!(!digests[..place].contains(digest), "two machines measure the same");
    }
    if how & 0xE != 0xE {
        return;
    }
    let Some(measurement) = of_qemu else { return };
    let boot = Boot { firmware: &image, vars: None, svsm: None, kernel: None, initrd: None, command_line: b"" };
    let question = Question { measurement, boot, most_vcpus: vcpus, signature: None, features: None, vars_bytes: None };
    let found = question.explain().unwrap().found;
    assert_eq!(found.map(|found| found.vcpus), Some(vcpus.number()));
});
