//! Unified kernel images: UAPI.5 "Unified Kernel Image", and what systemd's boot stub measures of one into PCR 11 before
//! it starts the kernel in it (systemd-stub(7), "TPM PCR Notes"; systemd-measure(1)).

use std::collections::BTreeMap;

use crate::{
    image::pe::{Pe, PeError, Section},
    pcr::{Bank, Digest},
};

/// The sections that a boot stub measures, each by name and then by content, in this order, and the version of systemd
/// whose stub does so first. `.pcrsig` is not among them: it signs the outcome.
pub(crate) const SECTIONS: [(&str, u32); 14] = [
    (".linux", 252),
    (".osrel", 252),
    (".cmdline", 252),
    (".initrd", 252),
    (".ucode", 256),
    (".splash", 252),
    (".dtb", 252),
    (".uname", 254),
    (".sbat", 254),
    (".pcrpkey", 252),
    (".profile", 257),
    (".dtbauto", 257),
    (".hwids", 257),
    (".efifw", 258),
];
/// Written into every stub, before its version and ` ####`.
const MAGIC: &[u8] = b"#### LoaderInfo: systemd-stub ";

/// The words that systemd extends into PCR 11 while it starts (systemd-pcrphase.service(8)), in this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// The boot stub ended, no word yet.
    Stub,
    /// `enter-initrd`.
    EnterInitrd,
    /// `leave-initrd`.
    LeaveInitrd,
    /// `sysinit`.
    Sysinit,
    /// `ready`.
    Ready,
}

impl Phase {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Stub, Self::EnterInitrd, Self::LeaveInitrd, Self::Sysinit, Self::Ready];

    /// `stub`, or the word that ends the phase before it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stub => "stub",
            Self::EnterInitrd => "enter-initrd",
            Self::LeaveInitrd => "leave-initrd",
            Self::Sysinit => "sysinit",
            Self::Ready => "ready",
        }
    }

    /// From that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == word)
    }

    /// The words that were extended when this phase is reached.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().skip(1).take_while(move |phase| *phase <= self).map(Self::name)
    }
}

/// A unified kernel image.
#[derive(Clone, Debug)]
pub struct Uki<'a> {
    pe: Pe<'a>,
    version: StubVersion,
    /// Sections of the base and of each profile, by their place in [`SECTIONS`] or, `.pcrsig`, behind it.
    profiles: Vec<BTreeMap<usize, Section<'a>>>,
}

/// The version of systemd that a stub is of, as the stub states it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StubVersion {
    /// The number before the first dot.
    pub major: u32,
    /// The whole text: `252.39-1~deb12u2`.
    pub text: String,
}

impl<'a> Uki<'a> {
    /// Reads an image that begins with systemd's boot stub.
    ///
    /// # Errors
    /// [`UkiError`]: not an image, not of systemd's stub, no kernel in it, or a section twice.
    pub fn parse(file: &'a [u8]) -> Result<Self, UkiError> {
        let pe = Pe::parse(file)?;
        let version = stub_version(&pe).ok_or(UkiError::NoStub)?;
        let mut profiles = vec![BTreeMap::new()];
        for section in pe.sections() {
            let Some(name) = section.name() else { continue };
            let place = SECTIONS.iter().position(|(known, _)| *known == name);
            let place = match (place, name) {
                (None, ".pcrsig") => SECTIONS.len(),
                (Some(place), _) if section.virtual_bytes > 0 => place,
                _ => continue,
            };
            if name == ".profile" {
                profiles.push(BTreeMap::new());
            }
            // A stub takes the one of several .dtbauto and .efifw that fits the machine.
            let several = matches!(name, ".dtbauto" | ".efifw");
            let of_profile = profiles.last_mut();
            if of_profile.is_some_and(|profile| profile.insert(place, section.clone()).is_some()) && !several {
                return Err(UkiError::Twice { name: name.to_owned(), offset: section.offset });
            }
        }
        let uki = Self { pe, version, profiles };
        if uki.section(0, ".linux").is_none() {
            return Err(UkiError::NoKernel { sections: uki.names() });
        }
        Ok(uki)
    }

    /// The image as the firmware loads it.
    pub fn pe(&self) -> &Pe<'a> {
        &self.pe
    }

    /// Whose stub it is.
    pub fn stub_version(&self) -> &StubVersion {
        &self.version
    }

    /// How many profiles the image has; one without any `.profile` has one.
    pub fn profile_count(&self) -> usize {
        self.profiles.len().saturating_sub(1).max(1)
    }

    /// A section as the stub sees it when it starts a profile: the profile's own, or else the base's.
    pub fn section(&self, profile: usize, name: &str) -> Option<&Section<'a>> {
        let place = SECTIONS.iter().position(|(known, _)| *known == name);
        let place = place.or_else(|| (name == ".pcrsig").then_some(SECTIONS.len()))?;
        self.at(profile, place)
    }

    /// What the stub measures of a profile, in order.
    pub fn measured(&self, profile: usize) -> impl Iterator<Item = (&'static str, &Section<'a>)> {
        SECTIONS.iter().enumerate().filter_map(move |(place, (name, since))| {
            (*since <= self.version.major).then_some(())?;
            Some((*name, self.at(profile, place)?))
        })
    }

    /// Sections that this stub leaves out and a later one would measure.
    pub fn unmeasured(&self, profile: usize) -> impl Iterator<Item = &'static str> {
        SECTIONS.iter().enumerate().filter_map(move |(place, (name, since))| {
            (*since > self.version.major && self.at(profile, place).is_some()).then_some(*name)
        })
    }

    fn at(&self, profile: usize, place: usize) -> Option<&Section<'a>> {
        // The base comes first, then the profiles.
        let own = self.profiles.get(profile + 1).and_then(|sections| sections.get(&place));
        own.or_else(|| self.profiles.first()?.get(&place))
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.pe.sections().iter().filter_map(Section::name).collect();
        names.join(" ")
    }
}

/// What a stub extends PCR 11 with before the content of a section.
pub(crate) fn name_digest(bank: Bank, section: &str) -> Digest {
    bank.hash_parts(&[section.as_bytes(), &[0]])
}

fn stub_version(pe: &Pe<'_>) -> Option<StubVersion> {
    let magic = pe.sections().iter().find(|section| section.name() == Some(".sdmagic"))?.content();
    let text = magic.strip_prefix(MAGIC)?;
    let end = text.iter().position(|byte| *byte == b' ')?;
    let text = std::str::from_utf8(text.get(..end)?).ok()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let major = text.get(..digits)?.parse().ok()?;
    Some(StubVersion { major, text: text.to_owned() })
}

/// An image that is not a unified kernel image.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UkiError {
    /// Not even an image.
    #[error(transparent)]
    Pe(#[from] PeError),
    /// Not made with systemd's boot stub, of version 252 or later.
    #[error("no section .sdmagic that names a version of systemd-stub: not a unified kernel image")]
    NoStub,
    /// No kernel to start.
    #[error("no section .linux, only {sections}")]
    NoKernel {
        /// What there is.
        sections: String,
    },
    /// A section that is there twice.
    #[error("offset {offset:#x}: a second section {name}")]
    Twice {
        /// Its name.
        name: String,
        /// Where the second begins in the file.
        offset: usize,
    },
}

impl UkiError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Pe(error) => error.fix(),
            Self::NoStub => "give an image made by ukify or objcopy from linuxx64.efi.stub, or choose another --boot",
            Self::NoKernel { .. } => "give a whole image; an add-on or a bare stub starts no kernel",
            Self::Twice { .. } => "build the image again with each section once in the base and in each profile",
        }
    }
}
