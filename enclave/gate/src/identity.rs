//! Who is calling.

use std::collections::BTreeSet;

use evidence::Wallet;

use crate::refusal::Refusal;

/// Who is calling, once it is known.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Principal {
    /// Nobody in particular.
    Anonymous,
    /// Whoever holds the key of this account. One person is one principal on every chain.
    Wallet(Wallet),
}

impl Principal {
    /// The name that goes into a callerRef (docs/WIRE.md, P2). Anonymous callers have none.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Anonymous => None,
            Self::Wallet(wallet) => Some(format!("wallet:{wallet}")),
        }
    }

    /// The account, if there is one.
    pub fn wallet(&self) -> Option<&Wallet> {
        match self {
            Self::Anonymous => None,
            Self::Wallet(wallet) => Some(wallet),
        }
    }
}

/// How callers showed who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// They did not.
    Nothing,
    /// A wallet token: whoever holds it can show it.
    WalletToken,
    /// A session of at most a day: whoever holds it can show it.
    Session,
    /// A signature over this very request.
    Signature,
}

/// What an identity adapter found in a request. A credential that is shown and does not hold is never one of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Authentication {
    /// Who.
    pub principal: Principal,
    /// How they showed it.
    pub shown: Shown,
}

impl Authentication {
    /// Nobody, who showed nothing.
    pub const NOBODY: Self = Self { principal: Principal::Anonymous, shown: Shown::Nothing };
}

/// Which wallets must sign every request, because what they may do is worth stealing a token for.
#[derive(Clone, Debug, Default)]
pub struct OperatorRule {
    signers: BTreeSet<Wallet>,
}

impl OperatorRule {
    /// These wallets must sign.
    pub fn of(signers: impl IntoIterator<Item = Wallet>) -> Self {
        Self { signers: signers.into_iter().collect() }
    }

    /// How many they are.
    pub fn signers(&self) -> usize {
        self.signers.len()
    }

    /// The principal, if what was shown is enough for it.
    ///
    /// # Errors
    /// [`Refusal::SignatureRequired`]
    pub fn admit(&self, found: Authentication) -> Result<Principal, Refusal> {
        match (found.principal, found.shown) {
            (Principal::Wallet(wallet), Shown::WalletToken | Shown::Session) if self.signers.contains(&wallet) => {
                Err(Refusal::SignatureRequired)
            }
            (principal, _) => Ok(principal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_who_shows_only_a_bearer_is_refused_and_everybody_else_is_not() {
        let (operator, other) = (Wallet::new([1; 20]), Wallet::new([2; 20]));
        let rule = OperatorRule::of([operator]);
        let admit = |wallet, shown| rule.admit(Authentication { principal: Principal::Wallet(wallet), shown });
        for bearer in [Shown::WalletToken, Shown::Session] {
            assert_eq!(admit(operator, bearer), Err(Refusal::SignatureRequired));
            assert_eq!(admit(other, bearer), Ok(Principal::Wallet(other)));
        }
        assert_eq!(admit(operator, Shown::Signature), Ok(Principal::Wallet(operator)));
        assert_eq!(rule.admit(Authentication::NOBODY), Ok(Principal::Anonymous));
    }

    #[test]
    fn a_principal_is_named_by_its_address_in_lower_case() {
        let wallet = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf".parse().unwrap();
        let name = Principal::Wallet(wallet).name();
        assert_eq!(name.as_deref(), Some("wallet:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"));
        assert_eq!(Principal::Anonymous.name(), None);
    }
}
