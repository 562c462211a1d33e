//! Slow clients: thousands of connections that never get on with their request, beside normal load.
//!
//! The slow clients, the normal ones and the database share the cores of the machine that runs this, and
//! so do other programs. What they take from each other is none of the service's doing, so the answers of
//! the process that the slow clients hold are compared with those of a second one beside it, in turn, a
//! second each. How both compare with a machine without slow clients is printed as well.

mod load;
mod slow;

use std::time::Duration;

use tollkeeper::sandbox::{Sandbox, Settings};

use self::{load::Load, slow::Slow};
use crate::support::{
    cluster,
    figures::{Figure, Goal},
    process::{Process, Program},
    proof::{all_held, shown, size},
    until,
};

/// A busy machine may notice a deadline late.
const LATE: Duration = Duration::from_secs(5);
/// What a process has open besides its clients: pools, listeners, the runtime's own.
const OWN_DESCRIPTORS: usize = 50;

/// A web role with room for all of them, on a machine that allows few open files to begin with. It does
/// not keep the sandbox: nothing here asks a provider.
async fn web(settings: &[(&str, &str)]) -> Process {
    let sandbox = Sandbox::start(Settings::default()).await.unwrap();
    let program = Program::over(&cluster::fresh_database_options().await, &sandbox)
        .with("HTTP_CONNECTIONS_MAX", "4096")
        .with_descriptors(size(64, 1_024));
    let with = |program: Program, (name, value): &(&str, &str)| program.with(name, value);
    settings.iter().fold(program, with).ready("web").await
}

#[tokio::test]
async fn normal_clients_notice_nothing_of_slow_ones() {
    let count = size(100, 2_000);
    // The longer one of the deadlines: at any time as many are cut as at any other.
    let spread = Duration::from_secs(size(1, 10));
    let phases = size(2, 6);
    let rounds = size(3, 6);
    let webhooks = size(12, 60);
    let processes = [web(&[]).await, web(&[]).await];
    let loads = [0, 1].map(|at: usize| Load::at(processes[at].address));
    // The first one warms everything up: pools, caches, the allocator.
    for load in loads {
        load.run(webhooks).await;
    }
    let (mut alone, mut apart, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for phase in 0..phases {
        let (held, free) = (phase % 2, 1 - phase % 2);
        let slow = Slow::start(processes[held].address, count, spread);
        for _ in 0..rounds {
            // Those that were just cut are on their way back.
            until("they are there", async || slow.open() >= count * 95 / 100).await;
            beside.push(loads[held].run(webhooks).await);
            apart.push(loads[free].run(webhooks).await);
        }
        slow.stop();
        until("they are gone", async || {
            descriptors(&processes[held]) < OWN_DESCRIPTORS
        })
        .await;
        alone.push(loads[held].run(webhooks).await);
        alone.push(loads[free].run(webhooks).await);
    }
    println!("alone {alone:.1?}\napart {apart:.1?}\nbeside {beside:.1?}");
    println!("without any slow client {:.1} ms", quiet(alone));
    shown(Figure::ratio(
        "ack_p99_beside_slow_clients",
        quiet(beside),
        "ms",
        quiet(apart),
        Goal::AtMost(size(10.0, 1.2)),
    ));
}

/// The lower quartile: what other programs do to a round only ever makes it slower, and what the slow
/// clients do is in every one of theirs.
fn quiet(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 4]
}

#[tokio::test]
async fn slow_clients_are_cut_in_time_and_leave_nothing_behind() {
    let count = size(200, 2_000);
    let generations = size(1, 4);
    let settings = [("HTTP_HEADER_DEADLINE", "1s"), ("HTTP_BODY_DEADLINE", "2s")];
    let process = web(&settings).await;
    let fresh = resident(&process);
    let (mut cut, mut in_time, mut most) = (0, 0, 0);
    for _ in 0..generations {
        let slow = Slow::start(process.address, count, Duration::from_secs(1));
        until("each was cut once", async || slow.cut() == count).await;
        most = most.max(resident(&process));
        for (is_head, life) in slow.stop() {
            let deadline = Duration::from_secs(if is_head { 1 } else { 2 });
            let is_in_time = (deadline.mul_f64(0.9)..deadline + LATE).contains(&life);
            if !is_in_time {
                println!("cut after {life:?} instead of {deadline:?}");
            }
            cut += 1;
            in_time += usize::from(is_in_time);
        }
        until("they are gone", async || {
            descriptors(&process) < OWN_DESCRIPTORS
        })
        .await;
    }
    let (_, figures) = process.get("/metrics").await.unwrap();
    let heads = figures
        .lines()
        .find(|line| line.starts_with(r#"tollkeeper_connections_cut_total{why="head"}"#))
        .unwrap_or_else(|| panic!("no cut head was counted: {figures}"));
    println!("{heads}; memory {fresh} KiB, {most} with them");
    all_held("slow_clients_cut_in_time", in_time, "connections", cut);

    // Code that was read in and tables that grew stay; what each connection took does not.
    let kept = fresh + fresh / 2;
    until("their memory has come back", async || {
        resident(&process) <= kept
    })
    .await;
    shown(Figure::ratio(
        "memory_after_slow_clients",
        resident(&process) as f64,
        "KiB",
        fresh as f64,
        Goal::AtMost(1.5),
    ));
}

#[tokio::test]
async fn newcomers_are_served_while_slow_clients_take_every_place() {
    let asked = size(40, 1_000);
    let process = web(&[("HTTP_CONNECTIONS_MAX", "64")]).await;
    let slow = Slow::start(process.address, 200, Duration::ZERO);
    until("the house is full", async || slow.open() >= 60).await;

    let mut served = 0;
    for _ in 0..asked {
        // Each over a connection of its own.
        let answer = process.get("/healthz").await;
        served += usize::from(answer.is_some_and(|(status, _)| status == 200));
    }

    assert!(slow.open() >= 60, "the house was full all the time");
    slow.stop();
    all_held(
        "newcomers_served_in_a_full_house",
        served,
        "requests",
        asked,
    );
}

/// How many files and sockets a process has open.
fn descriptors(process: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", process.pid()))
        .unwrap()
        .count()
}

/// What a process has in memory, in KiB.
fn resident(process: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
