//! What a session's timer means when it fires: arithmetic on when things last happened.
//!
//! A session has one entry in the wheel, however many limits it has. The entry is armed for the first moment at which
//! something may have run out; whoever takes it asks here what has, and is told when to look again if nothing has. So a
//! byte that moves only notes its time, and no limit costs anything on the way of the bytes.

use std::time::Duration;

use crate::core::time::Micros;

/// A keepalive probe comes after a second at least (tcp(7), `TCP_KEEPIDLE`), so a shorter idle timeout hears none.
const SHORTEST_HEARD: Duration = Duration::from_secs(1);

/// How long a session may wait for what. Many sessions share one; each keeps the one it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timeouts {
    /// For a client of a TLS port to say where it wants to go, from accept; where TLS ends here, for the whole handshake.
    pub handshake: Duration,
    /// For one endpoint to accept the connection.
    pub connect: Duration,
    /// For the endpoint's first byte, after the first byte was sent to it.
    pub first_byte: Option<Duration>,
    /// For a byte in either direction.
    pub idle: Duration,
    /// For a side to take any of the bytes that are queued for it; see [`stall`](crate::core::stall).
    pub write_stall: Option<Duration>,
    /// From accept to close, whatever happens in between.
    pub duration: Option<Duration>,
    /// Whether to find out if a client that moves no byte sends keepalive probes; see [`Timeouts::listens_from`].
    pub hears_keepalive: bool,
}

/// When things happened in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// It was accepted.
    pub opened: Micros,
    /// The present attempt began.
    pub dialed: Micros,
    /// The first byte was sent to the endpoint, if one was.
    pub asked: Option<Micros>,
    /// Whether the endpoint has sent a byte.
    pub answered: bool,
    /// A byte moved, or the endpoint accepted.
    pub touched: Micros,
}

/// Which limits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The client says where it wants to go.
    Greeting,
    /// An endpoint is being dialed.
    Dialing,
    /// Bytes flow.
    Relaying,
}

/// What a session's timer means when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The client took too long to say where it wants to go.
    Greeting,
    /// The endpoint took too long to accept.
    Connect,
    /// The endpoint took too long to say something.
    FirstByte,
    /// Nothing moved for too long.
    Idle,
    /// The session is as old as it may become.
    Duration,
    /// Nothing yet: look again.
    Later(Micros),
}

impl Timeouts {
    /// What has run out at `now`: of several the one that was due first. A limit has run out at the very moment its time
    /// is over, not before.
    pub fn expiry(&self, phase: Phase, moments: &Moments, now: Micros) -> Expiry {
        let duration = self.duration.map(|most| (moments.opened.after(most), Expiry::Duration));
        let (waits, answers) = match phase {
            Phase::Greeting => ((moments.opened.after(self.handshake), Expiry::Greeting), None),
            Phase::Dialing => ((moments.dialed.after(self.connect), Expiry::Connect), None),
            Phase::Relaying => (
                (moments.touched.after(self.idle), Expiry::Idle),
                self.answer_due(moments, now),
            ),
        };
        let first = [duration, answers]
            .into_iter()
            .flatten()
            .fold(waits, |first, other| if other.0 < first.0 { other } else { first });
        let (deadline, expiry) = first;
        if now >= deadline {
            return expiry;
        }
        let listens = (phase == Phase::Relaying).then(|| self.listens_from(moments)).flatten();
        Expiry::Later(match listens {
            Some(from) if now < from => deadline.min(from),
            Some(_) | None => deadline,
        })
    }

    /// From when on in the present silence it is worth listening for keepalive probes: half way to the idle timeout, so
    /// that a probe that comes before the timeout comes, or comes again, while someone listens. `None` if not at all.
    pub fn listens_from(&self, moments: &Moments) -> Option<Micros> {
        (self.hears_keepalive && self.idle >= SHORTEST_HEARD).then(|| moments.touched.after(self.idle / 2))
    }

    /// When the endpoint's first byte is due, if it is waited for. Before anything was sent to it this is only when to
    /// look again: a byte sent from now on is not due before that.
    fn answer_due(&self, moments: &Moments, now: Micros) -> Option<(Micros, Expiry)> {
        let patience = self.first_byte.filter(|_| !moments.answered)?;
        let due = match moments.asked {
            Some(asked) => (asked.after(patience), Expiry::FirstByte),
            None => {
                let look = Micros(now.0.saturating_add(1)).max(now.after(patience));
                (look, Expiry::Later(look))
            }
        };
        Some(due)
    }
}

#[cfg(test)]
mod tests;
