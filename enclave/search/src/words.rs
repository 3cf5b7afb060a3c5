//! From text to words: the same for documents and for queries.

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, TextAnalyzer,
};

/// Bytes of a query that are looked at: a long paragraph.
pub const MAX_QUERY_BYTES: usize = 1000;

/// Different words of a query that are looked for, the first ones. Each costs a look into seven fields.
pub const MAX_WORDS: usize = 16;

/// Longest word that is kept, in bytes.
const MAX_WORD_BYTES: usize = 64;

/// Words that stand in most sentences and say nothing about servers. A query of nothing else is looked for as it is.
const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "by",
    "can",
    "do",
    "does",
    "for",
    "from",
    "give",
    "has",
    "have",
    "how",
    "i",
    "in",
    "into",
    "is",
    "it",
    "its",
    "let",
    "like",
    "me",
    "my",
    "need",
    "of",
    "on",
    "one",
    "or",
    "our",
    "out",
    "over",
    "please",
    "s",
    "server",
    "servers",
    "should",
    "some",
    "something",
    "that",
    "the",
    "their",
    "them",
    "there",
    "these",
    "this",
    "to",
    "tool",
    "tools",
    "up",
    "use",
    "using",
    "want",
    "was",
    "we",
    "what",
    "when",
    "where",
    "which",
    "who",
    "will",
    "with",
    "you",
    "your",
];

/// Words of one text, as they are and as their stems.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Word {
    /// Lower case, without accents.
    pub(crate) plain: String,
    /// Without its English ending.
    pub(crate) stem: String,
}

/// Lower case, without accents; nothing longer than a word.
pub(crate) fn plain() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(MAX_WORD_BYTES))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .build()
}

/// The same without English endings.
pub(crate) fn stemmed() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(MAX_WORD_BYTES))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(Language::English))
        .build()
}

/// `readTextFile` and `HTTPServer` as the words they are made of. Other characters than letters and digits part words in
/// any case.
pub(crate) fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(now) = rest.next() {
        let next_is_small = rest.peek().is_some_and(|next| next.is_lowercase());
        let begins = now.is_uppercase() && (before.is_lowercase() || before.is_uppercase() && next_is_small);
        if begins {
            spaced.push(' ');
        }
        spaced.push(now);
        before = now;
    }
    spaced
}

/// The words of a query: different ones, in their order, at most [`MAX_WORDS`].
pub(crate) fn of_query(text: &str) -> Vec<Word> {
    let text = spaced(text.get(..text.floor_char_boundary(MAX_QUERY_BYTES)).unwrap_or_default());
    let mut words: Vec<Word> = Vec::new();
    let (plain, stems) = (all(&mut plain(), &text), all(&mut stemmed(), &text));
    for (plain, stem) in plain.into_iter().zip(stems) {
        if !words.iter().any(|word| word.stem == stem) {
            words.push(Word { plain, stem });
        }
    }
    let says = |word: &Word| !STOP_WORDS.contains(&word.plain.as_str());
    if words.iter().any(says) {
        words.retain(says);
    }
    words.truncate(MAX_WORDS);
    words
}

/// What an analyser makes of a text.
pub(crate) fn all(analyser: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    analyser.token_stream(text).process(&mut |token| found.push(token.text.clone()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(query: &str) -> Vec<String> {
        of_query(query).into_iter().map(|word| word.stem).collect()
    }

    #[test]
    fn names_are_parted_where_people_read_them_parted() {
        for (text, parts) in [
            ("readTextFile", "read Text File"),
            ("HTTPServer", "HTTP Server"),
            ("s3", "s3"),
            ("GitHub", "Git Hub"),
            ("ÄndereÖl", "Ändere Öl"),
        ] {
            assert_eq!(spaced(text), parts);
        }
    }

    #[test]
    fn a_query_is_its_different_words_without_those_that_say_nothing() {
        assert_eq!(stems("How can I search the files, searching file?"), ["search", "file"]);
        assert_eq!(stems("the who"), ["the", "who"], "nothing else is there");
        assert_eq!(stems("Café naïve"), ["cafe", "naiv"]);
        assert_eq!(stems(" \0\u{feff}\"')(*:^~[]{}\\ + - "), Vec::<String>::new());
        assert!(stems("").is_empty());
    }

    #[test]
    fn a_query_has_no_more_words_than_its_limit() {
        let many: Vec<String> = (0..=MAX_WORDS).map(|n| format!("word{n}")).collect();
        assert_eq!(of_query(&many.join(" ")).len(), MAX_WORDS);
        let far = format!("{} last", " ".repeat(MAX_QUERY_BYTES - 3));
        assert_eq!(stems(&far), ["la"], "what lies beyond the limit is not looked at");
        assert!(of_query(&"é".repeat(MAX_QUERY_BYTES)).is_empty(), "one word, longer than words are");
    }
}
