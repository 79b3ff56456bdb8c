//! What an epoll event is about, in the 64 bits that the kernel hands back.

use crate::core::session::Side;
use crate::core::slab::Key;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A socket of a session.
    Session(Key, Side),
    /// A listening socket: its place in the thread's list.
    Listener(u32),
    /// Orders are waiting.
    Wake,
}

/// Bits below the slot: which kind of token.
const KIND_BITS: u32 = 2;
/// Bits of a slot or place; a thread has far fewer of either.
const PLACE_MASK: u64 = (1 << (32 - KIND_BITS)) - 1;

impl Token {
    pub(super) fn encode(self) -> u64 {
        let (kind, place, generation) = match self {
            Token::Session(key, Side::Client) => (0, key.index, key.generation),
            Token::Session(key, Side::Endpoint) => (1, key.index, key.generation),
            Token::Listener(place) => (2, place, 0),
            Token::Wake => (3, 0, 0),
        };
        u64::from(generation) << 32 | (u64::from(place) & PLACE_MASK) << KIND_BITS | kind
    }

    pub(super) fn decode(word: u64) -> Token {
        let place = ((word >> KIND_BITS) & PLACE_MASK) as u32;
        let key = Key {
            index: place,
            generation: (word >> 32) as u32,
        };
        match word & 3 {
            0 => Token::Session(key, Side::Client),
            1 => Token::Session(key, Side::Endpoint),
            2 => Token::Listener(place),
            _ => Token::Wake,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back() {
        let key = Key {
            index: (1 << 30) - 1,
            generation: u32::MAX,
        };
        for token in [
            Token::Session(key, Side::Client),
            Token::Session(key, Side::Endpoint),
            Token::Session(
                Key {
                    index: 0,
                    generation: 0,
                },
                Side::Client,
            ),
            Token::Listener(77),
            Token::Wake,
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
