//! Connections that can be cut: the client sees its socket close without a byte of an answer.
//!
//! hyper always answers what it has read, so the cut is made below it: a cut line refuses every
//! write, hyper gives the connection up, and dropping it closes the socket.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use poem::{
    http::uri::Scheme,
    listener::Acceptor,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// The open connections, by the client's address.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<Mutex<HashMap<SocketAddr, Arc<AtomicBool>>>>);

impl Lines {
    /// From now on nothing is written to that client; its connection ends with the current request.
    pub fn cut(&self, client: &SocketAddr) {
        if let Some(is_cut) = self.open().get(client) {
            is_cut.store(true, Ordering::Release);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<AtomicBool>>> {
        self.0
            .lock()
            .expect("nothing panics while it holds the lines")
    }
}

/// Accepts connections and registers each as a line.
pub(super) struct LineAcceptor {
    listener: TcpListener,
    address: SocketAddr,
    lines: Lines,
}

impl LineAcceptor {
    /// Port 0 takes a free one; [`LineAcceptor::address`] tells which.
    pub async fn bind(address: SocketAddr, lines: Lines) -> io::Result<LineAcceptor> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(LineAcceptor {
            listener,
            address,
            lines,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Acceptor for LineAcceptor {
    type Io = Line;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Line, LocalAddr, RemoteAddr, Scheme)> {
        let (stream, client) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        let is_cut = Arc::new(AtomicBool::new(false));
        self.lines.open().insert(client, is_cut.clone());
        let line = Line {
            stream,
            client,
            is_cut,
            lines: self.lines.clone(),
        };
        let local = LocalAddr(self.address.into());
        Ok((line, local, RemoteAddr(client.into()), Scheme::HTTP))
    }
}

/// One connection.
pub(super) struct Line {
    stream: TcpStream,
    client: SocketAddr,
    is_cut: Arc<AtomicBool>,
    lines: Lines,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        if self.is_cut.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.lines.open().remove(&self.client);
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
