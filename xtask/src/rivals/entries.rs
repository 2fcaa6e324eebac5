//! The rivals: what is measured against llam, and what makes each.
//!
//! Owns the table, in the order of the report. How each is tuned is said in `benches/rivals/README.md`.
//! Read by the module.

/// What an entry is measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Every byte comes back.
    Echo,
    /// The operations of a runtime.
    Rt,
    /// The plaintext answer over HTTP/1.1.
    Http,
    /// The chat protocol: a line goes to all others.
    Fanout,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Rt => "rt",
            Self::Http => "http",
            Self::Fanout => "fanout",
        }
    }

    /// Servers listen and can be seen to; runtime programs do not.
    pub(super) fn is_server(self) -> bool {
        self != Self::Rt
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Frameworks that do what llam does.
    Peer,
    /// A bare loop over the kernel's interface.
    Limit,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Limit => "limit",
        }
    }
}

/// Where the program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A package of `benches/rivals`; the crate whose version is shown, or the standard library when there
    /// is none.
    Cargo {
        package: &'static str,
        shown: Option<&'static str>,
    },
    /// A command of the module `benches/rivals/go`.
    Go,
    /// The launcher of nginx, a package of `benches/rivals`; nginx itself is on PATH or not.
    Nginx,
    /// The published crate `llam`, on the SDK that `LLAM_RIVAL_SDK` names.
    Published,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) role: Role,
    pub(super) source: Source,
    pub(super) program: &'static str,
    pub(super) arguments: &'static [&'static str],
    pub(super) note: &'static str,
}

const fn cargo(package: &'static str, shown: &'static str) -> Source {
    Source::Cargo {
        package,
        shown: Some(shown),
    }
}

const TOKIO: Source = cargo("rival-tokio", "tokio");
const MAY: Source = cargo("rival-may", "may");
const MONOIO: Source = cargo("rival-monoio", "monoio");
const BARE_EPOLL: Source = cargo("rival-bare", "rustix");
const BARE_URING: Source = cargo("rival-bare", "io-uring");
const THREADS: Source = Source::Cargo {
    package: "rival-threads",
    shown: None,
};

const HYPER: Source = cargo("rival-hyper", "hyper");
const AXUM: Source = cargo("rival-axum", "axum");
const ACTIX: Source = cargo("rival-actix", "actix-web");
const MINIHTTP: Source = cargo("rival-minihttp", "may_minihttp");

const TOKIO_NOTE: &str = "current-thread runtime for one worker, multi-thread for more";

const fn peer(name: &'static str, kind: Kind, source: Source, program: &'static str) -> Entry {
    Entry {
        name,
        kind,
        role: Role::Peer,
        source,
        program,
        arguments: &[],
        note: "",
    }
}

const fn limit(name: &'static str, kind: Kind, source: Source, program: &'static str) -> Entry {
    Entry {
        role: Role::Limit,
        note: "a loop without a runtime",
        ..peer(name, kind, source, program)
    }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        note: TOKIO_NOTE,
        ..peer("tokio", Kind::Echo, TOKIO, "tokio-echo")
    },
    peer("may", Kind::Echo, MAY, "may-echo"),
    Entry {
        note: "io_uring",
        ..peer("monoio", Kind::Echo, MONOIO, "monoio-echo")
    },
    Entry {
        arguments: &["--legacy"],
        note: "epoll",
        ..peer("monoio-legacy", Kind::Echo, MONOIO, "monoio-echo")
    },
    Entry {
        note: "a thread per connection, on as many CPUs as workers",
        ..peer("threads", Kind::Echo, THREADS, "threads-echo")
    },
    limit("bare-epoll", Kind::Echo, BARE_EPOLL, "bare-epoll-echo"),
    limit("bare-uring", Kind::Echo, BARE_URING, "bare-uring-echo"),
    peer("go", Kind::Echo, Source::Go, "go-echo"),
    Entry {
        note: "on as many CPUs as workers",
        ..peer(
            "llam-published",
            Kind::Echo,
            Source::Published,
            "rival-published",
        )
    },
    Entry {
        note: TOKIO_NOTE,
        ..peer("tokio", Kind::Rt, TOKIO, "tokio-rt")
    },
    Entry {
        arguments: &["--multi"],
        note: "multi-thread runtime",
        ..peer("tokio-multi", Kind::Rt, TOKIO, "tokio-rt")
    },
    Entry {
        arguments: &["--crates"],
        note: "the channel of async-channel and the yield of futures-lite",
        ..peer("tokio-crates", Kind::Rt, TOKIO, "tokio-rt")
    },
    Entry {
        note: "channels are unbounded; a semaphore bounds the stream",
        ..peer("may", Kind::Rt, MAY, "may-rt")
    },
    Entry {
        note: "on as many CPUs as workers",
        ..peer("threads", Kind::Rt, THREADS, "threads-rt")
    },
    peer("go", Kind::Rt, Source::Go, "go-rt"),
    Entry {
        note: "a current-thread runtime per worker",
        ..peer("hyper", Kind::Http, HYPER, "hyper-http")
    },
    Entry {
        note: "on hyper's connection, a current-thread runtime per worker",
        ..peer("axum", Kind::Http, AXUM, "axum-http")
    },
    Entry {
        note: "a thread that accepts, besides the workers",
        ..peer("actix-web", Kind::Http, ACTIX, "actix-http")
    },
    peer("may-minihttp", Kind::Http, MINIHTTP, "may-minihttp"),
    peer("go", Kind::Http, Source::Go, "go-http"),
    Entry {
        note: "`return 200` and no log",
        ..peer("nginx", Kind::Http, Source::Nginx, "nginx-http")
    },
    limit("bare-epoll", Kind::Http, BARE_EPOLL, "bare-epoll-http"),
    limit("bare-uring", Kind::Http, BARE_URING, "bare-uring-http"),
    Entry {
        note: TOKIO_NOTE,
        ..peer("tokio", Kind::Fanout, TOKIO, "tokio-chat")
    },
    peer("go", Kind::Fanout, Source::Go, "go-chat"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_entries_of_a_kind_have_one_name() {
        for (index, entry) in ENTRIES.iter().enumerate() {
            let earlier = &ENTRIES[..index];
            let is_twin = |other: &Entry| other.name == entry.name && other.kind == entry.kind;
            assert!(!earlier.iter().any(is_twin), "{entry:?}");
        }
    }
}
