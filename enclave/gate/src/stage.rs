//! The stages of a call: `Unverified → Identified → Permitted → Funded → Executed → Proven → Settled`.
//!
//! Each has private fields and one door, so forgetting a step does not compile:
//!
//! ```compile_fail,E0599
//! // A call that nobody permitted cannot be funded.
//! fn skip(call: gate::Identified) -> gate::Funded {
//!     call.fund(gate::Reservation::Free)
//! }
//! ```
//!
//! ```compile_fail,E0451
//! // Nor can a stage be put together by hand.
//! fn forge(permitted: gate::Permitted) -> gate::Funded {
//!     gate::Funded { permitted, reservation: gate::Reservation::Free }
//! }
//! ```

use evidence::{ResultObject, proof::Envelope};

use crate::{
    call::{Call, MAX_ARGUMENT_BYTES},
    identity::{Identities, Principal},
    offer::{Listing, Price, Receipt, Reservation},
    refusal::Refusal,
    warrant::Warrant,
};

/// Something that a stranger handed us. Anyone may build one.
#[derive(Debug)]
pub struct Unverified<T>(pub T);

/// A call whose caller is known.
#[derive(Debug)]
pub struct Identified {
    call: Call,
    principal: Principal,
}

/// A call that this caller may make, at this price.
#[derive(Debug)]
pub struct Permitted {
    identified: Identified,
    price: Price,
}

/// A permitted call for which the price is set aside. Code may run for it.
#[derive(Debug)]
pub struct Funded {
    permitted: Permitted,
    reservation: Reservation,
}

/// What an adapter hands in after running a call.
#[derive(Debug)]
pub struct Run {
    /// What the server answered, without what is ours to write.
    pub result: ResultObject,
    /// Milliseconds since 1970-01-01T00:00:00Z at which the server got the call.
    pub started_ms: u64,
    /// Milliseconds it took.
    pub duration_ms: u64,
}

/// A call that ran, with its result.
#[derive(Debug)]
pub struct Executed {
    funded: Funded,
    run: Run,
}

/// A result with its proof. Neither may leave yet.
#[derive(Debug)]
pub struct Proven {
    executed: Executed,
    envelope: Envelope,
}

/// A proven result for which the money has moved (or none had to). Only this gives the result out.
#[derive(Debug)]
pub struct Settled {
    proven: Proven,
    receipt: Receipt,
}

impl Unverified<Call> {
    /// Who is calling?
    ///
    /// # Errors
    /// A credential was shown that is not known.
    pub fn identify(self, identities: &Identities) -> Result<Identified, Refusal> {
        let principal = identities.identify(&self.0.credential)?;
        Ok(Identified { call: self.0, principal })
    }
}

impl Identified {
    /// May they, and what does it cost?
    ///
    /// # Errors
    /// The server or the tool is unknown, or the arguments are not an object or too long.
    pub fn permit(self, listing: &impl Listing) -> Result<Permitted, Refusal> {
        if self.call.arguments.as_object().is_none() {
            return Err(Refusal::ArgumentsNotAnObject { found: self.call.arguments.kind() });
        }
        let bytes = self.call.arguments.to_text().len();
        if bytes > MAX_ARGUMENT_BYTES {
            return Err(Refusal::ArgumentsTooLong { bytes, limit: MAX_ARGUMENT_BYTES });
        }
        let listed = listing.look_up(&self.call)?;
        Ok(Permitted { identified: self, price: listed.price })
    }
}

impl Permitted {
    /// What it costs.
    pub fn price(&self) -> Price {
        self.price
    }

    /// The price is set aside.
    pub fn fund(self, reservation: Reservation) -> Funded {
        match (self.price, &reservation) {
            (Price::Free, Reservation::Free) => Funded { permitted: self, reservation },
        }
    }
}

impl Funded {
    /// The call.
    pub fn call(&self) -> &Call {
        &self.permitted.identified.call
    }

    /// Its caller.
    pub fn principal(&self) -> &Principal {
        &self.permitted.identified.principal
    }

    /// What was set aside.
    pub fn reservation(&self) -> &Reservation {
        &self.reservation
    }

    /// Permission to run code of the server that the call names.
    pub fn warrant(&self) -> Warrant {
        Warrant::for_call(self.call().server.clone())
    }

    /// It ran.
    pub fn executed(self, run: Run) -> Executed {
        Executed { funded: self, run }
    }
}

impl Executed {
    /// The call.
    pub fn call(&self) -> &Call {
        self.funded.call()
    }

    /// Its caller.
    pub fn principal(&self) -> &Principal {
        self.funded.principal()
    }

    /// What came of it.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// It has a proof.
    pub fn proven(self, envelope: Envelope) -> Proven {
        Proven { executed: self, envelope }
    }
}

impl Proven {
    /// What was set aside for it.
    pub fn reservation(&self) -> &Reservation {
        self.executed.funded.reservation()
    }

    /// The money has moved.
    pub fn settled(self, receipt: Receipt) -> Settled {
        Settled { proven: self, receipt }
    }
}

impl Settled {
    /// The result and its proof, which may leave now.
    pub fn into_reply(self) -> (ResultObject, Envelope) {
        (self.proven.executed.run.result, self.proven.envelope)
    }

    /// What was taken.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, Value, parse};

    use super::*;
    use crate::{Credential, Listed};

    struct EverythingListed;

    impl Listing for EverythingListed {
        fn look_up(&self, _call: &Call) -> Result<Listed, Refusal> {
            Ok(Listed { price: Price::Free })
        }
    }

    fn call(arguments: Value) -> Unverified<Call> {
        Unverified(Call {
            server: "0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f".parse().unwrap(),
            tool: "echo".into(),
            arguments,
            challenge: None,
            credential: Credential::None,
        })
    }

    fn permit(arguments: Value) -> Result<Permitted, Refusal> {
        call(arguments).identify(&Identities::anonymous_only()).unwrap().permit(&EverythingListed)
    }

    #[test]
    fn arguments_are_an_object_of_limited_length() {
        assert!(permit(parse(br#"{"a":1}"#, &Limits::THEIRS).unwrap()).is_ok());
        assert_eq!(permit(Value::Array(Vec::new())).unwrap_err(), Refusal::ArgumentsNotAnObject { found: "an array" });
        let of_length = |bytes: usize| permit(evidence::json::object([("a", "x".repeat(bytes - 8).into())]));
        assert!(of_length(MAX_ARGUMENT_BYTES).is_ok());
        assert_eq!(
            of_length(MAX_ARGUMENT_BYTES + 1).unwrap_err(),
            Refusal::ArgumentsTooLong { bytes: MAX_ARGUMENT_BYTES + 1, limit: MAX_ARGUMENT_BYTES }
        );
    }

    #[test]
    fn a_warrant_names_the_server_of_the_call() {
        let funded = permit(Value::Object(Vec::new())).unwrap().fund(Reservation::Free);
        assert_eq!(funded.warrant().server(), &funded.call().server);
    }
}
