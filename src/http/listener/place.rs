//! Counts the open connections, in all and for each client, and makes room in a full house.
//!
//! Slow clients could take every place. So a newcomer is let in all the same: of the client that has the
//! most places, the connection that has got on with nothing for the longest time makes room. One whose
//! whole request is here is owed an answer and keeps its place until then.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    time::Instant,
};

use futures_util::task::AtomicWaker;

use super::{
    Limits,
    memory::{Crowd, give_back},
};

/// The connections that are open now.
#[derive(Default)]
pub struct Places(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    open: HashMap<SocketAddr, Open>,
    by_client: HashMap<IpAddr, usize>,
    crowd: Crowd,
}

struct Open {
    /// When it came, or was last answered.
    since: Instant,
    is_owed: bool,
    notice: Arc<Notice>,
}

/// Tells a connection that its place is needed.
#[derive(Default)]
struct Notice {
    is_given: AtomicBool,
    waker: AtomicWaker,
}

impl Places {
    /// None when there is no more room, in all or for this client.
    pub fn take(
        self: &Arc<Places>,
        peer: SocketAddr,
        limits: &Limits,
        now: Instant,
    ) -> Option<Place> {
        let mut taken = self.taken();
        let own = taken.by_client.get(&one_client(peer.ip()));
        if own.is_some_and(|own| *own >= limits.connections_per_address) {
            return None;
        }
        if taken.open.len() >= limits.connections && !taken.make_room() {
            return None;
        }
        let notice = Arc::<Notice>::default();
        taken.enter(peer, now, notice.clone());
        Some(Place {
            places: self.clone(),
            peer,
            notice,
        })
    }

    /// The whole request of this client is here: it keeps its place until the answer, which is when
    /// the guard is dropped.
    pub fn owe(self: &Arc<Places>, peer: SocketAddr, now: fn() -> Instant) -> Owed {
        if let Some(open) = self.taken().open.get_mut(&peer) {
            open.is_owed = true;
        }
        Owed {
            places: self.clone(),
            peer,
            now,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0
            .lock()
            .expect("nothing panics while the lock is held")
    }
}

impl Taken {
    fn enter(&mut self, peer: SocketAddr, since: Instant, notice: Arc<Notice>) {
        let open = Open {
            since,
            is_owed: false,
            notice,
        };
        if self.open.insert(peer, open).is_some() {
            // The one before from the same port has ended, and its request is still worked on: it gives nothing back.
            return;
        }
        *self.by_client.entry(one_client(peer.ip())).or_default() += 1;
        self.crowd.grown(self.open.len());
    }

    fn leave(&mut self, peer: SocketAddr) {
        self.open.remove(&peer);
        let client = one_client(peer.ip());
        let own = self.by_client.entry(client).or_default();
        *own -= 1;
        if *own == 0 {
            self.by_client.remove(&client);
        }
    }

    /// False when everybody is owed an answer.
    fn make_room(&mut self) -> bool {
        let free = self.open.iter().filter(|(_, open)| !open.is_owed);
        let slowest = free.max_by_key(|(peer, open)| {
            let own = self.by_client.get(&one_client(peer.ip()));
            (own, Reverse(open.since))
        });
        let Some((peer, open)) = slowest else {
            return false;
        };
        let peer = *peer;
        open.notice.is_given.store(true, Ordering::Release);
        open.notice.waker.wake();
        self.leave(peer);
        true
    }
}

/// One of the connections that are allowed, given back when it ends.
pub struct Place {
    places: Arc<Places>,
    peer: SocketAddr,
    notice: Arc<Notice>,
}

impl Place {
    /// Whether somebody else has it by now; if not, the waker is woken when that happens.
    pub fn is_gone(&self, waker: &Waker) -> bool {
        self.notice.waker.register(waker);
        self.notice.is_given.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let own = taken.open.get(&self.peer);
        if own.is_none_or(|open| !Arc::ptr_eq(&open.notice, &self.notice)) {
            return;
        }
        taken.leave(self.peer);
        let left = taken.open.len();
        let has_gone = taken.crowd.has_gone(left);
        drop(taken);
        if has_gone {
            give_back();
        }
    }
}

/// While it is held, the client it is owed to keeps its place.
pub struct Owed {
    places: Arc<Places>,
    peer: SocketAddr,
    now: fn() -> Instant,
}

impl Drop for Owed {
    fn drop(&mut self) {
        let now = (self.now)();
        if let Some(open) = self.places.taken().open.get_mut(&self.peer) {
            open.is_owed = false;
            open.since = now;
        }
    }
}

/// A client with IPv6 owns a whole /64.
fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Waker, time::Duration};

    use super::*;
    use crate::clock::Clock;

    fn limits(connections: usize, connections_per_address: usize) -> Limits {
        Limits {
            head: Duration::ZERO,
            idle: Duration::ZERO,
            connections,
            connections_per_address,
        }
    }

    fn take(places: &Arc<Places>, limits: &Limits, peer: &str) -> Option<Place> {
        places.take(peer.parse().unwrap(), limits, Clock::instant())
    }

    fn is_gone(place: &Option<Place>) -> bool {
        place.as_ref().unwrap().is_gone(Waker::noop())
    }

    #[test]
    fn a_client_has_so_many_places_and_gives_them_back() {
        let (places, limits) = (Arc::default(), limits(10, 2));
        let first = take(&places, &limits, "[2001:db8::1]:1");
        let second = take(&places, &limits, "[2001:db8::2]:1");
        assert!(first.is_some() && second.is_some());
        assert!(
            take(&places, &limits, "[2001:db8::3]:1").is_none(),
            "one /64 is one client"
        );
        assert!(take(&places, &limits, "192.0.2.1:1").is_some());

        drop(first);
        assert!(take(&places, &limits, "[2001:db8::3]:1").is_some());
    }

    #[test]
    fn who_comes_again_from_the_same_port_has_one_place() {
        let (places, limits) = (Arc::default(), limits(10, 2));
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(take(&places, &limits, "192.0.2.1:1"));
        }
        assert!(all.iter().all(Option::is_some));
        drop(all);
        let two = [1, 2].map(|port| take(&places, &limits, &format!("192.0.2.1:{port}")));
        assert!(two.iter().all(Option::is_some), "all were given back");
    }

    #[test]
    fn in_a_full_house_who_has_the_most_places_makes_room() {
        let (places, limits) = (Arc::default(), limits(3, 3));
        let old = take(&places, &limits, "192.0.2.1:1");
        let one = take(&places, &limits, "192.0.2.2:1");
        let two = take(&places, &limits, "192.0.2.2:2");

        let newcomer = take(&places, &limits, "192.0.2.3:1");

        assert!(newcomer.is_some() && is_gone(&one));
        assert!(!is_gone(&old) && !is_gone(&two));
    }

    #[test]
    fn in_a_full_house_the_one_that_got_on_with_nothing_makes_room() {
        let (places, limits) = (Arc::default(), limits(3, 3));
        let asked = take(&places, &limits, "192.0.2.1:1");
        let slow = take(&places, &limits, "192.0.2.2:1");
        let answered = take(&places, &limits, "192.0.2.3:1");
        let owed = places.owe("192.0.2.1:1".parse().unwrap(), Clock::instant);
        drop(places.owe("192.0.2.3:1".parse().unwrap(), Clock::instant));

        let newcomer = take(&places, &limits, "192.0.2.4:1");
        assert!(newcomer.is_some() && is_gone(&slow));
        assert!(!is_gone(&asked) && !is_gone(&answered));
        drop(slow);
        let next = take(&places, &limits, "192.0.2.5:1");
        assert!(
            next.is_some() && is_gone(&answered),
            "its place was not given back twice"
        );

        drop(owed);
        let owed: Vec<Owed> = ["192.0.2.1:1", "192.0.2.4:1", "192.0.2.5:1"]
            .map(|peer| places.owe(peer.parse().unwrap(), Clock::instant))
            .into();
        assert!(
            take(&places, &limits, "192.0.2.6:1").is_none(),
            "all are owed an answer"
        );
        drop(owed);
        assert!(take(&places, &limits, "192.0.2.6:1").is_some() && is_gone(&asked));
    }
}
