//! Texts as vectors: what is near means alike.

use std::{collections::HashMap, fmt, sync::Arc};

use sha2::{Digest as _, Sha256};

/// Longest vector: four times what today's models give.
pub const MAX_DIMENSIONS: usize = 16_384;

/// Makes vectors of texts. The only part of a search that may be somewhere else.
pub trait Embedder: Send + Sync {
    /// Why it did not.
    type Error: std::error::Error + Send;

    /// Numbers in each vector.
    fn dimensions(&self) -> usize;

    /// A vector for each text, in their order.
    fn embed(&self, texts: &[String]) -> impl Future<Output = Result<Vec<Vec<f32>>, Self::Error>> + Send;
}

/// Why a vector is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum VectorError {
    /// It has another number of numbers.
    Length {
        /// How many.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// One of its numbers is none, or all are zero.
    NoDirection,
}

impl fmt::Display for VectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found, expected } => write!(f, "a vector has {found} numbers, {expected} are configured"),
            Self::NoDirection => {
                f.write_str("a vector has no direction: a number in it is not finite, or all are zero")
            }
        }
    }
}

impl std::error::Error for VectorError {}

/// Vectors of the texts of a catalogue, each made once and kept by the SHA-256 of its text.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    dimensions: usize,
    known: HashMap<[u8; 32], Arc<[f32]>>,
    /// Of each document, by its position; `None` where there is none yet.
    placed: Vec<Option<Arc<[f32]>>>,
    digests: Vec<[u8; 32]>,
}

impl Vectors {
    /// None yet, of this many numbers each.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, ..Self::default() }
    }

    /// The texts are now these, in the order of the index. Vectors of texts that stayed are kept, others forgotten.
    /// Answers with the texts that have no vector yet, each once.
    pub fn place(&mut self, texts: &[String]) -> Vec<String> {
        self.digests = texts.iter().map(|text| digest(text)).collect();
        self.placed = self.digests.iter().map(|digest| self.known.get(digest).cloned()).collect();
        let mut missing = HashMap::new();
        for ((text, digest), placed) in texts.iter().zip(&self.digests).zip(&self.placed) {
            if placed.is_none() {
                missing.entry(*digest).or_insert_with(|| text.clone());
            }
        }
        let wanted: std::collections::HashSet<&[u8; 32]> = self.digests.iter().collect();
        self.known.retain(|digest, _| wanted.contains(digest));
        let mut missing: Vec<String> = missing.into_values().collect();
        missing.sort_unstable();
        missing
    }

    /// The vector of a text.
    ///
    /// # Errors
    /// [`VectorError`]; nothing is kept then.
    pub fn keep(&mut self, text: &str, vector: &[f32]) -> Result<(), VectorError> {
        let vector: Arc<[f32]> = unit(vector, self.dimensions)?.into();
        let digest = digest(text);
        for (_, placed) in self.digests.iter().zip(&mut self.placed).filter(|(other, _)| **other == digest) {
            *placed = Some(Arc::clone(&vector));
        }
        self.known.insert(digest, vector);
        Ok(())
    }

    /// How many documents have a vector.
    pub fn placed(&self) -> usize {
        self.placed.iter().filter(|placed| placed.is_some()).count()
    }

    /// The documents whose texts are nearest, best first, with the cosine of the angle; at most `limit`, of those that
    /// `fits` lets through.
    ///
    /// # Errors
    /// [`VectorError`] of the query's own vector.
    pub fn nearest(
        &self,
        query: &[f32],
        limit: usize,
        fits: impl Fn(usize) -> bool,
    ) -> Result<Vec<(usize, f32)>, VectorError> {
        let query = unit(query, self.dimensions)?;
        let placed = self.placed.iter().enumerate();
        let placed = placed.filter_map(|(position, vector)| Some((position, vector.as_ref()?)));
        let mut near: Vec<(usize, f32)> = placed
            .filter(|(position, _)| fits(*position))
            .map(|(position, vector)| (position, dot(&query, vector)))
            .collect();
        near.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        near.truncate(limit);
        Ok(near)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The same direction at length 1.
fn unit(vector: &[f32], dimensions: usize) -> Result<Vec<f32>, VectorError> {
    if vector.len() != dimensions {
        return Err(VectorError::Length { found: vector.len(), expected: dimensions });
    }
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if !length.is_normal() {
        return Err(VectorError::NoDirection);
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
    Ok(vector.iter().map(|x| (f64::from(*x) / length) as f32).collect())
}

/// Eight sums beside each other, which compilers turn into one instruction each.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a.1.iter().zip(b.1).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_nearest_come_first_and_equals_by_position() {
        let mut vectors = Vectors::new(9);
        assert_eq!(vectors.place(&texts(&["a", "b", "c", "b"])), ["a", "b", "c"]);
        let axis = |at: usize, more: f32| {
            let mut vector = vec![0.0; 9];
            vector[at] = 3.0;
            vector[8] = more;
            vector
        };
        vectors.keep("a", &axis(0, 0.0)).unwrap();
        vectors.keep("b", &axis(0, 1.0)).unwrap();
        assert_eq!(vectors.placed(), 3, "c has none yet");
        let near = vectors.nearest(&axis(0, 9.0), 10, |_| true).unwrap();
        assert_eq!(near.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1, 3, 0]);
        assert!((vectors.nearest(&axis(0, 0.0), 1, |_| true).unwrap()[0].1 - 1.0).abs() < 1e-6);
        assert_eq!(vectors.nearest(&axis(0, 9.0), 2, |position| position != 1).unwrap()[0].0, 3);
    }

    #[test]
    fn a_text_that_stays_keeps_its_vector_and_one_that_goes_is_forgotten() {
        let mut vectors = Vectors::new(2);
        vectors.place(&texts(&["stays", "goes"]));
        vectors.keep("stays", &[1.0, 0.0]).unwrap();
        vectors.keep("goes", &[0.0, 1.0]).unwrap();
        assert_eq!(vectors.place(&texts(&["new", "stays"])), ["new"]);
        assert_eq!(vectors.nearest(&[1.0, 0.0], 9, |_| true).unwrap(), [(1, 1.0)]);
        assert_eq!(vectors.place(&texts(&["goes"])), ["goes"]);
    }

    #[test]
    fn a_vector_that_is_none_is_refused() {
        let mut vectors = Vectors::new(2);
        vectors.place(&texts(&["a"]));
        assert_eq!(vectors.keep("a", &[1.0]), Err(VectorError::Length { found: 1, expected: 2 }));
        for wrong in [[0.0, 0.0], [f32::NAN, 1.0], [f32::INFINITY, 1.0]] {
            assert_eq!(vectors.keep("a", &wrong), Err(VectorError::NoDirection), "{wrong:?}");
            assert_eq!(vectors.nearest(&wrong, 1, |_| true), Err(VectorError::NoDirection), "{wrong:?}");
        }
        assert_eq!(vectors.placed(), 0);
    }
}
