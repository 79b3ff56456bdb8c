//! What a session of a TLS port has beside others. In a box: sessions of other ports are many, and have none of it.

use std::rc::Rc;
use std::sync::Arc;

use crate::core::hello::{Hello, HelloReader};
use crate::core::reason::CloseReason;
use crate::core::session::Side;
use crate::core::time::Micros;
use crate::relay::record::{Port, Record};
use crate::tls::door::{Door, Way};
use crate::tls::stream::Stream;

/// What a session of a TLS port has beside others.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) stage: Stage,
    /// What the client asked for, once it has.
    pub(super) hello: Option<Arc<Hello>>,
    /// Where TLS ends here: with the client, with the endpoint.
    pub(super) streams: [Option<Box<Stream>>; 2],
    /// The end of the stream is to be passed on when its last words are out.
    fin_due: [bool; 2],
    /// When the present handshake began.
    pub(super) since: Micros,
    /// The session is over but for its last words.
    pub(super) leaving: Option<CloseReason>,
}

/// How far the greeting is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The ClientHello is read.
    Hello(Rc<Door>, Box<HelloReader>),
    /// The handshake with the client is made.
    Handshake(Rc<Way>),
    /// An endpoint is sought for what TLS with the client carries.
    Dialing(Rc<Way>),
    /// Nothing is left to decide.
    Settled,
}

impl Tls {
    pub(super) fn new(door: &Rc<Door>, now: Micros) -> Tls {
        Tls {
            stage: Stage::Hello(Rc::clone(door), Box::default()),
            hello: None,
            streams: [None, None],
            fin_due: [false; 2],
            since: now,
            leaving: None,
        }
    }
}

impl Record {
    /// TLS with a side that ends here, and the socket under it.
    pub(super) fn sealed(&mut self, side: Side) -> Option<(&mut Stream, &mut Port)> {
        let stream = self.tls.as_mut()?.streams[side.index()].as_mut()?;
        let port = match side {
            Side::Client => &mut self.client,
            Side::Endpoint => self.endpoint.as_mut()?,
        };
        Some((stream, port))
    }

    /// Whether TLS with a side ends here.
    pub(super) fn is_sealed(&self, side: Side) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| tls.streams[side.index()].is_some())
    }

    /// Whether bytes can pass through a pipe, unseen.
    pub(super) fn is_spliceable(&self) -> bool {
        Side::BOTH.into_iter().all(|side| !self.is_sealed(side))
    }

    /// Why the session is over, if only its last words keep it.
    pub(super) fn leaving(&self) -> Option<CloseReason> {
        self.tls.as_ref()?.leaving
    }

    /// Bytes held of its ClientHello, if it is not known which listener the session is for.
    pub(super) fn unrouted(&self) -> Option<usize> {
        match &self.tls.as_ref()?.stage {
            Stage::Hello(_, reader) => Some(reader.taken()),
            Stage::Handshake(_) | Stage::Dialing(_) | Stage::Settled => None,
        }
    }

    /// The end of what is sent to a side waits for what is before it; gives whether it did so far.
    pub(super) fn fin_due(&mut self, side: Side) -> Option<&mut bool> {
        Some(&mut self.tls.as_mut()?.fin_due[side.index()])
    }
}
