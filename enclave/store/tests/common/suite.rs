//! What every store must do, said of the ports alone: whatever keeps the rows, this holds.

use std::sync::Arc;

use evidence::UnixSeconds;
use gate::keep::{
    Begun, Journal, JournalStage, Kept, MarkKind, Marks, StoreError, SwitchRow, Switches, Tokens, VaultRows,
};
use tokio::task::JoinSet;

use super::{at, key, next, payment, secret, switches};

const KINDS: [MarkKind; 2] = [MarkKind::Challenge, MarkKind::SignedRequest];

/// How many do the same at once.
const CROWD: u64 = 64;

/// A store that allows this many marks, tokens, secrets and payments each, and this many unfinished ones.
pub(crate) const FEW: u64 = 20;
pub(crate) const FEW_UNFINISHED: u64 = 10;
/// And this many tokens revoked unseen.
pub(crate) const FEW_UNSEEN: u64 = 5;
/// And this many scopes of one owner.
pub(crate) const FEW_OF_ONE: u64 = 3;
/// A store that allows this many bytes of secrets.
pub(crate) const FEW_BYTES: u64 = 4096;

pub(crate) async fn a_mark_is_new_once(store: impl Marks) {
    for kind in KINDS {
        assert_eq!(store.mark(kind, key(1), at(60), at(0)).await, Ok(true), "{kind:?}: a kind has marks of its own");
        assert_eq!(store.mark(kind, key(1), at(60), at(0)).await, Ok(false));
        assert_eq!(store.mark(kind, key(1), at(90), at(60)).await, Ok(false), "in its last second");
        assert_eq!(store.mark(kind, key(2), at(60), at(0)).await, Ok(true));
    }
}

pub(crate) async fn of_many_who_mark_one_thing_one_is_first(store: impl Marks + 'static) {
    let store = Arc::new(store);
    for round in 0..8 {
        let mut crowd = JoinSet::new();
        for _ in 0..CROWD {
            let store = store.clone();
            crowd.spawn(async move { store.mark(MarkKind::SignedRequest, key(round), at(60), at(0)).await });
        }
        let first = crowd.join_all().await.into_iter().filter(|answer| *answer == Ok(true)).count();
        assert_eq!(first, 1, "round {round}");
    }
}

pub(crate) async fn a_mark_outlives_its_time_and_then_makes_room(store: impl Marks) {
    for number in 0..FEW {
        let number = u8::try_from(number).unwrap();
        assert_eq!(store.mark(MarkKind::Challenge, key(number), at(60), at(0)).await, Ok(true));
    }
    // One past the limit; nothing is forgotten for it.
    let full = Err(StoreError::Full { table: "mark" });
    assert_eq!(store.mark(MarkKind::Challenge, key(99), at(61), at(60)).await, full);
    for number in 0..FEW {
        let number = u8::try_from(number).unwrap();
        assert_eq!(store.mark(MarkKind::Challenge, key(number), at(61), at(60)).await, Ok(false));
    }
    assert_eq!(store.mark(MarkKind::SignedRequest, key(99), at(60), at(0)).await, Ok(true), "the other kind has room");
    // A second later all of them are past.
    for number in 0..FEW {
        let number = u8::try_from(number).unwrap();
        assert_eq!(store.mark(MarkKind::Challenge, key(100 + number), at(120), at(61)).await, Ok(true), "{number}");
    }
}

pub(crate) async fn after_a_clock_was_set_back_nothing_forgotten_is_new(store: impl Marks) {
    assert_eq!(store.mark(MarkKind::Challenge, key(1), at(60), at(0)).await, Ok(true));
    assert_eq!(store.mark(MarkKind::Challenge, key(2), at(200), at(100)).await, Ok(true), "this one removes the first");
    assert_eq!(store.mark(MarkKind::Challenge, key(1), at(60), at(10)).await, Ok(false));
    assert_eq!(store.mark(MarkKind::Challenge, key(1), at(61), at(10)).await, Ok(true), "this one was never there");
}

pub(crate) async fn a_token_is_first_used_once(store: impl Tokens + 'static) {
    assert_eq!(store.known_since(key(1), at(600)).await, Ok(None));
    assert_eq!(store.first_use(key(1), at(600), at(5)).await, Ok(Some(at(5))));
    assert_eq!(store.first_use(key(1), at(600), at(9)).await, Ok(Some(at(5))));
    assert_eq!(store.first_use(key(1), at(600), at(1)).await, Ok(Some(at(5))));
    assert_eq!(store.known_since(key(1), at(600)).await, Ok(Some(at(5))));
    let (store, mut crowd) = (Arc::new(store), JoinSet::new());
    for second in 0..CROWD {
        let store = store.clone();
        crowd.spawn(async move { store.first_use(key(2), at(600), at(second)).await.unwrap() });
    }
    let answers = crowd.join_all().await;
    assert!(answers.iter().all(|answer| answer.is_some() && answer == &answers[0]), "{answers:?}");
}

pub(crate) async fn a_denied_token_stays_denied(store: impl Tokens) {
    assert_eq!(store.is_denied(key(1)).await, Ok(false));
    assert_eq!(store.deny(key(1), at(600), at(5)).await, Ok(()));
    assert_eq!(store.deny(key(1), at(600), at(6)).await, Ok(()), "again is no fault");
    assert_eq!(store.is_denied(key(1)).await, Ok(true));
    assert_eq!(store.is_denied(key(2)).await, Ok(false));
    assert_eq!(store.known_since(key(1), at(600)).await, Ok(None));
    assert_eq!(store.first_use(key(1), at(600), at(9)).await, Ok(Some(at(9))), "denial and first use are two things");
}

pub(crate) async fn an_epoch_never_falls(store: impl Tokens + 'static) {
    assert_eq!(store.epoch(key(1)).await, Ok(None));
    for (to, then) in [(5, 5), (3, 5), (5, 5), (8, 8)] {
        assert_eq!(store.raise_epoch(key(1), at(to)).await, Ok(()));
        assert_eq!(store.epoch(key(1)).await, Ok(Some(at(then))));
    }
    assert_eq!(store.epoch(key(2)).await, Ok(None));
    let (store, mut crowd) = (Arc::new(store), JoinSet::new());
    for second in 0..CROWD {
        let store = store.clone();
        crowd.spawn(async move { store.raise_epoch(key(3), at(second)).await });
    }
    assert!(crowd.join_all().await.into_iter().all(|answer| answer == Ok(())));
    assert_eq!(store.epoch(key(3)).await, Ok(Some(at(CROWD - 1))));
}

pub(crate) async fn tokens_one_past_the_limit_are_refused_and_the_others_kept(store: impl Tokens) {
    for number in 0..FEW {
        let number = u8::try_from(number).unwrap();
        assert_eq!(store.first_use(key(number), at(600), at(1)).await, Ok(Some(at(1))));
        assert_eq!(store.raise_epoch(key(number), at(1)).await, Ok(()));
    }
    for number in 0..FEW_UNSEEN {
        assert_eq!(store.deny(key(100 + u8::try_from(number).unwrap()), at(600), at(1)).await, Ok(()));
    }
    assert_eq!(store.first_use(key(99), at(600), at(1)).await, Err(StoreError::Full { table: "first_use" }));
    assert_eq!(store.deny(key(99), at(600), at(1)).await, Err(StoreError::Full { table: "denied" }));
    assert_eq!(store.raise_epoch(key(99), at(1)).await, Err(StoreError::Full { table: "epoch" }));
    assert_eq!(store.first_use(key(0), at(600), at(2)).await, Ok(Some(at(1))));
    assert_eq!(store.deny(key(100), at(600), at(2)).await, Ok(()));
    assert_eq!(store.raise_epoch(key(0), at(2)).await, Ok(()));
    assert_eq!(store.known_since(key(99), at(600)).await, Ok(None), "what was refused was not written");
    assert_eq!(store.is_denied(key(99)).await, Ok(false));
    assert_eq!(store.epoch(key(99)).await, Ok(None));
}

pub(crate) async fn what_was_used_can_be_revoked_however_full_it_is(store: impl Tokens) {
    for number in 0..FEW {
        assert_eq!(store.first_use(key(u8::try_from(number).unwrap()), at(600), at(1)).await, Ok(Some(at(1))));
    }
    for number in 0..FEW_UNSEEN {
        assert_eq!(store.deny(key(100 + u8::try_from(number).unwrap()), at(600), at(1)).await, Ok(()));
    }
    let full = Err(StoreError::Full { table: "denied" });
    for number in 0..FEW {
        assert_eq!(store.deny(key(99), at(600), at(1)).await, full, "a token that was never used");
        let number = u8::try_from(number).unwrap();
        assert_eq!(store.deny(key(number), at(600), at(1)).await, Ok(()));
        assert_eq!(store.is_denied(key(number)).await, Ok(true));
        assert_eq!(store.raise_epoch(key(number), at(1)).await, Ok(()), "and epochs have room of their own");
    }
}

pub(crate) async fn a_token_is_kept_to_its_end_and_then_makes_room(store: impl Tokens) {
    for number in 0..FEW {
        assert_eq!(store.first_use(key(u8::try_from(number).unwrap()), at(60), at(0)).await, Ok(Some(at(0))));
    }
    for number in 0..FEW_UNSEEN {
        assert_eq!(store.deny(key(200 + u8::try_from(number).unwrap()), at(60), at(0)).await, Ok(()));
    }
    // In their last second nothing is forgotten for others.
    assert_eq!(store.first_use(key(99), at(600), at(60)).await, Err(StoreError::Full { table: "first_use" }));
    assert_eq!(store.deny(key(99), at(600), at(60)).await, Err(StoreError::Full { table: "denied" }));
    assert_eq!(store.known_since(key(0), at(60)).await, Ok(Some(at(0))));
    assert_eq!(store.is_denied(key(200)).await, Ok(true));
    // A second later all of them are past, and as many others find room.
    for number in 0..FEW {
        let number = 100 + u8::try_from(number).unwrap();
        assert_eq!(store.first_use(key(number), at(600), at(61)).await, Ok(Some(at(61))), "{number}");
    }
    for number in 0..FEW_UNSEEN {
        assert_eq!(store.deny(key(210 + u8::try_from(number).unwrap()), at(600), at(61)).await, Ok(()));
    }
    assert_eq!(store.is_denied(key(200)).await, Ok(false), "it was forgotten");
    assert_eq!(store.first_use(key(99), at(600), at(61)).await, Err(StoreError::Full { table: "first_use" }));
}

pub(crate) async fn after_a_clock_was_set_back_no_forgotten_token_is_new(store: impl Tokens) {
    assert_eq!(store.deny(key(1), at(60), at(0)).await, Ok(()));
    assert_eq!(store.first_use(key(2), at(50), at(0)).await, Ok(Some(at(0))));
    assert_eq!(store.first_use(key(3), at(60), at(0)).await, Ok(Some(at(0))));
    assert_eq!(store.deny(key(4), at(200), at(100)).await, Ok(()), "this one removes the first");
    assert_eq!(store.is_denied(key(1)).await, Ok(false));
    for number in [1, 2, 3, 5] {
        assert_eq!(store.first_use(key(number), at(60), at(10)).await, Ok(None), "{number}");
        assert_eq!(store.known_since(key(number), at(60)).await, Ok(None), "{number}");
    }
    assert_eq!(store.first_use(key(6), at(61), at(10)).await, Ok(Some(at(10))), "of its end none was forgotten");
}

pub(crate) async fn a_secret_is_written_over_its_predecessor_only(store: impl VaultRows + 'static) {
    assert_eq!(store.row(key(1), key(1)).await, Ok(None));
    assert_eq!(store.put(vec![secret(1, 1, 2, b"too new")]).await, Ok(false));
    assert_eq!(store.put(vec![secret(1, 1, 0, b"too old")]).await, Ok(false));
    assert_eq!(store.put(vec![secret(1, 1, 1, b"one")]).await, Ok(true));
    assert_eq!(store.put(vec![secret(1, 1, 1, b"again")]).await, Ok(false));
    assert_eq!(store.put(vec![secret(1, 1, 3, b"leap")]).await, Ok(false));
    assert_eq!(store.put(vec![secret(1, 1, 2, b"two")]).await, Ok(true));
    assert_eq!(store.row(key(1), key(1)).await, Ok(Some(secret(1, 1, 2, b"two"))));
    let (store, mut crowd) = (Arc::new(store), JoinSet::new());
    for number in 0..CROWD {
        let store = store.clone();
        crowd.spawn(async move { store.put(vec![secret(1, 1, 3, &number.to_be_bytes())]).await });
    }
    assert_eq!(crowd.join_all().await.into_iter().filter(|answer| *answer == Ok(true)).count(), 1);
}

pub(crate) async fn secrets_are_written_and_deleted_all_or_none(store: impl VaultRows) {
    assert_eq!(store.put(vec![secret(1, 1, 1, b"a"), secret(1, 2, 1, b"b"), secret(2, 1, 1, b"c")]).await, Ok(true));
    assert_eq!(store.put(vec![secret(1, 3, 1, b"d"), secret(1, 1, 1, b"stale")]).await, Ok(false));
    assert_eq!(store.put(vec![secret(1, 3, 1, b"d"), secret(1, 3, 1, b"d")]).await, Ok(false), "one of them twice");
    assert_eq!(store.row(key(1), key(3)).await, Ok(None));
    assert_eq!(store.of_wallet(key(1)).await, Ok(vec![secret(1, 1, 1, b"a"), secret(1, 2, 1, b"b")]));
    assert_eq!(store.of_wallet(key(9)).await, Ok(vec![]));
    assert_eq!(store.delete(key(1), vec![key(1), key(7)]).await, Ok(1));
    assert_eq!(store.delete(key(9), vec![key(1)]).await, Ok(0));
    assert_eq!(store.of_wallet(key(1)).await, Ok(vec![secret(1, 2, 1, b"b")]));
    assert_eq!(store.of_wallet(key(2)).await, Ok(vec![secret(2, 1, 1, b"c")]));
    assert_eq!(store.put(vec![secret(1, 1, 1, b"anew")]).await, Ok(true), "what was deleted begins again");
}

pub(crate) async fn secrets_one_past_the_limit_are_refused(store: impl VaultRows) {
    let most: Vec<_> = (0..FEW).map(|number| secret(1, u8::try_from(number).unwrap(), 1, b"")).collect();
    assert_eq!(store.put(most).await, Ok(true));
    let full = Err(StoreError::Full { table: "vault" });
    assert_eq!(store.put(vec![secret(2, 99, 1, b"")]).await, full);
    assert_eq!(store.put(vec![secret(1, 0, 2, b"")]).await, Ok(true), "a new version is no new row");
    assert_eq!(store.delete(key(1), vec![key(0)]).await, Ok(1));
    assert_eq!(store.put(vec![secret(2, 99, 1, b"")]).await, Ok(true));
    let long = vec![0; store::MAX_BODY + 1];
    assert_eq!(store.put(vec![secret(2, 99, 2, &long)]).await, full, "nor is a body one byte too long taken");
    assert_eq!(store.put(vec![secret(2, 99, 2, &long[1..])]).await, Ok(true));
    assert_eq!(store.row(key(2), key(99)).await.unwrap().unwrap().body.len(), store::MAX_BODY);
}

pub(crate) async fn secrets_one_byte_past_the_room_are_refused(store: impl VaultRows) {
    let full = Err(StoreError::Full { table: "vault" });
    // What a secret takes beyond its body: its place, nonce and tag.
    let own = 64 + 12 + 16;
    let half = vec![0; usize::try_from(FEW_BYTES / 2 - own).unwrap()];
    let longer = [&half[..], &[0]].concat();
    assert_eq!(store.put(vec![secret(1, 1, 1, &half)]).await, Ok(true));
    assert_eq!(store.put(vec![secret(2, 1, 1, &longer)]).await, full, "of another wallet, too");
    assert_eq!(store.row(key(2), key(1)).await, Ok(None), "what was refused was not written");
    assert_eq!(store.put(vec![secret(2, 1, 1, &half)]).await, Ok(true), "the last byte is taken");
    assert_eq!(store.put(vec![secret(3, 1, 1, b"")]).await, full);
    assert_eq!(store.put(vec![secret(2, 1, 2, &longer)]).await, full);
    assert_eq!(store.put(vec![secret(2, 1, 2, &half)]).await, Ok(true), "a new version takes the place of the old");
    assert_eq!(store.put(vec![secret(2, 1, 3, b"short")]).await, Ok(true));
    assert_eq!(store.put(vec![secret(3, 1, 1, b"")]).await, Ok(true), "and leaves what it does not need");
    assert_eq!(store.delete(key(1), vec![key(1), key(9)]).await, Ok(1));
    assert_eq!(store.put(vec![secret(4, 1, 1, &half)]).await, Ok(true));
}

pub(crate) async fn a_payment_begins_once_and_goes_on_from_its_last_version(store: impl Journal + 'static) {
    let one = payment(1, 1, 500);
    assert_eq!(store.by_key(key(1)).await, Ok(None));
    assert_eq!(store.advance(next(&one, JournalStage::Executed)).await, Ok(false), "it has not begun");
    assert_eq!(store.begin(one.clone()).await, Ok(Begun::Fresh));
    assert_eq!(store.begin(payment(1, 2, 700)).await, Ok(Begun::There(one.clone())));
    assert_eq!(store.advance(one.clone()).await, Ok(false), "its own version");
    let executed = next(&one, JournalStage::Executed);
    assert_eq!(store.advance(next(&executed, JournalStage::Signed)).await, Ok(false), "a leap");
    assert_eq!(store.advance(executed.clone()).await, Ok(true));
    assert_eq!(store.by_key(key(1)).await, Ok(Some(executed.clone())));
    assert!(matches!(
        store.begin(next(&payment(2, 1, 1), JournalStage::Reserved)).await,
        Err(StoreError::Unavailable { .. })
    ));
    let (store, mut crowd) = (Arc::new(store), JoinSet::new());
    for number in 0..CROWD {
        let (store, mut row) = (store.clone(), next(&executed, JournalStage::Signed));
        row.body = number.to_be_bytes().to_vec();
        crowd.spawn(async move { store.advance(row).await });
    }
    assert_eq!(crowd.join_all().await.into_iter().filter(|answer| *answer == Ok(true)).count(), 1);
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let store = store.clone();
        crowd.spawn(async move { store.begin(payment(3, 1, 1)).await });
    }
    assert_eq!(crowd.join_all().await.into_iter().filter(|answer| *answer == Ok(Begun::Fresh)).count(), 1);
}

pub(crate) async fn unfinished_payments_come_oldest_first_and_are_set_aside(store: impl Journal) {
    // Keys against the order of time.
    for (number, payer, amount) in [(9, 1, 500), (5, 2, 40), (7, 1, 3), (1, 1, 1000)] {
        assert_eq!(store.begin(payment(number, payer, amount)).await, Ok(Begun::Fresh));
    }
    assert_eq!(unfinished(&store).await, [9, 5, 7, 1]);
    assert_eq!(store.set_aside(key(1)).await, Ok(1503));
    assert_eq!(store.set_aside(key(2)).await, Ok(40));
    assert_eq!(store.set_aside(key(3)).await, Ok(0));
    // A later version keeps its place; the last ones leave.
    assert_eq!(store.advance(next(&payment(5, 2, 40), JournalStage::Sent)).await, Ok(true));
    assert_eq!(store.advance(next(&payment(9, 1, 500), JournalStage::Settled)).await, Ok(true));
    assert_eq!(store.advance(next(&payment(7, 1, 3), JournalStage::Released)).await, Ok(true));
    assert_eq!(unfinished(&store).await, [5, 1]);
    assert_eq!(store.set_aside(key(1)).await, Ok(1000));
    // What was released may be begun again by its next version, with another amount.
    let released = next(&payment(7, 1, 3), JournalStage::Released);
    let again = gate::keep::JournalRow { amount: 4, ..next(&released, JournalStage::Reserved) };
    assert_eq!(store.advance(again).await, Ok(true));
    assert_eq!(unfinished(&store).await, [5, 7, 1]);
    assert_eq!(store.set_aside(key(1)).await, Ok(1004));
}

pub(crate) async fn more_than_can_be_counted_is_set_aside_as_all_there_is(store: impl Journal) {
    for number in 1..=3 {
        assert_eq!(store.begin(payment(number, 1, u64::MAX - 1)).await, Ok(Begun::Fresh));
    }
    assert_eq!(store.set_aside(key(1)).await, Ok(u64::MAX));
    assert_eq!(store.by_key(key(3)).await.unwrap().unwrap().amount, u64::MAX - 1);
}

async fn unfinished(store: &impl Journal) -> Vec<u8> {
    store.unfinished().await.unwrap().into_iter().map(|row| row.key[0]).collect()
}

pub(crate) async fn only_finished_payments_are_forgotten_and_only_after_their_time(store: impl Journal) {
    for number in 1..=3 {
        assert_eq!(store.begin(payment(number, 1, 1)).await, Ok(Begun::Fresh));
    }
    assert_eq!(store.advance(next(&payment(1, 1, 1), JournalStage::Settled)).await, Ok(true));
    assert_eq!(store.advance(next(&payment(2, 1, 1), JournalStage::Released)).await, Ok(true));
    assert_eq!(store.forget(at(600)).await, Ok(0), "in its last second");
    assert_eq!(store.forget(at(601)).await, Ok(2));
    assert_eq!(store.forget(at(601)).await, Ok(0));
    assert_eq!(store.by_key(key(1)).await, Ok(None));
    assert!(store.by_key(key(3)).await.unwrap().is_some(), "it is not finished");
    let forever =
        gate::keep::JournalRow { keep_until: UnixSeconds(u64::MAX), ..next(&payment(3, 1, 1), JournalStage::Settled) };
    assert_eq!(store.advance(forever.clone()).await, Ok(true));
    assert_eq!(store.forget(UnixSeconds(u64::MAX)).await, Ok(0));
    assert_eq!(store.by_key(key(3)).await, Ok(Some(forever)));
}

pub(crate) async fn payments_one_past_the_limits_are_refused(store: impl Journal) {
    let full = StoreError::Full { table: "journal" };
    for number in 0..FEW {
        let row = payment(u8::try_from(number).unwrap(), 1, 1);
        if number == FEW_UNFINISHED {
            assert_eq!(store.begin(row.clone()).await, Err(full.clone()), "too many unfinished");
            for number in 0..FEW_UNFINISHED {
                let row = payment(u8::try_from(number).unwrap(), 1, 1);
                assert_eq!(store.advance(next(&row, JournalStage::Settled)).await, Ok(true));
            }
        }
        assert_eq!(store.begin(row).await, Ok(Begun::Fresh));
    }
    let settled = next(&payment(0, 1, 1), JournalStage::Settled);
    assert_eq!(store.advance(next(&settled, JournalStage::Reserved)).await, Err(full.clone()), "too many unfinished");
    let last = payment(u8::try_from(FEW - 1).unwrap(), 1, 1);
    assert_eq!(store.advance(next(&last, JournalStage::Settled)).await, Ok(true));
    assert_eq!(store.begin(payment(99, 1, 1)).await, Err(full), "too many");
    assert_eq!(store.forget(at(601)).await, Ok(FEW_UNFINISHED + 1));
    assert_eq!(store.begin(payment(99, 1, 1)).await, Ok(Begun::Fresh));
}

pub(crate) async fn switches_are_written_over_their_predecessor_only(store: impl Switches + 'static) {
    assert_eq!(store.of_owner(key(1)).await, Ok(Vec::new()));
    assert_eq!(store.keep(switches(1, 1, 2, b"too new"), at(0)).await, Ok(Kept::Stale));
    assert_eq!(store.keep(switches(1, 1, 1, b"one"), at(0)).await, Ok(Kept::Written));
    assert_eq!(store.keep(switches(1, 1, 1, b"again"), at(0)).await, Ok(Kept::Stale));
    assert_eq!(store.keep(switches(1, 1, 2, b"two"), at(0)).await, Ok(Kept::Written));
    assert_eq!(store.keep(switches(1, 7, 1, b"narrower"), at(0)).await, Ok(Kept::Written));
    assert_eq!(store.keep(switches(2, 7, 1, b"another's"), at(0)).await, Ok(Kept::Written));
    assert_eq!(store.of_owner(key(1)).await, Ok(vec![switches(1, 1, 2, b"two"), switches(1, 7, 1, b"narrower")]));
    let (store, mut crowd) = (Arc::new(store), JoinSet::new());
    for number in 0..CROWD {
        let store = store.clone();
        crowd.spawn(async move { store.keep(switches(1, 1, 3, &number.to_be_bytes()), at(0)).await });
    }
    assert_eq!(crowd.join_all().await.into_iter().filter(|answer| *answer == Ok(Kept::Written)).count(), 1);
}

pub(crate) async fn an_owners_next_scope_replaces_the_one_changed_longest_ago(store: impl Switches) {
    // The widest is the oldest, and stays.
    for (scope, until) in [(1, 601), (2, 700), (3, 650)] {
        let row = SwitchRow { keep_until: at(until), ..switches(1, scope, 1, b"") };
        assert_eq!(store.keep(row, at(0)).await, Ok(Kept::Written));
    }
    assert_eq!(store.keep(switches(1, 4, 1, b""), at(0)).await, Ok(Kept::Written));
    let scopes = |rows: Vec<SwitchRow>| rows.into_iter().map(|row| row.scope[0]).collect::<Vec<_>>();
    assert_eq!(scopes(store.of_owner(key(1)).await.unwrap()), [1, 2, 4]);
    assert_eq!(store.keep(switches(1, 2, 2, b""), at(0)).await, Ok(Kept::Written), "a change takes no room");
    assert_eq!(scopes(store.of_owner(key(1)).await.unwrap()), [1, 2, 4]);
}

pub(crate) async fn switches_are_kept_to_their_end_and_then_make_room(store: impl Switches) {
    for number in 0..FEW {
        let number = u8::try_from(number).unwrap();
        assert_eq!(store.keep(switches(number, number, 1, b""), at(0)).await, Ok(Kept::Written));
    }
    let full = Err(StoreError::Full { table: "switches" });
    assert_eq!(store.keep(switches(99, 99, 1, b""), at(601)).await, full, "in their last second");
    assert_eq!(store.of_owner(key(0)).await.unwrap().len(), 1);
    assert_eq!(
        store.keep(switches(0, 0, 2, b"more"), at(601)).await,
        Ok(Kept::Written),
        "and there is room for changes"
    );
    for number in 1..FEW {
        let row = SwitchRow { keep_until: at(900), ..switches(100 + u8::try_from(number).unwrap(), 1, 1, b"") };
        assert_eq!(store.keep(row, at(602)).await, Ok(Kept::Written), "{number}");
    }
    assert!(store.of_owner(key(1)).await.unwrap().is_empty(), "it was forgotten");
    assert_eq!(store.of_owner(key(0)).await.unwrap().len(), 1, "this one was changed since");
}
