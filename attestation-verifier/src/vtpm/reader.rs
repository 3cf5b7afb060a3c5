//! TPM 2.0 marshalling (Library Specification part 2, section 4): big-endian numbers, byte strings behind a u16 length.

/// Longest byte string of the structures read here: an RSA-4096 number. Names, nonces and digests are far shorter.
const LONGEST: usize = 512;

/// Reads one structure from its first byte to its last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// Where reading stopped.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field}, byte {offset}: {problem}")]
pub struct MarshalError {
    /// The field, by the specification's name.
    pub field: &'static str,
    /// Offset of the first byte that cannot be right.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: MarshalProblem,
}

/// What is wrong with a marshalled structure.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MarshalProblem {
    /// It ends inside a field.
    #[error("{wanted} bytes wanted, {left} left")]
    Ended {
        /// Length of the field.
        wanted: usize,
        /// What is left.
        left: usize,
    },
    /// A byte string longer than its type allows.
    #[error("a length of {found}, at most {most}")]
    TooLong {
        /// As written.
        found: usize,
        /// The most.
        most: usize,
    },
    /// A value that the field cannot have.
    #[error("{found:#x}, want {wanted}")]
    Value {
        /// As written.
        found: u64,
        /// What may stand there.
        wanted: &'static str,
    },
    /// Bytes behind the structure.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(super) fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], MarshalError> {
        let left = self.bytes.get(self.offset..).unwrap_or_default();
        match left.get(..length) {
            Some(taken) => {
                self.offset += length;
                Ok(taken)
            }
            None => Err(self.wrong(field, MarshalProblem::Ended { wanted: length, left: left.len() })),
        }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], MarshalError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, MarshalError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, MarshalError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, MarshalError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, MarshalError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// A `TPM2B` of at most `most` bytes.
    pub(super) fn sized(&mut self, field: &'static str, most: usize) -> Result<&'a [u8], MarshalError> {
        let before = *self;
        let found = usize::from(self.u16(field)?);
        let most = most.min(LONGEST);
        if found > most {
            return Err(before.wrong(field, MarshalProblem::TooLong { found, most }));
        }
        self.take(field, found)
    }

    /// A `TPM2B` of an unsigned number of `N` bytes; a TPM may leave out zeros in front.
    pub(super) fn number<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], MarshalError> {
        let digits = self.sized(field, N)?;
        let mut number = [0; N];
        if let Some(end) = number.get_mut(N - digits.len()..) {
            end.copy_from_slice(digits);
        }
        Ok(number)
    }

    /// An error about a field that begins here.
    pub(super) fn wrong(&self, field: &'static str, problem: MarshalProblem) -> MarshalError {
        MarshalError { field, offset: self.offset, problem }
    }

    /// Nothing may be left.
    pub(super) fn finish(self, structure: &'static str) -> Result<(), MarshalError> {
        match self.bytes.len() - self.offset {
            0 => Ok(()),
            more => Err(self.wrong(structure, MarshalProblem::Trailing(more))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_end_where_the_bytes_do_and_nothing_is_left_over() {
        let mut reader = Reader::new(&[0, 3, 1, 2, 3, 9]);
        assert_eq!(reader.sized("x", 3), Ok(&[1, 2, 3][..]));
        assert!(reader.finish("x").is_err_and(|error| error.problem == MarshalProblem::Trailing(1)));
        assert_eq!(reader.u8("y"), Ok(9));
        assert!(reader.finish("x").is_ok());
        let one_past = Reader::new(&[0, 4, 1, 2, 3, 9]).sized("x", 3).unwrap_err();
        assert_eq!((one_past.offset, one_past.problem), (0, MarshalProblem::TooLong { found: 4, most: 3 }));
        let ended = Reader::new(&[0, 4, 1, 2]).sized("x", 9).unwrap_err();
        assert_eq!((ended.offset, ended.problem), (2, MarshalProblem::Ended { wanted: 4, left: 2 }));
    }

    #[test]
    fn a_number_without_its_leading_zeros_is_the_same_number() {
        assert_eq!(Reader::new(&[0, 1, 7]).number::<4>("r"), Ok([0, 0, 0, 7]));
        assert!(Reader::new(&[0, 5, 0, 0, 0, 0, 7]).number::<4>("r").is_err());
    }
}
