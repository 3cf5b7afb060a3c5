//! From an executed call to money that has moved, or to the certainty that it will not.
//!
//! Nothing here can charge a payer twice: the token executes an authorization once. What can go wrong is that we do not
//! hear of it, so each outcome is read from the chain's log entries and never from a failed request.

use std::time::Duration;

use gate::{
    keep::{Journal, JournalStage, StoreError},
    ledger::{CallOutcome, ChainError, Ledger, Outcome, Sent, Word},
};
use tokio::time::{Instant, sleep};

use crate::{
    entry::{Entry, WriteError},
    exact::{Exact, settled_payment},
    flight::Hold,
    purchase::SettledPayment,
    reason::Reason,
    refusal::SettleError,
    token,
    transaction::{self, Transaction},
};

/// Seconds after an authorization's end, by the chain, before its absence from the chain is believed: nodes lag.
const LATE_S: u64 = 30;

/// Looks at the chain between two times of handing in the same bytes again.
const RESEND_EVERY: u32 = 8;

/// What one look at the chain came to.
enum Step {
    /// The money has moved, in this transaction.
    Moved(Word),
    /// It will not.
    Never(Reason, String),
    /// Look again, now.
    Again,
    /// Look again, later.
    Wait,
}

/// Why a look came to nothing. Never an outcome.
enum Trouble {
    Chain(ChainError),
    Store(StoreError),
    Changed,
}

/// What is remembered between looks.
#[derive(Default)]
struct Looks {
    /// How often in a row the token refused in simulation.
    refused: u32,
    /// Looks since the bytes were handed in. 0: they were not, by this process.
    since_sent: u32,
}

impl<J: Journal, L: Ledger> Exact<J, L> {
    /// The call ran and is proven: its reply is kept, then the money is taken.
    ///
    /// # Errors
    /// [`SettleError`]; then the reply must not leave.
    pub async fn settle(&self, hold: Hold, reply: Vec<u8>) -> Result<SettledPayment, SettleError> {
        let Hold { claim, mut entry, .. } = hold;
        let body = entry.body.executed(reply);
        let keep_until = entry.row.keep_until;
        if let Err(error) = entry.write(self.journal(), JournalStage::Executed, body, keep_until).await {
            // Whether it is kept is not known. If it is not, the claim's drop leads to a release; if it is, to a
            // settlement. Either way the same payment for the same call is right.
            tracing::warn!(part = "journal", "an executed call could not be written: {}", Trouble::from(error));
            return Err(SettleError::Pending { transaction: None });
        }
        // From here on a dropped future leaves an executed call, which recovery settles.
        let _claim = claim.rest_on_drop();
        let finished = self.finish(&mut entry, self.config().settle_within).await;
        finished.map_err(|(error, _)| error)?;
        Ok(settled_payment(&entry))
    }

    /// Settles an executed row, or finds out what became of it. The error says beside it whether the chain answered.
    pub(crate) async fn finish(&self, entry: &mut Entry, wait: Duration) -> Result<(), (SettleError, bool)> {
        let until = Instant::now() + wait;
        let mut looks = Looks::default();
        loop {
            let mut chain_answers = true;
            match self.look(entry, &mut looks).await {
                Ok(Step::Moved(transaction)) => {
                    self.write_settled(entry, transaction).await;
                    return Ok(());
                }
                Ok(Step::Never(reason, what)) => {
                    self.sender().lock().await.forget(&entry.row.key);
                    if let Err(error) = self.write_released(entry).await {
                        tracing::warn!(part = "journal", "a refused payment could not be released: {error}");
                    }
                    return Err((SettleError::Refused { reason, what }, true));
                }
                Ok(Step::Again) if Instant::now() < until => continue,
                Ok(Step::Again | Step::Wait) => {}
                Err(trouble) => {
                    chain_answers = !matches!(trouble, Trouble::Chain(_));
                    tracing::warn!(part = "settlement", "not settled yet: {trouble}");
                    if matches!(trouble, Trouble::Changed) {
                        return Err((SettleError::Pending { transaction: own(entry) }, chain_answers));
                    }
                }
            }
            if Instant::now() + self.config().poll_every > until {
                return Err((SettleError::Pending { transaction: own(entry) }, chain_answers));
            }
            sleep(self.config().poll_every).await;
        }
    }

    async fn look(&self, entry: &mut Entry, looks: &mut Looks) -> Result<Step, Trouble> {
        match entry.row.stage {
            JournalStage::Executed => self.sign_and_send(entry, looks).await,
            JournalStage::Signed | JournalStage::Sent => self.watch(entry, looks).await,
            JournalStage::Settled => Ok(Step::Moved(entry.body.transaction)),
            JournalStage::Reserved | JournalStage::Released => Err(Trouble::Changed),
        }
    }

    /// Simulates, signs, writes down, sends; in this order.
    async fn sign_and_send(&self, entry: &mut Entry, looks: &mut Looks) -> Result<Step, Trouble> {
        let signed = entry.body.signed();
        let head = self.ledger().head().await?;
        if self.is_used(entry).await? {
            return self.reconcile(entry, false).await;
        }
        if head.timestamp >= signed.valid_before.saturating_add(LATE_S) {
            return Ok(expired());
        }
        let data = token::transfer_call(&signed, &entry.body.signature);
        if let CallOutcome::Reverted(why) = self.ask_token(data.clone()).await? {
            // Once may be a node that lags. With a transaction under way, only the chain has the last word.
            looks.refused += 1;
            let sure = looks.refused > 1 && entry.body.signed_times == 0;
            return Ok(if sure { refused_by_token(&why) } else { Step::Wait });
        }
        looks.refused = 0;
        let tip = self.ledger().priority_fee().await?.min(self.config().max_priority_fee);
        let limit = self.config().max_fee_per_gas;
        if head.base_fee.saturating_add(tip) > limit {
            tracing::warn!(part = "settlement", base_fee = %head.base_fee, %limit, "gas costs more than allowed");
            return Ok(Step::Wait);
        }
        let max_fee = head.base_fee.saturating_mul(2).saturating_add(tip).min(limit);

        let mut sender = self.sender().lock().await;
        sender.load(self.journal()).await?;
        let count = self.ledger().transaction_count(self.fee_payer().address()).await?;
        let nonce = sender.lowest_free(count, &entry.row.key);
        let raw = Transaction {
            chain_id: self.config().chain_id,
            nonce,
            max_priority_fee: tip,
            max_fee,
            gas_limit: self.config().gas_limit,
            to: *entry.body.asset().as_bytes(),
            data,
        }
        .signed(self.fee_payer());
        let body = entry.body.with_transaction(raw, nonce);
        let keep_until = entry.row.keep_until;
        sender.hold(nonce, entry.row.key);
        entry.write(self.journal(), JournalStage::Signed, body, keep_until).await?;
        self.send(entry, looks).await
    }

    /// Hands the signed bytes in, and writes that down. They are the same each time.
    async fn send(&self, entry: &mut Entry, looks: &mut Looks) -> Result<Step, Trouble> {
        let sent = self.ledger().send(entry.body.raw.to_vec()).await?;
        if let Sent::Refused { why } = sent {
            tracing::warn!(part = "settlement", "no node takes the transaction: {}", printable(&why));
            looks.since_sent = 0;
            return Ok(Step::Wait);
        }
        looks.since_sent = 1;
        if entry.row.stage == JournalStage::Signed {
            let (body, keep_until) = (entry.body.clone(), entry.row.keep_until);
            entry.write(self.journal(), JournalStage::Sent, body, keep_until).await?;
        }
        Ok(Step::Again)
    }

    /// Looks for the transaction that was signed.
    async fn watch(&self, entry: &mut Entry, looks: &mut Looks) -> Result<Step, Trouble> {
        let head = self.ledger().head().await?;
        let own = transaction::hash(&entry.body.raw);
        if let Some(outcome) = self.ledger().outcome(own).await? {
            self.sender().lock().await.used(entry.body.gas_nonce);
            if !self.is_deep_enough(&outcome, head.number) {
                return Ok(Step::Wait);
            }
            if token::moved(&outcome, &entry.body.asset(), &entry.body.authorization()) {
                return Ok(Step::Moved(own));
            }
            return self.reconcile(entry, true).await;
        }
        if self.is_used(entry).await? {
            // By our own transaction, which is pending, or by somebody else's.
            let step = self.reconcile(entry, false).await?;
            if !matches!(step, Step::Wait) {
                return Ok(step);
            }
        } else if head.timestamp >= entry.body.signed().valid_before.saturating_add(LATE_S) {
            return Ok(expired());
        }
        if looks.since_sent == 0 || looks.since_sent >= RESEND_EVERY {
            return self.send_again(entry, looks).await;
        }
        looks.since_sent += 1;
        Ok(Step::Wait)
    }

    /// The same bytes once more. If no node takes them, or a nonce before theirs will never come, they are signed anew:
    /// of all transactions that execute one authorization, one does.
    async fn send_again(&self, entry: &mut Entry, looks: &mut Looks) -> Result<Step, Trouble> {
        let taken = self.ledger().send(entry.body.raw.to_vec()).await? == Sent::Taken;
        if self.ledger().outcome(transaction::hash(&entry.body.raw)).await?.is_some() {
            return Ok(Step::Again);
        }
        let stuck = {
            let mut sender = self.sender().lock().await;
            sender.load(self.journal()).await?;
            let count = self.ledger().transaction_count(self.fee_payer().address()).await?;
            sender.lowest_free(count, &entry.row.key) < entry.body.gas_nonce
        };
        if !taken || stuck {
            let step = self.sign_and_send(entry, looks).await?;
            return Ok(if matches!(step, Step::Again) && looks.since_sent == 0 { Step::Wait } else { step });
        }
        looks.since_sent = 1;
        if entry.row.stage == JournalStage::Signed {
            let (body, keep_until) = (entry.body.clone(), entry.row.keep_until);
            entry.write(self.journal(), JournalStage::Sent, body, keep_until).await?;
        }
        Ok(Step::Wait)
    }

    /// What the token's log says of an authorization that was used, or whose transaction of ours did nothing
    /// (`own_failed`).
    async fn reconcile(&self, entry: &Entry, own_failed: bool) -> Result<Step, Trouble> {
        let body = &entry.body;
        let (asset, signed) = (body.asset(), body.signed());
        let logs = |topics| self.ledger().logs(*asset.as_bytes(), topics, body.since_block);
        let used = logs(token::used_topics(&signed.from, &signed.nonce)).await?;
        if let Some(log) = used.last() {
            let Some(outcome) = self.ledger().outcome(log.transaction).await? else { return Ok(Step::Wait) };
            let head = self.ledger().head().await?;
            if !self.is_deep_enough(&outcome, head.number) {
                return Ok(Step::Wait);
            }
            return Ok(if token::moved(&outcome, &asset, &body.authorization()) {
                Step::Moved(log.transaction)
            } else {
                Step::Never(
                    Reason::NonceAlreadyUsed,
                    "the payer used the authorization's nonce for another transfer".to_owned(),
                )
            });
        }
        let cancelled = logs(token::cancelled_topics(&signed.from, &signed.nonce)).await?;
        if !cancelled.is_empty() {
            return Ok(Step::Never(Reason::NonceAlreadyUsed, "the payer cancelled the authorization".to_owned()));
        }
        if !own_failed || self.is_used(entry).await? {
            return Ok(Step::Wait);
        }
        if body.signed_times > 1 && self.ledger().head().await?.timestamp < signed.valid_before.saturating_add(LATE_S) {
            // An older transaction of this authorization may still be waiting somewhere, and succeed.
            return Ok(Step::Wait);
        }
        let data = token::transfer_call(&signed, &body.signature);
        Ok(match self.ask_token(data).await? {
            CallOutcome::Reverted(why) => refused_by_token(&why),
            CallOutcome::Returned(_) => {
                Step::Never(Reason::InvalidTransactionState, "the token refused the transfer".to_owned())
            }
        })
    }

    async fn is_used(&self, entry: &Entry) -> Result<bool, Trouble> {
        let signed = entry.body.signed();
        match self.ask_token(token::state_call(&signed.from, &signed.nonce)).await? {
            CallOutcome::Returned(data) => token::boolean(&data),
            CallOutcome::Reverted(_) => None,
        }
        .ok_or_else(|| Trouble::Chain(ChainError::Unreachable { why: "the token's answer is unusable".to_owned() }))
    }

    fn is_deep_enough(&self, outcome: &Outcome, head: u64) -> bool {
        outcome.block.saturating_add(self.config().confirmations) <= head
    }

    /// The chain has it, so a journal that does not answer changes nothing: recovery finds it there again.
    async fn write_settled(&self, entry: &mut Entry, transaction: Word) {
        self.sender().lock().await.forget(&entry.row.key);
        let (body, keep_until) = (entry.body.settled(transaction), entry.row.keep_until);
        if let Err(error) = entry.write(self.journal(), JournalStage::Settled, body.clone(), keep_until).await {
            tracing::warn!(part = "journal", "a settled payment could not be written: {}", Trouble::from(error));
            entry.body = body;
        }
    }
}

/// The hash of the transaction that was signed last, if one was.
fn own(entry: &Entry) -> Option<Word> {
    (!entry.body.raw.is_empty()).then(|| transaction::hash(&entry.body.raw))
}

fn expired() -> Step {
    Step::Never(Reason::ValidBefore, "the authorization ended before it could be executed".to_owned())
}

fn refused_by_token(data: &[u8]) -> Step {
    let text = token::revert_text(data);
    let reason =
        if text.contains("exceeds balance") { Reason::InsufficientFunds } else { Reason::InvalidTransactionState };
    Step::Never(reason, format!("the token refused the transfer: {text}"))
}

/// A node's words for our log: printable, cut, and without long hexadecimal runs, which would be hashes or accounts.
fn printable(text: &str) -> String {
    let text: String = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(160).collect();
    let words = text.split(' ').map(|word| if word.contains("0x") { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

impl From<ChainError> for Trouble {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => Self::Store(error),
            WriteError::Changed => Self::Changed,
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Chain(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Changed => f.write_str("another process changed the row"),
        }
    }
}
