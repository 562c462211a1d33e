//! Accepts connections, and cuts those that keep one open without getting on with it.
//!
//! The server below resets its idle timer on any byte, so one byte a second would hold a connection
//! for ever. Here each request's head has a deadline, from its first byte to its blank line, and a
//! connection on which nothing happens has one too. What follows a head is a body, whose deadline is
//! kept where it is read. Connections are counted, in all and for each address; in a full house the slowest
//! makes room.

mod head;
mod memory;
mod place;
mod stream;

use std::{io, sync::Arc, time::Duration};

use poem::{
    http::uri::Scheme,
    listener::{Acceptor, Listener},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{net::TcpListener, time::sleep};

pub use self::place::Places;
use self::stream::GuardedStream;
use crate::{clock::Clock, config::HttpConfig};

/// How long a connection may be open with nothing moving on it.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What one client may ask of us.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the first byte of a request's head to its blank line.
    pub head: Duration,
    /// With nothing moving on the connection.
    pub idle: Duration,
    /// Open at one time, in all.
    pub connections: usize,
    /// Open at one time, from one IPv4 address or one IPv6 /64.
    pub connections_per_address: usize,
}

impl Limits {
    /// The limits of the settings.
    pub fn of(config: &HttpConfig) -> Limits {
        Limits {
            head: config.header_deadline,
            idle: IDLE_MAX,
            connections: config.connections_max,
            connections_per_address: config.connections_per_address_max,
        }
    }
}

/// A bound socket, guarded.
pub struct Guarded {
    listener: std::net::TcpListener,
    limits: Limits,
    places: Arc<Places>,
}

impl Guarded {
    /// Guard a socket that is bound and listens.
    pub fn new(listener: std::net::TcpListener, limits: Limits, places: Arc<Places>) -> Guarded {
        Guarded {
            listener,
            limits,
            places,
        }
    }
}

impl Listener for Guarded {
    type Acceptor = GuardedAcceptor;

    async fn into_acceptor(self) -> io::Result<GuardedAcceptor> {
        self.listener.set_nonblocking(true)?;
        Ok(GuardedAcceptor {
            listener: TcpListener::from_std(self.listener)?,
            limits: self.limits,
            places: self.places,
        })
    }
}

/// Hands out connections within the limits.
pub struct GuardedAcceptor {
    listener: TcpListener,
    limits: Limits,
    places: Arc<Places>,
}

impl Acceptor for GuardedAcceptor {
    type Io = GuardedStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        let address = self.listener.local_addr();
        address.map(|a| LocalAddr(a.into())).into_iter().collect()
    }

    async fn accept(&mut self) -> io::Result<(GuardedStream, LocalAddr, RemoteAddr, Scheme)> {
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    // Out of descriptors: trying again at once would only spin.
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(place) = self.places.take(peer, &self.limits, Clock::instant()) else {
                metrics::counter!("tollkeeper_connections_refused_total").increment(1);
                continue;
            };
            stream.set_nodelay(true)?;
            let local = LocalAddr(stream.local_addr()?.into());
            let stream = GuardedStream::new(stream, place, &self.limits);
            return Ok((stream, local, RemoteAddr(peer.into()), Scheme::HTTP));
        }
    }
}
