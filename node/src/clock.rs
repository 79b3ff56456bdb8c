//! The one place of this crate that reads the wall clock to compare it with the state's time.

use std::time::{SystemTime, UNIX_EPOCH};

use guideway_model::meta::UnixMillis;

/// Now. A clock before 1970 counts as 1970.
pub(crate) fn now() -> UnixMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
