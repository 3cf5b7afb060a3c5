//! The file: who may read it, who may open it, what is in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod common;

use std::fs;

use common::{
    Place,
    answers::{answers, fill},
    at, cipher, key, other_cipher, payment, raw, secret,
};
use gate::keep::{Journal, MarkKind, Marks, StoreError, Switches, Tokens, VaultRows};
use sqlx::Connection;
use store::{Limits, OpenError, Store};

#[tokio::test]
async fn what_was_kept_is_there_when_it_is_opened_again() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    let before = answers(&store).await;
    drop(store);
    for _ in 0..2 {
        assert_eq!(answers(&place.open().await).await, before);
    }
    // And goes on where it was.
    let store = place.open().await;
    store.begin(payment(50, 1, 1)).await.unwrap();
    assert_eq!(store.unfinished().await.unwrap().last().unwrap().key, key(50), "the youngest");
}

#[tokio::test]
async fn what_is_full_is_full_when_it_is_opened_again() {
    let place = Place::new();
    let limits = Limits { vault_bytes: 2 * (64 + 12 + 1000 + 16), ..Limits::default() };
    let body = [0; 1000];
    let open = async || Store::open_with(&place.path, cipher(), limits).await.unwrap();
    assert_eq!(open().await.put(vec![secret(1, 1, 1, &body)]).await, Ok(true));
    assert_eq!(open().await.put(vec![secret(2, 1, 1, &body)]).await, Ok(true));
    assert_eq!(open().await.put(vec![secret(3, 1, 1, &[])]).await, Err(StoreError::Full { table: "vault" }));
    assert_eq!(open().await.delete(key(1), vec![key(1)]).await, Ok(1));
    assert_eq!(open().await.put(vec![secret(3, 1, 1, &body)]).await, Ok(true));
}

/// Seals nothing, so that many bytes take little time.
struct Clear;

impl gate::keep::RowCipher for Clear {
    fn seal(&self, _: &str, _: &[u8], _: u64, body: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(body.to_vec())
    }

    fn open(&self, _: &'static str, _: &[u8], _: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(sealed.to_vec())
    }
}

#[tokio::test]
async fn a_store_in_memory_takes_64_mib_of_secrets_and_one_on_disk_256() {
    assert_eq!((Limits::default().vault_bytes, Limits::in_memory().vault_bytes), (256 << 20, 64 << 20));
    let store = Store::in_memory(std::sync::Arc::new(Clear)).await.unwrap();
    let body = vec![0; (16 << 20) - 64];
    for number in 1..=4 {
        assert_eq!(store.put(vec![secret(number, 1, 1, &body)]).await, Ok(true), "{number}");
    }
    assert_eq!(store.put(vec![secret(5, 1, 1, &[])]).await, Err(StoreError::Full { table: "vault" }));
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_any_of_its_files() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    // A file that stood open before is closed to others, too.
    fs::write(&place.path, []).unwrap();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o666)).unwrap();
    let store = place.open().await;
    fill(&store).await;
    let mut names = Vec::new();
    for entry in fs::read_dir(place.dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["state.db", "state.db-shm", "state.db-wal", "state.db.lock"]);
}

#[tokio::test]
async fn one_process_at_a_time_has_it_open() {
    let place = Place::new();
    let store = place.open().await;
    let error = Store::open(&place.path, cipher()).await.err().unwrap();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.fix().contains("other gateway"));
    drop(store);
    place.open().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let place = Place::new();
    drop(place.open().await);
    let mut connection = raw(&place.path).await;
    sqlx::query("UPDATE schema SET version = 3").execute(&mut connection).await.unwrap();
    sqlx::query("CREATE TABLE newer (x INTEGER)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let error = Store::open(&place.path, cipher()).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 3, known: 2 }), "{error}");
    assert!(error.fix().contains("newer build"), "{}", error.fix());
}

#[tokio::test]
async fn a_file_of_version_1_is_raised_and_loses_nothing() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    let mut before = answers(&store).await;
    drop(store);
    let mut connection = raw(&place.path).await;
    sqlx::query("DROP TABLE switches").execute(&mut connection).await.unwrap();
    let sealed = cipher().seal("schema", &[], 1, b"sealgate").unwrap();
    let older = sqlx::query("UPDATE schema SET version = 1, sealed = $1").bind(sealed);
    older.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    for _ in 0..2 {
        let store = place.open().await;
        assert!(store.of_owner(key(1)).await.unwrap().is_empty(), "version 1 had none");
        let after = answers(&store).await;
        for (after, before) in after.iter().zip(&mut before) {
            assert!(after == before || before.as_ref().unwrap().contains("SwitchRow"), "{after:?}, not {before:?}");
        }
    }
    place.open().await.keep(common::switches(1, 1, 1, b"new"), at(0)).await.unwrap();
    assert_eq!(place.open().await.of_owner(key(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_file_of_another_lineage_or_program_is_refused() {
    let place = Place::new();
    drop(place.open().await);
    let error = Store::open(&place.path, other_cipher()).await.err().unwrap();
    let is_damaged = matches!(error, OpenError::Store { source: StoreError::Damaged { table: "schema" }, .. });
    assert!(is_damaged && error.fix().contains("another lineage"), "{error}");

    let place = Place::new();
    fs::write(&place.path, []).unwrap();
    let mut connection = raw(&place.path).await;
    sqlx::query("CREATE TABLE theirs (x INTEGER)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let error = Store::open(&place.path, cipher()).await.err().unwrap();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");

    let place = Place::new();
    fs::write(&place.path, "no database at all".repeat(100)).unwrap();
    let error = Store::open(&place.path, cipher()).await.err().unwrap();
    assert!(matches!(error, OpenError::Store { source: StoreError::Damaged { .. }, .. }), "{error:?}");
    assert_eq!(fs::read(&place.path).unwrap().len(), 1800, "it was not written over");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let place = Place::new();
    fs::write(place.dir.path().join("file"), []).unwrap();
    let error = Store::open(&place.dir.path().join("file/state.db"), cipher()).await.err().unwrap();
    assert!(matches!(error, OpenError::File { doing: "make", .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_somebody_else_holds_is_an_error_and_not_an_answer() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store).await;
    let before = answers(&store).await;
    let body = vec![1; 1 << 20];
    let mut connection = raw(&place.path).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    // The write waits, gives up, and says so.
    let refused = store.put(vec![secret(9, 9, 1, &body)]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
    assert_eq!(store.row(key(9), key(9)).await, Ok(None));
    assert_eq!(answers(&store).await, before, "and goes on when it is free");
    assert_eq!(store.put(vec![secret(9, 9, 1, &body)]).await, Ok(true));
}

/// What must be nowhere in the files: as it is, and as hexadecimal text.
struct Canary(&'static str, Vec<u8>);

#[tokio::test]
async fn nothing_that_was_handed_over_is_in_any_file_in_clear() {
    let wallet = b"0x7e5f4552091a69125d5dfcb7b8c2659029395bdf".to_vec();
    let canaries = [
        Canary("wallet as text", wallet.clone()),
        Canary("wallet as bytes", hex::decode(&wallet[2..]).unwrap()),
        Canary("secret", b"canary-secret-3f9a77c1".to_vec()),
        Canary("reply", b"canary-reply-88d2".to_vec()),
        Canary("token", b"canary-token-fingerprint-51".to_vec()),
        Canary("payer's pseudonym", vec![0xEE; 32]),
        Canary("amount", 0x1122_3344_5566_7788_u64.to_be_bytes().to_vec()),
        Canary("epoch", 0x0000_0000_7A7B_7C7D_u64.to_be_bytes().to_vec()),
    ];
    let pseudonym =
        |kind: &str, value: &[u8]| evidence::mac(&[5; 32], "sealgate/pseudonym/v1", &[kind.as_bytes(), value]);
    let place = Place::new();
    let store = place.open().await;
    let (wallet, token) = (pseudonym("wallet", &canaries[0].1), pseudonym("token", &canaries[4].1));
    store.mark(MarkKind::SignedRequest, pseudonym("nonce", &canaries[4].1), at(60), at(0)).await.unwrap();
    store.first_use(token, at(60), at(0)).await.unwrap();
    store.deny(token, at(60), at(0)).await.unwrap();
    store.raise_epoch(wallet, evidence::UnixSeconds(0x7A7B_7C7D)).await.unwrap();
    for version in 1..=3 {
        let row = gate::keep::VaultRow { wallet, entry: key(1), version, body: canaries[2].1.repeat(200) };
        assert_eq!(store.put(vec![row]).await, Ok(true));
    }
    let mut row = payment(1, 0xEE, 0x1122_3344_5566_7788);
    row.body = [&canaries[0].1[..], &canaries[1].1, &canaries[3].1].concat();
    store.begin(row.clone()).await.unwrap();
    assert_eq!(store.advance(common::next(&row, gate::keep::JournalStage::Executed)).await, Ok(true));
    let mut switched = common::switches(1, 1, 1, &canaries[2].1);
    (switched.owner, switched.scope) = (wallet, wallet);
    store.keep(switched, at(0)).await.unwrap();
    let looked_at = search(&place, &canaries, &wallet);
    assert_eq!(looked_at, 4, "file, -wal, -shm and lock");
    assert_eq!(store.delete(wallet, vec![key(1)]).await, Ok(1));
    drop(store);
    common::settled(&place.path).await;
    search(&place, &canaries, &wallet);
}

/// How many files there were. The wallet's pseudonym must be found, or the search finds nothing.
fn search(place: &Place, canaries: &[Canary], pseudonym: &[u8; 32]) -> usize {
    let (mut files, mut found) = (0, false);
    for entry in fs::read_dir(place.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        // A connection that closes in the background may take -wal and -shm with it.
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.unwrap(),
        };
        let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
        for Canary(name, canary) in canaries {
            assert!(!holds(canary) && !holds(hex::encode(canary).as_bytes()), "{name} is in {}", path.display());
        }
        found |= holds(pseudonym);
        files += 1;
    }
    assert!(found, "the search does not find what is there");
    files
}
