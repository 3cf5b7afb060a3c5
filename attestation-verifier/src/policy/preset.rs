//! Policies that come with the crate: the files in `policy/`, compiled in. The file is the preset; there is no second
//! copy of it in code.

use std::sync::LazyLock;

use super::Policy;

/// Names of the presets, with the text of each file.
pub const PRESETS: &[(&str, &str)] = &[
    ("strict", include_str!("../../policy/strict.toml")),
    ("azure", include_str!("../../policy/azure.toml")),
    ("gcp", include_str!("../../policy/gcp.toml")),
    ("aws", include_str!("../../policy/aws.toml")),
    ("baremetal", include_str!("../../policy/baremetal.toml")),
];

static PARSED: LazyLock<Vec<(&'static str, Policy)>> = LazyLock::new(|| {
    // A preset that did not parse would fail every test of this crate.
    #[expect(clippy::expect_used, reason = "the files are part of the crate and parsed by its tests")]
    let parse = |(name, text): &(&'static str, &str)| (*name, Policy::from_toml(text).expect("a preset is a policy"));
    PRESETS.iter().map(parse).collect()
});

impl Policy {
    /// The preset `strict`: signed by AMD's silicon at privilege level 0, not debuggable, not migratable. It asks for no
    /// particular code: that is what `code-unknown` in the verdict says.
    pub fn strict() -> Self {
        #[expect(clippy::expect_used, reason = "strict is one of the presets")]
        Self::preset("strict").expect("strict is one of the presets")
    }

    /// The preset of that name; see [`PRESETS`].
    pub fn preset(name: &str) -> Option<Self> {
        PARSED.iter().find(|(known, _)| *known == name).map(|(_, policy)| policy.clone())
    }

    /// The file of that preset.
    pub fn preset_text(name: &str) -> Option<&'static str> {
        PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bit, Grade, OnAdvisory, Rule, VekKind, VtpmKind};

    #[test]
    fn every_preset_is_a_policy_and_refuses_debugging_and_migration() {
        for (name, _) in PRESETS {
            let policy = Policy::preset(name).unwrap();
            let refuse = Rule::Check(Bit::Refuse);
            assert_eq!((&policy.guest.debug, &policy.guest.migration_agent), (&refuse, &refuse), "{name}");
            assert_eq!(policy.advisories, OnAdvisory::Report, "{name}");
            assert!(policy.vmpl.asked().is_some() && policy.code > Grade::None, "{name}");
        }
        assert_eq!(Policy::preset("lax"), None);
    }

    #[test]
    fn the_file_for_the_time_before_releases_is_the_strict_one_but_for_the_code() {
        let file = Policy::from_toml(include_str!("../../policy/before-releases.toml"));
        assert_eq!(file, Ok(Policy { code: Grade::None, ..Policy::strict() }));
    }

    #[test]
    fn a_clouds_preset_knows_its_keys_and_who_runs_its_tpm() {
        let told = |name: &str| {
            let policy = Policy::preset(name).unwrap();
            (policy.keys.asked().cloned().unwrap(), policy.vtpm.asked().cloned(), policy.code)
        };
        assert_eq!(told("azure"), (vec![VekKind::Vcek], Some(vec![VtpmKind::Paravisor]), Grade::Vendor));
        assert_eq!(told("gcp"), (vec![VekKind::Vcek], Some(vec![VtpmKind::Host]), Grade::Host));
        assert_eq!(told("aws"), (vec![VekKind::Vlek], Some(vec![VtpmKind::Host]), Grade::Host));
        assert_eq!(told("baremetal").2, Grade::Hardware);
    }
}
