//! Event logs: no bytes make parser, replay or explanation panic, a log replays to the registers it claims itself, differs
//! from itself in nothing, and what is explained of an event does not depend on who looks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use measured_boot::{Account, EventMeaning, Unreplayed};

fuzz_target!(|bytes: &[u8]| {
    let Ok(log) = Unreplayed::parse(bytes) else { return };
    for &bank in log.banks() {
        let account = Account::of_log(&log, bank);
        assert!(account.is_some_and(|account| account.partings(&account).is_empty()));
        for event in log.stated_events() {
            let meaning = EventMeaning::of_stated(&event, bank);
            for text in [meaning.proven, meaning.stated, event.source()].into_iter().flatten() {
                assert!(!text.contains(|c: char| c.is_control()), "a text that is not one line");
            }
        }
        let Ok(pcrs) = log.claimed_pcrs(bank) else { continue };
        if pcrs.is_empty() {
            assert!(log.clone().replay(&pcrs).is_err(), "nothing was compared");
            continue;
        }
        let Ok(replayed) = log.clone().replay(&pcrs) else { panic!("a log does not replay to its own registers") };
        for event in replayed.events() {
            let _ = event.measured_data();
            let stated = log.stated_events().find(|stated| stated.offset() == event.offset());
            assert!(stated.is_some_and(|stated| EventMeaning::of_stated(&stated, bank) == EventMeaning::of(&event)));
        }
    }
});
