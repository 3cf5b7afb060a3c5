//! Opening: the file, its lock, its schema, and every row once.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gate::keep::{RowCipher, StoreError};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::Mutex;

use crate::{
    Inner, Limits, Store, audit, fault, record,
    schema::{self, OBJECTS, SCHEMA, VERSION},
    writer::Writer,
};

/// Connections that read beside the one that writes. Two cores: more would wait for each other.
const READERS: u32 = 4;

/// How long a statement waits for a lock. The only other holder is a checkpoint.
const BUSY: Duration = Duration::from_secs(5);

/// What the sealed row of the schema says.
const MADE_BY: &[u8] = b"sealgate";

/// Why the store was not opened. Each is a refusal to start.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The file or its directory could not be made or read.
    File {
        /// What was attempted.
        doing: &'static str,
        /// Which one.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process has it open.
    InUse {
        /// The lock.
        path: PathBuf,
    },
    /// It was written by a newer build.
    Newer {
        /// Its schema's version.
        found: i64,
        /// The newest that this build knows.
        known: i64,
    },
    /// It is a database, but not one of ours.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// SQLite did not take a setting on which durability rests.
    Setting {
        /// Which one.
        name: &'static str,
        /// What it says instead.
        found: String,
    },
    /// A row does not open, or nothing could be read.
    Store {
        /// The file; empty in memory.
        path: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
}

impl Store {
    /// Opens the file, or makes it, mode 0600. Reads every row once.
    ///
    /// # Errors
    /// [`OpenError`], each with its fix. A damaged file is never repaired and never replaced.
    pub async fn open(path: &Path, cipher: Arc<dyn RowCipher>) -> Result<Self, OpenError> {
        Self::open_with(path, cipher, Limits::default()).await
    }

    /// [`Store::open`] with limits of one's own.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(path: &Path, cipher: Arc<dyn RowCipher>, limits: Limits) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Store { path: path.to_owned(), source };
        let lock = prepare(path)?;
        let options = options().filename(path).journal_mode(SqliteJournalMode::Wal);
        let mut connection = connect(&options).await.map_err(failed)?;
        must_be(&mut connection, "journal_mode", "PRAGMA journal_mode", "wal").await.map_err(|why| why.at(path))?;
        let held = ready(&mut connection, &*cipher).await.map_err(|why| why.at(path))?;
        sync_directory(path)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY)
            .connect_lazy_with(options.pragma("query_only", "ON"));
        let writer = Mutex::new(Writer::new(connection, held));
        Ok(Self(Arc::new(Inner {
            cipher,
            limits,
            writer,
            forgotten: Arc::default(),
            readers: Some(readers),
            _lock: Some(lock),
        })))
    }

    /// A store that ends with the process: for a vault without a directory, and for tests. Rows are sealed all the same.
    ///
    /// # Errors
    /// [`OpenError::Store`], [`OpenError::Setting`].
    pub async fn in_memory(cipher: Arc<dyn RowCipher>) -> Result<Self, OpenError> {
        Self::in_memory_with(cipher, Limits::in_memory()).await
    }

    /// [`Store::in_memory`] with limits of one's own.
    ///
    /// # Errors
    /// As [`Store::in_memory`].
    pub async fn in_memory_with(cipher: Arc<dyn RowCipher>, limits: Limits) -> Result<Self, OpenError> {
        let nowhere = Path::new("");
        let connected = connect(&options().in_memory(true)).await;
        let mut connection = connected.map_err(|source| OpenError::Store { path: PathBuf::new(), source })?;
        let held = ready(&mut connection, &*cipher).await.map_err(|why| why.at(nowhere))?;
        let writer = Mutex::new(Writer::new(connection, held));
        Ok(Self(Arc::new(Inner { cipher, limits, writer, forgotten: Arc::default(), readers: None, _lock: None })))
    }
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        // Whoever may write to the file must not thereby choose what runs here.
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("mmap_size", "0")
        // Deleted rows are overwritten, temporary ones never reach the disk.
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
}

async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    SqliteConnection::connect_with(options).await.map_err(|error| fault::of(SCHEMA, &error))
}

/// Directory, lock and file, before SQLite sees any of them.
fn prepare(path: &Path) -> Result<File, OpenError> {
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::File { doing, path, source }
    };
    let directory = directory(path);
    fs::create_dir_all(directory).map_err(failed("make", directory))?;
    let lock_path = with_ending(path, ".lock");
    let lock = for_owner(&lock_path).map_err(failed("open", &lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: lock_path }),
        Err(TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
    }
    // SQLite gives `-wal` and `-shm` the mode of the file.
    for_owner(path).map_err(failed("open", path))?;
    sync_directory(path)?;
    Ok(lock)
}

/// Opens it, made if it is not there, for the owner alone even if it was not before.
fn for_owner(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Names survive a power cut only so.
fn sync_directory(path: &Path) -> Result<(), OpenError> {
    let directory = directory(path);
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| OpenError::File { doing: "sync", path: directory.to_owned(), source })
}

/// An [`OpenError`] that does not know its path yet.
enum NotReady {
    Store(StoreError),
    Newer(i64),
    Foreign,
    Setting(&'static str, String),
}

impl From<StoreError> for NotReady {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl NotReady {
    fn at(self, path: &Path) -> OpenError {
        match self {
            Self::Store(source) => OpenError::Store { path: path.to_owned(), source },
            Self::Newer(found) => OpenError::Newer { found, known: VERSION },
            Self::Foreign => OpenError::Foreign { path: path.to_owned() },
            Self::Setting(name, found) => OpenError::Setting { name, found },
        }
    }
}

/// Settings, schema, rows.
async fn ready(connection: &mut SqliteConnection, cipher: &dyn RowCipher) -> Result<crate::writer::Held, NotReady> {
    must_be(connection, "synchronous", "PRAGMA synchronous", "2").await?;
    must_be(connection, "foreign_keys", "PRAGMA foreign_keys", "1").await?;
    let objects = objects(connection).await?;
    if objects.is_empty() {
        make(connection, cipher).await?;
    } else {
        check(connection, cipher, &objects).await?;
    }
    whole(connection).await?;
    Ok(audit::audit(connection, cipher).await?)
}

async fn must_be(
    connection: &mut SqliteConnection,
    name: &'static str,
    pragma: &'static str,
    wanted: &str,
) -> Result<(), NotReady> {
    use sqlx::{Row, ValueRef};
    let row = sqlx::query(pragma).fetch_one(connection).await.map_err(|error| fault::of(SCHEMA, &error))?;
    let value = row.try_get_raw(0).map_err(|error| fault::of(SCHEMA, &error))?;
    let is_text = sqlx::TypeInfo::name(&*value.type_info()) == "TEXT";
    let found = if is_text { row.try_get::<String, _>(0) } else { row.try_get::<i64, _>(0).map(|n| n.to_string()) };
    let found = found.map_err(|error| fault::of(SCHEMA, &error))?;
    if found == wanted { Ok(()) } else { Err(NotReady::Setting(name, found)) }
}

/// Name and text of all that is in the file, ordered by name; what SQLite makes by itself has no text.
async fn objects(connection: &mut SqliteConnection) -> Result<Vec<(String, String)>, StoreError> {
    const SQL: &str = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    sqlx::query_as(SQL).fetch_all(connection).await.map_err(|error| fault::of(SCHEMA, &error))
}

/// All of the schema or nothing.
async fn make(connection: &mut SqliteConnection, cipher: &dyn RowCipher) -> Result<(), StoreError> {
    let failed = |error| fault::of(SCHEMA, &error);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    for (_, sql) in OBJECTS {
        sqlx::query(*sql).execute(&mut *transaction).await.map_err(failed)?;
    }
    let sealed = cipher.seal(SCHEMA, &[], version_sealed(), MADE_BY)?;
    let insert = sqlx::query("INSERT INTO schema (id, version, sealed) VALUES (1, $1, $2)").bind(VERSION).bind(sealed);
    insert.execute(&mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

fn version_sealed() -> u64 {
    VERSION.unsigned_abs()
}

/// The version first: a newer file may have other tables.
async fn check(
    connection: &mut SqliteConnection,
    cipher: &dyn RowCipher,
    objects: &[(String, String)],
) -> Result<(), NotReady> {
    let failed = |error| fault::of(SCHEMA, &error);
    if !objects.iter().any(|(name, _)| name == SCHEMA) {
        return Err(NotReady::Foreign);
    }
    let select = sqlx::query_as("SELECT id, version, sealed FROM schema");
    let rows: Vec<(i64, i64, Vec<u8>)> = select.fetch_all(&mut *connection).await.map_err(failed)?;
    let damaged = || NotReady::Store(StoreError::Damaged { table: SCHEMA });
    let [(1, version, sealed)] = rows.as_slice() else { return Err(damaged()) };
    if *version > VERSION {
        return Err(NotReady::Newer(*version));
    }
    let made_by = cipher.open(SCHEMA, &[], record::version(SCHEMA, *version)?, sealed)?;
    let mut ours: Vec<_> = schema::OBJECTS.to_vec();
    ours.retain(|(name, _)| *version > 1 || !schema::ADDED_BY_2.contains(name));
    ours.sort_unstable();
    let same = objects.iter().map(|(name, sql)| (name.as_str(), sql.as_str())).eq(ours);
    match version {
        _ if !same || made_by != MADE_BY => Err(damaged()),
        1 => Ok(raise(connection, cipher).await?),
        &VERSION => Ok(()),
        _ => Err(damaged()),
    }
}

/// A file of version 1 becomes one of version 2, or stays what it is.
async fn raise(connection: &mut SqliteConnection, cipher: &dyn RowCipher) -> Result<(), StoreError> {
    let failed = |error| fault::of(SCHEMA, &error);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    for (_, sql) in OBJECTS.iter().filter(|(name, _)| schema::ADDED_BY_2.contains(name)) {
        sqlx::query(*sql).execute(&mut *transaction).await.map_err(failed)?;
    }
    let sealed = cipher.seal(SCHEMA, &[], version_sealed(), MADE_BY)?;
    let update = sqlx::query("UPDATE schema SET version = $1, sealed = $2 WHERE id = 1").bind(VERSION).bind(sealed);
    update.execute(&mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// SQLite's own look at every page, tree and index.
async fn whole(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let query = sqlx::query_as("PRAGMA integrity_check(1)");
    let (said,): (String,) = query.fetch_one(connection).await.map_err(|error| fault::of(SCHEMA, &error))?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Damaged { table: "file" }) }
}

impl OpenError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::File { .. } => "check that the directory exists and belongs to this user".into(),
            Self::InUse { .. } => {
                "end the other gateway first; two of them on one file would not see each other".into()
            }
            Self::Newer { .. } => "start the newer build again, or restore the backup made before it ran".into(),
            Self::Foreign { path } => {
                format!("{} belongs to another program: name another file in the configuration", path.display())
            }
            Self::Setting { .. } => {
                "put the file on a local file system: network file systems cannot keep what this store promises".into()
            }
            Self::Store { source: StoreError::Damaged { .. }, path } => format!(
                "the file was altered, or belongs to another lineage's keys: restore {0}, {0}-wal and the state directory \
                 from one backup. Without one, move the file away: stored secrets and unfinished payments are then lost, \
                 and tokens that were revoked one by one work again",
                path.display()
            ),
            Self::Store { .. } => "check the disk: space, permissions, errors in the kernel's log".into(),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { doing, path, .. } => write!(f, "{doing} {}", path.display()),
            Self::InUse { path } => write!(f, "{}: another process has the store open", path.display()),
            Self::Newer { found, known } => {
                write!(f, "the store has schema version {found}, this build knows {known} at most")
            }
            Self::Foreign { path } => write!(f, "{}: a database, but not a store of this gateway", path.display()),
            Self::Setting { name, found } => write!(f, "SQLite's {name} is {found:?}: writes would not be durable"),
            Self::Store { path, .. } => write!(f, "the store in {:?} could not be opened", path.display()),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Store { source, .. } => Some(source),
            _ => None,
        }
    }
}
