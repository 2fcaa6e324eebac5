//! HTTP/1.1: one kind of request over and over, and what a right answer to it is.
//!
//! Two kinds: `GET`, whose answers must all have the same body, and `POST` of a message that must come
//! back as the body. The first kind's answers do not say to which request they belong: a dropped one
//! shows at the end, as lost, one too many as never asked for, and swapped ones not at all. The
//! second kind's do.
//!
//! Invariant: `known` is the beginning of an answer that was found right, and bytes that begin like it
//! and, for a message, go on with a right one are a right answer too. That makes the usual
//! answer cost a comparison; it is read anew whenever a byte differs, as the date does once a
//! second.

use super::answer::{Decoder, Step, Whole};
use crate::load::ledger::Answer;
use crate::load::payload::{self, Mark};
use std::sync::{Arc, OnceLock};

/// Longer answers are not kept for comparison: reading their head costs little beside their body.
const MAX_KNOWN_BYTES: usize = 16 * 1024;

/// What is asked, and what must be answered.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The request, or its head where a message follows.
    request: Vec<u8>,
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    /// This body; that of the first answer when none was named.
    Body(OnceLock<Vec<u8>>),
    /// The message of the request, of this many bytes.
    Message { size: usize },
}

impl Exchange {
    /// `GET path`. Without a `body` the first answer's is what the others must have.
    pub(crate) fn get(path: &str, host: &str, body: Option<&str>) -> Self {
        let expected = OnceLock::new();
        if let Some(body) = body {
            expected.get_or_init(|| body.as_bytes().to_vec());
        }
        Self {
            request: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            expected: Expected::Body(expected),
        }
    }

    /// `POST path` with a message of `size` bytes, at least [`payload::MIN_BYTES`].
    pub(crate) fn post(path: &str, host: &str, size: usize) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
        );
        Self {
            request: head.into_bytes(),
            expected: Expected::Message { size },
        }
    }

    pub(super) fn message_bytes(&self) -> usize {
        match self.expected {
            Expected::Body(_) => 0,
            Expected::Message { size } => self.request.len() + size,
        }
    }

    fn judge(&self, whole: &Whole, body: &[u8]) -> Answer {
        if whole.status != 200 {
            return Answer::Wrong(format!("an answer has status {}", whole.status));
        }
        if let Some(complaint) = whole.complaint {
            return Answer::Wrong(complaint.to_owned());
        }
        match &self.expected {
            Expected::Body(expected) => {
                let expected = expected.get_or_init(|| body.to_vec());
                if body == expected {
                    Answer::Unmarked
                } else {
                    Answer::Wrong(format!(
                        "an answer's body of {} bytes is not the expected one of {}",
                        body.len(),
                        expected.len()
                    ))
                }
            }
            Expected::Message { size } if body.len() == *size => match payload::read(body) {
                payload::Reading::BadHeader => {
                    Answer::Wrong("an answer's body is no message".to_owned())
                }
                reading => Answer::Message(reading),
            },
            Expected::Message { size } => Answer::Wrong(format!(
                "an answer's body has {} bytes, the request's had {size}",
                body.len()
            )),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Dialogue {
    exchange: Arc<Exchange>,
    decoder: Decoder,
    known: Vec<u8>,
    is_told_to_close: bool,
}

impl Dialogue {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self {
            exchange,
            decoder: Decoder::default(),
            known: Vec::new(),
            is_told_to_close: false,
        }
    }

    pub(super) fn ask(&self, mark: Mark, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.exchange.request);
        if let Expected::Message { size } = self.exchange.expected {
            payload::append(out, mark, size);
        }
    }

    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        account: &mut impl FnMut(Answer) -> bool,
    ) -> bool {
        while !bytes.is_empty() {
            if self.decoder.is_between_answers()
                && let Some((answer, rest)) = self.known_answer(bytes)
            {
                bytes = rest;
                if !account(answer) {
                    return false;
                }
                continue;
            }
            let began_here = self.decoder.is_between_answers();
            let (consumed, step) = self.decoder.advance(bytes);
            let answer = match step {
                Step::More => return true,
                Step::Garbled(why) => Answer::Garbled(why.to_owned()),
                Step::Whole(whole) => {
                    self.is_told_to_close |= whole.is_last;
                    let answer = self.exchange.judge(&whole, self.decoder.body());
                    if began_here {
                        self.learn(&whole, &answer, &bytes[..consumed]);
                    }
                    answer
                }
            };
            bytes = &bytes[consumed..];
            // Behind what cannot be read nothing is known to begin with an answer.
            let is_readable = !matches!(answer, Answer::Garbled(_));
            if !account(answer) || !is_readable {
                return false;
            }
        }
        true
    }

    /// An answer like the last one, and what follows it.
    fn known_answer<'a>(&self, bytes: &'a [u8]) -> Option<(Answer, &'a [u8])> {
        if self.known.is_empty() {
            return None;
        }
        let rest = bytes.strip_prefix(&self.known[..])?;
        match self.exchange.expected {
            Expected::Body(_) => Some((Answer::Unmarked, rest)),
            Expected::Message { size } => {
                let (message, rest) = rest.split_at_checked(size)?;
                match payload::read(message) {
                    reading @ payload::Reading::Intact(_) => Some((Answer::Message(reading), rest)),
                    _ => None,
                }
            }
        }
    }

    /// Keeps an answer's bytes to compare others with, if it was a right one.
    fn learn(&mut self, whole: &Whole, answer: &Answer, bytes: &[u8]) {
        let is_right = match answer {
            Answer::Unmarked => true,
            Answer::Message(reading) => matches!(reading, payload::Reading::Intact(_)),
            Answer::Wrong(_) | Answer::Garbled(_) => false,
        };
        if !is_right || whole.is_last {
            return;
        }
        let known = match self.exchange.expected {
            Expected::Body(_) => bytes,
            Expected::Message { .. } if whole.is_chunked => return,
            Expected::Message { size } => &bytes[..bytes.len() - size],
        };
        if known.len() <= MAX_KNOWN_BYTES {
            self.known.clear();
            self.known.extend_from_slice(known);
        }
    }

    pub(super) fn is_inside_an_answer(&self) -> bool {
        !self.decoder.is_between_answers()
    }

    pub(super) fn is_told_to_close(&self) -> bool {
        self.is_told_to_close
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::payload::Reading;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    fn answers(exchange: Exchange, pieces: &[&[u8]]) -> Vec<Answer> {
        let mut dialogue = Dialogue::new(Arc::new(exchange));
        let mut answers = Vec::new();
        for piece in pieces {
            dialogue.take(piece, &mut |answer| {
                answers.push(answer);
                true
            });
        }
        answers
    }

    fn get(body: Option<&str>) -> Exchange {
        Exchange::get("/", "localhost", body)
    }

    #[test]
    fn the_first_body_is_what_the_others_must_have() {
        let other = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhallo";
        let found = answers(get(None), &[OK, OK, other, OK]);
        assert_eq!(found[..2], [Answer::Unmarked, Answer::Unmarked]);
        assert!(matches!(&found[2], Answer::Wrong(_)), "{found:?}");
        assert_eq!(found[3], Answer::Unmarked);
        let found = answers(get(Some("hallo")), &[OK, other]);
        assert!(matches!(&found[0], Answer::Wrong(_)), "{found:?}");
        assert_eq!(found[1], Answer::Unmarked);
    }

    /// What is known must not change what is found, however the bytes come.
    #[test]
    fn every_way_to_cut_the_stream_gives_the_same_answers() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        let failed = b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhello";
        let stream = [OK, OK, OK, chunked, failed, OK].concat();
        let expected = answers(get(None), &[&stream]);
        assert_eq!(expected.len(), 6);
        assert_eq!(
            expected[4],
            Answer::Wrong("an answer has status 503".to_owned())
        );
        for cut in 0..stream.len() {
            let found = answers(get(None), &[&stream[..cut], &stream[cut..]]);
            assert_eq!(found, expected, "cut at {cut}");
        }
        let bytes: Vec<_> = stream.chunks(1).collect();
        assert_eq!(answers(get(None), &bytes), expected);
    }

    #[test]
    fn a_posted_message_must_come_back() {
        let mark = |sequence| Mark {
            connection: 1,
            sequence,
        };
        let answer_to = |sequence| {
            let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n".to_vec();
            payload::append(&mut bytes, mark(sequence), 40);
            bytes
        };
        let mut flipped = answer_to(2);
        *flipped.last_mut().unwrap() ^= 1;
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".to_vec();
        let stream = [answer_to(0), answer_to(1), flipped, short, answer_to(3)].concat();
        let expected = answers(Exchange::post("/echo", "localhost", 40), &[&stream]);
        let message = |reading| Answer::Message(reading);
        assert_eq!(expected[0], message(Reading::Intact(mark(0))));
        assert_eq!(expected[1], message(Reading::Intact(mark(1))));
        assert_eq!(expected[2], message(Reading::BadBody(mark(2))));
        assert!(matches!(&expected[3], Answer::Wrong(_)), "{expected:?}");
        assert_eq!(expected[4], message(Reading::Intact(mark(3))));
        for cut in 0..stream.len() {
            let exchange = Exchange::post("/echo", "localhost", 40);
            let found = answers(exchange, &[&stream[..cut], &stream[cut..]]);
            assert_eq!(found, expected, "cut at {cut}");
        }
    }

    #[test]
    fn the_servers_last_answer_is_noticed() {
        let mut dialogue = Dialogue::new(Arc::new(get(None)));
        let last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert!(dialogue.take(last, &mut |answer| answer == Answer::Unmarked));
        assert!(dialogue.is_told_to_close());
        assert!(!dialogue.is_inside_an_answer());
    }
}
