//! Things that happen by themselves, waited for.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits until something is so.
///
/// # Panics
/// It is not so after forty seconds.
pub fn until(mut reached: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !reached() {
        assert!(Instant::now() < deadline, "{what}: it did not happen");
        thread::sleep(Duration::from_millis(200));
    }
}
