//! Plain counters of datagrams, beside the tallies of the sessions that they belong to.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

use metrics::{Counter, Label};

use crate::core::drops::DropReason;
use crate::core::session::Side;
use crate::metrics as list;
use crate::metrics::tally::{Names, add, count, listener_labels};

const REASONS: usize = DropReason::ALL.len();

/// Datagrams of one listener with its route.
#[derive(Debug)]
pub(crate) struct DatagramTally {
    names: Arc<Names>,
    taken: [Cell<u64>; 2],
    handed_over: Cell<u64>,
    dropped: [Cell<u64>; REASONS],
    dirty: Cell<bool>,
    handles: OnceCell<Handles>,
}

/// The thread's tallies that have changed since the last flush.
#[derive(Debug, Default)]
pub(crate) struct DatagramTallies {
    dirty: Vec<Rc<DatagramTally>>,
}

impl DatagramTallies {
    pub(crate) fn taken(&mut self, tally: &Rc<DatagramTally>, from: Side, datagrams: u64) {
        add(&tally.taken[from.index()], datagrams);
        self.mark(tally);
    }

    pub(crate) fn handed_over(&mut self, tally: &Rc<DatagramTally>, datagrams: u64) {
        add(&tally.handed_over, datagrams);
        self.mark(tally);
    }

    pub(crate) fn dropped(&mut self, tally: &Rc<DatagramTally>, reason: DropReason, datagrams: u64) {
        add(&tally.dropped[reason.index()], datagrams);
        self.mark(tally);
    }

    /// Whether there is anything to flush.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Hands every change to the recorder.
    pub(crate) fn flush(&mut self) {
        for tally in self.dirty.drain(..) {
            tally.flush();
        }
    }

    fn mark(&mut self, tally: &Rc<DatagramTally>) {
        if !tally.dirty.replace(true) {
            self.dirty.push(Rc::clone(tally));
        }
    }
}

impl DatagramTally {
    pub(crate) fn new(names: Arc<Names>) -> DatagramTally {
        DatagramTally {
            names,
            taken: Default::default(),
            handed_over: Cell::default(),
            dropped: Default::default(),
            dirty: Cell::default(),
            handles: OnceCell::new(),
        }
    }

    fn flush(&self) {
        self.dirty.set(false);
        let handles = self.handles.get_or_init(|| Handles::register(&self.names));
        for (handle, cell) in handles.taken.iter().zip(&self.taken) {
            count(handle, cell);
        }
        count(&handles.handed_over, &self.handed_over);
        for (reason, (handle, cell)) in DropReason::ALL.iter().zip(handles.dropped.iter().zip(&self.dropped)) {
            if cell.get() != 0 {
                let handle = handle.get_or_init(|| {
                    metrics::counter!(
                        list::DATAGRAMS_DROPPED.name,
                        labelled(&self.names, "reason", reason.word())
                    )
                });
                count(handle, cell);
            }
        }
    }
}

#[derive(Debug)]
struct Handles {
    taken: [Counter; 2],
    handed_over: Counter,
    dropped: [OnceCell<Counter>; REASONS],
}

impl Handles {
    fn register(names: &Names) -> Handles {
        let taken = |word| metrics::counter!(list::DATAGRAMS.name, labelled(names, "direction", word));
        Handles {
            taken: [taken("to_endpoint"), taken("to_client")],
            handed_over: metrics::counter!(list::DATAGRAMS_HANDED_OVER.name, listener_labels(names)),
            dropped: Default::default(),
        }
    }
}

fn labelled(names: &Names, label: &'static str, value: &'static str) -> Vec<Label> {
    let mut labels = listener_labels(names);
    labels.push(Label::from_static_parts(label, value));
    labels
}
