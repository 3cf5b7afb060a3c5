//! Search by meaning: the words' ranking and the vectors', made one. Where no vectors are to be had, the words alone.

mod allowance;
mod embeddings;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use evidence::{
    Digest, Wallet,
    json::{Value, object},
};
use search::{Embedder as _, Vectors};
use tokio::sync::Semaphore;

pub(crate) use self::allowance::MOST_PER_MINUTE;
use self::{allowance::Allowance, embeddings::Provider};
use crate::{
    app::App,
    boot::Failure,
    catalogue::{Catalogue, Server},
    config::EmbeddingsConfig,
    enablement::Scope,
};

/// How deep each ranking goes into the fused one.
const DEPTH: usize = 200;

/// Texts of one request to the provider.
const BATCH: usize = 64;

/// Queries at the provider at once. More are answered by their words: nobody waits in a line for meanings.
const ASKING: usize = 8;

/// Longest description in an answer, in characters, as this ecosystem has it.
const MAX_DESCRIPTION: usize = 300;

/// First and longest wait after the provider failed.
const WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

/// What is looked for among.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Everything.
    All,
    /// Agents: this gateway has none.
    Agents,
}

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) query: String,
    pub(crate) category: Option<String>,
    pub(crate) limit: usize,
    pub(crate) kind: Kind,
}

/// This wallet has asked too often.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooOften {
    pub(crate) retry_after_s: u32,
}

impl fmt::Display for TooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a wallet may search by meaning {MOST_PER_MINUTE} times a minute")
    }
}

/// What search by meaning needs.
pub(crate) struct Semantic {
    provider: Option<Provider>,
    /// With the digest of the catalogue whose servers they are of, in its order.
    vectors: RwLock<(Digest, Vectors)>,
    allowance: Allowance,
    asking: Semaphore,
}

/// One server as it was found.
struct Ranked<'a> {
    server: &'a Server,
    score: f64,
    text: Option<f32>,
    semantic: Option<f32>,
}

impl Semantic {
    /// With a provider where one is configured.
    ///
    /// # Errors
    /// Its key cannot be read, or no client can be made.
    pub(crate) fn new(config: Option<&EmbeddingsConfig>) -> Result<Self, Failure> {
        let provider = config.map(Provider::new).transpose()?;
        let dimensions = provider.as_ref().map_or(0, search::Embedder::dimensions);
        Ok(Self {
            provider,
            vectors: RwLock::new(([0; 32], Vectors::new(dimensions))),
            allowance: Allowance::default(),
            asking: Semaphore::new(ASKING),
        })
    }

    /// Gives every server of a catalogue its vector, each text once, for as long as it takes. To be called again when the
    /// catalogue is another: what stayed keeps its vectors.
    pub(crate) async fn learn(&self, catalogue: &Catalogue) {
        let Some(provider) = &self.provider else { return };
        let texts = catalogue.texts();
        let missing = {
            let mut vectors = self.vectors.write().unwrap_or_else(PoisonError::into_inner);
            vectors.0 = catalogue.digest();
            vectors.1.place(&texts)
        };
        let mut wait = WAITS.0;
        for batch in missing.chunks(BATCH) {
            loop {
                match self.taught(provider, batch).await {
                    Ok(()) => break,
                    Err(why) => {
                        tracing::warn!(why, seconds = wait.as_secs(), "no vectors of servers: searches go by words");
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(WAITS.1);
                    }
                }
            }
            wait = WAITS.0;
        }
        if !missing.is_empty() {
            tracing::info!(texts = missing.len(), "every server can be found by its meaning");
        }
    }

    async fn taught(&self, provider: &Provider, batch: &[String]) -> Result<(), String> {
        let made = provider.embed(batch).await.map_err(|error| error.to_string())?;
        let mut vectors = self.vectors.write().unwrap_or_else(PoisonError::into_inner);
        for (text, vector) in batch.iter().zip(&made) {
            vectors.1.keep(text, vector).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The ranking by meaning; none where there is no provider, or it does not answer.
    async fn nearest(&self, catalogue: &Catalogue, question: &Question) -> Option<Vec<(usize, f32)>> {
        let provider = self.provider.as_ref()?;
        if self.placed(catalogue) == 0 {
            return None;
        }
        let Ok(_place) = self.asking.try_acquire() else { return None };
        let query = question.query.get(..question.query.floor_char_boundary(search::MAX_QUERY_BYTES));
        // What was looked for is nobody's business: the log gets the reason alone.
        let made = provider.embed(&[query.unwrap_or_default().to_owned()]).await;
        let made = made.inspect_err(|error| tracing::warn!(%error, "a search goes by words alone")).ok()?;
        let fits = |position: usize| {
            let server = catalogue.servers().get(position);
            question
                .category
                .as_ref()
                .is_none_or(|category| server.is_some_and(|server| server.is_filed_under(category)))
        };
        let vectors = self.vectors.read().unwrap_or_else(PoisonError::into_inner);
        if vectors.0 != catalogue.digest() {
            return None;
        }
        let near = vectors.1.nearest(made.first()?, DEPTH, fits);
        near.inspect_err(|error| tracing::warn!(%error, "a search goes by words alone")).ok()
    }

    /// How many servers of this catalogue have a vector. None has, as long as they are those of another one.
    fn placed(&self, catalogue: &Catalogue) -> usize {
        let vectors = self.vectors.read().unwrap_or_else(PoisonError::into_inner);
        if vectors.0 == catalogue.digest() { vectors.1.placed() } else { 0 }
    }

    fn stats(&self, catalogue: &Catalogue) -> Value {
        let embedded = self.placed(catalogue) as u64;
        object([
            ("enabled", self.provider.is_some().into()),
            ("model", self.provider.as_ref().map_or(Value::Null, |provider| provider.model().into())),
            (
                "dimensions",
                self.provider.as_ref().map_or(Value::Null, |provider| (provider.dimensions() as u64).into()),
            ),
            ("totalServers", (catalogue.servers().len() as u64).into()),
            ("embeddedServers", embedded.into()),
        ])
    }
}

impl App {
    /// What a wallet finds by a sentence: the answer's object, as `POST /api/catalog/semantic-search` gives it.
    ///
    /// # Errors
    /// [`TooOften`].
    pub(crate) async fn semantic_search(
        &self,
        wallet: &Wallet,
        scope: Option<&Scope>,
        question: Question,
    ) -> Result<Value, TooOften> {
        let begun = Instant::now();
        self.semantic.allowance.take(*wallet, begun)?;
        let catalogue = &self.catalogue;
        let near = match question.kind {
            Kind::All => self.semantic.nearest(catalogue, &question).await,
            Kind::Agents => None,
        };
        let depth = if near.is_some() { DEPTH } else { question.limit };
        let found = match question.kind {
            Kind::All => catalogue.ranked(&question.query, question.category.as_deref(), depth, 0),
            Kind::Agents => search::Found::default(),
        };
        let words: Vec<(usize, f32)> = found.hits.iter().map(|hit| (hit.position, hit.score)).collect();
        let (mode, total, ranked) = match near {
            Some(near) => {
                let fused = search::fused(&words, &near);
                ("hybrid", fused.len(), fused)
            }
            None => ("text", found.total, search::fused(&words, &[])),
        };
        let enabled: Vec<_> = scope.map(|scope| self.enablement.enabled(scope)).unwrap_or_default();
        let ranked = ranked.into_iter().take(question.limit);
        let results = ranked.filter_map(|one| {
            let server = catalogue.servers().get(one.position)?;
            let ranked = Ranked { server, score: one.score, text: one.text, semantic: one.semantic };
            Some(ranked.to_value(enabled.contains(&server.entry.id)))
        });
        let results = Value::Array(results.collect());
        Ok(object([
            ("results", results),
            ("query", question.query.as_str().into()),
            ("totalResults", (total as u64).into()),
            ("searchMode", mode.into()),
            ("embeddingStats", self.semantic.stats(catalogue)),
            ("latencyMs", u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).into()),
        ]))
    }
}

impl Ranked<'_> {
    fn to_value(&self, is_enabled: bool) -> Value {
        let entry = &self.server.entry;
        let description: String = entry.description.chars().take(MAX_DESCRIPTION).collect();
        let score = |score: Option<f32>| score.map_or(Value::Null, |score| decimal(f64::from(score)));
        let reason = match (self.text, self.semantic) {
            (Some(_), Some(_)) => "words and meaning match",
            (None, Some(_)) => "meaning matches",
            _ => "words match",
        };
        object([
            ("id", entry.id.as_str().into()),
            ("name", entry.name.as_str().into()),
            ("title", entry.name.as_str().into()),
            ("description", description.into()),
            ("type", "server".into()),
            ("score", decimal(self.score)),
            ("semanticScore", score(self.semantic)),
            ("textScore", score(self.text)),
            ("matchReason", reason.into()),
            ("categories", Value::Array(entry.categories.iter().map(|one| one.as_str().into()).collect())),
            ("toolCount", (self.server.tools().len() as u64).into()),
            ("isEnabled", is_enabled.into()),
        ])
    }
}

/// A score with six digits behind the point.
fn decimal(score: f64) -> Value {
    Value::Number(format!("{score:.6}"))
}

/// Keeps the vectors of the catalogue, for as long as the gateway runs.
pub(crate) async fn keep_up(app: Arc<App>) {
    app.semantic.learn(&app.catalogue).await;
}
