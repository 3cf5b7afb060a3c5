//! Images and signature databases: no bytes make a reader panic, what is hashed of an image does not depend on its
//! signature, and every prediction is made or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use measured_boot::{Bank, Kernel, KernelBoot, Pe, Phase, SecureBoot, SignatureLists, Uki, UkiBoot};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lists) = SignatureLists::parse_file(bytes) {
        assert!(SignatureLists::parse(lists.as_bytes()).is_ok_and(|again| again == lists));
    }
    let Ok(pe) = Pe::parse(bytes) else {
        assert!(Uki::parse(bytes).is_err() && Kernel::parse(bytes).is_err());
        return;
    };
    // Zeros of sections that are longer in memory take time, and tell the fuzzer nothing.
    if pe.sections().iter().map(|section| section.zeros()).sum::<usize>() > 1 << 20 {
        return;
    }
    let hash = pe.authenticode(Bank::Sha256);
    let signature = pe.certificate_table().len();
    if let Some(last) = (signature > 0).then(|| bytes.len() - 1) {
        let mut other = bytes.to_vec();
        if let Some(byte) = other.get_mut(last) {
            *byte ^= 1;
        }
        assert!(Pe::parse(&other).is_ok_and(|other| other.authenticode(Bank::Sha256) == hash));
    }
    // A database of the image itself is none; one of its tail may be.
    let db = SignatureLists::parse_file(pe.certificate_table()).ok();
    let secure_boot = SecureBoot { on: signature % 2 == 1, db: db.clone(), pk: db.clone(), kek: db, dbx: None };
    if let Ok(uki) = Uki::parse(bytes) {
        let profile = bytes.len() % uki.profile_count();
        let at = |phase| UkiBoot { uki: uki.clone(), profile, phase }.predict(Bank::Sha256, Some(&secure_boot));
        let (stub, ready) = (at(Phase::Stub), at(Phase::Ready));
        assert_eq!(stub.registers().count(), ready.registers().count());
    }
    if let Ok(kernel) = Kernel::parse(bytes) {
        for patched_for_bytes in [None, Some(1 << 30)] {
            let boot = KernelBoot {
                kernel: kernel.clone(),
                initrd: Some(b"initrd"),
                cmdline: "quiet".into(),
                patched_for_bytes,
            };
            assert!(!boot.predict(Bank::Sha256, None).pcrs().is_empty());
        }
    }
});
