//! What a chat line looks like, so that every byte of a delivery can be checked.
//!
//! ```text
//!   sent:       ssssssss qqqqqqqqqqqqqqqq tttttttttttttttt cccccccc pppp...
//!   delivered:  [client N] and the same
//! ```
//!
//! Hexadecimal numbers of fixed width: sender, sequence, when the line was due (nanoseconds after the
//! start), and a check word of all three; then letters that are made from them. Invariant: a line that reads
//! as [`Line`] is byte for byte one that [`append`] made for these numbers. Pure. Called by
//! `client`.

/// The numbers and a space behind each: the smallest line.
pub(crate) const MIN_BYTES: usize = 52;

/// The longest line that the chat example sends on.
pub(crate) const MAX_BYTES: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sender: u32,
    pub(crate) sequence: u64,
    pub(crate) due_ns: u64,
}

impl Line {
    /// The start of the letters, and in its upper half the check word (the finalizer of SplitMix64).
    fn seed(self) -> u64 {
        let sender = (u64::from(self.sender) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut word = sender ^ self.sequence.rotate_left(32) ^ self.due_ns;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

/// The `n`-th eight letters, each of `a` to `p`.
fn letters(seed: u64, n: usize) -> [u8; 8] {
    let word = seed.wrapping_add((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    ((word & 0x0f0f_0f0f_0f0f_0f0f) + 0x6161_6161_6161_6161).to_le_bytes()
}

/// Eight digits, of `0` to `9` and `a` to `f`.
fn digits(number: u32) -> [u8; 8] {
    let mut spread = u64::from(number);
    spread = (spread | (spread << 16)) & 0x0000_ffff_0000_ffff;
    spread = (spread | (spread << 8)) & 0x00ff_00ff_00ff_00ff;
    spread = (spread | (spread << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    to_digits(spread).to_be_bytes()
}

/// Eight numbers below 16, one in each byte, to their digits.
fn to_digits(nibbles: u64) -> u64 {
    let is_letter = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    nibbles + 0x3030_3030_3030_3030 + is_letter * 0x27
}

/// The number of eight digits; `None` for any other bytes.
fn number(bytes: [u8; 8]) -> Option<u32> {
    let word = u64::from_be_bytes(bytes);
    let is_letter = (word >> 6) & 0x0101_0101_0101_0101;
    let nibbles = (word & 0x0f0f_0f0f_0f0f_0f0f).wrapping_add(is_letter.wrapping_mul(9));
    // Only digits come back as themselves.
    if nibbles & 0xf0f0_f0f0_f0f0_f0f0 != 0 || to_digits(nibbles) != word {
        return None;
    }
    let mut packed = nibbles;
    packed = (packed | (packed >> 4)) & 0x00ff_00ff_00ff_00ff;
    packed = (packed | (packed >> 8)) & 0x0000_ffff_0000_ffff;
    Some((packed | (packed >> 16)) as u32)
}

/// Appends a line of `size` bytes and its end.
pub(crate) fn append(out: &mut Vec<u8>, line: Line, size: usize) {
    let start = out.len();
    let seed = line.seed();
    let halves = |number: u64| [(number >> 32) as u32, number as u32];
    out.extend_from_slice(&digits(line.sender));
    out.push(b' ');
    for number in [line.sequence, line.due_ns] {
        for half in halves(number) {
            out.extend_from_slice(&digits(half));
        }
        out.push(b' ');
    }
    out.extend_from_slice(&digits((seed >> 32) as u32));
    out.push(b' ');
    let mut n = 0;
    while out.len() < start + size {
        out.extend_from_slice(&letters(seed, n));
        n += 1;
    }
    out.truncate(start + size);
    out.push(b'\n');
}

/// The line in `bytes`, without its end, if it is one of `size` bytes.
pub(crate) fn read(bytes: &[u8], size: usize) -> Option<Line> {
    if bytes.len() != size {
        return None;
    }
    let (head, rest) = bytes.split_first_chunk::<MIN_BYTES>()?;
    let word = |at: usize| number(*head[at..].first_chunk()?);
    let long = |at: usize| Some((u64::from(word(at)?) << 32) | u64::from(word(at + 8)?));
    if [8, 25, 42, 51].iter().any(|at| head[*at] != b' ') {
        return None;
    }
    let line = Line {
        sender: word(0)?,
        sequence: long(9)?,
        due_ns: long(26)?,
    };
    let seed = line.seed();
    if word(43)? != (seed >> 32) as u32 {
        return None;
    }
    let (eights, last) = rest.as_chunks::<8>();
    let is_right = eights
        .iter()
        .enumerate()
        .all(|(n, eight)| *eight == letters(seed, n));
    (is_right && last == &letters(seed, eights.len())[..last.len()]).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Line = Line {
        sender: 0x0a1b,
        sequence: 0x9f_0000_0001,
        due_ns: 0x0123_4567_89ab_cdef,
    };

    #[test]
    fn every_size_comes_back() {
        for size in [52, 53, 59, 60, 64, 1000, MAX_BYTES] {
            let mut out = b"x".to_vec();
            append(&mut out, LINE, size);
            assert_eq!(out.len(), 1 + size + 1);
            assert!(!out[1..=size].contains(&b'\n'));
            assert_eq!(out.last(), Some(&b'\n'));
            assert_eq!(read(&out[1..=size], size), Some(LINE));
            assert_eq!(read(&out[1..size], size), None);
        }
    }

    #[test]
    fn it_is_text() {
        let mut out = Vec::new();
        append(&mut out, LINE, 60);
        let text = String::from_utf8(out).unwrap();
        let start = "00000a1b 0000009f00000001 0123456789abcdef ";
        assert!(text.starts_with(start), "{text}");
    }

    /// Also those that make another digit, or a capital one.
    #[test]
    fn every_flipped_bit_is_seen() {
        let mut out = Vec::new();
        append(&mut out, LINE, 69);
        out.pop();
        for bit in 0..out.len() * 8 {
            out[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&out, 69), None, "bit {bit}");
            out[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn digits_are_those_of_the_formatter() {
        for number in [0, 1, 0x9abc_def0, u32::MAX, 0x0102_0304] {
            let text = format!("{number:08x}");
            assert_eq!(digits(number).as_slice(), text.as_bytes());
            assert_eq!(super::number(digits(number)), Some(number));
        }
        for byte in 0..=u8::MAX {
            let is_digit = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            for place in 0..8 {
                let mut bytes = *b"00000000";
                bytes[place] = byte;
                assert_eq!(super::number(bytes).is_some(), is_digit, "{byte}");
            }
        }
    }
}
