//! The claim `code`: which code runs, and on whose word (docs/WIRE.md, "Code identity"). What was measured is looked up
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
    Known { release: &'r Release, grade: Grade, why: &'static str },
}

/// Adds the row `code`, and sets the grade.
pub(crate) fn check_code(
    identity: &Identity<'_>,
    releases: &[Release],
    policy: &Policy,
    verdict: &mut Verdict,
    checks: &mut Checks,
) {
    name_witnesses(identity, verdict);
    let finding = find(identity, releases, verdict.trust);
    let grade = match finding {
        Finding::Known { grade, .. } => grade,
        _ => Grade::None,
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
            const FIX: &str = "the machine does not run a release you listed; update the list, or do not rely on it";
            checks.fail("code", Class::Policy, unlisted.to_string(), FIX);
        }
        Finding::Contradicted(detail) => {
            const FIX: &str = "the gateway says it is other code than was measured: do not rely on it";
            checks.fail("code", Class::Binding, detail, FIX);
        }
        Finding::Unknown(detail) => take(checks, policy.code == Grade::None || waived, &detail, &lacks(&detail)),
        Finding::Known { release, grade, why } => {
            let detail = format!("release {}: {why}", release.name);
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
    let release = match agreeing(&found, identity.core) {
        Ok(release) => release,
        Err(detail) => return Finding::Contradicted(detail),
    };
    if let Some(door) = guest.open_door {
        let detail = format!("release {} was measured, but {door}: it need not be what runs", release.name);
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
    Finding::Known { release, grade, why }
}

/// The release that fits what the core says of itself, or in what the first one does not.
fn agreeing<'r>(found: &[&'r Release], core: &Core) -> Result<&'r Release, String> {
    let claims = &core.claims;
    let mut first = None;
    for release in found {
        let wrong = [
            ("codeHash", claims.code_hash.is_some_and(|hash| hash != release.code_hash)),
            ("gitCommit", claims.git_commit.is_some_and(|commit| commit != release.git_commit)),
            ("release", claims.release.as_ref().is_some_and(|name| *name != release.name)),
        ];
        match wrong.iter().find(|(_, wrong)| *wrong) {
            None => return Ok(release),
            Some((name, _)) => {
                first.get_or_insert_with(|| {
                    format!("core.claims.{name} is not that of release {}, which was measured", release.name)
                });
            }
        }
    }
    Err(first.unwrap_or_default())
}
