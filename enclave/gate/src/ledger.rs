//! What is asked of a chain, as a port: `chain` implements it, payments uses it. Bytes in, bytes out; what they mean is
//! the asker's business.

use std::{fmt, future::Future};

/// 20 bytes of an account or contract.
pub type Address = [u8; 20];

/// 32 bytes of a hash, a topic or a storage word.
pub type Word = [u8; 32];

/// Why the chain gave no answer. None of these says anything about a payment.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ChainError {
    /// No node answered, or what it said is unusable.
    Unreachable {
        /// Why, without address or credential of the node.
        why: String,
    },
    /// Two nodes disagree.
    Disagree {
        /// On what.
        about: &'static str,
    },
    /// The node serves another chain than the configured one.
    OtherChain {
        /// The configured id.
        wanted: u64,
        /// Its id.
        found: u64,
    },
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { why } => write!(f, "the chain is unreachable: {why}"),
            Self::Disagree { about } => write!(f, "the chain's nodes disagree about {about}"),
            Self::OtherChain { wanted, found } => write!(f, "the node serves chain {found}, not {wanted}"),
        }
    }
}

impl std::error::Error for ChainError {}

/// A block's header, as far as we look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Seconds since 1970, by the chain.
    pub timestamp: u64,
    /// Wei per gas; 0 before EIP-1559.
    pub base_fee: u128,
}

/// What a call would do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CallOutcome {
    /// It returns this.
    Returned(Vec<u8>),
    /// It reverts, with this.
    Reverted(Vec<u8>),
}

/// A log entry of a contract.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogEntry {
    /// The contract.
    pub address: Address,
    /// Topics, the event's first.
    pub topics: Vec<Word>,
    /// The rest.
    pub data: Vec<u8>,
    /// The transaction it belongs to.
    pub transaction: Word,
    /// The block it is in.
    pub block: u64,
}

/// What became of a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// Whether it did what it was to do.
    pub success: bool,
    /// The block it is in.
    pub block: u64,
    /// Its log entries.
    pub logs: Vec<LogEntry>,
}

/// What came of handing in a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Sent {
    /// A node took it, or had it already.
    Taken,
    /// Every node refused it; it is on no node.
    Refused {
        /// Why.
        why: String,
    },
}

/// A chain.
pub trait Ledger: Send + Sync {
    /// Its id, as configured and confirmed by every node.
    fn chain_id(&self) -> u64;

    /// The newest block.
    fn head(&self) -> impl Future<Output = Result<Block, ChainError>> + Send;

    /// What a call to `to` with `data` from `from` would do, on top of what is pending.
    fn call(
        &self,
        from: Address,
        to: Address,
        data: Vec<u8>,
    ) -> impl Future<Output = Result<CallOutcome, ChainError>> + Send;

    /// The code of an account; empty if it has none.
    fn code(&self, of: Address) -> impl Future<Output = Result<Vec<u8>, ChainError>> + Send;

    /// Transactions that an account has sent, the pending ones included.
    fn transaction_count(&self, of: Address) -> impl Future<Output = Result<u64, ChainError>> + Send;

    /// Wei that an account holds.
    fn balance(&self, of: Address) -> impl Future<Output = Result<u128, ChainError>> + Send;

    /// Wei per gas that inclusion costs above the base fee, as the nodes suggest.
    fn priority_fee(&self) -> impl Future<Output = Result<u128, ChainError>> + Send;

    /// Hands in a signed transaction.
    ///
    /// # Errors
    /// No node answered: it may be on its way or not.
    fn send(&self, raw: Vec<u8>) -> impl Future<Output = Result<Sent, ChainError>> + Send;

    /// What became of a transaction. `None`: it is in no block.
    fn outcome(&self, transaction: Word) -> impl Future<Output = Result<Option<Outcome>, ChainError>> + Send;

    /// Log entries of a contract with these leading topics, from a block on.
    fn logs(
        &self,
        of: Address,
        topics: Vec<Word>,
        from_block: u64,
    ) -> impl Future<Output = Result<Vec<LogEntry>, ChainError>> + Send;
}

/// Signs settling transactions. `platform` holds the key.
pub trait FeePayer: Send + Sync {
    /// Its account.
    fn address(&self) -> Address;

    /// A recoverable signature (r ‖ s ‖ y, y 0 or 1, s low) over the signing hash of a transaction.
    fn sign_transaction(&self, signing_hash: &Word) -> [u8; 65];
}
