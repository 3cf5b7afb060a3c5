//! What the gateway keeps between calls, as ports: `store` implements them, identity, payments and vault use them.
//!
//! Keys are pseudonyms (HMACs made by their owner with a key of its own), bodies are opaque here and sealed at rest
//! under the row key, bound to table, key and version. No port takes a wallet, a name or a secret in clear.

use std::{fmt, future::Future};

use evidence::UnixSeconds;

/// Why nothing could be kept or read. Never "not there": that is an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StoreError {
    /// The store does not answer.
    Unavailable {
        /// What it said; holds no row.
        why: String,
    },
    /// A row does not open: it was altered, swapped, or written under another key.
    Damaged {
        /// Which table.
        table: &'static str,
    },
    /// A limit of the store is reached; nothing was forgotten to make room.
    Full {
        /// Which table.
        table: &'static str,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { why } => write!(f, "the store does not answer: {why}"),
            Self::Damaged { table } => write!(f, "a row of {table:?} does not open: it was altered or swapped"),
            Self::Full { table } => write!(f, "{table:?} is full"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Seals rows at rest. `platform` holds the key.
pub trait RowCipher: Send + Sync {
    /// Seals `body`, bound to where it stands. A fresh nonce is inside.
    fn seal(&self, table: &str, key: &[u8], version: u64, body: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Opens what [`RowCipher::seal`] made for this very place.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    fn open(&self, table: &'static str, key: &[u8], version: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError>;
}

/// Makes pseudonyms: `M(pseudonym key, "sealgate/pseudonym/v1", kind, value)`. `platform` holds the key.
pub trait Pseudonyms: Send + Sync {
    /// The pseudonym of `value` among those of `kind` (`wallet`, `payment`, `token`, `nonce`, …).
    fn of(&self, kind: &str, value: &[u8]) -> [u8; 32];
}

/// What may be used once.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MarkKind {
    /// The nonce of a login challenge.
    Challenge,
    /// The nonce of a signed request.
    SignedRequest,
}

/// Things that may be used once, until a time.
pub trait Marks: Send + Sync {
    /// Marks `key` as used, in one operation. `true`: it was not marked before. A mark is kept at least until `until`.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing may be taken as unused.
    fn mark(
        &self,
        kind: MarkKind,
        key: [u8; 32],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// What is known of wallet tokens, which are otherwise their own record.
pub trait Tokens: Send + Sync {
    /// When this token was first used here: `now` at its first use, the same at every later one.
    ///
    /// `until` is the token's own end, after which it may be forgotten. `None`: tokens of that end have been forgotten
    /// (the clock was set back since), so nobody can say whether this one was used or revoked; it has ended.
    fn first_use(
        &self,
        token: [u8; 32],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<Option<UnixSeconds>, StoreError>> + Send;

    /// As [`Tokens::first_use`], of a token that was used before; this is no use. `None`: it is not known here.
    fn known_since(
        &self,
        token: [u8; 32],
        until: UnixSeconds,
    ) -> impl Future<Output = Result<Option<UnixSeconds>, StoreError>> + Send;

    /// Whether this token was revoked by itself. Asked before [`Tokens::first_use`] or [`Tokens::known_since`], which
    /// know of forgotten revocations.
    fn is_denied(&self, token: [u8; 32]) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Revokes one token until its own end, after which it may be forgotten. A token that was used here can be revoked
    /// even when no room is left for others.
    fn deny(
        &self,
        token: [u8; 32],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The wallet's epoch: credentials of it first used or issued before this are void. `None`: it never revoked all.
    fn epoch(&self, wallet: [u8; 32]) -> impl Future<Output = Result<Option<UnixSeconds>, StoreError>> + Send;

    /// Raises the wallet's epoch. It never falls.
    fn raise_epoch(&self, wallet: [u8; 32], to: UnixSeconds) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// One stored secret. The body is the vault's own ciphertext with what belongs to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultRow {
    /// Pseudonym of the wallet.
    pub wallet: [u8; 32],
    /// Lookup name of the entry.
    pub entry: [u8; 32],
    /// From 1, one more at each write.
    pub version: u64,
    /// Opaque to the store; sealed once more at rest.
    pub body: Vec<u8>,
}

/// Rows of the vault.
pub trait VaultRows: Send + Sync {
    /// All rows of a wallet.
    fn of_wallet(&self, wallet: [u8; 32]) -> impl Future<Output = Result<Vec<VaultRow>, StoreError>> + Send;

    /// One row.
    fn row(
        &self,
        wallet: [u8; 32],
        entry: [u8; 32],
    ) -> impl Future<Output = Result<Option<VaultRow>, StoreError>> + Send;

    /// Writes rows, all or none; each must be the successor (`version`) of what is stored. `false`: one was not, and
    /// nothing was written.
    fn put(&self, rows: Vec<VaultRow>) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Deletes rows, all or none. Says how many there were.
    fn delete(&self, wallet: [u8; 32], entries: Vec<[u8; 32]>) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// What one scope of an owner has switched on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SwitchRow {
    /// Pseudonym of the owner.
    pub owner: [u8; 32],
    /// Pseudonym of the scope. The owner's widest scope is the one whose pseudonym is the owner's.
    pub scope: [u8; 32],
    /// From 1, one more at each write.
    pub version: u64,
    /// After this the row may be forgotten.
    pub keep_until: UnixSeconds,
    /// Opaque to the store; sealed at rest.
    pub body: Vec<u8>,
}

/// What became of a row of switches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// It is on disk.
    Written,
    /// The stored version is another, and nothing was written.
    Stale,
}

/// Rows of switches: which servers each owner has on. Convenience, not money: where there is no room for one owner's
/// scopes, the one that it changed longest ago makes room, and never its widest.
pub trait Switches: Send + Sync {
    /// All rows of an owner.
    fn of_owner(&self, owner: [u8; 32]) -> impl Future<Output = Result<Vec<SwitchRow>, StoreError>> + Send;

    /// Writes the successor (`version`) of what is stored. Rows whose time is past make room first.
    fn keep(&self, row: SwitchRow, now: UnixSeconds) -> impl Future<Output = Result<Kept, StoreError>> + Send;
}

/// How far a payment has come.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum JournalStage {
    /// Set aside; the call may run.
    Reserved,
    /// The call ran and is proven; its reply is in the body. From here on the money is earned.
    Executed,
    /// The settling transaction is signed; its bytes and hash are in the body. It may be on its way.
    Signed,
    /// It was handed to the chain at least once.
    Sent,
    /// Final: it is on the chain.
    Settled,
    /// Final: nothing was and nothing will be taken for this row. The payer may use the authorization again.
    Released,
}

impl JournalStage {
    /// Nothing more will happen to it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Released)
    }
}

/// One payment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JournalRow {
    /// Pseudonym of (chain, asset, payer, nonce).
    pub key: [u8; 32],
    /// From 1, one more at each write.
    pub version: u64,
    /// See [`JournalStage`].
    pub stage: JournalStage,
    /// Pseudonym of the payer.
    pub payer: [u8; 32],
    /// Base units set aside.
    pub amount: u64,
    /// After this the row may be forgotten, if it is final.
    pub keep_until: UnixSeconds,
    /// What the rail needs to go on after a crash; opaque to the store, sealed at rest.
    pub body: Vec<u8>,
}

/// What came of trying to begin a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Begun {
    /// It was not there; it is now.
    Fresh,
    /// It was; this is it.
    There(JournalRow),
}

/// The settlement journal. Every write is durable when it returns.
pub trait Journal: Send + Sync {
    /// Inserts a row of version 1 if its key is not there.
    fn begin(&self, row: JournalRow) -> impl Future<Output = Result<Begun, StoreError>> + Send;

    /// Replaces the row of `row.version - 1`. `false`: the stored version is another, and nothing was written.
    fn advance(&self, row: JournalRow) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// One row.
    fn by_key(&self, key: [u8; 32]) -> impl Future<Output = Result<Option<JournalRow>, StoreError>> + Send;

    /// All rows that are not final, oldest first.
    fn unfinished(&self) -> impl Future<Output = Result<Vec<JournalRow>, StoreError>> + Send;

    /// Base units of a payer in rows that are not final.
    fn set_aside(&self, payer: [u8; 32]) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Forgets final rows whose `keep_until` is past. Says how many.
    fn forget(&self, now: UnixSeconds) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
