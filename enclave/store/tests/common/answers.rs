//! A store with a little of everything, and all the answers it gives.

use gate::keep::{Journal, JournalStage, MarkKind, Marks, StoreError, Switches, Tokens, VaultRows};
use store::Store;

use super::{at, key, next, payment, secret, switches};

/// Writes something into every table; two rows at least, so that they can change places.
pub(crate) async fn fill(store: &Store) {
    for number in [1, 2] {
        for kind in [MarkKind::Challenge, MarkKind::SignedRequest] {
            assert_eq!(store.mark(kind, key(number), at(60), at(0)).await, Ok(true));
        }
        store.first_use(key(number), at(600), at(u64::from(number))).await.unwrap();
        store.deny(key(number), at(600), at(3)).await.unwrap();
        store.raise_epoch(key(number), at(4)).await.unwrap();
        store.begin(payment(number, 1, 500)).await.unwrap();
        store.begin(payment(number + 10, 2, 500)).await.unwrap();
    }
    store.raise_epoch(key(2), at(5)).await.unwrap();
    assert_eq!(
        store.put(vec![secret(1, 1, 1, b"one"), secret(1, 2, 1, b"two"), secret(2, 1, 1, b"three")]).await,
        Ok(true)
    );
    assert_eq!(store.put(vec![secret(1, 2, 2, b"newer")]).await, Ok(true));
    for row in [switches(1, 1, 1, b"one"), switches(1, 2, 1, b"two"), switches(2, 2, 1, b"three")] {
        store.keep(row, at(0)).await.unwrap();
    }
    store.keep(switches(1, 2, 2, b"newer"), at(0)).await.unwrap();
    assert_eq!(store.advance(next(&payment(2, 1, 500), JournalStage::Sent)).await, Ok(true));
    assert_eq!(store.advance(next(&payment(11, 2, 500), JournalStage::Settled)).await, Ok(true));
    assert_eq!(store.advance(next(&payment(12, 2, 500), JournalStage::Released)).await, Ok(true));
}

/// Every answer as text, or why there is none. Asking changes nothing that is asked.
pub(crate) async fn answers(store: &Store) -> Vec<Result<String, StoreError>> {
    fn say(answer: Result<impl std::fmt::Debug, StoreError>) -> Result<String, StoreError> {
        answer.map(|answer| format!("{answer:?}"))
    }
    let mut all = Vec::new();
    for number in [1, 2] {
        for kind in [MarkKind::Challenge, MarkKind::SignedRequest] {
            all.push(say(store.mark(kind, key(number), at(60), at(0)).await));
        }
        all.push(say(store.first_use(key(number), at(600), at(99)).await));
        all.push(say(store.known_since(key(number), at(600)).await));
        all.push(say(store.is_denied(key(number)).await));
        all.push(say(store.epoch(key(number)).await));
        all.push(say(store.of_wallet(key(number)).await));
        all.push(say(store.row(key(number), key(1)).await));
        all.push(say(store.put(vec![secret(number, 1, 9, b"not the next")]).await));
        all.push(say(store.of_owner(key(number)).await));
        all.push(say(store.keep(switches(number, number, 9, b"not the next"), at(0)).await));
        all.push(say(store.by_key(key(number)).await));
        all.push(say(store.by_key(key(number + 10)).await));
        all.push(say(store.begin(payment(number + 10, 9, 9)).await));
        all.push(say(store.set_aside(key(number)).await));
    }
    all.push(say(store.unfinished().await));
    all
}
