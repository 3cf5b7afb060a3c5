//! Several nodes as one chain: what they must agree on, and what each may know better.

use std::{fmt, future::Future};

use futures_util::future::join_all;
use gate::ledger::{Address, Block, CallOutcome, ChainError, Ledger, LogEntry, Outcome, Sent, Word};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::{
    node::{Fault, Node},
    transport::Limits,
    url::RpcUrl,
};

/// Nodes of one chain. Each is asked everything and each can stall us, so more of them do not make us safer.
pub const MAX_NODES: usize = 5;
/// Blocks in one question for log entries. Public nodes answer for 2,000 to 10,000.
const LOG_BLOCKS: u64 = 2_000;
/// Questions for log entries in one search: a million blocks, three weeks of two-second blocks.
const LOG_QUESTIONS: u64 = 500;
/// Log entries of one search. Whoever asks for more has not said which.
const LOG_ENTRIES: usize = 10_000;
/// A log entry has no more (EVM, LOG0 to LOG4).
const TOPICS: usize = 4;

/// The nodes of one chain.
///
/// **Every node must answer.** Two nodes of which one may be silent would be as good as one that lies.
///
/// | read | several nodes |
/// |---|---|
/// | call, code, transaction count, outcome | word for word the same, else [`ChainError::Disagree`] |
/// | newest block | the lowest of them, and all must have that very block |
/// | log entries | the same, up to the lowest newest block |
/// | outcome that a node does not have | `None`: it lags, or the others lie |
/// | balance, priority fee | the lower: nodes may differ, and spending less is safe |
/// | send | to all; one that takes it is enough |
pub struct Nodes {
    nodes: Vec<Node>,
    chain: u64,
}

/// Why there are no nodes to ask.
#[derive(Debug)]
#[non_exhaustive]
pub enum NodesError {
    /// No address.
    None,
    /// More addresses than [`MAX_NODES`].
    TooMany {
        /// How many.
        found: usize,
    },
    /// Two addresses are the same: that node would agree with itself.
    Twice {
        /// Which, from 1.
        position: usize,
    },
    /// The HTTP client could not be made: no certificates on this system.
    Client {
        /// In its words.
        why: String,
    },
}

impl fmt::Display for NodesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no node of the chain is configured"),
            Self::TooMany { found } => write!(f, "{found} nodes of the chain, at most {MAX_NODES} are asked"),
            Self::Twice { position } => write!(f, "node {position} of the chain is configured twice"),
            Self::Client { why } => write!(f, "no HTTP client for the chain's nodes: {why}"),
        }
    }
}

impl std::error::Error for NodesError {}

impl NodesError {
    /// How to mend it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::None => "name at least one RPC address",
            Self::TooMany { .. } => "name the two or three that belong to different operators",
            Self::Twice { .. } => "name nodes of different operators, each once",
            Self::Client { .. } => "install ca-certificates",
        }
    }
}

impl Nodes {
    /// Nodes at these addresses. Asks nothing yet: a node confirms the chain's id before its first answer, and again
    /// after each silence.
    ///
    /// # Errors
    /// No address, too many, one of them twice.
    pub fn new(chain: u64, urls: Vec<RpcUrl>, limits: Limits) -> Result<Self, NodesError> {
        match urls.len() {
            0 => return Err(NodesError::None),
            found if found > MAX_NODES => return Err(NodesError::TooMany { found }),
            _ => {}
        }
        let twice = urls.iter().enumerate().position(|(at, url)| urls.iter().take(at).any(|other| other == url));
        if let Some(at) = twice {
            return Err(NodesError::Twice { position: at + 1 });
        }
        let nodes = urls.into_iter().map(|url| Node::new(chain, url, limits)).collect::<Result<_, _>>();
        let nodes = nodes.map_err(|error| NodesError::Client { why: error.without_url().to_string() })?;
        Ok(Self { nodes, chain })
    }

    /// Has every node name its chain: for a gateway's start.
    ///
    /// # Errors
    /// A node is silent or serves another chain.
    pub async fn confirm(&self) -> Result<(), ChainError> {
        self.each(Node::confirm).await.map(drop)
    }

    /// The same question to all at once. All must answer.
    async fn each<'a, T, Answer>(&'a self, ask: impl Fn(&'a Node) -> Answer) -> Result<Vec<T>, ChainError>
    where
        Answer: Future<Output = Result<T, Fault>>,
    {
        let answers = self.at_once(ask).await;
        let mut good = Vec::with_capacity(answers.len());
        let mut first = None;
        for (at, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(answer) => good.push(answer),
                // A wrong configuration is worth more words than a node that is down.
                Err(fault @ Fault::OtherChain(_)) => return Err(self.error(at, fault)),
                Err(fault) => first = first.or(Some(self.error(at, fault))),
            }
        }
        first.map_or(Ok(good), Err)
    }

    /// The same question to all at once, whatever comes of it. The libraries below log whole requests at level `trace`, and
    /// those hold payers and their signatures: nothing of theirs reaches a log, whatever its filter.
    async fn at_once<'a, Answer: Future>(&'a self, ask: impl Fn(&'a Node) -> Answer) -> Vec<Answer::Output> {
        join_all(self.nodes.iter().map(ask)).with_subscriber(NoSubscriber::default()).await
    }

    fn error(&self, at: usize, fault: Fault) -> ChainError {
        match fault {
            Fault::OtherChain(found) => ChainError::OtherChain { wanted: self.chain, found },
            Fault::Silent(why) => {
                ChainError::Unreachable { why: format!("node {} of {}: {why}", at + 1, self.nodes.len()) }
            }
        }
    }
}

impl Ledger for Nodes {
    fn chain_id(&self) -> u64 {
        self.chain
    }

    async fn head(&self) -> Result<Block, ChainError> {
        let heads = self.each(Node::newest).await?;
        let lowest = heads.iter().map(|seen| seen.block.number).min().unwrap_or_default();
        let same = match heads.as_slice() {
            [only] => *only,
            _ => agreed(self.each(|node| node.block_at(lowest)).await?, "the newest block")?,
        };
        Ok(same.block)
    }

    async fn call(&self, from: Address, to: Address, data: Vec<u8>) -> Result<CallOutcome, ChainError> {
        agreed(self.each(|node| node.call(from, to, data.clone())).await?, "what a call would do")
    }

    async fn code(&self, of: Address) -> Result<Vec<u8>, ChainError> {
        agreed(self.each(|node| node.code(of)).await?, "the code of an account")
    }

    async fn transaction_count(&self, of: Address) -> Result<u64, ChainError> {
        agreed(self.each(|node| node.transaction_count(of)).await?, "how many transactions an account has sent")
    }

    async fn balance(&self, of: Address) -> Result<u128, ChainError> {
        Ok(self.each(|node| node.balance(of)).await?.into_iter().min().unwrap_or_default())
    }

    async fn priority_fee(&self) -> Result<u128, ChainError> {
        Ok(self.each(Node::priority_fee).await?.into_iter().min().unwrap_or_default())
    }

    async fn send(&self, raw: Vec<u8>) -> Result<Sent, ChainError> {
        let answers = self.at_once(|node| node.send(&raw)).await;
        if answers.contains(&Ok(Sent::Taken)) {
            return Ok(Sent::Taken);
        }
        let mut refused = None;
        for (at, answer) in answers.into_iter().enumerate() {
            match answer {
                // A silent node may have taken it, whatever the others say.
                Err(fault) => return Err(self.error(at, fault)),
                Ok(sent) => refused = refused.or(Some(sent)),
            }
        }
        refused.ok_or_else(|| ChainError::Unreachable { why: "no node".to_owned() })
    }

    async fn outcome(&self, transaction: Word) -> Result<Option<Outcome>, ChainError> {
        let seen: Option<Vec<_>> = self.each(|node| node.outcome(transaction)).await?.into_iter().collect();
        let Some(seen) = seen else { return Ok(None) };
        Ok(Some(agreed(seen, "what became of a transaction")?.outcome))
    }

    async fn logs(&self, of: Address, topics: Vec<Word>, from_block: u64) -> Result<Vec<LogEntry>, ChainError> {
        // Up to a block that all of them have: a node that lags is no node that hides.
        let last = self.head().await?.number;
        if topics.len() > TOPICS || from_block > last {
            return Ok(Vec::new());
        }
        if (last - from_block) / LOG_BLOCKS >= LOG_QUESTIONS {
            return Err(ChainError::Unreachable {
                why: format!("log entries from {from_block} on are too many blocks"),
            });
        }
        let mut found = Vec::new();
        let mut from = from_block;
        loop {
            let to = last.min(from.saturating_add(LOG_BLOCKS - 1));
            let entries = self.each(|node| node.logs(of, &topics, from, to)).await?;
            found.extend(agreed(entries, "a contract's log entries")?);
            if found.len() > LOG_ENTRIES {
                return Err(ChainError::Unreachable { why: format!("more than {LOG_ENTRIES} log entries") });
            }
            if to == last {
                return Ok(found);
            }
            from = to + 1;
        }
    }
}

/// What all of them say.
fn agreed<T: PartialEq>(answers: Vec<T>, about: &'static str) -> Result<T, ChainError> {
    let mut answers = answers.into_iter();
    let first = answers.next().ok_or(ChainError::Unreachable { why: "no node".to_owned() })?;
    if answers.all(|answer| answer == first) { Ok(first) } else { Err(ChainError::Disagree { about }) }
}
