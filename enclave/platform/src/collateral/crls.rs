//! AMD's revocation lists, kept as fresh as the service allows. Best effort: evidence without a list is evidence, and
//! the verifier says "not checked".

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use attestation_verifier::{Certificate, Crl, Freshness, Ring, Unverified};
use evidence::UnixSeconds;

use super::{
    flight::{Flight, Persistence},
    shelf::{Shelf, product_word},
    subject::Subject,
};
use crate::Der;

/// How long the service is left alone after it failed.
const REST: u64 = 600;

/// Lists by product and kind.
pub(crate) struct Crls {
    flight: Arc<Flight>,
    shelf: Arc<Shelf>,
    /// Older lists are fetched again, even before their nextUpdate: AMD may have revoked something meanwhile.
    max_age: Duration,
    shelves: Mutex<HashMap<String, Kept>>,
}

#[derive(Clone)]
struct List {
    der: Der,
    fetched: UnixSeconds,
    next_update: UnixSeconds,
}

#[derive(Default)]
struct Kept {
    list: Option<List>,
    /// Not before this moment; none before the first attempt.
    next_try: Option<UnixSeconds>,
    /// Somebody asks already.
    asking: bool,
}

impl Crls {
    pub(crate) fn new(flight: Arc<Flight>, shelf: Arc<Shelf>, max_age: Duration) -> Self {
        Self { flight, shelf, max_age, shelves: Mutex::default() }
    }

    /// The list at `url` for this subject's product and kind, signed by `root` and not yet past its nextUpdate. Blocks
    /// only for the first list; later ones are fetched beside the calls that need them.
    pub(crate) fn list(self: &Arc<Self>, subject: &Subject, root: &Der, url: String) -> Option<Der> {
        let name = format!("{}.{}.crl", product_word(subject), subject.word());
        let now = self.flight.now();
        let mut shelves = self.shelves();
        let kept =
            shelves.entry(name.clone()).or_insert_with(|| Kept { list: self.stored(&name, root), ..Kept::default() });
        let usable = kept.list.as_ref().filter(|list| now <= list.next_update).map(|list| list.der.clone());
        let age = kept.list.as_ref().and_then(|list| now.0.checked_sub(list.fetched.0));
        let fresh = usable.is_some() && age.is_some_and(|age| age < self.max_age.as_secs());
        let due = kept.next_try.is_none_or(|next| next <= now);
        if fresh || !due || kept.asking {
            return usable;
        }
        let first = kept.next_try.is_none() && usable.is_none();
        kept.asking = true;
        drop(shelves);
        if first {
            self.refresh(&name, root, &url);
            let now = self.flight.now();
            let shelves = self.shelves();
            return shelves
                .get(&name)?
                .list
                .as_ref()
                .filter(|list| now <= list.next_update)
                .map(|list| list.der.clone());
        }
        let (crls, root, asked) = (Arc::clone(self), root.clone(), name.clone());
        let begun = thread::Builder::new().name("crl".into()).spawn(move || crls.refresh(&asked, &root, &url));
        if let Err(error) = begun {
            // Nobody asks now: the next caller may.
            self.shelves().entry(name).or_default().asking = false;
            tracing::warn!(%error, "collateral: no thread to fetch a revocation list");
        }
        usable
    }

    fn refresh(&self, name: &str, root: &Der, url: &str) {
        let answer = self.flight.ask(url, None, Persistence::Wished, |body| {
            let next_update = check(&body, root, self.flight.now())?;
            Ok((body, next_update))
        });
        let now = self.flight.now();
        if let Ok((bytes, _)) = &answer {
            self.shelf.store().keep(name, bytes);
        }
        let mut shelves = self.shelves();
        let kept = shelves.entry(name.to_owned()).or_default();
        kept.asking = false;
        match answer {
            Ok((bytes, next_update)) => {
                kept.list = Some(List { der: Der::new(bytes), fetched: now, next_update });
                kept.next_try = Some(now);
            }
            Err(error) => {
                kept.next_try = Some(UnixSeconds(now.0.saturating_add(REST)));
                let kept = kept.list.as_ref().is_some_and(|list| now <= list.next_update);
                let serves = if kept { "the kept one is served" } else { "none is served" };
                tracing::warn!(%error, fix = error.fix(), serves, "collateral: no newer revocation list");
            }
        }
    }

    fn stored(&self, name: &str, root: &Der) -> Option<List> {
        let bytes = self.shelf.store().read(name)?;
        let fetched = self.shelf.store().written(name)?;
        match check(&bytes, root, self.flight.now()) {
            Ok(next_update) => Some(List { der: Der::new(bytes), fetched, next_update }),
            Err(why) => {
                tracing::warn!(file = name, why, "collateral: a kept revocation list cannot be used, fetched again");
                None
            }
        }
    }

    fn shelves(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        // Poison means that a thread panicked between two lines that cannot; the map is whole.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list by that root, in force now; says until when.
pub(crate) fn check(der: &[u8], root: &Der, now: UnixSeconds) -> Result<UnixSeconds, String> {
    let root = Certificate::parse(root.as_bytes()).map_err(|error| format!("ARK: {error}"))?;
    let list = Crl::parse(der).and_then(|list| Unverified(list).verify(&root, &Ring)).map_err(|e| e.to_string())?;
    let (this, next) = list.updates();
    match (list.freshness(now), next) {
        (Freshness::Current, Some(next)) => Ok(next),
        (Freshness::NotYet, _) => {
            Err(format!("a revocation list of {}, which is in the future", super::pace::text(this)))
        }
        (_, next) => Err(format!(
            "a revocation list that was to be replaced {}",
            next.map_or("at no stated time".to_owned(), super::pace::text)
        )),
    }
}
