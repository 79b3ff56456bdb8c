//! A snapshot on its way: a frame that says what comes, then a frame for each chunk. A frame is its length (32 bits,
//! big-endian) and as many bytes.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde::{Deserialize, Serialize};

use super::Call;
use super::peers::RequestBody;
use super::server::BODY_TIMEOUT;
use crate::raft_types::{SnapshotMeta, Vote};
use crate::store::StoredSnapshot;

/// The first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preamble {
    /// The sender's vote.
    pub(crate) vote: Vote,
    /// What the snapshot covers.
    pub(crate) meta: SnapshotMeta,
    /// How many chunks follow.
    pub(crate) chunks: u32,
}

/// The body that carries `snapshot`; reads one chunk at a time, as the peer takes them.
pub(super) fn body(preamble: &Preamble, snapshot: Arc<StoredSnapshot>) -> io::Result<RequestBody> {
    let first = frame(&serde_json::to_vec(preamble)?);
    let chunks = futures_util::stream::unfold((snapshot, 0), |(snapshot, number)| async move {
        if number >= snapshot.chunks() {
            return None;
        }
        let from = snapshot.clone();
        let chunk = tokio::task::spawn_blocking(move || from.chunk(number)).await;
        let chunk = chunk
            .map_err(io::Error::other)
            .flatten()
            .map(|chunk| Frame::data(frame(&chunk)));
        Some((chunk, (snapshot, number + 1)))
    });
    let first = futures_util::stream::iter([Ok(Frame::data(first))]);
    Ok(StreamBody::new(futures_util::StreamExt::chain(first, chunks)).boxed_unsync())
}

fn frame(bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(4 + bytes.len());
    // No frame is longer than a chunk.
    frame.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    frame.put_slice(bytes);
    frame.freeze()
}

/// Takes a request's body apart again.
pub(crate) struct Frames {
    body: Incoming,
    buffer: BytesMut,
}

impl Frames {
    pub(super) fn new(body: Incoming) -> Frames {
        Frames {
            body,
            buffer: BytesMut::new(),
        }
    }

    /// The next frame; an error if the body ends before.
    pub(crate) async fn next(&mut self) -> io::Result<Bytes> {
        self.fill(4).await?;
        let length = usize::try_from(self.buffer.get_u32()).unwrap_or(usize::MAX);
        if length > Call::Snapshot.request_limit() {
            let problem = format!("a frame of {length} bytes is longer than any chunk");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        self.fill(length).await?;
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn fill(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() < length {
            let more = tokio::time::timeout(BODY_TIMEOUT, self.body.frame()).await?;
            match more {
                Some(frame) => {
                    if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(())
    }
}
