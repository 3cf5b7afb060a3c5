//! The stages of a call: `Unverified → Identified → Permitted → Funded → Executed → Proven → Settled`.
//!
//! Each has private fields and one door, so forgetting a step does not compile:
//!
//! ```compile_fail,E0599
//! // A call that nobody permitted cannot be funded.
//! fn skip(call: gate::Identified) -> gate::Funded<gate::Free> {
//!     call.fund(gate::Free)
//! }
//! ```
//!
//! ```compile_fail,E0451
//! // Nor can a stage be put together by hand.
//! fn forge(permitted: gate::Permitted) -> gate::Funded<gate::Free> {
//!     gate::Funded { permitted, reservation: gate::Free }
//! }
//! ```
//!
//! ```compile_fail,E0599
//! // What is proven and not settled gives nothing out.
//! fn leak(proven: gate::Proven<gate::Free>) {
//!     proven.into_reply();
//! }
//! ```

use evidence::{ResultObject, payment::Authorization, proof::Envelope};

use crate::{
    call::{Call, MAX_ARGUMENT_BYTES},
    identity::{Authentication, OperatorRule, Principal},
    offer::{ListedServer, Listing, Price, Receipt, Reservation},
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
pub struct Funded<R> {
    permitted: Permitted,
    reservation: R,
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
    /// Names of the variables that were put into the server's environment.
    pub environment: Vec<String>,
}

/// A call that ran, with its result.
#[derive(Debug)]
pub struct Executed<R> {
    funded: Funded<R>,
    run: Run,
}

/// A result with its proof. Neither may leave yet.
#[derive(Debug)]
pub struct Proven<R> {
    executed: Executed<R>,
    envelope: Envelope,
}

/// A proven result whose money is on its way. It still gives nothing out.
#[derive(Debug)]
pub struct Settling {
    result: ResultObject,
    envelope: Envelope,
    due: Price,
}

/// A proven result for which the money has moved (or none had to). Only this gives the result out.
#[derive(Debug)]
pub struct Settled {
    result: ResultObject,
    envelope: Envelope,
    receipt: Receipt,
}

impl Unverified<Call> {
    /// Who is calling?
    ///
    /// # Errors
    /// What was shown is not enough for whom it names.
    pub fn identify(self, found: Authentication, rule: &OperatorRule) -> Result<Identified, Refusal> {
        let principal = rule.admit(found)?;
        Ok(Identified { call: self.0, principal })
    }
}

impl Identified {
    /// The call.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Its caller.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// May they, and what does it cost? `secrets`: names of those that the caller has stored for the server.
    ///
    /// # Errors
    /// The server or the tool is unknown, the arguments are not an object or too long, or a required secret is missing.
    pub fn permit(self, listing: &impl Listing, secrets: &[String]) -> Result<Permitted, Refusal> {
        if self.call.arguments.as_object().is_none() {
            return Err(Refusal::ArgumentsNotAnObject { found: self.call.arguments.kind() });
        }
        let bytes = self.call.arguments.to_text().len();
        if bytes > MAX_ARGUMENT_BYTES {
            return Err(Refusal::ArgumentsTooLong { bytes, limit: MAX_ARGUMENT_BYTES });
        }
        let listed = listing.look_up(&self.call)?;
        let server = ListedServer { server: listed.server, required_secrets: listed.required_secrets };
        server.missing(&self.call.server, secrets)?;
        Ok(Permitted { identified: self, price: listed.price })
    }
}

impl Permitted {
    /// The call.
    pub fn call(&self) -> &Call {
        &self.identified.call
    }

    /// Its caller.
    pub fn principal(&self) -> &Principal {
        &self.identified.principal
    }

    /// What it costs.
    pub fn price(&self) -> Price {
        self.price
    }

    /// The price is set aside, neither more nor less.
    ///
    /// # Errors
    /// [`Refusal::Internal`]: the rail set aside another amount. The reservation comes back with it, to be released.
    pub fn fund<R: Reservation>(self, reservation: R) -> Result<Funded<R>, (Refusal, R)> {
        if reservation.amount() == self.price && reservation.authorization().is_none() == self.price.is_zero() {
            Ok(Funded { permitted: self, reservation })
        } else {
            Err((Refusal::Internal { part: "payments" }, reservation))
        }
    }
}

impl<R: Reservation> Funded<R> {
    /// The call.
    pub fn call(&self) -> &Call {
        self.permitted.call()
    }

    /// Its caller.
    pub fn principal(&self) -> &Principal {
        self.permitted.principal()
    }

    /// What is set aside for it.
    pub fn price(&self) -> Price {
        self.permitted.price()
    }

    /// Permission to run code of the server that the call names.
    pub fn warrant(&self) -> Warrant {
        Warrant::for_call(self.call().server.clone())
    }

    /// It did not run, or came to nothing: what was set aside comes back, to be released.
    pub fn abandoned(self) -> R {
        self.reservation
    }

    /// It ran.
    pub fn executed(self, run: Run) -> Executed<R> {
        Executed { funded: self, run }
    }
}

impl<R: Reservation> Executed<R> {
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

    /// What the payer is to be charged by: nothing for a free call, and nothing for one that says that it failed.
    pub fn charge(&self) -> Option<&Authorization> {
        self.funded.reservation.authorization().filter(|_| !self.run.result.is_error())
    }

    /// It could not be proven: what was set aside comes back, to be released.
    pub fn abandoned(self) -> R {
        self.funded.reservation
    }

    /// It has a proof.
    pub fn proven(self, envelope: Envelope) -> Proven<R> {
        Proven { executed: self, envelope }
    }
}

impl<R: Reservation> Proven<R> {
    /// The money may move now: the reservation goes to its rail, to be settled if something is due, else released.
    pub fn settle(self) -> (Settling, R) {
        let due = self.executed.charge().map_or(Price::default(), |authorization| authorization.value);
        let Executed { funded, run } = self.executed;
        (Settling { result: run.result, envelope: self.envelope, due }, funded.reservation)
    }
}

impl Settling {
    /// What is due: nothing for a free call or a failed one.
    pub fn due(&self) -> Price {
        self.due
    }

    /// What the rail keeps, sealed, so that the reply is not lost with the process: result and envelope.
    pub fn kept(&self) -> (&ResultObject, &Envelope) {
        (&self.result, &self.envelope)
    }

    /// The money has moved.
    ///
    /// # Errors
    /// [`Refusal::Internal`]: the rail took another amount than what is due. Nothing leaves then.
    pub fn settled(self, receipt: Receipt) -> Result<Settled, Refusal> {
        let taken = match &receipt {
            Receipt::Nothing => Price::default(),
            Receipt::Settled { amount, .. } => *amount,
        };
        if taken == self.due {
            Ok(Settled { result: self.result, envelope: self.envelope, receipt })
        } else {
            Err(Refusal::Internal { part: "payments" })
        }
    }
}

impl Settled {
    /// The result, its proof and what was taken, which may leave now.
    pub fn into_reply(self) -> (ResultObject, Envelope, Receipt) {
        (self.result, self.envelope, self.receipt)
    }
}

#[cfg(test)]
mod tests {
    use evidence::{
        UnixSeconds, UsdcAmount, Wallet,
        json::{Limits, Value, parse},
    };

    use super::*;
    use crate::{Free, Listed};

    const PRICE: UsdcAmount = UsdcAmount::from_units(0);

    struct Everything {
        price: Price,
    }

    impl Listing for Everything {
        fn look_up(&self, _call: &Call) -> Result<Listed, Refusal> {
            Ok(Listed { server: "echo".into(), price: self.price, required_secrets: vec!["API_KEY".into()] })
        }

        fn look_up_server(&self, _server: &evidence::ServerId) -> Result<ListedServer, Refusal> {
            Ok(ListedServer { server: "echo".into(), required_secrets: Vec::new() })
        }
    }

    struct Held(Authorization);

    impl Reservation for Held {
        fn amount(&self) -> UsdcAmount {
            self.0.value
        }
        fn authorization(&self) -> Option<&Authorization> {
            Some(&self.0)
        }
    }

    fn held(units: u64) -> Held {
        Held(Authorization {
            network: "eip155:8453".into(),
            asset: Wallet::new([1; 20]),
            from: Wallet::new([2; 20]),
            to: Wallet::new([3; 20]),
            value: UsdcAmount::from_units(units),
            valid_after: UnixSeconds(0),
            valid_before: UnixSeconds(1),
            nonce: [4; 32],
        })
    }

    fn identified(arguments: Value) -> Identified {
        let call = Call {
            server: "0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f".parse().unwrap(),
            tool: "echo".into(),
            arguments,
            challenge: None,
        };
        Unverified(call).identify(Authentication::NOBODY, &OperatorRule::default()).unwrap()
    }

    fn permit(arguments: Value, price: Price) -> Result<Permitted, Refusal> {
        identified(arguments).permit(&Everything { price }, &["API_KEY".into()])
    }

    fn run(answer: &[u8]) -> Run {
        let result = ResultObject::of_server(parse(answer, &Limits::THEIRS).unwrap()).unwrap();
        Run { result, started_ms: 0, duration_ms: 0, environment: Vec::new() }
    }

    #[test]
    fn arguments_are_an_object_of_limited_length() {
        assert!(permit(parse(br#"{"a":1}"#, &Limits::THEIRS).unwrap(), PRICE).is_ok());
        let refused = permit(Value::Array(Vec::new()), PRICE).unwrap_err();
        assert_eq!(refused, Refusal::ArgumentsNotAnObject { found: "an array" });
        let of_length = |bytes: usize| permit(evidence::json::object([("a", "x".repeat(bytes - 8).into())]), PRICE);
        assert!(of_length(MAX_ARGUMENT_BYTES).is_ok());
        assert_eq!(
            of_length(MAX_ARGUMENT_BYTES + 1).unwrap_err(),
            Refusal::ArgumentsTooLong { bytes: MAX_ARGUMENT_BYTES + 1, limit: MAX_ARGUMENT_BYTES }
        );
    }

    #[test]
    fn a_call_without_a_required_secret_is_refused_before_anything_is_paid() {
        let refused = identified(Value::Object(Vec::new())).permit(&Everything { price: PRICE }, &[]).unwrap_err();
        assert!(matches!(refused, Refusal::MissingSecrets { missing, .. } if missing == ["API_KEY"]));
    }

    #[test]
    fn a_warrant_names_the_server_of_the_call() {
        let funded =
            permit(Value::Object(Vec::new()), PRICE).unwrap().fund(Free).map_err(|(refusal, _)| refusal).unwrap();
        assert_eq!(funded.warrant().server(), &funded.call().server);
    }

    #[test]
    fn neither_less_nor_more_than_the_price_funds_a_call() {
        let permitted = |units| permit(Value::Object(Vec::new()), UsdcAmount::from_units(units)).unwrap();
        assert!(permitted(500).fund(held(500)).is_ok());
        assert!(permitted(500).fund(held(499)).is_err());
        assert!(permitted(500).fund(held(501)).is_err());
        assert!(permitted(500).fund(Free).is_err());
        assert!(permitted(0).fund(held(0)).is_err(), "a free call takes no authorization");
    }

    #[test]
    fn a_failed_call_owes_nothing_and_a_good_one_what_was_set_aside() {
        let executed = |answer: &[u8]| {
            let permitted = permit(Value::Object(Vec::new()), UsdcAmount::from_units(500)).unwrap();
            let funded = permitted.fund(held(500)).map_err(|(refusal, _)| refusal).unwrap();
            funded.executed(run(answer))
        };
        assert!(executed(br#"{"content":[]}"#).charge().is_some());
        assert!(executed(br#"{"content":[],"isError":true}"#).charge().is_none());
    }
}
