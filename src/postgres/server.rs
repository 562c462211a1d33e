//! The server's process: made, watched, started again when it dies, stopped with us.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::watch;

use super::{Binaries, EmbeddedError, Folder, USER, leftover};

/// Stated though they are Postgres' defaults: a cluster's own file cannot turn them off.
const DURABLE: [&str; 3] = ["fsync=on", "synchronous_commit=on", "full_page_writes=on"];
const RESTART_PAUSE: Duration = Duration::from_millis(500);
const STOP_MAX: Duration = Duration::from_secs(30);
const LOG_MAX: u64 = 10 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    /// It is down; so many starts in a row ended before it answered.
    Ended {
        failures: u32,
    },
    Stopped,
}

/// A supervised server. Dropped, it is told to stop.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    state: watch::Receiver<State>,
}

#[derive(Debug)]
struct Shared {
    process: Mutex<Process>,
}

#[derive(Debug)]
struct Process {
    pid: Option<u32>,
    is_stopping: bool,
    failures: u32,
}

impl Server {
    /// Start the server on a thread that lives as long as the server shall.
    ///
    /// Linux ends a child when the *thread* that started it ends: started from a pool's thread, the
    /// server would stop whenever the pool shrinks.
    pub fn supervise(binaries: Binaries, folder: Folder, settings: Vec<String>) -> Server {
        let process = Process {
            pid: None,
            is_stopping: false,
            failures: 0,
        };
        let shared = Arc::new(Shared {
            process: Mutex::new(process),
        });
        let (tell, state) = watch::channel(State::Ended { failures: 0 });
        let supervised = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || supervised.supervise(&binaries, &folder, &settings, &tell))
            .expect("a process starts with room for one more thread");
        Server { shared, state }
    }

    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    pub fn pid(&self) -> Option<u32> {
        self.shared.process().pid
    }

    /// It answered: whatever failed before is forgiven.
    pub fn is_up(&self) {
        self.shared.process().failures = 0;
    }

    pub async fn stop(mut self) {
        self.shared.stop(libc::SIGINT);
        let stopped = self.state.wait_for(|state| *state == State::Stopped);
        if tokio::time::timeout(STOP_MAX, stopped).await.is_err() {
            tracing::warn!(
                "the embedded server takes its time: it is stopped at once and recovers at the next start"
            );
            self.shared.stop(libc::SIGQUIT);
            // An error means that the thread is gone, and with it the server.
            let _ = self.state.wait_for(|state| *state == State::Stopped).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop(libc::SIGINT);
    }
}

impl Shared {
    fn process(&self) -> MutexGuard<'_, Process> {
        self.process
            .lock()
            .expect("the lock is never held across a panic")
    }

    fn stop(&self, signal: i32) {
        let mut process = self.process();
        process.is_stopping = true;
        if let Some(pid) = process.pid {
            // SAFETY: our own child, not yet reaped: the supervising thread forgets the pid first.
            unsafe { libc::kill(pid as i32, signal) };
        }
    }

    fn supervise(
        &self,
        binaries: &Binaries,
        folder: &Folder,
        settings: &[String],
        tell: &watch::Sender<State>,
    ) {
        loop {
            match self.start(binaries, folder, settings) {
                Ok(Some(child)) => {
                    tell.send_replace(State::Running);
                    self.wait_for(child);
                }
                Ok(None) => {}
                Err(error) => tracing::error!("the embedded server cannot be started: {error}"),
            }
            let failures = {
                let mut process = self.process();
                process.failures += 1;
                if process.is_stopping {
                    tell.send_replace(State::Stopped);
                    return;
                }
                process.failures
            };
            tell.send_replace(State::Ended { failures });
            tracing::error!(
                "the embedded server ended; starting it again. Its log: {}",
                folder.log.display()
            );
            std::thread::sleep(RESTART_PAUSE);
            if let Err(error) = leftover::clear(folder) {
                tracing::error!("{error}");
            }
        }
    }

    /// None when we were told to stop meanwhile.
    fn start(
        &self,
        binaries: &Binaries,
        folder: &Folder,
        settings: &[String],
    ) -> io::Result<Option<Child>> {
        let mut command = command(binaries, folder, settings)?;
        let mut process = self.process();
        if process.is_stopping {
            return Ok(None);
        }
        let child = command.spawn()?;
        process.pid = Some(child.id());
        Ok(Some(child))
    }

    fn wait_for(&self, mut child: Child) {
        let id = child.id();
        // SAFETY: waits for our own child and leaves it a zombie, so that its number stays its own
        // until nobody can signal it any more.
        unsafe {
            let mut about = std::mem::zeroed();
            while libc::waitid(libc::P_PID, id, &mut about, libc::WEXITED | libc::WNOWAIT) == -1
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
        self.process().pid = None;
        if let Err(error) = child.wait() {
            tracing::warn!("the embedded server's end was not seen: {error}");
        }
    }
}

fn command(binaries: &Binaries, folder: &Folder, settings: &[String]) -> io::Result<Command> {
    let log = open_log(&folder.log)?;
    let mut command = as_owner(Command::new(binaries.folder.join("postgres")), folder);
    command.arg("-D").arg(&folder.cluster);
    let mut sockets = std::ffi::OsString::from("unix_socket_directories=");
    sockets.push(&folder.socket);
    command.arg("-c").arg(sockets);
    // No NOTIFY or replica is fed from here; UTC everywhere, as in the code.
    let fixed = [
        "listen_addresses=",
        "port=5432",
        "unix_socket_permissions=0700",
        "timezone=UTC",
        "log_timezone=UTC",
    ];
    for setting in fixed
        .into_iter()
        .chain(DURABLE)
        .chain(settings.iter().map(String::as_str))
    {
        command.args(["-c", setting]);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // A Ctrl-C at the terminal is for us alone: the server stops after the workers are drained.
    command.process_group(0);
    #[cfg(target_os = "linux")]
    end_with_us(&mut command);
    Ok(command)
}

/// However this process ends, the server is told to shut down.
#[cfg(target_os = "linux")]
fn end_with_us(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: between fork and exec; prctl and getppid are plain system calls.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) == -1 {
                return Err(io::Error::last_os_error());
            }
            // We may have died before the call: then the signal never comes.
            if libc::getppid() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Make the cluster beside its place and move it there: a crash in between leaves no half of one.
///
/// What already lies in its place is never touched: it may be a cluster that lost a file.
pub fn make_cluster(binaries: &Binaries, folder: &Folder) -> Result<(), EmbeddedError> {
    let failed = |why: String| EmbeddedError::InitDb(folder.cluster.clone(), why);
    if folder.cluster.exists() {
        return Err(failed(
            "something without a PG_VERSION is there already: move it away".to_owned(),
        ));
    }
    let half = folder.home.join("cluster.new");
    match std::fs::remove_dir_all(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(error.to_string()));
        }
        _ => {}
    }
    let mut initdb = as_owner(Command::new(binaries.folder.join("initdb")), folder);
    initdb.args([
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
        "--username",
        USER,
    ]);
    let output = initdb
        .arg("-D")
        .arg(&half)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    std::fs::rename(&half, &folder.cluster)
        .and_then(|()| File::open(&folder.home)?.sync_all())
        .map_err(|error| failed(error.to_string()))
}

fn as_owner(mut command: Command, folder: &Folder) -> Command {
    // PGDATA, PGOPTIONS and the like are about other servers.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    // The folder we stand in may be closed to the other user.
    command.current_dir(&folder.home);
    if folder.owner.is_other {
        command.uid(folder.owner.uid).gid(folder.owner.gid);
    }
    command
}

fn open_log(path: &Path) -> io::Result<File> {
    let is_full = std::fs::metadata(path).is_ok_and(|about| about.len() > LOG_MAX);
    OpenOptions::new()
        .create(true)
        .append(!is_full)
        .write(true)
        .truncate(is_full)
        // The folder is the server's user's: root must not follow a link that it put there.
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}
