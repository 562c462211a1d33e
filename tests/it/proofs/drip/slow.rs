//! Connections that drip: half of them in the head of a request, half in its body.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    runtime,
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;

const HEAD: &[u8] = b"POST /stripe/webhook HTTP/1.1\r\nx-slow: ";
const BODY: &[u8] = b"POST /stripe/webhook HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n";
/// From byte to byte.
const PACE: Duration = Duration::from_millis(2000);
/// From each of so many addresses.
const ADDRESSES: usize = 50;

/// So many slow clients at any time: one that is cut comes again. On a thread of their own.
pub struct Slow {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    open: AtomicUsize,
    cut: AtomicUsize,
    /// How long each connection that was cut had been open, and whether it dripped in a head.
    lives: Mutex<Vec<(bool, Duration)>>,
    stop: CancellationToken,
}

impl Slow {
    /// They come one after the other within `spread`, so that later, when they are cut and come again,
    /// there is no moment at which all of them do.
    pub fn start(address: SocketAddr, count: usize, spread: Duration) -> Slow {
        let shared = Arc::new(Shared::default());
        let work = shared.clone();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let clients = (0..count)
                    .map(|number| tokio::spawn(client(work.clone(), address, number, spread)));
                for client in clients.collect::<Vec<_>>() {
                    client.await.unwrap();
                }
            });
        });
        Slow { shared, thread }
    }

    /// How many are connected now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// How many of them were cut, at least once.
    pub fn cut(&self) -> usize {
        self.shared.cut.load(Ordering::Relaxed)
    }

    /// End them all. For each connection that was cut before: whether it dripped in a head, and how
    /// long it was open.
    pub fn stop(self) -> Vec<(bool, Duration)> {
        self.shared.stop.cancel();
        self.thread.join().unwrap();
        std::mem::take(&mut self.shared.lives.lock().unwrap())
    }
}

async fn client(shared: Arc<Shared>, address: SocketAddr, number: usize, spread: Duration) {
    let is_head = number.is_multiple_of(2);
    let start = if is_head { HEAD } else { BODY };
    let own = Ipv4Addr::new(127, 0, 1, (number % ADDRESSES) as u8 + 1);
    let lives = async {
        sleep(spread.mul_f64(rand::random())).await;
        for life in 0.. {
            let lasted = drip(&shared, address, own, start).await;
            shared.lives.lock().unwrap().push((is_head, lasted));
            shared
                .cut
                .fetch_add(usize::from(life == 0), Ordering::Relaxed);
        }
    };
    shared.stop.run_until_cancelled(lives).await;
}

/// Connect and drip until it is cut; how long that took.
async fn drip(shared: &Shared, address: SocketAddr, own: Ipv4Addr, start: &[u8]) -> Duration {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((own, 0).into()).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let begun = Instant::now();
    let _open = Open::count(shared);
    let (mut reader, mut writer) = stream.split();
    let dripping = async {
        let mut ticks = interval(PACE);
        let mut next = start;
        while writer.write_all(next).await.is_ok() {
            ticks.tick().await;
            next = b"a";
        }
    };
    let reading = async {
        let mut part = [0; 512];
        while let Ok(1..) = reader.read(&mut part).await {}
    };
    tokio::select! {
        () = dripping => {}
        () = reading => {}
    }
    begun.elapsed()
}

struct Open<'a>(&'a Shared);

impl Open<'_> {
    fn count(shared: &Shared) -> Open<'_> {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Open(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
