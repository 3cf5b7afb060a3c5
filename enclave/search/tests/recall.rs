//! Does a search find what people look for? A fixed catalogue, fixed queries, and a floor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test that panics has failed"
)]

use search::{Document, Index, Query, ToolText};
use serde::Deserialize;

/// Recall@10 as it was published (docs/BENCHMARKS.md) lies above this.
const FLOOR: f64 = 0.93;

#[derive(Deserialize)]
struct Server {
    name: String,
    description: String,
    categories: Vec<String>,
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
    description: String,
}

#[derive(Deserialize)]
struct Asked {
    query: String,
    expected: Vec<String>,
}

fn documents() -> Vec<Document> {
    let servers: Vec<Server> =
        serde_json::from_str(include_str!("../../../tests/vectors/search/catalogue.json")).unwrap();
    let tool = |tool: Tool| ToolText { name: tool.name, description: tool.description };
    let document = |server: Server| Document {
        id: String::new(),
        title: server.name.clone(),
        slug: server.name.clone(),
        name: server.name,
        package: String::new(),
        description: server.description,
        categories: server.categories,
        tools: server.tools.into_iter().map(tool).collect(),
    };
    servers.into_iter().map(document).collect()
}

#[test]
fn of_what_people_look_for_most_is_among_the_first_ten() {
    let (documents, asked): (_, Vec<Asked>) =
        (documents(), serde_json::from_str(include_str!("../../../tests/vectors/search/queries.json")).unwrap());
    assert!(documents.len() >= 300 && asked.len() == 100, "{} servers, {} queries", documents.len(), asked.len());
    let index = Index::build(&documents).unwrap();
    let (mut recall, mut reciprocal) = (0.0, 0.0);
    for Asked { query, expected } in &asked {
        assert!(expected.iter().all(|name| documents.iter().any(|one| one.name == *name)), "{expected:?}");
        let found = index.search(Query { text: query, category: None, limit: 10, offset: 0 }).unwrap();
        let names: Vec<&String> = found.hits.iter().map(|hit| &documents[hit.position].name).collect();
        let hits = expected.iter().filter(|name| names.contains(name)).count();
        recall += hits as f64 / expected.len() as f64;
        let first = names.iter().position(|name| expected.contains(name));
        reciprocal += first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64);
        if hits < expected.len() {
            let missed: Vec<_> = expected.iter().filter(|name| !names.contains(name)).collect();
            eprintln!("missed {missed:?} of {query:?}");
        }
    }
    let (recall, reciprocal) = (recall / asked.len() as f64, reciprocal / asked.len() as f64);
    eprintln!("recall@10 {recall:.3}, mean reciprocal rank {reciprocal:.3}");
    assert!(recall >= FLOOR, "recall@10 is {recall:.3}");
}
