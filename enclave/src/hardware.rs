//! What stands under the gateway, opened once at the boot: the source of reports, the vTPM that quotes, the firmware's
//! log.

use std::sync::Arc;

use attestation_verifier::BootKind;
use evidence::{
    bundle::CarriedQuote,
    core::{Platform, Vtpm},
    report_data::quote_data,
};
use platform::{
    AkChoice, AttestationKey, Azure, DevelopmentMode, EvidenceSource, HardwareConfig, HardwareKind, Imds, Kds, PcrSet,
    Quoter, Simulated, Tpm, TpmError, TpmQuoter, read_event_log,
};

use crate::{
    boot::{CORE_PCR, Failure},
    config::Config,
};

/// What stands under the gateway.
pub(crate) struct Hardware {
    /// Gives reports.
    pub(crate) source: Arc<dyn EvidenceSource>,
    /// Gives quotes. `None` where PCR 15 was closed before this boot: a quote would speak of another core.
    pub(crate) vtpm: Option<QuotingTpm>,
    /// The firmware's log, as the kernel keeps it.
    pub(crate) event_log: Option<Vec<u8>>,
    /// Who made the TPM, as it says itself.
    pub(crate) tpm_manufacturer: String,
}

/// A vTPM with its attestation key and the registers that its quotes cover.
#[derive(Clone)]
pub(crate) struct QuotingTpm {
    quoter: Arc<dyn Quoter>,
    registers: Vec<u8>,
}

impl QuotingTpm {
    /// The key, as the core names it.
    pub(crate) fn key(&self) -> &AttestationKey {
        self.quoter.key()
    }

    /// The quote over Q of this report data. Takes tens of milliseconds.
    pub(crate) fn quote(&self, report_data: &[u8; 64]) -> Result<CarriedQuote, TpmError> {
        let quote = self.quoter.quote(&quote_data(report_data), &self.registers)?;
        Ok(CarriedQuote { attest: quote.attest, signature: quote.signature, pcrs: quote.pcrs })
    }
}

impl Hardware {
    /// Opens all of it, before PCR 15 is extended.
    ///
    /// # Errors
    /// No device, no TPM, no attestation key.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let (tpm_manufacturer, closed) = look_at_tpm(config)?;
        if closed && matches!(config.evidence.boot, BootKind::Paravisor | BootKind::Svsm) {
            return Err(Failure::new(
                "PCR 15 is not zero, so no quote of this machine could name a core of now",
                "something ran before this gateway, or it was restarted without a reboot",
                "reboot the machine: on this platform the evidence is nothing without its quote",
            ));
        }
        let vtpm = if closed {
            tracing::warn!(
                "PCR 15 is not zero: something ran on this machine before this gateway, or it was restarted without a \
                 reboot. The evidence carries no quote, and no verifier that asks for the code will accept it"
            );
            None
        } else {
            Some(QuotingTpm { quoter: quoter(config)?, registers: config.evidence.quoted.clone() })
        };
        let event_log = read_event_log(&config.evidence.event_log)
            .map_err(|error| Failure::new("the firmware's event log could not be read", &error, error.fix()))?;
        Ok(Self { source: source(config)?, vtpm, event_log, tpm_manufacturer })
    }

    /// The core's member `vtpm`.
    pub(crate) fn core_vtpm(&self, config: &Config) -> Vtpm {
        let key = self.vtpm.as_ref().map(QuotingTpm::key);
        Vtpm {
            kind: config.evidence.vtpm().name(),
            ak_name: key.map(|key| key.name),
            ak_spki: key.map(|key| key.spki.clone()),
            ek_name: key.and_then(|key| key.ek_name),
        }
    }
}

/// Who made it, and whether PCR 15 was closed already.
fn look_at_tpm(config: &Config) -> Result<(String, bool), Failure> {
    let refused = |error: TpmError| Failure::new("the TPM could not be asked", &error, error.fix());
    let mut tpm = Tpm::open(&config.tpm_tcti).map_err(refused)?;
    let manufacturer = tpm.properties().map_err(refused)?.manufacturer;
    let set = PcrSet::new(&[CORE_PCR]).map_err(|error| Failure::new("PCR 15", error, ""))?;
    let value = tpm.read_pcrs(&set).map_err(refused)?;
    Ok((manufacturer, value.values().first().is_none_or(|(_, value)| *value != [0; 32])))
}

fn quoter(config: &Config) -> Result<Arc<dyn Quoter>, Failure> {
    let which = match config.platform {
        Platform::Azure => Azure::KEY,
        _ => AkChoice::Ours,
    };
    let quoter = TpmQuoter::open(&config.tpm_tcti, which);
    let quoter = quoter.map_err(|error| Failure::new("no attestation key in the TPM", &error, error.fix()))?;
    Ok(Arc::new(quoter))
}

fn source(config: &Config) -> Result<Arc<dyn EvidenceSource>, Failure> {
    let kind = match config.platform {
        Platform::Simulated => return simulated(config),
        Platform::Azure => return Ok(azure(config)),
        Platform::Gcp => HardwareKind::Gcp,
        Platform::Aws => HardwareKind::Aws,
        Platform::Baremetal => HardwareKind::Baremetal,
    };
    let usual = HardwareConfig::new(&config.state_dir);
    let wanted = HardwareConfig {
        kds_enabled: config.evidence.key_distribution.is_some(),
        kds_base: config.evidence.key_distribution.clone().unwrap_or_default(),
        svsm: config.evidence.boot == BootKind::Svsm,
        ..usual
    };
    let hardware = platform::Hardware::open(kind, wanted)
        .map_err(|error| Failure::new("there is no SEV-SNP device to ask", &error, error.fix()))?;
    Ok(Arc::new(hardware))
}

fn simulated(config: &Config) -> Result<Arc<dyn EvidenceSource>, Failure> {
    let development = DevelopmentMode::from_config(true).ok_or_else(|| Failure::new("not in development", "", ""))?;
    let simulated = Simulated::open(&config.state_dir, development, time::OffsetDateTime::now_utc())
        .map_err(|error| Failure::new("the software processor could not be opened", &error, error.fix()))?;
    Ok(Arc::new(simulated))
}

/// Certificates come from Azure's own service, revocation lists from AMD's.
fn azure(config: &Config) -> Arc<dyn EvidenceSource> {
    let certificates = Imds::open(&config.evidence.metadata, &config.state_dir);
    let certificates = match &config.evidence.key_distribution {
        None => certificates,
        Some(base) => certificates.with_lists_from(Arc::new(Kds::open(base, &config.state_dir, Kds::CRL_AGE))),
    };
    Arc::new(Azure::at(&config.tpm_tcti, Arc::new(certificates)))
}
