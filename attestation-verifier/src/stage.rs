//! Check once, keep the proof.

use std::ops::Deref;

/// Something a stranger handed us. Anyone may build one.
#[derive(Clone, Debug)]
pub struct Unverified<T>(pub T);

/// The same thing after its check. Only this crate's checks make one, so a function that asks for it cannot be called
/// by someone who forgot the check:
///
/// ```compile_fail,E0423
/// use attestation_verifier::{SignedReport, Verified};
///
/// fn skip_the_check(report: SignedReport<'_>) -> Verified<SignedReport<'_>> {
///     Verified(report)
/// }
/// ```
///
/// The door that does exist:
///
/// ```
/// use attestation_verifier::{Chain, Crypto, SignatureError, SignedReport, Unverified, Verified};
///
/// fn check<'a>(
///     report: SignedReport<'a>,
///     chain: &Verified<Chain<'_>>,
///     crypto: &impl Crypto,
/// ) -> Result<Verified<SignedReport<'a>>, SignatureError> {
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
