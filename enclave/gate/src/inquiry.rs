//! Requests other than tool calls: reading a resource, getting a prompt, completing an argument, subscribing. They run code
//! of a server, so they pass the same doors up to the warrant: `Unverified → Identified → Permitted`. They cost nothing and
//! have no proof, so there is nothing behind.
//!
//! ```compile_fail,E0599
//! // An inquiry that nobody permitted gives no warrant.
//! fn skip(inquiry: gate::IdentifiedInquiry) -> gate::Warrant {
//!     inquiry.warrant()
//! }
//! ```

use evidence::ServerId;

use crate::{
    identity::{Authentication, OperatorRule, Principal},
    offer::{ListedServer, Listing},
    refusal::Refusal,
    stage::Unverified,
    warrant::Warrant,
};

/// What a caller wants to know of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inquiry {
    /// The server that is to be asked.
    pub server: ServerId,
}

/// An inquiry whose caller is known.
#[derive(Debug)]
pub struct IdentifiedInquiry {
    inquiry: Inquiry,
    principal: Principal,
}

/// An inquiry that this caller may make. Code may run for it.
#[derive(Debug)]
pub struct PermittedInquiry {
    identified: IdentifiedInquiry,
}

impl Unverified<Inquiry> {
    /// Who is asking?
    ///
    /// # Errors
    /// What was shown is not enough for whom it names.
    pub fn identify_inquirer(self, found: Authentication, rule: &OperatorRule) -> Result<IdentifiedInquiry, Refusal> {
        let principal = rule.admit(found)?;
        Ok(IdentifiedInquiry { inquiry: self.0, principal })
    }
}

impl IdentifiedInquiry {
    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The server that is to be asked.
    pub fn server(&self) -> &ServerId {
        &self.inquiry.server
    }

    /// May they? `secrets`: names of those that the caller has stored for the server.
    ///
    /// # Errors
    /// The server is unknown or cannot run, or a required secret is missing.
    pub fn permit(self, listing: &impl Listing, secrets: &[String]) -> Result<PermittedInquiry, Refusal> {
        let listed = listing.look_up_server(&self.inquiry.server)?;
        listed.missing(&self.inquiry.server, secrets)?;
        Ok(PermittedInquiry { identified: self })
    }
}

impl PermittedInquiry {
    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.identified.principal
    }

    /// The server that is to be asked.
    pub fn server(&self) -> &ServerId {
        &self.identified.inquiry.server
    }

    /// Permission to run code of that server.
    pub fn warrant(&self) -> Warrant {
        Warrant::for_inquiry(self.identified.inquiry.server.clone())
    }
}

impl ListedServer {
    /// Whether all required secrets are among these.
    pub(crate) fn missing(&self, id: &ServerId, secrets: &[String]) -> Result<(), Refusal> {
        let missing: Vec<String> =
            self.required_secrets.iter().filter(|required| !secrets.contains(required)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Refusal::MissingSecrets { server: self.server.clone(), id: id.clone(), missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, Listed};

    struct One;

    impl Listing for One {
        fn look_up(&self, _call: &Call) -> Result<Listed, Refusal> {
            Err(Refusal::Internal { part: "not asked for here" })
        }

        fn look_up_server(&self, server: &ServerId) -> Result<ListedServer, Refusal> {
            if server.as_str().ends_with('0') {
                Ok(ListedServer { server: "notes".into(), required_secrets: vec!["API_KEY".into()] })
            } else {
                Err(Refusal::UnknownServer { asked: server.to_string(), closest: None })
            }
        }
    }

    fn asked(last: char) -> IdentifiedInquiry {
        let server = format!("0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1{last}").parse().unwrap();
        Unverified(Inquiry { server }).identify_inquirer(Authentication::NOBODY, &OperatorRule::default()).unwrap()
    }

    #[test]
    fn an_inquiry_needs_a_known_server_and_its_secrets_and_gets_a_warrant_for_that_server_alone() {
        assert!(matches!(asked('1').permit(&One, &[]), Err(Refusal::UnknownServer { .. })));
        let refused = asked('0').permit(&One, &[]).unwrap_err();
        assert!(matches!(refused, Refusal::MissingSecrets { missing, .. } if missing == ["API_KEY"]));
        let permitted = asked('0').permit(&One, &["API_KEY".into()]).unwrap();
        assert_eq!(permitted.warrant().server(), permitted.server());
        assert_eq!(permitted.warrant().reason(), crate::RunReason::Inquiry);
    }
}
