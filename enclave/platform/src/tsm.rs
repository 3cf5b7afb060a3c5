//! Linux' configfs-tsm (Documentation/ABI/testing/configfs-tsm): a directory per request with the files `inblob`,
//! `outblob`, `auxblob`, `provider`, `privlevel` and `generation`. `generation` counts writes, so reading it before and
//! after shows whether the report is for our bytes. Under an SVSM there are `service_provider` and `manifestblob` too:
//! the report is then asked for by the SVSM, at VMPL 0, over our bytes and its list of services.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{EvidenceError, device::DeviceAnswer};

/// Longest file we read; the certificate table is the longest.
const LIMIT: u64 = 64 * 1024 + 1;

/// How often a busy or raced interface is tried.
const ATTEMPTS: u32 = 6;

/// What a request directory offers. The kernel's is [`KernelFiles`]; tests put a double here, because the processor is
/// the one part of this machine that cannot be had.
pub trait TsmFiles: Send {
    /// Makes a request directory and gives its path.
    ///
    /// # Errors
    /// The system's answer.
    fn create(&mut self) -> io::Result<PathBuf>;

    /// Writes a file of it.
    ///
    /// # Errors
    /// The system's answer.
    fn write(&mut self, file: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Reads a file of it, at most 64 KiB.
    ///
    /// # Errors
    /// The system's answer.
    fn read(&mut self, file: &Path) -> io::Result<Vec<u8>>;

    /// Removes the directory.
    fn remove(&mut self, directory: &Path);

    /// Waits before another attempt.
    fn pause(&mut self, attempt: u32);
}

/// The kernel's files below `/sys/kernel/config/tsm/report`.
pub struct KernelFiles {
    root: PathBuf,
}

impl TsmFiles for KernelFiles {
    fn create(&mut self) -> io::Result<PathBuf> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let directory = self.root.join(format!("sealgate-{}-{number}", std::process::id()));
        fs::create_dir(&directory)?;
        Ok(directory)
    }

    fn write(&mut self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::OpenOptions::new().write(true).open(file).and_then(|mut file| io::Write::write_all(&mut file, bytes))
    }

    fn read(&mut self, file: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(fs::File::open(file)?, LIMIT), &mut bytes)?;
        Ok(bytes)
    }

    fn remove(&mut self, directory: &Path) {
        // configfs takes the files with it; what stays behind is an empty request that costs nothing.
        fs::remove_dir(directory).ok();
    }

    fn pause(&mut self, attempt: u32) {
        thread::sleep(Duration::from_millis(10 << attempt.min(6)));
    }
}

/// SEV-SNP through configfs-tsm.
pub struct Tsm<F = KernelFiles> {
    files: Mutex<F>,
    /// Whom the report shall speak for.
    speaks_for: SpeaksFor,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SpeaksFor {
    /// The guest's own bytes.
    Guest,
    /// The SVSM and all of its services.
    Svsm,
}

impl Tsm {
    /// Where the kernel has it.
    pub const ROOT: &str = "/sys/kernel/config/tsm/report";

    /// The kernel's interface below `root`, [`Tsm::ROOT`] on a real machine.
    pub fn at(root: &Path) -> Self {
        Self::over(KernelFiles { root: root.to_owned() })
    }
}

impl<F: TsmFiles> Tsm<F> {
    /// Any files that behave like the kernel's.
    pub fn over(files: F) -> Self {
        Self { files: Mutex::new(files), speaks_for: SpeaksFor::Guest }
    }

    /// Asks the SVSM: its report covers our bytes and the manifest of all its services, the vTPM among them.
    #[must_use]
    pub fn with_svsm(self) -> Self {
        Self { speaks_for: SpeaksFor::Svsm, ..self }
    }

    /// Name of the kernel's provider: `sev_guest`, `tdx_guest`, …
    ///
    /// # Errors
    /// [`EvidenceError::Device`].
    pub fn provider(&self) -> Result<String, EvidenceError> {
        self.with_request(|files, directory| read_text(files, &directory.join("provider")))
    }

    fn with_request<T>(
        &self,
        work: impl FnOnce(&mut F, &Path) -> Result<T, EvidenceError>,
    ) -> Result<T, EvidenceError> {
        // Poison means that another request panicked; each request has a directory of its own.
        let mut files = self.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let directory = files.create().map_err(device("make a request below", Path::new(Tsm::<KernelFiles>::ROOT)))?;
        let done = work(&mut files, &directory);
        files.remove(&directory);
        done
    }
}

impl<F: TsmFiles> Tsm<F> {
    /// A report over `report_data`, as often as it takes until nobody else wrote in between.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn report(&self, report_data: &[u8; 64]) -> Result<DeviceAnswer, EvidenceError> {
        self.with_request(|files, directory| {
            let found = read_text(files, &directory.join("provider"))?;
            if found != "sev_guest" {
                return Err(EvidenceError::Provider { found });
            }
            for attempt in 0..ATTEMPTS {
                match ask(files, directory, self.speaks_for, report_data) {
                    Ok(Some(blobs)) => {
                        return DeviceAnswer::check(blobs.report, blobs.table, blobs.manifest, report_data);
                    }
                    Ok(None) => files.pause(attempt),
                    Err(EvidenceError::Device { source, .. }) if is_busy(&source) => files.pause(attempt),
                    Err(error) => return Err(error),
                }
            }
            Err(EvidenceError::Busy { attempts: ATTEMPTS })
        })
    }
}

struct Blobs {
    report: Vec<u8>,
    table: Vec<u8>,
    manifest: Option<Vec<u8>>,
}

/// What the processor gave, or none when somebody else wrote meanwhile.
fn ask(
    files: &mut impl TsmFiles,
    directory: &Path,
    speaks_for: SpeaksFor,
    report_data: &[u8; 64],
) -> Result<Option<Blobs>, EvidenceError> {
    // A guest below a paravisor or SVSM may not ask for its superior's level. Kernels before 6.10 have no such file.
    let floor = directory.join("privlevel_floor");
    if let Some(level) = read_optional(files, &floor)? {
        let path = directory.join("privlevel");
        files.write(&path, &level).map_err(device("write", &path))?;
    }
    if speaks_for == SpeaksFor::Svsm {
        // No `service_guid`: without one the manifest names all services, and a verifier finds the vTPM among them.
        let path = directory.join("service_provider");
        files.write(&path, b"svsm").map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => EvidenceError::NoSvsm,
            _ => device("write", &path)(source),
        })?;
    }
    let before = generation(files, directory)?;
    let inblob = directory.join("inblob");
    files.write(&inblob, report_data).map_err(device("write", &inblob))?;
    let written = generation(files, directory)?;
    let outblob = directory.join("outblob");
    let report = files.read(&outblob).map_err(device("read", &outblob))?;
    let table = read_optional(files, &directory.join("auxblob"))?.unwrap_or_default();
    let manifest = match speaks_for {
        SpeaksFor::Guest => None,
        SpeaksFor::Svsm => Some(read_optional(files, &directory.join("manifestblob"))?.ok_or(EvidenceError::NoSvsm)?),
    };
    let after = generation(files, directory)?;
    let ours = before.checked_add(1) == Some(written) && written == after;
    Ok(ours.then_some(Blobs { report, table, manifest }))
}

/// A file that not every kernel, processor or host has.
fn read_optional(files: &mut impl TsmFiles, path: &Path) -> Result<Option<Vec<u8>>, EvidenceError> {
    match files.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(device("read", path)(source)),
    }
}

fn generation(files: &mut impl TsmFiles, directory: &Path) -> Result<u64, EvidenceError> {
    let path = directory.join("generation");
    let text = read_text(files, &path)?;
    text.parse().map_err(|_| device("understand", &path)(io::ErrorKind::InvalidData.into()))
}

fn read_text(files: &mut impl TsmFiles, path: &Path) -> Result<String, EvidenceError> {
    let bytes = files.read(path).map_err(device("read", path))?;
    let text = String::from_utf8(bytes).map_err(|_| device("understand", path)(io::ErrorKind::InvalidData.into()))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

fn device(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EvidenceError {
    let path = path.to_owned();
    move |source| EvidenceError::Device { doing, path, source }
}

/// EBUSY: the provider is being replaced. EWOULDBLOCK: the options changed since the last report. EINTR: a signal.
fn is_busy(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use software_psp::{ChipId, Product, ReportRequest};

    use super::*;
    use crate::certificate_table::tests::full;

    /// A double of the kernel's files: reports are well formed and unsigned.
    #[derive(Default)]
    struct DoubleFiles {
        generation: u64,
        inblob: Vec<u8>,
        provider: &'static str,
        table: Option<Vec<u8>>,
        /// What happens when `outblob` is read, in turn; afterwards all goes well.
        outblob: VecDeque<Trouble>,
        created: usize,
        removed: usize,
        pauses: u32,
    }

    #[derive(Clone, Copy)]
    enum Trouble {
        Fails(io::ErrorKind),
        SomebodyWrites,
        OtherReport,
        Short,
    }

    impl TsmFiles for DoubleFiles {
        fn create(&mut self) -> io::Result<PathBuf> {
            self.created += 1;
            Ok(PathBuf::from("request"))
        }

        fn write(&mut self, file: &Path, bytes: &[u8]) -> io::Result<()> {
            self.generation += 1;
            if file.ends_with("inblob") {
                self.inblob = bytes.to_vec();
            }
            Ok(())
        }

        fn read(&mut self, file: &Path) -> io::Result<Vec<u8>> {
            match file.file_name().and_then(|name| name.to_str()) {
                Some("provider") => Ok(format!("{}\n", self.provider).into_bytes()),
                Some("privlevel_floor") => Ok(b"0\n".to_vec()),
                Some("generation") => Ok(format!("{}\n", self.generation).into_bytes()),
                Some("auxblob") => self.table.clone().ok_or(io::ErrorKind::NotFound.into()),
                Some("outblob") => self.report(),
                other => panic!("no such file: {other:?}"),
            }
        }

        fn remove(&mut self, _: &Path) {
            self.removed += 1;
        }

        fn pause(&mut self, _: u32) {
            self.pauses += 1;
        }
    }

    impl DoubleFiles {
        fn report(&mut self) -> io::Result<Vec<u8>> {
            let mut report_data: [u8; 64] = self.inblob.clone().try_into().expect("64 bytes were written");
            match self.outblob.pop_front() {
                Some(Trouble::Fails(kind)) => return Err(kind.into()),
                Some(Trouble::SomebodyWrites) => {
                    self.generation += 1;
                    report_data = [9; 64];
                }
                Some(Trouble::OtherReport) => report_data = [9; 64],
                Some(Trouble::Short) => return Ok(vec![0; 1183]),
                None => {}
            }
            let request = ReportRequest::new(Product::Genoa, 5, ChipId::MASKED, report_data);
            let mut report = request.body().0.to_vec();
            report.resize(software_psp::REPORT_LENGTH, 0);
            Ok(report)
        }
    }

    fn source(outblob: impl IntoIterator<Item = Trouble>) -> Tsm<DoubleFiles> {
        Tsm::over(DoubleFiles {
            provider: "sev_guest",
            table: Some(full()),
            outblob: outblob.into_iter().collect(),
            ..DoubleFiles::default()
        })
    }

    #[test]
    fn a_quiet_interface_gives_the_report_at_once() {
        let source = source([]);
        let evidence = source.collect(&[7; 64]).expect("evidence");
        assert_eq!(evidence.report_data(), [7; 64]);
        let files = source.files.lock().expect("lock");
        assert_eq!((files.created, files.removed, files.pauses), (1, 1, 0));
    }

    #[test]
    fn busy_answers_are_tried_again() {
        for kind in [io::ErrorKind::ResourceBusy, io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted] {
            let source = source([Trouble::Fails(kind); 5]);
            assert_eq!(source.collect(&[7; 64]).expect("evidence").report_data(), [7; 64]);
            assert_eq!(source.files.lock().expect("lock").pauses, 5);
        }
    }

    #[test]
    fn an_interface_that_stays_busy_is_given_up() {
        let source = source([Trouble::Fails(io::ErrorKind::ResourceBusy); 6]);
        assert!(matches!(source.collect(&[7; 64]), Err(EvidenceError::Busy { attempts: 6 })));
        assert_eq!(source.files.lock().expect("lock").removed, 1, "the request is removed all the same");
    }

    #[test]
    fn a_report_for_somebody_elses_bytes_is_never_returned() {
        let raced = source([Trouble::SomebodyWrites]);
        assert_eq!(raced.collect(&[7; 64]).expect("second attempt").report_data(), [7; 64]);
        let always = source([Trouble::SomebodyWrites; 6]);
        assert!(matches!(always.collect(&[7; 64]), Err(EvidenceError::Busy { .. })));
        // The generation does not show it, the report does.
        let silent = source([Trouble::OtherReport]);
        assert!(matches!(silent.collect(&[7; 64]), Err(EvidenceError::WrongReport { what: "REPORT_DATA" })));
        let short = source([Trouble::Short]);
        assert!(matches!(short.collect(&[7; 64]), Err(EvidenceError::WrongReport { what: "length" })));
    }

    #[test]
    fn other_failures_are_not_tried_again() {
        let source = source([Trouble::Fails(io::ErrorKind::PermissionDenied)]);
        assert!(matches!(source.collect(&[7; 64]), Err(EvidenceError::Device { .. })));
        assert_eq!(source.files.lock().expect("lock").pauses, 0);
    }

    #[test]
    fn another_processor_is_refused_by_name() {
        let source = Tsm::over(DoubleFiles { provider: "tdx_guest", ..DoubleFiles::default() });
        match source.collect(&[7; 64]) {
            Err(EvidenceError::Provider { found }) => assert_eq!(found, "tdx_guest"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_host_without_certificates_is_named_with_the_fix() {
        let source = Tsm::over(DoubleFiles { provider: "sev_guest", ..DoubleFiles::default() });
        let error = source.collect(&[7; 64]).expect_err("no table");
        assert_eq!(error.to_string(), "evidence: collateral missing: the host gave no VCEK");
        assert!(error.fix().contains("key distribution service"));
    }

    #[test]
    fn a_machine_without_the_interface_says_so() {
        let error = Tsm::at(Path::new("/nonexistent/tsm")).collect(&[7; 64]).expect_err("nothing there");
        assert!(error.fix().contains("SEV-SNP guest"), "{}", error.fix());
    }
}
