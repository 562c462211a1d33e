//! The machine and the server that the figures are of, and what processes use of them.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

use crate::server::Server;

/// What else decides about durability and speed.
const SETTINGS: [&str; 8] = [
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "max_connections",
];

/// Print what the figures are to be read with.
pub async fn describe(server: &Server) -> anyhow::Result<()> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    println!(
        "machine: {} x {}, {}",
        std::thread::available_parallelism()?,
        model.unwrap_or("unknown processor"),
        memory.lines().next().unwrap_or_default()
    );
    let mut conn = server.connect().await?;
    for name in SETTINGS {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut conn)
            .await?;
        println!("{name} = {value}");
    }
    println!("{}", fsyncs(server).await?);
    Ok(())
}

/// The line of `pg_test_fsync` about the method in use, for one 8 kB write.
async fn fsyncs(server: &Server) -> anyhow::Result<String> {
    let file = server.folder().join("fsync-test");
    let output = Command::new(server.bindir.join("pg_test_fsync"))
        .args(["--secs-per-test", "1", "--filename"])
        .arg(&file)
        .output()
        .await
        .context("pg_test_fsync comes with the PostgreSQL server package")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = printed
        .lines()
        .find(|line| line.trim().starts_with("fdatasync"));
    let line = line
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>();
    Ok(format!("pg_test_fsync, one 8 kB write: {}", line.join(" ")))
}

/// User and system time of a process so far.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(process(pid).join("stat"))?;
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64)
}

/// What processes hold in memory together, in MB.
pub fn resident_mb(pids: &[u32]) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for pid in pids {
        let status = fs::read_to_string(process(*pid).join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = resident.and_then(|text| text.trim().strip_suffix(" kB"));
        sum += kb.context("no VmRSS")?.parse::<f64>()? / 1000.0;
    }
    Ok(sum)
}

fn process(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}
