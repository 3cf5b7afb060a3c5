//! Operators, who may be held to signing every request.

use std::collections::BTreeSet;

use evidence::Wallet;

use crate::{Authentication, By, IdentityError};

/// The wallets of `OPERATOR_WALLETS`, and `ERC8128_ENFORCE_OPERATOR_MCP`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Operators {
    /// Who they are.
    pub wallets: BTreeSet<Wallet>,
    /// Whether they must sign each request.
    pub must_sign: bool,
}

impl Operators {
    /// Refuses an operator who shows a bearer only, if they must sign.
    ///
    /// # Errors
    /// [`IdentityError::SignatureMissing`].
    pub fn admit(&self, who: &Authentication) -> Result<(), IdentityError> {
        let operator = who.wallet.is_some_and(|wallet| self.wallets.contains(&wallet));
        if self.must_sign && operator && who.by != By::Signature {
            return Err(IdentityError::SignatureMissing);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_of_an_operator_is_refused_and_only_if_operators_must_sign() {
        let (operator, other) = (Wallet::new([1; 20]), Wallet::new([2; 20]));
        let rule = |must_sign| Operators { wallets: BTreeSet::from([operator]), must_sign };
        let who = |wallet, by| Authentication { wallet, by, bearer_ignored: false };
        for by in [By::WalletToken, By::Session] {
            let refused = rule(true).admit(&who(Some(operator), by));
            assert_eq!(refused, Err(IdentityError::SignatureMissing));
            assert_eq!(rule(false).admit(&who(Some(operator), by)), Ok(()));
            assert_eq!(rule(true).admit(&who(Some(other), by)), Ok(()));
        }
        assert_eq!(rule(true).admit(&who(Some(operator), By::Signature)), Ok(()));
        assert_eq!(rule(true).admit(&who(None, By::Nothing)), Ok(()));
    }
}
