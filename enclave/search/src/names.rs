//! Which of many names was meant.

/// Characters of a name that are compared, and of what is asked; what lies behind them is not looked at. One for each bit
/// of a word of the machine.
pub const MAX_NAME_CHARS: usize = 64;

/// Names by the alphabet, ready to be compared with slips of them. Built once for a catalogue and replaced together with
/// it; 120 bytes for a name of twenty letters.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<Name>,
    /// Lower case, one name after the other, by their places in the alphabet.
    letters: Vec<u32>,
    /// All letters that there are, ascending.
    alphabet: Vec<char>,
}

#[derive(Debug)]
struct Name {
    /// Among those that the whole was made of.
    position: usize,
    /// Where its letters are.
    begins: usize,
    ends: usize,
    bag: Bag,
}

impl Names {
    /// All of these. Of the same ones the first counts.
    pub fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<(&str, usize)> = names.enumerate().map(|(position, name)| (name, position)).collect();
        sorted.sort_unstable();
        sorted.dedup_by_key(|(name, _)| *name);
        let (mut names, mut written) = (Vec::with_capacity(sorted.len()), Vec::new());
        for (name, position) in sorted {
            let begins = written.len();
            written.extend(letters(name));
            let bag = Bag::of(written.iter().skip(begins));
            names.push(Name { position, begins, ends: written.len(), bag });
        }
        let mut alphabet = written.clone();
        alphabet.sort_unstable();
        alphabet.dedup();
        alphabet.shrink_to_fit();
        let place = |letter: &char| alphabet.binary_search(letter).ok().and_then(|place| u32::try_from(place).ok());
        let letters = written.iter().filter_map(place).collect();
        Self { names, letters, alphabet }
    }

    /// The position of the name closest to what was asked, if it is close enough to be a slip: two letters and one more for
    /// every four are added, left out or put in the place of others at most. Of equally close ones the first by the
    /// alphabet.
    pub fn closest(&self, asked: &str) -> Option<usize> {
        let asked = Asked::of(asked);
        // By what their letters alone say, so that the best comes early and most of the others need no comparison.
        let mut near: Vec<Vec<usize>> = vec![Vec::new(); asked.most() + 1];
        for (at, name) in self.names.iter().enumerate() {
            if let Some(near) = near.get_mut(asked.least_distance(name)) {
                near.push(at);
            }
        }
        let mut rows = vec![0; self.alphabet.len()];
        for (letter, of_letter) in &asked.rows {
            if let Some(rows) = self.alphabet.binary_search(letter).ok().and_then(|place| rows.get_mut(place)) {
                *rows = *of_letter;
            }
        }
        let rows_of = |letter: &u32| rows.get(*letter as usize).copied().unwrap_or_default();
        let mut best: Option<(usize, usize)> = None;
        for (least, near) in near.iter().enumerate() {
            if best.is_some_and(|(distance, _)| least > distance) {
                break;
            }
            for at in near {
                // What comes later by the alphabet has to be closer.
                let most = match best {
                    None => asked.most(),
                    Some((distance, first)) if *at < first => distance,
                    Some((0, _)) => continue,
                    Some((distance, _)) => distance - 1,
                };
                let letters = self.names.get(*at).and_then(|name| self.letters.get(name.begins..name.ends));
                if let Some(distance) = letters.and_then(|name| asked.distance(name.iter().map(rows_of), most)) {
                    best = Some((distance, *at));
                }
            }
        }
        self.names.get(best?.1).map(|name| name.position)
    }
}

/// The same among a few names that nothing was made of beforehand.
pub fn closest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let asked = Asked::of(asked);
    let mut best: Option<(usize, &str)> = None;
    let mut rows = Vec::with_capacity(MAX_NAME_CHARS);
    for name in names {
        rows.clear();
        rows.extend(letters(name).map(|letter| asked.rows_of(letter)));
        let most = best.map_or(asked.most(), |(distance, _)| distance);
        let Some(distance) = asked.distance(rows.iter().copied(), most) else { continue };
        if best.is_none_or(|best| (distance, name) < best) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// What is compared of a text, whatever its length.
fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).take(MAX_NAME_CHARS)
}

/// Which letters something has, of 64 kinds, wherever they stand.
#[derive(Clone, Copy, Debug, Default)]
struct Bag {
    once: u64,
    twice: u64,
}

impl Bag {
    fn of<'a>(letters: impl Iterator<Item = &'a char>) -> Self {
        let mut bag = Self::default();
        for letter in letters {
            // Small letters and digits, hyphens and dots are kinds of their own. Others share them, which makes names look
            // more alike, never less.
            let code = u32::from(*letter);
            let kind = 1_u64 << if (32..64).contains(&code) { code } else { code % 32 };
            bag.twice |= bag.once & kind;
            bag.once |= kind;
        }
        bag
    }

    /// Letters of this one that the other lacks, at least: each takes a change to come or go.
    fn beyond(self, other: Self) -> usize {
        ((self.once & !other.once).count_ones() + (self.twice & !other.twice).count_ones()) as usize
    }
}

/// What was asked, as a column of bits: one row of the table of distances for each of its letters.
struct Asked {
    length: usize,
    bag: Bag,
    /// The rows in which each letter stands, by the letter.
    rows: Vec<(char, u64)>,
}

impl Asked {
    fn of(text: &str) -> Self {
        let letters: Vec<char> = letters(text).collect();
        let mut rows: Vec<(char, u64)> = letters.iter().enumerate().map(|(row, letter)| (*letter, 1 << row)).collect();
        rows.sort_unstable();
        rows.dedup_by(|(letter, rows), (first, all)| {
            let same = letter == first;
            *all |= if same { *rows } else { 0 };
            same
        });
        Self { length: letters.len(), bag: Bag::of(letters.iter()), rows }
    }

    /// The distance beyond which nothing is a slip of the other.
    fn most(&self) -> usize {
        2 + self.length / 4
    }

    fn rows_of(&self, letter: char) -> u64 {
        let place = self.rows.binary_search_by_key(&letter, |(letter, _)| *letter);
        place.ok().and_then(|place| self.rows.get(place)).map_or(0, |(_, rows)| *rows)
    }

    /// What the distance is not below, by the letters alone.
    fn least_distance(&self, name: &Name) -> usize {
        let longer = self.length.abs_diff(name.ends - name.begins);
        longer.max(self.bag.beyond(name.bag)).max(name.bag.beyond(self.bag))
    }

    /// Levenshtein distance from a name, given the rows of each of its letters, if it is not above `most`: all rows of a
    /// column at once (Myers, J. ACM 46(3), 1999; in the form for whole words of Hyyrö, 2003).
    fn distance(&self, name: impl ExactSizeIterator<Item = u64>, most: usize) -> Option<usize> {
        if self.length.abs_diff(name.len()) > most {
            return None;
        }
        let Some(last) = self.length.checked_sub(1) else { return Some(name.len()) };
        // Where a cell is one above, or one below, the one before it in its column.
        let (mut up, mut down) = (u64::MAX, 0_u64);
        let mut distance = self.length;
        let left = (0..name.len()).rev();
        for (rows, left) in name.zip(left) {
            let same = ((rows & up).wrapping_add(up) ^ up) | rows | down;
            let (right_up, right_down) = (down | !(same | up), same & up);
            distance += (right_up >> last & 1) as usize;
            distance -= (right_down >> last & 1) as usize;
            // Every letter that is left takes away one at most.
            if distance > most + left {
                return None;
            }
            let right_up = right_up << 1 | 1;
            up = right_down << 1 | !(same | right_up);
            down = same & right_up;
        }
        (distance <= most).then_some(distance)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table of distances, cell by cell, as the textbook has it.
    fn plain_distance(a: &[char], b: &[char]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.iter().enumerate() {
                let cost = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], cost);
            }
        }
        row[b.len()]
    }

    fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
        let asked = Asked::of(a);
        asked.distance(letters(b).map(|letter| asked.rows_of(letter)).collect::<Vec<_>>().into_iter(), most)
    }

    /// Every name held against what was asked.
    fn plain_closest<'a>(asked: &str, names: &[&'a str]) -> Option<&'a str> {
        let asked: Vec<char> = letters(asked).collect();
        let all = names.iter().map(|name| (plain_distance(&asked, &letters(name).collect::<Vec<_>>()), *name));
        all.filter(|(distance, _)| *distance <= 2 + asked.len() / 4).min().map(|(_, name)| name)
    }

    /// All three ways say the same.
    fn same_answer(asked: &str, names: &[&str]) -> bool {
        let expected = plain_closest(asked, names);
        let found = Names::of(names.iter().copied()).closest(asked);
        assert_eq!(found.map(|at| names[at]), expected, "{asked:?} among {names:?}");
        assert!(found.is_none_or(|at| names.iter().position(|name| *name == names[at]) == Some(at)), "the first");
        assert_eq!(closest(asked, names.iter().copied()), expected, "{asked:?} among {names:?}, unprepared");
        expected.is_some()
    }

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
            assert_eq!(closest(asked, names.into_iter()), meant, "{asked}");
            assert_eq!(closest(asked, names.into_iter().rev()), meant, "{asked}, in another order");
            assert_eq!(Names::of(names.into_iter()).closest(asked).map(|at| names[at]), meant, "{asked}");
            same_answer(asked, &names);
        }
        assert_eq!(Names::of(std::iter::empty()).closest("x"), None);
        assert_eq!(Names::of(["ab", "abc"].into_iter()).closest(""), Some(0), "two letters are left out");
    }

    #[test]
    fn a_distance_is_what_it_costs_to_make_one_of_the_other() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("abc", "", 3),
            ("ab", "ba", 2),
            ("é日本", "日é", 2),
        ] {
            assert_eq!(distance(a, b, 9), Some(expected), "{a} {b}");
            assert_eq!(distance(b, a, expected), Some(expected), "{b} {a}");
            assert!(expected == 0 || distance(a, b, expected - 1).is_none());
        }
    }

    #[test]
    fn nothing_behind_the_limit_is_looked_at() {
        let name = "n".repeat(MAX_NAME_CHARS - 1) + "m";
        for length in [MAX_NAME_CHARS, MAX_NAME_CHARS + 1, 1 << 20] {
            let asked = name.clone() + &"x".repeat(length - MAX_NAME_CHARS);
            assert_eq!(Asked::of(&asked).length, MAX_NAME_CHARS);
            assert_eq!(distance(&asked, &name, 0), Some(0), "{length}");
            assert!(same_answer(&asked, &["other", &name]) && same_answer(&name, &[&asked]));
        }
        // One character before the limit is one more difference.
        let asked = name.replacen('n', "", 1) + "x";
        assert_eq!(distance(&asked, &name, 9), Some(2));
        // Letters that become several in lower case count as those.
        assert_eq!(Asked::of(&"İ".repeat(MAX_NAME_CHARS)).length, MAX_NAME_CHARS);
    }

    /// What names are made of: as people name servers, then what misleads an index by letters.
    const PARTS: [&str; 24] = [
        "mcp", "server", "message", "query", "file", "system", "data", "git", "hub", "-", "/", "@", "a", "aa", "ab",
        "ba", "0", "12", "é", "Σ", "İ", "日", "P", "p",
    ];

    struct Sequence(u64);

    impl Sequence {
        fn below(&mut self, below: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % below
        }

        fn name(&mut self, parts: usize) -> String {
            (0..self.below(parts + 1)).map(|_| PARTS[self.below(PARTS.len())]).collect()
        }

        /// A name as somebody types it who has other things to do: letters left out, doubled, swapped or wrong.
        fn slip(&mut self, name: &str) -> String {
            let mut letters: Vec<char> = name.chars().collect();
            for _ in 0..self.below(6) {
                let at = self.below(letters.len() + 1);
                match self.below(5) {
                    0 if at < letters.len() => drop(letters.remove(at)),
                    1 if at + 1 < letters.len() => letters.swap(at, at + 1),
                    2 if at < letters.len() => letters[at] = PARTS[self.below(PARTS.len())].chars().next().unwrap(),
                    3 if at < letters.len() => letters.insert(at, letters[at]),
                    4 => letters.reverse(),
                    _ => letters.insert(at, 'x'),
                }
            }
            letters.into_iter().collect()
        }
    }

    #[test]
    fn thousands_of_slips_are_answered_as_if_every_name_were_held_against_them() {
        let mut sequence = Sequence(11);
        let (mut answered, mut unanswered) = (0, 0);
        for parts in [1, 2, 3, 4, 6, 9, 16] {
            for count in [1, 2, 9, 40] {
                let names: Vec<String> = (0..count).map(|_| sequence.name(parts)).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                for n in 0..80 {
                    let name = if n % 4 == 0 { sequence.name(parts) } else { names[sequence.below(count)].to_owned() };
                    let asked = sequence.slip(&name);
                    *(if same_answer(&asked, &names) { &mut answered } else { &mut unanswered }) += 1;
                }
            }
        }
        assert!(answered > 1000 && unanswered > 100, "{answered} answered, {unanswered} not");
    }

    #[test]
    fn names_of_the_same_letters_are_told_apart() {
        let mut sequence = Sequence(5);
        for length in [3, 17, 63, 64, 65] {
            let letters: Vec<char> = "abcdefghijklmnopqrstuvwxyz0123456789-".chars().cycle().take(length).collect();
            let mut shuffled = || {
                let mut letters = letters.clone();
                for _ in 0..sequence.below(5) {
                    letters.swap(sequence.below(length), sequence.below(length));
                }
                letters.into_iter().collect::<String>()
            };
            let names: Vec<String> = (0..20).map(|_| shuffled()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let answered = (0..30).filter(|_| same_answer(&shuffled(), &names)).count();
            assert!(answered > 10, "{length}: {answered}");
        }
    }

    proptest! {
        #[test]
        fn every_distance_is_that_of_the_table(a in "[ab日]{0,70}", b in "[ab日]{0,70}", most in 0_usize..70) {
            let (a_letters, b_letters): (Vec<char>, Vec<char>) = (letters(&a).collect(), letters(&b).collect());
            let expected = plain_distance(&a_letters, &b_letters);
            prop_assert_eq!(distance(&a, &b, most), Some(expected).filter(|it| *it <= most));
            let names = Names::of([b.as_str()].into_iter());
            prop_assert!(Asked::of(&a).least_distance(&names.names[0]) <= expected);
        }

        #[test]
        fn any_texts_are_names(asked in ".{0,80}", names in prop::collection::vec(".{0,12}", 0..12)) {
            same_answer(&asked, &names.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
