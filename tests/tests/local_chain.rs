//! The chain that the other scenarios pay on.
#![allow(clippy::unwrap_used, reason = "a scenario that panics has failed")]

use evidence::Wallet;
use sealgate_tests::{
    Anvil,
    anvil::{CHAIN_ID, USDC},
};
use serde_json::json;

#[test]
fn the_chain_is_base_by_its_id_and_its_token_is_usdc_by_its_domain() {
    let chain = Anvil::start();
    assert_eq!(chain.rpc("eth_chainId", &json!([])), format!("{CHAIN_ID:#x}"));
    // DOMAIN_SEPARATOR() of the contract on Base.
    let separator = chain.rpc("eth_call", &json!([{"to": USDC, "data": "0x3644e515"}, "latest"]));
    assert_eq!(separator, "0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f");
}

#[test]
fn wallets_have_what_they_were_given_and_keep_it_over_a_restart() {
    let mut chain = Anvil::start();
    let (key, wallet) = chain.new_wallet();
    assert_eq!(key.len(), 66);
    chain.mint(wallet, 500);
    chain.fund(wallet, 7);
    chain.stop();
    chain.start_again();
    assert_eq!(chain.usdc_balance(wallet), 1_000_500);
    assert_eq!(chain.wei_balance(wallet), 1_000_000_000_000_000_007);
    assert_eq!(chain.usdc_balance(Wallet::new([7; 20])), 0);
}
