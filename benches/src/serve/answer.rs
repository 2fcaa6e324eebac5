//! The bytes of answers.
//!
//! Invariant: every answer has a `Server` and a `Date` (RFC 9110, section 6.6.1), which is made anew
//! when the second has changed, not for each answer. Called by `exchange`.

use super::request::Refusal;
use std::time::{SystemTime, UNIX_EPOCH};

const BODY: &str = "Hello, World!";

/// Where the date is in the fixed answer.
const BEFORE_DATE: &str = "HTTP/1.1 200 OK\r\nServer: llam\r\nDate: ";
const DATE_BYTES: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();

/// The answers of one connection.
#[derive(Debug)]
pub(super) struct Answers {
    /// The second that the date in `plaintext` names.
    second: u64,
    plaintext: Vec<u8>,
}

impl Answers {
    pub(super) fn new() -> Self {
        let plaintext = format!(
            "{BEFORE_DATE}{}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{BODY}",
            " ".repeat(DATE_BYTES),
            BODY.len(),
        );
        Self {
            second: 0,
            plaintext: plaintext.into_bytes(),
        }
    }

    /// Brings the date up to date; to be called before a batch of answers.
    pub(super) fn refresh(&mut self, now: SystemTime) {
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if second != self.second {
            self.second = second;
            let date = httpdate::fmt_http_date(now);
            self.plaintext[BEFORE_DATE.len()..BEFORE_DATE.len() + DATE_BYTES]
                .copy_from_slice(date.as_bytes());
        }
    }

    pub(super) fn plaintext(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.plaintext);
    }

    pub(super) fn echo(&self, body: &[u8], out: &mut Vec<u8>) {
        self.head("200 OK", "application/octet-stream", body.len(), "", out);
        out.extend_from_slice(body);
    }

    /// The request was understood, but there is no such thing here.
    pub(super) fn not_found(&self, out: &mut Vec<u8>) {
        self.head("404 Not Found", "text/plain", 0, "", out);
    }

    pub(super) fn other_method(&self, out: &mut Vec<u8>) {
        let allow = "Allow: GET, POST\r\n";
        self.head("405 Method Not Allowed", "text/plain", 0, allow, out);
    }

    /// The connection's last answer.
    pub(super) fn refused(&self, refusal: Refusal, out: &mut Vec<u8>) {
        let status = match refusal {
            Refusal::Malformed => "400 Bad Request",
            Refusal::LengthRequired => "411 Length Required",
            Refusal::BodyTooLong => "413 Content Too Large",
            Refusal::HeadTooLong => "431 Request Header Fields Too Large",
            Refusal::OtherVersion => "505 HTTP Version Not Supported",
        };
        self.head(status, "text/plain", 0, "Connection: close\r\n", out);
    }

    fn head(&self, status: &str, kind: &str, length: usize, more: &str, out: &mut Vec<u8>) {
        let date = &self.plaintext[BEFORE_DATE.len()..BEFORE_DATE.len() + DATE_BYTES];
        out.extend_from_slice(format!("HTTP/1.1 {status}\r\nServer: llam\r\nDate: ").as_bytes());
        out.extend_from_slice(date);
        let rest = format!("\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}\r\n");
        out.extend_from_slice(rest.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_fixed_answer_is_what_it_says() {
        let mut answers = Answers::new();
        answers.refresh(UNIX_EPOCH + Duration::from_secs(784_111_777));
        let mut out = Vec::new();
        answers.plaintext(&mut out);
        answers.refresh(UNIX_EPOCH + Duration::from_secs(784_111_778));
        answers.not_found(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 200 OK\r\nServer: llam\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!\
             HTTP/1.1 404 Not Found\r\nServer: llam\r\nDate: Sun, 06 Nov 1994 08:49:38 GMT\r\n\
             Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
