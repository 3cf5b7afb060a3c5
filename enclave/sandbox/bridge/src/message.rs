//! The launch message: `u32` big-endian length, then that many bytes of payload.
//!
//! Payload: `u8` version; argv as `u32` count and that many texts; working directory as one text; environment as `u32`
//! count and per variable `u8` secret (0 or 1), name, value. A text is `u32` big-endian length and its bytes.
//! Nothing may follow within the payload; what follows it on stdin belongs to the server, where that is not spoken to over a
//! socket. Before it comes what is wanted of an offer ([`Wanted`](crate::Wanted)).

use std::{fmt, io::Read};

use zeroize::Zeroizing;

/// Version of the message. Images carry it as a label, so that an old image is refused instead of misread.
pub const PROTOCOL: u8 = 2;

/// Largest payload, bytes. Linux itself refuses an environment far beyond this (a quarter of the stack limit).
pub const MESSAGE_LIMIT: usize = 1 << 20;

/// One variable of the server's environment.
#[derive(Clone)]
pub struct Variable {
    /// Name, without `=` or NUL.
    pub name: String,
    /// Value, without NUL.
    pub value: Zeroizing<String>,
    /// Whether the value must never appear in diagnostics.
    pub secret: bool,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable({})", self.name)
    }
}

/// What to start: program and arguments, where, and with which environment. The environment is complete: nothing is
/// inherited from the container's configuration.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Program (absolute path) and arguments; at least one.
    pub argv: Vec<String>,
    /// Working directory, absolute.
    pub directory: String,
    /// The whole environment.
    pub environment: Vec<Variable>,
}

/// Why a launch message is no launch message.
#[derive(Debug)]
#[non_exhaustive]
pub enum MessageError {
    /// stdin ended or failed before the message was complete.
    Read(std::io::Error),
    /// The payload is larger than [`MESSAGE_LIMIT`].
    TooLong(usize),
    /// The payload is of another version.
    Version(u8),
    /// A length points outside the payload, or bytes are left over.
    Shape(&'static str),
    /// A text is not UTF-8, or holds a NUL or `=` where it may not.
    Text(&'static str),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "launch message: stdin: {error}"),
            Self::TooLong(length) => write!(f, "launch message: {length} bytes, the limit is {MESSAGE_LIMIT}"),
            Self::Version(found) => write!(f, "launch message: version {found}, this bridge speaks {PROTOCOL}"),
            Self::Shape(what) => write!(f, "launch message: {what}: lengths do not add up"),
            Self::Text(what) => write!(f, "launch message: {what}: want UTF-8 without NUL (a name also without '=')"),
        }
    }
}

impl std::error::Error for MessageError {}

impl Launch {
    /// The message as it goes over stdin, length included.
    ///
    /// # Errors
    /// [`MessageError::TooLong`] past the limit, [`MessageError::Text`] for a NUL, an empty name or `=` in a name.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        self.check()?;
        let mut payload = Zeroizing::new(Vec::with_capacity(MESSAGE_LIMIT.min(self.size())));
        payload.push(PROTOCOL);
        count(&mut payload, self.argv.len());
        for argument in &self.argv {
            text(&mut payload, argument);
        }
        text(&mut payload, &self.directory);
        count(&mut payload, self.environment.len());
        for variable in &self.environment {
            payload.push(u8::from(variable.secret));
            text(&mut payload, &variable.name);
            text(&mut payload, &variable.value);
        }
        if payload.len() > MESSAGE_LIMIT {
            return Err(MessageError::TooLong(payload.len()));
        }
        let mut message = Zeroizing::new(Vec::with_capacity(payload.len().saturating_add(4)));
        count(&mut message, payload.len());
        message.extend_from_slice(&payload);
        Ok(message)
    }

    /// Reads exactly one message and not a byte more.
    ///
    /// # Errors
    /// Any [`MessageError`].
    pub fn read(input: &mut impl Read) -> Result<Self, MessageError> {
        let mut length = [0; 4];
        input.read_exact(&mut length).map_err(MessageError::Read)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MESSAGE_LIMIT {
            return Err(MessageError::TooLong(length));
        }
        let mut payload = Zeroizing::new(vec![0; length]);
        input.read_exact(&mut payload).map_err(MessageError::Read)?;
        Self::decode(&payload)
    }

    fn decode(payload: &[u8]) -> Result<Self, MessageError> {
        let mut rest = Rest(payload);
        let version = rest.byte("version")?;
        if version != PROTOCOL {
            return Err(MessageError::Version(version));
        }
        let mut argv = Vec::new();
        for _ in 0..rest.count("argv")? {
            argv.push(rest.text("argv")?);
        }
        let directory = rest.text("directory")?;
        let mut environment = Vec::new();
        for _ in 0..rest.count("environment")? {
            let secret = rest.flag("environment")?;
            let name = rest.text("environment name")?;
            let value = Zeroizing::new(rest.text("environment value")?);
            environment.push(Variable { name, value, secret });
        }
        if !rest.0.is_empty() {
            return Err(MessageError::Shape("end of message"));
        }
        let launch = Self { argv, directory, environment };
        launch.check()?;
        Ok(launch)
    }

    fn check(&self) -> Result<(), MessageError> {
        if self.argv.first().is_none_or(String::is_empty) || self.argv.iter().any(|text| text.contains('\0')) {
            return Err(MessageError::Text("argv"));
        }
        if self.directory.is_empty() || self.directory.contains('\0') {
            return Err(MessageError::Text("directory"));
        }
        for variable in &self.environment {
            if variable.name.is_empty() || variable.name.contains(['\0', '=']) {
                return Err(MessageError::Text("environment name"));
            }
            if variable.value.contains('\0') {
                return Err(MessageError::Text("environment value"));
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let argv: usize = self.argv.iter().map(|argument| argument.len() + 4).sum();
        let environment: usize = self.environment.iter().map(|v| v.name.len() + v.value.len() + 9).sum();
        argv + self.directory.len() + environment + 16
    }
}

fn count(out: &mut Vec<u8>, number: usize) {
    // Past four gigabytes the message is refused for its length anyway.
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// What is still to be read of a payload.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], MessageError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(MessageError::Shape(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, MessageError> {
        self.take(1, what)?.first().copied().ok_or(MessageError::Shape(what))
    }

    fn flag(&mut self, what: &'static str) -> Result<bool, MessageError> {
        match self.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(MessageError::Shape(what)),
        }
    }

    fn count(&mut self, what: &'static str) -> Result<usize, MessageError> {
        let bytes = self.take(4, what)?.try_into().map_err(|_| MessageError::Shape(what))?;
        Ok(u32::from_be_bytes(bytes) as usize)
    }

    fn text(&mut self, what: &'static str) -> Result<String, MessageError> {
        let length = self.count(what)?;
        let bytes = self.take(length, what)?;
        Ok(std::str::from_utf8(bytes).map_err(|_| MessageError::Text(what))?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch() -> Launch {
        Launch {
            argv: vec!["/usr/bin/node".into(), "/app/index.js".into(), String::new()],
            directory: "/tmp".into(),
            environment: vec![
                Variable { name: "TOKEN".into(), value: Zeroizing::new("swordfish\n2".into()), secret: true },
                Variable { name: "LEVEL".into(), value: Zeroizing::new(String::new()), secret: false },
            ],
        }
    }

    #[test]
    fn a_message_comes_back_and_what_follows_it_is_left_on_stdin() {
        let mut bytes = launch().encode().unwrap().to_vec();
        bytes.extend_from_slice(b"{\"jsonrpc\"");
        let mut input = bytes.as_slice();
        let back = Launch::read(&mut input).unwrap();
        assert_eq!(back.argv, launch().argv);
        assert_eq!(back.environment[0].value.as_str(), "swordfish\n2");
        assert!(back.environment[0].secret && !back.environment[1].secret);
        assert_eq!(input, b"{\"jsonrpc\"");
    }

    #[test]
    fn every_cut_of_a_message_is_an_error() {
        let bytes = launch().encode().unwrap();
        for cut in 0..bytes.len() {
            assert!(Launch::read(&mut &bytes[..cut]).is_err(), "accepted {cut} bytes");
        }
        for cut in 0..bytes.len() - 5 {
            assert!(Launch::decode(&bytes[4..4 + cut]).is_err(), "accepted a payload of {cut} bytes");
        }
    }

    #[test]
    fn trailing_bytes_other_versions_and_lengths_past_the_limit_are_refused() {
        let mut payload = launch().encode().unwrap()[4..].to_vec();
        payload.push(0);
        assert!(matches!(Launch::decode(&payload), Err(MessageError::Shape("end of message"))));
        payload[0] = 1;
        assert!(matches!(Launch::decode(&payload), Err(MessageError::Version(1))));
        let long = u32::try_from(MESSAGE_LIMIT + 1).unwrap().to_be_bytes();
        assert!(matches!(Launch::read(&mut &long[..]), Err(MessageError::TooLong(_))));
        let mut big = launch();
        big.environment[0].value = Zeroizing::new("x".repeat(MESSAGE_LIMIT));
        assert!(matches!(big.encode(), Err(MessageError::TooLong(_))));
    }

    #[test]
    fn names_with_an_equals_sign_and_texts_with_nul_are_refused() {
        for (name, value) in [("A=B", "x"), ("", "x"), ("A\0", "x"), ("A", "x\0y")] {
            let mut bad = launch();
            bad.environment[0] = Variable { name: name.into(), value: Zeroizing::new(value.into()), secret: true };
            assert!(matches!(bad.encode(), Err(MessageError::Text(_))), "accepted {name:?}={value:?}");
        }
    }

    #[test]
    fn debug_output_shows_no_value() {
        assert!(!format!("{:?}", launch()).contains("swordfish"));
    }
}
