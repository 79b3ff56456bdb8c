use proptest::prelude::*;

use super::*;

fn timeouts() -> Timeouts {
    Timeouts {
        handshake: Duration::from_secs(3),
        connect: Duration::from_secs(2),
        first_byte: None,
        idle: Duration::from_secs(60),
        write_stall: None,
        duration: None,
        hears_keepalive: false,
    }
}

fn second(seconds: u64) -> Micros {
    Micros(seconds * 1_000_000)
}

fn moments() -> Moments {
    Moments {
        opened: second(9),
        dialed: second(10),
        asked: None,
        answered: false,
        touched: second(11),
    }
}

#[test]
fn the_timer_means_greeting_then_connect_then_idle() {
    let look = |phase, now| timeouts().expiry(phase, &moments(), second(now));
    assert_eq!(look(Phase::Greeting, 11), Expiry::Later(second(12)));
    assert_eq!(look(Phase::Greeting, 12), Expiry::Greeting);
    assert_eq!(look(Phase::Dialing, 11), Expiry::Later(second(12)));
    assert_eq!(look(Phase::Dialing, 12), Expiry::Connect);
    assert_eq!(look(Phase::Relaying, 12), Expiry::Later(second(71)));
    assert_eq!(look(Phase::Relaying, 71), Expiry::Idle);
}

#[test]
fn the_first_byte_is_due_from_the_first_question_until_the_first_answer() {
    let timeouts = Timeouts {
        first_byte: Some(Duration::from_secs(5)),
        ..timeouts()
    };
    let asked = Moments {
        asked: Some(second(20)),
        ..moments()
    };
    let answered = Moments {
        answered: true,
        ..asked
    };
    let look = |moments: &Moments, now| timeouts.expiry(Phase::Relaying, moments, second(now));
    // Nothing was asked: only a look at the time a question of this very moment would be due.
    assert_eq!(look(&moments(), 30), Expiry::Later(second(35)));
    assert_eq!(look(&asked, 24), Expiry::Later(second(25)));
    assert_eq!(look(&asked, 25), Expiry::FirstByte);
    assert_eq!(look(&answered, 25), Expiry::Later(second(71)));
    assert_eq!(
        timeouts.expiry(Phase::Dialing, &asked, second(11)),
        Expiry::Later(second(12))
    );
}

#[test]
fn the_longest_duration_counts_from_the_accept_and_in_every_phase() {
    let timeouts = Timeouts {
        duration: Some(Duration::from_secs(3)),
        connect: Duration::from_secs(100),
        ..timeouts()
    };
    for phase in [Phase::Dialing, Phase::Relaying] {
        assert_eq!(
            timeouts.expiry(phase, &moments(), second(11)),
            Expiry::Later(second(12))
        );
        assert_eq!(timeouts.expiry(phase, &moments(), second(12)), Expiry::Duration);
    }
}

#[test]
fn of_two_that_have_run_out_the_earlier_is_told() {
    let timeouts = Timeouts {
        duration: Some(Duration::from_secs(30)),
        first_byte: Some(Duration::from_secs(5)),
        ..timeouts()
    };
    let asked = Moments {
        asked: Some(second(20)),
        ..moments()
    };
    assert_eq!(timeouts.expiry(Phase::Relaying, &asked, second(500)), Expiry::FirstByte);
    let late = Moments {
        asked: Some(second(38)),
        ..asked
    };
    assert_eq!(timeouts.expiry(Phase::Relaying, &late, second(500)), Expiry::Duration);
}

#[test]
fn keepalive_is_listened_for_from_half_way_on() {
    let hears = Timeouts {
        hears_keepalive: true,
        ..timeouts()
    };
    let look = |now| hears.expiry(Phase::Relaying, &moments(), second(now));
    assert_eq!(hears.listens_from(&moments()), Some(second(41)));
    assert_eq!(look(12), Expiry::Later(second(41)));
    assert_eq!(look(41), Expiry::Later(second(71)));
    assert_eq!(look(71), Expiry::Idle);
    let short = Timeouts {
        idle: Duration::from_millis(999),
        ..hears
    };
    assert_eq!(short.listens_from(&moments()), None);
}

fn limit() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        Just(None),
        (1u64..400).prop_map(|millis| Some(Duration::from_millis(millis)))
    ]
}

prop_compose! {
    fn any_timeouts()(connect in 1u64..400, idle in 1u64..4000, first_byte in limit(), duration in limit(),
        hears_keepalive in any::<bool>()) -> Timeouts {
        Timeouts {
            handshake: Duration::from_secs(3),
            connect: Duration::from_millis(connect),
            first_byte,
            idle: Duration::from_millis(idle),
            write_stall: None,
            duration,
            hears_keepalive,
        }
    }
}

/// One session: how long it dials, then at which times the client and the endpoint send.
#[derive(Clone, Debug)]
struct Life {
    dials: Duration,
    client: Vec<Micros>,
    endpoint: Vec<Micros>,
}

prop_compose! {
    fn any_life()(dials in 0u64..300, client in proptest::collection::vec(0u64..3_000_000, 0..6),
        endpoint in proptest::collection::vec(0u64..3_000_000, 0..6)) -> Life {
        let dials = Duration::from_millis(dials);
        let begin = Micros(0).after(dials);
        let times = |offsets: Vec<u64>| {
            let mut times: Vec<Micros> = offsets.into_iter().map(|offset| Micros(begin.0 + offset)).collect();
            times.sort_unstable();
            times
        };
        Life { dials, client: times(client), endpoint: times(endpoint) }
    }
}

impl Life {
    fn phase(&self, now: Micros) -> Phase {
        if now < Micros(0).after(self.dials) {
            Phase::Dialing
        } else {
            Phase::Relaying
        }
    }

    /// What is known at `now`, the bytes of this very moment included.
    fn moments(&self, now: Micros) -> Moments {
        let moved = self.client.iter().chain(&self.endpoint).filter(|at| **at <= now).max();
        Moments {
            opened: Micros(0),
            dialed: Micros(0),
            asked: self.client.first().copied().filter(|at| *at <= now),
            answered: self.endpoint.first().is_some_and(|at| *at <= now),
            touched: moved.copied().unwrap_or(Micros(0).after(self.dials)),
        }
    }

    /// The first moment, and what it is, at which a limit has run out, found by trying each moment that may be one.
    fn oracle(&self, timeouts: &Timeouts) -> (Micros, Vec<Expiry>) {
        let connected = Micros(0).after(self.dials);
        let mut ends = vec![];
        ends.extend(timeouts.duration.map(|most| (Micros(0).after(most), Expiry::Duration)));
        if timeouts.connect <= self.dials && Micros(0).after(timeouts.connect) < connected {
            ends.push((Micros(0).after(timeouts.connect), Expiry::Connect));
        }
        let mut moves: Vec<Micros> = self.client.iter().chain(&self.endpoint).copied().collect();
        moves.push(connected);
        moves.sort_unstable();
        let gap = moves.iter().zip(moves.iter().skip(1).map(Some).chain([None]));
        let silent = gap
            .map(|(from, to)| (from.after(timeouts.idle), to))
            .find(|(due, next)| next.is_none_or(|next| *due < *next));
        ends.extend(silent.map(|(due, _)| (due, Expiry::Idle)));
        if let (Some(patience), Some(asked)) = (timeouts.first_byte, self.client.first()) {
            let due = asked.after(patience);
            if self.endpoint.first().is_none_or(|answer| *answer > due) {
                ends.push((due, Expiry::FirstByte));
            }
        }
        let first = ends.iter().map(|(due, _)| *due).min().unwrap_or_default();
        let which = ends.iter().filter(|(due, _)| *due == first).map(|(_, expiry)| *expiry);
        (first, which.collect())
    }
}

proptest! {
    /// Looking only when told to, and whenever the wheel comes early, finds the first limit at its very moment.
    #[test]
    fn looks_find_the_first_limit_at_its_moment(timeouts in any_timeouts(), life in any_life(),
        early in proptest::collection::vec(0u64..5_000_000, 0..4)) {
        let (due, which) = life.oracle(&timeouts);
        let connected = Micros(0).after(life.dials);
        let mut now = Micros(0);
        for look in 0.. {
            prop_assert!(look < 10_000, "looks do not end");
            match timeouts.expiry(life.phase(now), &life.moments(now), now) {
                Expiry::Later(next) => {
                    prop_assert!(next > now, "a look at {next:?} was asked for at {now:?}");
                    // The driver looks again, too, when the endpoint has accepted.
                    let sooner = early.iter().map(|at| Micros(*at)).chain([connected]).filter(|at| *at > now).min();
                    now = sooner.map_or(next, |sooner| sooner.min(next));
                }
                expiry => {
                    prop_assert_eq!(now, due);
                    prop_assert!(which.contains(&expiry), "{:?} instead of {:?}", expiry, which);
                    break;
                }
            }
        }
    }
}
