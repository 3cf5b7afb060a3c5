//! Wallet tokens and bodies of logins: no panic; a token that reads is of one wallet, says so in its signed text, and is
//! over at its end.
#![no_main]

use evidence::UnixSeconds;
use identity::{challenge::Login, wallet_token::WalletToken};
use libfuzzer_sys::fuzz_target;

/// Within the life of the seeds.
const NOW: UnixSeconds = UnixSeconds(1_790_000_001);

fuzz_target!(|bytes: &[u8]| {
    let _ = Login::parse(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = WalletToken::verify(text, NOW) {
        assert!(token.expires() > NOW);
        assert!(WalletToken::verify(text, token.expires()).is_err(), "a token outlives its end");
    }
});
