//! One node: its answers, and nothing about whether they are true.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use alloy_json_rpc::{ErrorPayload, RpcError};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_provider::{
    Provider, RootProvider,
    network::{AnyNetwork, ReceiptResponse},
};
use alloy_rpc_client::RpcClient;
use alloy_rpc_types_eth::{BlockId, BlockNumberOrTag, Filter, Log, TransactionRequest};
use alloy_transport::{TransportError, TransportErrorKind};
use gate::ledger::{Address, Block, CallOutcome, LogEntry, Outcome, Sent, Word};

use crate::{
    refusal::{Verdict, verdict},
    transport::{Http, Limits},
    url::RpcUrl,
};

/// Characters of a node's own words that we repeat.
const WORDS: usize = 160;
/// The code geth gives to a revert with data, and others after it.
const REVERTED: i64 = 3;

/// Why a node's answer is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It gave none, or an unusable one.
    Silent(String),
    /// It serves another chain.
    OtherChain(u64),
}

/// A block as one node has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SeenBlock {
    pub(crate) block: Block,
    hash: B256,
}

/// An outcome as one node has it. The block's hash tells two branches apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SeenOutcome {
    pub(crate) outcome: Outcome,
    block_hash: B256,
}

/// One node.
pub(crate) struct Node {
    provider: RootProvider<AnyNetwork>,
    url: Arc<RpcUrl>,
    chain: u64,
    /// It has named the right chain since it last failed to answer. Behind one address another node may come up.
    confirmed: AtomicBool,
}

impl Node {
    pub(crate) fn new(chain: u64, url: RpcUrl, limits: Limits) -> Result<Self, reqwest::Error> {
        let url = Arc::new(url);
        let client = RpcClient::new(Http::new(Arc::clone(&url), limits)?, false);
        Ok(Self { provider: RootProvider::new(client), url, chain, confirmed: AtomicBool::new(false) })
    }

    /// Has it name its chain, unless it did.
    pub(crate) async fn confirm(&self) -> Result<(), Fault> {
        if self.confirmed.load(Ordering::Acquire) {
            return Ok(());
        }
        let found = self.provider.get_chain_id().await.map_err(|error| self.fault("eth_chainId", error))?;
        if found != self.chain {
            return Err(Fault::OtherChain(found));
        }
        self.confirmed.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) async fn newest(&self) -> Result<SeenBlock, Fault> {
        self.block(BlockNumberOrTag::Latest).await
    }

    pub(crate) async fn block_at(&self, number: u64) -> Result<SeenBlock, Fault> {
        let seen = self.block(BlockNumberOrTag::Number(number)).await?;
        if seen.block.number == number { Ok(seen) } else { Err(self.silent("eth_getBlockByNumber: another block")) }
    }

    async fn block(&self, which: BlockNumberOrTag) -> Result<SeenBlock, Fault> {
        const METHOD: &str = "eth_getBlockByNumber";
        self.confirm().await?;
        let found = self.provider.get_block_by_number(which).await.map_err(|error| self.fault(METHOD, error))?;
        let header = &found.ok_or_else(|| self.silent("eth_getBlockByNumber: no such block"))?.0.inner.header;
        let base_fee = header.base_fee_per_gas.unwrap_or_default().into();
        let block = Block { number: header.number, timestamp: header.timestamp, base_fee };
        Ok(SeenBlock { block, hash: header.hash })
    }

    pub(crate) async fn call(&self, from: Address, to: Address, data: Vec<u8>) -> Result<CallOutcome, Fault> {
        self.confirm().await?;
        let call = TransactionRequest::default().from(from.into()).to(to.into()).input(Bytes::from(data).into());
        match self.provider.call(call.into()).block(BlockId::pending()).await {
            Ok(returned) => Ok(CallOutcome::Returned(returned.into())),
            Err(RpcError::ErrorResp(error)) => match revert(&error) {
                Some(data) => Ok(CallOutcome::Reverted(data)),
                None => Err(self.fault("eth_call", RpcError::ErrorResp(error))),
            },
            Err(error) => Err(self.fault("eth_call", error)),
        }
    }

    pub(crate) async fn code(&self, of: Address) -> Result<Vec<u8>, Fault> {
        self.confirm().await?;
        let code = self.provider.get_code_at(of.into()).await.map_err(|error| self.fault("eth_getCode", error))?;
        Ok(code.into())
    }

    pub(crate) async fn transaction_count(&self, of: Address) -> Result<u64, Fault> {
        self.confirm().await?;
        let count = self.provider.get_transaction_count(of.into()).block_id(BlockId::pending()).await;
        count.map_err(|error| self.fault("eth_getTransactionCount", error))
    }

    pub(crate) async fn balance(&self, of: Address) -> Result<u128, Fault> {
        self.confirm().await?;
        let wei = self.provider.get_balance(of.into()).await.map_err(|error| self.fault("eth_getBalance", error))?;
        wei.try_into().map_err(|_| self.silent("eth_getBalance: more than 128 bits"))
    }

    pub(crate) async fn priority_fee(&self) -> Result<u128, Fault> {
        self.confirm().await?;
        let fee = self.provider.get_max_priority_fee_per_gas().await;
        fee.map_err(|error| self.fault("eth_maxPriorityFeePerGas", error))
    }

    pub(crate) async fn send(&self, raw: &[u8]) -> Result<Sent, Fault> {
        const METHOD: &str = "eth_sendRawTransaction";
        self.confirm().await?;
        let hash = keccak256(raw);
        match self.provider.send_raw_transaction(raw).await {
            Ok(pending) if *pending.tx_hash() == hash => Ok(Sent::Taken),
            Ok(_) => Err(self.silent("eth_sendRawTransaction: the hash of another transaction")),
            Err(RpcError::ErrorResp(error)) => match verdict(&error) {
                Verdict::Had => Ok(Sent::Taken),
                // This very transaction may be what took the nonce, in a block or in the node's pool.
                Verdict::NonceTaken if self.knows(hash).await? => Ok(Sent::Taken),
                Verdict::NonceTaken | Verdict::Refused => {
                    Ok(Sent::Refused { why: self.url.redact(&error.message, WORDS) })
                }
                Verdict::Unknown => Err(self.fault(METHOD, RpcError::ErrorResp(error))),
            },
            Err(error) => Err(self.fault(METHOD, error)),
        }
    }

    async fn knows(&self, hash: B256) -> Result<bool, Fault> {
        let known = self.provider.get_transaction_by_hash(hash).await;
        Ok(known.map_err(|error| self.fault("eth_getTransactionByHash", error))?.is_some())
    }

    pub(crate) async fn outcome(&self, transaction: Word) -> Result<Option<SeenOutcome>, Fault> {
        const METHOD: &str = "eth_getTransactionReceipt";
        self.confirm().await?;
        let hash = B256::from(transaction);
        let receipt = self.provider.get_transaction_receipt(hash).await.map_err(|error| self.fault(METHOD, error))?;
        let Some(receipt) = receipt else { return Ok(None) };
        if receipt.transaction_hash() != hash {
            return Err(self.silent("eth_getTransactionReceipt: the receipt of another transaction"));
        }
        let (Some(block), Some(block_hash)) = (receipt.block_number(), receipt.block_hash()) else { return Ok(None) };
        let logs: Option<Vec<_>> = receipt.0.inner.inner.inner.receipt.logs.iter().map(log_entry).collect();
        let logs = logs.filter(|logs| logs.iter().all(|log| log.block == block && log.transaction == transaction));
        let logs = logs.ok_or_else(|| self.silent("eth_getTransactionReceipt: log entries of another transaction"))?;
        let outcome = Outcome { success: receipt.status(), block, logs };
        Ok(Some(SeenOutcome { outcome, block_hash }))
    }

    pub(crate) async fn logs(&self, of: Address, topics: &[Word], from: u64, to: u64) -> Result<Vec<LogEntry>, Fault> {
        self.confirm().await?;
        let mut filter = Filter::new().address(alloy_primitives::Address::from(of)).from_block(from).to_block(to);
        for (slot, topic) in filter.topics.iter_mut().zip(topics) {
            *slot = B256::from(*topic).into();
        }
        let found = self.provider.get_logs(&filter).await.map_err(|error| self.fault("eth_getLogs", error))?;
        let entries: Option<Vec<LogEntry>> = found.iter().map(log_entry).collect();
        let asked =
            |log: &LogEntry| log.address == of && log.topics.starts_with(topics) && (from..=to).contains(&log.block);
        let entries = entries.filter(|entries| entries.iter().all(asked));
        entries.ok_or_else(|| self.silent("eth_getLogs: log entries that were not asked for"))
    }

    /// What a request failed with, in words that name no address.
    fn fault(&self, method: &'static str, error: TransportError) -> Fault {
        match error {
            RpcError::ErrorResp(error) => {
                self.silent(&format!("{method}: error {}: {}", error.code, self.url.redact(&error.message, WORDS)))
            }
            // Of the library's kinds only this one carries words of ours; the others may quote the answer.
            RpcError::Transport(TransportErrorKind::Custom(silence)) => self.silent(&format!("{method}: {silence}")),
            _ => self.silent(&format!("{method}: an answer of another kind than asked for")),
        }
    }

    fn silent(&self, why: &str) -> Fault {
        self.confirmed.store(false, Ordering::Release);
        Fault::Silent(why.to_owned())
    }
}

/// What a call reverted with. `None`: the error is about something else.
fn revert<D: std::borrow::Borrow<serde_json::value::RawValue>>(error: &ErrorPayload<D>) -> Option<Vec<u8>> {
    let says_so = error.message.to_lowercase().contains("revert");
    if !says_so && error.code != REVERTED {
        return None;
    }
    match error.try_data_as::<String>() {
        // Nethermind writes a word before it.
        Some(Ok(data)) => Some(data.trim_start_matches("Reverted ").parse::<Bytes>().ok()?.into()),
        Some(Err(_)) => None,
        // geth leaves the member out where a contract reverts with nothing.
        None => says_so.then(Vec::new),
    }
}

/// `None`: pending, or taken back by the node.
fn log_entry(log: &Log) -> Option<LogEntry> {
    let (Some(transaction), Some(block), false) = (log.transaction_hash, log.block_number, log.removed) else {
        return None;
    };
    Some(LogEntry {
        address: log.inner.address.into(),
        topics: log.inner.data.topics().iter().map(|topic| topic.0).collect(),
        data: log.inner.data.data.to_vec(),
        transaction: transaction.0,
        block,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn only_a_revert_is_an_outcome_of_a_call() {
        for (code, message, data, wanted) in [
            (3, "execution reverted: paused", Some("\"0x08c379a0\""), Some(vec![8, 0xc3, 0x79, 0xa0])),
            (3, "execution reverted", Some("\"0x\""), Some(vec![])),
            (-32000, "execution reverted", None, Some(vec![])),
            (-32015, "VM execution error.", Some("\"Reverted 0x01\""), None),
            (-32015, "Transaction reverted", Some("\"Reverted 0x01\""), Some(vec![1])),
            (3, "out of gas", None, None),
            (3, "execution reverted", Some("\"0x0\""), None),
            (3, "execution reverted", Some("{}"), None),
            (-32000, "header not found", Some("\"0x01\""), None),
            (-32000, "insufficient funds for transfer", None, None),
        ] {
            let data = data.map(|data| RawValue::from_string(data.to_owned()).unwrap());
            let error = ErrorPayload { code, message: message.into(), data };
            assert_eq!(revert(&error), wanted, "{code} {message} {:?}", error.data);
        }
    }
}
