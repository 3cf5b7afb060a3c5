//! `requestState`: what a modern client sends back with its answers (MCP 2026-07-28, multi round-trip requests). Clients may
//! alter it, show it to others or send it twice, so it is sealed: AES-256-GCM with a key that this boot made and nobody else
//! has, bound to the caller and to the request. It holds the name of a parked request and when it ends, nothing more.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use evidence::{Digest, canon, hash, json::Value, tag};
use platform::Secret;

const NONCE: usize = 12;
const NAME: usize = 16;

/// Longest state that is looked at; ours are shorter.
const MAX_BYTES: usize = 256;

/// The name of a parked request.
pub(crate) type ParkedName = [u8; NAME];

/// Seals and opens states. Its key is made at start and never leaves.
#[derive(Debug)]
pub(crate) struct StateSeal(Secret<[u8; 32]>);

/// Whose request, and which: what a state is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    /// The caller's scope, empty for strangers.
    pub(crate) caller: &'a str,
    /// The server of the endpoint, empty for the gateway's own.
    pub(crate) endpoint: &'a str,
    /// The method.
    pub(crate) method: &'a str,
    /// Name or URI.
    pub(crate) name: &'a str,
    /// The arguments, `null` if the method has none.
    pub(crate) arguments: &'a Value,
}

/// Neither ours, nor of this caller and request, nor of this boot; or it has ended. Which of them is nobody's business.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotOurs;

impl StateSeal {
    /// With a key of its own.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self(Secret::new(key)))
    }

    /// Seals the name of a parked request, until `ends` (seconds since 1970).
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn seal(&self, binding: &Binding<'_>, name: ParkedName, ends: u64) -> Result<String, getrandom::Error> {
        // Random nonces wear thin at 2^32 messages of one key (NIST SP 800-38D, 8.3); a boot does not see so many questions.
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        let message = [&name[..], &ends.to_be_bytes()].concat();
        let aad = binding.digest();
        let payload = Payload { msg: &message, aad: &aad };
        let sealed = self.0.expose(|key| Aes256Gcm::new(key.into()).encrypt((&nonce).into(), payload));
        let sealed = sealed.map_err(|_| getrandom::Error::UNEXPECTED)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what [`StateSeal::seal`] made for this very caller and request, if it has not ended at `now`.
    ///
    /// # Errors
    /// [`NotOurs`]
    pub(crate) fn open(&self, binding: &Binding<'_>, state: &str, now: u64) -> Result<ParkedName, NotOurs> {
        if state.len() > MAX_BYTES {
            return Err(NotOurs);
        }
        let bytes = URL_SAFE_NO_PAD.decode(state).map_err(|_| NotOurs)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or(NotOurs)?;
        let aad = binding.digest();
        let payload = Payload { msg: sealed, aad: &aad };
        let message = self.0.expose(|key| Aes256Gcm::new(key.into()).decrypt(nonce.into(), payload));
        let message = message.map_err(|_| NotOurs)?;
        let (name, ends) = message.split_first_chunk::<NAME>().ok_or(NotOurs)?;
        let ends = u64::from_be_bytes(ends.try_into().map_err(|_| NotOurs)?);
        if now < ends { Ok(*name) } else { Err(NotOurs) }
    }
}

impl Binding<'_> {
    fn digest(&self) -> Digest {
        let arguments = canon(self.arguments);
        let parts = [self.caller, self.endpoint, self.method, self.name, &arguments];
        hash(tag::REQUEST_STATE, &parts.map(str::as_bytes))
    }
}

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, parse};

    use super::*;

    const NAME_OF_ONE: ParkedName = [7; 16];

    fn arguments(text: &str) -> Value {
        parse(text.as_bytes(), &Limits::THEIRS).unwrap()
    }

    fn binding(arguments: &Value) -> Binding<'_> {
        Binding { caller: "wallet:0x1/None", endpoint: "0193", method: "tools/call", name: "ask", arguments }
    }

    #[test]
    fn a_state_opens_for_its_caller_and_request_until_it_ends() {
        let seal = StateSeal::new().unwrap();
        let sent = arguments(r#"{"a":1,"b":[1.0]}"#);
        let state = seal.seal(&binding(&sent), NAME_OF_ONE, 100).unwrap();
        assert_eq!(seal.open(&binding(&sent), &state, 99), Ok(NAME_OF_ONE));
        assert_eq!(seal.open(&binding(&sent), &state, 100), Err(NotOurs), "its end is not a part of it");
        let same = arguments(r#"{"b":[1],"a":1.0}"#);
        assert_eq!(seal.open(&binding(&same), &state, 99), Ok(NAME_OF_ONE), "the same arguments, written otherwise");
        assert_ne!(state, seal.seal(&binding(&sent), NAME_OF_ONE, 100).unwrap(), "no two are alike");
    }

    #[test]
    fn a_state_of_another_caller_request_or_boot_does_not_open() {
        let seal = StateSeal::new().unwrap();
        let (sent, other) = (arguments(r#"{"a":1}"#), arguments(r#"{"a":2}"#));
        let state = seal.seal(&binding(&sent), NAME_OF_ONE, 100).unwrap();
        let of = binding(&sent);
        for foreign in [
            Binding { caller: "wallet:0x2/None", ..of },
            Binding { caller: "", ..of },
            Binding { endpoint: "", ..of },
            Binding { method: "prompts/get", ..of },
            Binding { name: "tell", ..of },
            Binding { arguments: &other, ..of },
        ] {
            assert_eq!(seal.open(&foreign, &state, 0), Err(NotOurs), "{foreign:?}");
        }
        assert_eq!(StateSeal::new().unwrap().open(&of, &state, 0), Err(NotOurs), "of a boot before");
    }

    #[test]
    fn a_state_with_any_bit_changed_cut_or_lengthened_does_not_open() {
        let seal = StateSeal::new().unwrap();
        let sent = arguments("{}");
        let state = seal.seal(&binding(&sent), NAME_OF_ONE, 100).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&state).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let altered = URL_SAFE_NO_PAD.encode(altered);
            assert_eq!(seal.open(&binding(&sent), &altered, 0), Err(NotOurs), "bit {bit}");
        }
        for length in 0..bytes.len() {
            let cut = URL_SAFE_NO_PAD.encode(&bytes[..length]);
            assert_eq!(seal.open(&binding(&sent), &cut, 0), Err(NotOurs), "{length} bytes");
        }
        for more in [format!("{state}-TAMPERED"), format!("{state}A"), "A".repeat(MAX_BYTES + 1), "é".into()] {
            assert_eq!(seal.open(&binding(&sent), &more, 0), Err(NotOurs));
        }
    }
}
