//! What an operator decides about the rail.

use std::{fmt, time::Duration};

use evidence::{UsdcAmount, Wallet};

/// Settings of the `exact` rail. [`Config::base_usdc`] has the shipped ones.
#[derive(Clone, Debug)]
pub struct Config {
    /// Chain id (EIP-155): 8453 is Base.
    pub chain_id: u64,
    /// The token's contract.
    pub asset: Wallet,
    /// Who is paid. Named in the attested state.
    pub pay_to: Wallet,
    /// `name` of the token's EIP-712 domain.
    pub domain_name: String,
    /// `version` of the token's EIP-712 domain.
    pub domain_version: String,
    /// Blocks on top of the one that holds the transfer before it counts. 0: being in a block is enough.
    pub confirmations: u64,
    /// How long one settlement waits for the chain before it is said to be pending.
    pub settle_within: Duration,
    /// How often the chain is asked meanwhile.
    pub poll_every: Duration,
    /// Gas limit of a settling transaction. A transfer of the real token takes 86,000, 103,000 to an empty payee.
    pub gas_limit: u64,
    /// Wei per gas above which nothing is settled.
    pub max_fee_per_gas: u128,
    /// Wei per gas offered above the base fee, at most.
    pub max_priority_fee: u128,
    /// What one payer may have set aside at once: what we can lose to one who drains the account while calls run.
    pub exposure_cap: UsdcAmount,
    /// Seconds by which local time and the chain's may differ.
    pub clock_tolerance_s: u64,
}

/// USDC on Base (Circle's list of contracts; chain id 8453).
const BASE_USDC: [u8; 20] = [
    0x83, 0x35, 0x89, 0xfc, 0xd6, 0xed, 0xb6, 0xe0, 0x8f, 0x4c, 0x7c, 0x32, 0xd4, 0xf7, 0x1b, 0x54, 0xbd, 0xa0, 0x29,
    0x13,
];

/// Seconds between the last moment at which a transfer can be sent and the end of its validity: three blocks of Base.
const LEAST_MARGIN_S: u64 = 6;

/// Gas of one transfer to an empty payee, measured with the real token.
const LEAST_GAS: u64 = 103_000;

/// Highest gas limit a settlement may have, whatever is configured: a token must not be able to burn more.
const MOST_GAS: u64 = 150_000;

impl Config {
    /// USDC on Base, with limits that fit calls of $0.0005.
    pub fn base_usdc(pay_to: Wallet) -> Self {
        Self {
            chain_id: 8453,
            asset: Wallet::new(BASE_USDC),
            pay_to,
            domain_name: "USD Coin".to_owned(),
            domain_version: "2".to_owned(),
            confirmations: 0,
            settle_within: Duration::from_secs(20),
            poll_every: Duration::from_millis(500),
            gas_limit: MOST_GAS,
            max_fee_per_gas: 5_000_000_000,
            max_priority_fee: 1_000_000_000,
            exposure_cap: UsdcAmount::from_units(1_000_000),
            clock_tolerance_s: 30,
        }
    }

    /// CAIP-2 name of the chain: `eip155:8453`.
    pub fn network(&self) -> String {
        format!("eip155:{}", self.chain_id)
    }

    /// The name that x402 v1 has for the chain, if it has one.
    pub fn network_v1(&self) -> Option<&'static str> {
        match self.chain_id {
            8453 => Some("base"),
            84532 => Some("base-sepolia"),
            _ => None,
        }
    }

    /// Seconds for which an authorization must still be valid when a call of this length begins.
    pub(crate) fn least_validity_s(&self, deadline: Duration) -> u64 {
        let whole = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
        LEAST_MARGIN_S + whole(deadline) + whole(self.settle_within)
    }

    /// Finds what cannot work before anything is opened.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.pay_to.as_bytes() == &[0; 20] {
            return Err(ConfigError::NoPayee);
        }
        if self.pay_to == self.asset {
            return Err(ConfigError::PayeeIsToken);
        }
        if !(LEAST_GAS..=MOST_GAS).contains(&self.gas_limit) {
            return Err(ConfigError::Gas { found: self.gas_limit });
        }
        if self.poll_every.is_zero() || self.settle_within < self.poll_every {
            return Err(ConfigError::Waits);
        }
        if self.max_priority_fee > self.max_fee_per_gas {
            return Err(ConfigError::Fees);
        }
        Ok(())
    }
}

/// Settings that cannot work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConfigError {
    /// The payee is the zero address.
    NoPayee,
    /// The payee is the token's own contract: the token refuses that.
    PayeeIsToken,
    /// The gas limit is outside of what one transfer takes and what one may cost.
    Gas {
        /// What it is.
        found: u64,
    },
    /// A settlement would not wait for a single look at the chain.
    Waits,
    /// The tip is above the whole fee.
    Fees,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPayee => f.write_str("payments: nobody is paid (the payee is the zero address)"),
            Self::PayeeIsToken => f.write_str("payments: the payee is the token's own contract"),
            Self::Gas { found } => {
                write!(f, "payments: a gas limit of {found} is not within {LEAST_GAS} and {MOST_GAS}")
            }
            Self::Waits => f.write_str("payments: a settlement waits for less than one look at the chain"),
            Self::Fees => f.write_str("payments: the highest tip is above the highest fee"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// How to fix it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NoPayee => "name the account that is to be paid",
            Self::PayeeIsToken => "name an account of yours, not the token",
            Self::Gas { .. } => "leave the gas limit out, or choose one in that range",
            Self::Waits => "raise the time for a settlement above the polling interval, which must not be zero",
            Self::Fees => "raise the highest fee or lower the highest tip",
        }
    }
}
