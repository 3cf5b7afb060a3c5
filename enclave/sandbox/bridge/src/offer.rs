//! The offer of a way to the server. The first bytes on the bridge's stdin say whether one is wanted; the offer is one line on
//! its stdout, before the server exists; the answer is one byte on its stdin. The launch message follows.
//!
//! A gateway that may look into processes of the container takes the far end of a socket out of the bridge by its number.
//! From then on no byte between gateway and server passes through the engine. The token, which waits in the far end, tells the
//! gateway that it looks into the process that it started and into no other.

use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

/// What marks an offer: random, and used once.
pub type Token = [u8; 16];

/// What is wanted: no offer (byte 0), or one that this token marks (byte 1 and the token).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wanted(pub Option<Token>);

impl Wanted {
    /// As it goes over stdin.
    pub fn encode(&self) -> Vec<u8> {
        match &self.0 {
            None => vec![0],
            Some(token) => [&[1], token.as_slice()].concat(),
        }
    }

    /// Reads it and not a byte more.
    ///
    /// # Errors
    /// stdin ended or failed, or another byte came first.
    pub fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut first = [0];
        input.read_exact(&mut first)?;
        match first {
            [0] => Ok(Self(None)),
            [1] => {
                let mut token = Token::default();
                input.read_exact(&mut token)?;
                Ok(Self(Some(token)))
            }
            [other] => Err(io::Error::other(format!("begins with byte {other}"))),
        }
    }
}

/// The answer to an offer: the far end was taken, and is the way to the server.
pub const TAKEN: u8 = b'T';
/// The answer to an offer: the server gets the bridge's own stdin and stdout.
pub const UNTAKEN: u8 = b'U';

/// What the line begins with.
const WORD: &str = "sealgate-socket";

/// The number of the far end, a Unix stream socket, in the bridge. What is written to it is the server's stdin; what the
/// server writes to stdout comes out of it, after the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Offer {
    /// The descriptor.
    pub socket: i32,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WORD} {}", self.socket)
    }
}

/// A line that offers nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoOffer;

impl FromStr for Offer {
    type Err = NoOffer;

    /// Reads the line, without its line break.
    fn from_str(line: &str) -> Result<Self, NoOffer> {
        let number = line.strip_prefix(WORD).and_then(|rest| rest.strip_prefix(' ')).ok_or(NoOffer)?;
        let socket = number.parse().ok().filter(|number| *number >= 0).ok_or(NoOffer)?;
        Ok(Self { socket })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_comes_back_and_nothing_else_is() {
        for wanted in [Wanted(None), Wanted(Some([7; 16]))] {
            let bytes = [&wanted.encode(), b"next".as_slice()].concat();
            let mut input = bytes.as_slice();
            assert_eq!(Wanted::read(&mut input).unwrap(), wanted);
            assert_eq!(input, b"next");
        }
        for bytes in [&b""[..], &[2], &[1; 16]] {
            assert!(Wanted::read(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_offer_comes_back_and_nothing_else_is_one() {
        let offer = Offer { socket: 17 };
        assert_eq!(offer.to_string().parse(), Ok(offer));
        for line in ["", "sealgate-socket", "sealgate-socket -1", "sealgate-socket 5 6", "sealgate-socket5", "{}"] {
            assert_eq!(line.parse::<Offer>(), Err(NoOffer), "{line:?}");
        }
    }
}
