//! What a server said of one request and nobody took yet.

use std::collections::VecDeque;

use serde_json::value::RawValue;

use super::{exchange::Event, question::Question};

/// Notifications kept for a request whose caller is slower than the server.
pub(super) const EVENTS: usize = 256;
/// Their bytes; a longer one is kept where it is the only one.
pub(super) const EVENT_BYTES: usize = 1 << 20;

/// A queue that a flood does not grow: of progress the newest stays, log messages past the bound are lost. Questions are
/// counted elsewhere.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    notifications: usize,
    bytes: usize,
}

impl Events {
    pub(super) fn progress(&mut self, params: &RawValue) {
        let length = params.get().len();
        while !self.has_room(length) {
            let oldest = self.queue.iter().position(|event| matches!(event, Event::Progress(_)));
            let newest_message = || self.queue.iter().rposition(|event| matches!(event, Event::Message(_)));
            let Some(surplus) = oldest.or_else(newest_message).and_then(|at| self.queue.remove(at)) else { return };
            self.uncount(&surplus);
        }
        self.count(length);
        self.queue.push_back(Event::Progress(params.to_owned()));
    }

    pub(super) fn message(&mut self, params: &RawValue) {
        if self.has_room(params.get().len()) {
            self.count(params.get().len());
            self.queue.push_back(Event::Message(params.to_owned()));
        }
    }

    pub(super) fn question(&mut self, question: Question) {
        self.queue.push_back(Event::Question(question));
    }

    /// Takes a question out that the server withdrew.
    #[must_use = "a question must not be dropped while the switchboard is locked"]
    pub(super) fn withdraw(&mut self, number: u64) -> Option<Event> {
        let at = self.queue.iter().position(|event| matches!(event, Event::Question(q) if q.number() == number))?;
        self.queue.remove(at)
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        self.uncount(&event);
        Some(event)
    }

    fn has_room(&self, length: usize) -> bool {
        self.notifications == 0 || (self.notifications < EVENTS && self.bytes.saturating_add(length) <= EVENT_BYTES)
    }

    fn count(&mut self, length: usize) {
        self.notifications = self.notifications.saturating_add(1);
        self.bytes = self.bytes.saturating_add(length);
    }

    fn uncount(&mut self, event: &Event) {
        if let Event::Progress(params) | Event::Message(params) = event {
            self.notifications = self.notifications.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(params.get().len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::message::raw, *};

    fn drain(mut events: Events) -> Vec<String> {
        std::iter::from_fn(|| events.pop())
            .map(|event| match event {
                Event::Progress(params) => format!("p{params}"),
                Event::Message(params) => format!("m{params}"),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_full_queue_keeps_the_first_messages_and_the_newest_progress() {
        let mut events = Events::default();
        for number in 0..2 * EVENTS {
            events.message(&raw(format!("{number}")));
        }
        events.progress(&raw("1".into()));
        events.progress(&raw("2".into()));
        let left = drain(events);
        assert_eq!(left.len(), EVENTS);
        assert_eq!(left[EVENTS - 2..], [format!("m{}", EVENTS - 2), "p2".into()]);

        let mut events = Events::default();
        for number in 0..=EVENTS {
            events.progress(&raw(format!("{number}")));
        }
        let left = drain(events);
        assert_eq!((left.len(), left[0].as_str(), left[EVENTS - 1].as_str()), (EVENTS, "p1", "p256"));
    }

    #[test]
    fn a_queue_holds_its_bytes_and_not_one_more_unless_it_is_a_single_long_one() {
        let of = |length: usize| raw(format!("\"{}\"", "x".repeat(length - 2)));
        let mut events = Events::default();
        events.message(&of(EVENT_BYTES / 2));
        events.message(&of(EVENT_BYTES / 2 + 1));
        events.message(&of(EVENT_BYTES / 2));
        let left: Vec<usize> = drain(events).iter().map(String::len).collect();
        assert_eq!(left, [EVENT_BYTES / 2 + 1, EVENT_BYTES / 2 + 1]);

        let mut events = Events::default();
        events.progress(&of(EVENT_BYTES + 1));
        events.message(&raw("1".into()));
        events.progress(&raw("2".into()));
        assert_eq!(drain(events), ["p2"]);
    }
}
