//! Finds servers by what they do. Pure: texts in, positions and scores out; it fetches nothing and reads no clock.
//!
//! [`Index`] ranks by words (BM25 over stemmed fields, the parts of names beside them), built once for a catalogue and
//! replaced together with it. [`Vectors`] rank by meaning, where an [`Embedder`] makes vectors of texts; [`fused`] makes
//! one ranking of both. [`Names`] say which name was meant by one that is none.
//!
//! A query is a stranger's text. It has no syntax: words are taken from it, at most [`MAX_WORDS`] of the first
//! [`MAX_QUERY_BYTES`] bytes, and whatever else it holds is nothing.
//!
//! **The same catalogue and query give the same order**: by score, then name, then id.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test that panics has failed"
    )
)]

mod document;
mod fusion;
mod index;
mod names;
#[cfg(test)]
mod reference;
mod scores;
mod vectors;
mod words;

pub use document::{Document, MAX_TEXT_BYTES, ToolText};
pub use fusion::{FUSION_K, Fused, fused};
pub use index::{Found, Hit, Index, IndexError, Query};
pub use names::{MAX_NAME_CHARS, Names, closest};
pub use vectors::{Embedder, MAX_DIMENSIONS, VectorError, Vectors};
pub use words::{MAX_QUERY_BYTES, MAX_WORDS};
