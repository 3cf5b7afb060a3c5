//! Scores of all documents at once, term after term.
//!
//! Queries of many words find nearly every document in several fields. So each term's postings are walked once, front to
//! back, instead of being merged by document; the sums are the same (`reference.rs`).

use std::sync::Arc;

use tantivy::{
    DocId, InvertedIndexReader, Score, SegmentReader, Term,
    fieldnorm::FieldNormReader,
    query::Bm25Weight,
    schema::{Field, IndexRecordOption},
};

/// The terms of one field, and in which documents they stand.
pub(crate) struct Terms {
    field: Field,
    postings: Arc<InvertedIndexReader>,
    lengths: FieldNormReader,
    documents: u32,
}

impl Terms {
    pub(crate) fn of(segment: &SegmentReader, field: Field) -> tantivy::Result<Self> {
        let lengths = segment.fieldnorms_readers().get_field(field)?;
        Ok(Self {
            field,
            postings: segment.inverted_index(field)?,
            lengths: lengths.unwrap_or_else(|| FieldNormReader::constant(segment.max_doc(), 1)),
            documents: segment.max_doc(),
        })
    }

    /// Each document in which a term stands, with its score by BM25.
    pub(crate) fn ranked(&self, text: &str, boost: Score, mut each: impl FnMut(DocId, Score)) -> tantivy::Result<()> {
        let Some(info) = self.postings.get_term_info(&Term::from_field_text(self.field, text))? else { return Ok(()) };
        #[expect(clippy::cast_precision_loss, reason = "an average")]
        let average = self.postings.total_num_tokens() as Score / self.documents as Score;
        let weight =
            Bm25Weight::for_one_term_without_explain(u64::from(info.doc_freq), u64::from(self.documents), average);
        let weight = weight.boost_by(boost);
        let option = IndexRecordOption::WithFreqs;
        let mut block = self.postings.read_block_postings_from_terminfo(&info, option)?;
        while !block.docs().is_empty() {
            for (document, times) in block.docs().iter().zip(block.freqs()) {
                each(*document, weight.score(self.lengths.fieldnorm_id(*document), *times));
            }
            block.advance();
        }
        Ok(())
    }

    /// Each document in which a term stands.
    pub(crate) fn holding(&self, text: &str, mut each: impl FnMut(DocId)) -> tantivy::Result<()> {
        let term = Term::from_field_text(self.field, text);
        let Some(mut block) = self.postings.read_block_postings(&term, IndexRecordOption::Basic)? else {
            return Ok(());
        };
        while !block.docs().is_empty() {
            block.docs().iter().copied().for_each(&mut each);
            block.advance();
        }
        Ok(())
    }
}

/// What a word is worth in a document: the most in one field, and the sum of all.
#[derive(Clone, Copy)]
struct Worth {
    best: Score,
    sum: Score,
}

impl Worth {
    /// The word does not stand there. Scores are not below zero.
    const NONE: Self = Self { best: -1.0, sum: 0.0 };
}

/// Scores of all documents, by their place in the index.
pub(crate) struct Scores {
    /// Below zero where nothing was found.
    totals: Vec<Score>,
    word: Vec<Worth>,
}

impl Scores {
    /// Nothing is found yet, in any of so many.
    pub(crate) fn none(documents: usize) -> Self {
        Self { totals: vec![-1.0; documents], word: vec![Worth::NONE; documents] }
    }

    /// A word stands in one of a document's fields.
    pub(crate) fn add(&mut self, document: DocId, score: Score) {
        if let Some(worth) = self.word.get_mut(document as usize) {
            worth.best = worth.best.max(score);
            worth.sum += score;
        }
    }

    /// The same in all documents.
    pub(crate) fn add_all(&mut self, score: Score) {
        for worth in &mut self.word {
            worth.best = worth.best.max(score);
            worth.sum += score;
        }
    }

    /// Nothing more of this word: it counts as much as in its best field, and this share of the others.
    pub(crate) fn end_word(&mut self, tie: Score) {
        for (total, worth) in self.totals.iter_mut().zip(&mut self.word) {
            let found = total.max(0.0) + (worth.best + (worth.sum - worth.best) * tie);
            *total = if worth.best >= 0.0 { found } else { *total };
            *worth = Worth::NONE;
        }
    }

    /// Only these documents may be found.
    pub(crate) fn keep(&mut self, these: &[bool]) {
        for (total, _) in self.totals.iter_mut().zip(these).filter(|(_, kept)| !**kept) {
            *total = -1.0;
        }
    }

    /// How many were found, and the best of them without the first `offset`, at most `limit`, of equal ones the first by
    /// their place.
    pub(crate) fn best(&self, limit: usize, offset: usize) -> (usize, Vec<(usize, Score)>) {
        let found = self.totals.iter().copied().enumerate().filter(|(_, score)| *score >= 0.0);
        let mut found: Vec<(usize, Score)> = found.collect();
        let order = |a: &(usize, Score), b: &(usize, Score)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let (total, end) = (found.len(), offset.saturating_add(limit));
        if end < total {
            found.select_nth_unstable_by(end, order);
            found.truncate(end);
        }
        found.sort_unstable_by(order);
        (total, found.split_off(offset.min(found.len())))
    }
}
