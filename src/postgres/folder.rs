//! The cluster's folder: who owns it, where its socket is, who uses it, what a crash left in it.

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{EmbeddedError, binaries};

/// Unix socket addresses end at 107 bytes; macOS allows 103.
const SOCKET_PATH_MAX: usize = 103;
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// The user the server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    /// This process is root, the server must not be.
    pub is_other: bool,
}

impl Owner {
    /// Ourselves, or `postgres` (else `nobody`) when we are root: Postgres refuses to run as root.
    pub fn of_server() -> Result<Owner, EmbeddedError> {
        // SAFETY: these calls have no preconditions.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        if uid != 0 {
            return Ok(Owner {
                uid,
                gid,
                is_other: false,
            });
        }
        for name in [c"postgres", c"nobody"] {
            // SAFETY: the name ends with a zero byte; the entry is read before any other look-up.
            let entry = unsafe { libc::getpwnam(name.as_ptr()).as_ref() };
            if let Some(entry) = entry {
                return Ok(Owner {
                    uid: entry.pw_uid,
                    gid: entry.pw_gid,
                    is_other: true,
                });
            }
        }
        Err(EmbeddedError::NoUser)
    }

    fn may_enter(&self, folder: &Path) -> bool {
        let Ok(about) = fs::metadata(folder) else {
            return true; // Not there yet: we shall make it.
        };
        let shift = match (about.uid() == self.uid, about.gid() == self.gid) {
            (true, _) => 6,
            (_, true) => 3,
            _ => 0,
        };
        about.mode() >> shift & 1 == 1
    }
}

/// Make the data folder if it is missing, for nobody but us to look into; gives its full path.
pub fn make_data_dir(data_dir: &Path) -> io::Result<PathBuf> {
    // SAFETY: the call has no preconditions.
    let is_root = unsafe { libc::geteuid() } == 0;
    // Root's server runs as another user, who must be able to pass through.
    let mode = if is_root { 0o711 } else { 0o700 };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(data_dir)?;
    data_dir.canonicalize()
}

/// Where everything of one cluster is.
#[derive(Debug, Clone)]
pub struct Folder {
    /// `postgres/` in the data folder, or where a link of that name leads.
    pub home: PathBuf,
    pub cluster: PathBuf,
    pub socket: PathBuf,
    pub log: PathBuf,
    pub owner: Owner,
}

impl Folder {
    /// Make what is missing. The same data folder always leads to the same places.
    pub fn open(data_dir: &Path) -> Result<Folder, EmbeddedError> {
        let owner = Owner::of_server()?;
        let named = |error| EmbeddedError::Folder(data_dir.to_path_buf(), error);
        let data_dir = make_data_dir(data_dir).map_err(named)?;
        let home = data_dir.join("postgres");
        if home.is_symlink()
            || home.exists()
            || data_dir.ancestors().all(|folder| owner.may_enter(folder))
        {
            return Folder::at(home, owner);
        }
        Folder::at(outside(&home).map_err(named)?, owner)
    }

    fn at(home: PathBuf, owner: Owner) -> Result<Folder, EmbeddedError> {
        // A link that leads nowhere is an error: an empty database in its place would look like a loss.
        let home = match home.is_symlink() {
            true => home
                .canonicalize()
                .map_err(|error| EmbeddedError::Folder(home, error))?,
            false => home,
        };
        let folder = Folder {
            cluster: home.join("cluster"),
            socket: socket_folder(&home),
            log: home.join("server.log"),
            home,
            owner,
        };
        for path in [&folder.home, &folder.socket] {
            folder
                .make_private(path)
                .map_err(|error| EmbeddedError::Folder(path.clone(), error))?;
        }
        Ok(folder)
    }

    /// A folder that only the server's user may enter. One that somebody else made (in a temporary
    /// folder anyone can) is refused: its owner could put a server of their own behind our socket.
    fn make_private(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // By its handle from here on: between two looks at a path the server's user could put a link there,
        // and root would follow it.
        let folder = File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY)
            .open(path)?;
        if ![self.owner.uid, 0].contains(&folder.metadata()?.uid()) {
            return Err(io::Error::other("it belongs to somebody else"));
        }
        fchown(&folder, Some(self.owner.uid), Some(self.owner.gid))?;
        folder.set_permissions(Permissions::from_mode(0o700))
    }

    /// The version that made the cluster; none when there is no cluster yet.
    pub fn made_by(&self) -> Option<u32> {
        let text = fs::read_to_string(self.cluster.join("PG_VERSION")).ok()?;
        binaries::parse_major(&text)
    }

    /// The last lines of the server's log, for an error that explains itself.
    pub fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(4).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("; ")
    }
}

/// Where root's data folder is closed to the server's user (`/root`), the cluster goes outside, and a
/// link tells where. A new name each time: a data folder that was removed takes its cluster along.
fn outside(home: &Path) -> io::Result<PathBuf> {
    let name = hex::encode(rand::random::<[u8; 8]>());
    let outside = Path::new("/var/lib/tollkeeper").join(name);
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(&outside)?;
    std::os::unix::fs::symlink(&outside, home)?;
    tracing::info!(
        "the data folder is closed to the server's user: the cluster is in {}",
        outside.display()
    );
    Ok(outside)
}

/// The right to run the server of a folder; ends with the process, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// A child that was forked and has not become its program yet has the file open too: closing ours alone would leave it
/// locked until then.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Refused while another process has it: two supervisors of one cluster would stop each other's server.
    pub fn take(folder: &Folder) -> Result<Lock, EmbeddedError> {
        let path = folder.home.join("lock");
        let named = |error| EmbeddedError::Folder(path.clone(), error);
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            // The folder is the server's user's: root must not follow a link that it put there.
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(named)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(named)?;
                return Err(EmbeddedError::InUse {
                    folder: folder.home.clone(),
                    holder: holder.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(named(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .map_err(named)?;
        writeln!(file, "{}", std::process::id()).map_err(named)?;
        Ok(Lock { file })
    }
}

/// Beside the cluster, or where the path would be too long for a socket, in the temporary folder.
fn socket_folder(home: &Path) -> PathBuf {
    let beside = home.join("socket");
    if beside.as_os_str().len() + 1 + SOCKET_NAME.len() <= SOCKET_PATH_MAX {
        return beside;
    }
    let short = std::env::temp_dir().join(format!("tollkeeper-{}", short_name(home)));
    if short.as_os_str().len() + 1 + SOCKET_NAME.len() <= SOCKET_PATH_MAX {
        return short;
    }
    Path::new("/tmp").join(format!("tollkeeper-{}", short_name(home)))
}

fn short_name(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hex::encode(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_lies_beside_its_cluster_unless_the_path_is_too_long() {
        let short = Path::new("/srv/tollkeeper/.tollkeeper/postgres");
        assert_eq!(socket_folder(short), short.join("socket"));

        let deep = PathBuf::from("/srv").join("a-long-name/".repeat(9));
        let socket = socket_folder(&deep);

        assert!(
            socket.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_MAX,
            "{}",
            socket.display()
        );
        assert_ne!(socket, socket_folder(&deep.join("other")));
    }
}
