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
    /// Orders are waiting, or datagrams of other threads.
    Wake,
    /// The socket of a UDP flow.
    Flow(Key),
    /// A socket that clients send datagrams to: its place in the thread's list.
    Door(u32),
    /// A datagram that an io_uring was to send, by its number.
    Sent(u32),
    /// A message on a connection that an io_uring was to send, by its number.
    Relayed(u32),
}

/// Bits below the slot: which kind of token.
const KIND_BITS: u32 = 3;
/// Bits of a slot or place; a thread has far fewer of either.
const PLACE_MASK: u64 = (1 << (32 - KIND_BITS)) - 1;

impl Token {
    pub(super) fn encode(self) -> u64 {
        let (kind, place, generation) = match self {
            Token::Session(key, Side::Client) => (0, key.index, key.generation),
            Token::Session(key, Side::Endpoint) => (1, key.index, key.generation),
            Token::Listener(place) => (2, place, 0),
            Token::Wake => (3, 0, 0),
            Token::Flow(key) => (4, key.index, key.generation),
            Token::Door(place) => (5, place, 0),
            Token::Sent(number) => (6, number, 0),
            Token::Relayed(number) => (7, number, 0),
        };
        u64::from(generation) << 32 | (u64::from(place) & PLACE_MASK) << KIND_BITS | kind
    }

    pub(super) fn decode(word: u64) -> Token {
        let place = ((word >> KIND_BITS) & PLACE_MASK) as u32;
        let key = Key {
            index: place,
            generation: (word >> 32) as u32,
        };
        match word & ((1 << KIND_BITS) - 1) {
            0 => Token::Session(key, Side::Client),
            1 => Token::Session(key, Side::Endpoint),
            2 => Token::Listener(place),
            4 => Token::Flow(key),
            5 => Token::Door(place),
            6 => Token::Sent(place),
            7 => Token::Relayed(place),
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
            index: (1 << 29) - 1,
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
            Token::Flow(key),
            Token::Door(78),
            Token::Sent(79),
            Token::Relayed(80),
            Token::Wake,
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
