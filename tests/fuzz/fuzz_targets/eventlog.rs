//! Event logs: no bytes make parser or replay panic, and a log replays to the registers it claims itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use measured_boot::Unreplayed;

fuzz_target!(|bytes: &[u8]| {
    let Ok(log) = Unreplayed::parse(bytes) else { return };
    for &bank in log.banks() {
        let Ok(pcrs) = log.claimed_pcrs(bank) else { continue };
        if pcrs.is_empty() {
            assert!(log.clone().replay(&pcrs).is_err(), "nothing was compared");
            continue;
        }
        let Ok(replayed) = log.clone().replay(&pcrs) else { panic!("a log does not replay to its own registers") };
        for event in replayed.events() {
            let _ = event.measured_data();
        }
    }
});
