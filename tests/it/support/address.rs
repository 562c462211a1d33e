//! An address that stays the same while the server behind it changes: what a virtual IP, a proxy or
//! a managed database's name is in production.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Forwards connections to the socket it points at, until it is dropped.
pub struct Address {
    at: SocketAddr,
    target: Arc<Mutex<Target>>,
    _stop: DropGuard,
}

struct Target {
    socket: PathBuf,
    /// Cuts what is connected.
    moved: CancellationToken,
}

impl Address {
    pub async fn of(socket: PathBuf) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, moved) = (CancellationToken::new(), CancellationToken::new());
        let target = Arc::new(Mutex::new(Target { socket, moved }));
        let (forwarded, stopped) = (target.clone(), stop.clone());
        tokio::spawn(stopped.run_until_cancelled_owned(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (socket, moved) = {
                    let target = forwarded.lock().unwrap();
                    (target.socket.clone(), target.moved.clone())
                };
                tokio::spawn(moved.run_until_cancelled_owned(forward(client, socket)));
            }
        }));
        Address {
            at,
            target,
            _stop: stop.drop_guard(),
        }
    }

    /// How to reach a database of that server by this address.
    pub fn in_the_place_of(&self, database: &PgConnectOptions) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.at.ip().to_string())
            .port(self.at.port())
            .username(database.get_username())
            .database(database.get_database().unwrap())
    }

    /// From now on another server is meant. Connections to the old one are cut.
    pub fn point_at(&self, socket: PathBuf) {
        let mut target = self.target.lock().unwrap();
        target.moved.cancel();
        *target = Target {
            socket,
            moved: CancellationToken::new(),
        };
    }
}

/// Either side may end it, and a server that is not there ends it at once.
async fn forward(mut client: TcpStream, socket: PathBuf) {
    if let Ok(mut server) = UnixStream::connect(&socket).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
