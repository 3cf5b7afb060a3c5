//! The configuration file: what was typed, and what it means. Every fault is reported before a port is opened.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use evidence::{ServerId, core::Platform};
use serde::Deserialize;

use crate::catalogue::slug;

/// What was typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    listen: SocketAddr,
    state_dir: PathBuf,
    platform: String,
    #[serde(default)]
    allowed_hosts: Vec<String>,
    #[serde(default)]
    allowed_origins: Vec<String>,
    development: Option<RawDevelopment>,
    tpm: RawTpm,
    #[serde(default)]
    sandbox: RawSandbox,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    server: Vec<RawServer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDevelopment {
    token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTpm {
    tcti: String,
    pcrs: Vec<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSandbox {
    #[serde(default = "runc")]
    runtime: String,
    #[serde(default = "max_instances")]
    max_instances: usize,
    #[serde(default = "idle_stop_s")]
    idle_stop_s: u64,
}

impl Default for RawSandbox {
    fn default() -> Self {
        Self { runtime: runc(), max_instances: max_instances(), idle_stop_s: idle_stop_s() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    #[serde(default = "calls_at_once")]
    calls_at_once: usize,
    #[serde(default = "call_timeout_s")]
    call_timeout_s: u64,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self { calls_at_once: calls_at_once(), call_timeout_s: call_timeout_s() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServer {
    id: Option<String>,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    categories: Vec<String>,
    package: String,
    version: String,
    bin: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    scratch_dirs: Vec<String>,
}

fn runc() -> String {
    "runc".to_owned()
}

fn max_instances() -> usize {
    64
}

fn idle_stop_s() -> u64 {
    300
}

fn calls_at_once() -> usize {
    256
}

fn call_timeout_s() -> u64 {
    60
}

/// What it means.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where to listen. Loopback only, until TLS is built.
    pub(crate) listen: SocketAddr,
    /// Sealed blob, genesis, installed packages' records.
    pub(crate) state_dir: PathBuf,
    /// Where the machine runs.
    pub(crate) platform: Platform,
    /// Values of `Host` that are taken, beside loopback's.
    pub(crate) allowed_hosts: Vec<String>,
    /// Values of `Origin` that are taken, beside loopback's.
    pub(crate) allowed_origins: Vec<String>,
    /// The development principal's token. Only on a simulated platform.
    pub(crate) development_token: Option<String>,
    /// How to reach the TPM: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`.
    pub(crate) tpm_tcti: String,
    /// PCRs under which the keys are sealed, ascending.
    pub(crate) tpm_pcrs: Vec<u8>,
    /// `runc`, `runsc`
    pub(crate) runtime: sandbox::Runtime,
    /// Most containers at once.
    pub(crate) max_instances: usize,
    /// Seconds after which an idle container is stopped.
    pub(crate) idle_stop_s: u64,
    /// Most tool calls at once.
    pub(crate) calls_at_once: usize,
    /// Seconds that a server has for one answer.
    pub(crate) call_timeout_s: u64,
    /// The catalogue.
    pub(crate) servers: Vec<ServerEntry>,
}

/// One server of the catalogue, as configured.
#[derive(Clone, Debug)]
pub(crate) struct ServerEntry {
    /// Its id: the configured one, else made from the package's name.
    pub(crate) id: ServerId,
    /// Short name.
    pub(crate) name: String,
    /// One line for people.
    pub(crate) description: String,
    /// Words to find it by.
    pub(crate) categories: Vec<String>,
    /// npm package.
    pub(crate) package: String,
    /// Exact version.
    pub(crate) version: String,
    /// Which of the package's programs, if it has several.
    pub(crate) bin: Option<String>,
    /// Arguments of the program.
    pub(crate) args: Vec<String>,
    /// Directories that the server may write: empty at each start, in memory.
    pub(crate) scratch_dirs: Vec<String>,
}

/// A fault of the configuration file.
#[derive(Debug)]
pub(crate) struct ConfigError {
    file: PathBuf,
    what: String,
    fix: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\nfix: {}", self.file.display(), self.what, self.fix)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, what is wrong and how to fix it.
    pub(crate) fn read(file: &Path) -> Result<Self, ConfigError> {
        let fault = |what: String, fix: &str| ConfigError { file: file.to_owned(), what, fix: fix.to_owned() };
        let text = std::fs::read_to_string(file)
            .map_err(|error| fault(format!("cannot be read: {error}"), "name a readable file with --config"))?;
        let raw: RawConfig = toml::from_str(&text)
            .map_err(|error| fault(error.to_string().trim_end().to_owned(), "docs/CONFIG.md lists every setting"))?;
        Self::of(raw).map_err(|(what, fix)| fault(what, &fix))
    }

    fn of(raw: RawConfig) -> Result<Self, (String, String)> {
        let platform = Platform::of(&raw.platform).ok_or_else(|| {
            let fix = format!("choose one of {}", Platform::WORDS.join(", "));
            (format!("platform = {:?} is unknown", raw.platform), fix)
        })?;
        if !raw.listen.ip().is_loopback() {
            return Err((
                format!("listen = \"{}\" is not a loopback address", raw.listen),
                "plain HTTP is served on loopback only; listen on 127.0.0.1 and put a TLS front before it".to_owned(),
            ));
        }
        if platform == Platform::Simulated && raw.development.is_none() {
            return Err((
                "platform = \"simulated\" proves nothing and is refused".to_owned(),
                "add a section [development] if this machine is for development".to_owned(),
            ));
        }
        if platform != Platform::Simulated && raw.development.is_some() {
            return Err((
                format!("section [development] beside platform = {:?}", raw.platform),
                "remove the section: the development principal exists on the simulated platform only".to_owned(),
            ));
        }
        let runtime = [sandbox::Runtime::Runc, sandbox::Runtime::Runsc]
            .into_iter()
            .find(|runtime| runtime.name() == raw.sandbox.runtime);
        let runtime = runtime.ok_or_else(|| {
            (format!("sandbox.runtime = {:?} is unknown", raw.sandbox.runtime), "choose runc or runsc".to_owned())
        })?;
        let pcrs_fit = raw.tpm.pcrs.is_sorted_by(|a, b| a < b) && raw.tpm.pcrs.iter().all(|pcr| *pcr < 24);
        if !pcrs_fit || raw.tpm.pcrs.is_empty() {
            return Err((
                format!("tpm.pcrs = {:?}", raw.tpm.pcrs),
                "list PCR numbers from 0 to 23, ascending, for instance [4, 7, 11, 12, 13, 14]".to_owned(),
            ));
        }
        for (name, value) in
            [("sandbox.max_instances", raw.sandbox.max_instances), ("limits.calls_at_once", raw.limits.calls_at_once)]
        {
            if !(1..=100_000).contains(&value) {
                return Err((format!("{name} = {value}"), "choose 1 to 100000".to_owned()));
            }
        }
        if !(1..=3600).contains(&raw.limits.call_timeout_s) {
            return Err((
                format!("limits.call_timeout_s = {}", raw.limits.call_timeout_s),
                "choose 1 to 3600".to_owned(),
            ));
        }
        if raw.development.as_ref().and_then(|development| development.token.as_deref()).is_some_and(str::is_empty) {
            return Err((
                "development.token is empty: everybody could show it".to_owned(),
                "write a token, or leave the line away".to_owned(),
            ));
        }
        let servers = raw.server.into_iter().map(ServerEntry::of).collect::<Result<Vec<_>, _>>()?;
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for server in &servers {
            // The slug stands before the tools' names on /mcp: two servers of one slug could not be told apart there.
            let slug = crate::catalogue::slug(&server.name);
            if slug == "gateway" {
                let fix = "choose another name: the gateway's own tools begin with gateway__".to_owned();
                return Err((format!("server {:?} would stand before the gateway's own tools", server.name), fix));
            }
            for key in [server.id.to_string(), slug] {
                if let Some(other) = seen.insert(key.clone(), &server.name) {
                    let fix = "give each [[server]] its own name, and its own id if two share a package".to_owned();
                    return Err((format!("servers {other:?} and {:?} share {key:?}", server.name), fix));
                }
            }
        }
        Ok(Self {
            listen: raw.listen,
            state_dir: raw.state_dir,
            platform,
            allowed_hosts: raw.allowed_hosts,
            allowed_origins: raw.allowed_origins,
            development_token: raw.development.and_then(|development| development.token),
            tpm_tcti: raw.tpm.tcti,
            tpm_pcrs: raw.tpm.pcrs,
            runtime,
            max_instances: raw.sandbox.max_instances,
            idle_stop_s: raw.sandbox.idle_stop_s,
            calls_at_once: raw.limits.calls_at_once,
            call_timeout_s: raw.limits.call_timeout_s,
            servers,
        })
    }
}

impl ServerEntry {
    fn of(raw: RawServer) -> Result<Self, (String, String)> {
        let fits =
            |text: &str, most: usize| !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control);
        if !fits(&raw.name, 64) || !fits(&raw.package, 214) || !fits(&raw.version, 64) {
            return Err((
                format!("[[server]] name {:?}, package {:?}, version {:?}", raw.name, raw.package, raw.version),
                "each is 1 to 64 characters (a package 214) without control characters".to_owned(),
            ));
        }
        // The slug becomes part of its tools' names, which MCP 2026-07-28 spells in ASCII.
        let prefix = slug(&raw.name);
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err((
                format!("[[server]] name {:?} cannot stand in front of a tool's name", raw.name),
                "use letters and digits of ASCII, and @ / . _ - or blanks between them".to_owned(),
            ));
        }
        let id = raw.id.unwrap_or_else(|| {
            uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("npm:{}", raw.package).as_bytes()).to_string()
        });
        let id =
            id.parse().map_err(|error| (format!("[[server]] {}: {error}", raw.name), "leave id out".to_owned()))?;
        Ok(Self {
            id,
            name: raw.name,
            description: raw.description,
            categories: raw.categories,
            package: raw.package,
            version: raw.version,
            bin: raw.bin,
            args: raw.args,
            scratch_dirs: raw.scratch_dirs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        listen = "127.0.0.1:0"
        state_dir = "/tmp/x"
        platform = "simulated"
        [development]
        [tpm]
        tcti = "swtpm:host=127.0.0.1,port=2321"
        pcrs = [4, 7]
        [[server]]
        name = "everything"
        package = "@modelcontextprotocol/server-everything"
        version = "2026.8.31"
    "#;

    fn read(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_good_file_is_read_and_a_server_without_an_id_gets_the_same_one_each_time() {
        let (one, two) = (read(GOOD).unwrap(), read(GOOD).unwrap());
        assert_eq!(one.servers[0].id, two.servers[0].id);
    }

    #[test]
    fn every_fault_says_what_and_how_to_fix_it() {
        for (from, to, said) in [
            ("127.0.0.1:0", "0.0.0.0:80", "loopback"),
            ("\"simulated\"", "\"magic\"", "azure, gcp"),
            ("[development]", "", "add a section [development]"),
            ("\"simulated\"", "\"baremetal\"", "remove the section"),
            ("[4, 7]", "[7, 4]", "ascending"),
            ("[4, 7]", "[24]", "ascending"),
            ("listen", "lissten", "lissten"),
            ("\"everything\"", "\"\"", "1 to 64 characters"),
        ] {
            let error = read(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(said) && error.contains("fix: "), "{from} -> {to}: {error}");
        }
        for (name, said) in [("Gateway", "the gateway's own tools"), ("@every/thing", "share")] {
            let other = &GOOD[GOOD.find("[[server]]").unwrap()..];
            let other = other.replace("everything", name).replace("@modelcontextprotocol/server-", "");
            let good = GOOD.replace("name = \"everything\"", "name = \"every.thing\"");
            let error = read(&format!("{good}{other}")).unwrap_err();
            assert!(error.contains(said) && error.contains("fix: "), "{name}: {error}");
        }
        let twice = format!("{GOOD}{}", &GOOD[GOOD.find("[[server]]").unwrap()..]);
        assert!(read(&twice).unwrap_err().contains("share"));
        assert!(Config::read(Path::new("/nonexistent")).unwrap_err().to_string().contains("cannot be read"));
    }
}
