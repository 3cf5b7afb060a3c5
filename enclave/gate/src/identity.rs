//! Who is calling.

use crate::refusal::Refusal;

/// What a caller shows of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credential {
    /// Nothing.
    None,
    /// `Authorization: Bearer …`, the part after the word.
    Bearer(String),
    /// An `Authorization` header of a scheme that we do not take.
    OtherScheme,
}

/// Who is calling, once it is known.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Principal {
    /// Nobody in particular.
    Anonymous,
    /// The developer of a machine that can prove nothing and that nobody else can reach.
    Development,
}

impl Principal {
    /// The name that goes into a callerRef and keys what belongs to the caller. Anonymous callers have none.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Anonymous => None,
            Self::Development => Some("development"),
        }
    }
}

/// Which identities this gateway knows.
#[derive(Clone, Debug)]
pub struct Identities {
    development: Option<String>,
}

impl Identities {
    /// Anonymous callers only.
    pub fn anonymous_only() -> Self {
        Self { development: None }
    }

    /// Adds the development principal, known by `token`. Given only where the platform is simulated and the listener
    /// is on loopback; anywhere else the same call changes nothing.
    pub fn with_development(self, token: String, simulated: bool, loopback: bool) -> Self {
        if simulated && loopback { Self { development: Some(token) } } else { self }
    }

    /// Whether the development principal exists.
    pub fn has_development(&self) -> bool {
        self.development.is_some()
    }

    /// Who shows this credential? One that is shown and not known is refused: it never falls back to anonymous.
    ///
    /// # Errors
    /// [`Refusal::BadCredential`].
    pub fn identify(&self, credential: &Credential) -> Result<Principal, Refusal> {
        match credential {
            Credential::None => Ok(Principal::Anonymous),
            Credential::Bearer(token) => match &self.development {
                Some(known) if evidence::ct_eq(known.as_bytes(), token.as_bytes()) => Ok(Principal::Development),
                _ => Err(Refusal::BadCredential),
            },
            Credential::OtherScheme => Err(Refusal::BadCredential),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_principal_exists_only_on_a_simulated_platform_behind_loopback() {
        let shown = Credential::Bearer("token".into());
        let known = |simulated, loopback| {
            Identities::anonymous_only().with_development("token".into(), simulated, loopback).identify(&shown)
        };
        assert_eq!(known(true, true), Ok(Principal::Development));
        assert_eq!(known(true, false), Err(Refusal::BadCredential));
        assert_eq!(known(false, true), Err(Refusal::BadCredential));
        assert_eq!(known(false, false), Err(Refusal::BadCredential));
    }

    #[test]
    fn a_bad_credential_never_becomes_anonymous() {
        let identities = Identities::anonymous_only().with_development("token".into(), true, true);
        assert_eq!(identities.identify(&Credential::None), Ok(Principal::Anonymous));
        for shown in [Credential::Bearer("toke".into()), Credential::Bearer(String::new()), Credential::OtherScheme] {
            assert_eq!(identities.identify(&shown), Err(Refusal::BadCredential));
        }
    }
}
