//! What a write has answered for is there after the process was killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use common::{Place, at, cipher, next, payment};
use gate::keep::{Begun, Journal, JournalRow, JournalStage, MarkKind, Marks, Tokens, VaultRow, VaultRows};
use store::Store;

/// Names the file to the process that is to be killed.
const CHILD: &str = "SEALGATE_STORE_CHILD";
/// And its first write.
const FIRST: &str = "SEALGATE_STORE_FIRST";

const ROUNDS: u64 = 30;

/// Of all tokens.
const END: evidence::UnixSeconds = evidence::UnixSeconds(1_800_000_000);

fn numbered(number: u64) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

fn payment_of(number: u64) -> JournalRow {
    JournalRow { key: numbered(number), body: number.to_be_bytes().repeat(300), ..payment(0, 1, 1) }
}

fn secret_of(number: u64) -> VaultRow {
    VaultRow { wallet: numbered(1), entry: numbered(number), version: 1, body: number.to_be_bytes().repeat(300) }
}

/// The write of this number: one kind after the other. Each payment that begins is taken on by the write behind it.
async fn write(store: &Store, number: u64) {
    match number % 7 {
        0 => assert_eq!(store.mark(MarkKind::Challenge, numbered(number), at(60), at(0)).await, Ok(true)),
        1 => assert_eq!(store.first_use(numbered(number), END, at(number)).await, Ok(Some(at(number)))),
        2 => assert_eq!(store.deny(numbered(number), END, at(number)).await, Ok(())),
        3 => assert_eq!(store.raise_epoch(numbered(3), at(number)).await, Ok(())),
        4 => assert_eq!(store.put(vec![secret_of(number)]).await, Ok(true)),
        5 => assert_eq!(store.begin(payment_of(number)).await, Ok(Begun::Fresh)),
        _ => assert_eq!(store.advance(next(&payment_of(number - 1), JournalStage::Signed)).await, Ok(true)),
    }
}

/// Whether the write of this number is there, whole. Asking leaves everything as it is.
async fn is_there(store: &Store, number: u64) -> bool {
    match number % 7 {
        // A mark cannot be asked for without being made; the caller asks for those that must be there only.
        0 => !store.mark(MarkKind::Challenge, numbered(number), at(60), at(0)).await.unwrap(),
        1 => store.known_since(numbered(number), END).await.unwrap() == Some(at(number)),
        2 => store.is_denied(numbered(number)).await.unwrap(),
        3 => store.epoch(numbered(3)).await.unwrap() >= Some(at(number)),
        4 => store.row(numbered(1), numbered(number)).await.unwrap() == Some(secret_of(number)),
        5 => store.by_key(numbered(number)).await.unwrap().is_some_and(|row| row.body == payment_of(number).body),
        _ => {
            let row = store.by_key(numbered(number - 1)).await.unwrap();
            row == Some(next(&payment_of(number - 1), JournalStage::Signed))
        }
    }
}

/// Writes and says so until it is killed.
async fn child(path: &Path, first: u64) {
    let store = Store::open(path, cipher()).await.unwrap();
    for number in first.. {
        write(&store, number).await;
        let mut out = std::io::stdout().lock();
        writeln!(out, "written {number}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn every_write_that_returned_survives_kill_9() {
    if let Some(path) = std::env::var_os(CHILD) {
        let first = std::env::var(FIRST).unwrap().parse().unwrap();
        return child(Path::new(&path), first).await;
    }
    let place = Place::new();
    let (mut first, mut partly) = (0, 0);
    for round in 0..ROUNDS {
        let last = killed_after(&place.path, first, 1 + round % 9);
        let store = place.open().await;
        for number in 0..=last {
            assert!(is_there(&store, number).await, "round {round}: write {number} of {last} is lost");
        }
        // The next may have been made without a word of it. Then the child must not make it again.
        first = last + 1;
        if first.is_multiple_of(7) {
            // Made here, if it was not.
            is_there(&store, first).await;
            first += 1;
        } else if is_there_already(&store, first).await {
            partly += 1;
            first += 1;
        }
    }
    assert!(first > ROUNDS, "{first} writes");
    eprintln!("{first} writes, {partly} unheard, {ROUNDS} kills");
}

/// As [`is_there`], but a first use is not made by asking.
async fn is_there_already(store: &Store, number: u64) -> bool {
    if number % 7 != 1 {
        return is_there(store, number).await;
    }
    // Made here, if it was not.
    store.first_use(numbered(number), END, at(number)).await.unwrap() == Some(at(number))
}

/// Starts the child and kills it when it has said so many times that it wrote. The last number it said.
fn killed_after(path: &Path, first: u64, writes: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "every_write_that_returned_survives_kill_9", "--nocapture"])
        .env(CHILD, path)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut last, mut heard) = (None, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, number)) = line.split_once("written ") {
            last = Some(number.parse().unwrap());
            heard += 1;
            if heard == writes {
                // SIGKILL; what it said before is still in the pipe and is read to its end.
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(heard >= writes, "the child ended by itself");
    last.unwrap()
}
