//! The configuration file: what was typed, and what it means. Every fault is reported before a port is opened.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ::evidence::core::Platform;
use serde::Deserialize;

mod access;
mod evidence;
mod payments;
mod search;
mod server;

pub(crate) use self::evidence::EvidenceConfig;
pub(crate) use self::search::EmbeddingsConfig;
pub(crate) use access::{Environment, IdentityConfig, TlsConfig, VaultConfig};
pub(crate) use payments::{Network, PaymentsConfig};
pub(crate) use server::{PackageRegistry, ServerEntry};

/// What is wrong, and how to fix it.
type Fault = (String, String);

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
    public_url: Option<String>,
    development: Option<RawDevelopment>,
    tpm: RawTpm,
    #[serde(default)]
    evidence: evidence::RawEvidence,
    release: Option<RawRelease>,
    tls: Option<access::RawTls>,
    #[serde(default)]
    identity: access::RawIdentity,
    #[serde(default)]
    vault: access::RawVault,
    payments: Option<payments::RawPayments>,
    #[serde(default)]
    sandbox: RawSandbox,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    search: self::search::RawSearch,
    #[serde(default)]
    server: Vec<server::RawServer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDevelopment {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRelease {
    manifest: PathBuf,
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
    #[serde(default = "direct")]
    streams: String,
    #[serde(default = "max_instances")]
    max_instances: usize,
    #[serde(default = "idle_stop_s")]
    idle_stop_s: u64,
}

impl Default for RawSandbox {
    fn default() -> Self {
        Self { runtime: runc(), streams: direct(), max_instances: max_instances(), idle_stop_s: idle_stop_s() }
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

/// The one of these that a setting names.
fn one_of<T: Copy, const N: usize>(
    setting: &str,
    text: &str,
    these: [T; N],
    name: impl Fn(T) -> &'static str,
) -> Result<T, Fault> {
    these
        .into_iter()
        .find(|one| name(*one) == text)
        .ok_or_else(|| (format!("{setting} = {text:?} is unknown"), format!("choose {}", these.map(name).join(" or "))))
}

fn runc() -> String {
    "runc".to_owned()
}

fn direct() -> String {
    "direct".to_owned()
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
    /// Where to listen. Beyond loopback only with TLS.
    pub(crate) listen: SocketAddr,
    /// Sealed blob, genesis, installed packages' records.
    pub(crate) state_dir: PathBuf,
    /// Where the machine runs.
    pub(crate) platform: Platform,
    /// Values of `Host` that are taken, beside loopback's.
    pub(crate) allowed_hosts: Vec<String>,
    /// Values of `Origin` that are taken, beside loopback's.
    pub(crate) allowed_origins: Vec<String>,
    /// How callers reach the gateway, without a slash at the end; from where it listens if it is not said.
    pub(crate) public_url: Option<String>,
    /// How the listener shows itself; plain HTTP without.
    pub(crate) tls: Option<TlsConfig>,
    /// Who must sign.
    pub(crate) identity: IdentityConfig,
    /// Where secrets are kept.
    pub(crate) vault: VaultConfig,
    /// What calls cost; nothing without.
    pub(crate) payments: Option<PaymentsConfig>,
    /// How to reach the TPM: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`.
    pub(crate) tpm_tcti: String,
    /// PCRs under which the keys are sealed, ascending.
    pub(crate) tpm_pcrs: Vec<u8>,
    /// Where reports, quotes and certificates come from.
    pub(crate) evidence: EvidenceConfig,
    /// The signed manifest of the release that this gateway is, for its bundles to carry.
    pub(crate) release_manifest: Option<PathBuf>,
    /// `runc`, `runsc`
    pub(crate) runtime: sandbox::Runtime,
    /// `direct`, `engine`
    pub(crate) streams: sandbox::Streams,
    /// Most containers at once.
    pub(crate) max_instances: usize,
    /// Seconds after which an idle container is stopped.
    pub(crate) idle_stop_s: u64,
    /// Most tool calls at once.
    pub(crate) calls_at_once: usize,
    /// Seconds that a server has for one answer.
    pub(crate) call_timeout_s: u64,
    /// Who makes vectors for search by meaning; nobody without.
    pub(crate) embeddings: Option<EmbeddingsConfig>,
    /// The catalogue.
    pub(crate) servers: Vec<ServerEntry>,
}

/// A fault of the configuration file. Its text names the file, for whoever runs the gateway.
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

impl ConfigError {
    /// What is wrong, and how to fix it.
    pub(crate) fn into_parts(self) -> (String, String) {
        (self.what, self.fix)
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, what is wrong and how to fix it.
    pub(crate) fn read(file: &Path, environment: Environment) -> Result<Self, ConfigError> {
        let fault = |what: String, fix: &str| ConfigError { file: file.to_owned(), what, fix: fix.to_owned() };
        let text = std::fs::read_to_string(file)
            .map_err(|error| fault(format!("cannot be read: {error}"), "name a readable file with --config"))?;
        let raw: RawConfig = toml::from_str(&text)
            .map_err(|error| fault(error.to_string().trim_end().to_owned(), "docs/CONFIG.md lists every setting"))?;
        Self::of(raw, environment).map_err(|(what, fix)| fault(what, &fix))
    }

    fn of(raw: RawConfig, environment: Environment) -> Result<Self, Fault> {
        let platform = Platform::of(&raw.platform).ok_or_else(|| {
            let fix = format!("choose one of {}", Platform::WORDS.join(", "));
            (format!("platform = {:?} is unknown", raw.platform), fix)
        })?;
        if !raw.listen.ip().is_loopback() && raw.tls.is_none() {
            return Err((
                format!("listen = \"{}\" is not a loopback address, and there is no section [tls]", raw.listen),
                "add [tls] with names = [\"…\"], or listen on 127.0.0.1: plain HTTP is served on loopback only"
                    .to_owned(),
            ));
        }
        let scheme = if raw.tls.is_some() { "https://" } else { "http://" };
        if let Some(url) = &raw.public_url
            && (!url.starts_with(scheme) || url.ends_with('/') || url.len() > 256)
        {
            return Err((
                format!("public_url = {url:?}"),
                format!("write {scheme} and the name by which callers reach the gateway, without a slash at the end"),
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
                "remove the section: it admits a platform that proves nothing".to_owned(),
            ));
        }
        let runtimes = [sandbox::Runtime::Runc, sandbox::Runtime::Runsc];
        let runtime = one_of("sandbox.runtime", &raw.sandbox.runtime, runtimes, sandbox::Runtime::name)?;
        let ways = [sandbox::Streams::Direct, sandbox::Streams::Engine];
        let streams = one_of("sandbox.streams", &raw.sandbox.streams, ways, sandbox::Streams::name)?;
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
        let servers = raw.server.into_iter().map(ServerEntry::of).collect::<Result<Vec<_>, _>>()?;
        if raw.payments.is_none()
            && let Some(server) = servers.iter().find(|server| server.is_priced())
        {
            return Err((
                format!("[[server]] {:?} has a price, but there is no section [payments]", server.name),
                "add [payments] with pay_to and rpc, or take the price away".to_owned(),
            ));
        }
        let simulated = platform == Platform::Simulated;
        let identity = IdentityConfig::of(&raw.identity, &environment)?;
        let vault = VaultConfig::of(raw.vault, environment, simulated)?;
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for server in &servers {
            // The slug stands before the tools' names on /mcp; where two share one, their ids' digits tell them apart.
            let slug = crate::catalogue::slug(&server.name);
            if slug == "gateway" {
                let fix = "choose another name: the gateway's own tools begin with gateway__".to_owned();
                return Err((format!("server {:?} would stand before the gateway's own tools", server.name), fix));
            }
            for key in [server.id.to_string(), server.name.to_lowercase()] {
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
            public_url: raw.public_url,
            tls: raw.tls.map(TlsConfig::of).transpose()?,
            identity,
            vault,
            payments: raw.payments.map(PaymentsConfig::of).transpose()?,
            tpm_tcti: raw.tpm.tcti,
            tpm_pcrs: raw.tpm.pcrs,
            evidence: EvidenceConfig::of(raw.evidence, platform)?,
            release_manifest: raw.release.map(|release| release.manifest),
            runtime,
            streams,
            max_instances: raw.sandbox.max_instances,
            idle_stop_s: raw.sandbox.idle_stop_s,
            calls_at_once: raw.limits.calls_at_once,
            call_timeout_s: raw.limits.call_timeout_s,
            embeddings: EmbeddingsConfig::of(raw.search)?,
            servers,
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
        Config::read(file.path(), Environment::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_good_file_is_read_and_a_server_without_an_id_gets_the_same_one_each_time() {
        let (one, two) = (read(GOOD).unwrap(), read(GOOD).unwrap());
        assert_eq!(one.servers[0].id, two.servers[0].id);
    }

    #[test]
    fn a_folder_says_itself_which_package_it_is_and_may_stand_in_the_catalogue_twice() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("package.json"), r#"{"name":"own","version":"1.0.0"}"#).unwrap();
        let of = |name: &str| format!("[[server]]\nname = {name:?}\npath = {:?}\n", folder.path());
        let config = read(&format!("{GOOD}{}{}", of("one"), of("two"))).unwrap();
        let own: Vec<_> = config.servers.iter().skip(1).map(|server| (&*server.package, &*server.version)).collect();
        assert_eq!(own, [("own", "1.0.0"), ("own", "1.0.0")]);
        assert_ne!(config.servers[1].id, config.servers[2].id);
        for (more, said) in
            [("package = \"own\"", "names no package, or two"), ("version = \"1.0.0\"", "names no package, or two")]
        {
            let error = read(&format!("{GOOD}{}{more}", of("one"))).unwrap_err();
            assert!(error.contains(said) && error.contains("fix: "), "{more}: {error}");
        }
        let error = read(&format!("{GOOD}[[server]]\nname = \"own\"\npath = \"/nonexistent\"")).unwrap_err();
        assert!(error.contains("/nonexistent/package.json") && error.contains("fix: "), "{error}");
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
            (
                "[[server]]",
                "[[server]]\n        registry = \"cargo\"",
                "unknown variant `cargo`, expected `npm` or `pypi`",
            ),
        ] {
            let error = read(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(said) && error.contains("fix: "), "{from} -> {to}: {error}");
        }
        for (name, said) in [("Gateway", "the gateway's own tools"), ("Every.Thing", "share")] {
            let other = &GOOD[GOOD.find("[[server]]").unwrap()..];
            let other = other.replace("everything", name).replace("@modelcontextprotocol/server-", "");
            let good = GOOD.replace("name = \"everything\"", "name = \"every.thing\"");
            let error = read(&format!("{good}{other}")).unwrap_err();
            assert!(error.contains(said) && error.contains("fix: "), "{name}: {error}");
        }
        let slugs = GOOD.replace("name = \"everything\"", "name = \"every.thing\"");
        let other = GOOD[GOOD.find("[[server]]").unwrap()..].replace("\"everything\"", "\"@every/thing\"");
        let other = other.replace("@modelcontextprotocol/server-everything", "another");
        assert_eq!(read(&format!("{slugs}{other}")).unwrap().servers.len(), 2, "one slug, two names");
        let twice = format!("{GOOD}{}", &GOOD[GOOD.find("[[server]]").unwrap()..]);
        assert!(read(&twice).unwrap_err().contains("share"));
        let missing = Config::read(Path::new("/nonexistent"), Environment::default());
        assert!(missing.unwrap_err().to_string().contains("cannot be read"));
    }
}
