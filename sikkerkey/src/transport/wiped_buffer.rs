//! A bounded buffer for bytes that were read. It is wiped, also when it grows.

use std::io::{self, Read};

use zeroize::Zeroizing;

const FIRST: usize = 4 * 1024;

/// Bytes in memory that is wiped. A plain `Vec` that grows leaves its old memory unwiped.
#[derive(Default)]
pub(super) struct WipedBuffer(Zeroizing<Vec<u8>>);

impl WipedBuffer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        WipedBuffer(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops the first bytes and moves the others to the front. The bytes behind them are wiped with the
    /// whole memory.
    pub(super) fn drop_front(&mut self, bytes: usize) {
        let left = self.0.len() - bytes;
        self.0.copy_within(bytes.., 0);
        self.0.truncate(left);
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Reads once, at most `most` bytes. Returns how many; 0 at the end of the stream.
    pub(super) fn read_once(&mut self, from: &mut impl Read, most: usize) -> io::Result<usize> {
        let start = self.0.len();
        let most = most.min(16 * 1024);
        self.reserve(most);
        self.0.resize(start + most, 0);
        let read = loop {
            match from.read(&mut self.0[start..]) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.0.truncate(start + *read.as_ref().unwrap_or(&0));
        read
    }

    fn reserve(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed > self.0.capacity() {
            let mut grown = Vec::with_capacity(needed.max(2 * self.0.capacity()).max(FIRST));
            grown.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(grown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_keeps_what_it_has() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        let mut buffer = WipedBuffer::default();
        for part in bytes.chunks(777) {
            buffer.extend(part);
        }
        assert_eq!(buffer.bytes(), bytes);

        let mut buffer = WipedBuffer::with_capacity(10);
        let mut from = bytes.as_slice();
        while buffer.read_once(&mut from, 5_000).unwrap() > 0 {}
        assert_eq!(buffer.len(), bytes.len());
        assert_eq!(*buffer.into_inner(), bytes);
    }

    #[test]
    fn used_bytes_make_room() {
        let mut buffer = WipedBuffer::default();
        for _ in 0..10_000 {
            buffer.extend(&[7; 100]);
            buffer.drop_front(99);
            buffer.drop_front(1);
            buffer.drop_front(0);
        }
        assert_eq!((buffer.len(), buffer.0.capacity()), (0, FIRST));
        buffer.extend(b"abc");
        buffer.drop_front(1);
        assert_eq!(buffer.bytes(), b"bc");
    }

    #[test]
    fn a_failed_read_adds_nothing() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::TimedOut.into())
            }
        }
        let mut buffer = WipedBuffer::default();
        buffer.extend(b"ab");
        assert!(buffer.read_once(&mut Fails, 10).is_err());
        assert_eq!(buffer.bytes(), b"ab");
    }
}
