//! Counts the open connections, in all and for each client.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
};

use super::{
    Limits,
    memory::{Crowd, give_back},
};

/// The connections that are open now.
pub type Places = Mutex<Taken>;

#[derive(Default)]
pub struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    crowd: Crowd,
}

/// One of the connections that are allowed, given back when it ends.
pub struct Place {
    taken: Arc<Places>,
    address: IpAddr,
}

const NO_PANIC: &str = "nothing panics while the lock is held";

impl Place {
    /// None when there is no more room, in all or for this client.
    pub fn take(taken: &Arc<Places>, address: IpAddr, limits: &Limits) -> Option<Place> {
        let address = one_client(address);
        let mut counts = taken.lock().expect(NO_PANIC);
        if counts.total >= limits.connections {
            return None;
        }
        let own = counts.by_address.entry(address).or_default();
        if *own >= limits.connections_per_address {
            return None;
        }
        *own += 1;
        counts.total += 1;
        let total = counts.total;
        counts.crowd.grown(total);
        Some(Place {
            taken: taken.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.taken.lock().expect(NO_PANIC);
        counts.total -= 1;
        let own = counts.by_address.entry(self.address).or_default();
        *own -= 1;
        if *own == 0 {
            counts.by_address.remove(&self.address);
        }
        let total = counts.total;
        let has_gone = counts.crowd.has_gone(total);
        drop(counts);
        if has_gone {
            give_back();
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_place_is_given_back() {
        let limits = Limits {
            head: Duration::ZERO,
            idle: Duration::ZERO,
            connections: 3,
            connections_per_address: 2,
        };
        let taken = Arc::default();
        let take = |address: &str| Place::take(&taken, address.parse().unwrap(), &limits);

        let first = take("2001:db8::1");
        let second = take("2001:db8::2");
        assert!(first.is_some() && second.is_some());
        assert!(take("2001:db8::3").is_none(), "one /64 is one client");
        let third = take("192.0.2.1");
        assert!(third.is_some());
        assert!(take("192.0.2.2").is_none(), "three in all");

        drop(first);
        assert!(take("::ffff:192.0.2.1").is_some());
    }
}
