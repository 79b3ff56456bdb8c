//! Time that the session machine itself takes, and a session's timer: `cargo bench -p guideway-dataplane`.
//!
//! A plain program like that of `maglev`: one figure each, the median of several rounds. Without `--bench` (as in
//! `cargo test --all-targets`) it runs one round, which shows that it works.
#![expect(clippy::print_stdout, reason = "a program whose output is its result")]

#[path = "../../bench/times.rs"]
mod times;

use std::hint::black_box;

use guideway_dataplane::CloseReason;
use guideway_dataplane::core::selection::Attempt;
use guideway_dataplane::core::session::{Event, Op, Ops, Session, Side, State};
use guideway_dataplane::core::slab::{Key, Slab};
use guideway_dataplane::core::time::Micros;
use guideway_dataplane::core::wheel::{Link, Links, Wheel};
use guideway_model::plan::Why;
use times::measure;

const SESSIONS: u32 = 100_000;
const TIMERS: u32 = 100_000;
const FIRST: Attempt = Attempt {
    entry: 0,
    first: 0,
    number: 1,
    sources_tried: 0,
    why: Why::Table,
};

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let rounds = if full { 25 } else { 1 };
    println!("the session machine                     median      least");
    let whole = measure(rounds, SESSIONS, || {
        for _ in 0..SESSIONS {
            black_box(one_exchange());
        }
    });
    println!("a byte each way, from start to close   {}", whole);
    let mut relaying = connected();
    let message = measure(rounds, SESSIONS, || {
        for _ in 0..SESSIONS {
            black_box(pass_on(black_box(&mut relaying), Side::Client));
        }
    });
    assert!(
        matches!(relaying.state(), State::Relaying { .. }),
        "messages end nothing"
    );
    println!("a message received and sent            {}", message);
    let timers = measure(rounds, TIMERS, || timers(TIMERS));
    println!("a timer armed and taken, of 100 000    {}", timers);
}

fn connected() -> Session {
    let (mut session, ops) = Session::start(FIRST);
    assert!(matches!(ops, Ops(Some(Op::Connect(_)), None)), "it dials first");
    session.on(Event::Connected { greeted: false });
    session
}

fn pass_on(session: &mut Session, from: Side) -> Ops {
    session.on(Event::Received { from, bulk: false });
    session.on(Event::Sent { to: from.other() })
}

fn one_exchange() -> CloseReason {
    let mut session = connected();
    pass_on(&mut session, Side::Client);
    pass_on(&mut session, Side::Endpoint);
    session.on(Event::Ended { side: Side::Endpoint });
    match session.on(Event::Ended { side: Side::Client }) {
        Ops(Some(Op::Close { reason, .. }), None) => reason,
        ops => unreachable!("both sides ended, and it asks for {ops:?}"),
    }
}

struct Timed(Link);

struct All(Slab<Timed>);

impl Links for All {
    fn link(&mut self, index: u32) -> Option<&mut Link> {
        self.0.tenant_mut(index).map(|timed| &mut timed.0)
    }
}

/// Arms so many timers over an hour, and takes each when it is due.
fn timers(count: u32) {
    let mut all = All(Slab::default());
    let keys: Vec<Key> = (0..count).map(|_| all.0.insert(Timed(Link::default()))).collect();
    let mut wheel = Wheel::new(Micros(0));
    for (number, key) in keys.iter().enumerate() {
        wheel.arm(&mut all, key.index, Micros(36_000 * (number as u64 + 1)));
    }
    let mut taken = 0;
    let mut now = Micros(0);
    while taken < count {
        now = Micros(now.0 + 1_000_000);
        while wheel.take(&mut all, now).is_some() {
            taken += 1;
        }
    }
}
