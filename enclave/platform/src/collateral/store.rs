//! The cache below `state_dir/collateral`. Nothing in it is trusted: what is read is checked like an answer from the
//! network, and a file that does not pass is fetched again. Files are replaced whole, for the owner alone.

use std::{
    fs,
    io::{self, Read, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use evidence::UnixSeconds;

use super::{CollateralError, web};

/// A directory of small files.
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    /// Below a state directory. Nothing is made before something is written.
    pub(crate) fn below(state_dir: &std::path::Path) -> Self {
        Self { dir: state_dir.join("collateral") }
    }

    /// The file's bytes. None: not there, not readable (the log says so) or longer than an answer may be.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.dir.join(name);
        let mut bytes = Vec::new();
        let read = fs::File::open(&path).and_then(|file| file.take(web::LONGEST + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 <= web::LONGEST => Some(bytes),
            Ok(_) => {
                tracing::warn!(path = %path.display(), "collateral: a file of the cache is too long, fetched again");
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "collateral: a file of the cache cannot be read");
                None
            }
        }
    }

    /// When it was written.
    pub(crate) fn written(&self, name: &str) -> Option<UnixSeconds> {
        let time = fs::metadata(self.dir.join(name)).and_then(|meta| meta.modified()).ok()?;
        Some(UnixSeconds(time.duration_since(UNIX_EPOCH).ok()?.as_secs()))
    }

    /// Puts `bytes` there, in place of what was. A failure is logged: what was fetched is used all the same.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = self.write(name, bytes) {
            tracing::warn!(%error, fix = error.fix(), "collateral: not kept, so it will be asked for again");
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CollateralError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(name);
        let failed = |source| CollateralError::File { doing: "write", path: path.clone(), source: Arc::new(source) };
        let mut makes = fs::DirBuilder::new();
        makes.recursive(true);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
            makes.mode(0o700);
            options.mode(0o600);
        }
        makes.create(&self.dir).map_err(failed)?;
        let draft = self.dir.join(format!(".{}-{number}.draft", std::process::id()));
        // A draft of an earlier process that had this number and died over it.
        fs::remove_file(&draft).ok();
        let written = options
            .open(&draft)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&draft, &path))
            // The name must survive a power cut as well as the bytes.
            .and_then(|()| fs::File::open(&self.dir)?.sync_all());
        if written.is_err() {
            fs::remove_file(&draft).ok();
        }
        written.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn files_are_replaced_whole_and_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().expect("directory");
        let store = Store::below(dir.path());
        assert_eq!(store.read("one"), None);
        store.keep("one", b"first, which is longer");
        store.keep("one", b"second");
        assert_eq!(store.read("one").as_deref(), Some(&b"second"[..]));
        let mode = |name: &str| fs::metadata(dir.path().join(name)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("collateral"), mode("collateral/one")), (0o700, 0o600));
        let names = fs::read_dir(dir.path().join("collateral")).expect("directory").count();
        assert_eq!(names, 1, "no draft is left");
    }

    #[test]
    fn a_file_one_byte_too_long_is_not_read() {
        let dir = tempfile::tempdir().expect("directory");
        let store = Store::below(dir.path());
        let limit = usize::try_from(web::LONGEST).expect("fits");
        store.keep("fits", &vec![b'x'; limit]);
        store.keep("long", &vec![b'x'; limit + 1]);
        assert_eq!(store.read("fits").map(|bytes| bytes.len()), Some(limit));
        assert_eq!(store.read("long"), None);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error_with_a_fix_and_not_a_panic() {
        let dir = tempfile::tempdir().expect("directory");
        fs::write(dir.path().join("collateral"), "a file where the directory should be").expect("written");
        let store = Store::below(dir.path());
        let error = store.write("one", b"bytes").expect_err("no directory");
        assert!(error.fix().contains("writable"), "{error}");
        store.keep("one", b"bytes");
        assert_eq!(store.read("one"), None);
    }
}
