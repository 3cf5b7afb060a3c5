//! How long ten thousand servers take: no test, a measurement. `scripts/bench search` runs it and reads its lines.

use std::{collections::BTreeMap, io::Write as _, time::Instant};

use evidence::{
    UsdcAmount,
    json::{Value, object},
};

use super::{Catalogue, Server, Shown, Tool};
use crate::config::ServerEntry;

const SERVERS: usize = 10_000;
const SEARCHES: usize = 5_000;

/// Words that servers and queries are made of: some in nearly all, some in few, as in a language.
const WORDS: [&str; 60] = [
    "data",
    "api",
    "search",
    "file",
    "query",
    "cloud",
    "manage",
    "list",
    "create",
    "read",
    "message",
    "image",
    "code",
    "project",
    "document",
    "database",
    "issue",
    "calendar",
    "email",
    "payment",
    "weather",
    "map",
    "translate",
    "audio",
    "video",
    "test",
    "deploy",
    "monitor",
    "log",
    "metric",
    "container",
    "cluster",
    "ticket",
    "customer",
    "invoice",
    "product",
    "order",
    "stock",
    "news",
    "feed",
    "note",
    "task",
    "graph",
    "vector",
    "model",
    "prompt",
    "browser",
    "screenshot",
    "page",
    "form",
    "table",
    "sheet",
    "chart",
    "wallet",
    "token",
    "contract",
    "block",
    "game",
    "music",
    "recipe",
];

/// A sequence that is the same each time.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % below
    }

    /// The first words come far more often than the last.
    fn word(&mut self) -> &'static str {
        let most = self.next(WORDS.len()) + 1;
        WORDS[self.next(most)]
    }

    fn words(&mut self, count: usize) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

fn server(n: usize, sequence: &mut Sequence) -> Server {
    let entry = ServerEntry {
        id: format!("{:08x}-6b5c-5f7d-9c1e-{n:012x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff).parse().unwrap(),
        name: format!("{}-{}-{n}", sequence.word(), sequence.word()),
        description: sequence.words(20),
        categories: vec![sequence.word().to_owned()],
        registry: crate::config::PackageRegistry::Npm,
        package: format!("@scope-{}/{}-mcp-{n}", n % 997, sequence.word()),
        version: "1.0.0".to_owned(),
        path: None,
        bin: None,
        args: Vec::new(),
        scratch_dirs: Vec::new(),
        price: None,
        tool_prices: BTreeMap::new(),
        secrets: Vec::new(),
    };
    Server::new(entry, Err("not installed".to_owned()))
}

/// Tools as servers have them: a sentence and a schema of four properties.
fn tools(sequence: &mut Sequence) -> Vec<Tool> {
    let text = |description: String| object([("type", "string".into()), ("description", description.into())]);
    let tool = |n: usize, sequence: &mut Sequence| {
        let name = format!("{}_{}_{n}", sequence.word(), sequence.word());
        let properties =
            (0..4).map(|n| (format!("{}{n}", sequence.word()).into(), text(sequence.words(8)))).collect::<Vec<_>>();
        let schema = object([("type", "object".into()), ("properties", Value::Object(properties))]);
        let definition = object([
            ("name", name.as_str().into()),
            ("description", sequence.words(15).into()),
            ("inputSchema", schema),
        ]);
        Tool { name, definition }
    };
    (0..4 + sequence.next(8)).map(|n| tool(n, sequence)).collect()
}

/// Microseconds of each of many repetitions, ascending.
fn microseconds(count: usize, mut work: impl FnMut(usize)) -> Vec<f64> {
    let mut times: Vec<f64> = (0..count)
        .map(|n| {
            let begun = Instant::now();
            work(n);
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn say(name: &str, value: f64, unit: &str, budget: Option<f64>) {
    let number = |number: f64| Value::Number(format!("{number:.3}"));
    let line = object([
        ("name", name.into()),
        ("value", number(value)),
        ("unit", unit.into()),
        ("budget", budget.map_or(Value::Null, number)),
        ("met", budget.map_or(Value::Null, |budget| (value <= budget).into())),
        ("against", Value::Null),
    ]);
    writeln!(std::io::stdout(), "measured {}", line.to_text()).unwrap();
}

fn both(name: &str, times: &[f64]) {
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)] / 1000.0;
    say(&format!("{name}, p50"), at(50), "ms", None);
    say(&format!("{name}, p99"), at(99), "ms", Some(5.0));
}

#[test]
#[ignore = "a measurement: scripts/bench search"]
fn ten_thousand_servers() {
    let mut sequence = Sequence(7);
    let servers: Vec<Server> = (0..SERVERS).map(|n| server(n, &mut sequence)).collect();
    let mut catalogue = Catalogue::new(servers, UsdcAmount::default()).unwrap();
    // Nothing is installed here, so the tools come beside their servers, into the places that a catalogue fills.
    let tools: Vec<Vec<Tool>> = (0..SERVERS).map(|_| tools(&mut sequence)).collect();
    let documents = catalogue.servers.iter().zip(&tools).map(|(server, tools)| {
        let text = |tool: &Tool| search::ToolText {
            name: tool.name.clone(),
            description: tool.definition.member("description").and_then(Value::as_str).unwrap().to_owned(),
        };
        search::Document { tools: tools.iter().map(text).collect(), ..server.document() }
    });
    let documents: Vec<search::Document> = documents.collect();
    let begun = Instant::now();
    catalogue.index = search::Index::build(&documents).unwrap();
    say("index of 10,000 servers with 75,000 tools, made", begun.elapsed().as_secs_f64() * 1e3, "ms", None);
    for (server, tools) in catalogue.servers.iter_mut().zip(&tools) {
        server.shown = Shown::of(server.shown.prefix.clone(), tools);
    }
    let catalogue = catalogue;
    for (name, words) in [("one word", 1), ("three words", 3), ("sixteen words", 16)] {
        let queries: Vec<String> = (0..SEARCHES).map(|_| sequence.words(words)).collect();
        let times = microseconds(SEARCHES, |n| {
            let found = catalogue.page(&queries[n], None, 20, 0);
            let shown = found.servers.iter().map(|server| Value::Object(server.summary())).collect();
            assert!(
                !object([("total", (found.total as u64).into()), ("servers", Value::Array(shown))])
                    .to_text()
                    .is_empty()
            );
        });
        both(&format!("search, {name}, 20 of 10,000 as JSON"), &times);
    }
    let times = microseconds(SEARCHES, |n| {
        let name = &catalogue.servers()[n % SERVERS].entry.name;
        assert!(catalogue.find(name).is_ok());
    });
    both("a server by its name", &times);
    let times = microseconds(SEARCHES / 10, |n| assert!(catalogue.find(&format!("mesage-quary-{n}x")).is_err()));
    both("a slip of a name, with what was meant", &times);
    let enabled: Vec<_> = catalogue.servers().iter().take(20).map(|server| server.entry.id.clone()).collect();
    let times = microseconds(SEARCHES, |_| {
        let mut tools = catalogue.meta_tools().to_vec();
        for server in enabled.iter().filter_map(|id| catalogue.by_id(id)) {
            tools.extend_from_slice(server.listed());
        }
        assert!(!object([("tools", Value::Array(tools))]).to_text().is_empty());
    });
    both("tools/list with 20 servers enabled as JSON", &times);
    let times = microseconds(SEARCHES, |_| {
        let tools = Value::Array(catalogue.meta_tools().to_vec());
        assert!(!object([("tools", tools)]).to_text().is_empty());
    });
    both("tools/list with nothing enabled as JSON", &times);
}
