//! The claim `code`: which code runs, and on whose word (docs/WIRE.md, section 1). What was measured is looked up
//! in releases that the verifier brings; what the gateway says of itself is compared with what was found.

use evidence::{
    Digest,
    core::{Core, Platform},
};

use crate::{
    BootKind, Class, Grade, NotProven, Policy, Release, Trust, Verdict,
    appraisal::{Checks, LAST},
    gateway::{
        guest::Guest,
        release::{Measured, Unlisted, look_up},
    },
};

/// What the claim rests on. All of it is verified.
pub(crate) struct Identity<'a> {
    pub(crate) core: &'a Core,
    /// `None`: chain, signature or binding of the boot's evidence do not hold.
    pub(crate) guest: Option<&'a Guest>,
    /// Registers of every quote carried.
    pub(crate) quotes: &'a [Vec<(u8, Digest)>],
    /// Something that was required of the vTPM's evidence is missing or wrong; its own row says what.
    pub(crate) vtpm_holds: bool,
}

/// What was found.
#[derive(Debug, Eq, PartialEq)]
enum Finding<'r> {
    /// An earlier row rejects.
    Unbelieved,
    /// There is nothing to look up, or nothing to look it up in.
    Unknown(String),
    /// No release is what was measured.
    Unlisted(Unlisted),
    /// The release that was measured is not the one that the core names.
    Contradicted(String),
    /// This is the code, on that word.
    /// Of several, nothing tells which.
    Known { releases: Vec<&'r Release>, grade: Grade, why: &'static str },
}

/// Adds the row `code`, and sets the grade. Gives the releases that were measured, of several those that the core does
/// not tell apart.
pub(crate) fn check_code<'r>(
    identity: &Identity<'_>,
    releases: &'r [Release],
    policy: &Policy,
    verdict: &mut Verdict,
    checks: &mut Checks,
) -> Vec<&'r Release> {
    name_witnesses(identity, verdict);
    let finding = find(identity, releases, verdict.trust);
    let (grade, measured) = match &finding {
        Finding::Known { grade, releases, .. } => (*grade, releases.clone()),
        _ => (Grade::None, Vec::new()),
    };
    verdict.grade = grade;
    if grade > Grade::None {
        verdict.settles(NotProven::CodeUnknown);
    } else {
        verdict.leaves_open(NotProven::CodeUnknown);
    }
    let waived = verdict.trust == Some(Trust::Test);
    let lacks = |detail: &str| {
        let wanted = policy.code.name();
        format!(
            "{detail}; the policy wants grade {wanted} (a policy file with code = \"{}\" takes it as it is)",
            grade.name()
        )
    };
    match finding {
        Finding::Unbelieved => checks.open("code", LAST, "nothing to look up: the evidence above does not hold"),
        Finding::Unlisted(unlisted) => {
            checks.fail("code", Class::Policy, unlisted.to_string(), unlisted.fix());
        }
        Finding::Contradicted(detail) => {
            const FIX: &str = "the gateway says it is other code than was measured: do not rely on it";
            checks.fail("code", Class::Binding, detail, FIX);
        }
        Finding::Unknown(detail) => take(checks, policy.code == Grade::None || waived, &detail, &lacks(&detail)),
        Finding::Known { releases, grade, why } => {
            let detail = format!("{}: {why}", named(&releases));
            if grade >= Grade::Vendor && grade >= policy.code {
                checks.pass("code", Class::Policy, detail);
            } else if grade >= Grade::Vendor && !waived {
                checks.fail(
                    "code",
                    Class::Policy,
                    lacks(&detail),
                    "accept this grade in a policy file, or use another machine",
                );
            } else {
                take(checks, grade >= policy.code || waived, &detail, &lacks(&detail));
            }
        }
    }
    measured
}

/// A claim that is not checked: taken as it is, or in the way.
fn take(checks: &mut Checks, taken: bool, as_it_is: &str, in_the_way: &str) {
    if taken {
        checks.note("code", Class::Policy, as_it_is);
    } else {
        checks.open("code", Class::Policy, in_the_way);
    }
}

/// Whose word the registers are, whatever they hold.
fn name_witnesses(identity: &Identity<'_>, verdict: &mut Verdict) {
    if !identity.vtpm_holds || identity.quotes.is_empty() {
        return;
    }
    match BootKind::of(identity.core.boot) {
        Some(BootKind::Host) => verdict.leaves_open(NotProven::CodeHostVouched),
        Some(BootKind::Paravisor) => verdict.leaves_open(NotProven::CodeVendorParavisor),
        _ => {}
    }
}

fn find<'r>(identity: &Identity<'_>, releases: &'r [Release], trust: Option<Trust>) -> Finding<'r> {
    let (Some(guest), Some(trust), true) = (identity.guest, trust, identity.vtpm_holds) else {
        return Finding::Unbelieved;
    };
    let Some(boot) = BootKind::of(identity.core.boot) else { return Finding::Unbelieved };
    let measured = Measured {
        boot,
        measurement: &guest.measurement,
        id_key: &guest.id_key,
        family_id: &guest.family_id,
        image_id: &guest.image_id,
        guest_svn: guest.guest_svn,
        quotes: identity.quotes,
    };
    let unquoted = identity.quotes.is_empty() && boot != BootKind::Launch;
    let found = match look_up(releases, &measured) {
        None if unquoted => {
            return Finding::Unknown("no quote and no release list: nothing says which code runs".into());
        }
        None => {
            let detail = "no release list: what was measured cannot be told to be any code";
            return Finding::Unknown(detail.into());
        }
        Some(_) if unquoted => {
            return Finding::Unknown("no quote: nothing says which code runs".into());
        }
        Some(Err(unlisted)) => return Finding::Unlisted(unlisted),
        Some(Ok(found)) => found,
    };
    // Releases that measure alike are told apart by what the gateway says it is; one of them it has to be.
    let releases = match agreeing(found, identity.core) {
        Ok(releases) => releases,
        Err(detail) => return Finding::Contradicted(detail),
    };
    if let Some(door) = guest.open_door {
        let detail = format!("{} was measured, but {door}: it need not be what runs", named(&releases));
        return Finding::Unknown(detail);
    }
    let (grade, why) = match (boot, trust) {
        (_, Trust::Test) => (Grade::None, "as measured by a machine that is simulated: no hardware says so"),
        _ if identity.core.platform == Platform::Simulated => (Grade::None, "as measured by a simulated machine"),
        (BootKind::Launch, _) => (Grade::Hardware, "its launch digest"),
        (BootKind::Paravisor, _) => (Grade::Vendor, "its registers, vouched for by the vendor's paravisor"),
        (BootKind::Host, _) => (Grade::Host, "vouched for by the host's vTPM"),
        // Without a transcript that ties the AK to the EK, the guest may have made the quotes itself.
        (BootKind::Svsm, _) => (Grade::None, "its registers, by a key that is not shown to be in the SVSM's vTPM"),
        (BootKind::Software, _) => (Grade::None, "as measured by software"),
    };
    Finding::Known { releases, grade, why }
}

/// The releases that fit what the core says of itself, or in what the first one does not.
fn agreeing<'r>(found: Vec<&'r Release>, core: &Core) -> Result<Vec<&'r Release>, String> {
    let claims = &core.claims;
    let wrong = |release: &Release| {
        [
            ("codeHash", claims.code_hash.is_some_and(|hash| hash != release.code_hash)),
            ("gitCommit", claims.git_commit.is_some_and(|commit| commit != release.git_commit)),
            ("release", claims.release.as_ref().is_some_and(|name| *name != release.name)),
        ]
        .into_iter()
        .find_map(|(name, wrong)| wrong.then_some(name))
    };
    let contradiction = found.iter().find_map(|release| {
        let name = wrong(release)?;
        Some(format!("core.claims.{name} is not that of release {}, which was measured", release.name))
    });
    let fitting: Vec<_> = found.into_iter().filter(|release| wrong(release).is_none()).collect();
    if fitting.is_empty() { Err(contradiction.unwrap_or_default()) } else { Ok(fitting) }
}

/// One release, or that several measure alike and the core does not say which of them it is.
fn named(releases: &[&Release]) -> String {
    let names = releases.iter().map(|release| release.name.as_str()).collect::<Vec<_>>();
    match names.as_slice() {
        [name] => format!("release {name}"),
        _ => format!(
            "one of the releases {}, which measure alike and which the core does not tell apart",
            names.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use evidence::UnixSeconds;

    use super::*;
    use crate::{Outcome, Paravisor, RegisterSet, gateway::sample::core_of, malformed};

    /// Lists [`Guest::sample`] with registers of zeros, however it was booted.
    fn release() -> Release {
        let registers = |boot| RegisterSet { name: "zeros".to_owned(), boot, values: [[0; 32]; 6], grub: None };
        Release {
            name: "1.0".to_owned(),
            code_hash: [0xc0; 32],
            git_commit: [0x91; 20],
            launch_digests: vec![[0; 48]],
            svsm_digests: vec![[0; 48]],
            paravisors: vec![Paravisor { id_key: [0; 48], family_id: [0; 16], image_id: [0; 16], min_guest_svn: 0 }],
            registers: BootKind::ALL.map(registers).to_vec(),
            policy: None,
            script: None,
            provenance: vec![],
        }
    }

    fn quotes() -> Vec<Vec<(u8, Digest)>> {
        vec![[4, 7, 11, 12, 13, 14, 15].map(|register| (register, [0; 32])).to_vec()]
    }

    struct Scene {
        core: Core,
        guest: Option<Guest>,
        quotes: Vec<Vec<(u8, Digest)>>,
        holds: bool,
        releases: Vec<Release>,
        trust: Option<Trust>,
        wanted: Grade,
    }

    impl Scene {
        /// Genuine hardware, and a list that names what it measured.
        fn of(platform: Platform, boot: &'static str) -> Self {
            Self {
                core: core_of(platform, boot),
                guest: Some(Guest::sample()),
                quotes: quotes(),
                holds: true,
                releases: vec![release()],
                trust: Some(Trust::Amd),
                wanted: Grade::None,
            }
        }

        /// What the claim `code` makes of a verdict that is otherwise good.
        fn judge(&self) -> Verdict {
            let at = UnixSeconds(0);
            let mut verdict = Verdict { trust: self.trust, checks: vec![], ..malformed("x", String::new(), "", at) };
            let mut checks = Checks::default();
            let identity =
                Identity { core: &self.core, guest: self.guest.as_ref(), quotes: &self.quotes, vtpm_holds: self.holds };
            let policy = Policy { code: self.wanted, ..Policy::strict() };
            let _found = check_code(&identity, &self.releases, &policy, &mut verdict, &mut checks);
            verdict.checks = checks.into_inner();
            verdict
        }
    }

    fn row(verdict: &Verdict) -> (Outcome, &str) {
        let check = verdict.check("code").unwrap();
        (check.outcome, &check.detail)
    }

    const KINDS: [(Platform, &str, Grade, Outcome); 5] = [
        (Platform::Baremetal, "launch", Grade::Hardware, Outcome::Pass),
        (Platform::Azure, "paravisor", Grade::Vendor, Outcome::Pass),
        (Platform::Gcp, "host", Grade::Host, Outcome::NotChecked),
        (Platform::Baremetal, "svsm", Grade::None, Outcome::NotChecked),
        (Platform::Simulated, "launch", Grade::None, Outcome::NotChecked),
    ];

    #[test]
    fn each_way_to_boot_has_its_grade_and_the_host_never_passes() {
        for (platform, boot, grade, outcome) in KINDS {
            let verdict = Scene::of(platform, boot).judge();
            assert_eq!((verdict.grade, row(&verdict).0), (grade, outcome), "{boot}");
            assert_eq!(verdict.exit_code(), 0, "{boot}");
            assert_eq!(verdict.not_proven.contains(&NotProven::CodeUnknown), grade == Grade::None, "{boot}");
        }
        let host = Scene::of(Platform::Gcp, "host").judge();
        assert!(row(&host).1.contains("vouched for by the host's vTPM"));
        assert_eq!(host.headline(), "accepted (code vouched for by the host's vTPM)");
        assert_eq!(host.word(), "accepted");
        assert_eq!(Scene::of(Platform::Azure, "paravisor").judge().headline(), "accepted");
    }

    #[test]
    fn a_policy_takes_its_grade_and_better_ones() {
        for (platform, boot, grade, _) in KINDS {
            for wanted in [Grade::None, Grade::Host, Grade::Vendor, Grade::Hardware] {
                let verdict = Scene { wanted, ..Scene::of(platform, boot) }.judge();
                let exit = if grade >= wanted { 0 } else { 5 };
                assert_eq!(verdict.exit_code(), exit, "{boot} under {}", wanted.name());
                assert_eq!(verdict.grade, grade);
                if grade == Grade::Host {
                    assert_eq!(row(&verdict).0, Outcome::NotChecked, "under {}", wanted.name());
                }
            }
        }
        assert!(Policy::strict().code > Grade::Host, "the strict policy wants to know the code");
    }

    #[test]
    fn a_named_test_root_waives_the_grade_and_has_none() {
        for (platform, boot, _, _) in KINDS {
            let scene = Scene { trust: Some(Trust::Test), wanted: Grade::Hardware, ..Scene::of(platform, boot) };
            let verdict = scene.judge();
            assert_eq!((verdict.word(), verdict.grade), ("accepted (test root)", Grade::None), "{boot}");
            assert_ne!(row(&verdict).0, Outcome::Pass);
        }
        let nobody = Scene { trust: None, ..Scene::of(Platform::Baremetal, "launch") }.judge();
        assert_eq!((nobody.word(), nobody.grade), ("rejected", Grade::None));
    }

    #[test]
    fn without_a_list_or_a_quote_nothing_says_which_code_runs() {
        for (platform, boot, ..) in KINDS {
            let no_list = Scene { releases: vec![], ..Scene::of(platform, boot) };
            let verdict = no_list.judge();
            assert_eq!((verdict.grade, row(&verdict).0), (Grade::None, Outcome::NotChecked), "{boot}");
            assert!(verdict.not_proven.contains(&NotProven::CodeUnknown));
            assert_eq!(Scene { wanted: Grade::Host, ..no_list }.judge().exit_code(), 5);
            if boot != "launch" {
                let verdict = Scene { quotes: vec![], ..Scene::of(platform, boot) }.judge();
                assert_eq!((verdict.grade, row(&verdict).0), (Grade::None, Outcome::NotChecked), "{boot}");
            }
        }
    }

    #[test]
    fn what_is_in_no_list_fails_even_under_a_policy_that_asks_for_nothing() {
        for (platform, boot, ..) in KINDS {
            let mut scene = Scene::of(platform, boot);
            if boot == "launch" {
                scene.releases[0].launch_digests = vec![[9; 48]];
            } else {
                scene.quotes[0][2].1 = [9; 32];
            }
            let verdict = scene.judge();
            assert_eq!(
                (verdict.exit_code(), verdict.grade, row(&verdict).0),
                (5, Grade::None, Outcome::Fail),
                "{boot}"
            );
            assert!(verdict.not_proven.contains(&NotProven::CodeUnknown));
        }
        let software = Scene::of(Platform::Baremetal, "software").judge();
        assert_eq!((software.exit_code(), row(&software).0), (5, Outcome::Fail));
    }

    #[test]
    fn other_code_than_the_core_says_is_refused() {
        for (platform, boot, ..) in KINDS {
            let mut scene = Scene::of(platform, boot);
            scene.core.claims.code_hash = Some([0xc0; 32]);
            scene.core.claims.git_commit = Some([0x91; 20]);
            assert_eq!(scene.judge().exit_code(), 0, "{boot}");
            scene.core.claims.git_commit = Some([0x92; 20]);
            let verdict = scene.judge();
            assert_eq!(
                (verdict.exit_code(), verdict.grade, row(&verdict).0),
                (6, Grade::None, Outcome::Fail),
                "{boot}"
            );
            assert!(row(&verdict).1.contains("core.claims.gitCommit"));
        }
    }

    #[test]
    fn releases_that_measure_alike_are_told_apart_by_the_core_or_all_named() {
        let mut scene = Scene::of(Platform::Baremetal, "launch");
        scene.releases = ["1.0", "1.1", "1.2"].map(|name| Release { name: name.to_owned(), ..release() }).to_vec();
        scene.releases[2].code_hash = [0xc2; 32];
        let verdict = scene.judge();
        assert_eq!((verdict.grade, row(&verdict).0), (Grade::Hardware, Outcome::Pass));
        assert!(row(&verdict).1.starts_with("one of the releases 1.0, 1.1, 1.2, which measure alike"));
        scene.core.claims.code_hash = Some([0xc0; 32]);
        assert!(row(&scene.judge()).1.starts_with("one of the releases 1.0, 1.1, which"), "{:?}", row(&scene.judge()));
        scene.core.claims.release = Some("1.1".to_owned());
        assert!(row(&scene.judge()).1.starts_with("release 1.1: "));
        scene.core.claims.release = Some("1.2".to_owned());
        let verdict = scene.judge();
        assert_eq!((verdict.exit_code(), row(&verdict).0), (6, Outcome::Fail), "1.2 has another hash");
    }

    #[test]
    fn a_guest_that_others_may_enter_has_no_grade() {
        for door in ["the host may debug this guest", "an agent may move this guest"] {
            let mut scene = Scene::of(Platform::Baremetal, "launch");
            scene.guest.as_mut().unwrap().open_door = Some(door);
            let verdict = scene.judge();
            assert_eq!((verdict.grade, row(&verdict).0), (Grade::None, Outcome::NotChecked));
            assert!(row(&verdict).1.contains(door));
        }
    }

    #[test]
    fn what_does_not_hold_is_not_looked_up() {
        for scene in [
            Scene { guest: None, ..Scene::of(Platform::Azure, "paravisor") },
            Scene { holds: false, ..Scene::of(Platform::Azure, "paravisor") },
        ] {
            let verdict = scene.judge();
            assert_eq!((verdict.grade, row(&verdict).0), (Grade::None, Outcome::NotChecked));
            assert_ne!(verdict.exit_code(), 0);
        }
    }
}
