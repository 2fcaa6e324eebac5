//! What the bare loops answer.
//!
//! Owns the state of one connection's input. No sockets. Called by `epoll` and `uring` for each piece
//! that a receive has brought.

/// One connection's protocol.
pub trait Protocol: Default + Send + 'static {
    /// What is sent for these bytes; may be empty.
    fn answer<'a>(&mut self, input: &'a [u8]) -> &'a [u8];
}

/// Every byte comes back.
#[derive(Debug, Default)]
pub struct Echo;

impl Protocol for Echo {
    fn answer<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        input
    }
}

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// As long as a framework's answer: status, server, date, type, length, body.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: bare\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

/// Heads that one receive can end: no request is shorter than the end of its head, and one may be whole
/// but for a byte that comes now.
const MAX_ANSWERS: usize = crate::BUFFER_BYTES / END_OF_HEAD.len() + 1;

static ANSWERS: [u8; ANSWER.len() * MAX_ANSWERS] = repeat_answer();

const fn repeat_answer() -> [u8; ANSWER.len() * MAX_ANSWERS] {
    let mut answers = [0; ANSWER.len() * MAX_ANSWERS];
    let mut at = 0;
    while at < answers.len() {
        answers[at] = ANSWER[at % ANSWER.len()];
        at += 1;
    }
    answers
}

/// The same answer for each head that ends, whatever was asked for. Requests have no bodies.
#[derive(Debug, Default)]
pub struct FixedHttp {
    /// How much of the end of a head the last input ended with, less than all of it.
    matched: usize,
}

impl Protocol for FixedHttp {
    fn answer<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let heads = self.count_heads(input);
        &ANSWERS[..heads * ANSWER.len()]
    }
}

impl FixedHttp {
    fn count_heads(&mut self, input: &[u8]) -> usize {
        let mut heads = 0;
        let mut rest = input;
        // What began in the last input is rare, and short: byte by byte.
        while self.matched > 0 {
            let Some((byte, others)) = rest.split_first() else {
                return heads;
            };
            self.step(*byte);
            rest = others;
            if self.matched == END_OF_HEAD.len() {
                heads += 1;
                self.matched = 0;
            }
        }
        let mut after_last = 0;
        for at in memchr::memmem::find_iter(rest, END_OF_HEAD) {
            heads += 1;
            after_last = at + END_OF_HEAD.len();
        }
        let tail = &rest[after_last..];
        for byte in &tail[tail.len().saturating_sub(END_OF_HEAD.len() - 1)..] {
            self.step(*byte);
        }
        heads
    }

    /// One byte further into the end of a head, or back to its beginning.
    fn step(&mut self, byte: u8) {
        self.matched = match byte {
            byte if byte == END_OF_HEAD[self.matched] => self.matched + 1,
            b'\r' => 1,
            _ => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_counted_however_the_input_is_cut() {
        let input =
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\r\n\r\n\r\n\r\nX\r\n\r\nY";
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let mut http = FixedHttp::default();
                let mut heads = 0;
                for piece in [&input[..first], &input[first..second], &input[second..]] {
                    let answer = http.answer(piece);
                    assert_eq!(answer.len() % ANSWER.len(), 0);
                    heads += answer.len() / ANSWER.len();
                }
                assert_eq!(heads, 4, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_buffer_of_nothing_but_ends_is_answered() {
        let mut http = FixedHttp::default();
        assert!(http.answer(b"\r\n\r").is_empty());
        let mut input = vec![b'\n'];
        while input.len() + END_OF_HEAD.len() <= crate::BUFFER_BYTES {
            input.extend_from_slice(END_OF_HEAD);
        }
        let answers = http.answer(&input);
        assert_eq!(answers.len(), crate::BUFFER_BYTES / 4 * ANSWER.len());
        assert!(answers.chunks(ANSWER.len()).all(|answer| answer == ANSWER));
    }
}
