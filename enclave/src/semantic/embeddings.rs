//! Vectors over HTTP, from whoever speaks OpenAI's `POST …/embeddings`: `{model, input[]}`, answered with
//! `{data: [{index, embedding[]}]}`. Many programs that run models on one's own machine do.

use std::{fmt, time::Duration};

use platform::Secret;
use serde::{Deserialize, Serialize};

use crate::{boot::Failure, config::EmbeddingsConfig};

/// How long an answer may take. Who searches waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Longest answer: 64 vectors of 16,384 numbers of 22 characters, and a little.
const MAX_ANSWER_BYTES: usize = 24 << 20;

/// Asks a service for vectors.
pub(super) struct Provider {
    client: reqwest::Client,
    url: String,
    model: String,
    dimensions: usize,
    key: Option<Secret<String>>,
}

/// Why there are no vectors. Holds nothing of what was asked, nor the address, which may hold a key.
#[derive(Debug)]
#[non_exhaustive]
pub(super) enum ProviderError {
    /// No answer came.
    Silent(&'static str),
    /// It answered with an error.
    Status(u16),
    /// Its answer is longer than it could be.
    TooLong,
    /// Its answer is none.
    Unreadable(&'static str),
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) => write!(f, "the embeddings' service did not answer: {why}"),
            Self::Status(status) => write!(f, "the embeddings' service answered with status {status}"),
            Self::TooLong => write!(f, "the embeddings' service answered with more than {MAX_ANSWER_BYTES} bytes"),
            Self::Unreadable(why) => write!(f, "the embeddings' service answered with something else: {why}"),
        }
    }
}

impl std::error::Error for ProviderError {}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

impl Provider {
    pub(super) fn new(config: &EmbeddingsConfig) -> Result<Self, Failure> {
        let key = config.key_file.as_ref().map(|file| -> Result<_, Failure> {
            let text = std::fs::read_to_string(file).map_err(|error| {
                let what = format!("search.embeddings.key_file = {}", file.display());
                Failure::new(what, error, "name a readable file that holds the key and nothing else")
            })?;
            Ok(Secret::new(text.trim().to_owned()))
        });
        // A process has one default; whoever set it first had a reason.
        let _ = rustls::crypto::CryptoProvider::install_default(rustls::crypto::ring::default_provider());
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A service that sends us elsewhere would have us show our key there.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("sealgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Failure::new("no client for search.embeddings", error, "check the system's certificates")
            })?;
        let (url, model) = (config.url.clone(), config.model.clone());
        Ok(Self { client, url, model, dimensions: config.dimensions, key: key.transpose()? })
    }

    /// What it is asked for.
    pub(super) fn model(&self) -> &str {
        &self.model
    }

    async fn asked(&self, texts: &[String]) -> Result<Vec<u8>, ProviderError> {
        let question = Request { model: &self.model, input: texts, encoding_format: "float" };
        let mut request = self.client.post(&self.url).json(&question);
        if let Some(key) = &self.key {
            request = key.expose(|key| request.bearer_auth(key));
        }
        let mut answer = request.send().await.map_err(|error| silence(&error))?;
        if !answer.status().is_success() {
            return Err(ProviderError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| silence(&error))? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(ProviderError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl search::Embedder for Provider {
    type Error = ProviderError;

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, ProviderError> {
        read(&self.asked(texts).await?, texts.len())
    }
}

/// The vectors of an answer, each at the place of its text.
fn read(body: &[u8], texts: usize) -> Result<Vec<Vec<f32>>, ProviderError> {
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| ProviderError::Unreadable("no {\"data\": [{index, embedding}]}"))?;
    let mut placed: Vec<Option<Vec<f32>>> = vec![None; texts];
    for item in answer.data {
        match placed.get_mut(item.index) {
            Some(place @ None) => *place = Some(item.embedding),
            _ => return Err(ProviderError::Unreadable("an index stands twice, or for no text")),
        }
    }
    placed.into_iter().collect::<Option<Vec<_>>>().ok_or(ProviderError::Unreadable("a text has no vector"))
}

/// The library's own words name the address.
fn silence(error: &reqwest::Error) -> ProviderError {
    ProviderError::Silent(if error.is_timeout() {
        "too slow"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_to_their_texts_in_whatever_order_they_are_sent() {
        let body =
            br#"{"object":"list","data":[{"index":1,"embedding":[3,4e0]},{"index":0,"embedding":[1.5,2]}],"usage":{}}"#;
        assert_eq!(read(body, 2).unwrap(), [[1.5, 2.0], [3.0, 4.0]]);
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        for (body, texts) in [
            (r#"{"data":[]}"#, 1),
            (r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#, 2),
            (r#"{"data":[{"index":1,"embedding":[1]}]}"#, 1),
            (r#"{"data":[{"index":0,"embedding":"AAAA"}]}"#, 1),
            (r#"{"error":{"message":"no"}}"#, 1),
            ("not JSON", 1),
            (r#"{"data":[{"index":18446744073709551615,"embedding":[]}]}"#, 1),
        ] {
            assert!(matches!(read(body.as_bytes(), texts), Err(ProviderError::Unreadable(_))), "{body}");
        }
    }
}
