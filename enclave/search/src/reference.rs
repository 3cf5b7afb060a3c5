//! The same search by tantivy's own queries, which merge postings by document: what `scores.rs` is held against.

use tantivy::{
    DocAddress, Searcher, Term,
    collector::{Count, TopDocs},
    query::{
        AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Occur, Query as Asked, TermQuery,
    },
    schema::{Field, IndexRecordOption},
};

use crate::{
    Document, Found, Hit, Index, Query, ToolText,
    index::{BEGINNINGS, BEGINS, Fields, IS, PARTS, TIE, WITHIN, WORD_FIELDS, written},
    words::{self, Word},
};

fn asked(fields: &Fields<Field>, query: &Query<'_>) -> Box<dyn Asked> {
    let found = words::of_query(query.text);
    let mut parts: Vec<(Occur, Box<dyn Asked>)> = Vec::new();
    if found.is_empty() {
        parts.push((Occur::Must, Box::new(AllQuery)));
    } else {
        let mut any: Vec<Box<dyn Asked>> = found.iter().map(|one| word(fields, one)).collect();
        any.push(always(fields.is, &query.text.trim().to_lowercase(), IS));
        parts.push((Occur::Must, Box::new(BooleanQuery::union(any))));
    }
    if let Some(category) = query.category {
        parts.push((Occur::Must, always(fields.filed, &category.trim().to_lowercase(), 0.0)));
    }
    Box::new(BooleanQuery::new(parts))
}

fn word(fields: &Fields<Field>, word: &Word) -> Box<dyn Asked> {
    let mut any: Vec<Box<dyn Asked>> = Vec::new();
    for (field, (_, boost)) in fields.words.iter().zip(WORD_FIELDS) {
        let term = TermQuery::new(Term::from_field_text(*field, &word.stem), IndexRecordOption::WithFreqs);
        any.push(Box::new(BoostQuery::new(Box::new(term), boost)));
    }
    let length = word.plain.chars().count();
    if (BEGINNINGS.0..=BEGINNINGS.1).contains(&length) {
        any.push(always(fields.begins, &word.plain, BEGINS));
    }
    if (PARTS.0..=PARTS.1).contains(&length) {
        any.push(always(fields.within, &word.plain, WITHIN));
    }
    Box::new(DisjunctionMaxQuery::with_tie_breaker(any, TIE))
}

fn always(field: Field, text: &str, score: f32) -> Box<dyn Asked> {
    let term = TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic);
    Box::new(ConstScoreQuery::new(Box::new(term), score))
}

fn search(searcher: &Searcher, fields: &Fields<Field>, order: &[usize], query: &Query<'_>) -> Found {
    let best = TopDocs::with_limit(query.limit).and_offset(query.offset).order_by_score();
    let (total, hits) = searcher.search(&*asked(fields, query), &(Count, best)).unwrap();
    let hit = |(score, address): (f32, DocAddress)| Hit { position: order[address.doc_id as usize], score };
    Found { total, hits: hits.into_iter().map(hit).collect() }
}

/// Syllables, so that words begin alike and lie within each other.
const SYLLABLES: [&str; 12] = ["da", "ta", "base", "file", "sys", "tem", "search", "ing", "map", "s", "git", "é"];

struct Sequence(u64);

impl Sequence {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    /// Some far more often than others.
    fn word(&mut self) -> String {
        (0..=self.below(3))
            .map(|_| {
                let most = self.below(SYLLABLES.len()) + 1;
                SYLLABLES[self.below(most)]
            })
            .collect()
    }

    fn words(&mut self, most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn document(&mut self, n: usize) -> Document {
        let name = format!("{}-{}", self.word(), self.word());
        Document {
            id: format!("id-{n}"),
            title: if n.is_multiple_of(3) { self.words(3) } else { name.clone() },
            slug: name.clone(),
            package: format!("@{}/{name}", self.word()),
            name,
            description: self.words(20),
            categories: (0..self.below(3)).map(|_| self.word()).collect(),
            tools: (0..self.below(4)).map(|_| ToolText { name: self.words(2), description: self.words(12) }).collect(),
        }
    }
}

#[test]
fn documents_are_found_in_the_order_and_with_the_scores_of_merged_postings() {
    let mut sequence = Sequence(3);
    let mut hits = 0;
    // Postings come in blocks of 128: fewer than one, exactly one, several and the rest of one.
    for count in [1, 7, 128, 300] {
        let documents: Vec<Document> = (0..count).map(|n| sequence.document(n)).collect();
        let (searcher, fields, order) = written(&documents).unwrap();
        let index = Index::build(&documents).unwrap();
        for n in 0..48 {
            let one = &documents[sequence.below(count)];
            let text = match n % 6 {
                0 => sequence.words(1),
                1 => sequence.words(3),
                2 => one.package.clone(),
                3 => one.title.clone(),
                4 => one.id.to_uppercase(),
                _ => sequence.words(30),
            };
            let category = sequence.word();
            let category = [None, one.categories.first(), Some(&category)][n % 3].map(String::as_str);
            let limit = [1, 20, count + 1][sequence.below(3)];
            let query = Query { text: &text, category, limit, offset: [0, 0, 3][sequence.below(3)] };
            let found = index.search(query).unwrap();
            let mut expected = search(&searcher, &fields, &order, &query);
            if words::of_query(&text).is_empty() {
                // All are found, and none is better than another; tantivy's score for that depends on the category.
                expected.hits.iter_mut().for_each(|hit| hit.score = 0.0);
            }
            assert_eq!(found, expected, "{query:?} among {count}");
            hits += found.hits.len();
        }
    }
    assert!(hits > 1_000, "{hits}");
}
