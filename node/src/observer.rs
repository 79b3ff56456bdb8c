//! What the data plane tells of, as wake-ups for the tasks that then look for themselves.

use std::collections::BTreeMap;

use guideway_dataplane::Observer;
use guideway_model::node::{BindResult, SocketKey};
use tokio::sync::watch;

/// Wakes tasks; called from the data plane's threads, so it does nothing else. The numbers only have to differ.
pub(crate) struct WakeUps {
    binds: watch::Sender<u64>,
    pins: watch::Sender<u64>,
}

/// Where the tasks listen.
pub(crate) struct Wakes {
    /// The results of binds changed.
    pub(crate) binds: watch::Receiver<u64>,
    /// Needs of pins changed, or a walk is complete.
    pub(crate) pins: watch::Receiver<u64>,
}

impl WakeUps {
    pub(crate) fn new() -> (WakeUps, Wakes) {
        let (binds, binds_changed) = watch::channel(0);
        let (pins, pins_changed) = watch::channel(0);
        let wakes = Wakes {
            binds: binds_changed,
            pins: pins_changed,
        };
        (WakeUps { binds, pins }, wakes)
    }
}

impl Observer for WakeUps {
    fn binds_changed(&self, _binds: &BTreeMap<SocketKey, BindResult>) {
        wake(&self.binds);
    }

    fn plan_active(&self, generation: u64) {
        tracing::debug!(generation, "plan active on every relay thread");
    }

    fn pins_needed(&self) {
        wake(&self.pins);
    }

    fn walked(&self, generation: u64) {
        tracing::debug!(generation, "every session has been looked at for the prepared tables");
        wake(&self.pins);
    }
}

fn wake(sender: &watch::Sender<u64>) {
    sender.send_modify(|count| *count = count.wrapping_add(1));
}
