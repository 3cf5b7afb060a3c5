//! The ranking by words.

use std::fmt;

use tantivy::{
    Searcher, TantivyDocument,
    directory::RamDirectory,
    schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{NgramTokenizer, RawTokenizer, TokenizerManager},
};

use crate::{
    Document,
    scores::{Scores, Terms},
    words::{self, Word},
};

/// A field and what a hit in it counts.
///
/// Names say most, then what a server calls its tools; descriptions praise. Chosen once, on no particular query.
pub(crate) const WORD_FIELDS: [(&str, f32); 6] = [
    ("name", 4.0),
    ("package", 2.0),
    ("category", 2.0),
    ("tool", 2.0),
    ("description", 1.5),
    ("tool_description", 1.0),
];

/// A word that begins a word of the name.
pub(crate) const BEGINS: f32 = 3.0;
/// A word within a word of the name.
pub(crate) const WITHIN: f32 = 1.0;
/// A query that is an id, a name, a slug or a package: nothing comes before it.
pub(crate) const IS: f32 = 1000.0;

/// Lengths of beginnings that are found. One letter is no beginning.
pub(crate) const BEGINNINGS: (usize, usize) = (2, 24);
/// Lengths of parts of words that are found.
pub(crate) const PARTS: (usize, usize) = (4, 12);

/// Share of the other fields in the score of a word, beside the best one.
pub(crate) const TIE: f32 = 0.3;

/// Room that the building of an index begins with, in bytes; it grows as it must.
const BUILD_BYTES: usize = 16 << 20;

/// Names of tokenizers.
const STEMS: &str = "stems";
const STARTS: &str = "starts";
const INNER: &str = "inner";
const WHOLE: &str = "whole";

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// A stranger's text. Without a word in it every document is found, by name.
    pub text: &'a str,
    /// Only documents that are filed under this, upper and lower case alike.
    pub category: Option<&'a str>,
    /// Most hits.
    pub limit: usize,
    /// Hits left out before.
    pub offset: usize,
}

/// A document that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its position among the documents that the index was built of.
    pub position: usize,
    /// The higher the better; comparable within one answer.
    pub score: f32,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// How many in all.
    pub total: usize,
    /// Those that were asked for, best first.
    pub hits: Vec<Hit>,
}

/// Why there is no index, or no answer. Never a stranger's doing.
#[derive(Debug)]
pub struct IndexError(tantivy::TantivyError);

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the search index: {}", self.0)
    }
}

impl std::error::Error for IndexError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl From<tantivy::TantivyError> for IndexError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self(error)
    }
}

/// An index over documents, in memory, unchanging.
pub struct Index {
    /// None where there is no document.
    terms: Option<Fields<Terms>>,
    /// Position of each document of the index, which holds them by name and id.
    order: Vec<usize>,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index of {}", self.order.len())
    }
}

/// Something of each field.
#[derive(Clone, Copy)]
pub(crate) struct Fields<T> {
    pub(crate) is: T,
    pub(crate) begins: T,
    pub(crate) within: T,
    pub(crate) filed: T,
    /// As [`WORD_FIELDS`].
    pub(crate) words: [T; WORD_FIELDS.len()],
}

impl Index {
    /// An index over these documents.
    ///
    /// # Errors
    /// [`IndexError`], where memory is short.
    pub fn build(documents: &[Document]) -> Result<Self, IndexError> {
        let (searcher, fields, order) = written(documents)?;
        // One segment, so the place of a document in it is that in the order.
        let terms = match searcher.segment_readers() {
            [] => None,
            [segment, ..] => Some(Fields {
                is: Terms::of(segment, fields.is)?,
                begins: Terms::of(segment, fields.begins)?,
                within: Terms::of(segment, fields.within)?,
                filed: Terms::of(segment, fields.filed)?,
                words: {
                    let [a, b, c, d, e, f] = fields.words.map(|field| Terms::of(segment, field));
                    [a?, b?, c?, d?, e?, f?]
                },
            }),
        };
        Ok(Self { terms, order })
    }

    /// What a query finds.
    ///
    /// # Errors
    /// [`IndexError`]; no query is the reason.
    pub fn search(&self, query: Query<'_>) -> Result<Found, IndexError> {
        let Some(terms) = &self.terms else { return Ok(Found::default()) };
        let mut scores = Scores::none(self.order.len());
        let words = words::of_query(query.text);
        for word in &words {
            terms.score(word, &mut scores)?;
        }
        if words.is_empty() {
            scores.add_all(0.0);
        } else {
            terms.is.holding(&query.text.trim().to_lowercase(), |document| scores.add(document, IS))?;
        }
        scores.end_word(0.0);
        if let Some(category) = query.category {
            let mut filed = vec![false; self.order.len()];
            terms.filed.holding(&category.trim().to_lowercase(), |document| {
                if let Some(filed) = filed.get_mut(document as usize) {
                    *filed = true;
                }
            })?;
            scores.keep(&filed);
        }
        let (total, best) = scores.best(query.limit, query.offset);
        let hit = |(at, score): (usize, f32)| Some(Hit { position: *self.order.get(at)?, score });
        Ok(Found { total, hits: best.into_iter().filter_map(hit).collect() })
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// The documents by name and id, as tantivy holds them: with the positions that they had.
pub(crate) fn written(documents: &[Document]) -> Result<(Searcher, Fields<Field>, Vec<usize>), IndexError> {
    let mut schema = Schema::builder();
    let text = |tokenizer: &str, option: IndexRecordOption| {
        let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option);
        TextOptions::default().set_indexing_options(indexing)
    };
    let fields = Fields {
        is: schema.add_text_field("is", text(WHOLE, IndexRecordOption::Basic)),
        begins: schema.add_text_field("begins", text(STARTS, IndexRecordOption::Basic)),
        within: schema.add_text_field("within", text(INNER, IndexRecordOption::Basic)),
        filed: schema.add_text_field("filed", text(WHOLE, IndexRecordOption::Basic)),
        words: WORD_FIELDS.map(|(name, _)| schema.add_text_field(name, text(STEMS, IndexRecordOption::WithFreqs))),
    };
    let mut writer = tantivy::Index::builder()
        .schema(schema.build())
        .tokenizers(tokenizers()?)
        .single_segment_index_writer::<TantivyDocument>(RamDirectory::create(), BUILD_BYTES)?;
    let mut order: Vec<(usize, &Document)> = documents.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    for (_, document) in &order {
        writer.add_document(fields.row(document))?;
    }
    let searcher = writer.finalize()?.reader_builder().try_into()?.searcher();
    Ok((searcher, fields, order.into_iter().map(|(position, _)| position).collect()))
}

impl Fields<Field> {
    fn row(&self, document: &Document) -> TantivyDocument {
        let mut row = TantivyDocument::new();
        for whole in [&document.id, &document.name, &document.title, &document.slug, &document.package] {
            row.add_text(self.is, whole.to_lowercase());
        }
        for category in &document.categories {
            row.add_text(self.filed, category.to_lowercase());
        }
        let mut plain = words::plain();
        for word in words::all(&mut plain, &format!("{} {}", document.name, document.title)) {
            row.add_text(self.begins, &word);
            row.add_text(self.within, &word);
        }
        let [name, package, category, tool, description, tool_description] = self.words;
        row.add_text(name, words::spaced(&document.name));
        if document.title != document.name {
            row.add_text(name, words::spaced(&document.title));
        }
        row.add_text(package, words::spaced(&document.package));
        row.add_text(description, words::spaced(&document.description));
        for one in &document.categories {
            row.add_text(category, words::spaced(one));
        }
        for one in &document.tools {
            row.add_text(tool, words::spaced(&one.name));
            row.add_text(tool_description, words::spaced(&one.description));
        }
        row
    }
}

impl Fields<Terms> {
    /// A word counts as much as the field in which it says most, and a little of the others.
    fn score(&self, word: &Word, scores: &mut Scores) -> Result<(), IndexError> {
        for (terms, (_, boost)) in self.words.iter().zip(WORD_FIELDS) {
            terms.ranked(&word.stem, boost, |document, score| scores.add(document, score))?;
        }
        let length = word.plain.chars().count();
        if (BEGINNINGS.0..=BEGINNINGS.1).contains(&length) {
            self.begins.holding(&word.plain, |document| scores.add(document, BEGINS))?;
        }
        if (PARTS.0..=PARTS.1).contains(&length) {
            self.within.holding(&word.plain, |document| scores.add(document, WITHIN))?;
        }
        scores.end_word(TIE);
        Ok(())
    }
}

fn tokenizers() -> Result<TokenizerManager, IndexError> {
    let manager = TokenizerManager::new();
    manager.register(STEMS, words::stemmed());
    manager.register(WHOLE, RawTokenizer::default());
    manager.register(STARTS, NgramTokenizer::prefix_only(BEGINNINGS.0, BEGINNINGS.1)?);
    manager.register(INNER, NgramTokenizer::all_ngrams(PARTS.0, PARTS.1)?);
    Ok(manager)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_QUERY_BYTES, ToolText};

    fn document(name: &str, description: &str, categories: &[&str], tools: &[(&str, &str)]) -> Document {
        Document {
            id: format!("id-of-{name}"),
            name: name.into(),
            title: name.into(),
            slug: name.replace(['/', '@', '.', '_'], "-"),
            package: format!("@somebody/{name}-mcp"),
            description: description.into(),
            categories: categories.iter().map(|one| (*one).to_owned()).collect(),
            tools: tools
                .iter()
                .map(|(name, description)| ToolText { name: (*name).into(), description: (*description).into() })
                .collect(),
        }
    }

    fn documents() -> Vec<Document> {
        vec![
            document("filesystem", "Reads and writes local files", &["Files"], &[("readTextFile", "Contents of one")]),
            document(
                "everything",
                "Every feature of the protocol, for tests",
                &["testing"],
                &[("echo", "Says it back")],
            ),
            document("memory", "A graph of knowledge", &["knowledge"], &[("create_entities", "Adds things to it")]),
            document(
                "youtube-transcripts",
                "Captions of videos",
                &["media"],
                &[("captions", "What is said in a video")],
            ),
            document("b", "twin", &["twins"], &[]),
            document("a", "twin", &["twins"], &[]),
        ]
    }

    fn names(text: &str, category: Option<&str>) -> Vec<String> {
        let (documents, query) = (documents(), Query { text, category, limit: 10, offset: 0 });
        let found = Index::build(&documents).unwrap().search(query).unwrap();
        assert_eq!(found.total, found.hits.len());
        found.hits.into_iter().map(|hit| documents[hit.position].name.clone()).collect()
    }

    #[test]
    fn a_server_is_found_by_its_name_its_beginning_its_inside_and_what_it_does() {
        for text in
            ["filesystem", "FILESYSTEM", "filesys", "system", "file", "id-of-filesystem", "@somebody/filesystem-mcp"]
        {
            assert_eq!(names(text, None).first().map(String::as_str), Some("filesystem"), "{text}");
        }
        assert_eq!(names("write a file", None), ["filesystem"], "by stems of its description");
        assert_eq!(names("text reading", None), ["filesystem"], "by a tool's name");
        assert_eq!(names("saying", None), ["youtube-transcripts", "everything"][1..], "by a tool's description");
        assert_eq!(names("tube", None), ["youtube-transcripts"]);
        assert!(names("weather", None).is_empty());
    }

    #[test]
    fn equals_come_by_name_and_pages_do_not_overlap() {
        assert_eq!(names("twin", None), ["a", "b"]);
        assert_eq!(names("", None), ["a", "b", "everything", "filesystem", "memory", "youtube-transcripts"]);
        let (documents, mut all) = (documents(), Vec::new());
        let index = Index::build(&documents).unwrap();
        for offset in 0..8 {
            let found = index.search(Query { text: "", category: None, limit: 1, offset }).unwrap();
            assert_eq!(found.total, 6);
            all.extend(found.hits.into_iter().map(|hit| documents[hit.position].name.clone()));
        }
        assert_eq!(all, names("", None));
        let none = index.search(Query { text: "twin", category: None, limit: 0, offset: 0 }).unwrap();
        assert_eq!((none.total, none.hits.len()), (2, 0));
        let far = Query { text: "twin", category: None, limit: usize::MAX, offset: usize::MAX };
        assert_eq!(index.search(far).unwrap().total, 2);
    }

    #[test]
    fn a_category_is_the_whole_category() {
        assert_eq!(names("", Some("files")), ["filesystem"]);
        assert_eq!(names("twin", Some(" TWINS ")), ["a", "b"]);
        assert!(names("", Some("file")).is_empty() && names("memory", Some("files")).is_empty());
    }

    #[test]
    fn no_text_is_an_error() {
        let index = Index::build(&documents()).unwrap();
        let long = "file ".repeat(MAX_QUERY_BYTES);
        let words: String = (0..1000).map(|n| format!("w{n} ")).collect();
        let texts = [
            "\"unclosed",
            "a AND (",
            "name:filesystem^",
            "*",
            "-",
            "[a TO b]",
            "\0",
            "\u{202e}",
            "é".repeat(2000).as_str(),
            &long,
            &words,
            "+",
            "||",
            "!",
            "\\",
            "/regex/",
            "file~2",
        ]
        .map(str::to_owned);
        for text in texts {
            for category in [None, Some(text.as_str())] {
                assert!(index.search(Query { text: &text, category, limit: 5, offset: 0 }).is_ok(), "{text:?}");
            }
        }
        assert!(Index::build(&[]).unwrap().search(Query { text: "x", category: None, limit: 5, offset: 0 }).is_ok());
    }

    #[test]
    fn the_order_of_the_documents_does_not_matter() {
        let (forth, mut back) = (documents(), documents());
        back.reverse();
        let named = |documents: &[Document], text: &str| {
            let index = Index::build(documents).unwrap();
            let found = index.search(Query { text, category: None, limit: 10, offset: 0 }).unwrap();
            found.hits.iter().map(|hit| (documents[hit.position].name.clone(), hit.score)).collect::<Vec<_>>()
        };
        for text in ["", "file", "twin graph", "every video"] {
            assert_eq!(named(&forth, text), named(&back, text), "{text}");
        }
    }
}
