//! Images of strangers: what is hashed of them, what a boot stub measures of them, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "support/image.rs"]
mod image;

use image::{CERTIFICATES, HEADERS, OPTIONAL, PE, TABLE, kernel, pe, uki};
use measured_boot::{
    Bank, MAX_SECTION_ZEROS, MAX_SECTIONS, Pe, PeProblem, Phase, PredictedRegister, Uki, UkiBoot, UkiError,
};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

fn put(file: &mut [u8], offset: usize, value: u32) {
    file[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

fn refused(file: &[u8]) -> (usize, PeProblem) {
    let error = Pe::parse(file).unwrap_err();
    assert!(error.to_string().starts_with("PE image, offset 0x") && !error.fix().is_empty());
    (error.offset, error.problem)
}

/// With a signature at the end, as `sbsign` puts it there.
fn signed(mut file: Vec<u8>, table: &[u8]) -> Vec<u8> {
    let (start, bytes) = (u32::try_from(file.len()).unwrap(), u32::try_from(table.len()).unwrap());
    put(&mut file, CERTIFICATES, start);
    put(&mut file, CERTIFICATES + 4, bytes);
    [&file[..], table].concat()
}

#[test]
fn the_hash_leaves_out_checksum_signature_and_where_that_is() {
    let plain = pe(&[(".text", b"code"), (".data", &[7; 700])]);
    let hash = |file: &[u8]| Pe::parse(file).unwrap().authenticode(Bank::Sha256);
    let mut by_hand = Sha256::new();
    by_hand.update(&plain[..OPTIONAL + 64]);
    by_hand.update(&plain[OPTIONAL + 68..CERTIFICATES]);
    by_hand.update(&plain[CERTIFICATES + 8..]);
    assert_eq!(hash(&plain).as_bytes(), &by_hand.finalize()[..]);
    assert_eq!(hash(&signed(plain.clone(), &[9; 64])), hash(&plain));
    for offset in 0..plain.len() {
        let mut other = plain.clone();
        other[offset] ^= 1;
        let Ok(other) = Pe::parse(&other) else { continue };
        let left_out =
            [OPTIONAL + 64..OPTIONAL + 68, CERTIFICATES..CERTIFICATES + 8].iter().any(|range| range.contains(&offset));
        assert_eq!(other.authenticode(Bank::Sha256) == hash(&plain), left_out, "{offset:#x}");
    }
    let longer = [&plain[..], b"symbols"].concat();
    assert_ne!(hash(&longer), hash(&plain), "what follows the sections is hashed");
    assert_eq!(Pe::parse(&signed(plain, &[9; 64])).unwrap().certificate_table(), [9; 64]);
}

#[test]
fn sections_are_hashed_in_the_order_of_the_file_whatever_the_table_says() {
    let plain = pe(&[(".text", &[1; 512]), (".data", &[2; 512])]);
    let mut other = plain.clone();
    other[TABLE..TABLE + 80].rotate_left(40);
    let mut by_hand = Sha256::new();
    by_hand.update(&other[..OPTIONAL + 64]);
    by_hand.update(&other[OPTIONAL + 68..CERTIFICATES]);
    by_hand.update(&other[CERTIFICATES + 8..]);
    assert_eq!(Pe::parse(&other).unwrap().authenticode(Bank::Sha256).as_bytes(), &by_hand.finalize()[..]);
}

#[test]
fn an_image_cut_anywhere_is_refused() {
    let whole = signed(pe(&[(".text", &[1; 512]), (".data", &[2; 512])]), &[9; 64]);
    for length in 0..whole.len() {
        let (offset, _) = refused(&whole[..length]);
        assert!(offset <= whole.len(), "{length}");
    }
    Pe::parse(&whole).unwrap();
}

#[test]
fn each_header_field_that_cannot_be_right_is_named_with_its_offset() {
    let good = pe(&[(".text", &[1; 512]), (".data", &[2; 512])]);
    let with = |offset: usize, value: u32| {
        let mut file = good.clone();
        put(&mut file, offset, value);
        refused(&file)
    };
    assert_eq!(refused(b"\x7fELF").0, 0);
    assert_eq!(with(0x3C, u32::MAX).0, usize::try_from(u32::MAX).unwrap());
    assert_eq!(with(0x3C, 0x100).0, 0x100);
    assert_eq!(with(OPTIONAL, 0x107), (OPTIONAL, PeProblem::UnknownMagic { found: 0x107 }));
    assert_eq!(with(OPTIONAL + 108, u32::MAX).0, OPTIONAL + 108);
    assert_eq!(with(OPTIONAL + 60, 0x100).0, OPTIONAL + 60, "headers that do not hold the table");
    assert_eq!(with(OPTIONAL + 60, u32::MAX).0, OPTIONAL + 60);
    assert_eq!(with(CERTIFICATES + 4, 8).0, CERTIFICATES);
    assert!(matches!(with(TABLE + 20, 0x10_0000).1, PeProblem::SectionOutside { offset: 0x10_0000, .. }));
    assert!(matches!(with(TABLE + 16, u32::MAX).1, PeProblem::SectionOutside { .. }));
    assert!(matches!(with(TABLE + 20, 0x10).1, PeProblem::SectionOver { .. }), "over the headers");
    assert!(matches!(with(TABLE + 40 + 20, 0x500).1, PeProblem::SectionOver { .. }), "over each other in the file");
    assert!(matches!(with(TABLE + 40 + 12, 0x1100).1, PeProblem::SectionOver { .. }), "over each other in memory");
    let mut many = good.clone();
    many[PE + 6..PE + 8].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(refused(&many), (PE + 6, PeProblem::TooManySections { sections: 65_535 }));
    let zeros = u32::try_from(MAX_SECTION_ZEROS).unwrap();
    assert!(matches!(with(TABLE + 40 + 8, 512 + zeros + 1).1, PeProblem::TooManyZeros { .. }));
    let mut most = good.clone();
    put(&mut most, TABLE + 40 + 8, 512 + zeros);
    Pe::parse(&most).unwrap();
}

#[test]
fn as_many_sections_as_are_read_are_read() {
    let names: Vec<(&str, &[u8])> = vec![(".x", b""); MAX_SECTIONS];
    let mut file = pe(&[]);
    file.resize(TABLE + 40 * (MAX_SECTIONS + 1), 0);
    let length = u32::try_from(file.len()).unwrap();
    put(&mut file, OPTIONAL + 60, length);
    let count = |file: &mut Vec<u8>, count: usize| {
        file[PE + 6..PE + 8].copy_from_slice(&u16::try_from(count).unwrap().to_le_bytes());
        Pe::parse(file).map(|pe| pe.sections().len())
    };
    assert_eq!(count(&mut file, names.len()), Ok(MAX_SECTIONS));
    assert!(count(&mut file, names.len() + 1).is_err());
}

#[test]
fn a_section_longer_in_memory_than_in_the_file_is_measured_with_its_zeros() {
    let mut file = uki("252.1", &[(".linux", &[1; 512])]);
    put(&mut file, TABLE + 2 * 40 + 8, 600);
    let uki = Uki::parse(&file).unwrap();
    let section = uki.section(0, ".linux").unwrap();
    let wanted = Bank::Sha256.hash(&[[1; 512].to_vec(), vec![0; 88]].concat());
    assert_eq!((section.zeros(), section.memory_digest(Bank::Sha256)), (88, wanted));
}

#[test]
fn an_image_is_of_a_stub_and_has_a_kernel_once() {
    let problem = |file: &[u8]| Uki::parse(file).unwrap_err();
    assert_eq!(problem(&pe(&[(".linux", b"k")])), UkiError::NoStub);
    assert_eq!(
        problem(&pe(&[(".linux", b"k"), (".sdmagic", b"#### LoaderInfo: systemd-boot 252 ####")])),
        UkiError::NoStub
    );
    assert!(matches!(problem(&uki("252", &[(".initrd", b"i")])), UkiError::NoKernel { .. }));
    assert!(matches!(problem(&uki("252", &[(".linux", b"k"), (".linux", b"l")])), UkiError::Twice { .. }));
    assert!(matches!(problem(&uki("252", &[(".linux", b"")])), UkiError::NoKernel { .. }), "an empty section is none");
    let good = uki("252", &[(".linux", b"k")]);
    assert!(matches!(problem(&good[..good.len() - 1]), UkiError::Pe(_)));
}

#[test]
fn sections_are_measured_in_the_stubs_order_and_only_those_it_knows() {
    let all = [
        ".sbat", ".uname", ".pcrpkey", ".dtb", ".splash", ".ucode", ".initrd", ".cmdline", ".osrel", ".linux",
        ".pcrsig",
    ];
    let sections: Vec<(&str, &[u8])> = all.iter().map(|name| (*name, name.as_bytes())).collect();
    let measured = |version: &str| {
        let file = uki(version, &sections);
        let uki = Uki::parse(&file).unwrap();
        uki.measured(0).map(|(name, _)| name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(measured("252.39-1~deb12u2"), ".linux .osrel .cmdline .initrd .splash .dtb .pcrpkey");
    assert_eq!(measured("255.4-1"), ".linux .osrel .cmdline .initrd .splash .dtb .uname .sbat .pcrpkey");
    assert_eq!(measured("257"), ".linux .osrel .cmdline .initrd .ucode .splash .dtb .uname .sbat .pcrpkey");
}

#[test]
fn a_profile_has_its_own_sections_or_those_of_the_base() {
    let file = uki(
        "257",
        &[(".linux", b"k"), (".cmdline", b"base"), (".profile", b"ID=0"), (".profile", b"ID=1"), (".cmdline", b"one")],
    );
    let uki = Uki::parse(&file).unwrap();
    assert_eq!(uki.profile_count(), 2);
    let of = |profile| {
        let content = |name| uki.section(profile, name).map(|section| section.content()).unwrap_or_default();
        (content(".linux"), content(".cmdline"), content(".profile"))
    };
    assert_eq!(of(0), (&b"k"[..], &b"base"[..], &b"ID=0"[..]));
    assert_eq!(of(1), (&b"k"[..], &b"one"[..], &b"ID=1"[..]));
}

#[test]
fn what_files_do_not_determine_is_not_predicted() {
    let (new, old) = (kernel("6.1.0-56-cloud"), kernel("5.15.0"));
    let why = |file: &[u8], number: u8| {
        let uki = Uki::parse(file).unwrap();
        let prediction = UkiBoot { uki, profile: 0, phase: Phase::Stub }.predict(Bank::Sha256, None);
        let register = prediction.registers().find(|(index, _)| index.number() == number).unwrap().1.clone();
        match register {
            PredictedRegister::Predicted(_) => String::new(),
            PredictedRegister::NotPredicted { why } => why,
        }
    };
    let with = |version: &str, more: &[(&str, &[u8])], linux: &[u8]| {
        let mut sections: Vec<(&str, &[u8])> = vec![(".linux", linux), (".cmdline", b"quiet")];
        sections.extend(more);
        uki(version, &sections)
    };
    let plain = with("252.1", &[(".initrd", b"i")], &new);
    assert_eq!((why(&plain, 9), why(&plain, 11), why(&plain, 12)), Default::default());
    assert!(why(&plain, 4).contains("Secure Boot") && why(&plain, 7).contains("Secure Boot"));
    assert!(why(&with("258.1", &[], &new), 4).is_empty(), "this stub loads the kernel itself");
    assert!(why(&with("252.1", &[], &old), 9).contains("Linux 5.15"));
    assert!(why(&with("252.1", &[(".pcrsig", b"s")], &new), 9).contains(".pcrsig"));
    assert!(why(&with("257.1", &[], &new), 9).contains("files of its own"));
    assert!(why(&with("257.1", &[(".dtbauto", b"d")], &new), 11).contains(".dtbauto"));
    assert!(why(&uki("252.1", &[(".linux", &new)]), 9).contains(".cmdline"));
    assert!(why(&uki("252.1", &[(".linux", b"k"), (".cmdline", b"quiet")]), 9).contains("MZ"));
}

proptest! {
    #[test]
    fn no_mutation_of_a_good_image_makes_the_reader_panic(changes in prop::collection::vec((0_usize..0x400, any::<u8>()), 1..8)) {
        let mut file = uki("252.1", &[(".linux", &kernel("6.1")), (".initrd", b"i")]);
        for (offset, value) in changes {
            file[offset] = value;
        }
        if let Ok(uki) = Uki::parse(&file) {
            let digest = uki.pe().authenticode(Bank::Sha256);
            prop_assert_eq!(digest, Pe::parse(&file).unwrap().authenticode(Bank::Sha256));
            let _ = UkiBoot { uki, profile: 0, phase: Phase::Ready }.predict(Bank::Sha256, None);
        }
    }
}

#[test]
fn headers_end_where_the_builder_ends_them() {
    assert_eq!(pe(&[]).len(), HEADERS);
}
