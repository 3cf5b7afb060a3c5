//! Asking a service that may be slow, busy or wrong: a few attempts with growing waits, and after a failure a hold, so
//! that a hundred callers who need the same certificate make no hundred requests.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use evidence::UnixSeconds;

use super::{
    CollateralError,
    pace::{self, Pace},
    web::Web,
};

/// How often one caller asks before it gives up.
const ATTEMPTS: u32 = 4;

/// No attempt begins later than this after the first.
const DEADLINE: u64 = 60;

/// How long an answer that asking again will not change is repeated to whoever asks.
const FINAL_HOLD: u64 = 60;

/// A service and our patience with it.
pub(crate) struct Flight {
    web: Web,
    pace: Box<dyn Pace>,
    holds: Mutex<HashMap<String, Hold>>,
}

struct Hold {
    until: UnixSeconds,
    last: CollateralError,
}

/// How much trouble an answer is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Persistence {
    /// Nothing works without it.
    Needed,
    /// Something works without it: one attempt.
    Wished,
}

impl Flight {
    pub(crate) fn new(web: Web, pace: Box<dyn Pace>) -> Self {
        Self { web, pace, holds: Mutex::default() }
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.pace.now()
    }

    /// What `read` makes of the answer to a GET. An answer it refuses is an error like any other and is not asked for
    /// again at once.
    pub(crate) fn ask<T>(
        &self,
        url: &str,
        header: Option<(&str, &str)>,
        persistence: Persistence,
        mut read: impl FnMut(Vec<u8>) -> Result<T, String>,
    ) -> Result<T, CollateralError> {
        self.check_hold(url)?;
        let started = self.pace.now();
        let mut attempt = 0;
        loop {
            let wrong = |why| CollateralError::Wrong { from: url.to_owned(), why };
            let error = match self.web.ask(url, header).and_then(|body| read(body).map_err(wrong)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(retry_after) = passing(&error) else {
                self.hold(url, FINAL_HOLD, &error);
                return Err(error);
            };
            let wait = pace::delay(attempt, retry_after, self.pace.chance());
            attempt += 1;
            let late = self.pace.now().0.saturating_sub(started.0) + wait.as_secs() > DEADLINE;
            if attempt == ATTEMPTS || persistence == Persistence::Wished || wait > pace::PATIENCE || late {
                self.hold(url, wait.as_secs(), &error);
                return Err(error);
            }
            tracing::warn!(%error, wait_s = wait.as_secs(), "collateral: asked again after a wait");
            self.pace.wait(wait);
        }
    }

    fn check_hold(&self, url: &str) -> Result<(), CollateralError> {
        let now = self.pace.now();
        let mut holds = self.holds();
        let Some(hold) = holds.get(url) else { return Ok(()) };
        // No hold is longer than fifteen minutes, so one that seems to be was made before the clock was set back.
        match hold.until.0.checked_sub(now.0) {
            Some(left @ 1..=900) => Err(match passing(&hold.last) {
                None => hold.last.clone(),
                Some(_) => CollateralError::Waiting {
                    url: url.to_owned(),
                    wait: Duration::from_secs(left),
                    last: hold.last.to_string(),
                },
            }),
            _ => {
                holds.remove(url);
                Ok(())
            }
        }
    }

    fn hold(&self, url: &str, seconds: u64, last: &CollateralError) {
        let until = UnixSeconds(self.pace.now().0.saturating_add(seconds.max(1)));
        self.holds().insert(url.to_owned(), Hold { until, last: last.clone() });
    }

    fn holds(&self) -> MutexGuard<'_, HashMap<String, Hold>> {
        // Poison means that a thread panicked between two lines that cannot; the map is whole.
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether asking again may help, and what the service wishes.
fn passing(error: &CollateralError) -> Option<Option<u64>> {
    match error {
        CollateralError::Status { status: 408 | 429 | 500..=599, retry_after, .. } => Some(*retry_after),
        CollateralError::Silent { .. } => Some(None),
        _ => None,
    }
}
