//! A process that is started again whenever it ends, as a supervisor would.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::task::JoinHandle;

use super::process::{Process, Program, free_address};

/// How often a supervisor looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One role, always at the same address.
pub struct Kept {
    pub address: SocketAddr,
    now: Arc<Mutex<Now>>,
    supervisor: JoinHandle<()>,
}

struct Now {
    process: Process,
    /// What the processes before it printed and logged.
    logs: Vec<String>,
}

impl Kept {
    pub fn start(program: &Program, role: &'static str) -> Kept {
        let (program, address) = (program.clone(), free_address());
        let process = program.start_at(role, address);
        let logs = Vec::new();
        let now = Arc::new(Mutex::new(Now { process, logs }));
        let kept = now.clone();
        let supervisor = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let mut now = kept.lock().unwrap();
                if !now.process.is_alive() {
                    let log = now.process.log();
                    now.logs.push(log);
                    now.process = program.start_at(role, address);
                }
            }
        });
        Kept {
            address,
            now,
            supervisor,
        }
    }

    /// Send a signal to the process that runs just now.
    pub fn signal(&self, signal: i32) {
        self.now.lock().unwrap().process.signal(signal);
    }

    /// How often it was started again.
    pub fn ends(&self) -> usize {
        self.now.lock().unwrap().logs.len()
    }

    pub fn is_ready(&self) -> impl Future<Output = bool> + use<> {
        let url = format!("http://{}/readyz", self.address);
        let _ = rustls::crypto::ring::default_provider().install_default();
        async move {
            let answer = reqwest::get(url).await;
            answer.is_ok_and(|answer| answer.status() == 200)
        }
    }

    /// Everything that all of its processes printed and logged.
    pub fn log(&self) -> String {
        let now = self.now.lock().unwrap();
        now.logs.concat() + &now.process.log()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}
