//! What was measured, as rows: `name`, `unit`, `value` (the gateway, a client of 2025-11-25), `modern` (the same, a client of
//! 2026-07-28), `against` (all others by name), `budget`, `met`, `ahead` (of every peer), `failed` (why a figure is missing).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::figures::Figures;

/// The server over its own pipe.
pub(crate) const STDIO: &str = "stdio";
/// The server in a container, over the engine's stream.
pub(crate) const CONTAINED: &str = "container";
/// The gateway, with a client as the peers know them.
pub(crate) const OURS: &str = "gateway";
/// The gateway, with a client of 2026-07-28.
pub(crate) const MODERN: &str = "gateway, 2026-07-28";
/// The peers.
pub(crate) const PEERS: [&str; 2] = ["mcp-proxy", "supergateway"];

/// One load: what came of it for each subject, by name.
pub(crate) type Outcome = BTreeMap<&'static str, Result<Figures, String>>;

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// One connection.
    pub(crate) one: Outcome,
    /// All connections, as fast as they are answered.
    pub(crate) many: Outcome,
    /// All connections, at a rate.
    pub(crate) paced: Outcome,
    /// That rate, calls a second.
    pub(crate) rate: f64,
    /// Lists of the gateway's, by name of the row.
    pub(crate) lists: Vec<(&'static str, Result<Figures, String>)>,
    /// How many connections are all.
    pub(crate) connections: usize,
}

/// Whether less or more is better.
#[derive(Clone, Copy, PartialEq)]
enum Better {
    Less,
    More,
}

/// A figure of figures.
type Figure = fn(&Figures) -> Option<f64>;

impl Measured {
    /// The rows.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let p50: Figure = |figures| figures.percentile(50);
        let p99: Figure = |figures| figures.percentile(99);
        let (less, more) = (Better::Less, Better::More);
        let paced = format!("{} connections, {:.0} calls/s", self.connections, self.rate);
        let many = format!("{} connections, saturated", self.connections);
        let mut rows = vec![
            added(&format!("{paced}: added p50"), &self.paced, p50, 0.5),
            added(&format!("{paced}: added p99"), &self.paced, p99, 2.0),
            row(&format!("{paced}: p50"), "ms", &self.paced, p50, less),
            row(&format!("{paced}: p99"), "ms", &self.paced, p99, less),
            row(&format!("{many}: p50"), "ms", &self.many, p50, less),
            row(&format!("{many}: p99"), "ms", &self.many, p99, less),
            row(&format!("{many}: calls"), "1/s", &self.many, Figures::rate, more),
            row(&format!("{many}: calls a core, own process"), "1/s", &self.many, Figures::per_core, more),
            row(
                &format!("{many}: calls a core, with the engine's"),
                "1/s",
                &self.many,
                Figures::per_core_with_engine,
                more,
            ),
            row("1 connection: p50", "ms", &self.one, p50, less),
            row("1 connection: p99", "ms", &self.one, p99, less),
            row("1 connection: calls", "1/s", &self.one, Figures::rate, more),
        ];
        for (name, figures) in &self.lists {
            for (what, unit, figure) in
                [("p50", "ms", p50), ("p99", "ms", p99), ("lists", "1/s", Figures::rate as Figure)]
            {
                let value = figures.as_ref().ok().and_then(figure);
                let failed: Map<_, _> =
                    figures.as_ref().err().map(|why| (OURS.to_owned(), json!(why))).into_iter().collect();
                rows.push(json!({
                    "name": format!("{name}: {what}"), "unit": unit, "value": value.map(rounded), "modern": null,
                    "against": {}, "budget": null, "met": null, "ahead": null, "failed": failed,
                }));
            }
        }
        rows
    }
}

/// A figure of every subject.
fn row(name: &str, unit: &str, outcome: &Outcome, figure: Figure, better: Better) -> Value {
    let of = |subject: &str| outcome.get(subject).and_then(|figures| figures.as_ref().ok()).and_then(figure);
    written(name, unit, outcome, of, better, None)
}

/// A figure of every subject, less that of the server over its own pipe.
fn added(name: &str, outcome: &Outcome, figure: Figure, budget: f64) -> Value {
    let of = |subject: &str| outcome.get(subject).and_then(|figures| figures.as_ref().ok()).and_then(figure);
    let bare = of(STDIO);
    let added = |subject: &str| if subject == STDIO { None } else { Some(of(subject)? - bare?) };
    written(name, "ms", outcome, added, Better::Less, Some(budget))
}

fn written(
    name: &str,
    unit: &str,
    outcome: &Outcome,
    of: impl Fn(&str) -> Option<f64>,
    better: Better,
    budget: Option<f64>,
) -> Value {
    let (value, modern) = (of(OURS), of(MODERN));
    let against: Map<_, _> = [STDIO, CONTAINED]
        .iter()
        .chain(&PEERS)
        .map(|other| ((*other).to_owned(), json!(of(other).map(rounded))))
        .collect();
    let failed: Map<_, _> = outcome
        .iter()
        .filter_map(|(subject, figures)| Some(((*subject).to_owned(), json!(figures.as_ref().err()?))))
        .collect();
    // Both clients keep the budget, or it is not kept.
    let met = budget.map(|budget| [value, modern].iter().all(|found| found.is_some_and(|found| found <= budget)));
    let is_ahead = |ours: f64, peer: f64| if better == Better::Less { ours < peer } else { ours > peer };
    // Nobody is ahead of one that was not measured.
    let ahead = PEERS.iter().all(|peer| value.zip(of(peer)).is_some_and(|(ours, peer)| is_ahead(ours, peer)));
    json!({
        "name": name, "unit": unit, "value": value.map(rounded), "modern": modern.map(rounded), "against": against,
        "budget": budget, "met": met, "ahead": ahead, "failed": failed,
    })
}

/// Three places behind the point.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn figures(millis: u64) -> Figures {
        Figures::new(vec![Duration::from_millis(millis); 10], Duration::from_secs(1))
    }

    fn outcome(millis: [u64; 5]) -> Outcome {
        let subjects = [STDIO, OURS, MODERN, PEERS[0], PEERS[1]];
        subjects.into_iter().zip(millis).map(|(name, millis)| (name, Ok(figures(millis)))).collect()
    }

    fn measured(paced: Outcome) -> Measured {
        Measured {
            one: outcome([1, 2, 2, 3, 4]),
            many: outcome([1, 2, 2, 3, 4]),
            paced,
            rate: 400.0,
            lists: vec![("tools/list", Ok(figures(1)))],
            connections: 32,
        }
    }

    #[test]
    fn every_row_is_there_with_its_members() {
        let rows = measured(outcome([1, 2, 2, 3, 4])).rows();
        assert_eq!(rows.len(), 15);
        for row in &rows {
            assert!(row["value"].is_number() || row["name"].as_str().unwrap().contains("a core"), "{row}");
            for member in ["name", "unit", "modern", "against", "budget", "met", "ahead", "failed"] {
                assert!(row.get(member).is_some(), "{member} is missing in {row}");
            }
        }
        assert_eq!(rows[0]["name"], "32 connections, 400 calls/s: added p50");
        assert_eq!(rows[0]["value"], 1.0, "2 less the 1 of stdio");
        assert_eq!(
            rows[0]["against"],
            json!({"stdio": null, "container": null, "mcp-proxy": 2.0, "supergateway": 3.0})
        );
        assert_eq!(rows[0]["ahead"], true);
    }

    #[test]
    fn a_budget_is_kept_by_both_clients_or_not_at_all() {
        let met = |paced| measured(outcome(paced)).rows()[1]["met"].clone();
        assert_eq!(met([1, 3, 3, 4, 4]), true);
        assert_eq!(met([1, 3, 4, 5, 5]), false);
        assert_eq!(met([1, 4, 3, 5, 5]), false);
    }

    #[test]
    fn whoever_failed_is_named_and_nobody_is_ahead_of_them() {
        let mut paced = outcome([1, 2, 2, 3, 4]);
        paced.insert("supergateway", Err("connect: refused".to_owned()));
        let rows = measured(paced).rows();
        assert_eq!(rows[2]["failed"], json!({"supergateway": "connect: refused"}));
        assert_eq!(rows[2]["against"]["supergateway"], Value::Null);
        assert_eq!(rows[2]["ahead"], false);
        assert_eq!(rows[4]["ahead"], true, "in other loads it did not fail");
    }
}
