//! Whatever byte of something signed is changed, it is refused; whatever bytes come, nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Memory, Request, committed};
use evidence::UnixSeconds;
use identity::{
    challenge::Login,
    signed_request::{Rules, SignatureFault},
    wallet_token::WalletToken,
};
use proptest::{prelude::*, sample::Index};
use serde_json::Value;

const NOW: UnixSeconds = UnixSeconds(1_790_000_001);

fn case(file: &str, id: &str) -> Value {
    committed(file)["cases"].as_array().unwrap().iter().find(|case| case["id"] == id).unwrap().clone()
}

fn verdict(request: &Request) -> Result<(), SignatureFault> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = Memory::default();
    runtime.block_on(request.verify(&Rules::of_chain(8453), &store, NOW)).unwrap().map(|_| ())
}

/// Puts a visible character in the place of one, so that the text stays one that HTTP would carry. Says whether it is
/// another.
fn change(bytes: &mut [u8], at: Index, to: u8) -> bool {
    std::mem::replace(at.get_mut(bytes), to) != to
}

fn change_text(text: &mut String, at: Index, to: u8) -> bool {
    let mut bytes = text.clone().into_bytes();
    let changed = change(&mut bytes, at, to);
    *text = String::from_utf8(bytes).unwrap();
    changed
}

proptest! {
    #[test]
    fn no_covered_byte_of_a_request_can_be_changed(which in 0..6_usize, at: Index, to in 0x21..0x7f_u8) {
        let mut request = Request::of_case(&case("requests.json", "ok_post_with_query")["request"]);
        prop_assert_eq!(verdict(&request), Ok(()));
        let changed = match which {
            0 => change_text(&mut request.method, at, to),
            // The case of an authority says nothing.
            1 => change_text(&mut request.authority, at, to.to_ascii_lowercase()),
            2 => change_text(&mut request.path, at, to),
            3 => change_text(request.query.as_mut().unwrap(), at, to),
            4 => change(&mut request.body, at, to),
            _ => {
                let digest = request.headers.iter_mut().find(|(name, _)| name == "content-digest").unwrap();
                change(&mut digest.1, at, to)
            }
        };
        prop_assert_eq!(verdict(&request).is_err(), changed, "{:?}", request);
    }

    #[test]
    fn no_byte_of_a_signature_can_be_changed(at in 0..65_usize, mask in 1..=255_u8) {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let mut request = Request::of_case(&case("requests.json", "ok_post")["request"]);
        let signature = request.headers.iter_mut().find(|(name, _)| name == "signature").unwrap();
        let encoded = &signature.1[5..signature.1.len() - 1];
        let mut bytes = BASE64_STANDARD.decode(encoded).unwrap();
        bytes[at] ^= mask;
        signature.1 = format!("eth=:{}:", BASE64_STANDARD.encode(bytes)).into_bytes();
        prop_assert_eq!(verdict(&request), Err(SignatureFault::BadSignature));
    }

    #[test]
    fn what_is_not_covered_changes_nothing(name in "x-[a-z]{1,8}", value in "[ -~]{0,64}") {
        let request = Request::of_case(&case("requests.json", "ok_post")["request"]).with(&name, &value);
        prop_assert_eq!(verdict(&request), Ok(()));
    }

    #[test]
    fn no_character_of_a_token_can_be_changed(at: Index, to in "[A-Za-z0-9_-]") {
        let token = case("tokens.json", "ok_gateway")["token"].as_str().unwrap().to_owned();
        let read = WalletToken::verify(&token, NOW);
        prop_assert!(read.is_ok());
        let mut altered = token;
        change_text(&mut altered, at, to.as_bytes()[0]);
        // The case of a digit of the signature is not part of what it says: then it is the same token.
        let again = WalletToken::verify(&altered, NOW);
        prop_assert!(again.is_err() || again == read);
    }

    #[test]
    fn no_bytes_make_anything_panic(input in any::<Vec<u8>>(), signature in any::<Vec<u8>>(), text in ".*") {
        let mut request = Request::to("GET", "https://gw.example/");
        request.headers = vec![
            ("signature-input".into(), input.clone()),
            ("signature".into(), signature.clone()),
            ("content-digest".into(), input.clone()),
        ];
        prop_assert!(verdict(&request).is_err());
        prop_assert!(Login::parse(&input).is_err());
        prop_assert!(WalletToken::verify(&text, NOW).is_err());
        let token = format!("mcpwt_{text}");
        prop_assert!(WalletToken::verify(&token, NOW).is_err());
    }
}
