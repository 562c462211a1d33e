//! What a crash left behind: a server without a supervisor, or a pid file without a server.
//!
//! Called with the folder's lock held, so whatever still runs there belongs to nobody.

use std::{fs, io, path::Path, time::Duration};

use super::{EmbeddedError, Folder};

/// How long an orphaned server may take to shut down.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Stop a server that outlived its supervisor, and remove a pid file that would stop the next one.
///
/// A file whose process is gone stays: Postgres takes it over itself, and checks first that no
/// backend of the old server is still attached to the cluster. It cannot tell that a number now
/// belongs to a zombie or to another program, or was never written; only such files go.
pub fn clear(folder: &Folder) -> Result<(), EmbeddedError> {
    let pid_file = folder.cluster.join("postmaster.pid");
    let mut rounds = PATIENCE.as_millis() / PAUSE.as_millis();
    loop {
        let orphan = recorded_pid(&pid_file).filter(|pid| is_server_of(*pid, &folder.cluster));
        if orphan.is_none() && !has_workers(&folder.cluster) {
            break;
        }
        if rounds == 0 {
            return Err(EmbeddedError::Leftover(folder.cluster.clone()));
        }
        if let Some(pid) = orphan {
            // SAFETY: a server of this cluster, which is ours. SIGINT: finish now, cleanly.
            unsafe { libc::kill(pid, libc::SIGINT) };
        }
        rounds -= 1;
        std::thread::sleep(PAUSE);
    }
    if !pid_file.exists() || recorded_pid(&pid_file).is_some_and(|pid| !exists(pid)) {
        return Ok(());
    }
    tracing::info!(
        "removing the pid file of a server that crashed: {}",
        pid_file.display()
    );
    fs::remove_file(&pid_file).map_err(|error| EmbeddedError::Folder(pid_file, error))
}

/// The first line of the file; a file cut short by a crash has none.
fn recorded_pid(pid_file: &Path) -> Option<i32> {
    let text = fs::read_to_string(pid_file).ok()?;
    text.lines()
        .next()?
        .trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 1)
}

/// Whether anything has this number, a zombie included.
fn exists(pid: i32) -> bool {
    // SAFETY: signal 0 only asks.
    let answer = unsafe { libc::kill(pid, 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Whether the process is a living server of this cluster. Its number alone says nothing: after a
/// reboot it may be anybody's.
#[cfg(target_os = "linux")]
fn is_server_of(pid: i32, cluster: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    // In a container even root may not see the working folder of another user; the command line it
    // may. A zombie has neither.
    let command = fs::read(process.join("cmdline")).unwrap_or_default();
    let named = cluster.as_os_str().as_encoded_bytes();
    works_in(&process, cluster) || command.split(|byte| *byte == 0).any(|word| word == named)
}

/// A server and all its backends have the cluster as their working folder.
#[cfg(target_os = "linux")]
fn works_in(process: &Path, cluster: &Path) -> bool {
    fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == cluster)
}

#[cfg(target_os = "linux")]
fn has_workers(cluster: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .into_iter()
        .any(|process| works_in(&process.path(), cluster))
}

#[cfg(not(target_os = "linux"))]
fn is_server_of(pid: i32, cluster: &Path) -> bool {
    let mut command = std::process::Command::new("ps");
    command.args(["-o", "stat=,command=", "-p", &pid.to_string()]);
    let Ok(output) = command.output() else {
        return false;
    };
    let line = String::from_utf8_lossy(&output.stdout);
    let line = line.trim();
    !line.starts_with('Z')
        && line.contains("postgres")
        && line.contains(&*cluster.to_string_lossy())
}

/// Without /proc nobody sees the working folders of others.
#[cfg(not(target_os = "linux"))]
fn has_workers(_cluster: &Path) -> bool {
    false
}
