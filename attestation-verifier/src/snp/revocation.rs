//! What the lists say about the intermediate of a chain.

use evidence::UnixSeconds;

use crate::{
    CertificateError, Chain, ChainError, Class, Collateral, Crl, CrlError, Crypto, Freshness, Link, Need, Policy,
    Revocation, StaleCrl, Unverified, Verified, appraisal::Checks, clock,
};

/// What the lists say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Finding {
    /// No list was given.
    NoList,
    /// A list by the root names the intermediate.
    Revoked(Revocation),
    /// The newest list by the root that counts at the time does not name it; in words, which and why it counts.
    Clear(String),
    /// Lists by the root, none of which counts at the time, do not name it; in words, the newest.
    OutOfDate(String),
    /// A list that the caller named cannot be used.
    Unusable(CrlError),
}

/// Reads every list. A revocation outranks everything, a damaged list that the caller named outranks a good one, and of
/// lists that do not revoke the newest counts.
pub(crate) fn consult(
    collateral: &Collateral,
    chain: &Chain<'_>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> Finding {
    let (mut unusable, mut revoked) = (None, None);
    let (mut stale, mut clear): (Option<Newest>, Option<Newest>) = (None, None);
    let named = collateral.crls.iter().map(|der| (der, true));
    for (der, named) in named.chain(collateral.host_crls.iter().map(|der| (der, false))) {
        let list = match Crl::parse(der).and_then(|list| Unverified(list).verify(chain.root(), crypto)) {
            Ok(list) => list,
            Err(error) if named => {
                unusable = Some(error);
                continue;
            }
            Err(_) => continue,
        };
        if let Some(revocation) = list.revokes(chain.intermediate()) {
            revoked = revoked.or(Some(revocation));
        }
        let found = Newest::of(&list);
        match accepted(&list, policy, at) {
            Ok(why) => found.replaces(&mut clear, why),
            // A host cannot make us reject by serving an old list.
            Err(why) if named || policy.stale_crl == StaleCrl::Warn => found.replaces(&mut stale, why),
            Err(_) => {}
        }
    }
    match (revoked, unusable, clear, stale) {
        (Some(revocation), ..) => Finding::Revoked(revocation),
        (None, Some(error), ..) => Finding::Unusable(error),
        (None, None, Some(list), _) => Finding::Clear(list.words),
        (None, None, None, Some(list)) => Finding::OutOfDate(list.words),
        (None, None, None, None) => Finding::NoList,
    }
}

/// The newest list so far: by number, then by thisUpdate.
struct Newest {
    rank: (Option<u64>, UnixSeconds),
    words: String,
}

impl Newest {
    fn of(list: &Crl<'_>) -> Self {
        let (this, next) = list.updates();
        let number = list.number().map_or("without a number".to_owned(), |number| format!("number {number}"));
        let next = next.map_or("(open)".to_owned(), clock::text);
        Self { rank: (list.number(), this), words: format!("{number}, {} to {next}", clock::text(this)) }
    }

    fn replaces(mut self, slot: &mut Option<Self>, why: &str) {
        self.words.push_str(why);
        if slot.as_ref().is_none_or(|older| older.rank < self.rank) {
            *slot = Some(self);
        }
    }
}

/// Does the list count at this time? In words why, or why not.
fn accepted(list: &Verified<Crl<'_>>, policy: &Policy, at: UnixSeconds) -> Result<&'static str, &'static str> {
    match (list.freshness(at), policy.stale_crl, list.updates().1) {
        (Freshness::Current, ..) => Ok(""),
        (Freshness::NotYet, ..) => Err(", not valid yet"),
        (Freshness::Stale, StaleCrl::AcceptUntil { days }, Some(UnixSeconds(next))) => {
            let until = next.saturating_add(u64::from(days) * 86_400);
            if at.0 <= until {
                Ok(", past its nextUpdate by no more than the policy accepts")
            } else {
                Err(", past its nextUpdate by more than the policy accepts")
            }
        }
        (Freshness::Stale, ..) => Err(", past its nextUpdate"),
    }
}

/// Writes the line. `broken` is how the chain failed, if it did.
pub(crate) fn report(finding: Option<Finding>, broken: Option<&ChainError>, policy: &Policy, checks: &mut Checks) {
    const NAME: &str = "revocation";
    // A serial number is the root's to give: a certificate that the root did not sign cannot be revoked by it.
    let genuine = match broken {
        None => true,
        Some(ChainError::NotPinned { .. } | ChainError::Certificate { link: Link::Vek, .. }) => true,
        Some(ChainError::Certificate { link: Link::Intermediate, error: CertificateError::Dates { .. } }) => true,
        Some(_) => false,
    };
    match finding {
        Some(Finding::Revoked(revocation)) if genuine => {
            let list =
                revocation.list.map_or("the list without a number".to_owned(), |list| format!("list number {list}"));
            let detail = format!(
                "{list} of the root names the intermediate, serial {}, since {}, {}",
                hex::encode(&revocation.serial),
                clock::text(revocation.since),
                revocation.reason.map_or("without a reason".to_owned(), |reason| format!("reason {reason}"))
            );
            checks.fail(NAME, Class::Revoked, detail, "the evidence has to come with an intermediate that is in use");
        }
        _ if broken.is_some() => open(policy, checks, "the chain does not hold"),
        Some(Finding::Unusable(error)) => {
            checks.fail(NAME, Class::Revoked, format!("crl: {error}"), error.fix());
        }
        Some(Finding::Clear(list)) => {
            checks.pass(NAME, Class::Revoked, format!("not on the root's list {list}"));
        }
        Some(Finding::OutOfDate(list)) if policy.stale_crl != StaleCrl::Warn => {
            let detail = format!("crl: {list}; it cannot vouch for the time of verification");
            checks.fail(NAME, Class::Revoked, detail, "give a current list, or name a time within its dates with --at");
        }
        Some(Finding::OutOfDate(list)) => {
            open(
                policy,
                checks,
                &format!("not on the root's list {list}; it cannot vouch for the time of verification"),
            );
        }
        Some(Finding::Revoked(_) | Finding::NoList) | None => open(policy, checks, "no list given (--crl)"),
    }
}

/// There is no chain for a list to say something about.
pub(crate) fn without_chain(collateral: &Collateral, policy: &Policy, checks: &mut Checks) {
    let detail = if collateral.crls.is_empty() { "no list given (--crl)" } else { "no chain for the list to speak of" };
    open(policy, checks, detail);
}

fn open(policy: &Policy, checks: &mut Checks, detail: &str) {
    match policy.revocation {
        Need::Required => checks.open("revocation", Class::Policy, detail),
        Need::Optional => checks.note("revocation", Class::Revoked, detail),
    }
}
