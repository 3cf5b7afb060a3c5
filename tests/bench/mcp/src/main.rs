//! The gateway, the server that it hosts, and two peers in front of the same server, side by side: `scripts/bench mcp`.
//!
//! `bench-mcp MCP_PROXY SUPERGATEWAY`: the peers' programs. `SEALGATE_PROGRAMS` names the folder of our own.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that panics has failed")
)]

mod container;
mod figures;
mod line;
mod load;
mod message;
mod processor;
mod rows;
mod schedule;
mod subject;

use std::{env, io::Write as _, path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::LocalSet,
};

use figures::Figures;
use load::{Load, Numbers};
use message::{Era, Work};
use rows::{CONTAINED, MODERN, Measured, OURS, Outcome, PEERS, STDIO};
use subject::{OurGateway, Peer, Subject, call};

/// All connections.
const CONNECTIONS: usize = 32;

/// Each load is measured so often, all subjects in turn: what disturbs the machine disturbs them all.
const ROUNDS: usize = 5;

/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(2);

/// One pass of one subject.
const SATURATED: Duration = Duration::from_secs(2);
const PACED: Duration = Duration::from_secs(5);

/// What of the slowest subject's calls a second is asked for where the rate is given.
const SHARE: f64 = 0.5;

/// Stands in every answer of the gateway to a call.
const PROOF: &str = "\"io.sealgate/proof\"";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-mcp: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let mcp_proxy = arguments.next().context("which mcp-proxy? bench-mcp MCP_PROXY SUPERGATEWAY")?;
    let supergateway = arguments.next().context("which supergateway? bench-mcp MCP_PROXY SUPERGATEWAY")?;
    let gateway = OurGateway::start()?;
    let peers = [Peer::mcp_proxy(Path::new(&mcp_proxy)), Peer::supergateway(Path::new(&supergateway))];
    // One thread: the other processor is for whoever is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            measured = measure(&gateway, &peers) => measured,
            // What was started is ended in either case.
            told = interrupted() => Err(told.err().unwrap_or_else(|| anyhow::anyhow!("interrupted"))),
        }
    })?;
    let mut out = std::io::stdout().lock();
    for row in measured.rows() {
        writeln!(out, "{row}")?;
    }
    Ok(())
}

/// Ends when the process is asked to.
async fn interrupted() -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => Ok(told?),
        _ = terminated.recv() => Ok(()),
    }
}

/// A subject that may have failed before it was asked anything.
type Tried = (&'static str, Result<Subject, String>);

async fn measure(gateway: &OurGateway, peers: &[anyhow::Result<Peer>; 2]) -> anyhow::Result<Measured> {
    let (bare, _child) = Subject::bare().await?;
    let ours = Subject::http(OURS, gateway.endpoint(Era::Legacy), call("echo", PROOF), Default::default()).await?;
    let modern = Subject::http(MODERN, gateway.endpoint(Era::Modern), call("echo", PROOF), Default::default()).await?;
    let (contained, _container) = Subject::contained().await?;
    let mut subjects: Vec<Tried> =
        vec![(STDIO, Ok(bare)), (CONTAINED, Ok(contained)), (OURS, Ok(ours)), (MODERN, Ok(modern))];
    for ((name, peer), (tool, path)) in PEERS.into_iter().zip(peers).zip([("fixture/echo", "/"), ("echo", "/mcp")]) {
        let subject = match peer {
            Ok(peer) => Subject::http(name, peer.endpoint(path, Era::Legacy), call(tool, ""), peer.processes()).await,
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        subjects.push((name, subject.map_err(|error| format!("{error:#}"))));
    }
    let numbers = Numbers::default();
    for (name, subject) in &subjects {
        let warm = match subject {
            Ok(subject) => pass(subject, CONNECTIONS, Load::Saturated, &numbers, WARM_UP).await,
            Err(error) => Err(anyhow::anyhow!("{error}")),
        };
        match warm {
            Ok(figures) => eprintln!("{name}: warm, {:.0} calls/s", figures.rate().unwrap_or_default()),
            Err(error) => eprintln!("{name}: {error:#}"),
        }
    }
    let processes = gateway.processes()?;
    for (name, subject) in &mut subjects {
        if let (true, Ok(subject)) = (*name == OURS || *name == MODERN, subject) {
            subject.processes = processes.clone();
        }
    }
    let one = rounds(&subjects, 1, Load::Saturated, &numbers, SATURATED).await;
    let many = rounds(&subjects, CONNECTIONS, Load::Saturated, &numbers, SATURATED).await;
    let slowest = many.values().filter_map(|figures| figures.as_ref().ok()?.rate()).fold(f64::INFINITY, f64::min);
    let rate = (slowest * SHARE).min(10_000.0).round();
    let paced = rounds(&subjects, CONNECTIONS, Load::Paced { rate }, &numbers, PACED).await;
    let mut lists = Vec::new();
    if let Some((_, Ok(ours))) = subjects.iter().find(|(name, _)| *name == OURS) {
        let own = Work::List { with: "\"json_schema_2020_12_tool\"" };
        let meta = Work::List { with: "\"fixture__json_schema_2020_12_tool\"" };
        let of_server = ours.asked("tools/list, one server, 32 connections", None, own);
        let of_gateway = ours.asked("tools/list, 10,000 servers, one enabled, 32 connections", Some("/mcp"), meta);
        for subject in [of_server, of_gateway] {
            let figures = pass(&subject, CONNECTIONS, Load::Saturated, &numbers, SATURATED).await;
            lists.push((subject.name, figures.map_err(|error| format!("{error:#}"))));
        }
    }
    Ok(Measured { one, many, paced, rate, lists, connections: CONNECTIONS })
}

/// All subjects in turn, so often. Whoever fails is left out of the further rounds.
async fn rounds(subjects: &[Tried], connections: usize, load: Load, numbers: &Numbers, time: Duration) -> Outcome {
    let mut outcome: Outcome = subjects
        .iter()
        .map(|(name, subject)| (*name, subject.as_ref().map(|_| Figures::default()).map_err(String::clone)))
        .collect();
    for round in 0..ROUNDS {
        // Nobody always comes after the same one.
        for (name, subject) in subjects.iter().cycle().skip(round).take(subjects.len()) {
            let (Ok(subject), Some(Ok(so_far))) = (subject, outcome.get_mut(name)) else { continue };
            match pass(subject, connections, load, numbers, time).await {
                Ok(figures) => so_far.add(figures),
                Err(error) => {
                    eprintln!("{name}: {error:#}");
                    outcome.insert(name, Err(format!("{error:#}")));
                }
            }
        }
    }
    outcome
}

/// One load on one subject, over lines of its own.
async fn pass(
    subject: &Subject,
    connections: usize,
    load: Load,
    numbers: &Numbers,
    time: Duration,
) -> anyhow::Result<Figures> {
    let lines = subject.lines(connections).await?;
    let (own, engine) = subject.processes.time()?;
    let mut figures = load.run(lines, &subject.work, numbers, time).await?;
    let (own_after, engine_after) = subject.processes.time()?;
    figures.own = own_after.saturating_sub(own);
    figures.engine = engine_after.saturating_sub(engine);
    Ok(figures)
}
