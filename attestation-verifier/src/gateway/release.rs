//! Releases, and which of them the measurements name. The code of a machine is looked up by what hardware and vTPM
//! measured, never by what the gateway says of itself (docs/WIRE.md, section 1).

use std::fmt;

use evidence::{
    Digest,
    release::{GRUB, PREDICTED, ReleaseManifest},
};

use crate::Verified;

/// How the code of a machine was started, which decides what has to be measured for its identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BootKind {
    /// Direct boot: the launch digest covers kernel, initrd and command line.
    Launch,
    /// Below a service module (COCONUT-SVSM): its launch digest, and its vTPM's registers.
    Svsm,
    /// Below the cloud vendor's paravisor (Azure): its ID key, and its vTPM's registers.
    Paravisor,
    /// Registers of a vTPM that the host runs (GCP, AWS, plain QEMU).
    Host,
    /// A development machine.
    Software,
}

impl BootKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Launch, Self::Svsm, Self::Paravisor, Self::Host, Self::Software];

    /// The word in cores.
    pub fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Svsm => "svsm",
            Self::Paravisor => "paravisor",
            Self::Host => "host",
            Self::Software => "software",
        }
    }

    /// From that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }

    /// Do registers of a quote take part in the identity?
    fn measures_in_registers(self) -> bool {
        matches!(self, Self::Svsm | Self::Paravisor | Self::Host)
    }
}

/// One release: what machines measure that run it, and what it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Release {
    /// Its name, for people.
    pub name: String,
    /// SHA-256 of the gateway's executable file.
    pub code_hash: Digest,
    /// The commit it was built from.
    pub git_commit: [u8; 20],
    /// MEASUREMENT of machines that boot it directly.
    pub launch_digests: Vec<[u8; 48]>,
    /// MEASUREMENT of the service modules it may run below.
    pub svsm_digests: Vec<[u8; 48]>,
    /// Paravisors it may run below.
    pub paravisors: Vec<Paravisor>,
    /// Registers of machines that run it, one set for each way to boot it (Secure Boot on or off, each cloud).
    pub registers: Vec<RegisterSet>,
    /// What states have to name as their policy. `None`: nothing is known of it.
    pub policy: Option<Digest>,
    /// SHA-256 of the program part of the script that it serves. `None`: nothing is known of it.
    pub script: Option<Digest>,
    /// SHA-256 of its provenance files. Empty: nothing is known of them.
    pub provenance: Vec<Digest>,
}

/// A family of paravisors by one signer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Paravisor {
    /// ID_KEY_DIGEST.
    pub id_key: [u8; 48],
    /// FAMILY_ID.
    pub family_id: [u8; 16],
    /// IMAGE_ID.
    pub image_id: [u8; 16],
    /// Lowest GUEST_SVN. Numbers of two families do not compare.
    pub min_guest_svn: u32,
}

/// What a vTPM's SHA-256 registers hold on a machine that runs a release. Register 15 holds the core and is no part of
/// it; 11 is that of the phase `leave-initrd`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegisterSet {
    /// Its name, for people.
    pub name: String,
    /// For machines that booted so.
    pub boot: BootKind,
    /// Registers 4, 7, 11, 12, 13 and 14, in this order.
    pub values: [Digest; 6],
    /// Registers 8 and 9, if GRUB boots it; without them a quote must not select them.
    pub grub: Option<[Digest; 2]>,
}

/// What was measured of one machine, all of it verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured<'a> {
    pub(crate) boot: BootKind,
    pub(crate) measurement: &'a [u8; 48],
    pub(crate) id_key: &'a [u8; 48],
    pub(crate) family_id: &'a [u8; 16],
    pub(crate) image_id: &'a [u8; 16],
    pub(crate) guest_svn: u32,
    /// Register and value of every quote that the evidence carries.
    pub(crate) quotes: &'a [Vec<(u8, Digest)>],
}

/// Why no release of the table is what was measured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Unlisted {
    /// No release has this launch digest.
    Measurement([u8; 48]),
    /// No release names this paravisor.
    Paravisor,
    /// A release names it, from a later version on.
    GuestSvn { release: String, found: u32, minimum: u32 },
    /// A software machine is in no table.
    Software,
    /// No release has registers for this way to boot.
    NoRegisters(BootKind),
    /// The set that agrees longest differs here.
    Register { release: String, set: String, register: u8, found: Digest, predicted: Digest },
    /// A set predicts 8 and 9 and the quote does not select them, or the other way round.
    Grub { release: String, set: String },
}

impl Unlisted {
    /// What to do.
    pub(crate) fn fix(&self) -> &'static str {
        match self {
            Self::Software => {
                "ask a gateway on SEV-SNP hardware; without a release the rest is judged under the test root"
            }
            _ => "the machine does not run a release you listed; update the list, or do not rely on it",
        }
    }
}

impl fmt::Display for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measurement(found) => write!(f, "report.MEASUREMENT {} is of no release", hex::encode(found)),
            Self::Paravisor => {
                f.write_str("report.ID_KEY_DIGEST, FAMILY_ID and IMAGE_ID name a paravisor of no release")
            }
            Self::GuestSvn { release, found, minimum } => {
                write!(f, "report.GUEST_SVN: found {found}, release {release} asks for {minimum} of this paravisor")
            }
            Self::Software => f.write_str("the core says that software stands in for the hardware: no release does"),
            Self::NoRegisters(boot) => write!(f, "no release has registers for boot \"{}\"", boot.name()),
            Self::Register { release, set, register, found, predicted } => {
                let (found, predicted) = (hex::encode(found), hex::encode(predicted));
                write!(f, "PCR {register} is {found}; release {release}, set {set}, predicts {predicted}")
            }
            Self::Grub { release, set } => {
                write!(f, "PCR 8 and 9 are quoted or predicted, not both; nearest is release {release}, set {set}")
            }
        }
    }
}

impl Release {
    /// What a manifest says whose every signature was checked.
    pub fn of(manifest: &Verified<ReleaseManifest>) -> Self {
        let measurements =
            |digests: &[evidence::release::LaunchDigest]| digests.iter().map(|of| of.measurement).collect();
        Self {
            name: manifest.name.clone(),
            // A manifest that names no gateway is not read.
            code_hash: manifest.code_hash().copied().unwrap_or_default(),
            git_commit: manifest.git_commit,
            launch_digests: measurements(&manifest.launch_digests),
            svsm_digests: measurements(&manifest.svsm_digests),
            paravisors: manifest.paravisors.iter().map(Paravisor::of).collect(),
            registers: manifest.registers.iter().filter_map(RegisterSet::of).collect(),
            policy: manifest.policy,
            script: Some(manifest.script),
            provenance: manifest.provenance.clone(),
        }
    }

    /// How this differs from what was measured, and how near it came: more agreement is a greater number. `None`: it is
    /// what was measured.
    fn difference(&self, measured: &Measured<'_>) -> Option<(u8, Unlisted)> {
        let launched = match measured.boot {
            BootKind::Launch => self.launch_digests.contains(measured.measurement),
            BootKind::Svsm => self.svsm_digests.contains(measured.measurement),
            BootKind::Paravisor => {
                return self.paravisor_difference(measured).or_else(|| self.register_difference(measured));
            }
            // The host's own firmware is no part of a release; what it says is worth what the grade says.
            BootKind::Host => true,
            BootKind::Software => return Some((0, Unlisted::Software)),
        };
        if !launched {
            return Some((0, Unlisted::Measurement(*measured.measurement)));
        }
        self.register_difference(measured)
    }

    fn paravisor_difference(&self, measured: &Measured<'_>) -> Option<(u8, Unlisted)> {
        let named = |row: &&Paravisor| {
            row.id_key == *measured.id_key && row.family_id == *measured.family_id && row.image_id == *measured.image_id
        };
        // Of several rows for one paravisor the lowest floor counts: each of them lists it.
        let Some(minimum) = self.paravisors.iter().filter(named).map(|row| row.min_guest_svn).min() else {
            return Some((0, Unlisted::Paravisor));
        };
        let (release, found) = (self.name.clone(), measured.guest_svn);
        (found < minimum).then_some((1, Unlisted::GuestSvn { release, found, minimum }))
    }

    /// Every quote must agree with one and the same set.
    fn register_difference(&self, measured: &Measured<'_>) -> Option<(u8, Unlisted)> {
        if !measured.boot.measures_in_registers() {
            return None;
        }
        let mut nearest = (2, Unlisted::NoRegisters(measured.boot));
        for set in self.registers.iter().filter(|set| set.boot == measured.boot) {
            let differs = measured.quotes.iter().filter_map(|quote| set.difference(quote, &self.name));
            match differs.min_by_key(|(agreed, _)| *agreed) {
                None if measured.quotes.is_empty() => {}
                None => return None,
                Some(difference) => {
                    if difference.0 >= nearest.0 {
                        nearest = difference;
                    }
                }
            }
        }
        Some(nearest)
    }
}

impl Paravisor {
    fn of(row: &evidence::release::ParavisorRow) -> Self {
        Self {
            id_key: row.id_key_digest,
            family_id: row.family_id,
            image_id: row.image_id,
            min_guest_svn: row.min_guest_svn,
        }
    }
}

impl RegisterSet {
    fn of(set: &evidence::release::Registers) -> Option<Self> {
        Some(Self { name: set.name.clone(), boot: BootKind::of(set.boot)?, values: set.values, grub: set.grub })
    }

    /// Where a quote differs from the prediction, and after how much agreement.
    fn difference(&self, quote: &[(u8, Digest)], release: &str) -> Option<(u8, Unlisted)> {
        let found = |register| quote.iter().find(|(number, _)| *number == register).map(|(_, value)| value);
        let (release, set) = (release.to_owned(), self.name.clone());
        if GRUB.iter().any(|register| found(*register).is_some() != self.grub.is_some()) {
            return Some((3, Unlisted::Grub { release, set }));
        }
        let grub = self.grub.iter().flat_map(|values| GRUB.into_iter().zip(values));
        let predicted = PREDICTED.into_iter().zip(&self.values).chain(grub);
        (4..).zip(predicted).find_map(|(agreed, (register, predicted))| match found(register) {
            Some(found) if found == predicted => None,
            // A register that is not quoted is not known to hold what it should.
            found => Some((
                agreed,
                Unlisted::Register {
                    release: release.clone(),
                    set: set.clone(),
                    register,
                    found: found.copied().unwrap_or_default(),
                    predicted: *predicted,
                },
            )),
        })
    }
}

/// The releases that were measured, or how the nearest one differs. `None`: there is no table.
pub(crate) fn look_up<'r>(
    releases: &'r [Release],
    measured: &Measured<'_>,
) -> Option<Result<Vec<&'r Release>, Unlisted>> {
    let mut nearest = None;
    let mut found = Vec::new();
    for release in releases {
        match release.difference(measured) {
            None => found.push(release),
            Some(difference) => {
                if nearest.as_ref().is_none_or(|(agreed, _)| difference.0 > *agreed) {
                    nearest = Some(difference);
                }
            }
        }
    }
    if found.is_empty() { nearest.map(|(_, unlisted)| Err(unlisted)) } else { Some(Ok(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 48] = [0x1d; 48];

    fn release() -> Release {
        let set = |name: &str, boot, first| RegisterSet {
            name: name.to_owned(),
            boot,
            values: [[first; 32], [7; 32], [11; 32], [0; 32], [0; 32], [14; 32]],
            grub: None,
        };
        Release {
            name: "1.0".to_owned(),
            code_hash: [0xc0; 32],
            git_commit: [0x91; 20],
            launch_digests: vec![[1; 48], [2; 48]],
            svsm_digests: vec![[3; 48]],
            paravisors: vec![Paravisor { id_key: ID, family_id: [4; 16], image_id: [5; 16], min_guest_svn: 10 }],
            registers: vec![
                set("secure", BootKind::Paravisor, 4),
                set("open", BootKind::Paravisor, 5),
                set("svsm", BootKind::Svsm, 4),
                RegisterSet { grub: Some([[8; 32], [9; 32]]), ..set("grub", BootKind::Host, 4) },
                set("host", BootKind::Host, 4),
            ],
            policy: None,
            script: None,
            provenance: vec![],
        }
    }

    fn quote() -> Vec<(u8, Digest)> {
        vec![(4, [4; 32]), (7, [7; 32]), (11, [11; 32]), (12, [0; 32]), (13, [0; 32]), (14, [14; 32]), (15, [0xcc; 32])]
    }

    fn with(register: u8, value: Digest) -> Vec<(u8, Digest)> {
        let mut quote = quote();
        quote.retain(|(number, _)| *number != register);
        quote.push((register, value));
        quote.sort_unstable();
        quote
    }

    fn machine(boot: BootKind, quotes: &[Vec<(u8, Digest)>]) -> Measured<'_> {
        let measurement = if boot == BootKind::Svsm { &[3; 48] } else { &[2; 48] };
        Measured { boot, measurement, id_key: &ID, family_id: &[4; 16], image_id: &[5; 16], guest_svn: 10, quotes }
    }

    fn looked_up(measured: &Measured<'_>) -> Result<usize, Unlisted> {
        look_up(&[release()], measured).unwrap().map(|found| found.len())
    }

    #[test]
    fn each_way_to_boot_is_found_by_what_it_measures() {
        let quotes = [quote(), quote()];
        for boot in [BootKind::Launch, BootKind::Svsm, BootKind::Paravisor, BootKind::Host] {
            assert_eq!(looked_up(&machine(boot, &quotes)), Ok(1), "{boot:?}");
        }
        assert_eq!(looked_up(&machine(BootKind::Launch, &[])), Ok(1), "a direct boot needs no quote");
        assert_eq!(looked_up(&machine(BootKind::Software, &quotes)), Err(Unlisted::Software));
        assert!(look_up(&[], &machine(BootKind::Launch, &quotes)).is_none(), "no table, no answer");
    }

    #[test]
    fn another_launch_digest_is_of_no_release() {
        let quotes = [quote()];
        for boot in [BootKind::Launch, BootKind::Svsm] {
            let measured = Measured { measurement: &[9; 48], ..machine(boot, &quotes) };
            assert_eq!(looked_up(&measured), Err(Unlisted::Measurement([9; 48])));
        }
        // Digests of the one are none of the other.
        let measured = Measured { measurement: &[3; 48], ..machine(BootKind::Launch, &quotes) };
        assert_eq!(looked_up(&measured), Err(Unlisted::Measurement([3; 48])));
    }

    #[test]
    fn a_paravisor_is_known_by_three_fields_and_a_floor() {
        let quotes = [quote()];
        let good = machine(BootKind::Paravisor, &quotes);
        for measured in [
            Measured { id_key: &[0; 48], ..good },
            Measured { family_id: &[0; 16], ..good },
            Measured { image_id: &[0; 16], ..good },
        ] {
            assert_eq!(looked_up(&measured), Err(Unlisted::Paravisor));
        }
        assert_eq!(looked_up(&Measured { guest_svn: 11, ..good }), Ok(1));
        let low = looked_up(&Measured { guest_svn: 9, ..good });
        assert!(matches!(low, Err(Unlisted::GuestSvn { found: 9, minimum: 10, .. })), "{low:?}");
    }

    #[test]
    fn every_predicted_register_counts_and_the_nearest_set_is_named() {
        for register in [4, 7, 11, 12, 13, 14] {
            let quotes = [with(register, [0xee; 32])];
            match looked_up(&machine(BootKind::Svsm, &quotes)) {
                Err(Unlisted::Register { register: named, found, .. }) => {
                    assert_eq!((named, found), (register, [0xee; 32]));
                }
                other => panic!("PCR {register}: {other:?}"),
            }
            let quotes = [quote(), with(register, [0xee; 32])];
            assert!(looked_up(&machine(BootKind::Svsm, &quotes)).is_err(), "the other quote differs in {register}");
        }
        // Register 15 is the core's, not the release's.
        assert_eq!(looked_up(&machine(BootKind::Svsm, &[with(15, [1; 32])])), Ok(1));
        let open = [with(4, [5; 32])];
        assert_eq!(looked_up(&machine(BootKind::Paravisor, &open)), Ok(1), "the set \"open\"");
        let near = [with(4, [5; 32]).into_iter().map(|(r, v)| (r, if r == 13 { [1; 32] } else { v })).collect()];
        let near = looked_up(&machine(BootKind::Paravisor, &near));
        assert!(matches!(&near, Err(Unlisted::Register { set, register: 13, .. }) if set == "open"), "{near:?}");
        // Two quotes that agree with two sets are of two machines.
        assert!(looked_up(&machine(BootKind::Paravisor, &[quote(), with(4, [5; 32])])).is_err());
        assert!(looked_up(&machine(BootKind::Svsm, &[])).is_err(), "no quote, no registers");
        assert!(looked_up(&machine(BootKind::Svsm, &[vec![(15, [1; 32])]])).is_err(), "registers that are not quoted");
    }

    #[test]
    fn registers_of_grub_are_quoted_if_and_only_if_they_are_predicted() {
        let mut grub = with(8, [8; 32]);
        grub.insert(3, (9, [9; 32]));
        assert_eq!(looked_up(&machine(BootKind::Host, &[grub.clone()])), Ok(1));
        assert!(looked_up(&machine(BootKind::Svsm, &[grub.clone()])).is_err());
        let other = grub.into_iter().map(|(r, v)| (r, if r == 9 { [0; 32] } else { v })).collect();
        let other = looked_up(&machine(BootKind::Host, &[other]));
        assert!(matches!(other, Err(Unlisted::Register { register: 9, .. })), "{other:?}");
    }

    #[test]
    fn several_releases_may_measure_alike() {
        let twins = [release(), Release { name: "1.0-again".to_owned(), ..release() }];
        let measured = machine(BootKind::Launch, &[]);
        assert_eq!(look_up(&twins, &measured).unwrap().unwrap().len(), 2);
    }
}
