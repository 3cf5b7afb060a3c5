//! The one schema. Statements elsewhere keep to what SQLite and PostgreSQL share (`$1`, `ON CONFLICT DO NOTHING`); only
//! the types and the endings here are SQLite's.

/// Raised with every change of [`TABLES`] or of a sealed record.
pub(crate) const VERSION: i64 = 2;

/// What version 2 added to version 1: an older file gets these when it is opened, and loses nothing.
pub(crate) const ADDED_BY_2: [&str; 2] = [SWITCHES, SWITCHES_KEEP_UNTIL];

/// The table that says the version.
pub(crate) const SCHEMA: &str = "schema";
pub(crate) const MARK: &str = "mark";
pub(crate) const FIRST_USE: &str = "first_use";
pub(crate) const DENIED: &str = "denied";
pub(crate) const EPOCH: &str = "epoch";
pub(crate) const VAULT: &str = "vault";
pub(crate) const JOURNAL: &str = "journal";
pub(crate) const SWITCHES: &str = "switches";
const SWITCHES_KEEP_UNTIL: &str = "switches_keep_until";

/// Name and text, as SQLite keeps them: a file with other tables, or with a trigger, is not ours.
///
/// Without row ids a table is one tree, ordered by its key: no second tree can contradict it.
pub(crate) const OBJECTS: &[(&str, &str)] = &[
    (SCHEMA, "CREATE TABLE schema (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT"),
    (
        MARK,
        "CREATE TABLE mark (kind INTEGER NOT NULL, key BLOB NOT NULL, until INTEGER NOT NULL, sealed BLOB NOT NULL, \
         PRIMARY KEY (kind, key)) STRICT, WITHOUT ROWID",
    ),
    ("mark_until", "CREATE INDEX mark_until ON mark (kind, until)"),
    (
        FIRST_USE,
        "CREATE TABLE first_use (token BLOB NOT NULL PRIMARY KEY, until INTEGER NOT NULL, sealed BLOB NOT NULL) \
         STRICT, WITHOUT ROWID",
    ),
    ("first_use_until", "CREATE INDEX first_use_until ON first_use (until)"),
    (
        DENIED,
        "CREATE TABLE denied (token BLOB NOT NULL PRIMARY KEY, until INTEGER NOT NULL, sealed BLOB NOT NULL) \
         STRICT, WITHOUT ROWID",
    ),
    ("denied_until", "CREATE INDEX denied_until ON denied (until)"),
    (
        EPOCH,
        "CREATE TABLE epoch (wallet BLOB NOT NULL PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL) \
         STRICT, WITHOUT ROWID",
    ),
    (
        VAULT,
        "CREATE TABLE vault (wallet BLOB NOT NULL, entry BLOB NOT NULL, version INTEGER NOT NULL, sealed BLOB NOT NULL, \
         PRIMARY KEY (wallet, entry)) STRICT, WITHOUT ROWID",
    ),
    (
        JOURNAL,
        "CREATE TABLE journal (key BLOB NOT NULL PRIMARY KEY, version INTEGER NOT NULL, done INTEGER NOT NULL, \
         keep_until INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID",
    ),
    (
        SWITCHES,
        "CREATE TABLE switches (owner BLOB NOT NULL, scope BLOB NOT NULL, version INTEGER NOT NULL, \
         keep_until INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (owner, scope)) STRICT, WITHOUT ROWID",
    ),
    (SWITCHES_KEEP_UNTIL, "CREATE INDEX switches_keep_until ON switches (keep_until)"),
    ("journal_done", "CREATE INDEX journal_done ON journal (done, keep_until)"),
];
