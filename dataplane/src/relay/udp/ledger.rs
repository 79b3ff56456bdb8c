//! What is counted of the UDP flows of one relay thread, and their lines.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use guideway_model::node::Protocol;
use rustix::io::Errno;

use crate::access_log::Batch;
use crate::access_log::line::{Closing, Line};
use crate::clock::Clock;
use crate::core::drops::DropReason;
use crate::core::flow_id::FlowId;
use crate::core::reason::CloseReason;
use crate::core::selection::ConnectFailure;
use crate::core::session::Side;
use crate::core::time::Micros;
use crate::metrics::datagrams::DatagramTallies;
use crate::metrics::tally::{EndpointTally, Tallies};
use crate::relay::udp::door::FlowLane;
use crate::relay::udp::record::Record;
use crate::shared::Shared;
use crate::sockets;

/// Counters and lines are handed on this often.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// Counts the flows of one relay thread and writes their lines.
#[derive(Debug)]
pub(super) struct FlowLedger {
    /// The thread's time: when its present round began.
    pub(super) now: Micros,
    /// Generation of the plan that the thread has.
    pub(super) generation: u32,
    tallies: Tallies,
    datagrams: DatagramTallies,
    log: Option<Batch>,
    open_lines: bool,
    flushed: Micros,
}

impl FlowLedger {
    pub(super) fn new(shared: &Arc<Shared>) -> FlowLedger {
        FlowLedger {
            now: shared.clock.now(),
            generation: 0,
            tallies: Tallies::default(),
            datagrams: DatagramTallies::default(),
            log: shared
                .log
                .as_ref()
                .map(|log| log.batch(shared.metrics.lines_dropped.clone())),
            open_lines: shared.config.access_log.open_lines,
            flushed: Micros(0),
        }
    }

    /// An endpoint is about to be connected to.
    pub(super) fn attempted(&mut self, lane: &FlowLane, endpoint: &Rc<EndpointTally>, number: u8) {
        if number > 1 {
            self.tallies.redispatched(&lane.lane.tally);
        }
        self.tallies.attempted(endpoint);
    }

    /// It could not.
    pub(super) fn connect_failed(&mut self, endpoint: &Rc<EndpointTally>, failure: ConnectFailure) {
        self.tallies.connect_failed(endpoint, failure);
    }

    /// A flow is open.
    pub(super) fn opened(&mut self, record: &Record) {
        self.tallies.accepted(&record.lane.lane.tally);
        self.tallies.port_taken(&record.endpoint);
        if self.open_lines {
            self.write(record, None);
        }
    }

    /// A flow was admitted, but no endpoint could be connected to.
    pub(super) fn failed(&mut self, lane: &FlowLane, id: FlowId, tries: u8, reason: CloseReason) {
        self.tallies.accepted(&lane.lane.tally);
        self.tallies.closed(&lane.lane.tally, reason, Duration::ZERO);
        if let Some(log) = &mut self.log {
            log.push(Line {
                time: Clock::time_of_day(),
                protocol: Protocol::Udp,
                names: Arc::clone(&lane.lane.tally.names),
                client: id.client(),
                local: id.dialled(),
                source: None,
                endpoint: None,
                tries,
                connect_errno: None,
                hello: None,
                closing: Some(Closing {
                    to_endpoint: 0,
                    to_client: 0,
                    datagrams: Some([0; 2]),
                    lasted: Duration::ZERO,
                    reason,
                }),
            });
        }
    }

    /// A flow is over; its socket is about to be closed.
    pub(super) fn closed(&mut self, record: &Record, reason: CloseReason) {
        let lasted = self.now.since(record.opened);
        self.tallies.closed(&record.lane.lane.tally, reason, lasted);
        self.tallies.port_freed(&record.endpoint);
        let [to_endpoint, to_client] = record.bytes;
        self.write(
            record,
            Some(Closing {
                to_endpoint,
                to_client,
                datagrams: Some(record.flow.datagrams()),
                lasted,
                reason,
            }),
        );
    }

    /// Datagrams were taken from a side.
    pub(super) fn taken(&mut self, lane: &FlowLane, from: Side, datagrams: u32, bytes: usize) {
        self.datagrams.taken(&lane.datagrams, from, u64::from(datagrams));
        self.tallies.relayed(&lane.lane.tally, from, bytes as u64);
    }

    /// Datagrams were handed to the thread that has their flow.
    pub(super) fn handed_over(&mut self, lane: &FlowLane, datagrams: u32) {
        self.datagrams.handed_over(&lane.datagrams, u64::from(datagrams));
    }

    /// Datagrams were dropped.
    pub(super) fn dropped(&mut self, lane: &FlowLane, reason: DropReason, datagrams: usize) {
        self.datagrams.dropped(&lane.datagrams, reason, datagrams as u64);
    }

    /// An error came back from the endpoint.
    pub(super) fn icmp(&mut self, endpoint: &Rc<EndpointTally>) {
        self.tallies.icmp(endpoint);
    }

    /// When [`FlowLedger::flush`] is due; `None` while there is nothing to hand on.
    pub(super) fn flush_deadline(&self) -> Option<Micros> {
        let waiting = self.tallies.is_dirty()
            || self.datagrams.is_dirty()
            || self.log.as_ref().is_some_and(|log| !log.is_empty());
        waiting.then(|| self.flushed.after(FLUSH_INTERVAL))
    }

    /// Hands counters and lines on.
    pub(super) fn flush(&mut self) {
        self.flushed = self.now;
        self.tallies.flush();
        self.datagrams.flush();
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    fn write(&mut self, record: &Record, closing: Option<Closing>) {
        let Some(log) = &mut self.log else { return };
        log.push(Line {
            time: Clock::time_of_day(),
            protocol: Protocol::Udp,
            names: Arc::clone(&record.lane.lane.tally.names),
            client: record.id.client(),
            local: record.id.dialled(),
            source: Some(sockets::local_address(&record.socket)),
            endpoint: Some(record.endpoint.address),
            tries: record.attempt.number,
            connect_errno: None,
            hello: None,
            closing,
        });
    }
}

/// What an errno of a send means for the datagram.
pub(super) fn drop_reason(errno: Errno) -> DropReason {
    match errno {
        Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM => DropReason::NoRoom,
        Errno::MSGSIZE => DropReason::TooLong,
        _ => DropReason::Unsendable,
    }
}
