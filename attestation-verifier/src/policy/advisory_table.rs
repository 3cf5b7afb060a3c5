//! The table of known attacks. A level stands here only if somebody has published it; where AMD's bulletin could not be
//! read itself, `levels_from` says who quotes it. A line of silicon without a level says so and stays open.

use super::{
    advisories::{Advisory, Also, Fix, RuleOf},
    silicon::Line,
};
use crate::TcbPart::{Microcode, Snp};

/// When the table was last gone through.
pub const ADVISORIES_DATE: &str = "2026-11-21";

const UPDATE: &str =
    "update the host's firmware and microcode; a policy can accept it with a reason (accepted_advisories)";

const FORGED: &str = "whoever has ever controlled a host with this chip can have made this very report on any computer, for any \
                      firmware level: no level in it says otherwise";

/// Known attacks on SEV-SNP that a report may or may not exclude.
pub const ADVISORIES: &[Advisory] = &[
    Advisory {
        id: "milan-seed",
        title: "Root seed of Milan read by software (MilanLaunchy, BadFuse)",
        lets: "Whoever has ever controlled the host of a Milan chip can have read the seed of all its keys, and can sign any report of that chip, for any firmware level, on any computer.",
        fix: "use Genoa or Turin; on Milan a list of chips that you know (`chips`) limits it to those who held them",
        sources: &["arXiv 2605.12990"],
        levels_from: "the paper: the fuse controller cannot be fixed by firmware that an attacker may roll back",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Never(FORGED)),
            (Line::MilanX, Fix::Never(FORGED)),
            (Line::Genoa, Fix::Untouched),
            (Line::GenoaX, Fix::Untouched),
            (Line::Zen4c, Fix::Untouched),
            (Line::Turin, Fix::Untouched),
            (Line::TurinDense, Fix::Untouched),
        ]),
    },
    Advisory {
        id: "badram",
        title: "BadRAM: memory modules that lie about their size",
        lets: "Whoever can change the memory modules' descriptions gives the host a second way to the guest's pages, and forges its measurement.",
        fix: "update the host's firmware, so that it looks for memory aliases when it starts (PLATFORM_INFO bit 5)",
        sources: &["AMD-SB-3015", "CVE-2024-21944", "badram.eu"],
        levels_from: "AMD-SB-3015 as two public verifiers quote it: TCB[SNP] 17h on Milan, 16h on Genoa; Turin is held against the bit alone",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Levels(&[(Snp, 0x17)], Also::AliasCheck)),
            (Line::MilanX, Fix::Levels(&[(Snp, 0x17)], Also::AliasCheck)),
            (Line::Genoa, Fix::Levels(&[(Snp, 0x16)], Also::AliasCheck)),
            (Line::GenoaX, Fix::Levels(&[(Snp, 0x16)], Also::AliasCheck)),
            (Line::Zen4c, Fix::Levels(&[(Snp, 0x16)], Also::AliasCheck)),
            (Line::Turin, Fix::Levels(&[], Also::AliasCheck)),
            (Line::TurinDense, Fix::Levels(&[], Also::AliasCheck)),
        ]),
    },
    Advisory {
        id: "cachewarp",
        title: "CacheWarp: stale cache lines by INVD",
        lets: "The host takes back single writes of the guest and so bypasses its checks of passwords and signatures.",
        fix: UPDATE,
        sources: &["AMD-SB-3005", "CVE-2023-20592", "USENIX Security 2024"],
        levels_from: "AMD-SB-3005 as quoted: microcode 0A0011D1h (Milan) and 0A001234h (Milan-X); the bulletin lists no later generation",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Levels(&[(Microcode, 0xD1)], Also::Nothing)),
            (Line::MilanX, Fix::Levels(&[(Microcode, 0x34)], Also::Nothing)),
            (Line::Genoa, Fix::Untouched),
            (Line::GenoaX, Fix::Untouched),
            (Line::Zen4c, Fix::Untouched),
            (Line::Turin, Fix::Untouched),
            (Line::TurinDense, Fix::Untouched),
        ]),
    },
    Advisory {
        id: "entrysign",
        title: "EntrySign: forged microcode",
        lets: "The host loads microcode of its own, which undoes everything that SEV-SNP protects.",
        fix: UPDATE,
        sources: &["AMD-SB-3019", "AMD-SB-7033", "CVE-2024-56161", "CVE-2024-36347"],
        levels_from: "AMD-SB-3019 as quoted in microsoft/CCF issue 6812 (TCB[SNP] 18h and 17h) and by two public verifiers (microcode 0A0011DBh, 0A001244h, 0A101154h, 0A10124Fh, 0AA00219h); none is known to us for Zen 5",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Levels(&[(Snp, 0x18), (Microcode, 0xDB)], Also::Nothing)),
            (Line::MilanX, Fix::Levels(&[(Snp, 0x18), (Microcode, 0x44)], Also::Nothing)),
            (Line::Genoa, Fix::Levels(&[(Snp, 0x17), (Microcode, 0x54)], Also::Nothing)),
            (Line::GenoaX, Fix::Levels(&[(Snp, 0x17), (Microcode, 0x4F)], Also::Nothing)),
            (Line::Zen4c, Fix::Levels(&[(Snp, 0x17), (Microcode, 0x19)], Also::Nothing)),
            (Line::Turin, Fix::Unknown),
            (Line::TurinDense, Fix::Unknown),
        ]),
    },
    Advisory {
        id: "sinkclose",
        title: "Sinkclose: code in system management mode",
        lets: "The host's kernel puts code below itself that survives it; with it firmware and microcode can be changed.",
        fix: UPDATE,
        sources: &["AMD-SB-7014", "CVE-2023-31315"],
        levels_from: "none: AMD-SB-7014 names firmware packages up to Zen 4 and no level that a report has",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Unknown),
            (Line::MilanX, Fix::Unknown),
            (Line::Genoa, Fix::Unknown),
            (Line::GenoaX, Fix::Unknown),
            (Line::Zen4c, Fix::Unknown),
            (Line::Turin, Fix::Untouched),
            (Line::TurinDense, Fix::Untouched),
        ]),
    },
    Advisory {
        id: "iommu-write",
        title: "IOMMU writes into guest memory",
        lets: "The host directs the IOMMU's own buffers at pages of the guest and so changes them.",
        fix: "update the host's firmware and its kernel; mitigation bit 2 then shows both",
        sources: &["AMD-SB-3016", "CVE-2023-20585"],
        levels_from: "AMD-SB-3016 as quoted by two public verifiers: TCB[SNP] 1Bh on Milan and Genoa, mitigation bit 2; Linux applies its half to family 19h only",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Levels(&[(Snp, 0x1B)], Also::Mitigation(2))),
            (Line::MilanX, Fix::Levels(&[(Snp, 0x1B)], Also::Mitigation(2))),
            (Line::Genoa, Fix::Levels(&[(Snp, 0x1B)], Also::Mitigation(2))),
            (Line::GenoaX, Fix::Levels(&[(Snp, 0x1B)], Also::Mitigation(2))),
            (Line::Zen4c, Fix::Levels(&[(Snp, 0x1B)], Also::Mitigation(2))),
            (Line::Turin, Fix::Untouched),
            (Line::TurinDense, Fix::Untouched),
        ]),
    },
    Advisory {
        id: "rmpocalypse",
        title: "RMPocalypse: the page table of owners written while it is set up",
        lets: "One write of the host while SNP starts gives it every page: it reads and changes guests and forges their reports.",
        fix: UPDATE,
        sources: &["AMD-SB-3020", "CVE-2025-0033", "CCS 2025"],
        levels_from: "AMD-SB-3020 as quoted by public verifiers: TCB[SNP] 1Bh and microcode 56h (Genoa), 51h (Genoa-X); TCB[SNP] 04h and microcode 50h (Turin); mitigation bit 1. For Milan the bit alone is quoted",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Levels(&[], Also::Mitigation(1))),
            (Line::MilanX, Fix::Levels(&[], Also::Mitigation(1))),
            (Line::Genoa, Fix::Levels(&[(Snp, 0x1B), (Microcode, 0x56)], Also::Mitigation(1))),
            (Line::GenoaX, Fix::Levels(&[(Snp, 0x1B), (Microcode, 0x51)], Also::Mitigation(1))),
            (Line::Zen4c, Fix::Levels(&[(Snp, 0x1B)], Also::Mitigation(1))),
            (Line::Turin, Fix::Levels(&[(Snp, 0x04), (Microcode, 0x50)], Also::Nothing)),
            (Line::TurinDense, Fix::Unknown),
        ]),
    },
    Advisory {
        id: "stackwarp",
        title: "StackWarp: the stack pointer moved by the sibling thread",
        lets: "The host shifts the guest's stack pointer from the other thread of the core and so takes over what it runs.",
        fix: "update the microcode, or switch multithreading off (platform.smt, guest.smt)",
        sources: &["AMD-SB-3027", "CVE-2025-29943", "USENIX Security 2026"],
        levels_from: "AMD-SB-3027 as quoted by two public verifiers: microcode 56h (Genoa), 51h (Genoa-X), 51h (Turin); none is known to us for the others. The attack needs a sibling thread",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::NoSmt),
            (Line::MilanX, Fix::NoSmt),
            (Line::Genoa, Fix::Levels(&[(Microcode, 0x56)], Also::OrNoSmt)),
            (Line::GenoaX, Fix::Levels(&[(Microcode, 0x51)], Also::OrNoSmt)),
            (Line::Zen4c, Fix::NoSmt),
            (Line::Turin, Fix::Levels(&[(Microcode, 0x51)], Also::OrNoSmt)),
            (Line::TurinDense, Fix::NoSmt),
        ]),
    },
    Advisory {
        id: "nbio-lock",
        title: "BreakFAST: routing registers without a lock",
        lets: "The host reroutes accesses of the secure processor, runs code on it and reads its keys.",
        fix: UPDATE,
        sources: &["AMD-SB-3030", "CVE-2025-61971", "CVE-2025-61972"],
        levels_from: "AMD-SB-3030 as quoted by two public verifiers for EPYC 7003: TCB[SNP] 1Dh, mitigation bit 4; none is known to us for the others",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Levels(&[(Snp, 0x1D)], Also::Mitigation(4))),
            (Line::MilanX, Fix::Levels(&[(Snp, 0x1D)], Also::Mitigation(4))),
            (Line::Genoa, Fix::Unknown),
            (Line::GenoaX, Fix::Unknown),
            (Line::Zen4c, Fix::Unknown),
            (Line::Turin, Fix::Unknown),
            (Line::TurinDense, Fix::Unknown),
        ]),
    },
    Advisory {
        id: "fabricked",
        title: "Fabricked: writes of the secure processor led astray",
        lets: "Firmware of the host drops what the secure processor writes when SNP starts, and keeps its own table of owners.",
        fix: UPDATE,
        sources: &["AMD-SB-3034", "CVE-2025-54510", "USENIX Security 2026"],
        levels_from: "AMD took the levels of AMD-SB-3034 back in September 2026; for Milan a public verifier asks for mitigation bit 4",
        rule: RuleOf::Lines(&[
            (Line::Milan, Fix::Levels(&[], Also::Mitigation(4))),
            (Line::MilanX, Fix::Levels(&[], Also::Mitigation(4))),
            (Line::Genoa, Fix::Unknown),
            (Line::GenoaX, Fix::Unknown),
            (Line::Zen4c, Fix::Unknown),
            (Line::Turin, Fix::Unknown),
            (Line::TurinDense, Fix::Unknown),
        ]),
    },
    Advisory {
        id: "provisional-firmware",
        title: "Firmware that is not committed",
        lets: "The host can go back to the firmware before, with the holes it had.",
        fix: "the host must commit its firmware (SNP_COMMIT)",
        sources: &["AMD 56860 rev 1.58, SNP_COMMIT"],
        levels_from: "the report itself",
        rule: RuleOf::Provisional,
    },
    Advisory {
        id: "interposer",
        title: "Devices between processor and memory (Battering RAM, TEE.fail)",
        lets: "Whoever can open the machine reads and replays memory, and with it keys that sign reports.",
        fix: "know where the machine stands and who can touch it; ciphertext hiding does not stop it",
        sources: &["batteringram.eu", "tee.fail", "AMD: out of scope"],
        levels_from: "none can be",
        rule: RuleOf::Physical,
    },
];
