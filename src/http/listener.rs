//! Accepts connections, and cuts those that keep one open without getting on with it.
//!
//! The server below resets its idle timer on any byte, so one byte a second would hold a connection
//! for ever. Here each request's head has a deadline, from its first byte to its blank line, and a
//! connection on which nothing happens has one too. What follows a head is a body, whose deadline is
//! kept where it is read. Connections are counted, in all and for each address.

use std::{
    collections::HashMap,
    io::{self, IoSlice},
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use poem::{
    http::uri::Scheme,
    listener::{Acceptor, Listener},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Sleep, sleep},
};

use crate::{clock::Clock, config::HttpConfig};

/// How long a connection may be open with nothing moving on it.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What one client may ask of us.
#[derive(Debug, Clone)]
pub struct Limits {
    pub head: Duration,
    pub idle: Duration,
    pub connections: usize,
    pub connections_per_address: usize,
}

impl Limits {
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
}

impl Guarded {
    pub fn new(listener: std::net::TcpListener, limits: Limits) -> Guarded {
        Guarded { listener, limits }
    }
}

impl Listener for Guarded {
    type Acceptor = GuardedAcceptor;

    async fn into_acceptor(self) -> io::Result<GuardedAcceptor> {
        self.listener.set_nonblocking(true)?;
        Ok(GuardedAcceptor {
            listener: TcpListener::from_std(self.listener)?,
            limits: self.limits,
            taken: Arc::default(),
        })
    }
}

pub struct GuardedAcceptor {
    listener: TcpListener,
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
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
            let Some(place) = Place::take(&self.taken, peer.ip(), &self.limits) else {
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

#[derive(Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One of the connections that are allowed, given back when it ends.
struct Place {
    taken: Arc<Mutex<Taken>>,
    address: IpAddr,
}

const NO_PANIC: &str = "nothing panics while the lock is held";

impl Place {
    fn take(taken: &Arc<Mutex<Taken>>, address: IpAddr, limits: &Limits) -> Option<Place> {
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
    }
}

/// A client with IPv6 owns a whole /64.
fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// Where a connection is between two requests.
enum Phase {
    /// No byte of a request is there.
    Waiting,
    Head(Head),
    /// The head is complete; its body is read and its answer is made.
    Serving,
}

pub struct GuardedStream {
    stream: TcpStream,
    phase: Phase,
    deadline: Pin<Box<Sleep>>,
    head_max: Duration,
    idle_max: Duration,
    _place: Place,
}

impl GuardedStream {
    fn new(stream: TcpStream, place: Place, limits: &Limits) -> GuardedStream {
        GuardedStream {
            stream,
            phase: Phase::Waiting,
            // A new connection is there to ask something: it gets no longer than a head.
            deadline: Box::pin(sleep(limits.head)),
            head_max: limits.head,
            idle_max: limits.idle,
            _place: place,
        }
    }

    fn allow(&mut self, time: Duration) {
        let until = tokio::time::Instant::from_std(Clock::instant()) + time;
        self.deadline.as_mut().reset(until);
    }

    fn has_read(&mut self, bytes: &[u8]) -> io::Result<()> {
        if matches!(self.phase, Phase::Waiting) {
            self.phase = Phase::Head(Head::default());
            self.allow(self.head_max);
        }
        match &mut self.phase {
            Phase::Head(head) => {
                if head.ends_in(bytes)? {
                    self.phase = Phase::Serving;
                    self.allow(self.idle_max);
                }
            }
            _ => self.allow(self.idle_max),
        }
        Ok(())
    }

    fn has_written(&mut self, start: &[u8]) {
        // "Go on and send the body" ends nothing.
        if !start.starts_with(b"HTTP/1.1 100") {
            self.phase = Phase::Waiting;
        }
        self.allow(self.idle_max);
    }

    /// Nothing moves: wait for it, or for the deadline.
    fn poll_deadline<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.deadline.as_mut().poll(cx));
        let why = match self.phase {
            Phase::Head(_) => "head",
            _ => "idle",
        };
        metrics::counter!("tollkeeper_connections_cut_total", "why" => why).increment(1);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if Pin::new(&mut self.stream)
            .poll_read(cx, buffer)?
            .is_pending()
        {
            return self.poll_deadline(cx);
        }
        let new = &buffer.filled()[before..];
        if !new.is_empty() {
            self.has_read(new)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes)? {
            Poll::Ready(count) => {
                self.has_written(bytes);
                Poll::Ready(Ok(count))
            }
            Poll::Pending => self.poll_deadline(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, parts)? {
            Poll::Ready(count) => {
                let first = parts.iter().find(|part| !part.is_empty());
                self.has_written(first.map_or(b"", |part| part));
                Poll::Ready(Ok(count))
            }
            Poll::Pending => self.poll_deadline(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Finds the blank line that ends the head of a request.
#[derive(Default)]
struct Head {
    start: Vec<u8>,
    has_line: bool,
    is_line_blank: bool,
}

impl Head {
    /// Whether the head is complete with these bytes.
    fn ends_in(&mut self, bytes: &[u8]) -> io::Result<bool> {
        for &byte in bytes {
            if byte == b'\n' {
                // Blank lines before the first one do not count: they could be sent for ever.
                if self.has_line && self.is_line_blank {
                    return Ok(true);
                }
                self.is_line_blank = true;
            } else if byte != b'\r' {
                self.has_line = true;
                self.is_line_blank = false;
                self.refuse_http2(byte)?;
            }
        }
        Ok(false)
    }

    /// HTTP/2 with prior knowledge has no blank lines to watch, and no provider speaks it in the clear.
    fn refuse_http2(&mut self, byte: u8) -> io::Result<()> {
        const PREFACE: &[u8] = b"PRI ";
        if self.start.len() < PREFACE.len() {
            self.start.push(byte);
            if self.start == PREFACE {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "HTTP/2 in the clear is not spoken here",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[&str], ends: bool) {
        let mut head = Head::default();
        let ended = parts
            .iter()
            .any(|part| head.ends_in(part.as_bytes()).unwrap());
        assert_eq!(ended, ends, "{parts:?}");
    }

    #[test]
    fn a_head_ends_with_its_blank_line() {
        check(&["GET / HTTP/1.1\r\nHost: a\r\n\r\n"], true);
        check(&["GET / HTTP/1.1\r\nHost: a\r\n\r", "\nbody"], true);
        check(&["GET / HTTP/1.1\nHost: a\n\n"], true);
        check(&["GET / HTTP/1.1\r\nHost: a\r\n"], false);
        check(&["GET / HTTP/1.1\r\n", "X: 1\r\n", "Y: 2\r\n"], false);
    }

    #[test]
    fn blank_lines_alone_are_no_head() {
        check(&["\r\n", "\r\n\r\n", "\n\n\n"], false);
        check(&["\r\n\r\nGET / HTTP/1.1\r\n\r\n"], true);
    }

    #[test]
    fn http2_in_the_clear_is_refused() {
        let mut head = Head::default();
        assert!(head.ends_in(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_err());
    }

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
