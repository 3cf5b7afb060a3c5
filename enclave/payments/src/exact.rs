//! The rail: setting aside and giving back. Settling is in `settle`, what a crash left in `recover`.

use std::sync::Arc;

use evidence::UnixSeconds;
use gate::{
    keep::{Begun, Journal, JournalRow, JournalStage, Pseudonyms, StoreError},
    ledger::{Block, CallOutcome, FeePayer, Ledger},
};
use tokio::{sync::Mutex, time::timeout};

use crate::{
    body::Body,
    config::{Config, ConfigError},
    entry::{Entry, WriteError},
    flight::{Claim, Flights, HOUSEKEEPING, Hold},
    purchase::{Purchase, Reserved, SettledPayment, StoredReply},
    reason::Reason,
    refusal::{Cannot, PaymentRefusal},
    sender::Sender,
    token::{self, Domain},
    verify::{payer_signed, signed, smart_wallet},
    x402::{Offer, Payment},
};

/// x402 `exact` with EIP-3009, settled by ourselves. One process for each journal.
pub struct Exact<J, L> {
    config: Config,
    journal: Arc<J>,
    ledger: Arc<L>,
    fee_payer: Arc<dyn FeePayer>,
    pseudonyms: Arc<dyn Pseudonyms>,
    domain: Domain,
    flights: Arc<Flights>,
    sender: Mutex<Sender>,
}

/// Rows that a reservation tidies up after others at most.
const TIDY_AT_ONCE: usize = 4;

/// Longest time for which an authorization's own end counts towards how long its reply is kept: clients sign an hour.
const LONGEST_VALIDITY_S: u64 = 3600;

impl<J: Journal, L: Ledger> Exact<J, L> {
    /// A rail over these parts.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(
        config: Config,
        journal: Arc<J>,
        ledger: Arc<L>,
        fee_payer: Arc<dyn FeePayer>,
        pseudonyms: Arc<dyn Pseudonyms>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let domain = Domain::of(&config);
        let (flights, sender) = (Arc::default(), Mutex::default());
        Ok(Self { config, journal, ledger, fee_payer, pseudonyms, domain, flights, sender })
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is asked for a purchase.
    pub fn offer(&self, purchase: &Purchase) -> Offer {
        Offer::of(&self.config, purchase)
    }

    /// Whether the configured token is there and signs in the configured domain. For the start, and for the status.
    ///
    /// # Errors
    /// [`PaymentRefusal::ChainUnreachable`], [`PaymentRefusal::CannotSettle`].
    pub async fn probe(&self) -> Result<(), PaymentRefusal> {
        match self.ask_token(token::separator_call()).await? {
            CallOutcome::Returned(data) if token::word(&data) == Some(self.domain.separator()) => Ok(()),
            _ => Err(PaymentRefusal::CannotSettle(Cannot::NotTheToken)),
        }
    }

    /// Sets the price aside, or finds the reply that this very payment has paid for.
    ///
    /// While the same payment is being used for the same call, this waits for that call's end.
    ///
    /// # Errors
    /// [`PaymentRefusal`]; then nothing is set aside.
    pub async fn reserve(
        &self,
        purchase: &Purchase,
        presented: &Payment,
        now: UnixSeconds,
    ) -> Result<Reserved, PaymentRefusal> {
        self.tidy().await;
        let signature = match payer_signed(&self.config, &self.domain, presented) {
            Ok(signature) => signature,
            // Who did not sign learns what is wrong in the usual order, and nothing of what is in the journal.
            Err(refusal) => return Err(self.not_signed(purchase, presented, now, refusal).await),
        };
        let claim = self.claim(purchase, presented).await?;
        let row = match self.journal.by_key(claim.key()).await {
            Ok(row) => row,
            Err(error) => {
                claim.rest();
                return Err(error.into());
            }
        };
        match row {
            Some(row) if !matches!(row.stage, JournalStage::Reserved | JournalStage::Released) => {
                let replayed = self.replay(row, &signature, purchase, presented).await;
                claim.rest();
                replayed.map(Reserved::Answered)
            }
            row => self
                .set_aside(claim, row, signature, purchase, presented, now)
                .await
                .map(|hold| Reserved::Fresh(Box::new(hold))),
        }
    }

    /// The call failed: nothing is taken, and the payer may use the authorization again.
    ///
    /// # Errors
    /// The journal does not answer; the next reservation or recovery releases it all the same.
    pub async fn release(&self, hold: Hold) -> Result<(), StoreError> {
        let Hold { claim, mut entry, .. } = hold;
        self.write_released(&mut entry).await?;
        claim.rest();
        Ok(())
    }

    /// Releases what holders left lying about. What fails now is tried at the next time.
    pub(crate) async fn tidy(&self) {
        for key in self.flights.take_loose(TIDY_AT_ONCE) {
            let Ok(claim) = self.flights.claim(key, HOUSEKEEPING) else { continue };
            match self.journal.by_key(key).await {
                Ok(Some(row)) if row.stage == JournalStage::Reserved => {
                    let Ok(mut entry) = Entry::of(row) else {
                        claim.rest();
                        continue;
                    };
                    if self.write_released(&mut entry).await.is_ok() {
                        claim.rest();
                    }
                }
                Ok(_) => claim.rest(),
                Err(_) => {}
            }
        }
    }

    pub(crate) async fn write_released(&self, entry: &mut Entry) -> Result<(), StoreError> {
        let body = entry.body.released();
        let since = UnixSeconds(body.reserved_at);
        match entry.write(self.journal.as_ref(), JournalStage::Released, body, since).await {
            Ok(()) => Ok(()),
            Err(WriteError::Store(error)) => Err(error),
            Err(WriteError::Changed) => {
                Err(StoreError::Unavailable { why: "another process changed the row".to_owned() })
            }
        }
    }

    pub(crate) fn journal(&self) -> &J {
        &self.journal
    }

    pub(crate) fn ledger(&self) -> &L {
        &self.ledger
    }

    pub(crate) fn fee_payer(&self) -> &dyn FeePayer {
        self.fee_payer.as_ref()
    }

    pub(crate) fn flights(&self) -> &Arc<Flights> {
        &self.flights
    }

    pub(crate) fn sender(&self) -> &Mutex<Sender> {
        &self.sender
    }

    /// What a call of the token by us would do.
    pub(crate) async fn ask_token(&self, data: Vec<u8>) -> Result<CallOutcome, gate::ledger::ChainError> {
        self.ledger.call(self.fee_payer.address(), *self.config.asset.as_bytes(), data).await
    }

    async fn not_signed(
        &self,
        purchase: &Purchase,
        presented: &Payment,
        now: UnixSeconds,
        refusal: PaymentRefusal,
    ) -> PaymentRefusal {
        if let Err(earlier) = self.check_terms(purchase, presented, now).await {
            return earlier;
        }
        match self.ledger.code(*presented.from.as_bytes()).await {
            Ok(code) if !code.is_empty() => smart_wallet("the account has code (ERC-1271, EIP-7702)"),
            Ok(_) => refusal,
            Err(error) => error.into(),
        }
    }

    /// Becomes the only holder of this authorization in this process.
    async fn claim(&self, purchase: &Purchase, presented: &Payment) -> Result<Claim, PaymentRefusal> {
        let key = self.key(presented);
        let patience = purchase.deadline + 2 * self.config.settle_within;
        let claim = async {
            loop {
                match self.flights.claim(key, purchase.fingerprint) {
                    Ok(claim) => return Ok(claim),
                    Err(busy) if busy.fingerprint == purchase.fingerprint || busy.fingerprint == HOUSEKEEPING => {
                        busy.wait().await;
                    }
                    Err(_) => return Err(pays_for_another_call()),
                }
            }
        };
        timeout(patience, claim).await.unwrap_or(Err(PaymentRefusal::Pending { transaction: None }))
    }

    /// The call ran: its reply, once it is settled.
    async fn replay(
        &self,
        row: JournalRow,
        signature: &[u8; 65],
        purchase: &Purchase,
        presented: &Payment,
    ) -> Result<StoredReply, PaymentRefusal> {
        let mut entry = Entry::of(row)?;
        let same_payment =
            evidence::ct_eq(&entry.body.signature, signature) && Some(entry.body.signed()) == signed(presented);
        if !same_payment || !evidence::ct_eq(&entry.body.fingerprint, &purchase.fingerprint) {
            return Err(pays_for_another_call());
        }
        if entry.row.stage != JournalStage::Settled {
            self.finish(&mut entry, self.config.settle_within)
                .await
                .map_err(|(error, _)| PaymentRefusal::from(error))?;
        }
        Ok(StoredReply { bytes: entry.body.reply.to_vec(), settlement: settled_payment(&entry) })
    }

    async fn set_aside(
        &self,
        claim: Claim,
        found: Option<JournalRow>,
        signature: [u8; 65],
        purchase: &Purchase,
        presented: &Payment,
        now: UnixSeconds,
    ) -> Result<Hold, PaymentRefusal> {
        let head = match self.check_payer(purchase, presented, now).await {
            Ok(head) => head,
            Err(refusal) => {
                if found.is_none_or(|row| row.stage.is_final()) {
                    claim.rest();
                }
                return Err(refusal);
            }
        };
        let mut entry = self.begin(&claim, found, signature, purchase, presented, &head, now).await?;
        match self.check_chain(&entry, &head).await {
            Ok(()) => {
                let authorization = entry.body.authorization();
                Ok(Hold { claim, entry, authorization })
            }
            Err(refusal) => {
                // If even this fails, the claim is dropped as it is, and somebody later releases the row.
                if self.write_released(&mut entry).await.is_ok() {
                    claim.rest();
                }
                Err(refusal)
            }
        }
    }

    async fn check_payer(
        &self,
        purchase: &Purchase,
        presented: &Payment,
        now: UnixSeconds,
    ) -> Result<Block, PaymentRefusal> {
        let head = self.check_terms(purchase, presented, now).await?;
        // Code decides, not the look of the signature: the token asks an account with code, even where the key's own
        // signature would do (EIP-7702).
        match self.ledger.code(*presented.from.as_bytes()).await {
            Ok(code) if code.is_empty() => Ok(head),
            Ok(_) => Err(smart_wallet("the account has code (ERC-1271, EIP-7702)")),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the row, which sets the money aside.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the row")]
    async fn begin(
        &self,
        claim: &Claim,
        found: Option<JournalRow>,
        signature: [u8; 65],
        purchase: &Purchase,
        presented: &Payment,
        head: &Block,
        now: UnixSeconds,
    ) -> Result<Entry, PaymentRefusal> {
        let signed = signed(presented).ok_or_else(pays_for_another_call)?;
        let body = Body::reserved(
            self.config.chain_id,
            &self.config.asset,
            &signed,
            signature,
            purchase.fingerprint,
            now,
            head.number,
        );
        let ends = signed.valid_before.min(now.0.saturating_add(LONGEST_VALIDITY_S));
        let row = JournalRow {
            key: claim.key(),
            version: found.as_ref().map_or(1, |row| row.version + 1),
            stage: JournalStage::Reserved,
            payer: self.pseudonyms.of("wallet", presented.from.as_bytes()),
            amount: signed.value,
            keep_until: UnixSeconds(ends.saturating_add(purchase.keep_for.as_secs())),
            body: body.to_bytes(),
        };
        let mine = match found {
            None => self.journal.begin(row.clone()).await? == Begun::Fresh,
            Some(_) => self.journal.advance(row.clone()).await?,
        };
        // Not mine: another process was faster. What it does ends in a reply for the same call, or in a release.
        if mine { Ok(Entry::of(row)?) } else { Err(PaymentRefusal::Pending { transaction: None }) }
    }

    /// What the chain says of payer and gateway, now that the money is set aside.
    async fn check_chain(&self, entry: &Entry, head: &Block) -> Result<(), PaymentRefusal> {
        let signed = entry.body.signed();
        let (set_aside, used, holds, transfer, gas) = tokio::join!(
            self.journal.set_aside(entry.row.payer),
            self.ask_token(token::state_call(&signed.from, &signed.nonce)),
            self.ask_token(token::balance_call(&signed.from)),
            self.ask_token(token::transfer_call(&signed, &entry.body.signature)),
            self.ledger.balance(self.fee_payer.address()),
        );
        let (set_aside, used, holds, transfer, gas) = (set_aside?, used?, holds?, transfer?, gas?);
        match used {
            CallOutcome::Returned(data) => match token::boolean(&data) {
                Some(false) => {}
                Some(true) => {
                    return Err(PaymentRefusal::not_paid(
                        Reason::NonceAlreadyUsed,
                        "the authorization was used or cancelled",
                        "sign a new one, with a new nonce",
                    ));
                }
                None => return Err(PaymentRefusal::CannotSettle(Cannot::NotTheToken)),
            },
            CallOutcome::Reverted(_) => return Err(PaymentRefusal::CannotSettle(Cannot::NotTheToken)),
        }
        let holds = match holds {
            CallOutcome::Returned(data) => token::units(&data),
            CallOutcome::Reverted(_) => None,
        };
        let holds = holds.ok_or(PaymentRefusal::CannotSettle(Cannot::NotTheToken))?;
        if holds < set_aside {
            return Err(PaymentRefusal::not_paid(
                Reason::InsufficientFunds,
                "the payer holds less than this and its other unsettled calls cost",
                "put money on the paying account, or wait for the other calls",
            ));
        }
        if set_aside > self.config.exposure_cap.units() {
            return Err(PaymentRefusal::not_paid(
                Reason::InvalidTransactionState,
                format!("one payer may have {} USDC of unsettled calls at once", self.config.exposure_cap),
                "wait for the other calls to be answered",
            ));
        }
        if let CallOutcome::Reverted(data) = transfer {
            return Err(PaymentRefusal::not_paid(
                Reason::InvalidTransactionState,
                format!("the token refuses this authorization: {}", token::revert_text(&data)),
                "look at what the token says of the paying account",
            ));
        }
        if head.base_fee > self.config.max_fee_per_gas {
            return Err(PaymentRefusal::CannotSettle(Cannot::FeeTooHigh {
                base_fee: head.base_fee,
                limit: self.config.max_fee_per_gas,
            }));
        }
        if gas < self.gas_cost(head.base_fee) {
            return Err(PaymentRefusal::CannotSettle(Cannot::FeePayerEmpty));
        }
        Ok(())
    }

    /// Wei that one settlement may take, at this base fee.
    fn gas_cost(&self, base_fee: u128) -> u128 {
        let fee = base_fee.saturating_mul(2).saturating_add(self.config.max_priority_fee);
        let fee = fee.min(self.config.max_fee_per_gas);
        fee.saturating_mul(u128::from(self.config.gas_limit))
    }

    fn key(&self, presented: &Payment) -> [u8; 32] {
        let mut name = self.config.chain_id.to_be_bytes().to_vec();
        name.extend_from_slice(self.config.asset.as_bytes());
        name.extend_from_slice(presented.from.as_bytes());
        name.extend_from_slice(&presented.nonce);
        self.pseudonyms.of("payment", &name)
    }
}

/// What is said of a settled row.
pub(crate) fn settled_payment(entry: &Entry) -> SettledPayment {
    SettledPayment {
        transaction: entry.body.transaction,
        authorization: entry.body.authorization(),
        keep_until: entry.row.keep_until,
    }
}

fn pays_for_another_call() -> PaymentRefusal {
    PaymentRefusal::not_paid(
        Reason::NonceAlreadyUsed,
        "this authorization already pays for another call",
        "sign a new one, with a new nonce, for each call",
    )
}
