//! A caller's wish that a server runs before it is called: it costs nothing, nothing comes of it, nothing is proven.
//!
//! ```compile_fail,E0599
//! // A wish that nobody permitted starts nothing.
//! fn skip(wish: gate::Warming) -> gate::Warrant {
//!     wish.warrant()
//! }
//! ```

use evidence::ServerId;

use crate::{
    identity::{Authentication, OperatorRule, Principal},
    refusal::Refusal,
    stage::Unverified,
    warrant::Warrant,
};

/// Somebody wants this server to run for them. Anyone may say so.
#[derive(Debug)]
pub struct WarmUp {
    /// The server.
    pub server: ServerId,
}

/// The wish of a known wallet.
#[derive(Debug)]
pub struct Warming {
    server: ServerId,
    principal: Principal,
}

/// A wish that may come true: code of this server may run for this wallet.
#[derive(Debug)]
pub struct Warmable {
    warming: Warming,
}

impl Unverified<WarmUp> {
    /// Who wants it? Strangers have nothing that would be warm when they come back.
    ///
    /// # Errors
    /// [`Refusal::WalletRequired`], or what was shown is not enough for whom it names.
    pub fn identify(self, found: Authentication, rule: &OperatorRule) -> Result<Warming, Refusal> {
        let principal = rule.admit(found)?;
        principal.wallet().ok_or(Refusal::WalletRequired)?;
        Ok(Warming { server: self.0.server, principal })
    }
}

impl Warming {
    /// Who wants it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// May they? `name` is the server's, `required` the secrets without which it is of no use, `stored` what the caller
    /// has stored for it.
    ///
    /// # Errors
    /// [`Refusal::MissingSecrets`], as a call would hear it.
    pub fn permit(self, name: &str, required: &[&str], stored: &[String]) -> Result<Warmable, Refusal> {
        let missing = required.iter().filter(|name| !stored.iter().any(|stored| stored == *name));
        let missing: Vec<String> = missing.map(|name| (*name).to_owned()).collect();
        if missing.is_empty() {
            Ok(Warmable { warming: self })
        } else {
            Err(Refusal::MissingSecrets { server: name.to_owned(), id: self.server, missing })
        }
    }
}

impl Warmable {
    /// Who wants it.
    pub fn principal(&self) -> &Principal {
        &self.warming.principal
    }

    /// Permission to run code of the server, for nobody's call yet.
    pub fn warrant(&self) -> Warrant {
        Warrant::for_warming(self.warming.server.clone())
    }
}

#[cfg(test)]
mod tests {
    use evidence::Wallet;

    use super::*;
    use crate::{RunReason, Shown};

    fn wish(found: Authentication, rule: &OperatorRule) -> Result<Warming, Refusal> {
        let server = "0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f".parse().unwrap();
        Unverified(WarmUp { server }).identify(found, rule)
    }

    #[test]
    fn a_wallet_warms_what_it_has_the_secrets_for_and_strangers_warm_nothing() {
        let wallet = Wallet::new([1; 20]);
        let session = Authentication { principal: Principal::Wallet(wallet), shown: Shown::Session };
        let everybody = OperatorRule::default();
        assert_eq!(wish(Authentication::NOBODY, &everybody).unwrap_err(), Refusal::WalletRequired);
        assert_eq!(wish(session, &OperatorRule::of([wallet])).unwrap_err(), Refusal::SignatureRequired);
        let missing = wish(session, &everybody).unwrap().permit("echo", &["API_KEY"], &[]).unwrap_err();
        assert!(matches!(missing, Refusal::MissingSecrets { missing, .. } if missing == ["API_KEY"]));
        let warm = wish(session, &everybody).unwrap().permit("echo", &["API_KEY"], &["API_KEY".into()]).unwrap();
        assert_eq!(warm.warrant().reason(), RunReason::Warming);
        assert_eq!(warm.principal(), &Principal::Wallet(wallet));
    }
}
