use std::{collections::BTreeMap, sync::Mutex};

use gate::keep::StoreError;
use hkdf::Hkdf;
use sha2::Sha256;

use super::{name::MAX_VALUE_BYTES, *};

/// Wallet and entry.
type Key = ([u8; 32], [u8; 32]);

/// Rows in memory, with the port's own rules: a stand-in for the database, which has tests of its own.
#[derive(Default)]
pub(crate) struct Rows {
    table: Mutex<BTreeMap<Key, VaultRow>>,
    /// How many writes are to fail as if somebody had been faster.
    outrun: Mutex<usize>,
}

impl VaultRows for Rows {
    async fn of_wallet(&self, wallet: [u8; 32]) -> Result<Vec<VaultRow>, StoreError> {
        // So that tasks interleave here as they would over a database.
        tokio::task::yield_now().await;
        let table = self.table.lock().unwrap();
        Ok(table.values().filter(|row| row.wallet == wallet).cloned().collect())
    }

    async fn row(&self, wallet: [u8; 32], entry: [u8; 32]) -> Result<Option<VaultRow>, StoreError> {
        Ok(self.table.lock().unwrap().get(&(wallet, entry)).cloned())
    }

    async fn put(&self, rows: Vec<VaultRow>) -> Result<bool, StoreError> {
        let mut outrun = self.outrun.lock().unwrap();
        if *outrun > 0 {
            *outrun -= 1;
            return Ok(false);
        }
        let mut table = self.table.lock().unwrap();
        let version = |row: &VaultRow| table.get(&(row.wallet, row.entry)).map_or(0, |there| there.version);
        if rows.iter().any(|row| version(row) + 1 != row.version) {
            return Ok(false);
        }
        for row in rows {
            table.insert((row.wallet, row.entry), row);
        }
        Ok(true)
    }

    async fn delete(&self, wallet: [u8; 32], entries: Vec<[u8; 32]>) -> Result<u64, StoreError> {
        let mut table = self.table.lock().unwrap();
        Ok(entries.iter().filter(|entry| table.remove(&(wallet, **entry)).is_some()).count() as u64)
    }
}

/// A master key of 32 equal bytes.
pub(crate) struct Keys(u8);

impl VaultKeys for Keys {
    fn generation(&self) -> u32 {
        1
    }

    fn entry_name(&self, parts: &[&[u8]]) -> [u8; 32] {
        evidence::mac(&[self.0 ^ 0xff; 32], "sealgate/test-name/v1", parts)
    }

    fn key_for(&self, wallet: &Wallet, salt: &[u8; 32], server: &ServerId) -> Secret<[u8; 32]> {
        let mut key = [0; 32];
        let salt = [&wallet.as_bytes()[..], salt].concat();
        Hkdf::<Sha256>::new(Some(&salt), &[self.0; 32]).expand(server.as_str().as_bytes(), &mut key).unwrap();
        Secret::new(key)
    }
}

struct Names;

impl Vault<Rows, Keys> {
    /// Puts another lookup name over every row.
    pub(crate) fn damage(&self) {
        for row in self.rows.table.lock().unwrap().values_mut() {
            row.entry[0] ^= 1;
        }
    }
}

impl Pseudonyms for Names {
    fn of(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        evidence::mac(&[7; 32], "sealgate/test-pseudonym/v1", &[kind.as_bytes(), value])
    }
}

pub(crate) fn vault() -> Vault<Rows, Keys> {
    Vault::new(Arc::default(), Keys(1), Arc::new(Names), [9; 32])
}

pub(crate) fn wallet(byte: u8) -> Wallet {
    Wallet::new([byte; 20])
}

pub(crate) fn server(n: usize) -> ServerId {
    format!("0193e3a2-6b5c-5f7d-9c1e-{n:012x}").parse().unwrap()
}

fn secrets(pairs: &[(&str, &str)]) -> Vec<(String, Zeroizing<String>)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()))).collect()
}

fn shown(environment: &[(String, Zeroizing<String>)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn what_was_stored_comes_back_to_its_wallet_and_server_and_to_no_other() {
    let (vault, alice, bob) = (vault(), wallet(0xa), wallet(0xb));
    let stored = vault.store(&alice, &server(1), secrets(&[("Z_KEY", "swordfish"), ("API_KEY", "zwei\nZeilen")])).await;
    assert_eq!(stored.unwrap(), ["Z_KEY", "API_KEY"]);
    vault.store(&alice, &server(2), secrets(&[("API_KEY", "other")])).await.unwrap();
    assert_eq!(vault.names(&alice, &server(1)).await.unwrap(), ["API_KEY", "Z_KEY"]);
    let environment = vault.environment(&alice, &server(1)).await.unwrap();
    assert_eq!(shown(&environment), [("API_KEY", "zwei\nZeilen"), ("Z_KEY", "swordfish")]);
    assert_eq!(vault.servers(&alice).await.unwrap(), [server(1), server(2)]);
    assert!(vault.environment(&bob, &server(1)).await.unwrap().is_empty());
    assert!(vault.servers(&bob).await.unwrap().is_empty());
    assert_eq!(vault.delete(&bob, &server(1)).await, Ok(0));
    assert_eq!(vault.delete(&alice, &server(1)).await, Ok(2));
    assert_eq!(vault.delete(&alice, &server(1)).await, Ok(0));
    assert!(vault.names(&alice, &server(1)).await.unwrap().is_empty());
    assert_eq!(vault.servers(&alice).await.unwrap(), [server(2)]);
}

#[tokio::test]
async fn a_new_value_takes_the_place_of_the_old_under_the_next_version_a_fresh_salt_and_a_fresh_nonce() {
    let (vault, alice) = (vault(), wallet(0xa));
    let mut bodies = BTreeSet::new();
    for version in 1..=3 {
        vault.store(&alice, &server(1), secrets(&[("API_KEY", "the same")])).await.unwrap();
        let table = vault.rows.table.lock().unwrap();
        let row = table.values().next().unwrap();
        assert_eq!((table.len(), row.version), (1, version));
        // Form, server, length and name come first and are the same.
        assert!(bodies.insert(row.body[1 + 36 + 1 + 7..].to_vec()));
    }
}

#[tokio::test]
async fn neither_wallet_nor_value_is_in_a_row() {
    let (vault, alice) = (vault(), wallet(0xab));
    vault.store(&alice, &server(1), secrets(&[("API_KEY", "swordfish")])).await.unwrap();
    let table = vault.rows.table.lock().unwrap();
    let row = table.values().next().unwrap();
    let all = [&row.wallet[..], &row.entry, &row.body].concat();
    for clear in [&b"swordfish"[..], alice.as_bytes(), alice.to_string().as_bytes()] {
        assert!(!all.windows(clear.len()).any(|window| window == clear));
    }
    assert!(!format!("{vault:?}").contains("Key"));
}

/// Expected: Python's `cryptography`: `HKDF(SHA256, 32, salt=b"\x0a" * 20 + b"\x05" * 32, info=server)` of `b"\x01" * 32`,
/// `AESGCM(key).encrypt(b"\x06" * 12, b"swordfish", T("sealgate/vault/v1", lineage, u32(1), entry, server, name, u64(3)))`.
#[test]
fn the_ciphertext_is_the_one_that_another_library_makes() {
    let (wallet, server, name) = (wallet(0xa), server(0x2a), SecretName::parse("API_KEY").unwrap());
    let place = Place { lineage: &[9; 32], wallet: &wallet, server: &server, name: &name, version: 3 };
    let row = place.seal(&Keys(1), [0; 32], &Zeroizing::new("swordfish".to_owned()), &[5; 32], &[6; 12]).unwrap();
    assert_eq!(hex::encode(row.entry), "a0375fef7ef8fbbdff538d470ebe9ae2bdebd43cec101cf480da0be9c0276ac8");
    assert_eq!(hex::encode(&row.body[row.body.len() - 25..]), "0085b353b15c26d318ff1f46ed46dd286f481a9486a1c9f939");
}

#[tokio::test]
async fn a_secret_moved_to_another_wallet_server_name_or_version_does_not_open() {
    let (alice, bob, lineage) = (wallet(0xa), wallet(0xb), [9; 32]);
    let (name, other_name) = (SecretName::parse("API_KEY").unwrap(), SecretName::parse("API_KEZ").unwrap());
    let (here, there) = (server(1), server(2));
    let place = Place { lineage: &lineage, wallet: &alice, server: &here, name: &name, version: 2 };
    let value = Zeroizing::new("swordfish".to_owned());
    let row = place.seal(&Keys(1), [0; 32], &value, &[5; 32], &[6; 12]).unwrap();
    let stored = Stored::read(&row).unwrap();
    assert_eq!(stored.open(&Keys(1), &lineage, &alice).unwrap().as_str(), "swordfish");
    assert!(stored.open(&Keys(1), &lineage, &bob).is_none(), "another wallet");
    assert!(stored.open(&Keys(1), &[8; 32], &alice).is_none(), "another lineage");
    assert!(stored.open(&Keys(2), &lineage, &alice).is_none(), "another master");
    let moved = |change: &dyn Fn(&mut Stored)| {
        let mut moved = stored.clone();
        change(&mut moved);
        moved.open(&Keys(1), &lineage, &alice)
    };
    assert!(moved(&|stored| stored.server = there.clone()).is_none(), "another server");
    assert!(moved(&|stored| stored.name = other_name.clone()).is_none(), "another name");
    for version in [1, 3] {
        assert!(moved(&|stored| stored.version = version).is_none(), "version {version}");
    }
}

#[tokio::test]
async fn every_change_of_a_stored_row_and_every_swap_of_two_is_noticed() {
    let (vault, alice) = (vault(), wallet(0xa));
    vault.store(&alice, &server(1), secrets(&[("ONE", "first"), ("TWO", "other")])).await.unwrap();
    vault.store(&alice, &server(2), secrets(&[("ONE", "third")])).await.unwrap();
    let good = vault.rows.table.lock().unwrap().clone();
    let put_back = || *vault.rows.table.lock().unwrap() = good.clone();
    let keys: Vec<_> = good.keys().copied().collect();
    for (at, key) in keys.iter().enumerate() {
        for byte in 0..good[key].body.len() {
            vault.rows.table.lock().unwrap().get_mut(key).unwrap().body[byte] ^= 1;
            let (one, two) = (vault.environment(&alice, &server(1)).await, vault.environment(&alice, &server(2)).await);
            assert!(
                one.is_err() || two.is_err() || one.unwrap().len() + two.unwrap().len() < 3,
                "row {at} byte {byte}"
            );
            put_back();
        }
        for other in &keys[at + 1..] {
            {
                let mut table = vault.rows.table.lock().unwrap();
                let (one, two) = (table[key].body.clone(), table[other].body.clone());
                table.get_mut(key).unwrap().body = two;
                table.get_mut(other).unwrap().body = one;
            }
            let (one, two) = (vault.environment(&alice, &server(1)).await, vault.environment(&alice, &server(2)).await);
            assert!(one == Err(VaultError::Damaged) || two == Err(VaultError::Damaged));
            put_back();
        }
    }
    // Whatever is damaged can still be forgotten.
    for row in vault.rows.table.lock().unwrap().values_mut() {
        *row.body.last_mut().unwrap() ^= 1;
    }
    assert_eq!(vault.environment(&alice, &server(1)).await, Err(VaultError::Damaged));
    assert_eq!(vault.delete(&alice, &server(1)).await, Ok(2));
    assert_eq!(vault.environment(&alice, &server(1)).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_name_that_was_taken_before_it_was_reserved_reaches_no_server_and_can_be_forgotten() {
    let (vault, alice) = (vault(), wallet(0xa));
    vault.store(&alice, &server(1), secrets(&[("API_KEY", "x")])).await.unwrap();
    let name = SecretName::stored("NODE_OPTIONS").unwrap();
    let value = Zeroizing::new("--require=/tmp/other.js".to_owned());
    let row = vault.sealed(&alice, &server(1), &name, 1, &value).unwrap();
    assert!(vault.rows.put(vec![row]).await.unwrap());
    assert_eq!(vault.names(&alice, &server(1)).await.unwrap(), ["API_KEY"]);
    assert_eq!(shown(&vault.environment(&alice, &server(1)).await.unwrap()), [("API_KEY", "x")]);
    assert_eq!(vault.delete(&alice, &server(1)).await, Ok(2));
}

#[tokio::test]
async fn one_bad_name_or_value_and_nothing_is_stored_and_the_error_names_it_and_no_value() {
    let (vault, alice) = (vault(), wallet(0xa));
    for (name, value, said) in [
        ("API-KEY", "swordfish", "\"API-KEY\" is no environment identifier"),
        ("NODE_OPTIONS", "--require=swordfish", "\"NODE_OPTIONS\" is reserved"),
        ("API_KEY", "sword\0fish", "\"API_KEY\" holds a NUL byte"),
        ("API_KEY", "", "\"API_KEY\" is empty"),
        ("GOOD", "swordfish", "\"GOOD\" stands twice"),
    ] {
        let error =
            vault.store(&alice, &server(1), secrets(&[("GOOD", "swordfish"), (name, value)])).await.unwrap_err();
        let all = format!("{error} {} {error:?}", error.fix());
        assert!(all.contains(said) && !all.contains("sword"), "{all}");
        assert!(vault.names(&alice, &server(1)).await.unwrap().is_empty());
    }
    let long = "swordfish".repeat(MAX_VALUE_BYTES);
    let error = vault.store(&alice, &server(1), secrets(&[("A", &long)])).await.unwrap_err();
    assert!(error.to_string().contains("has 294912 bytes") && !error.to_string().contains("sword"), "{error}");
    assert_eq!(vault.store(&alice, &server(1), Vec::new()).await, Err(VaultError::Nothing));
}

#[tokio::test]
async fn names_bytes_and_servers_have_limits_that_count_what_is_there() {
    let (vault, alice) = (vault(), wallet(0xa));
    let some = |from: usize, to: usize, value: &str| -> Vec<_> {
        (from..to).map(|n| (format!("N{n}"), Zeroizing::new(value.to_owned()))).collect()
    };
    vault.store(&alice, &server(0), some(0, MAX_NAMES - 1, "x")).await.unwrap();
    let error = vault.store(&alice, &server(0), some(MAX_NAMES - 1, MAX_NAMES + 1, "x")).await;
    assert_eq!(error, Err(VaultError::TooMany { found: MAX_NAMES + 1 }));
    vault.store(&alice, &server(0), some(MAX_NAMES - 1, MAX_NAMES, "x")).await.unwrap();
    vault.store(&alice, &server(0), some(0, 1, "a new value needs no new place")).await.unwrap();
    // Names N0 to N7 take two bytes each, so the last value is shorter by theirs.
    let full = "y".repeat(MAX_VALUE_BYTES);
    vault.store(&alice, &server(1), some(0, 7, &full)).await.unwrap();
    let last = MAX_SERVER_BYTES - 7 * MAX_VALUE_BYTES - 8 * 2;
    let error = vault.store(&alice, &server(1), some(7, 8, &full[..last + 1])).await;
    assert_eq!(error, Err(VaultError::TooLong { found: MAX_SERVER_BYTES + 1 }));
    vault.store(&alice, &server(1), some(7, 8, &full[..last])).await.unwrap();
    for n in 2..MAX_SERVERS {
        vault.store(&alice, &server(n), some(0, 1, "x")).await.unwrap();
    }
    let error = vault.store(&alice, &server(MAX_SERVERS), some(0, 1, "x")).await;
    assert_eq!(error, Err(VaultError::TooManyServers));
    vault.store(&alice, &server(2), some(1, 2, "x")).await.unwrap();
    vault.store(&wallet(0xb), &server(MAX_SERVERS), some(0, 1, "x")).await.unwrap();
}

#[tokio::test]
async fn one_wallet_takes_a_megabyte_and_no_more() {
    let (vault, alice) = (vault(), wallet(0xa));
    let full = "y".repeat(MAX_VALUE_BYTES - 2);
    let some = |count: usize| (0..count).map(|n| (format!("N{n}"), Zeroizing::new(full.clone()))).collect();
    for n in 0..4 {
        vault.store(&alice, &server(n), some(8)).await.unwrap();
    }
    let error = vault.store(&alice, &server(4), vec![("A".into(), Zeroizing::new(String::from("x")))]).await;
    assert_eq!(error, Err(VaultError::WalletFull { found: MAX_WALLET_BYTES + 2 }));
    vault.delete(&alice, &server(0)).await.unwrap();
    vault.store(&alice, &server(4), some(8)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_at_once_lose_nothing() {
    let (vault, alice) = (Arc::new(vault()), wallet(0xa));
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..8 {
        let vault = Arc::clone(&vault);
        writers.spawn(async move {
            let own = format!("OWN_{n}");
            vault.store(&alice, &server(1), secrets(&[("SHARED", &own), (&own, "x")])).await
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap().unwrap();
    }
    assert_eq!(vault.environment(&alice, &server(1)).await.unwrap().len(), 9);
    let versions: Vec<u64> = vault.rows.table.lock().unwrap().values().map(|row| row.version).collect();
    assert_eq!((versions.iter().max(), versions.len()), (Some(&8), 9));
}

#[tokio::test]
async fn whoever_is_always_outrun_is_told_to_come_back() {
    let (vault, alice) = (vault(), wallet(0xa));
    *vault.rows.outrun.lock().unwrap() = ATTEMPTS - 1;
    vault.store(&alice, &server(1), secrets(&[("A", "x")])).await.unwrap();
    *vault.rows.outrun.lock().unwrap() = ATTEMPTS;
    assert_eq!(vault.store(&alice, &server(1), secrets(&[("A", "x")])).await, Err(VaultError::Contended));
    assert_eq!(vault.rows.outrun.lock().unwrap().clone(), 0);
    assert!(matches!(VaultError::Contended.refusal(), gate::Refusal::Busy { .. }));
}
