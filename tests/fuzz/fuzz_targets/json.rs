//! JSON by strangers' limits and by our own: no panic; what is forwarded reads as what was hashed; canonical text is a
//! fixed point; a document of ours in canonical form is the only one of its value.
#![no_main]

use evidence::{
    canon,
    json::{Limits, parse},
    profile::{j, parse_carried, parse_ours},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = parse(bytes, &Limits::THEIRS) {
        assert_eq!(parse(value.to_text().as_bytes(), &Limits::THEIRS).as_ref(), Ok(&value), "forwarded text differs");
        let canonical = canon(&value);
        let limits = Limits { bytes: usize::MAX, number: usize::MAX, exponent: u32::MAX, ..Limits::THEIRS };
        match parse(canonical.as_bytes(), &limits) {
            Ok(again) => assert_eq!(canon(&again), canonical, "canonical text is no fixed point"),
            Err(error) => panic!("canonical text does not read: {error}"),
        }
    }
    if let Ok(value) = parse_ours(bytes) {
        assert!(parse(bytes, &Limits::THEIRS).is_ok(), "ours is not a part of theirs");
        if let Ok(canonical) = j(&value) {
            assert!(parse_carried(&canonical).is_ok(), "our own canonical bytes are refused");
        }
    }
    if parse_carried(bytes).is_ok() {
        assert_eq!(parse_ours(bytes).and_then(|value| j(&value)).as_deref(), Ok(bytes));
    }
});
