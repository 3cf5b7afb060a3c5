//! The records of a log before anything bears them out, for people who look at one. What decides something takes a
//! [`crate::Replayed`].

use crate::{
    event_log::{
        event::{Event, EventType},
        log::Unreplayed,
        meaning,
    },
    pcr::{Bank, Digest},
};

impl<'a> Unreplayed<'a> {
    /// Every record as the log states it, remarks as well: a claim of whoever handed over the log.
    pub fn stated_events(&self) -> impl Iterator<Item = StatedEvent<'a, '_>> {
        self.events.iter().map(|event| StatedEvent { event })
    }
}

/// A record that nothing bears out.
#[derive(Clone, Copy, Debug)]
pub struct StatedEvent<'a, 'log> {
    event: &'log Event<'a>,
}

impl<'a, 'log> StatedEvent<'a, 'log> {
    /// The register it names; one that does not exist in a remark only.
    pub fn pcr(&self) -> u32 {
        self.event.pcr
    }

    /// Its digest in a bank of the log.
    pub fn digest(&self, bank: Bank) -> Option<&'log Digest> {
        self.event.digest(bank)
    }

    /// Its type.
    pub fn stated_type(&self) -> EventType {
        self.event.kind
    }

    /// Where it begins in the log.
    pub fn offset(&self) -> usize {
        self.event.offset
    }

    /// Its data.
    pub fn data(&self) -> &'a [u8] {
        self.event.data
    }

    /// Is it a remark, which extends no register?
    pub fn is_remark(&self) -> bool {
        self.event.kind == EventType::NO_ACTION
    }

    /// What was measured, by the record's own words: a file of a device path, a section, a variable, a text.
    pub fn source(&self) -> Option<String> {
        meaning::source(self.event.kind, self.event.data)
    }
}
