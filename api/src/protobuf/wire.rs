//! Protobuf's wire format: numbered fields, each a number or a run of bytes.

/// Reads the fields of one message.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes; no message that is read here has such fields.
    Fixed,
}

/// Bytes that are not a message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The message ends inside a field.
    #[error("it ends inside a field")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("a number has more than 64 bits")]
    NumberTooLong,
    /// A field of a type that protobuf does not have, or has given up.
    #[error("wire type {0} is not known")]
    WireType(u64),
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// Number and value of the next field; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Scalar<'a>)>, WireError> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let scalar = match tag & 7 {
            0 => Scalar::Varint(self.varint()?),
            1 => self.take(8).map(|_| Scalar::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Scalar::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Scalar::Fixed)?,
            other => return Err(WireError::WireType(other)),
        };
        Ok(Some((tag >> 3, scalar)))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first().ok_or(WireError::Truncated)?;
            self.bytes = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireError::NumberTooLong);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::NumberTooLong)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let mut reader = Reader::new(&[0x08, 0xac, 0x02, 0x12, 0x02, b'o', b'k', 0x1d, 1, 2, 3, 4]);
        assert_eq!(reader.next(), Ok(Some((1, Scalar::Varint(300)))));
        assert_eq!(reader.next(), Ok(Some((2, Scalar::Bytes(b"ok")))));
        assert_eq!(reader.next(), Ok(Some((3, Scalar::Fixed))));
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn what_is_not_a_message() {
        let table: [(&[u8], WireError); 5] = [
            (&[0x08], WireError::Truncated),
            (&[0x12, 0x05, b'x'], WireError::Truncated),
            (
                &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
                WireError::NumberTooLong,
            ),
            (&[0x0b], WireError::WireType(3)),
            (
                &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                WireError::Truncated,
            ),
        ];
        for (bytes, error) in table {
            assert_eq!(Reader::new(bytes).next(), Err(error), "{bytes:?}");
        }
    }
}
