//! Search by meaning.

use utoipa::ToSchema;

/// What is looked for.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({"query": "read and write files", "limit": 20})))]
pub(crate) struct SemanticQuestion {
    /// A sentence.
    query: String,
    /// Most results, 20 if not said.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<u64>,
    /// Only servers filed under this.
    category: Option<String>,
    /// `server`, `agent` or `all`. This gateway has no agents.
    r#type: Option<String>,
    /// Understood, and without effect.
    include_agents: Option<bool>,
}

/// What was found.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "results": [{
        "id": "8e6c5ab2-4f60-5c9e-9a3b-3f1f0c2f7d10", "name": "filesystem", "title": "filesystem",
        "description": "Reads and writes files", "type": "server", "score": 0.032787, "semanticScore": 0.871,
        "textScore": 9.25, "matchReason": "words and meaning match", "categories": ["files"], "toolCount": 14,
        "isEnabled": false,
    }],
    "query": "read and write files", "totalResults": 1, "searchMode": "hybrid",
    "embeddingStats": {"enabled": true, "model": "a-model", "dimensions": 768, "totalServers": 2, "embeddedServers": 2},
    "latencyMs": 12,
})))]
pub(crate) struct SemanticAnswer {
    /// Best first.
    results: Vec<SemanticResult>,
    query: String,
    /// How many there are in all.
    total_results: u64,
    /// `hybrid`: words and meanings. `text`: words alone, where no embeddings are configured or their service is silent.
    search_mode: String,
    embedding_stats: EmbeddingStats,
    latency_ms: u64,
}

/// One server.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct SemanticResult {
    id: String,
    name: String,
    title: String,
    /// At most 300 characters.
    description: String,
    /// `server`
    r#type: String,
    /// Reciprocal rank fusion, k = 60.
    score: f64,
    /// Cosine of the angle between the meanings; `null` where meanings did not find it.
    semantic_score: Option<f64>,
    /// BM25; `null` where words did not find it.
    text_score: Option<f64>,
    match_reason: String,
    categories: Vec<String>,
    tool_count: u64,
    /// Whether the caller has it on.
    is_enabled: bool,
}

/// What meanings are made with.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct EmbeddingStats {
    enabled: bool,
    model: Option<String>,
    dimensions: Option<u64>,
    total_servers: u64,
    embedded_servers: u64,
}
