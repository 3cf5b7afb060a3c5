//! `enclave`: the gateway. `enclave serve`, `enclave keys init`, `enclave doctor`.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that panics has failed")
)]

mod app;
mod boot;
mod build;
mod catalogue;
mod config;
mod conversation;
mod desk;
mod doctor;
mod enablement;
mod errand;
mod hardware;
mod http;
mod listener;
mod mcp;
mod notices;
mod pipeline;
mod provenance;
mod prover;
mod release;
mod reload;
mod runner;
mod self_check;
mod semantic;
mod served_script;
mod states;
mod till;
mod tls;
mod vault;
mod work;

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use config::{Config, Environment};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Hosts MCP servers in hardened containers and proves every tool call.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway until it is interrupted.
    Serve {
        /// The configuration file (docs/CONFIG.md).
        #[arg(long)]
        config: PathBuf,
    },
    /// The sealed keys.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Say what this machine offers, and what that proves.
    Doctor {
        /// The configuration file whose TPM is asked. Without one: /dev/tpmrm0.
        #[arg(long)]
        config: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// What this executable was made from, and who vouches for it.
    Provenance {
        #[command(subcommand)]
        command: provenance::ProvenanceCommand,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make the keys, once, and seal them to the TPM.
    Init {
        /// The configuration file (docs/CONFIG.md).
        #[arg(long)]
        config: PathBuf,
    },
    /// Print a request for a certificate (PKCS#10, PEM) of the sealed TLS key, for the names in [tls].
    Csr {
        /// The configuration file (docs/CONFIG.md).
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    if let Err(error) = platform::silence_tpm_library() {
        eprintln!("enclave: the TPM library stays talkative: {error}");
    }
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("SEALGATE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,tss_esapi=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let outcome = match arguments.command {
        Command::Serve { config } => read(&config).and_then(|read| run(read, config)),
        Command::Keys { command: KeysCommand::Init { config } } => {
            read(&config).and_then(|config| boot::init_keys(&config))
        }
        Command::Provenance { command } => command.run(),
        Command::Keys { command: KeysCommand::Csr { config } } => {
            read(&config).and_then(|config| boot::print_csr(&config))
        }
        Command::Doctor { config, json } => doctor::print(config.as_deref(), json),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("refused to start");
            // The reason goes to the terminal as it is, lines and all.
            eprintln!("enclave: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn read(file: &Path) -> Result<Config, boot::Failure> {
    let environment = Environment::of_this_process().map_err(|(what, fix)| boot::Failure::new(what, "", fix))?;
    Config::read(file, environment).map_err(boot::Failure::from)
}

fn run(config: Config, file: PathBuf) -> Result<(), boot::Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| boot::Failure::new("the async runtime could not be made", error, "free memory and threads"))?;
    runtime.block_on(app::run(config, file))
}
