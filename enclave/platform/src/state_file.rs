//! Files of the state directory that are written once: whole or not at all, never over another, for the owner alone.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use crate::KeystoreError;

/// Longest file we read: a real one has about 3 KiB.
const LIMIT: u64 = 64 * 1024;

/// Writes `dir/name`, mode 0600.
///
/// # Errors
/// [`KeystoreError::AlreadyInitialised`] if it is there.
pub(crate) fn create(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), KeystoreError> {
    let path = dir.join(name);
    let failed = |source: io::Error| KeystoreError::file("write", &path, source);
    fs::create_dir_all(dir).map_err(failed)?;
    let draft = dir.join(format!(".{name}.{}", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options
        .open(&draft)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        // A link fails where a rename would replace.
        .and_then(|()| fs::hard_link(&draft, &path));
    fs::remove_file(&draft).ok();
    match written {
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Err(KeystoreError::AlreadyInitialised { path }),
        Err(source) => Err(failed(source)),
        // The name must survive a power cut as well as the bytes.
        Ok(()) => fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed),
    }
}

/// Its text, or the part that is damaged: `length` or `text`. `None`: it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Result<String, &'static str>>, KeystoreError> {
    let failed = |source: io::Error| KeystoreError::file("read", path, source);
    let file = match fs::File::open(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LIMIT {
        return Ok(Some(Err("length")));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| "text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_one_byte_too_long_is_not_read() {
        let dir = tempfile::tempdir().expect("directory");
        let limit = usize::try_from(LIMIT).expect("fits");
        create(dir.path(), "fits", &vec![b'x'; limit]).expect("written");
        create(dir.path(), "long", &vec![b'x'; limit + 1]).expect("written");
        let read = |name: &str| read(&dir.path().join(name)).expect("readable");
        assert_eq!(read("fits").expect("there").expect("text").len(), limit);
        assert_eq!(read("long"), Some(Err("length")));
        assert_eq!(read("none"), None);
    }
}
