//! A throw-away wallet for scripts: makes a key, signs a login message, signs a payment. The key comes from the variable
//! `THROWAWAY_KEY`, never from the command line, where every process could read it.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a tool of scripts: what it prints is what it is for, and a panic is its error"
)]

use std::{io::Read as _, process::ExitCode};

use sealgate_tests::wallet::{Terms, Wallet, header};

const USAGE: &str = "throwaway new             a new private key
throwaway address         its address
throwaway sign            a text from standard input, signed (EIP-191)
throwaway pay ACCEPTED    a payment header for one entry of `accepts` (JSON), valid for an hour";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["new"] => println!("{}", Wallet::new().private_key()),
        ["address"] => println!("{}", wallet().address()),
        ["sign"] => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).expect("a text of UTF-8 on standard input");
            println!("{}", wallet().sign(&text));
        }
        ["pay", accepted] => {
            let accepted: serde_json::Value = serde_json::from_str(accepted).expect("an entry of accepts, as JSON");
            let mut terms = Terms::new(accepted["payTo"].as_str().expect("payTo"));
            terms.value = accepted["amount"].as_str().and_then(|text| text.parse().ok()).expect("amount");
            println!("{}", header(&wallet().pay(&accepted, &terms)));
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn wallet() -> Wallet {
    let key = std::env::var("THROWAWAY_KEY").expect("THROWAWAY_KEY holds a private key");
    Wallet::of_private_key(&key).expect("THROWAWAY_KEY holds 0x and 64 hexadecimal digits")
}
