//! Bytes into HTTP/1.1 requests (RFC 9112).
//!
//! Invariant: a request that is refused ends its connection, because nobody can tell where the next one
//! begins. Pure. Called by `exchange`.

/// Bytes of a request's head, and of its body, at most.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;
pub(super) const MAX_BODY_BYTES: usize = 16 << 20;

/// Fields of a head, at most.
const MAX_HEADERS: usize = 64;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Plaintext,
    Echo,
    /// Another method for one of those.
    OtherMethod,
    Unknown,
}

/// A request, in the bytes that it was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) target: Target,
    pub(super) body: &'a [u8],
    /// Of head and body.
    pub(super) length: usize,
    /// The client closes after the answer.
    pub(super) is_last: bool,
}

/// Why a request is refused: the status of the answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    LengthRequired,
    BodyTooLong,
    HeadTooLong,
    OtherVersion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    Request(Request<'a>),
    /// The rest has not come.
    Part,
    Refused(Refusal),
}

/// The request at the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if bytes.len() >= MAX_HEAD_BYTES => {
            return Parsed::Refused(Refusal::HeadTooLong);
        }
        Ok(httparse::Status::Partial) => return Parsed::Part,
        Err(httparse::Error::TooManyHeaders) => return Parsed::Refused(Refusal::HeadTooLong),
        Err(httparse::Error::Version) => return Parsed::Refused(Refusal::OtherVersion),
        Err(_) => return Parsed::Refused(Refusal::Malformed),
    };
    if request.version != Some(1) {
        return Parsed::Refused(Refusal::OtherVersion);
    }
    let mut body_length = None;
    let mut is_last = false;
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        // Lengths first: most headers are none of these.
        match header.name.len() {
            14 if is("content-length") => match length(header.value) {
                Ok(length) if body_length.is_none() => body_length = Some(length),
                Ok(_) => return Parsed::Refused(Refusal::Malformed),
                Err(refusal) => return Parsed::Refused(refusal),
            },
            17 if is("transfer-encoding") => return Parsed::Refused(Refusal::LengthRequired),
            10 if is("connection") => is_last = header.value.eq_ignore_ascii_case(b"close"),
            _ => {}
        }
    }
    let target = target(request.method, request.path);
    let length = head + body_length.unwrap_or(0);
    match bytes.get(head..length) {
        Some(body) => Parsed::Request(Request {
            target,
            body,
            length,
            is_last,
        }),
        None => Parsed::Part,
    }
}

fn target(method: Option<&str>, path: Option<&str>) -> Target {
    match (method, path) {
        (Some("GET"), Some("/plaintext")) => Target::Plaintext,
        (Some("POST"), Some("/echo")) => Target::Echo,
        (_, Some("/plaintext" | "/echo")) => Target::OtherMethod,
        _ => Target::Unknown,
    }
}

fn length(value: &[u8]) -> Result<usize, Refusal> {
    // Digits only: parsing would also take a plus sign.
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Malformed);
    }
    let text = std::str::from_utf8(value).map_err(|_| Refusal::Malformed)?;
    match text.parse() {
        Ok(length @ ..=MAX_BODY_BYTES) => Ok(length),
        _ => Err(Refusal::BodyTooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        for (text, target, is_last) in [
            ("GET /plaintext HTTP/1.1\r\n\r\n", Target::Plaintext, false),
            ("GET /other HTTP/1.1\r\n\r\n", Target::Unknown, false),
            (
                "POST /plaintext HTTP/1.1\r\n\r\n",
                Target::OtherMethod,
                false,
            ),
            (
                "GET /plaintext HTTP/1.1\r\nconnection: Close\r\n\r\n",
                Target::Plaintext,
                true,
            ),
        ] {
            let bytes = [text, "more"].concat();
            let Parsed::Request(request) = parse(bytes.as_bytes()) else {
                panic!("{text:?}");
            };
            assert_eq!(request.length, text.len());
            assert_eq!((request.target, request.is_last), (target, is_last));
            for cut in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..cut]), Parsed::Part);
            }
        }
    }

    #[test]
    fn a_body_is_waited_for() {
        let text = b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET";
        let length = text.len() - 3;
        assert_eq!(parse(&text[..length - 1]), Parsed::Part);
        let request = Request {
            target: Target::Echo,
            body: b"hello",
            length,
            is_last: false,
        };
        assert_eq!(parse(text), Parsed::Request(request));
    }

    #[test]
    fn bad_requests_are_refused() {
        let endless = format!("GET /{} HTTP/1.1\r\n", "x".repeat(MAX_HEAD_BYTES));
        let fields = "a: b\r\n".repeat(MAX_HEADERS + 1);
        let many = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        for (text, refusal) in [
            ("GET\r\n\r\n", Refusal::Malformed),
            ("GET / HTTP/1.0\r\n\r\n", Refusal::OtherVersion),
            ("GET / HTTP/2.0\r\n\r\n", Refusal::OtherVersion),
            (
                "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                Refusal::LengthRequired,
            ),
            (
                "POST /echo HTTP/1.1\r\nContent-Length: 16777217\r\n\r\n",
                Refusal::BodyTooLong,
            ),
            (
                "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                Refusal::Malformed,
            ),
            (
                "POST /echo HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
                Refusal::Malformed,
            ),
            (&endless, Refusal::HeadTooLong),
            (&many, Refusal::HeadTooLong),
        ] {
            assert_eq!(
                parse(text.as_bytes()),
                Parsed::Refused(refusal),
                "{text:.60}"
            );
        }
    }
}
