//! Why evidence was refused.

/// Placeholder.
pub struct Diagnosis;
