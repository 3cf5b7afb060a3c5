//! Which events each way to boot leads to, and in which order, by images made here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "tests read vectors from files and their place from the environment")]

#[path = "support/image.rs"]
mod image;

use std::{fs, path::Path};

use image::{kernel, uki};
use measured_boot::{
    Bank, Digest, GrubBoot, Kernel, KernelBoot, KernelStart, Pe, Phase, PredictedRegister, Prediction, SecureBoot,
    SignatureLists, Uki, UkiBoot,
};

const BANK: Bank = Bank::Sha256;

/// The digests that a register is extended with, or `None` if it is not predicted.
fn events(prediction: &Prediction, number: u8) -> Option<Vec<Digest>> {
    let register = prediction.registers().find(|(index, _)| index.number() == number);
    match register.unwrap_or_else(|| panic!("nothing is said of PCR {number}")).1 {
        PredictedRegister::Predicted(events) => Some(events.iter().map(|event| event.digest.clone()).collect()),
        PredictedRegister::NotPredicted { why } => {
            assert!(!why.is_empty());
            None
        }
    }
}

fn program(file: &[u8]) -> Digest {
    Pe::parse(file).unwrap().authenticode(BANK)
}

fn hashes(parts: &[&[u8]]) -> Vec<Digest> {
    parts.iter().map(|part| BANK.hash(part)).collect()
}

fn called() -> Vec<Digest> {
    hashes(&[b"Calling EFI Application from Boot Option", &[0; 4]])
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

fn off() -> SecureBoot<'static> {
    SecureBoot::default()
}

#[test]
fn a_unified_kernel_image_is_measured_and_so_is_its_kernel_unless_somebody_else_vouches_for_it() {
    let linux = kernel("6.1.0");
    let on = SecureBoot { on: true, ..SecureBoot::default() };
    for (version, state, measures_kernel) in [
        ("252.1", Some(&off()), Some(true)),
        ("257.9", Some(&off()), Some(true)),
        ("257.9", Some(&on), Some(false)),
        ("258", Some(&off()), Some(false)),
        ("258", Some(&on), Some(false)),
        ("258", None, Some(false)),
        ("257.9", None, None),
    ] {
        let file = uki(version, &[(".linux", &linux), (".cmdline", b"quiet\n"), (".initrd", b"initrd")]);
        let boot = UkiBoot { uki: Uki::parse(&file).unwrap(), profile: 0, phase: Phase::Stub };
        let prediction = boot.predict(BANK, state);
        let wanted = measures_kernel.map(|kernel| {
            let more = [program(&file)].into_iter().chain(kernel.then(|| program(&linux)));
            called().into_iter().chain(more).collect()
        });
        assert_eq!(events(&prediction, 4), wanted, "{version}");
        for empty in [8, 12, 13, 14] {
            assert_eq!(events(&prediction, empty), Some(vec![]));
        }
        for unknown in [0, 1, 2, 3, 5, 6, 10, 15] {
            assert_eq!(events(&prediction, unknown), None);
            assert!(prediction.pcrs().iter().all(|(index, _)| index.number() != unknown));
        }
        let newer = version.starts_with("257") || version == "258";
        let nine = hashes(&[&wide("quiet"), b"initrd"]);
        assert_eq!(events(&prediction, 9), (!newer).then_some(nine), "{version}");
    }
}

#[test]
fn phases_are_words_after_the_sections() {
    let file = uki("252.1", &[(".linux", b"k")]);
    let at = |phase| {
        let boot = UkiBoot { uki: Uki::parse(&file).unwrap(), profile: 0, phase };
        events(&boot.predict(BANK, None), 11).unwrap()
    };
    let all = hashes(&[b".linux\0", b"k", b"enter-initrd", b"leave-initrd", b"sysinit", b"ready"]);
    for (count, phase) in Phase::ALL.into_iter().enumerate() {
        assert_eq!(at(phase), all[..2 + count]);
        assert_eq!(Phase::of(phase.name()), Some(phase));
    }
}

#[test]
fn secure_boot_off_measures_five_variables_and_a_separator() {
    let file = uki("258", &[(".linux", b"k")]);
    let boot = UkiBoot { uki: Uki::parse(&file).unwrap(), profile: 0, phase: Phase::Stub };
    // OVMF without any key, as every machine with Secure Boot off in tests/vectors/boots has it.
    let digests: Vec<_> =
        events(&boot.predict(BANK, Some(&off())), 7).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(digests.len(), 6);
    assert_eq!(digests[0], "115aa827dbccfb44d216ad9ecfda56bdea620b860a94bed5b7a27bba1c4d02d8");
    assert_eq!(digests[4], "9f75b6823bff6af1024a4e2036719cdd548d3cbc2bf1de8e7ef4d0ed01f94bf9");
}

#[test]
fn an_image_that_db_lists_by_its_hash_is_admitted_by_that() {
    let file = uki("258", &[(".linux", b"k")]);
    let hash = program(&file);
    let kind = hex::decode("2616c4c14c509240aca941f936934328").unwrap();
    let entry = [&[3; 16][..], hash.as_bytes()].concat();
    let list = [&kind[..], &76_u32.to_le_bytes(), &[0; 4], &48_u32.to_le_bytes(), &entry].concat();
    let lists = || SignatureLists::parse(&list).unwrap();
    let state = SecureBoot { on: true, pk: Some(lists()), kek: Some(lists()), db: Some(lists()), dbx: None };
    let boot = UkiBoot { uki: Uki::parse(&file).unwrap(), profile: 0, phase: Phase::Stub };
    let seven = events(&boot.predict(BANK, Some(&state)), 7).unwrap();
    let vendor = hex::decode("cbb219d73a3d9645a3bcdad00e67656f").unwrap();
    let authority = [&vendor[..], &2_u64.to_le_bytes(), &48_u64.to_le_bytes(), b"d\0b\0", &entry].concat();
    assert_eq!(seven.last(), Some(&BANK.hash(&authority)));
    // Of two entries with the hash the firmware takes the first.
    let two = [
        &list[..],
        &[&kind[..], &76_u32.to_le_bytes(), &[0; 4], &48_u32.to_le_bytes(), &[4; 16], hash.as_bytes()].concat(),
    ]
    .concat();
    let state = SecureBoot { db: Some(SignatureLists::parse(&two).unwrap()), ..state };
    assert_eq!(events(&boot.predict(BANK, Some(&state)), 7).unwrap().last(), Some(&BANK.hash(&authority)));
}

#[test]
fn a_kernel_of_qemu_comes_before_the_firmware_gets_ready() {
    let linux = kernel("6.1.0");
    let boot = |cmdline: &str, initrd: Option<&'static [u8]>, patched_for_bytes| KernelBoot {
        kernel: Kernel::parse(&linux).unwrap(),
        initrd,
        cmdline: cmdline.to_owned(),
        patched_for_bytes,
    };
    let prediction = boot("quiet", Some(b"initrd"), None).predict(BANK, None);
    assert_eq!(events(&prediction, 4), Some([vec![program(&linux)], called()].concat()));
    assert_eq!(events(&prediction, 9), Some(hashes(&[&wide("quiet initrd=initrd"), b"initrd"])));
    assert_eq!(events(&boot("quiet", None, None).predict(BANK, None), 9), Some(hashes(&[&wide("quiet")])));
    assert_eq!(events(&boot("", None, None).predict(BANK, None), 9), None);
    let patched = boot("quiet", Some(b"initrd"), Some(1 << 30)).predict(BANK, None);
    let four = events(&patched, 4).unwrap();
    assert!(four[0] != program(&linux) && four[1..] == called());
    assert_eq!(events(&boot("quiet", Some(b"initrd"), Some(1)).predict(BANK, None), 4), None, "no memory for it");
}

#[test]
fn grub_measures_what_it_is_said_to_run_and_read_and_the_kernel_by_its_build() {
    let (shim, grub, linux) = (uki("1", &[]), uki("2", &[]), kernel("6.1.0"));
    let boot = || KernelBoot {
        kernel: Kernel::parse(&linux).unwrap(),
        initrd: Some(b"initrd"),
        cmdline: "BOOT_IMAGE=/vmlinuz quiet".to_owned(),
        patched_for_bytes: None,
    };
    let predict = |start, shim: Option<&[u8]>| {
        GrubBoot {
            shim: shim.map(|file| Pe::parse(file).unwrap()),
            grub: Pe::parse(&grub).unwrap(),
            commands: Some(vec!["grub_cmd: set a=1".into(), "kernel_cmdline: /vmlinuz quiet".into(), "plain".into()]),
            files: Some(vec![("grub.cfg".into(), b"menu"), ("vmlinuz".into(), &linux)]),
            start,
        }
        .predict(BANK, Some(&off()))
    };
    let (kernel, read) = (program(&linux), hashes(&[b"menu", &linux]));
    let options = hashes(&[&wide("BOOT_IMAGE=/vmlinuz quiet"), b"initrd"]);
    let nine = [read.clone(), options].concat();
    for (start, kernels, files) in [
        (KernelStart::Jump, 0, &read),
        (KernelStart::Handover(boot()), 2, &read),
        (KernelStart::Stub(boot()), 0, &nine),
        (KernelStart::Firmware(boot()), 1, &nine),
    ] {
        let prediction = predict(Some(start), None);
        let four = [called(), vec![program(&grub)], vec![kernel.clone(); kernels]].concat();
        assert_eq!(events(&prediction, 4), Some(four));
        assert_eq!(events(&prediction, 8), Some(hashes(&[b"set a=1", b"/vmlinuz quiet", b"plain"])));
        assert_eq!(events(&prediction, 9).as_ref(), Some(files));
        assert_eq!(events(&prediction, 14), Some(vec![]));
        assert!(events(&prediction, 7).is_some());
    }
    let below = predict(Some(KernelStart::Jump), Some(&shim));
    assert_eq!(events(&below, 4), Some([called(), vec![program(&shim), program(&grub)]].concat()));
    assert_eq!((events(&below, 7), events(&below, 14)), (None, None));
    let unsaid = predict(None, None);
    assert_eq!((events(&unsaid, 4), events(&unsaid, 9)), (None, None));
    let nothing = GrubBoot { shim: None, grub: Pe::parse(&grub).unwrap(), commands: None, files: None, start: None };
    assert_eq!((events(&nothing.predict(BANK, None), 8), events(&nothing.predict(BANK, None), 9)), (None, None));
}

/// Seeds for `tests/fuzz`; SEALGATE_WRITE_VECTORS=1 writes them.
#[test]
fn the_fuzzers_seeds_are_what_the_builder_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds/pe");
    let linux = kernel("6.1.0");
    let whole = uki("257.1", &[(".linux", &linux), (".cmdline", b"quiet"), (".initrd", b"i"), (".profile", b"ID=1")]);
    let x509 = hex::decode("a159c0a5e494a74a87b5ab155c2bf072").unwrap();
    let list = [&x509[..], &(28_u32 + 48).to_le_bytes(), &[0; 4], &48_u32.to_le_bytes(), &[7; 48]].concat();
    let old = uki("252.1", &[(".linux", &linux), (".cmdline", b"quiet"), (".initrd", b"i")]);
    for (name, bytes) in [("uki.efi", whole), ("old.efi", old), ("kernel", linux), ("db.esl", list)] {
        if std::env::var_os("SEALGATE_WRITE_VECTORS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(name), &bytes).unwrap();
        }
        assert!(fs::read(folder.join(name)).unwrap() == bytes, "{name} differs");
    }
}
