//! TPMS_ATTEST of a quote: TPM 2.0 Library Specification part 2, sections 10.12.8 and 10.12.12. Read only after its
//! signature was checked; [`super::SignedQuote`] is the only caller.

use super::reader::{MarshalError, MarshalProblem, Reader};

/// TPM_GENERATED_VALUE: a restricted key signs nothing else that begins like this.
const GENERATED: u32 = 0xFF54_4347;
/// TPM_ST_ATTEST_QUOTE.
const QUOTE: u16 = 0x8018;
const SHA256: u16 = 0x000B;
/// Longest name and nonce: algorithm and SHA-512 digest.
const LONGEST: usize = 66;
/// Banks that one quote may select from, at most: TPM_ALG_IDs with a bank.
const MOST_BANKS: u32 = 16;

/// Counters of the TPM when it signed. For keys outside the endorsement and platform hierarchies a TPM adds a fixed
/// secret number to `reset_count`, `restart_count` and the firmware version, so only their changes mean something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClockInfo {
    /// Milliseconds that the TPM was powered, since its owner was last cleared.
    pub clock: u64,
    /// TPM resets.
    pub reset_count: u32,
    /// Restarts and resumes since the last reset.
    pub restart_count: u32,
    /// No value of `clock` at least as large was ever reported before.
    pub safe: bool,
}

/// What a quote says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Attest {
    pub(super) qualified_signer: Vec<u8>,
    pub(super) extra_data: Vec<u8>,
    pub(super) clock: ClockInfo,
    pub(super) firmware_version: u64,
    /// Registers of the SHA-256 bank, ascending.
    pub(super) selection: Vec<u8>,
    pub(super) pcr_digest: Vec<u8>,
}

/// What the signer of a quote said that is no quote we take.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// Not marshalled as it should be.
    #[error("TPMS_ATTEST: {0}")]
    Marshal(#[from] MarshalError),
    /// Not made by a TPM.
    #[error("TPMS_ATTEST.magic: {found:#010x}, want 0xff544347: the key signed it, but no TPM says so")]
    Magic {
        /// As found.
        found: u32,
    },
    /// A certificate of a key, of a clock, of an audit session: something else that TPMs attest.
    #[error("TPMS_ATTEST.type: {found:#06x}, want 0x8018, a quote")]
    Type {
        /// As found.
        found: u16,
    },
    /// Registers of other banks, or of several, or of none.
    #[error("TPMS_QUOTE_INFO.pcrSelect: selects from {}, want one selection, of the SHA-256 bank", banks(found))]
    Banks {
        /// TPM_ALG_ID of each selection.
        found: Vec<u16>,
    },
    /// Selects no register at all.
    #[error("TPMS_QUOTE_INFO.pcrSelect: no register is selected")]
    NothingSelected,
}

impl Attest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, AttestError> {
        let mut reader = Reader::new(bytes);
        let magic = reader.u32("magic")?;
        if magic != GENERATED {
            return Err(AttestError::Magic { found: magic });
        }
        let kind = reader.u16("type")?;
        if kind != QUOTE {
            return Err(AttestError::Type { found: kind });
        }
        let qualified_signer = reader.sized("qualifiedSigner", LONGEST)?.to_vec();
        let extra_data = reader.sized("extraData", LONGEST)?.to_vec();
        let clock = ClockInfo {
            clock: reader.u64("clockInfo.clock")?,
            reset_count: reader.u32("clockInfo.resetCount")?,
            restart_count: reader.u32("clockInfo.restartCount")?,
            safe: yes_or_no(&mut reader)?,
        };
        let firmware_version = reader.u64("firmwareVersion")?;
        let selection = selection(&mut reader)?;
        let pcr_digest = reader.sized("pcrDigest", 64)?.to_vec();
        reader.finish("TPMS_ATTEST")?;
        Ok(Self { qualified_signer, extra_data, clock, firmware_version, selection, pcr_digest })
    }
}

fn yes_or_no(reader: &mut Reader<'_>) -> Result<bool, MarshalError> {
    let before = *reader;
    match reader.u8("clockInfo.safe")? {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(before.wrong("clockInfo.safe", MarshalProblem::Value { found: found.into(), wanted: "0 or 1" })),
    }
}

/// TPML_PCR_SELECTION with one TPMS_PCR_SELECTION: SHA-256, three octets, register 0 in the lowest bit of the first.
fn selection(reader: &mut Reader<'_>) -> Result<Vec<u8>, AttestError> {
    let before = *reader;
    let count = reader.u32("pcrSelect.count")?;
    if count > MOST_BANKS {
        let problem = MarshalProblem::Value { found: count.into(), wanted: "1" };
        return Err(before.wrong("pcrSelect.count", problem).into());
    }
    let (mut banks, mut octets) = (Vec::new(), [0; 3]);
    for _ in 0..count {
        banks.push(reader.u16("pcrSelect.hash")?);
        let before = *reader;
        let length = reader.u8("pcrSelect.sizeofSelect")?;
        if length != 3 {
            let problem = MarshalProblem::Value { found: length.into(), wanted: "3, for 24 registers" };
            return Err(before.wrong("pcrSelect.sizeofSelect", problem).into());
        }
        octets.copy_from_slice(reader.take("pcrSelect.pcrSelect", 3)?);
    }
    if banks != [SHA256] {
        return Err(AttestError::Banks { found: banks });
    }
    let [first, second, third] = octets;
    let bits = u32::from_le_bytes([first, second, third, 0]);
    let selected: Vec<u8> = (0..24).filter(|register| bits >> register & 1 == 1).collect();
    if selected.is_empty() { Err(AttestError::NothingSelected) } else { Ok(selected) }
}

fn banks(found: &[u16]) -> String {
    if found.is_empty() {
        return "no bank".to_owned();
    }
    let name = |id: &u16| match measured_boot::Bank::from_algorithm_id(*id) {
        Some(bank) => bank.to_string(),
        None => format!("{id:#06x}"),
    };
    found.iter().map(name).collect::<Vec<_>>().join(", ")
}
