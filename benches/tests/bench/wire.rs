//! Owns what the servers of these tests speak: where a message ends, and how it is sent back.

/// Bytes of a message: what `llam-bench` sends by default.
pub(crate) const SIZE: usize = 64;

/// What a `GET` is answered with.
const HELLO: &[u8] = b"Hello, World!";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Echo,
    /// The body of a request comes back; without one, [`HELLO`].
    Http,
    /// The same in chunks.
    HttpChunked,
}

impl Wire {
    /// The first message of `input`, and how many bytes it took.
    pub(crate) fn message(self, input: &[u8]) -> Option<(Vec<u8>, usize)> {
        if self == Self::Echo {
            return Some((input.get(..SIZE)?.to_vec(), SIZE));
        }
        let end = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(input[..end].to_vec()).expect("a head is text");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map(|length| length.parse().expect("a length is a number"));
        match length {
            None => Some((HELLO.to_vec(), end)),
            Some(length) => {
                let length: usize = length;
                Some((input.get(end..end + length)?.to_vec(), end + length))
            }
        }
    }

    /// The right answer.
    pub(crate) fn answer(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Echo => message.to_vec(),
            Self::Http => Self::head(200, message.len(), message),
            Self::HttpChunked => {
                let (one, other) = message.split_at(message.len() / 3);
                let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
                for chunk in [one, other, &[]] {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    if !chunk.is_empty() {
                        bytes.extend_from_slice(b"\r\n");
                    }
                }
                bytes.extend_from_slice(b"\r\n");
                bytes
            }
        }
    }

    /// An HTTP answer that says so about itself, right or not.
    pub(crate) fn head(status: u16, length: usize, body: &[u8]) -> Vec<u8> {
        let mut bytes = format!(
            "HTTP/1.1 {status} OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}
