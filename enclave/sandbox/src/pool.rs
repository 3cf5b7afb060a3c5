//! Running servers, one container per server and principal, started once however many ask at the same time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use evidence::ServerId;
use gate::Warrant;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::{
    InstalledServer, LaunchSpec, Sandbox,
    stdio::{Answer, Session, SessionError},
};

/// How many containers, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Containers at a time, over all servers and principals.
    pub cap: usize,
    /// A server that nobody asked anything for this long is ended.
    pub idle: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { cap: 64, idle: Duration::from_secs(300) }
    }
}

/// Whose container of which server. Containers are never shared between principals: servers keep state.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PoolKey {
    /// The server.
    pub server: ServerId,
    /// An authenticated name, never a connection or a token: those change, and each would get a container.
    pub principal: String,
}

/// The running servers. Cheap to clone. [`Pool::stop`] ends them all; so does the end of the last clone.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sandbox: Sandbox,
    config: PoolConfig,
    places: Arc<Semaphore>,
    slots: Mutex<HashMap<PoolKey, Arc<Slot>>>,
    stopping: AtomicBool,
}

/// Who starts a server holds the lock; who comes meanwhile waits for it and finds the server started.
#[derive(Debug, Default)]
struct Slot(tokio::sync::Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    running: Option<Running>,
    /// When the last start failed, and how: those who waited for it get its error and do not all try again.
    failed: Option<(Instant, SessionError)>,
}

#[derive(Debug)]
struct Running {
    session: Arc<Session>,
    /// Of image, arguments and environment: a changed secret needs a new container.
    fingerprint: [u8; 32],
    used: Instant,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// An empty pool. Must be called within a tokio runtime.
    pub fn new(sandbox: Sandbox, config: PoolConfig) -> Self {
        let places = Arc::new(Semaphore::new(config.cap));
        let inner =
            Arc::new(Inner { sandbox, config, places, slots: Mutex::default(), stopping: AtomicBool::new(false) });
        tokio::spawn(end_idle(Arc::downgrade(&inner), config.idle));
        Self { inner }
    }

    /// One request to a server, which is started if it does not run.
    ///
    /// # Errors
    /// Any [`SessionError`]. A server that ended or hangs is started anew by the next call.
    #[expect(clippy::too_many_arguments, reason = "who, whose, what, how, and the request's own three parts")]
    pub async fn call(
        &self,
        warrant: &Warrant,
        principal: &str,
        server: &InstalledServer,
        spec: &LaunchSpec,
        method: &str,
        params: Option<&RawValue>,
        limit: Duration,
    ) -> Result<Answer, SessionError> {
        let session = self.session(warrant, principal, server, spec).await?;
        match session.request(method, params, limit).await {
            // It ended between our look and our request, so nothing ran: one more start is safe.
            Err(SessionError::NotSent(_)) => {
                drop(session);
                let session = self.session(warrant, principal, server, spec).await?;
                session.request(method, params, limit).await
            }
            other => other,
        }
    }

    /// The running server of a principal, started if need be. Holding it keeps it from being ended as idle.
    ///
    /// # Errors
    /// It cannot be started, or all places are taken.
    pub async fn session(
        &self,
        warrant: &Warrant,
        principal: &str,
        server: &InstalledServer,
        spec: &LaunchSpec,
    ) -> Result<Arc<Session>, SessionError> {
        let asked = Instant::now();
        let key = PoolKey { server: server.server().clone(), principal: principal.to_owned() };
        let slot = self.inner.slots().entry(key).or_default().clone();
        let fingerprint = fingerprint(server, spec);
        let mut content = slot.0.lock().await;
        if self.inner.stopping.load(Ordering::Relaxed) {
            return Err(SessionError::Stopping);
        }
        if let Some(running) = &mut content.running {
            if running.fingerprint == fingerprint
                && warrant.server() == server.server()
                && running.session.is_alive().await
            {
                running.used = Instant::now();
                return Ok(running.session.clone());
            }
            if let Some(old) = content.running.take() {
                old.session.stop().await;
            }
        }
        if let Some((when, error)) = &content.failed
            && *when >= asked
        {
            return Err(error.clone());
        }
        match self.start(warrant, server, spec).await {
            Ok((session, place)) => {
                content.failed = None;
                content.running =
                    Some(Running { session: session.clone(), fingerprint, used: Instant::now(), _place: place });
                Ok(session)
            }
            Err(error) => {
                content.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// The server of a key that runs now. Nothing is started, and nobody is waited for.
    pub fn running_session(&self, key: &PoolKey) -> Option<Arc<Session>> {
        let slot = self.inner.slots().get(key).cloned()?;
        let content = slot.0.try_lock().ok()?;
        content.running.as_ref().map(|running| running.session.clone())
    }

    /// How many servers run.
    pub fn running(&self) -> usize {
        self.inner.config.cap.saturating_sub(self.inner.places.available_permits())
    }

    /// How many servers run whose key fits. One that is being started is waited for.
    pub async fn running_where(&self, fits: impl Fn(&PoolKey) -> bool) -> usize {
        let fitting = |(key, slot): (&PoolKey, &Arc<Slot>)| fits(key).then(|| slot.clone());
        let slots: Vec<Arc<Slot>> = self.inner.slots().iter().filter_map(fitting).collect();
        let mut running = 0;
        for slot in slots {
            if let Some(found) = &slot.0.lock().await.running
                && found.session.is_alive().await
            {
                running += 1;
            }
        }
        running
    }

    /// Ends one server of one principal, for instance because its secrets were deleted. Says whether it ran.
    pub async fn end(&self, key: &PoolKey) -> bool {
        let slot = self.inner.slots().remove(key);
        if let Some(slot) = slot
            && let Some(running) = slot.0.lock().await.running.take()
        {
            running.session.stop().await;
            return true;
        }
        false
    }

    /// Ends every server whose key fits. Says how many ran.
    pub async fn end_where(&self, fits: impl Fn(&PoolKey) -> bool) -> usize {
        let keys: Vec<PoolKey> = self.inner.slots().keys().filter(|key| fits(key)).cloned().collect();
        let ended = futures_util::future::join_all(keys.iter().map(|key| self.end(key))).await;
        ended.into_iter().filter(|ran| *ran).count()
    }

    /// Takes every running server whose key fits out of the pool: who asks next has another one started. What is in use
    /// goes on until [`Retired::end`].
    pub async fn retire_where(&self, fits: impl Fn(&PoolKey) -> bool) -> Vec<Retired> {
        let slots: Vec<Arc<Slot>> = self.inner.slots().extract_if(|key, _| fits(key)).map(|(_, slot)| slot).collect();
        let mut retired = Vec::new();
        for slot in slots {
            retired.extend(slot.0.lock().await.running.take().map(Retired));
        }
        retired
    }

    /// Ends all servers and starts no more.
    pub async fn stop(&self) {
        self.inner.stopping.store(true, Ordering::Relaxed);
        let slots: Vec<_> = self.inner.slots().drain().map(|(_, slot)| slot).collect();
        let ends = slots.into_iter().map(|slot| async move {
            if let Some(running) = slot.0.lock().await.running.take() {
                running.session.stop().await;
            }
        });
        futures_util::future::join_all(ends).await;
    }

    async fn start(
        &self,
        warrant: &Warrant,
        server: &InstalledServer,
        spec: &LaunchSpec,
    ) -> Result<(Arc<Session>, OwnedSemaphorePermit), SessionError> {
        let place = self.place().await?;
        Ok((Arc::new(Session::start(&self.inner.sandbox, warrant, server, spec).await?), place))
    }

    /// A free place, or that of the server which nobody uses for the longest time.
    async fn place(&self) -> Result<OwnedSemaphorePermit, SessionError> {
        loop {
            match self.inner.places.clone().try_acquire_owned() {
                Ok(place) => return Ok(place),
                Err(TryAcquireError::Closed) => return Err(SessionError::Stopping),
                Err(TryAcquireError::NoPermits) => {
                    let idle = self.inner.take_idle(Duration::ZERO, true);
                    let Some(running) = idle.into_iter().next() else {
                        return Err(SessionError::Full { cap: self.inner.config.cap });
                    };
                    running.session.stop().await;
                }
            }
        }
    }
}

/// A server that is not in the pool any more. Its place is taken until it has ended.
#[derive(Debug)]
pub struct Retired(Running);

impl Retired {
    /// Ends it once nobody uses it, and after `patience` at the latest.
    pub async fn end(self, patience: Duration) {
        let Self(running) = self;
        let begun = Instant::now();
        while Arc::strong_count(&running.session) > 1 && begun.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        running.session.stop().await;
    }
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, HashMap<PoolKey, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out servers that nobody uses: all unused for `idle`, or only the one unused for longest. Empty slots go too.
    fn take_idle(&self, idle: Duration, only_oldest: bool) -> Vec<Running> {
        let mut slots = self.slots();
        let now = Instant::now();
        let mut found: Vec<(Instant, PoolKey)> = Vec::new();
        slots.retain(|key, slot| {
            // A locked slot is in use.
            let Ok(content) = slot.0.try_lock() else { return true };
            match &content.running {
                Some(running) => {
                    if Arc::strong_count(&running.session) == 1 && now.duration_since(running.used) >= idle {
                        found.push((running.used, key.clone()));
                    }
                    true
                }
                // Whoever is about to lock it holds a second reference.
                None => Arc::strong_count(slot) > 1,
            }
        });
        found.sort_by_key(|(used, _)| *used);
        found.truncate(if only_oldest { 1 } else { found.len() });
        let take = |(_, key)| slots.get(&key).and_then(|slot| slot.0.try_lock().ok()?.running.take());
        found.into_iter().filter_map(take).collect()
    }
}

async fn end_idle(inner: Weak<Inner>, idle: Duration) {
    let pause = (idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(15));
    loop {
        tokio::time::sleep(pause).await;
        let Some(inner) = inner.upgrade() else { return };
        let taken = inner.take_idle(idle, false);
        drop(inner);
        for running in taken {
            running.session.stop().await;
        }
    }
}

/// Stays in memory: it depends on secrets.
fn fingerprint(server: &InstalledServer, spec: &LaunchSpec) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    part(server.image_digest());
    for list in [&spec.arguments, &spec.writable] {
        part(&list.len().to_string());
        list.iter().for_each(|text| part(text));
    }
    for variable in &spec.environment {
        part(&variable.name);
        part(&variable.value);
    }
    hash.finalize().into()
}
