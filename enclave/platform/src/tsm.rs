//! Linux' configfs-tsm (Documentation/ABI/testing/configfs-tsm): a directory per request with the files `inblob`,
//! `outblob`, `auxblob`, `provider`, `privlevel` and `generation`. `generation` counts writes, so reading it before and
//! after shows whether the report is for our bytes.

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

use crate::{Evidence, EvidenceError, EvidenceSource, certificate_table, source::expect_report};

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
        Self { files: Mutex::new(files) }
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

impl<F: TsmFiles> EvidenceSource for Tsm<F> {
    fn platform(&self) -> &'static str {
        "baremetal"
    }

    fn tee_enabled(&self) -> bool {
        true
    }

    fn collect(&self, report_data: &[u8; 64]) -> Result<Evidence, EvidenceError> {
        self.with_request(|files, directory| {
            let found = read_text(files, &directory.join("provider"))?;
            if found != "sev_guest" {
                return Err(EvidenceError::Provider { found });
            }
            for attempt in 0..ATTEMPTS {
                match ask(files, directory, report_data) {
                    Ok(Some((report, table))) => return evidence(report, &table, report_data),
                    Ok(None) => files.pause(attempt),
                    Err(EvidenceError::Device { source, .. }) if is_busy(&source) => files.pause(attempt),
                    Err(error) => return Err(error),
                }
            }
            Err(EvidenceError::Busy { attempts: ATTEMPTS })
        })
    }
}

type ReportAndTable = (Vec<u8>, Vec<u8>);

/// Report and certificate table, or none when somebody else wrote meanwhile.
fn ask(
    files: &mut impl TsmFiles,
    directory: &Path,
    report_data: &[u8; 64],
) -> Result<Option<ReportAndTable>, EvidenceError> {
    // A guest below a paravisor or SVSM may not ask for its superior's level. Kernels before 6.10 have no such file.
    let floor = directory.join("privlevel_floor");
    match files.read(&floor) {
        Ok(level) => {
            let path = directory.join("privlevel");
            files.write(&path, &level).map_err(device("write", &path))?;
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(device("read", &floor)(source)),
    }
    let before = generation(files, directory)?;
    let inblob = directory.join("inblob");
    files.write(&inblob, report_data).map_err(device("write", &inblob))?;
    let written = generation(files, directory)?;
    let outblob = directory.join("outblob");
    let report = files.read(&outblob).map_err(device("read", &outblob))?;
    let auxblob = directory.join("auxblob");
    let table = match files.read(&auxblob) {
        Ok(table) => table,
        Err(source) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(device("read", &auxblob)(source)),
    };
    let after = generation(files, directory)?;
    let ours = before.checked_add(1) == Some(written) && written == after;
    Ok(ours.then_some((report, table)))
}

fn evidence(report: Vec<u8>, table: &[u8], report_data: &[u8; 64]) -> Result<Evidence, EvidenceError> {
    let vek_kind = expect_report(&report, report_data)?;
    let (vek, intermediate, root) = certificate_table::chain(table, vek_kind)?;
    Ok(Evidence { report, vek, vek_kind, intermediate, root, crls: Vec::new(), hcl: None, svsm_manifest: None })
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
