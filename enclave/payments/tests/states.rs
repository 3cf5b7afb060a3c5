//! What becomes of a payment when journal or chain fail at any step, in both ways: it did not happen, and it happened
//! but nobody heard. Time is tokio's, so waiting takes none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod common;

use std::{sync::Arc, time::Duration};

use common::{
    Account, ChainFault, NOW, StoreFault, TestJournal, TestLedger, TestRail,
    ledger::{cancelled_topics, transfer_data, transfer_topics, used_topics},
    pay_to, payment, purchase, rail, rail_with,
};
use evidence::UnixSeconds;
use gate::{
    Reservation as _,
    keep::JournalStage::{self, Executed, Released, Reserved as SetAside, Sent, Settled, Signed},
};
use payments::{Config, Hold, PaymentRefusal, Reason, Reserved, SettleError};

const REPLY: &[u8] = b"the reply";

struct Bench {
    payer: Account,
    journal: Arc<TestJournal>,
    ledger: Arc<TestLedger>,
}

impl Bench {
    fn new() -> Self {
        let payer = Account::new(5);
        let ledger = Arc::new(TestLedger::with(&[payer.wallet()], 1_000_000));
        Self { payer, journal: Arc::default(), ledger }
    }

    /// A rail as a process has it that has just started.
    fn rail(&self) -> TestRail {
        rail(&self.journal, &self.ledger)
    }

    fn moved(&self) -> u64 {
        self.ledger.balance_of(pay_to())
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.ledger.change(|inner| inner.timestamp))
    }

    async fn hold(&self, rail: &TestRail, nonce: u8) -> Box<Hold> {
        fresh(rail.reserve(&purchase(nonce), &payment(&self.payer, nonce), self.now()).await.unwrap())
    }

    fn stages(&self) -> Vec<JournalStage> {
        self.journal.rows().iter().map(|row| row.stage).collect()
    }
}

fn fresh(reserved: Reserved) -> Box<Hold> {
    match reserved {
        Reserved::Fresh(hold) => hold,
        Reserved::Answered(_) => panic!("answered, want a fresh hold"),
    }
}

fn reply(reserved: Reserved) -> Vec<u8> {
    match reserved {
        Reserved::Answered(reply) => reply.bytes,
        Reserved::Fresh(_) => panic!("a fresh hold, want the reply"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_paid_call_moves_exactly_its_price_and_writes_each_stage_down() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    assert_eq!(hold.amount().units(), 500);
    assert_eq!(bench.moved(), 0);
    let settled = rail.settle(*hold, REPLY.to_vec()).await.unwrap();
    assert_eq!(bench.moved(), 500);
    assert_eq!(settled.authorization.nonce, [1; 32]);
    assert!(bench.ledger.change(|inner| inner.outcomes.contains_key(&settled.transaction)));
    assert_eq!(bench.journal.story(), [SetAside, Executed, Signed, Sent, Settled]);
    // Shown again for the same call: the same reply, no second charge; by another process too.
    for rail in [rail, bench.rail()] {
        let again = rail.reserve(&purchase(1), &payment(&bench.payer, 1), bench.now()).await.unwrap();
        assert_eq!(reply(again), REPLY);
    }
    assert_eq!((bench.moved(), bench.ledger.executed()), (500, 1));
}

#[tokio::test(start_paused = true)]
async fn a_settled_payment_does_not_pay_for_another_call_nor_for_another_signature() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    rail.settle(*hold, REPLY.to_vec()).await.unwrap();
    let refusal = rail.reserve(&purchase(2), &payment(&bench.payer, 1), bench.now()).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::NonceAlreadyUsed);
    assert!(refusal.to_string().contains("another call"));
    // Whoever read payer and nonce on the chain, but signs nothing, learns nothing.
    let mut forged = payment(&bench.payer, 1);
    forged.signature = payment(&Account::new(6), 1).signature;
    let refusal = rail.reserve(&purchase(1), &forged, bench.now()).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Signature);
}

#[tokio::test(start_paused = true)]
async fn the_reply_is_given_again_after_the_authorization_has_ended_until_it_is_forgotten() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    let settled = rail.settle(*hold, REPLY.to_vec()).await.unwrap();
    assert_eq!(settled.keep_until, UnixSeconds(NOW.0 + 3600 + 600));
    let later = UnixSeconds(NOW.0 + 4000);
    bench.ledger.change(|inner| inner.timestamp = later.0);
    assert_eq!(reply(rail.reserve(&purchase(1), &payment(&bench.payer, 1), later).await.unwrap()), REPLY);
    assert_eq!(rail.recover(settled.keep_until).await.unwrap().forgotten, 0);
    assert_eq!(rail.recover(UnixSeconds(settled.keep_until.0 + 1)).await.unwrap().forgotten, 1);
    let refusal = rail.reserve(&purchase(1), &payment(&bench.payer, 1), later).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::ValidBefore);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_pays_nothing_and_its_authorization_pays_for_the_next_one() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    rail.release(*hold).await.unwrap();
    assert_eq!((bench.moved(), bench.stages()), (0, vec![Released]));
    let again = rail.reserve(&purchase(2), &payment(&bench.payer, 1), NOW).await.unwrap();
    rail.settle(*fresh(again), b"another".to_vec()).await.unwrap();
    assert_eq!(bench.moved(), 500);
}

#[tokio::test(start_paused = true)]
async fn eight_parallel_uses_of_one_authorization_are_one_call_and_one_payment() {
    let bench = Bench::new();
    let rail = Arc::new(bench.rail());
    let uses: Vec<_> = (0..8)
        .map(|_| {
            let (rail, payment) = (Arc::clone(&rail), payment(&bench.payer, 1));
            tokio::spawn(async move {
                match rail.reserve(&purchase(1), &payment, NOW).await.unwrap() {
                    Reserved::Fresh(hold) => {
                        tokio::time::sleep(Duration::from_secs(3)).await;
                        rail.settle(*hold, REPLY.to_vec()).await.unwrap();
                        (1, REPLY.to_vec())
                    }
                    Reserved::Answered(reply) => (0, reply.bytes),
                }
            })
        })
        .collect();
    let mut executions = 0;
    for one in uses {
        let (executed, reply) = one.await.unwrap();
        executions += executed;
        assert_eq!(reply, REPLY);
    }
    assert_eq!((executions, bench.moved(), bench.ledger.executed()), (1, 500, 1));
}

#[tokio::test(start_paused = true)]
async fn one_authorization_is_not_used_for_two_calls_at_once() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    let refusal = rail.reserve(&purchase(2), &payment(&bench.payer, 1), NOW).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::NonceAlreadyUsed);
    drop(hold);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_call_that_never_ends_is_told_that_it_is_pending() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    let refusal = rail.reserve(&purchase(1), &payment(&bench.payer, 1), NOW).await.unwrap_err();
    assert_eq!(refusal, PaymentRefusal::Pending { transaction: None });
    drop(hold);
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_dropped_is_released_by_the_next_reservation_of_anybody() {
    let bench = Bench::new();
    let rail = bench.rail();
    drop(bench.hold(&rail, 1).await);
    assert_eq!(bench.stages(), [SetAside]);
    let other = bench.hold(&rail, 2).await;
    let mut stages = bench.stages();
    stages.sort();
    assert_eq!(stages, [SetAside, Released]);
    rail.release(*other).await.unwrap();
    // And the same authorization is free for another call.
    fresh(rail.reserve(&purchase(3), &payment(&bench.payer, 1), NOW).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_settlement_whose_caller_went_away_goes_on_in_recovery() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    bench.ledger.change(|inner| inner.halted = true);
    tokio::time::timeout(Duration::from_secs(2), rail.settle(*hold, REPLY.to_vec())).await.unwrap_err();
    assert_eq!(bench.moved(), 0);
    bench.ledger.mine();
    assert_eq!(rail.recover(NOW).await.unwrap().settled, 1);
    assert_eq!(reply(rail.reserve(&purchase(1), &payment(&bench.payer, 1), bench.now()).await.unwrap()), REPLY);
    assert_eq!((bench.moved(), bench.ledger.executed()), (500, 1));
}

#[tokio::test(start_paused = true)]
async fn an_unseen_confirmation_is_pending_and_never_a_failure() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    bench.ledger.change(|inner| inner.halted = true);
    let error = rail.settle(*hold, REPLY.to_vec()).await.unwrap_err();
    let SettleError::Pending { transaction: Some(transaction) } = error else { panic!("{error:?}") };
    let refusal = rail.reserve(&purchase(1), &payment(&bench.payer, 1), bench.now()).await.unwrap_err();
    assert_eq!(refusal, PaymentRefusal::Pending { transaction: Some(transaction) });
    assert_eq!(refusal.reason(), Reason::SettlementPending);
    bench.ledger.mine();
    assert_eq!(reply(rail.reserve(&purchase(1), &payment(&bench.payer, 1), bench.now()).await.unwrap()), REPLY);
    assert_eq!((bench.moved(), bench.ledger.executed()), (500, 1));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_a_node_took_and_lost_is_handed_in_again_as_it_is() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    bench.ledger.change(|inner| inner.lose_sends = 1);
    rail.settle(*hold, REPLY.to_vec()).await.unwrap();
    assert_eq!((bench.moved(), bench.ledger.executed()), (500, 1));
    assert_eq!(bench.journal.story().iter().filter(|stage| **stage == Signed).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_somebody_else_executed_is_paid() {
    for before_send in [true, false] {
        let bench = Bench::new();
        let rail = bench.rail();
        let hold = bench.hold(&rail, 1).await;
        let data = transfer_data(&payment(&bench.payer, 1));
        if before_send {
            bench.ledger.by_somebody_else(&data);
            rail.settle(*hold, REPLY.to_vec()).await.unwrap();
        } else {
            // Ours waits while theirs is mined, and then does nothing.
            bench.ledger.change(|inner| inner.halted = true);
            rail.settle(*hold, REPLY.to_vec()).await.unwrap_err();
            bench.ledger.by_somebody_else(&data);
            bench.ledger.mine();
            assert_eq!(rail.recover(NOW).await.unwrap().settled, 1);
        }
        assert_eq!((bench.moved(), bench.ledger.executed()), (500, 1), "before_send {before_send}");
        assert_eq!(reply(rail.reserve(&purchase(1), &payment(&bench.payer, 1), bench.now()).await.unwrap()), REPLY);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_authorization_pays_nothing_and_the_reply_is_withheld() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    let payer = bench.payer.wallet();
    bench.ledger.change(|inner| inner.used.insert((payer, [1; 32])));
    bench.ledger.foreign_logs(vec![(cancelled_topics(&payer, [1; 32]), Vec::new())]);
    let error = rail.settle(*hold, REPLY.to_vec()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NonceAlreadyUsed);
    assert!(error.to_string().contains("cancelled"));
    let rows = bench.journal.rows();
    assert_eq!((bench.moved(), rows[0].stage), (0, Released));
    assert!(!rows[0].body.windows(REPLY.len()).any(|part| part == REPLY), "the reply is forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_nonce_used_for_another_transfer_does_not_pay_even_beside_a_transfer_to_us() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    let payer = bench.payer.wallet();
    let amount = |units: u64| [vec![0; 24], units.to_be_bytes().to_vec()].concat();
    bench.ledger.change(|inner| inner.used.insert((payer, [1; 32])));
    // The nonce moved 1 unit to the payer; another nonce, of another purchase, moved 500 to us in the same transaction.
    bench.ledger.foreign_logs(vec![
        (used_topics(&payer, [1; 32]), Vec::new()),
        (transfer_topics(&payer, &payer), amount(1)),
        (used_topics(&payer, [2; 32]), Vec::new()),
        (transfer_topics(&payer, &pay_to()), amount(500)),
    ]);
    let error = rail.settle(*hold, REPLY.to_vec()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NonceAlreadyUsed);
    assert!(error.to_string().contains("another transfer"));
}

#[tokio::test(start_paused = true)]
async fn a_payer_who_drains_the_account_meanwhile_gets_no_reply_and_pays_nothing() {
    let bench = Bench::new();
    let rail = bench.rail();
    // Before our transaction: the simulation says so. After it was signed: the chain says so.
    for (nonce, late) in [(1, false), (2, true)] {
        bench.ledger.change(|inner| inner.balances.insert(bench.payer.wallet(), 1_000_000));
        let hold = bench.hold(&rail, nonce).await;
        bench.ledger.change(|inner| inner.halted = late);
        let error = if late {
            rail.settle(*hold, REPLY.to_vec()).await.unwrap_err();
            bench.ledger.change(|inner| inner.balances.clear());
            bench.ledger.mine();
            assert_eq!(rail.recover(NOW).await.unwrap().refused, 1);
            rail.reserve(&purchase(nonce), &payment(&bench.payer, nonce), bench.now()).await.unwrap_err().reason()
        } else {
            bench.ledger.change(|inner| inner.balances.clear());
            rail.settle(*hold, REPLY.to_vec()).await.unwrap_err().reason()
        };
        assert_eq!((error, bench.moved()), (Reason::InsufficientFunds, 0), "late {late}");
    }
    assert_eq!(bench.stages(), [Released, Released]);
}

#[tokio::test(start_paused = true)]
async fn with_a_transaction_under_way_a_drained_account_is_pending_until_the_chain_says_so() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    bench.ledger.change(|inner| inner.halted = true);
    rail.settle(*hold, REPLY.to_vec()).await.unwrap_err();
    // Drained, and no node wants the bytes again; but one still has them.
    let payer = bench.payer.wallet();
    bench.ledger.change(|inner| {
        inner.balances.insert(payer, 0);
        inner.refuse_sends = Some("txpool is full".to_owned());
    });
    for _ in 0..3 {
        assert_eq!(rail.recover(bench.now()).await.unwrap().pending, 1);
    }
    bench.ledger.change(|inner| inner.balances.insert(payer, 500));
    bench.ledger.mine();
    assert_eq!(rail.recover(bench.now()).await.unwrap().settled, 1);
    assert_eq!(reply(rail.reserve(&purchase(1), &payment(&bench.payer, 1), bench.now()).await.unwrap()), REPLY);
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_ends_before_it_could_be_executed_is_given_up() {
    let bench = Bench::new();
    let rail = bench.rail();
    let hold = bench.hold(&rail, 1).await;
    bench.ledger.change(|inner| inner.refuse_sends = Some("txpool is full".to_owned()));
    let error = rail.settle(*hold, REPLY.to_vec()).await.unwrap_err();
    assert!(matches!(error, SettleError::Pending { .. }));
    bench.ledger.change(|inner| inner.timestamp = NOW.0 + 3600);
    assert_eq!(rail.recover(NOW).await.unwrap().pending, 1, "nodes lag, so its end alone says nothing");
    bench.ledger.change(|inner| inner.timestamp = NOW.0 + 3630);
    assert_eq!(rail.recover(NOW).await.unwrap().refused, 1);
    assert_eq!((bench.moved(), bench.stages()), (0, vec![Released]));
}

#[tokio::test(start_paused = true)]
async fn a_hole_in_our_nonces_is_filled() {
    let bench = Bench::new();
    let rail = bench.rail();
    let first = bench.hold(&rail, 1).await;
    // The first transaction is signed with nonce 0, taken and lost; meanwhile somebody else executes its authorization.
    bench.ledger.change(|inner| inner.lose_sends = 1000);
    rail.settle(*first, REPLY.to_vec()).await.unwrap_err();
    let second = bench.hold(&rail, 2).await;
    bench.ledger.change(|inner| inner.lose_sends = 0);
    // The second gets nonce 1 and waits behind the hole.
    rail.settle(*second, REPLY.to_vec()).await.unwrap_err();
    assert_eq!(bench.moved(), 0);
    bench.ledger.by_somebody_else(&transfer_data(&payment(&bench.payer, 1)));
    let report = rail.recover(NOW).await.unwrap();
    assert_eq!((report.settled, bench.moved()), (2, 1000), "{report:?}");
    assert_eq!(bench.ledger.executed(), 2);
}

#[tokio::test(start_paused = true)]
async fn many_settlements_at_once_have_a_nonce_each() {
    let bench = Bench::new();
    let rail = Arc::new(bench.rail());
    let mut calls = Vec::new();
    for nonce in 1..=20 {
        let hold = bench.hold(&rail, nonce).await;
        let rail = Arc::clone(&rail);
        calls.push(tokio::spawn(async move { rail.settle(*hold, vec![nonce]).await }));
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!((bench.moved(), bench.ledger.executed()), (10_000, 20));
    assert_eq!(bench.ledger.change(|inner| inner.sends), 20);
}

#[tokio::test(start_paused = true)]
async fn money_is_set_aside_once_for_each_call_and_up_to_a_cap() {
    let bench = Bench::new();
    bench.ledger.change(|inner| inner.balances.insert(bench.payer.wallet(), 1_400));
    let rail = bench.rail();
    let (one, two) = (bench.hold(&rail, 1).await, bench.hold(&rail, 2).await);
    let refusal = rail.reserve(&purchase(3), &payment(&bench.payer, 3), NOW).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::InsufficientFunds);
    rail.release(*one).await.unwrap();
    let three = bench.hold(&rail, 3).await;
    drop((two, three));

    let bench = Bench::new();
    let cap = evidence::UsdcAmount::from_units(1_000);
    let rail = rail_with(Config { exposure_cap: cap, ..common::config() }, &bench.journal, &bench.ledger);
    let held = (bench.hold(&rail, 1).await, bench.hold(&rail, 2).await);
    let refusal = rail.reserve(&purchase(3), &payment(&bench.payer, 3), NOW).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::InvalidTransactionState);
    assert!(refusal.to_string().contains("0.001 USDC"), "{refusal}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn clocks_that_disagree_refuse_without_blaming_the_payer() {
    let bench = Bench::new();
    let rail = bench.rail();
    for (local, fine) in [(NOW.0 + 30, true), (NOW.0 - 30, true), (NOW.0 + 31, false), (NOW.0 - 31, false)] {
        let found = rail.reserve(&purchase(1), &payment(&bench.payer, 1), UnixSeconds(local)).await;
        assert_eq!(found.is_ok(), fine, "{local}");
        assert!(matches!(found, Ok(_) | Err(PaymentRefusal::CannotSettle(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_the_gateway_lacks_is_not_held_against_the_payer() {
    let bench = Bench::new();
    let rail = bench.rail();
    bench.ledger.change(|inner| inner.wei = 1);
    let refusal = rail.reserve(&purchase(1), &payment(&bench.payer, 1), NOW).await.unwrap_err();
    assert!(matches!(refusal, PaymentRefusal::CannotSettle(_)), "{refusal}");
    bench.ledger.change(|inner| (inner.wei, inner.base_fee) = (10_u128.pow(18), 5_000_000_001));
    let refusal = rail.reserve(&purchase(1), &payment(&bench.payer, 1), NOW).await.unwrap_err();
    assert!(refusal.to_string().contains("gas costs"), "{refusal}");
    assert!(bench.stages().iter().all(|stage| stage.is_final()));
}

/// What must hold whatever happened: the process ends, another one starts over what is left, and the caller comes back
/// with the same payment for the same call.
async fn what_must_hold(bench: &Bench, told: &str) {
    bench.journal.set_down(false);
    bench.ledger.change(|inner| (inner.down, inner.fault) = (false, None));
    let rail = bench.rail();
    for _ in 0..2 {
        rail.recover(bench.now()).await.unwrap();
    }
    assert!(bench.stages().iter().all(|stage| stage.is_final()), "{told}: {:?}", bench.stages());
    assert!(bench.ledger.executed() <= 1, "{told}: settled twice");
    let before = bench.moved();
    match rail.reserve(&purchase(1), &payment(&bench.payer, 1), bench.now()).await {
        Ok(Reserved::Answered(reply)) => {
            assert_eq!(reply.bytes, REPLY, "{told}");
            assert_eq!((before, bench.stages()), (500, vec![Settled]), "{told}");
        }
        Ok(Reserved::Fresh(hold)) => {
            assert_eq!(before, 0, "{told}: charged, and no reply");
            rail.settle(*hold, REPLY.to_vec()).await.unwrap();
        }
        Err(refusal) => panic!("{told}: {refusal}"),
    }
    assert_eq!((bench.moved(), bench.ledger.executed()), (500, 1), "{told}");
}

/// Reserves and settles; says what the caller was told.
async fn one_call(bench: &Bench) -> String {
    let rail = bench.rail();
    match rail.reserve(&purchase(1), &payment(&bench.payer, 1), bench.now()).await {
        Ok(reserved) => match rail.settle(*fresh(reserved), REPLY.to_vec()).await {
            Ok(_) => "settled".to_owned(),
            Err(error @ SettleError::Pending { .. }) => format!("{error:?}"),
            Err(error) => panic!("told that it failed: {error:?}"),
        },
        Err(refusal) => match refusal {
            PaymentRefusal::ChainUnreachable(_) | PaymentRefusal::StoreUnavailable(_) => format!("{refusal:?}"),
            other => panic!("blamed on the payer: {other:?}"),
        },
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_fails_at_any_write_costs_nobody_anything() {
    for fault in [StoreFault::Failed, StoreFault::Unheard, StoreFault::DownBefore, StoreFault::DownAfter] {
        // Reserved, Executed, Signed, Sent, Settled.
        for write in 0..5 {
            let bench = Bench::new();
            bench.journal.break_write(write, fault);
            let told = one_call(&bench).await;
            // A journal that answers again is asked again; and what the chain has needs no journal. Neither is noticed.
            let answers = matches!(fault, StoreFault::Failed | StoreFault::Unheard);
            assert_eq!(told == "settled", (answers && write > 0) || write >= 3, "{fault:?} at {write}: {told}");
            what_must_hold(&bench, &format!("{fault:?} at write {write}, told {told}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_fails_while_releasing_costs_nobody_anything() {
    for fault in [StoreFault::Failed, StoreFault::Unheard, StoreFault::DownBefore, StoreFault::DownAfter] {
        let bench = Bench::new();
        let rail = bench.rail();
        let hold = bench.hold(&rail, 1).await;
        bench.journal.break_write(0, fault);
        let _told = rail.release(*hold).await;
        assert_eq!(bench.moved(), 0);
        what_must_hold(&bench, &format!("{fault:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_fails_at_any_request_costs_nobody_anything() {
    let requests = {
        let bench = Bench::new();
        assert_eq!(one_call(&bench).await, "settled");
        bench.ledger.change(|inner| inner.requests)
    };
    assert!(requests > 10, "{requests}");
    for fault in [ChainFault::Failed, ChainFault::Unheard] {
        for request in 0..requests {
            let bench = Bench::new();
            bench.ledger.change(|inner| inner.fault = Some((request, fault)));
            let told = one_call(&bench).await;
            what_must_hold(&bench, &format!("{fault:?} at request {request}, told {told}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_goes_down_is_unreachable_before_the_call_and_pending_after_it() {
    let bench = Bench::new();
    let rail = bench.rail();
    bench.ledger.change(|inner| inner.down = true);
    let refusal = rail.reserve(&purchase(1), &payment(&bench.payer, 1), NOW).await.unwrap_err();
    assert!(matches!(refusal, PaymentRefusal::ChainUnreachable(_)), "{refusal}");
    bench.ledger.change(|inner| inner.down = false);
    let hold = bench.hold(&rail, 1).await;
    bench.ledger.change(|inner| inner.down = true);
    let error = rail.settle(*hold, REPLY.to_vec()).await.unwrap_err();
    assert_eq!(error, SettleError::Pending { transaction: None });
    let report = rail.recover(NOW).await.unwrap();
    assert_eq!((report.pending, report.settled), (1, 0));
    what_must_hold(&bench, "down").await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_any_two_writes_costs_nobody_anything() {
    // The process ends when the journal does: nothing of it is heard of afterwards.
    for writes in 0..=5 {
        let bench = Bench::new();
        bench.journal.break_write(writes, StoreFault::DownBefore);
        let _gone = tokio::time::timeout(Duration::from_millis(1), one_call(&bench)).await;
        what_must_hold(&bench, &format!("after {writes} writes")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_during_the_recovery_from_a_crash_costs_nobody_anything() {
    for first in 0..=5 {
        for second in 0..=4 {
            let bench = Bench::new();
            bench.journal.break_write(first, StoreFault::DownBefore);
            let _gone = tokio::time::timeout(Duration::from_millis(1), one_call(&bench)).await;
            bench.journal.set_down(false);
            bench.journal.break_write(second, StoreFault::DownBefore);
            let _gone = bench.rail().recover(bench.now()).await;
            what_must_hold(&bench, &format!("after {first} writes, then {second}")).await;
        }
    }
}
