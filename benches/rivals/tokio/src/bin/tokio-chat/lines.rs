//! Bytes in, lines out; no sockets. Called by the reading task of each client.

/// Longest line that is sent on, in bytes. The rest of a longer line is thrown away.
const MAX_LINE_BYTES: usize = 4096;

/// Cuts a stream of bytes into lines: `\n` ends one, and a `\r` right before it belongs to the end.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    /// What came since the last end of line, at most [`MAX_LINE_BYTES`].
    line: Vec<u8>,
    /// Bytes of this line were thrown away, so its last kept byte is not its last byte.
    is_cut: bool,
}

impl LineSplitter {
    /// Takes bytes up to the next end of line. `None`: there is none, and all bytes are taken. After a
    /// line comes [`line_is_used`](Self::line_is_used).
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Option<&[u8]> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            self.keep(bytes);
            *bytes = &[];
            return None;
        };
        self.keep(&bytes[..end]);
        *bytes = &bytes[end + 1..];
        match self.line.as_slice() {
            [line @ .., b'\r'] if !self.is_cut => Some(line),
            line => Some(line),
        }
    }

    pub(crate) fn line_is_used(&mut self) {
        self.line.clear();
        self.is_cut = false;
    }

    /// What is left when the input has ended counts as a line.
    pub(crate) fn unfinished(&self) -> Option<&[u8]> {
        match self.line.as_slice() {
            [] => None,
            [line @ .., b'\r'] if !self.is_cut => Some(line),
            line => Some(line),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE_BYTES - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.is_cut |= bytes.len() > room;
    }
}
