//! `stats`: figures about the guest from `/proc` (proc(5)).

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::Usage;
use crate::files::read_line;

/// The answer to `stats`.
pub fn read_stats(usage: Option<Usage>) -> Value {
    let meminfo = read_line("/proc/meminfo");
    let usage = usage.unwrap_or_default();
    json!({
        "uptimeMs": uptime_ms(),
        "memoryTotalBytes": meminfo_bytes(&meminfo, "MemTotal:"),
        "memoryAvailableBytes": meminfo_bytes(&meminfo, "MemAvailable:"),
        "cpuMs": cpu_ms(&read_line("/proc/stat")),
        "load1": read_line("/proc/loadavg").split(' ').next().and_then(|load| load.parse::<f64>().ok()).unwrap_or(0.0),
        "processes": count_processes(),
        "diskTotalBytes": usage.total_bytes,
        "diskUsedBytes": usage.used_bytes,
    })
}

/// Milliseconds since the kernel started, those asleep included.
pub fn uptime_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

fn meminfo_bytes(meminfo: &str, key: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(key));
    let kib: u64 =
        line.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|number| number.parse().ok()).unwrap_or(0);
    kib * 1024
}

/// Busy time of all processors: everything of the first line but idle and iowait; a tick is 10 ms.
fn cpu_ms(stat: &str) -> u64 {
    let ticks = stat.lines().next().unwrap_or_default().split_ascii_whitespace();
    let ticks = ticks.skip(1).take(8).enumerate();
    let busy = ticks.filter(|(index, _)| !matches!(index, 3 | 4));
    busy.filter_map(|(_, ticks)| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// Processes that are not the kernel's own threads.
fn count_processes() -> usize {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    pids.filter(|pid| is_user_process(&read_line(&format!("/proc/{pid}/stat")))).count()
}

/// From `/proc/PID/stat`: after the command in parentheses come state, ppid, pgrp, session, tty, tpgid and flags.
fn is_user_process(stat: &str) -> bool {
    const PF_KTHREAD: u32 = 0x0020_0000;
    let flags = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(6));
    flags.and_then(|flags| flags.parse::<u32>().ok()).is_some_and(|flags| flags & PF_KTHREAD == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_bytes_reads_kibibytes() {
        let text = "MemTotal:         498880 kB\nMemAvailable:     430004 kB";
        assert_eq!(meminfo_bytes(text, "MemTotal:"), 498_880 * 1024);
        assert_eq!(meminfo_bytes(text, "MemAvailable:"), 430_004 * 1024);
        assert_eq!(meminfo_bytes(text, "Nothing:"), 0);
    }

    #[test]
    fn cpu_ms_counts_everything_but_idle_and_iowait() {
        assert_eq!(cpu_ms("cpu  1 2 4 100 200 8 16 32 64 128\ncpu0 9"), (1 + 2 + 4 + 8 + 16 + 32) * 10);
        assert_eq!(cpu_ms(""), 0);
    }

    #[test]
    fn is_user_process_is_not_fooled_by_names() {
        assert!(is_user_process("7 (a) S 2097152) S 1 7 7 0 -1 4194560 0"));
        assert!(!is_user_process("2 (kthreadd) S 0 0 0 0 -1 2129984 0"));
        assert!(!is_user_process(""));
    }
}
