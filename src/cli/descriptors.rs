//! How many files and sockets this process may have open.

use crate::config::Config;

/// What a process has open besides its clients and its pools: logs, timers, calls to the providers.
const OTHERS: u64 = 100;

/// Have as many as the system lets us: it begins with fewer, for the sake of programs that look at
/// every number below the limit. A limit that is too low even so is told in the log.
pub fn allow_all(config: &Config) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls read or write this one struct and nothing else.
    let is_known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0;
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    let is_raised = is_known && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == 0;
    let allowed = if is_raised { limit.rlim_max } else { before };
    let pools = &config.pools;
    let needed = config.http.connections_max as u64
        + u64::from(pools.ingest + pools.api + pools.queue + pools.work + pools.console)
        + OTHERS;
    if is_known && allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "fewer files may be open than HTTP_CONNECTIONS_MAX and the pools need: raise `ulimit -n`, or lower them"
        );
    }
}
