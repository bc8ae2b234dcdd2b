//! As much Avro as the work needs: values behind a frame of five bytes, strings and numbers one after another.

/// Schema ids in the frame.
pub const INPUT: u32 = 1;
/// Of a journal entry.
pub const JOURNAL: u32 = 2;
/// Of a send.
pub const SEND: u32 = 3;

/// Length of the frame: a zero and the schema id.
pub const FRAME: usize = 5;

/// Begins a value: nothing but its frame is in `bytes` then.
pub fn begin(bytes: &mut Vec<u8>, schema: u32) {
    bytes.clear();
    bytes.push(0);
    bytes.extend_from_slice(&schema.to_be_bytes());
}

/// Appends a number, or the branch of an enum or union.
pub fn put_long(bytes: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
}

/// Appends a string.
pub fn put_string(bytes: &mut Vec<u8>, text: &[u8]) {
    put_long(bytes, i64::try_from(text.len()).unwrap_or(i64::MAX));
    bytes.extend_from_slice(text);
}

/// A place in bytes that are read. What is cut off reads as zeros and empty strings.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first field behind the frame.
    pub fn behind_frame(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: FRAME }
    }

    /// At the beginning.
    pub fn at_start(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// Everything before this place.
    pub fn seen(&self) -> &'a [u8] {
        &self.bytes[..self.at.min(self.bytes.len())]
    }

    /// The next number.
    pub fn long(&mut self) -> i64 {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 63 {
                return (number >> 1).cast_signed() ^ -((number & 1).cast_signed());
            }
        }
    }

    /// The next string.
    pub fn string(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.long()).unwrap_or(0);
        self.take(length)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    /// The next bytes.
    pub fn take(&mut self, length: usize) -> &'a [u8] {
        let taken = self.bytes.get(self.at..self.at.saturating_add(length)).unwrap_or_default();
        self.at = self.at.saturating_add(length);
        taken
    }
}
