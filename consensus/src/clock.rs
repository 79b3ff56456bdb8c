//! The one place in this crate that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

use guideway_model::meta::UnixMillis;

/// Now, as a leader stamps it on a proposal. A clock before 1970 counts as 1970: the state never goes back in time.
pub(crate) fn now() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
