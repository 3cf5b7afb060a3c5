//! Whoever may write to the file may stop the gateway, not deceive it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod common;

use common::{Place, answers::answers, answers::fill, at, cipher, key, raw, settled};
use gate::keep::{Journal, MarkKind, Marks, StoreError, Switches, Tokens};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection, TypeInfo, ValueRef};
use store::{OpenError, Store};

/// Every table, with the columns of its key.
const TABLES: &[(&str, &[&str])] = &[
    ("schema", &["id"]),
    ("mark", &["kind", "key"]),
    ("first_use", &["token"]),
    ("denied", &["token"]),
    ("epoch", &["wallet"]),
    ("vault", &["wallet", "entry"]),
    ("journal", &["key"]),
    ("switches", &["owner", "scope"]),
];

/// One statement that changes one thing of one row.
struct Edit {
    what: String,
    table: &'static str,
    is_key: bool,
    sql: String,
}

fn blob(bytes: &[u8]) -> String {
    format!("x'{}'", hex::encode(bytes))
}

/// For every column of every row: each number a little more, a little less and negative; of each blob one in `step`
/// bytes flipped, a byte less and a byte more.
async fn edits(connection: &mut SqliteConnection, step: usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (table, key) in TABLES {
        let rows =
            sqlx::query(AssertSqlSafe(format!("SELECT * FROM {table}"))).fetch_all(&mut *connection).await.unwrap();
        assert!(!rows.is_empty(), "{table} is empty");
        for row in &rows {
            let literal = |name: &str| {
                if row.try_get_raw(name).unwrap().type_info().name() == "BLOB" {
                    blob(&row.get::<Vec<u8>, _>(name))
                } else {
                    row.get::<i64, _>(name).to_string()
                }
            };
            let place: Vec<String> = key.iter().map(|name| format!("{name} = {}", literal(name))).collect();
            let place = place.join(" AND ");
            for column in row.columns() {
                let name = sqlx::Column::name(column);
                let mut values = Vec::new();
                if row.try_get_raw(name).unwrap().type_info().name() == "BLOB" {
                    let bytes: Vec<u8> = row.get(name);
                    for at in (0..bytes.len()).step_by(step) {
                        let mut changed = bytes.clone();
                        changed[at] ^= 1 << (at % 8);
                        values.push(blob(&changed));
                    }
                    values.push(blob(&bytes[1..]));
                    values.push(blob(&[&bytes[..], &[0]].concat()));
                } else {
                    let number: i64 = row.get(name);
                    values.extend([number + 1, number - 1, -number - 1, i64::MAX].map(|number| number.to_string()));
                }
                for value in values {
                    edits.push(Edit {
                        what: format!("{table}.{name} = {value} where {place}"),
                        table,
                        is_key: key.contains(&name),
                        sql: format!("UPDATE {table} SET {name} = {value} WHERE {place}"),
                    });
                }
            }
        }
    }
    edits
}

/// The bytes of a store with a little of everything, and its answers.
async fn original() -> (Place, Vec<u8>, Vec<Result<String, StoreError>>) {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    let answers = answers(&store).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    drop(store);
    let bytes = settled(&place.path).await;
    (place, bytes, answers)
}

async fn restore(place: &Place, bytes: &[u8]) {
    for ending in ["-wal", "-shm"] {
        let mut name = place.path.clone().into_os_string();
        name.push(ending);
        std::fs::remove_file(name).ok();
    }
    std::fs::write(&place.path, bytes).unwrap();
}

#[tokio::test]
async fn a_file_with_any_column_of_any_row_changed_is_not_opened() {
    let (_place, bytes, _) = original().await;
    let source = Place::new();
    restore(&source, &bytes).await;
    let edits = edits(&mut raw(&source.path).await, 7).await;
    let mut tried = 0;
    for edit in &edits {
        let place = Place::new();
        restore(&place, &bytes).await;
        let mut connection = raw(&place.path).await;
        // Some edits would make two rows one, or break a rule of the schema: SQLite refuses them itself.
        let done = sqlx::query(AssertSqlSafe(edit.sql.clone())).execute(&mut connection).await;
        connection.close().await.unwrap();
        if done.is_err() {
            continue;
        }
        assert_eq!(done.unwrap().rows_affected(), 1, "{}", edit.what);
        tried += 1;
        match Store::open(&place.path, cipher()).await {
            Err(OpenError::Store { source: StoreError::Damaged { table }, .. }) => {
                assert_eq!(table, edit.table, "{}", edit.what);
            }
            Err(OpenError::Newer { .. }) if edit.table == "schema" => {}
            Err(other) => panic!("{}: {other:?}", edit.what),
            Ok(_) => panic!("{}: opened", edit.what),
        }
    }
    assert!(tried > 300, "{tried} edits of {}", edits.len());
    eprintln!("{tried} edits");
}

#[tokio::test]
async fn a_row_changed_while_the_store_is_open_is_never_answered_from() {
    let (source, bytes, expected) = original().await;
    let edits = edits(&mut raw(&source.path).await, 16).await;
    let mut tried = 0;
    // A row whose key changes is gone, and that a row is gone is seen of unfinished payments only: below.
    for edit in edits.iter().filter(|edit| !edit.is_key && edit.table != "schema") {
        let place = Place::new();
        restore(&place, &bytes).await;
        let store = place.open().await;
        let mut connection = raw(&place.path).await;
        sqlx::query(AssertSqlSafe(edit.sql.clone())).execute(&mut connection).await.unwrap();
        let mut damaged = 0;
        for (said, expected) in answers(&store).await.iter().zip(&expected) {
            match said {
                Err(StoreError::Damaged { table }) => {
                    assert_eq!(*table, edit.table, "{}", edit.what);
                    damaged += 1;
                }
                other => assert_eq!(other, expected, "{}", edit.what),
            }
        }
        assert!(damaged > 0, "{}: nobody noticed", edit.what);
        tried += 1;
    }
    assert!(tried > 100, "{tried} edits");
}

#[tokio::test]
async fn what_was_edited_to_look_past_is_not_forgotten() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    let mut connection = raw(&place.path).await;
    sqlx::query("UPDATE mark SET until = 1 WHERE kind = 0").execute(&mut connection).await.unwrap();
    sqlx::query("UPDATE first_use SET until = 1").execute(&mut connection).await.unwrap();
    sqlx::query("UPDATE denied SET until = 1").execute(&mut connection).await.unwrap();
    sqlx::query("UPDATE journal SET done = 1, keep_until = 1").execute(&mut connection).await.unwrap();
    let marked = store.mark(MarkKind::Challenge, key(77), at(90), at(0)).await;
    assert_eq!(marked, Err(StoreError::Damaged { table: "mark" }));
    assert_eq!(store.forget(at(0)).await, Err(StoreError::Damaged { table: "journal" }));
    let used = store.first_use(key(77), at(90), at(0)).await;
    assert_eq!(used, Err(StoreError::Damaged { table: "first_use" }));
    let denied = store.deny(key(77), at(90), at(0)).await;
    assert_eq!(denied, Err(StoreError::Damaged { table: "denied" }));
    sqlx::query("UPDATE switches SET keep_until = 1").execute(&mut connection).await.unwrap();
    let kept = store.keep(common::switches(9, 9, 1, b""), at(0)).await;
    assert_eq!(kept, Err(StoreError::Damaged { table: "switches" }));
    for (table, rows) in [("mark", 4), ("first_use", 2), ("denied", 2), ("journal", 4), ("switches", 3)] {
        let count = sqlx::query_as(AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")));
        let (count,): (i64,) = count.fetch_one(&mut connection).await.unwrap();
        assert_eq!(count, rows, "{table}");
    }
}

#[tokio::test]
async fn two_rows_that_change_bodies_do_not_open() {
    for (table, key) in TABLES.iter().filter(|(table, _)| *table != "schema") {
        let (_place, bytes, _) = original().await;
        let place = Place::new();
        restore(&place, &bytes).await;
        let mut connection = raw(&place.path).await;
        let swap = format!(
            "WITH pair AS (SELECT MIN({key}) AS a, MAX({key}) AS b FROM {table}), \
             bodies AS (SELECT {key} AS k, sealed AS s FROM {table}) \
             UPDATE {table} SET sealed = (SELECT s FROM bodies WHERE k <> {table}.{key} LIMIT 1) \
             WHERE {key} = (SELECT a FROM pair)",
            key = key[0]
        );
        let done = sqlx::query(AssertSqlSafe(swap)).execute(&mut connection).await.unwrap();
        assert!(done.rows_affected() >= 1, "{table}");
        connection.close().await.unwrap();
        let error = Store::open(&place.path, cipher()).await.err().unwrap();
        let OpenError::Store { source: StoreError::Damaged { table: named }, .. } = &error else { panic!("{error:?}") };
        assert_eq!(named, table);
        assert!(error.fix().contains("backup"), "{}", error.fix());
    }
}

#[tokio::test]
async fn an_unfinished_payment_that_vanishes_or_grows_younger_is_missed() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    let damaged = StoreError::Damaged { table: "journal" };
    let mut connection = raw(&place.path).await;
    // An older version of the row, sealed by us and put back.
    let old: (i64, Vec<u8>) = sqlx::query_as("SELECT version, sealed FROM journal WHERE key = $1")
        .bind(key(1).to_vec())
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let later = common::next(&common::payment(1, 1, 500), gate::keep::JournalStage::Signed);
    assert_eq!(store.advance(later.clone()).await, Ok(true));
    let update = sqlx::query("UPDATE journal SET version = $1, sealed = $2 WHERE key = $3").bind(old.0).bind(old.1);
    update.bind(key(1).to_vec()).execute(&mut connection).await.unwrap();
    assert_eq!(store.unfinished().await, Err(damaged.clone()));
    assert_eq!(store.begin(common::payment(1, 1, 500)).await, Err(damaged.clone()));
    assert_eq!(store.advance(common::next(&later, gate::keep::JournalStage::Sent)).await, Err(damaged.clone()));
    sqlx::query("DELETE FROM journal WHERE key = $1").bind(key(1).to_vec()).execute(&mut connection).await.unwrap();
    assert_eq!(store.by_key(key(1)).await, Err(damaged.clone()));
    assert_eq!(store.begin(common::payment(1, 1, 500)).await, Err(damaged.clone()));
    assert_eq!(store.unfinished().await, Err(damaged));
    assert_eq!(store.set_aside(key(1)).await, Ok(1000), "it is still set aside");
}

#[tokio::test]
async fn a_trigger_or_another_table_in_the_file_is_refused() {
    for statement in [
        "CREATE TRIGGER forget AFTER INSERT ON mark BEGIN DELETE FROM mark; END",
        "CREATE TABLE more (x INTEGER)",
        "CREATE VIEW seen AS SELECT * FROM vault",
        "DROP INDEX mark_until",
        "ALTER TABLE journal ADD COLUMN more INTEGER",
    ] {
        let (_place, bytes, _) = original().await;
        let place = Place::new();
        restore(&place, &bytes).await;
        let mut connection = raw(&place.path).await;
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let error = Store::open(&place.path, cipher()).await.err();
        let is_refused =
            matches!(error, Some(OpenError::Store { source: StoreError::Damaged { table: "schema" }, .. }));
        assert!(is_refused, "{statement}: {error:?}");
    }
}

#[tokio::test]
async fn no_flipped_bit_of_the_file_makes_a_wrong_answer() {
    let (_place, bytes, expected) = original().await;
    let (mut refused, mut same) = (0, 0);
    for at in (0..bytes.len()).step_by(127) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let place = Place::new();
        restore(&place, &flipped).await;
        match Store::open(&place.path, cipher()).await {
            Err(_) => refused += 1,
            Ok(store) => {
                same += 1;
                for (said, expected) in answers(&store).await.iter().zip(&expected) {
                    assert!(said.is_err() || said == expected, "byte {at}: {said:?}, not {expected:?}");
                }
            }
        }
    }
    // Most of a small file is empty pages' rest, which nobody reads.
    assert!(refused > 20 && same > 20, "{refused} refused, {same} without effect");
    eprintln!("{refused} refused, {same} without effect");
}
