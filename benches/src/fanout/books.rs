//! The server's own account, and whether it and ours agree.
//!
//! Every delivery that the server did not make it must have counted as dropped, and it must have tried as
//! many as there were lines and newcomers for members of the room. Pure. Called by the module.

use crate::args::Mode;
use serde::Serialize;

/// What the server counted, from its closing line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct ServerCounts {
    /// Deliveries that were dropped because an outbox was full.
    full_drops: u64,
    /// Deliveries that were dropped because the client was leaving.
    closed_drops: u64,
    /// Lines and notices.
    messages: u64,
    attempted: u64,
    enqueued: u64,
}

impl ServerCounts {
    /// Reads `server stopped; NAME=NUMBER ...`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let pairs = line.strip_prefix("server stopped; ")?;
        let count = |name: &str| {
            let mut pairs = pairs.split(' ').filter_map(|pair| pair.split_once('='));
            pairs.find(|pair| pair.0 == name)?.1.parse().ok()
        };
        Some(Self {
            full_drops: count("outbox_full_drops")?,
            closed_drops: count("outbox_closed_drops")?,
            messages: count("broadcast_messages_created")?,
            attempted: count("broadcast_deliveries_attempted")?,
            enqueued: count("broadcast_deliveries_enqueued")?,
        })
    }
}

/// Deliveries of one kind, as counted by those who should get them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Account {
    pub(super) expected: u64,
    /// Different ones.
    pub(super) delivered: u64,
    pub(super) lost: u64,
}

/// Our account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours {
    /// Everybody in the room.
    pub(super) members: u64,
    pub(super) lines_sent: u64,
    /// Lines for clients that read, and for those that did not while the load ran.
    pub(super) readers: Account,
    pub(super) slow: Account,
    /// Notices about newcomers, for all.
    pub(super) notices: Account,
}

/// What does not agree, one phrase each. Without the server's account only what needs none is looked at.
pub(super) fn disagreements(ours: &Ours, server: Option<&ServerCounts>, mode: Mode) -> Vec<String> {
    let mut found = Vec::new();
    let lost = ours.readers.lost + ours.slow.lost + ours.notices.lost;
    if mode == Mode::Lossless && lost > 0 {
        found.push(format!("{lost} deliveries are missing"));
    }
    let Some(server) = server else {
        return found;
    };
    let expected = ours.readers.expected + ours.slow.expected + ours.notices.expected;
    for (what, here, there) in [
        (
            "lines and newcomers",
            ours.lines_sent + ours.members,
            server.messages,
        ),
        ("deliveries to make", expected, server.attempted),
        (
            "deliveries not made",
            lost,
            server.full_drops + server.closed_drops,
        ),
    ] {
        if here != there {
            found.push(format!("{what}: {here} here, {there} at the server"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "server stopped; outbox_full_drops=3 outbox_closed_drops=0 \
        broadcast_messages_created=13 broadcast_deliveries_attempted=23 \
        broadcast_deliveries_enqueued=20";

    /// Three members, ten lines of one of them, one member slow; three of its lines were dropped.
    const OURS: Ours = Ours {
        members: 3,
        lines_sent: 10,
        readers: Account {
            expected: 10,
            delivered: 10,
            lost: 0,
        },
        slow: Account {
            expected: 10,
            delivered: 7,
            lost: 3,
        },
        notices: Account {
            expected: 3,
            delivered: 3,
            lost: 0,
        },
    };

    #[test]
    fn closed_books_agree() {
        let server = ServerCounts::parse(LINE).unwrap();
        let found = disagreements(&OURS, Some(&server), Mode::BestEffort);
        assert_eq!(found, Vec::<String>::new());
        let found = disagreements(&OURS, Some(&server), Mode::Lossless);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn each_disagreement_is_said() {
        let server = ServerCounts::parse(LINE).unwrap();
        let mut ours = OURS;
        ours.readers.lost = 1;
        let found = disagreements(&ours, Some(&server), Mode::BestEffort);
        assert!(found[0].starts_with("deliveries not made: 4 here, 3"));
        assert_eq!(found.len(), 1);
        assert!(disagreements(&ours, None, Mode::BestEffort).is_empty());
        ours = OURS;
        ours.lines_sent = 11;
        ours.readers.expected = 11;
        assert_eq!(
            disagreements(&ours, Some(&server), Mode::BestEffort).len(),
            2
        );
    }

    #[test]
    fn another_line_is_no_account() {
        for line in ["", "server stopped; ", "echo stopped; connections=1"] {
            assert_eq!(ServerCounts::parse(line), None, "{line}");
        }
    }
}
