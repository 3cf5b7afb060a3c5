//! Who may hold a connection. Places are limited; when they are short, whoever holds most gives up the connection that
//! has been silent for longest, so that a client with thousands of silent connections takes places from itself alone.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;

use super::Limits;

/// What a connection is at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// TLS is being agreed on.
    Handshake,
    /// Nothing, or not yet a whole head of a request.
    Silent,
    /// So many requests are being answered.
    Serving(u32),
}

#[derive(Debug)]
struct Held {
    client: Client,
    phase: Phase,
    since: Instant,
    cut: Arc<Notify>,
}

/// Who counts as one client: an IPv4 address, or the /64 network that one customer is given in IPv6.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Client(IpAddr);

impl Client {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() & (!0_u128 << 64)).into()),
            v4 => Self(v4),
        }
    }
}

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    limits: Limits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    held: HashMap<u64, Held>,
    of_client: HashMap<Client, usize>,
}

/// One place. Dropping it frees it.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
    cut: Arc<Notify>,
}

/// A request that is being answered. Dropping it says that it is.
#[derive(Debug)]
pub(super) struct Serving {
    place: Arc<Place>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// A place for a newcomer, whose connection begins with a handshake or not. `None`: there is none, and nobody
    /// silent to take one from.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, handshake: bool, now: Instant) -> Option<Place> {
        let client = Client::of(address);
        let phase = if handshake { Phase::Handshake } else { Phase::Silent };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.of_client.get(&client).is_some_and(|held| *held >= self.limits.connections_of_one_client) {
            table.evict(|held| held.client == client && !matches!(held.phase, Phase::Serving(_)))?;
        }
        if table.held.len() >= self.limits.connections {
            table.evict(|held| !matches!(held.phase, Phase::Serving(_)))?;
        }
        let handshakes = || table.held.values().filter(|held| held.phase == Phase::Handshake).count();
        if handshake && handshakes() >= self.limits.handshakes {
            table.evict(|held| held.phase == Phase::Handshake)?;
        }
        let id = table.next;
        table.next += 1;
        let cut = Arc::new(Notify::new());
        table.held.insert(id, Held { client, phase, since: now, cut: Arc::clone(&cut) });
        *table.of_client.entry(client).or_default() += 1;
        Some(Place { places: Arc::clone(self), id, cut })
    }
}

impl Table {
    /// Takes a place: among the connections that may be cut, of the client that holds most places, the oldest.
    fn evict(&mut self, may_be_cut: impl Fn(&Held) -> bool) -> Option<()> {
        let holds = |held: &Held| self.of_client.get(&held.client).copied().unwrap_or_default();
        let (id, _) = self
            .held
            .iter()
            .filter(|(_, held)| may_be_cut(held))
            .max_by_key(|(_, held)| (holds(held), std::cmp::Reverse(held.since)))?;
        let id = *id;
        let held = self.free(id)?;
        held.cut.notify_one();
        Some(())
    }

    fn free(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id)?;
        if let Some(count) = self.of_client.get_mut(&held.client) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(&held.client);
            }
        }
        Some(held)
    }
}

impl Place {
    /// Ends when the place is taken from the connection.
    pub(super) async fn taken(&self) {
        self.cut.notified().await;
    }

    /// The handshake is done.
    pub(super) fn agreed(&self) {
        self.change(|_| Phase::Silent);
    }

    /// A request came. `None`: the place was taken a moment ago, and nothing may be begun on this connection.
    pub(super) fn serve(self: &Arc<Self>) -> Option<Serving> {
        let there = self.change(|phase| match phase {
            Phase::Serving(requests) => Phase::Serving(requests.saturating_add(1)),
            _ => Phase::Serving(1),
        });
        there.then(|| Serving { place: Arc::clone(self) })
    }

    /// Says whether the place is still held.
    fn change(&self, next: impl FnOnce(Phase) -> Phase) -> bool {
        let mut table = self.places.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = table.held.get_mut(&self.id) else { return false };
        held.phase = next(held.phase);
        held.since = Instant::now();
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table.lock().unwrap_or_else(PoisonError::into_inner);
        let _taken_before = table.free(self.id);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.place.change(|phase| match phase {
            Phase::Serving(requests) if requests > 1 => Phase::Serving(requests - 1),
            _ => Phase::Silent,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn places(connections: usize, of_one: usize, handshakes: usize) -> Arc<Places> {
        let limits = Limits { connections, connections_of_one_client: of_one, handshakes, ..Limits::default() };
        Places::new(limits)
    }

    fn is_cut(place: &Place) -> bool {
        !place.places.table.lock().unwrap().held.contains_key(&place.id)
    }

    const GREEDY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const MODEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn whoever_holds_most_gives_up_its_oldest_silent_connection() {
        let places = places(4, 4, 4);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let modest = places.admit(MODEST, false, at(0)).unwrap();
        let greedy: Vec<Place> = (1..4).map(|ms| places.admit(GREEDY, false, at(ms)).unwrap()).collect();
        let newcomer = places.admit(MODEST, false, at(9)).unwrap();
        assert!(!is_cut(&modest) && !is_cut(&newcomer));
        assert_eq!(greedy.iter().map(is_cut).collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn a_connection_that_is_being_served_is_never_cut_and_a_full_house_turns_away() {
        let places = places(2, 2, 2);
        let held: Vec<Arc<Place>> =
            (0..2).map(|_| Arc::new(places.admit(GREEDY, false, Instant::now()).unwrap())).collect();
        let serving: Vec<Serving> = held.iter().map(|place| place.serve().unwrap()).collect();
        assert!(places.admit(MODEST, false, Instant::now()).is_none());
        drop(serving);
        assert!(places.admit(MODEST, false, Instant::now()).is_some());
        let cut: Vec<_> = held.iter().filter(|place| is_cut(place)).collect();
        assert_eq!(cut.len(), 1);
        assert!(cut[0].serve().is_none(), "a request began on a connection that was cut");
    }

    #[test]
    fn one_client_has_a_limit_of_its_own_and_an_ipv6_network_is_one_client() {
        let places = places(100, 2, 100);
        let of = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 1, 2, 3, last]);
        let first = places.admit(of(1), false, Instant::now()).unwrap();
        let others: Vec<Place> = (2..5).map(|last| places.admit(of(last), false, Instant::now()).unwrap()).collect();
        assert!(is_cut(&first) && is_cut(&others[0]) && !is_cut(&others[2]));
        assert_eq!(places.table.lock().unwrap().held.len(), 2);
        drop(others);
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(Client::of(mapped), Client::of(GREEDY));
    }

    #[test]
    fn handshakes_have_a_limit_of_their_own() {
        let places = places(100, 100, 2);
        let open: Vec<Place> = (0..3).map(|_| places.admit(GREEDY, true, Instant::now()).unwrap()).collect();
        assert_eq!(open.iter().filter(|place| is_cut(place)).count(), 1);
        open[2].agreed();
        let _another = places.admit(GREEDY, true, Instant::now()).unwrap();
        assert_eq!(open.iter().filter(|place| is_cut(place)).count(), 1);
    }

    #[test]
    fn a_place_that_was_given_back_or_taken_counts_no_more() {
        let places = places(1, 1, 1);
        for _ in 0..3 {
            let one = places.admit(GREEDY, false, Instant::now()).unwrap();
            let two = places.admit(MODEST, false, Instant::now()).unwrap();
            drop(one);
            assert!(!is_cut(&two));
            drop(two);
            let table = places.table.lock().unwrap();
            assert!(table.held.is_empty() && table.of_client.is_empty());
        }
    }
}
