//! On which CPUs the server and the load run.
//!
//! Invariant: where anything is pinned, the two have no CPU in common. A process is pinned by starting it
//! from a thread that is pinned itself, so it never runs anywhere else, and its count of CPUs is
//! that of its own. CPUs that are two threads of one core count as two here: on such a machine choose
//! them with `--server-cpu` and `--load-cpu`. Called by `sample`.

use super::arguments::CompareArguments;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Placement {
    /// Empty: not pinned.
    pub(crate) server: Vec<usize>,
    pub(crate) load: Vec<usize>,
}

impl Placement {
    /// As the command line asks for. An error is one phrase.
    pub(crate) fn choose(arguments: &CompareArguments) -> Result<Self, String> {
        if arguments.no_pin {
            return Ok(Self::default());
        }
        Self::among(
            &allowed()?,
            arguments.workers as usize,
            &arguments.server_cpu,
            &arguments.load_cpu,
        )
    }

    /// `server` and `load` are what was asked for, maybe nothing.
    fn among(
        allowed: &[usize],
        workers: usize,
        server: &[usize],
        load: &[usize],
    ) -> Result<Self, String> {
        if let Some(cpu) = server.iter().chain(load).find(|cpu| !allowed.contains(cpu)) {
            return Err(format!("CPU {cpu} is not among those allowed: {allowed:?}"));
        }
        if let Some(cpu) = server.iter().find(|cpu| load.contains(cpu)) {
            return Err(format!("CPU {cpu} cannot be the server's and the load's"));
        }
        let without = |taken: &[usize]| -> Vec<usize> {
            let left = allowed.iter().filter(|cpu| !taken.contains(cpu));
            left.copied().collect()
        };
        let placement = match (server.is_empty(), load.is_empty()) {
            (true, true) if allowed.len() <= workers => return Ok(Self::default()),
            (true, true) => Self {
                server: allowed[..workers].to_vec(),
                load: allowed[workers..].to_vec(),
            },
            (true, false) => Self {
                server: without(load).into_iter().take(workers).collect(),
                load: load.to_vec(),
            },
            (false, true) => Self {
                server: server.to_vec(),
                load: without(server),
            },
            (false, false) => Self {
                server: server.to_vec(),
                load: load.to_vec(),
            },
        };
        if placement.server.is_empty() || placement.load.is_empty() {
            return Err("no CPU is left for the other side".to_owned());
        }
        Ok(placement)
    }

    pub(crate) fn is_pinned(&self) -> bool {
        !self.server.is_empty()
    }
}

/// The CPUs that this thread may use.
fn allowed() -> Result<Vec<usize>, String> {
    let set = sched_getaffinity(None)
        .map_err(|error| format!("cannot tell this process's CPUs: {error}"))?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|cpu| set.is_set(*cpu))
        .collect())
}

/// Runs `body` with this thread, and what it starts, on `cpus`; anywhere when there are none.
pub(crate) fn on<T>(cpus: &[usize], body: impl FnOnce() -> T) -> Result<T, String> {
    if cpus.is_empty() {
        return Ok(body());
    }
    let failed = |error| format!("cannot move to CPUs {cpus:?}: {error}");
    let before = sched_getaffinity(None).map_err(failed)?;
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    sched_setaffinity(None, &set).map_err(failed)?;
    let result = body();
    sched_setaffinity(None, &before).map_err(failed)?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(workers: usize, server: &[usize], load: &[usize]) -> Result<Placement, String> {
        Placement::among(&[0, 2, 5], workers, server, load)
    }

    #[test]
    fn server_and_load_share_no_cpu() {
        let both = |server: &[usize], load: &[usize]| {
            Ok(Placement {
                server: server.to_vec(),
                load: load.to_vec(),
            })
        };
        assert_eq!(placed(1, &[], &[]), both(&[0], &[2, 5]));
        assert_eq!(placed(2, &[], &[]), both(&[0, 2], &[5]));
        assert_eq!(placed(3, &[], &[]), both(&[], &[]));
        assert_eq!(placed(1, &[], &[0]), both(&[2], &[0]));
        assert_eq!(placed(1, &[5], &[]), both(&[5], &[0, 2]));
        assert_eq!(placed(1, &[5], &[0]), both(&[5], &[0]));
        for (server, load) in [(&[0][..], &[0][..]), (&[1], &[]), (&[], &[0, 2, 5])] {
            assert!(placed(1, server, load).is_err(), "{server:?} {load:?}");
        }
    }

    #[test]
    fn a_started_process_stays_on_its_cpu() {
        let all = allowed().unwrap();
        let cpu = *all.last().unwrap();
        let output = on(&[cpu], || {
            let mut command = std::process::Command::new("grep");
            command.args(["Cpus_allowed_list", "/proc/self/status"]);
            command.output()
        });
        let output = String::from_utf8(output.unwrap().unwrap().stdout).unwrap();
        assert_eq!(output.split_whitespace().nth(1), Some(&*cpu.to_string()));
        assert_eq!(allowed().unwrap(), all, "this thread is where it was");
    }
}
