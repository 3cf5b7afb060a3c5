//! Why evidence was refused.

/// Placeholder.
pub struct Explanation;
