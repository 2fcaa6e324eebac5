//! What a message looks like, so that every byte of an answer can be checked.
//!
//! ```text
//!   0            4            8                        16                      size
//!   | connection | check word |        sequence        | words made from both ... |
//! ```
//!
//! Invariant: two messages of different connections or sequences differ in the first 16 bytes, and a
//! body can only have been made for its header. Called by `connection`, which sends and receives,
//! and by `ledger`, which says what an answer means.

/// The header, and so the smallest message.
pub(crate) const MIN_BYTES: usize = 16;

/// Which message: the connection's number, unique within a run, and the request's number on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) connection: u32,
    pub(crate) sequence: u64,
}

impl Mark {
    /// The start of the body's words (the finalizer of SplitMix64).
    fn seed(self) -> u64 {
        let connection = (u64::from(self.connection) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut word = connection ^ self.sequence;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn header(self) -> [u8; MIN_BYTES] {
        let mut header = [0; MIN_BYTES];
        header[..4].copy_from_slice(&self.connection.to_le_bytes());
        let check = (self.seed() >> 32) as u32;
        header[4..8].copy_from_slice(&check.to_le_bytes());
        header[8..].copy_from_slice(&self.sequence.to_le_bytes());
        header
    }
}

/// The `n`-th word of a body: a Weyl sequence, so that a compiler can make several at once.
fn word(seed: u64, n: usize) -> [u8; 8] {
    seed.wrapping_add((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .to_le_bytes()
}

/// Appends a message of `size` bytes.
pub(crate) fn append(out: &mut Vec<u8>, mark: Mark, size: usize) {
    out.extend_from_slice(&mark.header());
    let start = out.len();
    out.resize(start + size - MIN_BYTES, 0);
    let seed = mark.seed();
    let (words, rest) = out[start..].as_chunks_mut::<8>();
    let count = words.len();
    for (n, place) in words.iter_mut().enumerate() {
        *place = word(seed, n);
    }
    rest.copy_from_slice(&word(seed, count)[..rest.len()]);
}

/// What a whole message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Every byte is as it was made for this mark.
    Intact(Mark),
    /// The header is intact, the body is not.
    BadBody(Mark),
    /// Not even the header: what follows cannot be trusted to start at a message.
    BadHeader,
}

/// Checks every byte of `message`.
pub(crate) fn read(message: &[u8]) -> Reading {
    let (header, body) = message.split_at(MIN_BYTES);
    let connection = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&header[8..]);
    let mark = Mark {
        connection,
        sequence: u64::from_le_bytes(sequence),
    };
    if header != mark.header() {
        return Reading::BadHeader;
    }
    if is_body_of(body, mark.seed()) {
        Reading::Intact(mark)
    } else {
        Reading::BadBody(mark)
    }
}

fn is_body_of(body: &[u8], seed: u64) -> bool {
    let (words, rest) = body.as_chunks::<8>();
    // No early end: without one the loop is vectorized.
    let differences = words.iter().enumerate().fold(0, |differences, (n, found)| {
        differences | (u64::from_le_bytes(*found) ^ u64::from_le_bytes(word(seed, n)))
    });
    differences == 0 && rest == &word(seed, words.len())[..rest.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        connection: 7,
        sequence: 99,
    };

    #[test]
    fn every_size_comes_back() {
        for size in [16, 17, 23, 24, 64, 1000] {
            let mut out = vec![1, 2, 3];
            append(&mut out, MARK, size);
            assert_eq!(out.len(), 3 + size);
            assert_eq!(read(&out[3..]), Reading::Intact(MARK));
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let mut message = Vec::new();
        append(&mut message, MARK, 45);
        for bit in 0..45 * 8 {
            message[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < MIN_BYTES * 8 {
                Reading::BadHeader
            } else {
                Reading::BadBody(MARK)
            };
            assert_eq!(read(&message), expected, "bit {bit}");
            message[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_body_belongs_to_its_header() {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        append(&mut one, MARK, 64);
        append(
            &mut two,
            Mark {
                sequence: 100,
                ..MARK
            },
            64,
        );
        one[MIN_BYTES..].copy_from_slice(&two[MIN_BYTES..]);
        assert_eq!(read(&one), Reading::BadBody(MARK));
    }
}
