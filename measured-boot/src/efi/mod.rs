//! What UEFI writes: variables, signature lists, device paths (UEFI Specification, sections 3, 10, 32).

pub(crate) mod device_path;
pub(crate) mod fields;
pub(crate) mod guid;
pub(crate) mod signature_list;
pub(crate) mod variable;

pub use signature_list::{MAX_DATABASE_BYTES, SignatureListError, SignatureListProblem, SignatureLists};
pub use variable::EfiVariable;
