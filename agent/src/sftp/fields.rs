//! Reading a packet: numbers are big-endian, strings are bytes behind their length.

/// A packet that ends too early, or is no packet of its kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// What of a packet was not read yet.
#[derive(Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// A packet without its length.
    pub fn new(packet: &'a [u8]) -> Self {
        Fields(packet)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.chunk().map(|[byte]| byte)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.chunk().map(u32::from_be_bytes)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.chunk().map(u64::from_be_bytes)
    }

    /// Bytes behind their length.
    pub fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()? as usize;
        let (string, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(string)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (chunk, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_where_the_packet_ends() {
        let mut fields = Fields::new(&[7, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 9, b'c']);
        assert_eq!(fields.byte(), Ok(7));
        assert_eq!(fields.string(), Ok(&b"ab"[..]));
        assert_eq!(fields.string(), Err(Malformed));
        assert_eq!(Fields::new(&[0, 0, 0]).u32(), Err(Malformed));
        assert_eq!(Fields::new(&[0; 7]).u64(), Err(Malformed));
        assert_eq!(Fields::new(&[]).byte(), Err(Malformed));
    }
}
