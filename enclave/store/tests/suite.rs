//! The suite of every store, on a file and in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod common;

/// One test for each sentence of the suite.
macro_rules! every_store {
    ($($sentence:ident)+) => {
        mod on_a_file {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                let place = super::common::Place::new();
                let store = store::Store::open_with(&place.path, super::common::cipher(), super::limits()).await.unwrap();
                super::common::suite::$sentence(store).await;
            })+
        }
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                let store = store::Store::in_memory_with(super::common::cipher(), super::limits()).await.unwrap();
                super::common::suite::$sentence(store).await;
            })+
        }
    };
}

fn limits() -> store::Limits {
    use common::suite::{FEW, FEW_OF_ONE, FEW_UNFINISHED, FEW_UNSEEN};
    store::Limits {
        marks: FEW,
        tokens: FEW,
        denied_unseen: FEW_UNSEEN,
        epochs: FEW,
        vault: FEW,
        vault_bytes: 64 << 20,
        switches: FEW,
        switches_of_one: FEW_OF_ONE,
        journal: FEW,
        unfinished: FEW_UNFINISHED,
    }
}

every_store! {
    a_mark_is_new_once
    of_many_who_mark_one_thing_one_is_first
    a_mark_outlives_its_time_and_then_makes_room
    after_a_clock_was_set_back_nothing_forgotten_is_new
    a_token_is_first_used_once
    a_denied_token_stays_denied
    an_epoch_never_falls
    tokens_one_past_the_limit_are_refused_and_the_others_kept
    what_was_used_can_be_revoked_however_full_it_is
    a_token_is_kept_to_its_end_and_then_makes_room
    after_a_clock_was_set_back_no_forgotten_token_is_new
    a_secret_is_written_over_its_predecessor_only
    secrets_are_written_and_deleted_all_or_none
    secrets_one_past_the_limit_are_refused
    a_payment_begins_once_and_goes_on_from_its_last_version
    unfinished_payments_come_oldest_first_and_are_set_aside
    more_than_can_be_counted_is_set_aside_as_all_there_is
    only_finished_payments_are_forgotten_and_only_after_their_time
    payments_one_past_the_limits_are_refused
    switches_are_written_over_their_predecessor_only
    an_owners_next_scope_replaces_the_one_changed_longest_ago
    switches_are_kept_to_their_end_and_then_make_room
}

#[tokio::test]
async fn secrets_one_byte_past_the_room_are_refused() {
    use common::suite::{FEW_BYTES, secrets_one_byte_past_the_room_are_refused as holds};
    let (place, limits) = (common::Place::new(), store::Limits { vault_bytes: FEW_BYTES, ..limits() });
    holds(store::Store::open_with(&place.path, common::cipher(), limits).await.unwrap()).await;
    holds(store::Store::in_memory_with(common::cipher(), limits).await.unwrap()).await;
}
