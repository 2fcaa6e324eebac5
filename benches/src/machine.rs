//! What a result must be quoted with: machine, kernel, versions, command.
//!
//! Called by `report`, for every report.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) version: &'static str,
    pub(crate) is_optimized: bool,
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// What the kernel says of the CPU's vulnerabilities, but for those that it does not have.
    pub(crate) mitigations: BTreeMap<String, String>,
    /// Of the first CPU; `None` where the frequency is nobody's business, as in most guests.
    pub(crate) governor: Option<String>,
    /// How many connections may wait for an accept.
    pub(crate) somaxconn: Option<u32>,
    /// When the report was made, UTC.
    pub(crate) date: String,
    pub(crate) command: Vec<String>,
    /// Variables that change what the runtime does.
    pub(crate) environment: BTreeMap<String, String>,
    /// Runnable processes over the last minute, when the report was made: a busy machine's results
    /// are worth less.
    pub(crate) load_average: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let field = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_once(':'))
                .map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let first_word = |text: String| text.split_whitespace().next().unwrap_or("").to_owned();
        let memory_kib = first_word(field("/proc/meminfo", "MemTotal"));
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            is_optimized: !cfg!(debug_assertions),
            cpu: field("/proc/cpuinfo", "model name"),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory_kib.parse::<u64>().unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            mitigations: mitigations(),
            governor: fs::read_to_string(GOVERNOR)
                .ok()
                .map(|text| text.trim().to_owned()),
            somaxconn: read("/proc/sys/net/core/somaxconn").trim().parse().ok(),
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            command: std::env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            environment: std::env::vars_os()
                .map(|(name, value)| {
                    let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
                    (text(name), text(value))
                })
                .filter(|(name, _)| name.starts_with("LLAM_"))
                .collect(),
            load_average: first_word(read("/proc/loadavg")),
        }
    }

    /// Two lines under a table.
    pub(crate) fn lines(&self) -> String {
        let mut text = format!(
            "{}, {} CPUs, Linux {}, load average {}, llam-bench {}",
            self.cpu, self.cpus, self.kernel, self.load_average, self.version
        );
        if !self.is_optimized {
            text.push_str(", NOT OPTIMIZED (build with --release)");
        }
        text.push('\n');
        for (name, value) in &self.environment {
            text.push_str(&format!("{name}={value} "));
        }
        text.push_str(&self.command.join(" "));
        text.push('\n');
        text
    }
}

fn mitigations() -> BTreeMap<String, String> {
    let files = fs::read_dir(VULNERABILITIES)
        .into_iter()
        .flatten()
        .flatten();
    let states = files.filter_map(|file| {
        let state = fs::read_to_string(file.path()).ok()?;
        let name = file.file_name().to_string_lossy().into_owned();
        Some((name, state.trim().to_owned()))
    });
    states
        .filter(|(_, state)| state != "Not affected")
        .collect()
}
