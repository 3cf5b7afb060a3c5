//! What the lists say about the intermediate of a chain.

use evidence::UnixSeconds;

use crate::{
    CertificateError, Chain, ChainError, Class, Collateral, Crl, CrlError, Crypto, Freshness, Link, Need, Policy,
    StaleCrl, Unverified, appraisal::Checks, clock,
};

/// What the lists say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Finding {
    /// No list was given.
    NoList,
    /// A list by the root names the intermediate.
    Revoked,
    /// A list by the root, current at the time, does not name it.
    Clear(String),
    /// Lists by the root, none of them current, do not name it.
    OutOfDate(String),
    /// A list that the caller named cannot be used.
    Unusable(CrlError),
}

/// Reads every list. A revocation outranks everything, a damaged list that the caller named outranks a good one.
pub(crate) fn consult(
    collateral: &Collateral,
    chain: &Chain<'_>,
    policy: &Policy,
    at: UnixSeconds,
    crypto: &impl Crypto,
) -> Finding {
    let (mut unusable, mut stale, mut clear) = (None, None, None);
    let named = collateral.crls.iter().map(|der| (der, true));
    for (der, named) in named.chain(collateral.host_crl.iter().map(|der| (der, false))) {
        let list = match Crl::parse(der).and_then(|list| Unverified(list).verify(chain.root(), crypto)) {
            Ok(list) => list,
            Err(error) if named => {
                unusable = Some(error);
                continue;
            }
            Err(_) => continue,
        };
        if list.revokes(chain.intermediate()) {
            return Finding::Revoked;
        }
        let (this, next) = list.updates();
        let span = format!("{} to {}", clock::text(this), next.map_or("(open)".to_owned(), clock::text));
        match list.freshness(at) {
            Freshness::Current => clear = Some(span),
            // A host cannot make us reject by serving an old list.
            _ if named || policy.stale_crl == StaleCrl::Warn => stale = Some(span),
            _ => {}
        }
    }
    match (unusable, clear, stale) {
        (Some(error), ..) => Finding::Unusable(error),
        (None, Some(span), _) => Finding::Clear(span),
        (None, None, Some(span)) => Finding::OutOfDate(span),
        (None, None, None) => Finding::NoList,
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
        Some(Finding::Revoked) if genuine => {
            let detail = "a list signed by the root names the intermediate".into();
            checks.fail(NAME, Class::Revoked, detail, "the evidence has to come with an intermediate that is in use");
        }
        _ if broken.is_some() => open(policy, checks, "the chain does not hold"),
        Some(Finding::Unusable(error)) => {
            checks.fail(NAME, Class::Revoked, format!("crl: {error}"), error.fix());
        }
        Some(Finding::Clear(span)) => {
            checks.pass(NAME, Class::Revoked, format!("not on the root's list of {span}"));
        }
        Some(Finding::OutOfDate(span)) if policy.stale_crl != StaleCrl::Warn => {
            let detail = format!("crl: valid {span}, not at the time of verification");
            checks.fail(NAME, Class::Revoked, detail, "give a current list, or name a time within its dates with --at");
        }
        Some(Finding::OutOfDate(span)) => {
            open(policy, checks, &format!("not on the root's list of {span}, which is out of date"));
        }
        Some(Finding::Revoked | Finding::NoList) | None => open(policy, checks, "no list given (--crl)"),
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
