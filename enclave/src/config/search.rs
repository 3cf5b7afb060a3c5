//! `[search.embeddings]`: who makes vectors of texts.

use std::path::PathBuf;

use serde::Deserialize;

use super::Fault;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSearch {
    embeddings: Option<RawEmbeddings>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEmbeddings {
    url: String,
    model: String,
    dimensions: usize,
    key_file: Option<PathBuf>,
}

/// A service that speaks OpenAI's `POST …/embeddings`.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddingsConfig {
    /// The whole address, for instance `https://…/v1/embeddings`.
    pub(crate) url: String,
    /// The model's name there.
    pub(crate) model: String,
    /// Numbers in each of its vectors.
    pub(crate) dimensions: usize,
    /// Holds the bearer token, where the service wants one.
    pub(crate) key_file: Option<PathBuf>,
}

impl EmbeddingsConfig {
    pub(super) fn of(raw: RawSearch) -> Result<Option<Self>, Fault> {
        let Some(raw) = raw.embeddings else { return Ok(None) };
        let near =
            ["http://127.0.0.1:", "http://127.0.0.1/", "http://localhost:", "http://localhost/", "http://[::1]:"];
        if !raw.url.starts_with("https://") && !near.iter().any(|prefix| raw.url.starts_with(prefix)) {
            let fix = "write an https:// address, or an http:// one of this machine: what callers look for goes there";
            return Err((format!("search.embeddings.url = {:?}", raw.url), fix.to_owned()));
        }
        if !(1..=search::MAX_DIMENSIONS).contains(&raw.dimensions) {
            let fix = format!("write how many numbers the model gives, 1 to {}", search::MAX_DIMENSIONS);
            return Err((format!("search.embeddings.dimensions = {}", raw.dimensions), fix));
        }
        if raw.model.is_empty() {
            return Err(("search.embeddings.model is empty".to_owned(), "name the service's model".to_owned()));
        }
        let RawEmbeddings { url, model, dimensions, key_file } = raw;
        Ok(Some(Self { url, model, dimensions, key_file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, dimensions: usize, model: &str) -> Result<Option<EmbeddingsConfig>, Fault> {
        let embeddings = RawEmbeddings { url: url.into(), model: model.into(), dimensions, key_file: None };
        EmbeddingsConfig::of(RawSearch { embeddings: Some(embeddings) })
    }

    #[test]
    fn texts_go_to_an_encrypted_address_or_stay_on_the_machine() {
        for url in ["https://a.example/v1/embeddings", "http://127.0.0.1:8080/v1/embeddings", "http://localhost:1/e"] {
            assert!(read(url, 3, "m").unwrap().is_some(), "{url}");
        }
        for url in
            ["http://a.example/", "http://127.0.0.1.evil.example/", "http://localhost.evil.example:1/", "", "ftp://x"]
        {
            assert!(read(url, 3, "m").is_err(), "{url}");
        }
        assert!(EmbeddingsConfig::of(RawSearch::default()).unwrap().is_none());
    }

    #[test]
    fn a_vector_has_some_numbers_and_a_model_a_name() {
        for (dimensions, fits) in
            [(0, false), (1, true), (search::MAX_DIMENSIONS, true), (search::MAX_DIMENSIONS + 1, false)]
        {
            assert_eq!(read("https://a.example/", dimensions, "m").is_ok(), fits, "{dimensions}");
        }
        assert!(read("https://a.example/", 1, "").is_err());
    }
}
