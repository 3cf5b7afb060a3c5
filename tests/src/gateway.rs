//! A gateway of its own for each scenario: its TPM, its state, its port.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{Client, Swtpm, Wallet, docker, program, run, shared};

/// The protocol's reference server.
pub const EVERYTHING: &str = r#"
[[server]]
name = "everything"
description = "The protocol's reference server"
categories = ["reference"]
package = "@modelcontextprotocol/server-everything"
version = "2026.8.31"
"#;

/// Reads and writes files below /data.
pub const FILESYSTEM: &str = r#"
[[server]]
name = "filesystem"
description = "Reads and writes files"
categories = ["files"]
package = "@modelcontextprotocol/server-filesystem"
version = "2026.8.31"
args = ["/data"]
scratch_dirs = ["/data"]
"#;

/// What differs between scenarios.
#[derive(Clone, Debug)]
pub struct Settings {
    /// TOML appended to the configuration: servers and sections.
    pub more: String,
    /// PCRs under which the keys are sealed.
    pub pcrs: String,
    /// The section `[development]`.
    pub development: String,
    /// Words of the log: `info`, `debug`.
    pub log: String,
    /// Whether the servers were installed before, as on a machine's second start.
    pub installed: bool,
    /// Variables of its environment, beside those of the test.
    pub environment: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            more: EVERYTHING.to_owned(),
            pcrs: "[4, 7, 11, 12, 13, 14]".to_owned(),
            development: "[development]\n".to_owned(),
            log: "info,tss_esapi=warn".to_owned(),
            installed: true,
            environment: Vec::new(),
        }
    }
}

impl Settings {
    /// The reference server, and these lines of TOML before it.
    pub fn everything_with(more: &str) -> Self {
        Self { more: format!("{more}\n{EVERYTHING}"), ..Self::default() }
    }
}

/// A running gateway. Dropping it ends it as an operator would, and its TPM.
pub struct Gateway {
    child: Option<Child>,
    log: PathBuf,
    base: String,
    words: String,
    /// Variables of its environment at the next start.
    pub environment: Vec<(String, String)>,
    directory: TempDir,
    /// Its TPM.
    pub tpm: Swtpm,
}

impl Gateway {
    /// Starts one with the reference server.
    pub fn start() -> Self {
        Self::with(&Settings::default())
    }

    /// Starts one with these lines of TOML: servers and sections.
    pub fn serving(more: &str) -> Self {
        Self::with(&Settings { more: more.to_owned(), ..Settings::default() })
    }

    /// Starts one with these settings.
    ///
    /// # Panics
    /// It does not start; its log is in the message.
    pub fn with(settings: &Settings) -> Self {
        let mut gateway = Self::prepared(settings);
        let made = run("enclave", &["keys", "init", "--config", &gateway.config()]);
        assert!(made.status.success(), "keys init: {}", String::from_utf8_lossy(&made.stderr));
        gateway.serve().unwrap_or_else(|log| panic!("the gateway did not start:\n{log}"));
        gateway
    }

    /// A gateway that is configured, but neither has keys nor runs.
    pub fn prepared(settings: &Settings) -> Self {
        let directory = TempDir::new().expect("a directory for the gateway");
        let tpm = Swtpm::start();
        let state = directory.path().join("state");
        fs::create_dir(&state).expect("a state directory");
        shared::processor(&state);
        if settings.installed {
            shared::servers(&state);
        }
        let config = format!(
            "listen = \"127.0.0.1:0\"\nstate_dir = {:?}\nplatform = \"simulated\"\n{}[tpm]\ntcti = {:?}\npcrs = {}\n{}",
            state,
            settings.development,
            tpm.tcti(),
            settings.pcrs,
            settings.more
        );
        fs::write(directory.path().join("enclave.toml"), config).expect("the configuration is written");
        let log = directory.path().join("gateway.log");
        let environment = settings.environment.clone();
        Self { child: None, log, base: String::new(), words: settings.log.clone(), environment, directory, tpm }
    }

    /// Its configuration file.
    pub fn config(&self) -> String {
        self.directory.path().join("enclave.toml").display().to_string()
    }

    /// A folder of this scenario's own.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Its address: `http://127.0.0.1:PORT`, or `https` where it has a section `[tls]`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Path of a server's own MCP endpoint.
    ///
    /// # Panics
    /// It has no server of this name.
    pub fn endpoint(&self, server: &str) -> String {
        format!("/mcp/server/{}", self.id(server))
    }

    /// The id of a server.
    ///
    /// # Panics
    /// It has no server of this name.
    pub fn id(&self, server: &str) -> String {
        let found = self.anonymous().get(&format!("/api/servers/{server}")).json();
        found["id"].as_str().unwrap_or_else(|| panic!("no server {server}: {found}")).to_owned()
    }

    /// An anonymous client.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.base)
    }

    /// An anonymous client with a session: containers of its own, kept between its calls.
    pub fn caller(&self) -> Client {
        self.anonymous().with("x-mcp-session", "the-session-of-one-caller")
    }

    /// A client that has logged in with a wallet of its own.
    pub fn member(&self) -> Client {
        Wallet::new().login(self)
    }

    /// Starts the configured gateway and waits until it serves.
    ///
    /// # Errors
    /// Its log, when it ended instead.
    pub fn serve(&mut self) -> Result<(), String> {
        let config = fs::read_to_string(self.config()).expect("the configuration");
        // After a reboot the TPM answers on other ports.
        let tcti = config.lines().find(|line| line.starts_with("tcti")).expect("a TPM").to_owned();
        fs::write(self.config(), config.replace(&tcti, &format!("tcti = {:?}", self.tpm.tcti()))).expect("written");
        let mut child = Command::new(program("enclave"))
            .args(["serve", "--config", &self.config()])
            .env("SEALGATE_LOG", &self.words)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway is started");
        let stderr = child.stderr.take().expect("piped");
        let (found, address) = mpsc::channel();
        let log = self.log.clone();
        thread::spawn(move || {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(log).expect("a log file");
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                use std::io::Write as _;
                let _full = writeln!(file, "{line}");
                if let Some((_, rest)) = line.split_once("the gateway serves address=") {
                    let _gone = found.send(rest.split_whitespace().next().unwrap_or_default().to_owned());
                }
            }
        });
        // A first install fetches packages; ten minutes is the engine's worst day. One that ends is heard at once.
        match address.recv_timeout(Duration::from_secs(600)) {
            Ok(address) => {
                let scheme = if config.contains("[tls]") { "https" } else { "http" };
                self.base = format!("{scheme}://{address}");
                self.child = Some(child);
                Ok(())
            }
            Err(_) => {
                let _ended = child.kill();
                let _status = child.wait();
                Err(self.log())
            }
        }
    }

    /// Ends it as an operator would and waits for its end.
    ///
    /// # Panics
    /// It does not end within a minute.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _sent = Command::new("kill").arg(child.id().to_string()).status();
        for _ in 0..600 {
            if child.try_wait().expect("its status").is_some() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ended = child.kill();
        let _status = child.wait();
        panic!("the gateway did not end within a minute:\n{}", self.log());
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the gateway is ours to end");
            child.wait().expect("it ended");
        }
    }

    /// The id of its process.
    ///
    /// # Panics
    /// It does not run.
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// `enclave doctor` with its configuration.
    pub fn doctor(&self, more: &[&str]) -> Output {
        let config = self.config();
        let mut arguments = vec!["doctor", "--config", &config];
        arguments.extend(more);
        run("enclave", &arguments)
    }

    /// `enclave serve` of a gateway that must refuse to start: what it says about it.
    ///
    /// # Panics
    /// It starts.
    pub fn refusal(&mut self) -> String {
        match self.serve() {
            Ok(()) => panic!("the gateway should not have started:\n{}", self.log()),
            Err(log) => log,
        }
    }

    /// Changes its configuration file.
    ///
    /// # Panics
    /// The text to replace is not in it.
    pub fn reconfigure(&self, from: &str, to: &str) {
        let config = fs::read_to_string(self.config()).expect("the configuration");
        assert!(config.contains(from), "{from:?} is not in the configuration:\n{config}");
        fs::write(self.config(), config.replacen(from, to, 1)).expect("the configuration is written");
    }

    /// Ids of its containers, running or not.
    pub fn containers(&self) -> Vec<String> {
        let state = fs::canonicalize(self.state()).expect("the state directory");
        let digest = Sha256::digest(state.as_os_str().as_encoded_bytes());
        let deployment = hex::encode(digest.get(..8).expect("32 bytes"));
        let listed = docker(&["ps", "-aq", "--filter", &format!("label=io.sealgate.deployment={deployment}")]);
        listed.lines().map(str::to_owned).collect()
    }

    /// The test root of its simulated processor, saved as a PEM file.
    pub fn test_root(&self) -> PathBuf {
        let report = self.anonymous().get("/api/attestation/report").json();
        let file = self.directory.path().join("test-root.pem");
        fs::write(&file, report["certificates"]["ark"].as_str().expect("a root")).expect("written");
        file
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.log());
        }
        self.stop();
    }
}
