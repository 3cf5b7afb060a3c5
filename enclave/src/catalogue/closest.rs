//! Which name was meant.

/// Characters of a name that are compared.
const MOST: usize = 64;

/// The name closest to what was asked, if it is close enough to be a slip. Of equally close ones the first by the
/// alphabet.
pub(crate) fn closest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let asked: Vec<char> = asked.to_lowercase().chars().take(MOST).collect();
    let mut best: Option<(usize, &str)> = None;
    let (mut row, mut next, mut lower) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        // No further than the best so far: among ten thousand names nearly all end after two or three letters.
        let limit = best.map_or(2 + asked.len() / 4, |(distance, _)| distance);
        lower.clear();
        lower.extend(name.chars().flat_map(char::to_lowercase).take(MOST));
        let Some(distance) = distance(&asked, &lower, limit, &mut row, &mut next) else { continue };
        if best.is_none_or(|best| (distance, name) < best) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name.to_owned())
}

/// Levenshtein distance, if it is not above `limit`.
fn distance(a: &[char], b: &[char], limit: usize, row: &mut Vec<usize>, next: &mut Vec<usize>) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    row.clear();
    row.extend(0..=b.len());
    for (i, x) in a.iter().enumerate() {
        next.clear();
        next.push(i + 1);
        let mut least = i + 1;
        for ((substitute, delete), y) in row.iter().zip(row.iter().skip(1)).zip(b) {
            let insert = next.last().copied().unwrap_or_default();
            let cost = (substitute + usize::from(x != y)).min(delete + 1).min(insert + 1);
            least = least.min(cost);
            next.push(cost);
        }
        if least > limit {
            return None;
        }
        std::mem::swap(row, next);
    }
    row.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_and_another_word_is_not() {
        let names = ["everything", "filesystem", "memory", "Memorz"];
        for (asked, meant) in [
            ("evrything", Some("everything")),
            ("FILESYSTEN", Some("filesystem")),
            ("memory", Some("memory")),
            ("memorx", Some("Memorz")),
            ("weather", None),
            ("", None),
        ] {
            assert_eq!(closest(asked, names.into_iter()).as_deref(), meant, "{asked}");
            assert_eq!(closest(asked, names.into_iter().rev()).as_deref(), meant, "{asked}, in another order");
        }
    }

    #[test]
    fn a_distance_is_what_it_costs_to_make_one_of_the_other() {
        let of = |a: &str, b: &str, limit| {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            distance(&a, &b, limit, &mut Vec::new(), &mut Vec::new())
        };
        for (a, b, expected) in
            [("", "", 0), ("abc", "abc", 0), ("kitten", "sitting", 3), ("abc", "", 3), ("ab", "ba", 2)]
        {
            assert_eq!(of(a, b, 9), Some(expected), "{a} {b}");
            assert_eq!(of(b, a, expected), Some(expected), "{b} {a}");
            assert!(expected == 0 || of(a, b, expected - 1).is_none());
        }
    }
}
