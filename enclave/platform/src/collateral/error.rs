//! Why a report has no certificates.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

/// Why certificates could not be had. Cloned to everybody who waited for the same answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralError {
    /// The report cannot be read, so nobody can say which certificate it needs.
    #[error("the report cannot be read: {0}")]
    Report(String),
    /// A report of version 2 does not name its product, and this machine's processor is none we know.
    #[error("the report (version 2) does not name its product, and /proc/cpuinfo names none we know")]
    UnknownProduct,
    /// The chip's id is hidden, so that a VCEK cannot be asked for.
    #[error("the host hides CHIP_ID (MASK_CHIP_ID), so the VCEK cannot be asked for and the host gave none")]
    MaskedChip,
    /// A VLEK is handed to the cloud provider alone.
    #[error("the report is signed by a VLEK, and the host gave none; AMD hands a VLEK to the cloud provider alone")]
    VlekFromHostOnly,
    /// The host gave too little, and the configuration forbids to ask elsewhere.
    #[error("the host gave no {missing}, and asking AMD's key distribution service is switched off")]
    Offline {
        /// `VCEK`, `ASK` …
        missing: &'static str,
    },
    /// The service does not know this chip at these firmware levels.
    #[error("{url}: no certificate for chip {hwid} at {tcb}")]
    NotFound {
        /// What was asked.
        url: String,
        /// Hexadecimal.
        hwid: String,
        /// Levels in words.
        tcb: String,
    },
    /// The service asked us to wait, or failed a moment ago.
    #[error("{url}: not asked again before {} s have passed; last answer: {last}", wait.as_secs())]
    Waiting {
        /// What would be asked.
        url: String,
        /// What is left of the wait.
        wait: Duration,
        /// What went wrong last.
        last: String,
    },
    /// Any other answer than success.
    #[error("{url}: status {status}")]
    Status {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// Seconds of Retry-After, if the answer has one.
        retry_after: Option<u64>,
    },
    /// No answer.
    #[error("{url}: {why}")]
    Silent {
        /// What was asked.
        url: String,
        /// Why, in the client's words.
        why: String,
    },
    /// More bytes than such an answer ever has.
    #[error("{url}: an answer of more than {limit} bytes")]
    TooLong {
        /// What was asked.
        url: String,
        /// Most bytes read.
        limit: u64,
    },
    /// An answer that is not what was asked for.
    #[error("{from}: {why}")]
    Wrong {
        /// Who gave it.
        from: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of the cache.
    #[error("{doing} {}", path.display())]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
}

impl CollateralError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Report(_) | Self::UnknownProduct => "if newer firmware made this report, use a newer gateway",
            Self::MaskedChip => {
                "on the host, clear MASK_CHIP_ID, or hand the certificates to the guest with `snphost import`"
            }
            Self::VlekFromHostOnly => {
                "ask the cloud provider: on AWS start the instance anew with AmdSevSnp enabled, so that its host hands \
                 the VLEK over with the report"
            }
            Self::Offline { .. } => {
                "allow AMD's key distribution service in the configuration, or load the certificates on the host with \
                 `snphost import`"
            }
            Self::NotFound { .. } => {
                "the firmware levels in the report are none AMD knows for this chip: update the host's firmware and \
                 commit it, or ask the provider"
            }
            Self::Waiting { .. } | Self::Status { status: 429 | 500..=599, .. } => {
                "wait and start again: AMD's service gives one certificate per ten seconds and address; once fetched \
                 it is kept below state_dir/collateral"
            }
            Self::Silent { .. } => {
                "allow outgoing connections to the service named, with its DNS name and its CA; or load the \
                 certificates on the host, and nobody has to be asked"
            }
            Self::Status { .. } | Self::TooLong { .. } | Self::Wrong { .. } => {
                "check that the address in the configuration is the service's own and that no proxy answers for it"
            }
            Self::File { .. } => "make state_dir/collateral writable for the gateway alone, with room on the disk",
        }
    }
}
