//! As much of DER (X.690) as the outer parts of keys need.

/// Reads elements one after the other. Nothing is ever read beyond the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// An element of any tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) contents: &'a [u8],
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8]) -> Reader<'a> {
        Reader { rest: input }
    }

    /// The next element; `None` at the end, and where the input is no DER.
    pub(super) fn element(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.rest.split_first()?;
        // Tags of several bytes do not occur in keys.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // One to three bytes: up to 16 MiB, more than any object holds.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Element { tag, contents })
    }

    /// The contents of the next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element()
            .filter(|element| element.tag == tag)
            .map(|element| element.contents)
    }

    /// A reader of the next element, which must be a sequence.
    pub(super) fn sequence(&mut self) -> Option<Reader<'a>> {
        self.expect(SEQUENCE).map(Reader::new)
    }

    /// The bytes of the next element, which must be a bit string of whole bytes.
    pub(super) fn bits(&mut self) -> Option<&'a [u8]> {
        whole_bytes(self.expect(BIT_STRING)?)
    }
}

/// The bytes in the contents of a bit string; `None` if it does not end with a whole byte.
pub(super) fn whole_bytes(contents: &[u8]) -> Option<&[u8]> {
    contents
        .split_first()
        .filter(|(unused, _)| **unused == 0)
        .map(|(_, bytes)| bytes)
}

/// Whether the input is one sequence and nothing else.
pub(super) fn is_one_sequence(input: &[u8]) -> bool {
    let mut reader = Reader::new(input);
    reader.sequence().is_some() && reader.rest.is_empty()
}
