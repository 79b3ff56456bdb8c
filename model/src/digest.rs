//! SHA-256 as the replicated state keeps it, of keys and of secrets. Nothing here computes one.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A SHA-256; in JSON 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| serde::de::Error::custom("a digest has 64 lower-case hexadecimal digits"))
    }
}

fn parse(text: &str) -> Option<Digest> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = pair.iter().try_fold(0, |sum: u8, digit| match digit {
            b'0'..=b'9' => Some(sum << 4 | (digit - b'0')),
            b'a'..=b'f' => Some(sum << 4 | (digit - b'a' + 10)),
            _ => None,
        })?;
    }
    Some(Digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_comes_back_from_json_and_nothing_else_is_one() {
        let digest = Digest(std::array::from_fn(|place| u8::try_from(place * 7).expect("small")));
        let json = serde_json::to_string(&digest).expect("text");
        assert_eq!(serde_json::from_str::<Digest>(&json).expect("the same"), digest);
        for wrong in [json.to_uppercase(), json.replace("07", "0g"), json.replace("07", "7")] {
            assert!(serde_json::from_str::<Digest>(&wrong).is_err(), "{wrong}");
        }
    }
}
