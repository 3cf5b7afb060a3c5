//! A process that kills itself (SIGKILL) after each of its writes and after the send, with the real journal on disk and
//! the real token; another process then starts over what is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod common;
#[path = "common/real.rs"]
mod real;

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chain::Nodes;
use common::{Account, payment_for, purchase};
use evidence::{UnixSeconds, Wallet};
use gate::{
    keep::{Begun, Journal, JournalRow, StoreError},
    ledger::{Address, Block, CallOutcome, ChainError, Ledger, LogEntry, Outcome, Sent, Word},
};
use payments::{Reserved, SettleError};
use real::{nodes, open, real_rail, tick, wall};
use sealgate_tests::Anvil;
use store::Store;
use tempfile::TempDir;

const REPLY: &[u8] = b"the reply";
const PAYER: u8 = 0x51;
const FEE_PAYER: u8 = 0x52;

/// Where the process ends.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// After so many journal writes.
    Writes(usize),
    /// After the transaction was handed in, before that is written.
    Send,
}

struct Dying<T> {
    inner: T,
    point: Point,
    writes: AtomicUsize,
}

impl<T> Dying<T> {
    fn new(inner: T, point: Point) -> Self {
        Self { inner, point, writes: AtomicUsize::new(0) }
    }

    fn wrote(&self) {
        let writes = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if matches!(self.point, Point::Writes(wanted) if wanted == writes) {
            die();
        }
    }
}

fn die() -> ! {
    Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status().unwrap();
    unreachable!("killed")
}

impl Journal for Dying<Store> {
    async fn begin(&self, row: JournalRow) -> Result<Begun, StoreError> {
        let begun = self.inner.begin(row).await;
        self.wrote();
        begun
    }

    async fn advance(&self, row: JournalRow) -> Result<bool, StoreError> {
        let advanced = self.inner.advance(row).await;
        self.wrote();
        advanced
    }

    async fn by_key(&self, key: [u8; 32]) -> Result<Option<JournalRow>, StoreError> {
        self.inner.by_key(key).await
    }

    async fn unfinished(&self) -> Result<Vec<JournalRow>, StoreError> {
        self.inner.unfinished().await
    }

    async fn set_aside(&self, payer: [u8; 32]) -> Result<u64, StoreError> {
        self.inner.set_aside(payer).await
    }

    async fn forget(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        self.inner.forget(now).await
    }
}

impl Ledger for Dying<Nodes> {
    fn chain_id(&self) -> u64 {
        self.inner.chain_id()
    }

    async fn head(&self) -> Result<Block, ChainError> {
        self.inner.head().await
    }

    async fn call(&self, from: Address, to: Address, data: Vec<u8>) -> Result<CallOutcome, ChainError> {
        self.inner.call(from, to, data).await
    }

    async fn code(&self, of: Address) -> Result<Vec<u8>, ChainError> {
        self.inner.code(of).await
    }

    async fn transaction_count(&self, of: Address) -> Result<u64, ChainError> {
        self.inner.transaction_count(of).await
    }

    async fn balance(&self, of: Address) -> Result<u128, ChainError> {
        self.inner.balance(of).await
    }

    async fn priority_fee(&self) -> Result<u128, ChainError> {
        self.inner.priority_fee().await
    }

    async fn send(&self, raw: Vec<u8>) -> Result<Sent, ChainError> {
        let sent = self.inner.send(raw).await;
        if matches!(self.point, Point::Send) {
            die();
        }
        sent
    }

    async fn outcome(&self, transaction: Word) -> Result<Option<Outcome>, ChainError> {
        self.inner.outcome(transaction).await
    }

    async fn logs(&self, of: Address, topics: Vec<Word>, from_block: u64) -> Result<Vec<LogEntry>, ChainError> {
        self.inner.logs(of, topics, from_block).await
    }
}

/// What the two processes share.
struct Scene {
    dir: PathBuf,
    url: String,
    /// A number of the scene's own: payee and nonce.
    number: u8,
    valid_before: u64,
}

impl Scene {
    fn payee(&self) -> Wallet {
        Wallet::new([0x80 + self.number; 20])
    }

    fn payment(&self) -> payments::Payment {
        payment_for(&Account::new(PAYER), self.payee(), [self.number; 32], self.valid_before)
    }

    fn journal(&self) -> PathBuf {
        self.dir.join("state.db")
    }

    /// Made when the call runs.
    fn executed(&self) -> PathBuf {
        self.dir.join("executed")
    }

    /// The call from its first byte to its reply, in a process that ends at `point`.
    fn run_and_die(&self, point: Point) -> std::process::Child {
        let (kind, writes) = match point {
            Point::Writes(writes) => ("writes", writes),
            Point::Send => ("send", 0),
        };
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "the_process_that_dies"])
            .env("CRASH_DIR", &self.dir)
            .env("CRASH_URL", &self.url)
            .env("CRASH_NUMBER", self.number.to_string())
            .env("CRASH_VALID_BEFORE", self.valid_before.to_string())
            .env("CRASH_POINT", kind)
            .env("CRASH_WRITES", writes.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn given() -> (Self, Point) {
        let text = |name: &str| std::env::var(name).expect("run by the other tests of this file");
        let number = |name: &str| text(name).parse::<u64>().unwrap();
        let point = match text("CRASH_POINT").as_str() {
            "send" => Point::Send,
            _ => Point::Writes(usize::try_from(number("CRASH_WRITES")).unwrap()),
        };
        let scene = Self {
            dir: PathBuf::from(text("CRASH_DIR")),
            url: text("CRASH_URL"),
            number: u8::try_from(number("CRASH_NUMBER")).unwrap(),
            valid_before: number("CRASH_VALID_BEFORE"),
        };
        (scene, point)
    }

    /// What must hold for whoever starts over what is left.
    async fn what_must_hold(&self, anvil: &Anvil, told: &str) {
        tick(anvil);
        let journal = Arc::new(open(&self.journal()).await);
        let ledger = Arc::new(nodes(&self.url));
        let rail = real_rail(self.payee(), Arc::clone(&journal), ledger, &Account::new(FEE_PAYER));
        let deadline = Instant::now() + Duration::from_secs(20);
        while rail.recover(wall()).await.unwrap().pending > 0 {
            assert!(Instant::now() < deadline, "{told}: never settled");
        }
        assert!(journal.unfinished().await.unwrap().is_empty(), "{told}");
        let paid = anvil.usdc_balance(self.payee());
        match rail.reserve(&purchase(self.number), &self.payment(), wall()).await {
            Ok(Reserved::Answered(reply)) => {
                assert_eq!((reply.bytes.as_slice(), paid), (REPLY, 500), "{told}");
                assert!(self.executed().exists(), "{told}: charged for a call that never ran");
            }
            Ok(Reserved::Fresh(hold)) => {
                assert_eq!(paid, 0, "{told}: charged, and no reply");
                rail.settle(*hold, REPLY.to_vec()).await.unwrap();
            }
            Err(refusal) => panic!("{told}: {refusal}"),
        }
        assert_eq!(anvil.usdc_balance(self.payee()), 500, "{told}");
    }
}

#[tokio::test]
#[ignore = "the other tests of this file start it as a process of its own"]
async fn the_process_that_dies() {
    let (scene, point) = Scene::given();
    let journal = Arc::new(Dying::new(open(&scene.journal()).await, point));
    let ledger = Arc::new(Dying::new(nodes(&scene.url), point));
    let rail = real_rail(scene.payee(), journal, ledger, &Account::new(FEE_PAYER));
    let reserved = rail.reserve(&purchase(scene.number), &scene.payment(), wall()).await.unwrap();
    let Reserved::Fresh(hold) = reserved else { panic!("answered") };
    std::fs::write(scene.executed(), "").unwrap();
    match rail.settle(*hold, REPLY.to_vec()).await {
        Ok(_) | Err(SettleError::Pending { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

fn scene(anvil: &Anvil, dir: &Path, number: u8) -> Scene {
    tick(anvil);
    let dir = dir.join(number.to_string());
    std::fs::create_dir(&dir).unwrap();
    Scene { dir, url: anvil.url(), number, valid_before: wall().0 + 3600 }
}

fn chain_with_accounts() -> Anvil {
    let anvil = Anvil::start();
    anvil.mint(Account::new(PAYER).wallet(), 1_000_000);
    anvil.fund(Account::new(FEE_PAYER).wallet(), 10_u128.pow(18));
    anvil
}

#[tokio::test]
async fn a_process_killed_after_any_write_or_the_send_costs_nobody_anything() {
    let (anvil, dir) = (chain_with_accounts(), TempDir::new().unwrap());
    let points = (1..=5).map(Point::Writes).chain([Point::Send]);
    for (number, point) in (1..).zip(points) {
        let scene = scene(&anvil, dir.path(), number);
        let status = scene.run_and_die(point).wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{point:?}: it was to be killed, {status}");
        scene.what_must_hold(&anvil, &format!("{point:?}")).await;
    }
}

#[tokio::test]
async fn a_process_killed_at_any_time_costs_nobody_anything() {
    let (anvil, dir) = (chain_with_accounts(), TempDir::new().unwrap());
    // How long an undisturbed call takes, start of the process included.
    let whole = {
        let scene = scene(&anvil, dir.path(), 50);
        let started = Instant::now();
        assert!(scene.run_and_die(Point::Writes(usize::MAX)).wait().unwrap().success());
        scene.what_must_hold(&anvil, "undisturbed").await;
        started.elapsed()
    };
    for number in 1..=12_u8 {
        let scene = scene(&anvil, dir.path(), number);
        let mut process = scene.run_and_die(Point::Writes(usize::MAX));
        let delay = whole * u32::from(number) / 12;
        tokio::time::sleep(delay).await;
        // It may have ended by itself.
        process.kill().ok();
        process.wait().unwrap();
        scene.what_must_hold(&anvil, &format!("killed after {delay:?}")).await;
    }
}
