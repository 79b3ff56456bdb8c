//! The tasks of a node, of which none may panic without being missed.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Starts tasks and names the first that panics.
pub(crate) struct Tasks {
    /// What was started.
    pub(crate) running: JoinSet<()>,
    panicked: watch::Sender<Option<&'static str>>,
}

impl Tasks {
    /// None yet; the name of one that panics goes to `panicked`.
    pub(crate) fn new(panicked: watch::Sender<Option<&'static str>>) -> Tasks {
        Tasks {
            running: JoinSet::new(),
            panicked,
        }
    }

    /// Starts one.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let alarm = Alarm {
            name,
            panicked: self.panicked.clone(),
        };
        self.running.spawn(async move {
            let _alarm = alarm;
            task.await;
        });
    }
}

/// Goes off when it is dropped by a panic.
struct Alarm {
    name: &'static str,
    panicked: watch::Sender<Option<&'static str>>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "a task of consensus panicked");
            self.panicked.send_replace(Some(self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_and_an_end_is_not() {
        let panicked = watch::Sender::new(None);
        let mut tasks = Tasks::new(panicked.clone());
        tasks.spawn("ends", async {});
        tasks.running.join_next().await;
        assert_eq!(*panicked.borrow(), None);
        tasks.spawn("panics", async { panic!("on purpose") });
        tasks.running.join_next().await;
        assert_eq!(*panicked.borrow(), Some("panics"));
    }
}
