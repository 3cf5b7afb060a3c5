//! `[payments]`: what calls cost, to whom it goes, and which nodes are asked.

use chain::RpcUrl;
use evidence::{UsdcAmount, Wallet};
use serde::Deserialize;

use super::{Fault, one_of, server::dollars};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPayments {
    pay_to: String,
    rpc: Vec<String>,
    #[serde(default = "network")]
    network: String,
    #[serde(default = "price")]
    price: String,
    verify_price: Option<String>,
    #[serde(default = "confirm_wait_s")]
    confirm_wait_s: u64,
}

fn network() -> String {
    Network::Base.caip2().to_owned()
}

fn price() -> String {
    "0.0005".to_owned()
}

fn confirm_wait_s() -> u64 {
    30
}

/// A chain with Circle's USDC on it (addresses: Circle, "USDC contract addresses"; EIP-712 domains: the contracts).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Network {
    /// Base.
    Base,
    /// Base Sepolia: worthless coins. Clients of this ecosystem refuse it.
    BaseSepolia,
}

impl Network {
    const ALL: [Self; 2] = [Self::Base, Self::BaseSepolia];

    /// CAIP-2.
    pub(crate) fn caip2(self) -> &'static str {
        match self {
            Self::Base => "eip155:8453",
            Self::BaseSepolia => "eip155:84532",
        }
    }

    /// Its id.
    pub(crate) fn chain_id(self) -> u64 {
        match self {
            Self::Base => 8453,
            Self::BaseSepolia => 84532,
        }
    }

    /// `name` of the token's EIP-712 domain.
    pub(crate) fn usdc_name(self) -> &'static str {
        match self {
            Self::Base => "USD Coin",
            Self::BaseSepolia => "USDC",
        }
    }

    /// The token's contract.
    pub(crate) fn usdc(self) -> Wallet {
        Wallet::new(match self {
            Self::Base => [
                0x83, 0x35, 0x89, 0xfc, 0xd6, 0xed, 0xb6, 0xe0, 0x8f, 0x4c, 0x7c, 0x32, 0xd4, 0xf7, 0x1b, 0x54, 0xbd,
                0xa0, 0x29, 0x13,
            ],
            Self::BaseSepolia => [
                0x03, 0x6c, 0xbd, 0x53, 0x84, 0x2c, 0x54, 0x26, 0x63, 0x4e, 0x79, 0x29, 0x54, 0x1e, 0xc2, 0x31, 0x8f,
                0x3d, 0xcf, 0x7e,
            ],
        })
    }
}

/// What it means.
#[derive(Debug)]
pub(crate) struct PaymentsConfig {
    /// Who is paid.
    pub(crate) pay_to: Wallet,
    /// Nodes that are asked; what decides, all must say.
    pub(crate) rpc: Vec<RpcUrl>,
    /// Where is paid.
    pub(crate) network: Network,
    /// What a call costs.
    pub(crate) price: UsdcAmount,
    /// What `POST /api/verify` costs.
    pub(crate) verify_price: UsdcAmount,
    /// How long a reply waits for its payment's confirmation, in seconds.
    pub(crate) confirm_wait_s: u64,
}

impl PaymentsConfig {
    pub(super) fn of(raw: RawPayments) -> Result<Self, Fault> {
        let network = one_of("payments.network", &raw.network, Network::ALL, Network::caip2)?;
        let pay_to = identity::eth::parse_wallet(&raw.pay_to).map_err(|error| {
            let fix = "copy the address again; money sent to a mistyped one is lost".to_owned();
            (format!("payments.pay_to = {:?}: {error}", raw.pay_to), fix)
        })?;
        if *pay_to.as_bytes() == [0; 20] || pay_to == network.usdc() {
            return Err((
                format!("payments.pay_to = {:?} cannot be paid", raw.pay_to),
                "name an account of yours; the token refuses the zero address and loses what it is sent".to_owned(),
            ));
        }
        let rpc = raw.rpc.iter().enumerate().map(|(at, url)| {
            // Without the text: it may hold a key.
            let fault =
                |error: chain::RpcUrlError| (format!("payments.rpc, entry {at}: {error}"), error.fix().to_owned());
            url.parse().map_err(fault)
        });
        let rpc = rpc.collect::<Result<Vec<RpcUrl>, _>>()?;
        if !(5..=600).contains(&raw.confirm_wait_s) {
            return Err((format!("payments.confirm_wait_s = {}", raw.confirm_wait_s), "choose 5 to 600".to_owned()));
        }
        let price = dollars("payments.price", &raw.price)?;
        let verify_price = raw.verify_price.map(|text| dollars("payments.verify_price", &text)).transpose()?;
        for (setting, amount) in [("payments.price", Some(price)), ("payments.verify_price", verify_price)] {
            payable(setting, amount)?;
        }
        Ok(Self {
            pay_to,
            rpc,
            network,
            price,
            verify_price: verify_price.unwrap_or(price),
            confirm_wait_s: raw.confirm_wait_s,
        })
    }
}

/// Dearest price: what the rail lets one payer have set aside at once.
const MAX_PRICE: UsdcAmount = UsdcAmount::from_units(1_000_000);

/// Refuses a price that nobody could pay.
pub(super) fn payable(setting: &str, price: Option<UsdcAmount>) -> Result<(), Fault> {
    match price {
        Some(price) if price > MAX_PRICE => Err((
            format!("{setting} = \"{price}\" is more than one payer may have set aside at once"),
            format!("choose at most \"{MAX_PRICE}\""),
        )),
        _ => Ok(()),
    }
}
