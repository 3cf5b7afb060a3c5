//! Check once, keep the proof: [`Unverified`] → [`Verified`] (a signature holds) → [`Appraised`] (a policy accepts).

use std::ops::Deref;

use crate::Verdict;

/// Something a stranger handed us. Anyone may build one.
#[derive(Clone, Debug)]
pub struct Unverified<T>(pub T);

/// The same thing after its check. Only this crate's checks make one, so a function that asks for it cannot be called
/// by someone who forgot the check:
///
/// ```compile_fail,E0423
/// use attestation_verifier::{AttributedReport, Verified};
///
/// fn skip_the_check(report: AttributedReport<'_>) -> Verified<AttributedReport<'_>> {
///     Verified(report)
/// }
/// ```
///
/// The door that does exist:
///
/// ```
/// use attestation_verifier::{AttributedReport, Chain, Crypto, SignatureError, SignedReport, Unverified, Verified};
///
/// fn check<'a>(
///     report: SignedReport<'a>,
///     chain: &Verified<Chain<'_>>,
///     crypto: &impl Crypto,
/// ) -> Result<Verified<AttributedReport<'a>>, SignatureError> {
///     Unverified(report).verify(chain, crypto)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Only to be called by the check that the type stands for.
    pub(crate) fn by_check(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What an appraisal accepted: every check that the policy requires has passed, none has failed, and a root vouches for
/// it. The only doors are [`crate::Appraisal::accepted`] and [`crate::BundleAppraisal::accepted`], so a function that asks for this cannot be called with evidence
/// that was merely signed:
///
/// ```compile_fail,E0423
/// use attestation_verifier::{Appraised, Report};
///
/// fn skip_the_policy(report: Report<'_>) -> Appraised<Report<'_>> {
///     Appraised(report)
/// }
/// ```
///
/// A verified signature is not enough:
///
/// ```compile_fail,E0308
/// use attestation_verifier::{Appraised, Report, Verified};
///
/// fn release_a_key(to: &Appraised<Report<'_>>) {}
///
/// fn signed_by_some_chip(report: &Verified<Report<'_>>) {
///     release_a_key(report);
/// }
/// ```
///
/// Neither does changing a verdict make one: an [`crate::Appraisal`] is made by appraising and not otherwise.
///
/// ```compile_fail,E0451
/// use attestation_verifier::{Appraisal, Verdict};
///
/// fn from_a_verdict_of_my_own(verdict: Verdict) -> Appraisal<'static> {
///     Appraisal { verdict, report: None, chain: None, claims: None, admitted: None }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Appraised<T> {
    value: T,
    verdict: Verdict,
}

impl<T> Appraised<T> {
    /// Only to be called by an appraisal, and refused by whatever stands in the verdict.
    pub(crate) fn by_verdict(value: T, verdict: Verdict) -> Result<Self, Box<Verdict>> {
        match verdict.rejection() {
            None => Ok(Self { value, verdict }),
            Some(_) => Err(Box::new(verdict)),
        }
    }

    /// The verdict that accepted it: under whose root ([`Verdict::trust`]), and what it leaves open.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

impl<T> Deref for Appraised<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
