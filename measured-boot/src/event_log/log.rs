//! The crypto-agile event log: TCG PC Client Platform Firmware Profile Specification 1.05 and 1.06, "Event logging".
//! Little-endian. The first record has the old SHA-1 shape (`TCG_PCClientPCREvent`) and holds `TCG_EfiSpecIDEvent`,
//! which names the banks; all others are `TCG_PCR_EVENT2`.

use crate::{
    event_log::event::{Event, EventType},
    pcr::{Bank, Digest, PcrIndex, StartupLocality},
};

/// Longest log that is read. Firmware reserves 64 KiB to 1 MiB for it; Linux copies what it finds.
pub const MAX_LOG_BYTES: usize = 16 << 20;
/// Most records that are read. The longest log we met, of a GRUB boot, has 116.
pub const MAX_EVENTS: usize = 16_384;
/// Longest data of one record. The largest we met is the revocation list of Secure Boot, 18 KB.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

const SPEC_ID_SIGNATURE: &[u8; 16] = b"Spec ID Event03\0";
const STARTUP_LOCALITY_SIGNATURE: &[u8; 16] = b"StartupLocality\0";

/// `platformClass` of the specification-id event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlatformClass {
    /// 0: PC client.
    Client,
    /// 1: server.
    Server,
}

/// `specVersionMajor.specVersionMinor`, revision in `specErrata`: 2.0 with errata 0, 5 or 6.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SpecVersion {
    /// Always 2: another major version is refused.
    pub major: u8,
    /// Always 0: another minor version is refused.
    pub minor: u8,
    /// Errata or revision; changes no layout.
    pub errata: u8,
}

/// A log that has the right shape and proves nothing yet. Its events cannot be looked at: [`Unreplayed::replay`] turns
/// it into a [`crate::Replayed`], and that shows them.
///
/// ```compile_fail
/// fn first_event_of_a_log_nobody_checked(log: &measured_boot::Unreplayed) {
///     let _ = log.events();
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Unreplayed<'a> {
    pub(crate) events: Vec<Event<'a>>,
    pub(crate) banks: Vec<Bank>,
    pub(crate) locality: StartupLocality,
    platform: PlatformClass,
    version: SpecVersion,
}

impl<'a> Unreplayed<'a> {
    /// Reads the whole log; the kernel shows it as `/sys/kernel/security/tpm0/binary_bios_measurements`.
    ///
    /// # Errors
    /// [`ParseError`] with the offset of the first byte that cannot be right: truncated, over a limit, an unknown
    /// version or algorithm, digests other than the ones the header announces, a register above 23.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if bytes.len() > MAX_LOG_BYTES {
            return Err(ParseError { offset: MAX_LOG_BYTES, problem: ParseProblem::LogTooLong { bytes: bytes.len() } });
        }
        let mut reader = Reader { bytes, offset: 0 };
        let header = Header::read(&mut reader)?;
        let mut log = Self {
            events: Vec::new(),
            banks: header.banks,
            locality: StartupLocality::Zero,
            platform: header.platform,
            version: header.version,
        };
        let mut locality_seen = false;
        let mut pcr_0_extended = false;
        while reader.offset < bytes.len() {
            let start = reader.offset;
            if log.events.len() == MAX_EVENTS {
                return Err(ParseError { offset: start, problem: ParseProblem::TooManyEvents });
            }
            let event = read_event(&mut reader, &log.banks)?;
            if let Some(locality) = startup_locality(&event)? {
                if locality_seen || pcr_0_extended {
                    return Err(ParseError { offset: start, problem: ParseProblem::LateStartupLocality });
                }
                locality_seen = true;
                log.locality = locality;
            }
            pcr_0_extended |= event.pcr == 0 && event.kind != EventType::NO_ACTION;
            log.events.push(event);
        }
        Ok(log)
    }

    /// The banks the log has a digest for in every record, in the header's order.
    pub fn banks(&self) -> &[Bank] {
        &self.banks
    }

    /// How many records follow the header.
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// The locality the log says the TPM was started from: part of PCR 0, so proven by a replay that compares PCR 0.
    pub fn startup_locality(&self) -> StartupLocality {
        self.locality
    }

    /// What the header says the machine is. A remark: no register holds it.
    pub fn platform_class(&self) -> PlatformClass {
        self.platform
    }

    /// The version the header names. A remark: no register holds it.
    pub fn version(&self) -> SpecVersion {
        self.version
    }
}

/// A log that does not have the shape of one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("event log, offset {offset:#x}: {problem}")]
pub struct ParseError {
    /// Offset of the field that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: ParseProblem,
}

impl ParseError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self.problem {
            ParseProblem::Truncated { .. } | ParseProblem::DigestCount { .. } => {
                "copy the log again, whole and without padding, from /sys/kernel/security/tpm0/binary_bios_measurements"
            }
            ParseProblem::NotAnEventLog { .. } => {
                "give the binary crypto-agile log (it has the text `Spec ID Event03` at offset 0x20), not a text dump \
                 and not the SHA-1 log of a TPM 1.2"
            }
            ParseProblem::LogTooLong { .. }
            | ParseProblem::TooManyEvents
            | ParseProblem::EventTooLong { .. }
            | ParseProblem::HeaderLength { .. } => "give a firmware event log; nothing a firmware writes is so long",
            ParseProblem::UnknownVersion { .. }
            | ParseProblem::UnknownPlatformClass { .. }
            | ParseProblem::UnknownAlgorithm { .. }
            | ParseProblem::AlgorithmCount { .. }
            | ParseProblem::DigestSize { .. }
            | ParseProblem::UintnSize { .. }
            | ParseProblem::UnknownLocality { .. } => {
                "this version reads logs of specification 2.0 with SHA-1, SHA-256, SHA-384 and SHA-512 banks only"
            }
            ParseProblem::RepeatedAlgorithm { .. }
            | ParseProblem::UnannouncedAlgorithm { .. }
            | ParseProblem::HeaderField { .. }
            | ParseProblem::NoSuchRegister { .. }
            | ParseProblem::BadStartupLocality { .. }
            | ParseProblem::LateStartupLocality => {
                "the log was damaged or was not written by firmware that follows the profile; do not believe it"
            }
        }
    }
}

/// What is wrong with a log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseProblem {
    /// The log ends inside a field.
    #[error("{field} needs {needed} bytes, {left} are left")]
    Truncated {
        /// The field.
        field: &'static str,
        /// How long it is.
        needed: usize,
        /// How much of the log is left.
        left: usize,
    },
    /// The first record is not the specification-id event.
    #[error("{field} is not that of a specification-id event, so this is not a crypto-agile event log")]
    NotAnEventLog {
        /// The field that gives it away.
        field: &'static str,
    },
    /// More than [`MAX_LOG_BYTES`].
    #[error("the log has {bytes} bytes, at most {MAX_LOG_BYTES} are read")]
    LogTooLong {
        /// Its length.
        bytes: usize,
    },
    /// More than [`MAX_EVENTS`].
    #[error("more than {MAX_EVENTS} records")]
    TooManyEvents,
    /// More than [`MAX_EVENT_BYTES`] in one record.
    #[error("data of {bytes} bytes in one record, at most {MAX_EVENT_BYTES} are read")]
    EventTooLong {
        /// The length the record states.
        bytes: usize,
    },
    /// The specification-id event states another length than its fields have.
    #[error("a specification-id event of {bytes} bytes, its fields make {wanted}")]
    HeaderLength {
        /// The length the record states.
        bytes: usize,
        /// The length of its fields.
        wanted: usize,
    },
    /// A field of the first record that must be zero is not.
    #[error("{field} of the specification-id record must be zero")]
    HeaderField {
        /// The field.
        field: &'static str,
    },
    /// Neither a client nor a server.
    #[error("platform class {found}, want 0 (client) or 1 (server)")]
    UnknownPlatformClass {
        /// What the log says.
        found: u32,
    },
    /// Not version 2.0.
    #[error("specification version {major}.{minor}, want 2.0")]
    UnknownVersion {
        /// What the log says.
        major: u8,
        /// What the log says.
        minor: u8,
    },
    /// Not 1 or 2.
    #[error("uintnSize {found}, want 1 (32 bits) or 2 (64 bits)")]
    UintnSize {
        /// What the log says.
        found: u8,
    },
    /// No algorithm, or more than there are.
    #[error("{found} digest algorithms, want 1 to 4")]
    AlgorithmCount {
        /// What the log says.
        found: u32,
    },
    /// An algorithm this crate has no bank for.
    #[error("unknown digest algorithm {id:#06x}")]
    UnknownAlgorithm {
        /// Its `TPM_ALG_ID`.
        id: u16,
    },
    /// The same algorithm twice.
    #[error("digest algorithm {bank} twice")]
    RepeatedAlgorithm {
        /// Which.
        bank: Bank,
    },
    /// A size that is not the algorithm's.
    #[error("{bank} digests of {found} bytes, want {}", bank.digest_bytes())]
    DigestSize {
        /// Which algorithm.
        bank: Bank,
        /// What the log says.
        found: u16,
    },
    /// A record with more or fewer digests than the header announces.
    #[error("{found} digests in a record, the header announces {wanted}")]
    DigestCount {
        /// What the record says.
        found: u32,
        /// How many banks the header names.
        wanted: usize,
    },
    /// A record with a digest of a bank the header does not name.
    #[error("a {bank} digest, a bank the header does not announce")]
    UnannouncedAlgorithm {
        /// Which.
        bank: Bank,
    },
    /// A measurement into a register that no TPM has.
    #[error("a measurement into register {found}, the highest is {}", PcrIndex::MAX)]
    NoSuchRegister {
        /// What the record says.
        found: u32,
    },
    /// A startup-locality event of the wrong length or register.
    #[error("startup-locality event for register {pcr} with {bytes} bytes, want register 0 and 17 bytes")]
    BadStartupLocality {
        /// The register it names.
        pcr: u32,
        /// The length of its data.
        bytes: usize,
    },
    /// A locality that `TPM2_Startup` cannot come from.
    #[error("startup locality {found}, want 0, 3 or 4")]
    UnknownLocality {
        /// What the record says.
        found: u8,
    },
    /// A startup-locality event after PCR 0 was extended, or a second one.
    #[error("startup-locality event that is not the first thing said about PCR 0")]
    LateStartupLocality,
}

struct Header {
    banks: Vec<Bank>,
    platform: PlatformClass,
    version: SpecVersion,
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        if reader.u32("pcrIndex of the first record")? != 0 {
            return Err(reader.before(4, ParseProblem::NotAnEventLog { field: "pcrIndex of the first record" }));
        }
        if EventType(reader.u32("eventType of the first record")?) != EventType::NO_ACTION {
            return Err(reader.before(4, ParseProblem::NotAnEventLog { field: "eventType of the first record" }));
        }
        if reader.take(20, "digest of the first record")?.iter().any(|&byte| byte != 0) {
            return Err(reader.before(20, ParseProblem::HeaderField { field: "digest" }));
        }
        let stated = reader.length("eventSize of the first record")?;
        let size_at = reader.offset - 4;
        let start = reader.offset;
        if reader.take(16, "signature")? != SPEC_ID_SIGNATURE {
            return Err(reader.before(16, ParseProblem::NotAnEventLog { field: "signature" }));
        }
        let platform = match reader.u32("platformClass")? {
            0 => PlatformClass::Client,
            1 => PlatformClass::Server,
            found => return Err(reader.before(4, ParseProblem::UnknownPlatformClass { found })),
        };
        let (minor, major) = (reader.u8("specVersionMinor")?, reader.u8("specVersionMajor")?);
        if (major, minor) != (2, 0) {
            return Err(reader.before(2, ParseProblem::UnknownVersion { major, minor }));
        }
        let version = SpecVersion { major, minor, errata: reader.u8("specErrata")? };
        let uintn_size = reader.u8("uintnSize")?;
        if !matches!(uintn_size, 1 | 2) {
            return Err(reader.before(1, ParseProblem::UintnSize { found: uintn_size }));
        }
        let banks = read_banks(reader)?;
        let vendor = usize::from(reader.u8("vendorInfoSize")?);
        reader.take(vendor, "vendorInfo")?;
        let wanted = reader.offset - start;
        if stated != wanted {
            return Err(ParseError { offset: size_at, problem: ParseProblem::HeaderLength { bytes: stated, wanted } });
        }
        Ok(Self { banks, platform, version })
    }
}

fn read_banks(reader: &mut Reader<'_>) -> Result<Vec<Bank>, ParseError> {
    let count = reader.u32("numberOfAlgorithms")?;
    // As many as there are banks: each may be named once.
    if !(1..=4).contains(&count) {
        return Err(reader.before(4, ParseProblem::AlgorithmCount { found: count }));
    }
    let mut banks = Vec::new();
    for _ in 0..count {
        let bank = read_bank(reader)?;
        if banks.contains(&bank) {
            return Err(reader.before(2, ParseProblem::RepeatedAlgorithm { bank }));
        }
        let found = reader.u16("digestSize")?;
        if usize::from(found) != bank.digest_bytes() {
            return Err(reader.before(2, ParseProblem::DigestSize { bank, found }));
        }
        banks.push(bank);
    }
    Ok(banks)
}

fn read_bank(reader: &mut Reader<'_>) -> Result<Bank, ParseError> {
    let id = reader.u16("algorithmId")?;
    Bank::from_algorithm_id(id).ok_or_else(|| reader.before(2, ParseProblem::UnknownAlgorithm { id }))
}

fn read_event<'a>(reader: &mut Reader<'a>, banks: &[Bank]) -> Result<Event<'a>, ParseError> {
    let offset = reader.offset;
    let pcr = reader.u32("pcrIndex")?;
    let kind = EventType(reader.u32("eventType")?);
    if kind != EventType::NO_ACTION && PcrIndex::new(pcr).is_none() {
        return Err(ParseError { offset, problem: ParseProblem::NoSuchRegister { found: pcr } });
    }
    let found = reader.u32("digest count")?;
    if usize::try_from(found) != Ok(banks.len()) {
        return Err(reader.before(4, ParseProblem::DigestCount { found, wanted: banks.len() }));
    }
    let mut digests: Vec<Digest> = Vec::with_capacity(banks.len());
    for _ in banks {
        let bank = read_bank(reader)?;
        if !banks.contains(&bank) {
            return Err(reader.before(2, ParseProblem::UnannouncedAlgorithm { bank }));
        }
        if digests.iter().any(|digest| digest.bank() == bank) {
            return Err(reader.before(2, ParseProblem::RepeatedAlgorithm { bank }));
        }
        let at = reader.offset;
        let needed = bank.digest_bytes();
        let digest = Digest::from_bytes(bank, reader.take(needed, "digest")?);
        digests.push(digest.ok_or(ParseError {
            offset: at,
            problem: ParseProblem::Truncated { field: "digest", needed, left: reader.left() },
        })?);
    }
    let bytes = reader.length("eventSize")?;
    if bytes > MAX_EVENT_BYTES {
        return Err(reader.before(4, ParseProblem::EventTooLong { bytes }));
    }
    let data = reader.take(bytes, "event data")?;
    Ok(Event { offset, pcr, kind, digests, data })
}

/// The locality a record states, if it is a startup-locality event.
fn startup_locality(event: &Event<'_>) -> Result<Option<StartupLocality>, ParseError> {
    let Some(rest) = event.data.strip_prefix(STARTUP_LOCALITY_SIGNATURE.as_slice()) else { return Ok(None) };
    if event.kind != EventType::NO_ACTION {
        return Ok(None);
    }
    let problem = match *rest {
        [number] if event.pcr == 0 => match StartupLocality::from_number(number) {
            Some(locality) => return Ok(Some(locality)),
            None => ParseProblem::UnknownLocality { found: number },
        },
        _ => ParseProblem::BadStartupLocality { pcr: event.pcr, bytes: event.data.len() },
    };
    Err(ParseError { offset: event.offset, problem })
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Never past the end: `take` alone moves it.
    offset: usize,
}

impl<'a> Reader<'a> {
    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.offset)
    }

    fn take(&mut self, needed: usize, field: &'static str) -> Result<&'a [u8], ParseError> {
        let truncated = ParseProblem::Truncated { field, needed, left: self.left() };
        let end = self.offset.checked_add(needed);
        let slice = end.and_then(|end| self.bytes.get(self.offset..end));
        let slice = slice.ok_or(ParseError { offset: self.offset, problem: truncated })?;
        self.offset += needed;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ParseError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, field)?);
        Ok(out)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        self.array::<1>(field).map(u8::from_le_bytes)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, ParseError> {
        self.array(field).map(u16::from_le_bytes)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, ParseError> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// A 32-bit length; `usize::MAX` where it does not fit, which every later limit refuses.
    fn length(&mut self, field: &'static str) -> Result<usize, ParseError> {
        self.u32(field).map(|length| usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// An error about the field of `width` bytes that was just read.
    fn before(&self, width: usize, problem: ParseProblem) -> ParseError {
        ParseError { offset: self.offset.saturating_sub(width), problem }
    }
}
