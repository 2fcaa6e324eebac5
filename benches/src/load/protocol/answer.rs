//! Bytes into HTTP/1.1 answers (RFC 9112), strictly: what a careful client would not accept is garbled.
//!
//! ```text
//!   Head ──Content-Length──> Body ─────────────────────────────────┐
//!     │                                                            v
//!     └──chunked──> ChunkSize ──0──> Trailer ──empty line──────> whole ──> Head
//!                    ^     v
//!             ChunkEnd <── ChunkData
//! ```
//!
//! Invariants: an answer's end is told by exactly one of `Content-Length` and `chunked`, since a
//! connection is used again; what a head, a line or a body may take is bounded, whatever a server sends.
//! Pure. Called by `http`.

use memchr::memchr;

/// Bytes of a head, of a chunk's size line, and of a body, at most.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_LINE_BYTES: usize = 4096;
const MAX_BODY_BYTES: usize = 64 << 20;
const MAX_HEADERS: usize = 64;

/// What a status line begins with.
const VERSION: &[u8] = b"HTTP/1.1 ";

/// How an answer's end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// An answer without its body, which is in [`Decoder::body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) is_chunked: bool,
    /// The server closes the connection after this.
    pub(super) is_last: bool,
    /// What is wrong with a header that does not touch the framing.
    pub(super) complaint: Option<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All bytes are taken, and more are needed.
    More,
    Whole(Whole),
    /// Nothing that follows can be trusted; one phrase says why.
    Garbled(&'static str),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Body {
        left: usize,
    },
    ChunkSize,
    ChunkData {
        left: usize,
    },
    ChunkEnd,
    Trailer,
}

#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: State,
    /// The part of a head, or of a line of the chunked framing, that has come.
    part: Vec<u8>,
    whole: Option<Whole>,
    body: Vec<u8>,
}

impl Decoder {
    /// The last whole answer's.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) fn is_between_answers(&self) -> bool {
        self.state == State::Head && self.part.is_empty()
    }

    /// Takes bytes up to the end of an answer; says how many.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mut rest = bytes;
        let step = self.run(&mut rest).unwrap_or_else(Step::Garbled);
        (bytes.len() - rest.len(), step)
    }

    fn run(&mut self, rest: &mut &[u8]) -> Result<Step, &'static str> {
        while !rest.is_empty() {
            match self.state {
                State::Head => {
                    let Some((whole, framing)) = self.head(rest)? else {
                        return Ok(Step::More);
                    };
                    self.body.clear();
                    self.whole = Some(whole);
                    self.state = match framing {
                        Framing::Length(left) => State::Body { left },
                        Framing::Chunked => State::ChunkSize,
                    };
                }
                State::Body { left } => {
                    let left = self.copy(rest, left);
                    self.state = State::Body { left };
                }
                State::ChunkData { left } => {
                    self.state = match self.copy(rest, left) {
                        0 => State::ChunkEnd,
                        left => State::ChunkData { left },
                    };
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => {
                    let Some(line) = self.line(rest)? else {
                        return Ok(Step::More);
                    };
                    match self.after_line(&line)? {
                        Some(state) => self.state = state,
                        None => return Ok(self.finish()),
                    }
                }
            }
            // Also a body of no bytes, for which no further byte may come.
            if self.state == (State::Body { left: 0 }) {
                return Ok(self.finish());
            }
        }
        Ok(Step::More)
    }

    fn finish(&mut self) -> Step {
        self.state = State::Head;
        match self.whole.take() {
            Some(whole) => Step::Whole(whole),
            None => Step::Garbled("a body without a head"),
        }
    }

    /// Moves body bytes; says how many are still to come.
    fn copy(&mut self, rest: &mut &[u8], left: usize) -> usize {
        let (now, later) = rest.split_at(left.min(rest.len()));
        self.body.extend_from_slice(now);
        *rest = later;
        left - now.len()
    }

    /// The head that these bytes complete.
    fn head(&mut self, rest: &mut &[u8]) -> Result<Option<(Whole, Framing)>, &'static str> {
        let before = self.part.len();
        if before > 0 {
            self.part.extend_from_slice(rest);
        }
        let bytes = if before > 0 { &self.part } else { *rest };
        match parse_head(bytes)? {
            Some((length, whole, framing)) => {
                *rest = &rest[length - before..];
                self.part.clear();
                Ok(Some((whole, framing)))
            }
            None if bytes.len() > MAX_HEAD_BYTES => Err("an answer's head has no end"),
            None => {
                if before == 0 {
                    self.part.extend_from_slice(rest);
                }
                *rest = &[];
                Ok(None)
            }
        }
    }

    /// The line that these bytes complete, without its end.
    fn line(&mut self, rest: &mut &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        self.part.extend_from_slice(&rest[..end]);
        *rest = &rest[end..];
        if self.part.len() > MAX_LINE_BYTES {
            return Err("a line of a chunked body has no end");
        }
        if self.part.last() != Some(&b'\n') {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.part);
        line.pop();
        match line.pop() {
            Some(b'\r') => Ok(Some(line)),
            _ => Err("a line of a chunked body does not end with CR LF"),
        }
    }

    /// The state after a line of the chunked framing; `None` at the end of the answer.
    fn after_line(&self, line: &[u8]) -> Result<Option<State>, &'static str> {
        match self.state {
            State::ChunkSize => match chunk_size(line)? {
                0 => Ok(Some(State::Trailer)),
                left if left > MAX_BODY_BYTES - self.body.len() => Err("a body is too long"),
                left => Ok(Some(State::ChunkData { left })),
            },
            State::ChunkEnd if line.is_empty() => Ok(Some(State::ChunkSize)),
            State::ChunkEnd => Err("a chunk is longer than its size says"),
            _ if line.is_empty() => Ok(None),
            _ if memchr(b':', line).is_some() => Ok(Some(State::Trailer)),
            _ => Err("a trailer is no header"),
        }
    }
}

/// The size that a line before a chunk tells; extensions are allowed and mean nothing.
fn chunk_size(line: &[u8]) -> Result<usize, &'static str> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or(line);
    let digits = digits.trim_ascii_end();
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err("a chunk's size is no number");
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or("a chunk's size is no number")
}

/// The head at the beginning of `bytes` with its length; `None` when its end has not come.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, Whole, Framing)>, &'static str> {
    // The parser would skip empty lines, which nobody may send between answers.
    let begun = bytes.len().min(VERSION.len());
    if bytes[..begun] != VERSION[..begun] {
        return Err("an answer does not begin with HTTP/1.1");
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err("an answer has too many headers"),
        Err(_) => return Err("an answer's head is malformed"),
    };
    let mut whole = Whole {
        status: response.code.ok_or("an answer has no status")?,
        is_chunked: false,
        is_last: false,
        complaint: None,
    };
    let mut content_length = None;
    for header in response.headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = header.value.trim_ascii();
        if is("content-length") {
            if content_length.replace(body_length(value)?).is_some() {
                return Err("an answer has two Content-Lengths");
            }
        } else if is("transfer-encoding") {
            if whole.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err("an answer has a Transfer-Encoding other than chunked");
            }
            whole.is_chunked = true;
        } else if is("connection") {
            whole.is_last |= value
                .split(|byte| *byte == b',')
                .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"));
        } else if is("date") && !is_date(value) {
            whole.complaint = Some("an answer's Date is no date");
        }
    }
    let framing = match (content_length, whole.is_chunked) {
        (Some(_), true) => return Err("an answer has both Content-Length and chunked"),
        // RFC 9112, section 6.3: these have no body, whatever their headers say.
        _ if matches!(whole.status, 100..=199 | 204 | 304) => Framing::Length(0),
        (Some(length), false) => Framing::Length(length),
        (None, true) => Framing::Chunked,
        (None, false) => return Err("an answer's end cannot be told without closing"),
    };
    Ok(Some((length, whole, framing)))
}

fn body_length(value: &[u8]) -> Result<usize, &'static str> {
    const BAD: &str = "an answer's Content-Length is no number";
    // Digits only: parsing would also take a plus sign.
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(BAD);
    }
    let text = std::str::from_utf8(value).map_err(|_| BAD)?;
    match text.parse() {
        Ok(length @ ..=MAX_BODY_BYTES) => Ok(length),
        _ => Err("a body is too long"),
    }
}

/// The one form that servers may send (RFC 9110, section 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn is_date(value: &[u8]) -> bool {
    value.len() == 29
        && std::str::from_utf8(value).is_ok_and(|text| httpdate::parse_http_date(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers in `bytes` as status and body; the error of the first bad one.
    fn decode(bytes: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, &'static str> {
        let mut decoder = Decoder::default();
        let mut answers = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (consumed, step) = decoder.advance(rest);
            rest = &rest[consumed..];
            match step {
                Step::More => assert!(rest.is_empty(), "all bytes are taken"),
                Step::Whole(whole) => answers.push((whole.status, decoder.body().to_vec())),
                Step::Garbled(why) => return Err(why),
            }
        }
        assert!(
            decoder.is_between_answers(),
            "the stream ends with an answer"
        );
        Ok(answers)
    }

    #[test]
    fn both_framings_are_followed() {
        let stream = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
            HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n\
            HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n\
            2;name=value\r\nab\r\n0A\r\n0123456789\r\n0\r\nLater: yes\r\n\r\n\
            HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n";
        let expected = [
            (200, b"abc".to_vec()),
            (404, Vec::new()),
            (200, b"ab0123456789".to_vec()),
            (204, Vec::new()),
        ];
        assert_eq!(decode(stream).unwrap(), expected);
    }

    #[test]
    fn what_a_careful_client_refuses_is_garbled() {
        let long = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            MAX_BODY_BYTES + 1
        );
        let endless = format!("HTTP/1.1 200 OK\r\nName: {}", "x".repeat(MAX_HEAD_BYTES));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunks = |text: &str| format!("{chunked}{text}");
        for bad in [
            "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
            "hello",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
            &long,
            &endless,
            &chunks("\r\n"),
            &chunks("-1\r\n"),
            &chunks("100000000\r\n"),
            &chunks("1\nx\r\n"),
            &chunks("1\r\nxy\r\n"),
            &chunks("0\r\nno header\r\n"),
        ] {
            assert!(decode(bad.as_bytes()).is_err(), "{bad:.60}");
        }
    }

    #[test]
    fn a_date_must_be_one() {
        let complaint = |date: &str| {
            let text = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n");
            let (_, step) = Decoder::default().advance(text.as_bytes());
            match step {
                Step::Whole(whole) => whole.complaint,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(complaint("Sun, 06 Nov 1994 08:49:37 GMT"), None);
        for bad in [
            "",
            "now",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert!(complaint(bad).is_some(), "{bad}");
        }
    }
}
