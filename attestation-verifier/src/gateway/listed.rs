//! What a release lists beside its code, held against what the bundle carries of it: the policy of the states, the served
//! script, the provenance file (docs/WIRE.md, "Release manifest").

use evidence::{
    Digest,
    bundle::Bundle,
    served_script::{ServedScript, ServedScriptError},
};
use sha2::{Digest as _, Sha256};

use crate::{AttestedState, Class, Outcome, Release, appraisal::Checks};

/// The releases in question: those that were measured, or, where nothing was, all that count.
pub(crate) struct Listed<'r> {
    releases: Vec<&'r Release>,
}

impl<'r> Listed<'r> {
    pub(crate) fn of(measured: &[&'r Release], all: &'r [Release]) -> Self {
        Self { releases: if measured.is_empty() { all.iter().collect() } else { measured.to_vec() } }
    }

    /// Adds the rows `release-policy`, `release-script` and `release-provenance` if a manifest counts. `served` is the
    /// bundle as it came.
    pub(crate) fn check(&self, served: &[u8], bundle: &Bundle, states: &[AttestedState], checks: &mut Checks) {
        if checks.find("release").is_none_or(|row| row.outcome != Outcome::Pass) {
            return;
        }
        self.check_policy(states, checks);
        self.check_script(served, bundle, checks);
        self.check_provenance(bundle.provenance.as_deref(), checks);
    }

    /// Every state that names a policy has to name that of the release.
    fn check_policy(&self, states: &[AttestedState], checks: &mut Checks) {
        const ROW: &str = "release-policy";
        let Some(listed) = self.each(|release| release.policy.as_slice()) else {
            return checks.note(ROW, Class::Binding, "the release names no policy");
        };
        for (seq, AttestedState { state, .. }) in states.iter().enumerate() {
            if let Some(found) = state.policy.filter(|found| !listed.contains(&found)) {
                let found = hex::encode(found);
                let detail =
                    format!("bundle.states[{seq}].policy is {found}, that of {} {}", self.names(), text(&listed));
                const FIX: &str = "the gateway runs under another policy than was released: ask its operator why";
                return checks.fail(ROW, Class::Binding, detail, FIX);
            }
        }
        match states.last().and_then(|newest| newest.state.policy) {
            Some(policy) => checks.pass(ROW, Class::Binding, format!("{}, as released", hex::encode(policy))),
            None => checks.note(ROW, Class::Binding, "the newest state names no policy that could be compared"),
        }
    }

    /// The script is looked at only here: nothing that the verdict rests on comes from it.
    fn check_script(&self, served: &[u8], bundle: &Bundle, checks: &mut Checks) {
        const ROW: &str = "release-script";
        const FIX: &str = "do not run the script that came with it; take scripts/verify-bundle of the release";
        let script = match ServedScript::of_bundle(served) {
            Ok(Some(script)) => script,
            Ok(None) => return checks.note(ROW, Class::Binding, "the bundle came without the served script"),
            Err(error) => return checks.fail(ROW, Class::Binding, error.to_string(), FIX),
        };
        let Some(listed) = self.each(|release| release.script.as_slice()) else {
            return checks.note(ROW, Class::Binding, "the release names no script");
        };
        let found: Digest = Sha256::digest(script.program).into();
        let wrong = if !listed.contains(&&found) {
            Some(format!(
                "the served script has SHA-256 {}, that of {} {}",
                hex::encode(found),
                self.names(),
                text(&listed)
            ))
        } else if script.sha256 != found {
            Some(format!(
                "bundle.offlineVerification.sha256 is {}, the script's {}",
                hex::encode(script.sha256),
                hex::encode(found)
            ))
        } else if Bundle::from_bytes(&script.bundle).as_ref() != Ok(bundle) {
            Some(ServedScriptError::OtherBundle.to_string())
        } else {
            None
        };
        match wrong {
            Some(wrong) => checks.fail(ROW, Class::Binding, wrong, FIX),
            None => checks.pass(ROW, Class::Binding, format!("{}, as released, about this bundle", hex::encode(found))),
        }
    }

    fn check_provenance(&self, carried: Option<&[u8]>, checks: &mut Checks) {
        const ROW: &str = "release-provenance";
        let Some(listed) = self.each(|release| release.provenance.as_slice()) else {
            return checks.note(ROW, Class::Binding, "the release lists no provenance file");
        };
        let Some(carried) = carried else {
            return checks.note(ROW, Class::Binding, "the bundle carries no provenance file");
        };
        let found: Digest = Sha256::digest(carried).into();
        if listed.contains(&&found) {
            return checks.pass(
                ROW,
                Class::Binding,
                format!("the carried file is {}, as released", hex::encode(found)),
            );
        }
        let detail =
            format!("the carried file has SHA-256 {}, {} lists {}", hex::encode(found), self.names(), text(&listed));
        const FIX: &str = "the gateway shows another statement than was released: do not rely on it";
        checks.fail(ROW, Class::Binding, detail, FIX);
    }

    /// What all of them list; `None` if one of them says nothing, for that one could be it.
    fn each(&self, of: impl Fn(&'r Release) -> &'r [Digest]) -> Option<Vec<&'r Digest>> {
        let listed: Vec<_> = self.releases.iter().map(|release| of(release)).collect();
        let silent = listed.iter().any(|digests| digests.is_empty());
        (!silent).then(|| listed.into_iter().flatten().collect())
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.releases.iter().map(|release| release.name.as_str()).collect();
        format!("release {}", names.join(" or "))
    }
}

fn text(digests: &[&Digest]) -> String {
    digests.iter().map(hex::encode).collect::<Vec<_>>().join(" or ")
}
