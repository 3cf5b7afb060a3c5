//! One ranking of two (reciprocal rank fusion: Cormack, Clarke, Büttcher, SIGIR 2009).

use std::collections::BTreeMap;

/// The constant of the paper, and of this ecosystem's contract.
pub const FUSION_K: u32 = 60;

/// Where something stands in the fused ranking, and in the two that it was made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fused {
    /// Which document, by its position in the index.
    pub position: usize,
    /// Sum of `1 / (k + rank)`, ranks from 1.
    pub score: f64,
    /// Its score among the first.
    pub text: Option<f32>,
    /// Its score among the second.
    pub semantic: Option<f32>,
}

/// Makes one ranking of two, each best first. What stands in one alone keeps its share of that one. Positions decide
/// between equals.
pub fn fused(text: &[(usize, f32)], semantic: &[(usize, f32)]) -> Vec<Fused> {
    let mut all: BTreeMap<usize, Fused> = BTreeMap::new();
    let mut add = |ranking: &[(usize, f32)], is_text: bool| {
        for (rank, (position, score)) in (1_u32..).zip(ranking) {
            let none = Fused { position: *position, score: 0.0, text: None, semantic: None };
            let one = all.entry(*position).or_insert(none);
            one.score += 1.0 / f64::from(FUSION_K + rank);
            *(if is_text { &mut one.text } else { &mut one.semantic }) = Some(*score);
        }
    };
    add(text, true);
    add(semantic, false);
    let mut all: Vec<Fused> = all.into_values().collect();
    // Stable, and the map gave them by position.
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_rankings_name_comes_before_what_one_of_them_puts_first() {
        let fused = fused(&[(7, 9.0), (3, 5.0)], &[(5, 0.9), (3, 0.8)]);
        let order: Vec<usize> = fused.iter().map(|one| one.position).collect();
        assert_eq!(order, [3, 5, 7], "and of equals the one of the lower position");
        assert_eq!(fused[0].score, 2.0 / 62.0);
        assert_eq!((fused[0].text, fused[0].semantic), (Some(5.0), Some(0.8)));
        assert_eq!((fused[2].text, fused[2].semantic), (Some(9.0), None));
    }
}
