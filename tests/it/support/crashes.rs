//! The folder by which a test arms crash points of processes and sees what they passed.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use tollkeeper::crash::Armed;

use super::process::Program;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// Shared by all processes of one scenario; gone when it is dropped.
pub struct Crashes {
    folder: PathBuf,
}

impl Crashes {
    pub fn new() -> Crashes {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollkeeper-crashes-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        Crashes { folder }
    }

    /// A program whose processes heed this folder.
    pub fn heeded_by(&self, program: Program) -> Program {
        program.with("TOLLKEEPER_CRASH_FOLDER", self.folder.to_str().unwrap())
    }

    /// From now on, until it has struck.
    pub fn arm(&self, armed: &Armed) {
        let _ = fs::remove_file(self.folder.join("struck"));
        // At once: nobody may read half of it.
        let written = self.folder.join("written");
        fs::write(&written, armed.to_string()).unwrap();
        fs::rename(written, self.folder.join("armed")).unwrap();
    }

    pub fn has_struck(&self) -> bool {
        self.folder.join("struck").exists()
    }

    /// The points that were passed since the last call.
    pub fn take_reached(&self) -> BTreeSet<String> {
        let reached = self.folder.join("reached");
        let taken = self.folder.join("taken");
        if fs::rename(reached, &taken).is_err() {
            return BTreeSet::new();
        }
        let text = fs::read_to_string(taken).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Crashes {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
