//! A server's output, cut into frames by the engine as it likes: lines do not depend on the cuts, and none is longer than
//! the limit. The sandbox keeps this to itself, so it is compiled in from its source. The first bytes are the cuts.
#![no_main]

#[allow(dead_code, reason = "one half of the file is fuzzed")]
#[path = "../../../enclave/sandbox/src/lines.rs"]
mod lines;

use libfuzzer_sys::fuzz_target;
use lines::Lines;

const LIMIT: usize = 64;

fn split<'a>(frames: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let mut lines = Lines::new(LIMIT);
    let mut whole = true;
    for frame in frames {
        whole = lines.push(frame).is_ok();
        if !whole {
            break;
        }
    }
    (std::iter::from_fn(|| lines.pop()).collect(), whole)
}

fuzz_target!(|bytes: &[u8]| {
    let (cut, text) = bytes.split_at(bytes.len().min(1));
    let size = usize::from(cut.first().copied().unwrap_or(1)).max(1);
    let once = split(std::iter::once(text));
    assert_eq!(split(text.chunks(size)), once);
    assert!(once.0.iter().all(|line| line.len() <= LIMIT && !line.contains(&b'\n')));
});
