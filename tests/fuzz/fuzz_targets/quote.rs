//! Quotes of a virtual TPM: no panic, also where every signature counts as good, and then only what the statement selects
//! is believed; with real signatures nothing but the recorded quote is. The first byte chooses the key, the second says
//! how many bytes of signature come first; the rest is TPMS_ATTEST. The whole input is read as a key, too.
#![no_main]

use std::sync::OnceLock;

use attestation_verifier::{
    GivenKey, PublicArea, Quote, QuoteError, Ring, SignatureForm, SignedQuote, TpmKey, Unverified, Verified,
};
use libfuzzer_sys::fuzz_target;
use sealgate_fuzz::CountAsGood;

/// Public area of a software TPM's key, and every statement that it signed: the seeds hold them.
const RECORDED: [(&[u8], &[&[u8]]); 4] = [
    (
        include_bytes!("../../vectors/tpm/rsassa/ak.tpmt"),
        &[include_bytes!("../../vectors/tpm/rsassa/quote.msg"), include_bytes!("../../vectors/tpm/rsassa/plain.msg")],
    ),
    (include_bytes!("../../vectors/tpm/rsapss/ak.tpmt"), &[include_bytes!("../../vectors/tpm/rsapss/quote.msg")]),
    (
        include_bytes!("../../vectors/tpm/p256/ak.tpmt"),
        &[
            include_bytes!("../../vectors/tpm/p256/quote.msg"),
            include_bytes!("../../vectors/tpm/p256/plain.msg"),
            include_bytes!("../../vectors/tpm/p256/certify.msg"),
            include_bytes!("../../vectors/tpm/p256/sha1.msg"),
            include_bytes!("../../vectors/tpm/p256/two-banks.msg"),
        ],
    ),
    (
        include_bytes!("../../vectors/tpm/p384/ak.tpmt"),
        &[include_bytes!("../../vectors/tpm/p384/quote.msg"), include_bytes!("../../vectors/tpm/p384/plain.msg")],
    ),
];

fn believed(quote: &Verified<Quote>) {
    let selection = quote.selection();
    assert!(selection.windows(2).all(|pair| pair[0] < pair[1]) && selection.iter().all(|register| *register < 24));
    // Values that nobody quoted are not believed, in whatever number they come.
    let made_up: Vec<(u8, [u8; 32])> = selection.iter().map(|register| (*register, [0x5A; 32])).collect();
    assert!(quote.registers(&made_up).is_err(), "made-up registers");
    let too_many: Vec<(u8, [u8; 32])> = (0..24).map(|register| (register, [0x5A; 32])).collect();
    assert!(quote.registers(&too_many).is_err());
    let _ = (quote.extra_data(), quote.qualified_signer(), quote.clock(), quote.firmware_version(), quote.scheme());
}

fuzz_target!(|bytes: &[u8]| {
    let _ = GivenKey::read(bytes).map(|given| (given.form(), given.key().to_string()));
    let _ = PublicArea::parse(bytes).map(|area| (*area.name(), area.attests(), area.primary_of(bytes)));
    let (_, _) = (TpmKey::from_spki(bytes), TpmKey::from_modulus(bytes));

    let [kind, length, rest @ ..] = bytes else { return };
    static KEYS: OnceLock<Vec<PublicArea>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| RECORDED.iter().filter_map(|(area, _)| PublicArea::parse(area).ok()).collect());
    assert_eq!(keys.len(), RECORDED.len(), "a recorded key does not read");
    let at = usize::from(*kind) % RECORDED.len();
    // A signature of an RSA key has more bytes than one can say.
    let length = (usize::from(*length) * 2).min(rest.len());
    let (signature, attest) = rest.split_at(length);
    let key = keys[at].key();
    for form in [SignatureForm::Tpm, SignatureForm::Tool] {
        match (Unverified(SignedQuote { attest, signature, form })).verify(key, &CountAsGood::Every) {
            Ok(quote) => believed(&quote),
            Err(error) => assert!(!error.to_string().is_empty() && !error.fix().is_empty()),
        }
        // What no key of ours signed is refused before a field of it is read.
        let real = Unverified(SignedQuote { attest, signature, form }).verify(key, &Ring);
        let refused = matches!(real, Err(QuoteError::Signature { .. } | QuoteError::SignatureForm(_)));
        assert!(refused || RECORDED[at].1.contains(&attest), "believed without a signature");
    }
});
