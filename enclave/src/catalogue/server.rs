//! One server of the catalogue: what is known of it, and how it stands in lists.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use evidence::{
    UsdcAmount,
    json::{Name, Value, object},
    profile::to_hex,
    proof::RegistryDigest,
};
use gate::Refusal;

use super::naming::{self, BETWEEN, slug};
use crate::{config::ServerEntry, runner::Digests};

/// Where packages of the operator's own folders come from.
const LOCAL: &str = "local";

/// What a server's status can be.
pub(crate) const STATUSES: [&str; 2] = ["ready", "unavailable"];

/// One tool as its server lists it.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    /// Its name, as the server knows it.
    pub(crate) name: String,
    /// Its whole definition, as the server sent it.
    pub(crate) definition: Value,
}

/// One server of the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// As it is configured.
    pub(crate) entry: ServerEntry,
    /// What is needed to run it, or why it cannot run.
    pub(crate) ready: Result<Ready, String>,
    pub(super) shown: Shown,
    /// Which installation it is of, of all that this process made.
    pub(super) installation: u64,
}

/// How many installations there were.
static INSTALLATIONS: AtomicU64 = AtomicU64::new(0);

/// How a server stands in lists of the gateway, made once by its catalogue.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) prefix: String,
    /// Its tools under their names on `/mcp`, in its own order.
    pub(super) tools: Vec<Value>,
    /// Positions of its tools, by their own names and by those on `/mcp` without the prefix.
    pub(super) by_name: HashMap<String, usize>,
}

/// What is needed to run a server.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// What `sandbox` installed.
    pub(crate) installed: sandbox::InstalledServer,
    /// How it is started.
    pub(crate) launch: sandbox::LaunchSpec,
    /// Its tools, read at install.
    pub(crate) tools: Vec<Tool>,
    /// All that it offers, as it said itself.
    pub(crate) offers: crate::mcp::offers::Offers,
    /// What a proof names of it.
    pub(crate) digests: Digests,
}

impl Shown {
    pub(super) fn of(prefix: String, tools: &[Tool]) -> Self {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        let short = naming::tools(&prefix, &names);
        let shown = tools.iter().zip(&short).map(|(tool, short)| {
            let mut definition = tool.definition.clone();
            if let Value::Object(members) = &mut definition {
                for (_, value) in members.iter_mut().filter(|(name, _)| name == "name") {
                    *value = format!("{prefix}{BETWEEN}{short}").into();
                }
            }
            definition
        });
        let shown = shown.collect();
        // Own names last: they win over short ones.
        let own = names.iter().map(|name| (*name).to_owned());
        let by_name = short.iter().cloned().enumerate().chain(own.enumerate()).map(|(at, name)| (name, at)).collect();
        Self { prefix, tools: shown, by_name }
    }
}

impl Server {
    /// A server that stands in no catalogue yet.
    pub(crate) fn new(entry: ServerEntry, ready: Result<Ready, String>) -> Self {
        let installation = INSTALLATIONS.fetch_add(1, Ordering::Relaxed);
        Self { entry, ready, shown: Shown::default(), installation }
    }

    /// What is needed to run it.
    ///
    /// # Errors
    /// [`Refusal::ServerUnavailable`] with the reason found at install.
    pub(crate) fn ready(&self) -> Result<&Ready, Refusal> {
        self.ready
            .as_ref()
            .map_err(|why| Refusal::ServerUnavailable { server: self.entry.name.clone(), why: why.clone() })
    }

    /// Its tools; none if it cannot run.
    pub(crate) fn tools(&self) -> &[Tool] {
        self.ready.as_ref().map_or(&[], |ready| &ready.tools)
    }

    /// What stands before its tools' names, and before no other server's.
    pub(crate) fn prefix(&self) -> &str {
        &self.shown.prefix
    }

    /// Its tools as the gateway's own endpoint lists them.
    pub(crate) fn listed(&self) -> &[Value] {
        &self.shown.tools
    }

    /// The tool's own name, given that one or the one on `/mcp` without the prefix; what it is asked for where there is
    /// none.
    pub(crate) fn tool_named(&self, asked: &str) -> String {
        let tool = self.shown.by_name.get(asked).and_then(|at| self.tools().get(*at));
        tool.map_or_else(|| asked.to_owned(), |tool| tool.name.clone())
    }

    /// Whether this is one of its categories, upper and lower case alike.
    pub(crate) fn is_filed_under(&self, category: &str) -> bool {
        let category = category.trim().to_lowercase();
        self.entry.categories.iter().any(|own| own.to_lowercase() == category)
    }

    /// What is searched of it.
    pub(super) fn document(&self) -> search::Document {
        let text = |tool: &Tool| tool.definition.member("description").and_then(Value::as_str).map(str::to_owned);
        search::Document {
            id: self.entry.id.to_string(),
            name: self.entry.name.clone(),
            title: self.entry.name.clone(),
            slug: slug(&self.entry.name),
            package: self.entry.package.clone(),
            description: self.entry.description.clone(),
            categories: self.entry.categories.clone(),
            tools: self
                .tools()
                .iter()
                .map(|tool| search::ToolText { name: tool.name.clone(), description: text(tool).unwrap_or_default() })
                .collect(),
        }
    }

    /// Where its package comes from, as lists show it.
    pub(crate) fn registry_type(&self) -> &'static str {
        if self.entry.path.is_some() { LOCAL } else { self.entry.registry.as_str() }
    }

    /// How it is run, as lists show it.
    pub(crate) fn deployment_type(&self) -> &'static str {
        "local_tool"
    }

    /// Whether it can run, as lists show it: one of [`STATUSES`].
    pub(crate) fn status(&self) -> &'static str {
        let [ready, unavailable] = STATUSES;
        if self.ready.is_ok() { ready } else { unavailable }
    }

    /// `name@version` of its package.
    pub(crate) fn package_at_version(&self) -> String {
        format!("{}@{}", self.entry.package, self.entry.version)
    }

    /// The object that lists show.
    pub(crate) fn summary(&self) -> Vec<(Name, Value)> {
        let members = [
            ("id", self.entry.id.as_str().into()),
            ("name", self.entry.name.as_str().into()),
            ("slug", self.prefix().into()),
            ("title", self.entry.name.as_str().into()),
            ("description", self.entry.description.as_str().into()),
            ("version", self.entry.version.as_str().into()),
            ("package", self.entry.package.as_str().into()),
            ("registryType", self.registry_type().into()),
            ("deploymentType", self.deployment_type().into()),
            ("transportType", "stdio".into()),
            ("toolsCount", (self.tools().len() as u64).into()),
            ("categories", Value::Array(self.entry.categories.iter().map(|c| c.as_str().into()).collect())),
            ("secretsRequired", Value::Array(self.required_secrets().map(Value::from).collect())),
            ("secretsOptional", Value::Array(self.optional_secrets().map(Value::from).collect())),
            (
                "secrets",
                Value::Array(
                    self.entry
                        .secrets
                        .iter()
                        .map(|secret| {
                            object([
                                ("name", secret.name.as_str().into()),
                                ("description", secret.description.as_str().into()),
                                ("required", secret.required.into()),
                            ])
                        })
                        .collect(),
                ),
            ),
            ("gatewayCompatible", self.ready.is_ok().into()),
            ("canRun", self.ready.is_ok().into()),
            ("status", self.status().into()),
        ];
        let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name.into(), value)).collect();
        if let Err(why) = &self.ready {
            members.push(("gatewayNotes".into(), why.as_str().into()));
        }
        members
    }

    /// What its tools cost, where it has prices of its own: what the state's digest of the prices covers.
    pub(crate) fn prices(&self) -> Option<Value> {
        if self.entry.price.is_none() && self.entry.tool_prices.is_empty() {
            return None;
        }
        let units = |amount: &UsdcAmount| Value::from(amount.units().to_string());
        let tools = self.entry.tool_prices.iter();
        let tools = tools.map(|(tool, amount)| object([("tool", tool.as_str().into()), ("units", units(amount))]));
        Some(object([
            ("id", self.entry.id.as_str().into()),
            ("units", self.entry.price.as_ref().map_or(Value::Null, units)),
            ("tools", Value::Array(tools.collect())),
        ]))
    }

    /// Names of the secrets without which it does not run.
    pub(crate) fn required_secrets(&self) -> impl Iterator<Item = &str> {
        self.entry.secrets.iter().filter(|secret| secret.required).map(|secret| secret.name.as_str())
    }

    /// Names of the secrets that it takes if they are there.
    pub(crate) fn optional_secrets(&self) -> impl Iterator<Item = &str> {
        self.entry.secrets.iter().filter(|secret| !secret.required).map(|secret| secret.name.as_str())
    }

    /// What the state commits to of this server.
    pub(super) fn commitment(&self) -> Value {
        let digests = self.ready.as_ref().ok().map(|ready| ready.digests);
        let hex = |digest: Option<&[u8]>| digest.map_or(Value::Null, to_hex);
        object([
            ("id", self.entry.id.as_str().into()),
            ("package", self.package_at_version().into()),
            ("registryDigest", hex(digests.as_ref().and_then(|d| d.registry.as_ref()).map(RegistryDigest::as_bytes))),
            ("lockDigest", hex(digests.as_ref().and_then(|d| d.lock.as_ref()).map(|d| &d[..]))),
            ("imageDigest", hex(digests.as_ref().map(|d| &d.image[..]))),
            ("tools", Value::Array(self.tools().iter().map(|tool| tool.name.as_str().into()).collect())),
        ])
    }
}
