//! Who runs a virtual TPM decides what its word is worth (docs/WIRE.md, section 1).

use std::fmt;

/// Who runs the virtual TPM.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum VtpmKind {
    /// The cloud vendor's paravisor, inside the guest's trust boundary (Azure).
    Paravisor,
    /// A service module at VMPL 0, inside the guest's trust boundary (COCONUT-SVSM).
    Svsm,
    /// The host: it may say anything (GCP, AWS, plain QEMU).
    Host,
    /// A program, for development.
    Software,
    /// There is none.
    None,
}

impl VtpmKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Paravisor, Self::Svsm, Self::Host, Self::Software, Self::None];

    /// The word in cores, policies and verdicts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paravisor => "paravisor",
            Self::Svsm => "svsm",
            Self::Host => "host",
            Self::Software => "software",
            Self::None => "none",
        }
    }

    /// From that word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }
}

impl fmt::Display for VtpmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_from_the_word_it_is_written_as() {
        for kind in VtpmKind::ALL {
            assert_eq!(VtpmKind::of(&kind.to_string()), Some(kind));
        }
        assert_eq!(VtpmKind::ALL.map(VtpmKind::name), ["paravisor", "svsm", "host", "software", "none"]);
        assert_eq!((VtpmKind::of("Host"), VtpmKind::of("")), (None, None));
    }
}
