//! Another catalogue while the gateway runs: the configuration's servers are read again, what is new or changed is
//! installed, the next state is signed, and from then on requests see it. What has begun ends with what it began with.

use std::collections::BTreeSet;

use evidence::ServerId;

use crate::{
    app::{App, Live},
    boot,
    catalogue::{Catalogue, Server, slug},
    config::{Config, ConfigError, Environment, ServerEntry},
    semantic,
    states::ChainFault,
};

/// What came of it.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// Servers that were not there.
    pub(crate) added: Vec<ServerId>,
    /// Servers that are other ones now, or were looked at again.
    pub(crate) changed: Vec<ServerId>,
    /// Servers that are gone.
    pub(crate) removed: Vec<ServerId>,
    /// Containers that were taken out of use.
    pub(crate) invalidated: usize,
    /// The number of the state in force.
    pub(crate) seq: u64,
}

/// Why everything is as it was.
#[derive(Debug)]
pub(crate) enum ReloadError {
    /// Another one is under way.
    Busy,
    /// The configuration cannot be read.
    Config(ConfigError),
    /// What the configuration says cannot be put in force.
    Unfit {
        /// What.
        what: String,
        /// How to fix it.
        fix: String,
    },
    /// Neither the configuration nor the catalogue has this server.
    Unknown,
    /// A task of the gateway's own broke.
    Internal,
}

/// Puts the configuration's servers in force: all of them, or the one that `only` names.
///
/// # Errors
/// [`ReloadError`]; nothing has changed then.
pub(crate) async fn reload(live: &Live, only: Option<&str>) -> Result<Reloaded, ReloadError> {
    let app = live.now();
    let _alone = app.reloading.try_lock().map_err(|_| ReloadError::Busy)?;
    // Somebody else may have been at it until now.
    let app = live.now();
    let file = app.file.clone();
    let read = tokio::task::spawn_blocking(move || {
        let environment = Environment::of_this_process().map_err(|(what, fix)| ReloadError::Unfit { what, fix })?;
        Config::read(&file, environment).map_err(ReloadError::Config)
    });
    let entries = read.await.map_err(|_| ReloadError::Internal)??.servers;
    if app.config.payments.is_none()
        && let Some(priced) = entries.iter().find(|entry| entry.is_priced())
    {
        return Err(ReloadError::Unfit {
            what: format!("server {:?} has a price, and this gateway was started without [payments]", priced.name),
            fix: "restart the gateway with [payments], or take the price away".to_owned(),
        });
    }
    let only = only.map(|asked| named(&app, &entries, asked).ok_or(ReloadError::Unknown)).transpose()?;
    let wanted = wanted(&app, entries, only.as_ref())?;
    let (servers, mut done) = installed(&app, wanted, only.as_ref()).await;
    let price = app.config.payments.as_ref().map(|payments| payments.price).unwrap_or_default();
    let catalogue = Catalogue::new(servers, price).map_err(|error| ReloadError::Unfit {
        what: format!("the catalogue does not fit its profile: {error}"),
        fix: "rename the server, or leave it out".to_owned(),
    })?;
    let prices = boot::prices(&app.config, &catalogue).map_err(|failure| ReloadError::Unfit {
        what: failure.to_string(),
        fix: "use plain names of tools".to_owned(),
    })?;
    let attested = app.desk.attested();
    // Bundles carry the state before any proof names it.
    let state = attested
        .advance(catalogue.digest(), prices)
        .map_err(|fault: ChainFault| ReloadError::Unfit { what: fault.to_string(), fix: fault.fix().to_owned() })?;
    done.seq = attested.states().seq();
    live.replace(app.with(catalogue, state));
    tokio::spawn(semantic::keep_up(live.now()));
    let stale: Vec<ServerId> = done.changed.iter().chain(&done.removed).cloned().collect();
    done.invalidated = app.runner.retire(&stale).await;
    tracing::info!(
        added = done.added.len(),
        changed = done.changed.len(),
        removed = done.removed.len(),
        seq = done.seq,
        "the catalogue was read again"
    );
    Ok(done)
}

/// The server that is meant, by what the configuration says now or the catalogue said until now.
fn named(app: &App, entries: &[ServerEntry], asked: &str) -> Option<ServerId> {
    let lower = asked.to_lowercase();
    let fits = |entry: &&ServerEntry| {
        let names = [entry.id.to_string(), entry.name.to_lowercase(), slug(&entry.name)];
        names.contains(&lower) || entry.package.to_lowercase() == lower
    };
    let found = entries.iter().find(fits).map(|entry| entry.id.clone());
    found.or_else(|| app.catalogue.find(asked).ok().map(|server| server.entry.id.clone()))
}

/// The servers that there are to be, in the order of the configuration. Where one alone is meant, the others stay as they
/// are, and in their order.
fn wanted(app: &App, entries: Vec<ServerEntry>, only: Option<&ServerId>) -> Result<Vec<ServerEntry>, ReloadError> {
    let Some(id) = only else { return Ok(entries) };
    let own = entries.into_iter().find(|entry| entry.id == *id);
    let current = app.catalogue.servers().iter().map(|server| &server.entry);
    if let Some(own) = &own
        && let Some(other) = current.clone().find(|entry| entry.id != *id && slug(&entry.name) == slug(&own.name))
    {
        return Err(ReloadError::Unfit {
            what: format!(
                "server {:?} would share the name of server {:?}, which is there still",
                own.name, other.name
            ),
            fix: "reload all servers (POST /health/reload)".to_owned(),
        });
    }
    let is_new = current.clone().all(|entry| entry.id != *id);
    let mut wanted: Vec<ServerEntry> =
        current.filter_map(|entry| if entry.id == *id { own.clone() } else { Some(entry.clone()) }).collect();
    wanted.extend(own.filter(|_| is_new));
    Ok(wanted)
}

/// The servers of the next catalogue: those that are as they were, and what is new or changed, installed.
async fn installed(app: &App, wanted: Vec<ServerEntry>, only: Option<&ServerId>) -> (Vec<Server>, Reloaded) {
    let mut done = Reloaded { added: Vec::new(), changed: Vec::new(), removed: Vec::new(), invalidated: 0, seq: 0 };
    let still: BTreeSet<ServerId> = wanted.iter().map(|entry| entry.id.clone()).collect();
    let gone = app.catalogue.servers().iter().filter(|server| !still.contains(&server.entry.id));
    done.removed = gone.map(|server| server.entry.id.clone()).collect();
    let mut servers = Vec::with_capacity(wanted.len());
    for entry in wanted {
        let old = app.catalogue.by_id(&entry.id);
        // Who asks for one server wants it looked at again, whatever its entry says; who asks for all, what could not run.
        let is_meant = only == Some(&entry.id);
        let is_current = |old: &&Server| old.entry == entry && (only.is_some() || old.ready.is_ok());
        if let Some(old) = old.filter(is_current).filter(|_| !is_meant) {
            servers.push(old.clone());
            continue;
        }
        if old.is_some() { &mut done.changed } else { &mut done.added }.push(entry.id.clone());
        servers.push(app.runner.install_one(&entry).await);
    }
    (servers, done)
}
