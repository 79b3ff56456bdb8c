//! As much of DER (X.690) as names with several values of one attribute need: rcgen writes one of each only.

/// A sequence.
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const BIT_STRING: u8 = 0x03;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;

/// `CN` and `O` of RFC 5280, appendix A.1.
pub(crate) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
pub(crate) const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// One element: tag, length, contents.
pub(crate) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    let length = contents.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match significant {
        [] => bytes.push(0),
        [short @ 0..=0x7f] => bytes.push(*short),
        long => {
            // A length has at most eight bytes.
            bytes.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            bytes.extend_from_slice(long);
        }
    }
    bytes.extend_from_slice(contents);
    bytes
}

/// A distinguished name: one relative name for each attribute and value, in order.
pub(crate) fn name<'a>(attributes: impl IntoIterator<Item = (&'static [u8], &'a str)>) -> Vec<u8> {
    let relative = attributes.into_iter().flat_map(|(kind, value)| {
        let pair = [element(OBJECT_IDENTIFIER, kind), element(UTF8_STRING, value.as_bytes())].concat();
        element(SET, &element(SEQUENCE, &pair))
    });
    element(SEQUENCE, &relative.collect::<Vec<u8>>())
}

/// The elements that follow each other in `contents`, each whole; `None` if they do not fill it.
pub(crate) fn elements(mut contents: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !contents.is_empty() {
        let (whole, rest) = contents.split_at_checked(header(contents)?.iter().sum())?;
        found.push(whole);
        contents = rest;
    }
    Some(found)
}

/// What is in one element.
pub(crate) fn contents(element: &[u8]) -> Option<&[u8]> {
    let [start, length] = header(element)?;
    element.get(start..start + length)
}

/// Lengths of the first element's header and contents.
fn header(bytes: &[u8]) -> Option<[usize; 2]> {
    match *bytes.get(1)? {
        short @ 0..=0x7f => Some([2, usize::from(short)]),
        long @ 0x81..=0x84 => {
            let count = usize::from(long & 0x7f);
            let length = bytes.get(2..2 + count)?;
            Some([
                2 + count,
                length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            ])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_shortest_form_and_read_back() {
        let long = vec![7; 300];
        for (inside, start) in [
            (&long[..0], &[0x30, 0][..]),
            (&long[..127], &[0x30, 127]),
            (&long[..128], &[0x30, 0x81, 128]),
            (&long[..300], &[0x30, 0x82, 1, 44]),
        ] {
            let whole = element(SEQUENCE, inside);
            assert!(whole.starts_with(start));
            assert_eq!(contents(&whole), Some(inside));
            let twice = [whole.clone(), whole.clone()].concat();
            assert_eq!(elements(&twice), Some(vec![&whole[..], &whole]));
            assert!(elements(&twice[..twice.len() - 1]).is_none());
        }
    }
}
