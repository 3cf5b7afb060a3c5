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

    use attestation_verifier::SvsmError;
    use software_psp::{ChipId, Product, QuoteKey, ReportRequest, manifest_report_data, services_manifest};

    use super::*;

    /// A double of the kernel's files: reports are well formed and unsigned.
    struct DoubleFiles {
        generation: u64,
        inblob: Vec<u8>,
        provider: &'static str,
        /// What `auxblob` holds; a kernel without host certificates has no such file.
        table: Option<Vec<u8>>,
        /// Whether the guest runs below an SVSM, and whether its report was asked for.
        svsm: Option<bool>,
        /// What `manifestblob` holds, and what the report covers.
        manifest: Option<Vec<u8>>,
        covered: Vec<u8>,
        /// Kernels before 6.10 have none.
        floor: Option<&'static str>,
        privlevel: Vec<u8>,
        /// What happens when `outblob` is read, in turn; afterwards all goes well.
        outblob: VecDeque<Trouble>,
        auxblob: VecDeque<io::ErrorKind>,
        /// How many of our writes another program follows at once with one of its own.
        overtaken: u32,
        created: usize,
        removed: usize,
        pauses: u32,
    }

    #[derive(Clone, Copy)]
    enum Trouble {
        Fails(io::ErrorKind),
        /// Another program writes its own bytes: the generation moves and the blob is for those.
        SomebodyWrites,
        /// The same, between our reading of the report and of the rest.
        SomebodyWritesAfterwards,
        /// The blob is for other bytes, and nothing shows it but the report itself.
        OtherReport,
        Length(usize),
    }

    impl Default for DoubleFiles {
        fn default() -> Self {
            Self {
                generation: 0,
                inblob: Vec::new(),
                provider: "sev_guest",
                table: None,
                svsm: None,
                manifest: None,
                covered: Vec::new(),
                floor: Some("0"),
                privlevel: Vec::new(),
                outblob: VecDeque::new(),
                auxblob: VecDeque::new(),
                overtaken: 0,
                created: 0,
                removed: 0,
                pauses: 0,
            }
        }
    }

    impl TsmFiles for DoubleFiles {
        fn create(&mut self) -> io::Result<PathBuf> {
            self.created += 1;
            Ok(PathBuf::from("request"))
        }

        fn write(&mut self, file: &Path, bytes: &[u8]) -> io::Result<()> {
            self.generation += 1;
            match (file.file_name().and_then(|name| name.to_str()), self.svsm) {
                (Some("inblob"), _) if self.overtaken > 0 => {
                    self.overtaken -= 1;
                    self.generation += 1;
                    self.inblob = vec![9; 64];
                }
                (Some("inblob"), _) => self.inblob = bytes.to_vec(),
                (Some("privlevel"), _) => self.privlevel = bytes.to_vec(),
                (Some("service_provider"), Some(_)) => {
                    assert_eq!(bytes, b"svsm");
                    self.svsm = Some(true);
                }
                (Some("service_provider"), None) => return Err(io::ErrorKind::NotFound.into()),
                (other, _) => panic!("no such file: {other:?}"),
            }
            Ok(())
        }

        fn read(&mut self, file: &Path) -> io::Result<Vec<u8>> {
            match file.file_name().and_then(|name| name.to_str()) {
                Some("provider") => Ok(format!("{}\n", self.provider).into_bytes()),
                Some("privlevel_floor") => {
                    self.floor.map(|level| format!("{level}\n").into_bytes()).ok_or(io::ErrorKind::NotFound.into())
                }
                Some("generation") => Ok(format!("{}\n", self.generation).into_bytes()),
                Some("auxblob") => match self.auxblob.pop_front() {
                    Some(kind) => Err(kind.into()),
                    None => self.table.clone().ok_or(io::ErrorKind::NotFound.into()),
                },
                Some("manifestblob") => self.manifest.clone().ok_or(io::ErrorKind::NotFound.into()),
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
            if self.svsm == Some(true) {
                report_data = manifest_report_data(&report_data, &self.covered);
            }
            let mut length = software_psp::REPORT_LENGTH;
            match self.outblob.pop_front() {
                Some(Trouble::Fails(kind)) => return Err(kind.into()),
                Some(Trouble::SomebodyWrites) => {
                    self.generation += 1;
                    report_data = [9; 64];
                }
                Some(Trouble::SomebodyWritesAfterwards) => self.generation += 1,
                Some(Trouble::OtherReport) => report_data = [9; 64],
                Some(Trouble::Length(wrong)) => length = wrong,
                None => {}
            }
            let request = ReportRequest::new(Product::Genoa, 5, ChipId::MASKED, report_data);
            let mut report = request.body().0.to_vec();
            report.resize(length, 0);
            Ok(report)
        }
    }

    fn tsm(outblob: impl IntoIterator<Item = Trouble>) -> Tsm<DoubleFiles> {
        Tsm::over(DoubleFiles { outblob: outblob.into_iter().collect(), ..DoubleFiles::default() })
    }

    fn report_data(answer: &DeviceAnswer) -> &[u8] {
        &answer.report[0x50..0x90]
    }

    #[test]
    fn a_quiet_interface_gives_the_report_at_once() {
        let tsm = Tsm::over(DoubleFiles { table: Some(b"table".to_vec()), ..DoubleFiles::default() });
        let answer = tsm.report(&[7; 64]).expect("report");
        assert_eq!(
            (report_data(&answer), &*answer.table, answer.svsm_manifest.as_ref()),
            (&[7; 64][..], &b"table"[..], None)
        );
        let files = tsm.files.lock().expect("lock");
        assert_eq!((files.created, files.removed, files.pauses), (1, 1, 0));
    }

    #[test]
    fn busy_answers_are_tried_again() {
        for kind in [io::ErrorKind::ResourceBusy, io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted] {
            let tsm = tsm([Trouble::Fails(kind); 5]);
            assert_eq!(report_data(&tsm.report(&[7; 64]).expect("report")), [7; 64]);
            assert_eq!(tsm.files.lock().expect("lock").pauses, 5);
        }
        let late = Tsm::over(DoubleFiles { auxblob: [io::ErrorKind::WouldBlock; 2].into(), ..DoubleFiles::default() });
        late.report(&[7; 64]).expect("the table was late, the report is whole");
        assert_eq!(late.files.lock().expect("lock").pauses, 2);
    }

    #[test]
    fn an_interface_that_stays_busy_is_given_up() {
        let tsm = tsm([Trouble::Fails(io::ErrorKind::ResourceBusy); 6]);
        assert!(matches!(tsm.report(&[7; 64]), Err(EvidenceError::Busy { attempts: 6 })));
        assert_eq!(tsm.files.lock().expect("lock").removed, 1, "the request is removed all the same");
    }

    #[test]
    fn a_report_for_somebody_elses_bytes_is_never_returned() {
        for trouble in [Trouble::SomebodyWrites, Trouble::SomebodyWritesAfterwards] {
            let raced = tsm([trouble]);
            assert_eq!(report_data(&raced.report(&[7; 64]).expect("second attempt")), [7; 64]);
            assert_eq!(raced.files.lock().expect("lock").pauses, 1);
            let always = tsm([trouble; 6]);
            assert!(matches!(always.report(&[7; 64]), Err(EvidenceError::Busy { .. })));
        }
        let overtaken = Tsm::over(DoubleFiles { overtaken: 2, ..DoubleFiles::default() });
        assert_eq!(report_data(&overtaken.report(&[7; 64]).expect("third attempt")), [7; 64]);
        // The generation does not show it, the report does.
        let silent = tsm([Trouble::OtherReport]);
        assert!(matches!(silent.report(&[7; 64]), Err(EvidenceError::WrongReport { what: "REPORT_DATA" })));
    }

    #[test]
    fn a_report_of_another_length_is_no_report() {
        for length in [0, 1183, 1185, 4000] {
            let answer = tsm([Trouble::Length(length)]).report(&[7; 64]);
            assert!(matches!(answer, Err(EvidenceError::WrongReport { what: "length" })), "{length} bytes");
        }
    }

    #[test]
    fn other_failures_are_not_tried_again() {
        let tsm = tsm([Trouble::Fails(io::ErrorKind::PermissionDenied)]);
        assert!(matches!(tsm.report(&[7; 64]), Err(EvidenceError::Device { .. })));
        assert_eq!(tsm.files.lock().expect("lock").pauses, 0);
    }

    #[test]
    fn another_processor_is_refused_by_name() {
        let tsm = Tsm::over(DoubleFiles { provider: "tdx_guest", ..DoubleFiles::default() });
        match tsm.report(&[7; 64]) {
            Err(EvidenceError::Provider { found }) => assert_eq!(found, "tdx_guest"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_host_without_certificates_leaves_an_empty_table() {
        assert_eq!(tsm([]).report(&[7; 64]).expect("report").table, Vec::<u8>::new());
    }

    #[test]
    fn the_report_is_asked_for_at_the_lowest_level_the_kernel_allows() {
        for (floor, asked) in [(Some("2"), &b"2\n"[..]), (None, b"")] {
            let tsm = Tsm::over(DoubleFiles { floor, ..DoubleFiles::default() });
            tsm.report(&[7; 64]).expect("report");
            assert_eq!(tsm.files.lock().expect("lock").privlevel, asked);
        }
    }

    /// A guest below an SVSM that shows one manifest and has the report cover another, or the same.
    fn below_svsm(shown: &[u8], covered: &[u8]) -> Result<DeviceAnswer, EvidenceError> {
        let (manifest, covered) = (Some(shown.to_vec()), covered.to_vec());
        let files = DoubleFiles { svsm: Some(false), manifest, covered, ..DoubleFiles::default() };
        Tsm::over(files).with_svsm().report(&[7; 64])
    }

    #[test]
    fn an_svsms_report_covers_our_bytes_and_its_manifest() {
        let manifest = services_manifest(&QuoteKey::p384(&mut rand_core::OsRng));
        let answer = below_svsm(&manifest, &manifest).expect("report");
        assert_eq!(answer.svsm_manifest.as_ref(), Some(&manifest));
        assert_eq!(report_data(&answer), manifest_report_data(&[7; 64], &manifest));

        let other = services_manifest(&QuoteKey::p384(&mut rand_core::OsRng));
        let swapped = below_svsm(&other, &manifest);
        assert!(matches!(swapped, Err(EvidenceError::WrongReport { what: "REPORT_DATA" })), "{swapped:?}");
        let broken = below_svsm(b"no manifest", b"no manifest");
        assert!(matches!(broken, Err(EvidenceError::SvsmManifest(_))), "{broken:?}");
        // Header, and no services.
        let empty = [&manifest[..16], &24u32.to_le_bytes(), &[0; 4]].concat();
        let without = below_svsm(&empty, &empty);
        assert!(matches!(without, Err(EvidenceError::SvsmManifest(SvsmError::NoVtpm))), "{without:?}");
    }

    #[test]
    fn a_machine_without_an_svsm_says_so() {
        let answer = tsm([]).with_svsm().report(&[7; 64]);
        assert!(matches!(answer, Err(EvidenceError::NoSvsm)), "{answer:?}");
        let unlisted = DoubleFiles { svsm: Some(false), manifest: None, ..DoubleFiles::default() };
        assert!(matches!(Tsm::over(unlisted).with_svsm().report(&[7; 64]), Err(EvidenceError::NoSvsm)));
    }

    #[test]
    fn a_machine_without_the_interface_says_so() {
        let error = Tsm::at(Path::new("/nonexistent/tsm")).report(&[7; 64]).expect_err("nothing there");
        assert!(error.fix().contains("SEV-SNP guest"), "{}", error.fix());
    }

    #[test]
    fn the_kernels_files_are_a_directory_per_request() {
        let root = tempfile::tempdir().expect("directory");
        let mut files = KernelFiles { root: root.path().to_owned() };
        let (one, two) = (files.create().expect("made"), files.create().expect("made"));
        assert_ne!(one, two);
        let inblob = one.join("inblob");
        assert!(files.write(&inblob, b"bytes").is_err(), "files of a request are the kernel's to make");
        fs::write(&inblob, "").expect("as the kernel does");
        files.write(&inblob, b"bytes").expect("written");
        assert_eq!(files.read(&inblob).expect("read"), b"bytes");
        fs::write(&inblob, vec![0; 70_000]).expect("long");
        assert_eq!(files.read(&inblob).expect("read").len() as u64, LIMIT);
        files.remove(&two);
        assert!(!two.exists());
    }
}
