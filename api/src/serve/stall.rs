//! A stream that fails when its client does not send its first bytes in time, or takes none of those sent to it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes after which HTTP's own timeouts take over; until then the protocol is not known. The HTTP/2 preface has as many.
const FIRST_BYTES: usize = 24;

/// Guards a stream.
pub(super) struct StallGuard<S> {
    stream: S,
    /// Bytes that must still come before the deadline.
    first_bytes: usize,
    first_deadline: Pin<Box<Sleep>>,
    write_timeout: Duration,
    write_deadline: Pin<Box<Sleep>>,
    write_waits: bool,
}

impl<S> StallGuard<S> {
    pub(super) fn new(stream: S, first_timeout: Duration, write_timeout: Duration) -> StallGuard<S> {
        StallGuard {
            stream,
            first_bytes: FIRST_BYTES,
            first_deadline: Box::pin(sleep(first_timeout)),
            write_timeout,
            write_deadline: Box::pin(sleep(write_timeout)),
            write_waits: false,
        }
    }

    /// Passes on what a write gave; a write that waits too long fails.
    fn watch_write<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_waits = false;
            return result;
        }
        if !self.write_waits {
            self.write_waits = true;
            self.write_deadline.as_mut().reset(Instant::now() + self.write_timeout);
        }
        ready!(self.write_deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes no bytes",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.first_bytes = self.first_bytes.saturating_sub(buffer.filled().len() - before);
        if result.is_pending() && self.first_bytes > 0 {
            ready!(self.first_deadline.as_mut().poll(context));
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client sent no request",
            )));
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_write(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch_write(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.watch_write(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch_write(context, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const NEVER: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_too_little_is_dropped() {
        let (mut client, server) = duplex(1024);
        let mut guarded = StallGuard::new(server, SOON, NEVER);
        client.write_all(b"GET /").await.expect("written");
        let error = guarded.read_exact(&mut [0; 6]).await.expect_err("too late");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_sent_enough_may_pause() {
        let (mut client, server) = duplex(1024);
        let mut guarded = StallGuard::new(server, SOON, NEVER);
        client.write_all(&[b'x'; FIRST_BYTES]).await.expect("written");
        guarded.read_exact(&mut [0; FIRST_BYTES]).await.expect("read");
        let mut last = [0];
        let paused = guarded.read_exact(&mut last);
        assert!(tokio::time::timeout(100 * SOON, paused).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_dropped() {
        let (_client, server) = duplex(16);
        let mut guarded = StallGuard::new(server, NEVER, SOON);
        let error = guarded.write_all(&[0; 64]).await.expect_err("stalled");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_that_takes_some_is_kept() {
        let (mut client, server) = duplex(16);
        let mut guarded = StallGuard::new(server, NEVER, SOON);
        let reader = tokio::spawn(async move {
            let mut taken = 0;
            let mut buffer = [0; 16];
            while taken < 160 {
                sleep(SOON / 2).await;
                taken += client.read(&mut buffer).await.expect("read");
            }
        });
        guarded.write_all(&[0; 160]).await.expect("written");
        reader.await.expect("read all");
    }
}
