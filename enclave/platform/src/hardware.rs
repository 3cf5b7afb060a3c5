//! The platforms on which the guest opens the SNP device itself: Google Cloud, AWS and machines of one's own. The device
//! gives the report, the host's table the certificates, and AMD's service those that the host leaves out.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use attestation_verifier::{Product, VekKind as Kind};
use evidence::UnixSeconds;

use crate::{
    Chain, CollateralError, Der, Evidence, EvidenceError, EvidenceSource, Kds, Tsm, VekKind,
    certificate_table::HostTable,
    collateral::{Issuers, Subject, is_current_list, machine_now},
    cpu,
    device::DeviceAnswer,
    sev_guest::{KernelDevice, SevGuest},
};

/// Whose hosts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HardwareKind {
    /// Google Cloud: VCEK and chain in the host's table.
    Gcp,
    /// AWS EC2: VLEK in the host's table.
    Aws,
    /// Any other host; upstream ones often give no certificates.
    Baremetal,
}

impl HardwareKind {
    /// As the core and the proof name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gcp => "gcp",
            Self::Aws => "aws",
            Self::Baremetal => "baremetal",
        }
    }
}

/// Where things are on this machine, and who may be asked.
#[derive(Clone, Debug)]
pub struct HardwareConfig {
    /// configfs-tsm, [`Tsm::ROOT`].
    pub tsm_root: PathBuf,
    /// The device for kernels without it, [`KernelDevice::PATH`].
    pub sev_guest_path: PathBuf,
    /// Its folder `collateral` holds the cache.
    pub state_dir: PathBuf,
    /// AMD's key distribution service or a mirror, [`Kds::AMD`].
    pub kds_base: String,
    /// Whether it may be asked. Without it the host must give VEK, intermediate and root, and there are no lists.
    pub kds_enabled: bool,
    /// Revocation lists older than this are fetched again, [`Kds::CRL_AGE`].
    pub crl_age: Duration,
    /// Ask an SVSM for reports over all its services.
    pub svsm: bool,
}

impl HardwareConfig {
    /// What a machine has when nobody says otherwise.
    pub fn new(state_dir: &Path) -> Self {
        Self {
            tsm_root: PathBuf::from(<Tsm>::ROOT),
            sev_guest_path: PathBuf::from(KernelDevice::PATH),
            state_dir: state_dir.to_owned(),
            kds_base: Kds::AMD.to_owned(),
            kds_enabled: true,
            crl_age: Kds::CRL_AGE,
            svsm: false,
        }
    }
}

/// An SEV-SNP guest that opens its device itself.
pub struct Hardware {
    kind: HardwareKind,
    device: Box<dyn Device>,
    kds: Option<Kds>,
    /// Of this machine, for reports that do not name theirs.
    product: Option<Product>,
    now: fn() -> UnixSeconds,
}

/// Gives reports.
pub(crate) trait Device: Send + Sync {
    fn report(&self, report_data: &[u8; 64]) -> Result<DeviceAnswer, EvidenceError>;
}

impl Device for Tsm {
    fn report(&self, report_data: &[u8; 64]) -> Result<DeviceAnswer, EvidenceError> {
        Tsm::report(self, report_data)
    }
}

impl Device for SevGuest<KernelDevice> {
    fn report(&self, report_data: &[u8; 64]) -> Result<DeviceAnswer, EvidenceError> {
        SevGuest::report(self, report_data)
    }
}

impl Hardware {
    /// Finds the device: configfs-tsm, else `/dev/sev-guest`. Asks nothing yet.
    ///
    /// # Errors
    /// [`EvidenceError::Device`] if there is neither, [`EvidenceError::NoSvsm`] if an SVSM is wanted and only the device
    /// is there, which cannot ask it.
    pub fn open(kind: HardwareKind, config: HardwareConfig) -> Result<Self, EvidenceError> {
        let device: Box<dyn Device> = if config.tsm_root.is_dir() {
            let tsm = Tsm::at(&config.tsm_root);
            Box::new(if config.svsm { tsm.with_svsm() } else { tsm })
        } else if !config.sev_guest_path.exists() {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(EvidenceError::Device { doing: "open", path: config.tsm_root, source });
        } else if config.svsm {
            return Err(EvidenceError::NoSvsm);
        } else {
            Box::new(SevGuest::over(KernelDevice::at(&config.sev_guest_path), &config.sev_guest_path))
        };
        let kds = config.kds_enabled.then(|| Kds::open(&config.kds_base, &config.state_dir, config.crl_age));
        Ok(Self { kind, device, kds, product: cpu::product(Path::new("/proc/cpuinfo")), now: machine_now })
    }

    /// Certificates for a report: the host's where they fit, AMD's service for what is missing.
    fn endorse(&self, report: &[u8], table: &[u8]) -> Result<Chain, EvidenceError> {
        let table = match HostTable::parse(table) {
            Ok(table) => table,
            Err(error) if self.kds.is_none() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "collateral: the host's table is not used");
                HostTable::default()
            }
        };
        // A report of version 2 does not name its product; its certificate does, and so does the processor.
        let of_table = [&table.vcek, &table.vlek].into_iter().flatten().find_map(Subject::product_of);
        let subject = Subject::of(report, of_table.or(self.product))?;
        let (vek, issuers) = match self.by_host(&subject, &table)? {
            Some(found) => found,
            None => self.by_service(&subject, &table)?,
        };
        let crls = self.crls(&subject, &issuers.root, &table);
        Ok(Chain { vek, intermediate: issuers.intermediate, root: issuers.root, crls })
    }

    /// What the host gave, if its endorsement certificate fits; issuers that it left out come from AMD's service.
    fn by_host(&self, subject: &Subject, table: &HostTable) -> Result<Option<(Der, Issuers)>, EvidenceError> {
        let Some(vek) = table.vek(subject.kind) else { return Ok(None) };
        let (given, why) = match table.issuers().map(|issuers| (subject.check_issuers(&issuers), issuers)) {
            Some((Ok(()), issuers)) => (Some(issuers), None),
            Some((Err(why), _)) => (None, Some(why)),
            None => (None, None),
        };
        let issuers = match (given, &self.kds) {
            (Some(issuers), _) => issuers,
            (None, Some(kds)) => kds.issuers(subject)?,
            (None, None) => {
                return Err(match why {
                    Some(why) => refused(why),
                    None => CollateralError::Offline { missing: missing_issuer(subject, table) },
                }
                .into());
            }
        };
        match subject.check_vek(vek, &issuers) {
            Ok(()) => Ok(Some((vek.clone(), issuers))),
            // A host whose firmware was updated after its table was filled.
            Err(why) if subject.kind == VekKind::Vcek && self.kds.is_some() => {
                tracing::warn!(why, "collateral: the host's VCEK does not fit the report, AMD's service is asked");
                Ok(None)
            }
            Err(why) => Err(refused(why).into()),
        }
    }

    fn by_service(&self, subject: &Subject, table: &HostTable) -> Result<(Der, Issuers), EvidenceError> {
        match (&self.kds, subject.kind) {
            (_, VekKind::Vlek) => Err(CollateralError::VlekFromHostOnly.into()),
            (Some(kds), VekKind::Vcek) => Ok(kds.endorsement(subject)?),
            (None, VekKind::Vcek) => {
                let missing = if table.vcek.is_none() { Kind::Vcek.name() } else { "VCEK that fits the report" };
                Err(CollateralError::Offline { missing }.into())
            }
        }
    }

    /// AMD's list, else the host's, which the verifier lets revoke but not clear. None is no failure.
    fn crls(&self, subject: &Subject, root: &Der, table: &HostTable) -> Vec<Der> {
        let fetched = self.kds.as_ref().map_or(Vec::new(), |kds| kds.crls(subject, root));
        if !fetched.is_empty() {
            return fetched;
        }
        table.crl.iter().filter(|list| is_current_list(list, root, (self.now)())).cloned().collect()
    }
}

impl EvidenceSource for Hardware {
    fn platform(&self) -> &'static str {
        self.kind.name()
    }

    fn tee_enabled(&self) -> bool {
        true
    }

    fn collect(&self, report_data: &[u8; 64]) -> Result<Evidence, EvidenceError> {
        let answer = self.device.report(report_data)?;
        let chain = self.endorse(&answer.report, &answer.table)?;
        Ok(Evidence {
            report: answer.report,
            vek: chain.vek,
            vek_kind: answer.vek_kind,
            intermediate: chain.intermediate,
            root: chain.root,
            crls: chain.crls,
            hcl: None,
            svsm_manifest: answer.svsm_manifest,
        })
    }
}

fn refused(why: String) -> CollateralError {
    CollateralError::Wrong { from: "the host's certificate table".into(), why }
}

fn missing_issuer(subject: &Subject, table: &HostTable) -> &'static str {
    if table.intermediate.is_none() { subject.issuer_name() } else { "ARK" }
}

#[cfg(test)]
mod tests;
