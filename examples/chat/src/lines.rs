//! Owns the line protocol's reading side: bytes in, lines out; no sockets, no clock.
//!
//! Invariant: never more than [`MAX_LINE_BYTES`] are kept, whatever a client sends. Called by the
//! reader task of each client.

/// Longest line that is sent on, in bytes, its end of line not counted. The rest of a longer line
/// is thrown away.
pub(crate) const MAX_LINE_BYTES: usize = 4096;

/// Cuts a stream of bytes into lines.
///
/// A line ends with `\n`; one `\r` right before it belongs to the end of line. Lines need not be
/// UTF-8.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    /// What came since the last end of line, at most [`MAX_LINE_BYTES`].
    line: Vec<u8>,
    /// Bytes of this line were thrown away, so its last kept byte is not its last byte.
    is_cut: bool,
}

impl LineSplitter {
    /// Takes the next bytes and calls `emit` for each line that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.keep(&bytes[..end]);
            self.emit_line(&mut emit);
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// The input has ended: what is left of a line counts as one.
    pub(crate) fn finish(mut self, mut emit: impl FnMut(&[u8])) {
        if !self.line.is_empty() {
            self.emit_line(&mut emit);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE_BYTES - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_cut |= bytes.len() > room;
    }

    fn emit_line(&mut self, emit: &mut impl FnMut(&[u8])) {
        match self.line.as_slice() {
            [line @ .., b'\r'] if !self.is_cut => emit(line),
            line => emit(line),
        }
        self.line.clear();
        self.is_cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::default();
        for chunk in chunks {
            splitter.push(chunk, |line| lines.push(line.to_vec()));
        }
        splitter.finish(|line| lines.push(line.to_vec()));
        lines
    }

    #[test]
    fn every_way_to_cut_the_stream_gives_the_same_lines() {
        let stream = b"one\r\ntwo\n\n\r\nfi\rve\nhalf";
        let whole = split(&[stream]);
        assert_eq!(whole, [&b"one"[..], b"two", b"", b"", b"fi\rve", b"half"]);
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(split(&chunks), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn nothing_left_is_no_line() {
        assert_eq!(split(&[b"one\n", b""]), [b"one"]);
        assert!(split(&[]).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        for extra in [0, 1, 5, 3 * MAX_LINE_BYTES] {
            let mut stream = vec![b'x'; MAX_LINE_BYTES + extra];
            stream.extend_from_slice(b"\r\nnext\n");
            let lines = split(&[&stream]);
            assert_eq!(
                lines,
                [vec![b'x'; MAX_LINE_BYTES], b"next".to_vec()],
                "extra {extra}"
            );
        }
    }

    #[test]
    fn a_carriage_return_at_the_limit_is_stripped_only_at_the_end_of_the_line() {
        let mut line = vec![b'x'; MAX_LINE_BYTES - 1];
        line.push(b'\r');
        let kept = line.clone();
        assert_eq!(split(&[&line, b"\n"]), [&line[..MAX_LINE_BYTES - 1]]);
        line.extend_from_slice(b"y\n");
        assert_eq!(split(&[&line]), [kept]);
    }
}
