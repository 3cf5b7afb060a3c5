//! The message that starts a server: no panic, and what reads is written as the very same bytes.
#![no_main]

use bridge::Launch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let Ok(launch) = Launch::read(&mut rest) else { return };
    let Ok(written) = launch.encode() else { panic!("a message was read that cannot be written") };
    assert_eq!(Some(written.as_slice()), bytes.get(..bytes.len() - rest.len()));
});
