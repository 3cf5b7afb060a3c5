//! Known attacks.

/// x
pub const ADVISORIES_DATE: &str = "2026-11-21";
/// x
pub const ADVISORIES: &[Advisory] = &[];
/// x
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advisory {
    /// x
    pub id: &'static str,
}
/// x
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdvisoryStatus {
    /// x
    Applies,
}
/// x
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownAttack {
    /// x
    pub id: &'static str,
}
pub(crate) fn of(id: &str) -> Option<&'static Advisory> {
    ADVISORIES.iter().find(|a| a.id == id)
}
