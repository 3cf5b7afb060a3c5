//! `[evidence]`: where reports, quotes and certificates come from, and how often.

use std::{path::PathBuf, time::Duration};

use ::evidence::core::Platform;
use attestation_verifier::{BootKind, VtpmKind};
use platform::{EVENT_LOG, Imds, Kds};
use serde::Deserialize;

use super::Fault;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvidence {
    boot: Option<String>,
    #[serde(default)]
    grub: bool,
    event_log: Option<PathBuf>,
    key_distribution: Option<String>,
    metadata: Option<String>,
    nonce_window_ms: Option<u64>,
    nonce_interval_ms: Option<u64>,
}

/// Where evidence comes from.
#[derive(Debug)]
pub(crate) struct EvidenceConfig {
    /// How the code was booted, which decides what its evidence can show (docs/WIRE.md, section 1).
    pub(crate) boot: BootKind,
    /// Registers of a quote beside PCR 15, ascending.
    pub(crate) quoted: Vec<u8>,
    /// The firmware's event log; not there on a machine without firmware measurements.
    pub(crate) event_log: PathBuf,
    /// AMD's key distribution service; `None`: what the host does not hand out is missing.
    pub(crate) key_distribution: Option<String>,
    /// Where Azure's metadata service hands out certificates.
    pub(crate) metadata: String,
    /// How long the first nonce of a batch waits for others.
    pub(crate) nonce_window: Duration,
    /// Shortest time between two batches.
    pub(crate) nonce_interval: Duration,
}

impl EvidenceConfig {
    pub(super) fn of(raw: RawEvidence, platform: Platform) -> Result<Self, Fault> {
        let boot = boot(raw.boot.as_deref(), platform)?;
        let mut quoted = vec![4, 7, 11, 12, 13, 14, 15];
        if raw.grub {
            quoted.extend([8, 9]);
            quoted.sort_unstable();
        }
        let key_distribution = match raw.key_distribution.as_deref() {
            None => Some(Kds::AMD.to_owned()),
            Some("none") => None,
            Some(url) => Some(service("evidence.key_distribution", url)?),
        };
        Ok(Self {
            boot,
            quoted,
            event_log: raw.event_log.unwrap_or_else(|| PathBuf::from(EVENT_LOG)),
            key_distribution,
            metadata: service("evidence.metadata", raw.metadata.as_deref().unwrap_or(Imds::AZURE))?,
            nonce_window: millis("evidence.nonce_window_ms", raw.nonce_window_ms, 20, 1..=1_000)?,
            nonce_interval: millis("evidence.nonce_interval_ms", raw.nonce_interval_ms, 100, 10..=60_000)?,
        })
    }

    /// Who runs the vTPM of a machine that booted so.
    pub(crate) fn vtpm(&self) -> VtpmKind {
        match self.boot {
            BootKind::Svsm => VtpmKind::Svsm,
            BootKind::Paravisor => VtpmKind::Paravisor,
            // A launch measurement covers the code, not the TPM that the host plugs in.
            BootKind::Launch | BootKind::Host => VtpmKind::Host,
            BootKind::Software => VtpmKind::Software,
        }
    }
}

fn boot(word: Option<&str>, platform: Platform) -> Result<BootKind, Fault> {
    let ours = match platform {
        Platform::Azure => &[BootKind::Paravisor][..],
        Platform::Simulated => &[BootKind::Software],
        Platform::Gcp | Platform::Aws => &[BootKind::Host],
        Platform::Baremetal => &[BootKind::Host, BootKind::Launch, BootKind::Svsm],
    };
    let words: Vec<_> = ours.iter().map(|boot| boot.name()).collect();
    let chosen = match word {
        None => ours.first(),
        Some(word) => ours.iter().find(|boot| boot.name() == word),
    };
    chosen.copied().ok_or_else(|| {
        let what = format!("evidence.boot = {:?} on platform = {:?}", word.unwrap_or_default(), platform.as_str());
        (what, format!("choose {}, or leave it out", words.join(" or ")))
    })
}

fn service(name: &str, url: &str) -> Result<String, Fault> {
    let plain = (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(['?', '#', ' ', '@']);
    if plain && url.len() <= 256 {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    Err((format!("{name} = {url:?}"), "write the service's address, http:// or https://, without a query".to_owned()))
}

fn millis(name: &str, found: Option<u64>, usual: u64, range: std::ops::RangeInclusive<u64>) -> Result<Duration, Fault> {
    let value = found.unwrap_or(usual);
    if range.contains(&value) {
        return Ok(Duration::from_millis(value));
    }
    Err((format!("{name} = {value}"), format!("choose {} to {}", range.start(), range.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, platform: Platform) -> Result<EvidenceConfig, Fault> {
        EvidenceConfig::of(toml::from_str(text).unwrap(), platform)
    }

    #[test]
    fn a_platform_has_its_own_way_of_booting_and_only_bare_metal_a_choice() {
        for (platform, word) in [
            (Platform::Azure, "paravisor"),
            (Platform::Gcp, "host"),
            (Platform::Aws, "host"),
            (Platform::Baremetal, "host"),
            (Platform::Simulated, "software"),
        ] {
            assert_eq!(read("", platform).unwrap().boot.name(), word);
            assert_eq!(read(&format!("boot = {word:?}"), platform).unwrap().boot.name(), word);
        }
        assert_eq!(read("boot = \"svsm\"", Platform::Baremetal).unwrap().boot, BootKind::Svsm);
        for (word, platform) in
            [("launch", Platform::Gcp), ("host", Platform::Azure), ("software", Platform::Baremetal)]
        {
            let (what, fix) = read(&format!("boot = {word:?}"), platform).unwrap_err();
            assert!(what.contains(word) && fix.starts_with("choose"), "{what}: {fix}");
        }
    }

    #[test]
    fn a_value_outside_its_range_is_named_with_the_range() {
        for (text, said) in [
            ("nonce_window_ms = 1001", "1 to 1000"),
            ("nonce_interval_ms = 9", "10 to 60000"),
            ("key_distribution = \"ftp://x\"", "http"),
            ("metadata = \"http://x/?a\"", "without a query"),
        ] {
            let (what, fix) = read(text, Platform::Gcp).unwrap_err();
            assert!(fix.contains(said), "{what}: {fix}");
        }
        assert_eq!(read("key_distribution = \"none\"", Platform::Gcp).unwrap().key_distribution, None);
        assert_eq!(read("grub = true", Platform::Gcp).unwrap().quoted, [4, 7, 8, 9, 11, 12, 13, 14, 15]);
    }
}
