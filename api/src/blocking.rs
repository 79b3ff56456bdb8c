//! Work that takes longer than a turn of the async executor may.

use crate::status::Status;

/// Does the work on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|failure| Status::internal(format!("the work on this request was not finished: {failure}")))
}
