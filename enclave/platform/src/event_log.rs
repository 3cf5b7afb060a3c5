//! The firmware's event log, as the kernel keeps it (TCG PC Client platform firmware profile). It explains registers and
//! decides nothing, so its absence is no error; a log too long is.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Where Linux has the log of the first TPM.
pub const EVENT_LOG: &str = "/sys/kernel/security/tpm0/binary_bios_measurements";

/// Longest log: 1 MiB. The longest of a real machine we have seen has 45,300 bytes.
pub const LONGEST_EVENT_LOG: usize = 1 << 20;

/// Why a log that is there was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventLogError {
    /// The system refused.
    #[error("event log: read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It has more than 1 MiB.
    #[error("event log: {} is longer than {LONGEST_EVENT_LOG} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

impl EventLogError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "run as root, with securityfs mounted at /sys/kernel/security",
            Self::TooLong { .. } => "look at what the firmware logs (`tpm2_eventlog`): no boot has that many events",
        }
    }
}

/// The log in `path`, [`EVENT_LOG`] on a real machine. None if there is no such file, or nothing in it.
///
/// # Errors
/// [`EventLogError`].
pub fn read_event_log(path: &Path) -> Result<Option<Vec<u8>>, EventLogError> {
    let unreadable = |source| EventLogError::Unreadable { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    // securityfs tells no length: read one byte past the limit.
    file.take(LONGEST_EVENT_LOG as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > LONGEST_EVENT_LOG {
        return Err(EventLogError::TooLong { path: path.to_owned() });
    }
    Ok((!bytes.is_empty()).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_log_is_read_whole_up_to_its_limit() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("log");
        assert!(matches!(read_event_log(&path), Ok(None)), "absent");
        fs::write(&path, b"").expect("written");
        assert!(matches!(read_event_log(&path), Ok(None)), "empty");
        for length in [1, LONGEST_EVENT_LOG] {
            fs::write(&path, vec![7; length]).expect("written");
            assert_eq!(read_event_log(&path).expect("read").map(|log| log.len()), Some(length));
        }
        fs::write(&path, vec![7; LONGEST_EVENT_LOG + 1]).expect("written");
        assert!(matches!(read_event_log(&path), Err(EventLogError::TooLong { .. })));
        let error = read_event_log(dir.path()).expect_err("a directory");
        assert!(matches!(error, EventLogError::Unreadable { .. }) && error.fix().contains("securityfs"), "{error}");
    }
}
