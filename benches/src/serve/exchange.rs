//! One connection: requests in, answers out.
//!
//! Invariants: `input` begins at a request; answers go out in the order of their requests, those to
//! requests that came together in one write. What a connection keeps is bounded by one request and,
//! for the answers, by [`MAX_OUT_BYTES`] and one more answer. Called by the task of the
//! connection.

use super::answer::Answers;
use super::request::{self, Parsed, Target};
use llam::net::TcpStream;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, SystemTime};

/// What a connection reads at once; more only for a request that is longer.
const READ_BYTES: usize = 4096;

/// Answers are written when there are so many bytes of them, though more requests wait.
const MAX_OUT_BYTES: usize = 64 * 1024;

/// How long, and for how many bytes, a client is read that will get no more answers.
const LINGER_LIMIT: Duration = Duration::from_millis(200);
const LINGER_BYTES: usize = 256 * 1024;

/// Answers until the client has finished, or is refused; then finishes as well.
pub(super) fn serve(mut stream: &TcpStream, is_stopped: impl Fn() -> bool) -> io::Result<()> {
    let mut answers = Answers::new();
    let mut input = vec![0; READ_BYTES];
    let mut length = 0;
    let mut out = Vec::new();
    // A cancelled task may go on reading what is there already; a client that never pauses would keep
    // the server from stopping.
    while !is_stopped() {
        if length == input.len() {
            // A request of this size is allowed, or it would have been refused.
            input.resize(length * 2, 0);
        }
        match stream.read(&mut input[length..])? {
            0 => break,
            more => length += more,
        }
        answers.refresh(SystemTime::now());
        let (used, is_over) = answer_all(stream, &answers, &input[..length], &mut out)?;
        if is_over {
            return finish(stream);
        }
        input.copy_within(used..length, 0);
        length -= used;
        if length == 0 && input.len() > READ_BYTES {
            input.truncate(READ_BYTES);
            input.shrink_to_fit();
        }
    }
    stream.shutdown(Shutdown::Write)
}

/// Finishes with requests unread. Closing at once would reset the connection, and a reset can take the
/// last answer from the client.
fn finish(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let mut rest = LINGER_BYTES;
    let _ = llam::time::timeout(LINGER_LIMIT, || {
        let mut forgotten = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut forgotten)
            && rest > length
        {
            rest -= length;
        }
    });
    Ok(())
}

/// Answers the requests that are whole. Says how many bytes they had, and whether the connection is
/// over.
fn answer_all(
    mut stream: &TcpStream,
    answers: &Answers,
    input: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<(usize, bool)> {
    let mut used = 0;
    let mut is_over = false;
    while used < input.len() && !is_over {
        match request::parse(&input[used..]) {
            Parsed::Request(request) => {
                match request.target {
                    Target::Plaintext => answers.plaintext(out),
                    Target::Echo => answers.echo(request.body, out),
                    Target::OtherMethod => answers.other_method(out),
                    Target::Unknown => answers.not_found(out),
                }
                used += request.length;
                is_over = request.is_last;
            }
            Parsed::Part => break,
            Parsed::Refused(refusal) => {
                answers.refused(refusal, out);
                is_over = true;
            }
        }
        if out.len() >= MAX_OUT_BYTES {
            stream.write_all(out)?;
            out.clear();
        }
    }
    stream.write_all(out)?;
    out.clear();
    if out.capacity() > MAX_OUT_BYTES {
        *out = Vec::new();
    }
    Ok((used, is_over))
}
