//! One connection: knows whether a head, a body or nothing is due on it, and ends it when it is late.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{Limits, head::Head, place::Place};
use crate::clock::Clock;

/// Where a connection is between two requests.
enum Phase {
    /// No byte of a request is there.
    Waiting,
    Head(Head),
    /// The head is complete; its body is read and its answer is made.
    Serving,
}

/// One connection with its deadlines.
pub struct GuardedStream {
    stream: TcpStream,
    phase: Phase,
    deadline: Pin<Box<Sleep>>,
    head_max: Duration,
    idle_max: Duration,
    place: Place,
}

impl GuardedStream {
    /// It keeps its place until it ends.
    pub fn new(stream: TcpStream, place: Place, limits: &Limits) -> GuardedStream {
        GuardedStream {
            stream,
            phase: Phase::Waiting,
            // A new connection is there to ask something: it gets no longer than a head.
            deadline: Box::pin(sleep(limits.head)),
            head_max: limits.head,
            idle_max: limits.idle,
            place,
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

    /// Nothing moves: wait for it, or for the deadline, or until the place is needed.
    fn poll_deadline<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let why = if self.place.is_gone(cx.waker()) {
            "place needed"
        } else {
            ready!(self.deadline.as_mut().poll(cx));
            match self.phase {
                Phase::Head(_) => "head",
                _ => "idle",
            }
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
