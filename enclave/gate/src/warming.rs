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
    offer::Listing,
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

    /// May they? `secrets`: names of those that the caller has stored for the server.
    ///
    /// # Errors
    /// The server is unknown or cannot run, or a required secret is missing, as a call would hear it.
    pub fn permit(self, listing: &impl Listing, secrets: &[String]) -> Result<Warmable, Refusal> {
        listing.look_up_server(&self.server)?.missing(&self.server, secrets)?;
        Ok(Warmable { warming: self })
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
    use crate::{Call, Listed, ListedServer, RunReason, Shown};

    struct Echo;

    impl Listing for Echo {
        fn look_up(&self, _call: &Call) -> Result<Listed, Refusal> {
            Err(Refusal::Internal { part: "not asked for here" })
        }

        fn look_up_server(&self, _server: &ServerId) -> Result<ListedServer, Refusal> {
            Ok(ListedServer { server: "echo".into(), required_secrets: vec!["API_KEY".into()] })
        }
    }

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
        let missing = wish(session, &everybody).unwrap().permit(&Echo, &[]).unwrap_err();
        assert!(matches!(missing, Refusal::MissingSecrets { missing, .. } if missing == ["API_KEY"]));
        let warm = wish(session, &everybody).unwrap().permit(&Echo, &["API_KEY".into()]).unwrap();
        assert_eq!(warm.warrant().reason(), RunReason::Warming);
        assert_eq!(warm.principal(), &Principal::Wallet(wallet));
    }
}
