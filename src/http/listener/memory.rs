//! What a crowd of connections used goes back to the system once the crowd has gone.

use std::time::Duration;

use tokio::{runtime::Handle, time::sleep};

/// Fewer leave nothing behind that is worth the work.
const CROWD: usize = 128;
/// The last of them are only just ending.
const PAUSE: Duration = Duration::from_secs(1);

/// The most connections there were since memory was given back.
#[derive(Default)]
pub struct Crowd {
    most: usize,
}

impl Crowd {
    /// So many are open now, one more than before.
    pub fn grown(&mut self, open: usize) {
        self.most = self.most.max(open);
    }

    /// So many are left; true once when the crowd has gone.
    pub fn has_gone(&mut self, open: usize) -> bool {
        let has_gone = self.most >= CROWD && open * 8 <= self.most;
        if has_gone {
            self.most = open;
        }
        has_gone
    }
}

/// The allocator keeps what was freed between two things that are still in use: after a crowd it would
/// hold some ten thousand bytes for each connection there ever was at one time.
pub fn give_back() {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    runtime.spawn(async {
        sleep(PAUSE).await;
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        tokio::task::spawn_blocking(|| {
            // SAFETY: it may be called at any time from any thread.
            unsafe { libc::malloc_trim(0) }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_has_gone_once() {
        let mut crowd = Crowd::default();
        for open in 1..=1000 {
            crowd.grown(open);
        }
        let gone: Vec<usize> = (0..1000)
            .rev()
            .filter(|open| crowd.has_gone(*open))
            .collect();
        assert_eq!(gone, [125]);
    }
}
