use guideway_model::node::{Incarnation, NodeId};

use super::super::fixture::{endpoint, key};
use super::*;

const HOLDER: Holder = Holder {
    node: NodeId(3),
    incarnation: Incarnation(7),
};

/// A core and the time of its test.
struct Bench {
    core: Reconciler,
    start: Instant,
    now: Instant,
    view: View,
}

/// What a core proposed, in short.
#[derive(Debug, PartialEq)]
enum Said {
    Batch {
        sequence: u64,
        changes: Vec<(PinKey, Option<SocketAddr>)>,
    },
    Prepared(u64),
    Nothing,
}

impl Bench {
    /// The state knows the node.
    fn new() -> Bench {
        let start = Instant::now();
        let mut bench = Bench {
            core: Reconciler::new(HOLDER),
            start,
            now: start,
            view: View::default(),
        };
        bench.state(|view| view.known = true);
        bench
    }

    fn at(&mut self, millis: u64) -> &mut Bench {
        self.now = self.start + Duration::from_millis(millis);
        self
    }

    fn needs(&mut self, number: u32, at: Option<u8>) -> &mut Bench {
        self.core.handle_needs(vec![(key(number), at.map(endpoint))], self.now);
        self
    }

    /// The next index, with what changes by it.
    fn state(&mut self, change: impl FnOnce(&mut View)) -> Option<Ended> {
        self.view.index += 1;
        self.view.holds.clear();
        change(&mut self.view);
        self.core.handle_view(self.view.clone(), self.now)
    }

    fn says(&mut self) -> Said {
        match self.core.next_command(self.now) {
            None => Said::Nothing,
            Some(Command::Prepared { generation, .. }) => Said::Prepared(generation),
            Some(Command::Pins(batch)) => {
                assert_eq!((batch.node, batch.incarnation), (HOLDER.node, HOLDER.incarnation));
                let changes = batch.changes.iter();
                Said::Batch {
                    sequence: batch.sequence,
                    changes: changes.map(|change| (change.key, change.endpoint)).collect(),
                }
            }
            Some(other) => panic!("{other:?}"),
        }
    }

    /// What was proposed is committed and applied here, with its holds.
    fn applied(&mut self, holds: &[(u32, Option<u8>)]) {
        let index = self.view.index + 1;
        self.core.handle_answer(Answer::Committed { index }, self.now);
        self.state(|view| {
            view.holds = holds
                .iter()
                .map(|(number, at)| (key(*number), at.map(endpoint)))
                .collect()
        });
    }

    fn next_in(&self) -> Option<u64> {
        let due = self.core.poll_timeout()?;
        Some(u64::try_from(due.saturating_duration_since(self.start).as_millis()).expect("soon"))
    }
}

fn batch(sequence: u64, changes: &[(u32, Option<u8>)]) -> Said {
    Said::Batch {
        sequence,
        changes: changes
            .iter()
            .map(|(number, at)| (key(*number), at.map(endpoint)))
            .collect(),
    }
}

#[test]
fn changes_are_gathered_and_one_batch_is_under_way() {
    let mut bench = Bench::new();
    assert_eq!((bench.says(), bench.next_in()), (Said::Nothing, None));
    bench.at(100).needs(1, Some(1));
    bench.at(110).needs(2, Some(2));
    assert_eq!((bench.says(), bench.next_in()), (Said::Nothing, Some(120)));
    assert_eq!(bench.at(120).says(), batch(1, &[(1, Some(1)), (2, Some(2))]));
    bench.at(130).needs(3, Some(3));
    assert_eq!(
        (bench.at(500).says(), bench.next_in()),
        (Said::Nothing, None),
        "one is under way"
    );
    bench.applied(&[(1, Some(1)), (2, Some(2))]);
    assert_eq!(bench.says(), batch(2, &[(3, Some(3))]), "it has waited long enough");
    bench.applied(&[(3, Some(3))]);
    bench.at(600).needs(2, None);
    assert_eq!(bench.at(620).says(), batch(3, &[(2, None)]));
    bench.applied(&[(2, None)]);
    assert_eq!(bench.core.figures(), (2, 2));
    assert_eq!((bench.at(9000).says(), bench.next_in()), (Said::Nothing, None));
}

#[test]
fn a_full_batch_does_not_wait() {
    let mut bench = Bench::new();
    for number in 0..u32::try_from(PinBatch::CHANGES + 1).expect("fits") {
        bench.needs(number, Some(1));
    }
    let Said::Batch { changes, .. } = bench.says() else {
        panic!("nothing is proposed");
    };
    assert_eq!(changes.len(), PinBatch::CHANGES);
}

#[test]
fn nothing_is_said_before_the_state_knows_this_start() {
    let mut bench = Bench::new();
    bench.state(|view| view.known = false);
    bench.needs(1, Some(1));
    assert_eq!((bench.at(5000).says(), bench.next_in()), (Said::Nothing, None));
    bench.state(|view| {
        view.known = true;
        view.sequence = 4;
    });
    assert_eq!(
        bench.says(),
        batch(5, &[(1, Some(1))]),
        "numbers go on where the state is"
    );
}

#[test]
fn what_fails_is_said_again_later_and_later() {
    for answer in [Answer::Failed, Answer::Refused] {
        let mut bench = Bench::new();
        bench.needs(1, Some(1));
        let mut at = 20;
        for (attempt, pause) in (1..).zip([50, 100, 200, 400, 800, 1000, 1000]) {
            assert_eq!(bench.at(at).says(), batch(attempt, &[(1, Some(1))]));
            let now = bench.now;
            bench.core.handle_answer(answer, now);
            at += pause;
            assert_eq!((bench.at(at - 1).says(), bench.next_in()), (Said::Nothing, Some(at)));
        }
        bench.at(at).says();
        bench.applied(&[(1, Some(1))]);
        bench.needs(1, None);
        bench.at(at + 20).says();
        let now = bench.now;
        bench.core.handle_answer(answer, now);
        assert_eq!(bench.next_in(), Some(at + 70), "one that succeeds ends the pauses");
    }
}

#[test]
fn a_batch_that_the_state_shows_is_over_though_its_answer_is_lost() {
    let mut bench = Bench::new();
    bench.needs(1, Some(1)).at(20).says();
    bench.state(|view| {
        view.sequence = 1;
        view.holds = vec![(key(1), Some(endpoint(1)))];
    });
    bench.needs(2, Some(2));
    assert_eq!(bench.at(40).says(), batch(2, &[(2, Some(2))]));
    let now = bench.now;
    bench.core.handle_answer(Answer::Committed { index: 9 }, now);
    assert_eq!(bench.at(60).says(), Said::Nothing, "index 9 is not applied here yet");
}

#[test]
fn a_change_that_takes_no_effect_is_tried_again_once_a_second_while_there_is_room() {
    let mut bench = Bench::new();
    bench.needs(1, Some(1)).at(20).says();
    bench.applied(&[]);
    assert_eq!((bench.says(), bench.next_in()), (Said::Nothing, Some(1020)));
    assert_eq!(bench.at(1020).says(), Said::Nothing);
    assert_eq!(bench.at(1040).says(), batch(2, &[(1, Some(1))]));
    bench.applied(&[]);
    bench.state(|view| view.all_holds = guideway_model::pin::Pins::MOST);
    assert_eq!(
        (bench.at(2040).says(), bench.next_in()),
        (Said::Nothing, Some(3040)),
        "no room"
    );
    bench.state(|view| view.all_holds -= 1);
    assert_eq!(bench.at(3040).says(), Said::Nothing);
    assert_eq!(bench.at(3060).says(), batch(3, &[(1, Some(1))]));
}

fn prepares(bench: &mut Bench, generation: u64) {
    bench.state(|view| {
        view.prepared = Some(generation);
        view.awaited = true;
    });
}

#[test]
fn prepared_is_said_when_the_pins_of_the_walk_are_held_here() {
    let mut bench = Bench::new();
    prepares(&mut bench, 5);
    bench.core.handle_walked(4);
    bench.needs(1, Some(1)).at(20);
    assert_eq!(bench.says(), batch(1, &[(1, Some(1))]));
    bench.needs(2, Some(2));
    bench.core.handle_walked(5);
    // A new session after the walk keeps nothing back.
    bench.needs(3, Some(3));
    bench.applied(&[(1, Some(1))]);
    assert_eq!(bench.at(40).says(), batch(2, &[(2, Some(2)), (3, Some(3))]));
    let index = bench.view.index + 1;
    let now = bench.now;
    bench.core.handle_answer(Answer::Committed { index }, now);
    assert_eq!(bench.says(), Said::Nothing, "committed and not applied here");
    bench.state(|view| view.holds = vec![(key(2), Some(endpoint(2)))]);
    assert_eq!(bench.says(), Said::Prepared(5));
    assert_eq!(bench.says(), Said::Nothing);
    let ended = bench.at(70).state(|view| {
        view.prepared = None;
        view.awaited = false;
    });
    let expected = Ended {
        took: Duration::from_millis(70),
        passed_over: None,
    };
    assert_eq!(ended, Some(expected));
}

#[test]
fn an_empty_batch_shows_progress_while_the_cluster_waits() {
    let mut bench = Bench::new();
    bench.at(1000);
    prepares(&mut bench, 5);
    assert_eq!((bench.says(), bench.next_in()), (Said::Nothing, Some(1500)));
    assert_eq!(bench.at(1500).says(), batch(1, &[]));
    assert_eq!(bench.at(2500).says(), Said::Nothing, "one is under way");
    bench.applied(&[]);
    assert_eq!(bench.says(), batch(2, &[]));
    bench.applied(&[]);
    bench.state(|view| view.awaited = false);
    assert_eq!((bench.at(9000).says(), bench.next_in()), (Said::Nothing, None));
}

#[test]
fn a_node_that_is_passed_over_counts_what_is_unpinned_and_goes_on() {
    let mut bench = Bench::new();
    prepares(&mut bench, 5);
    bench.needs(1, Some(1)).needs(2, Some(2)).needs(3, Some(3));
    bench.at(20).says();
    bench.applied(&[(1, Some(1))]);
    bench.needs(4, Some(4));
    let ended = bench.state(|view| {
        view.prepared = Some(6);
        view.awaited = true;
    });
    assert_eq!(
        ended.and_then(|ended| ended.passed_over),
        Some(3),
        "2 and 3 took no effect, 4 is new"
    );
    assert_eq!(bench.at(40).says(), batch(2, &[(4, Some(4))]));
}

#[test]
fn prepared_is_said_again_if_it_fails_or_the_cluster_waits_still() {
    let mut bench = Bench::new();
    prepares(&mut bench, 5);
    bench.core.handle_walked(5);
    assert_eq!(bench.says(), Said::Prepared(5));
    let now = bench.now;
    bench.core.handle_answer(Answer::Failed, now);
    assert_eq!((bench.says(), bench.next_in()), (Said::Nothing, Some(50)));
    assert_eq!(bench.at(50).says(), Said::Prepared(5));
    // It is applied, and in the same state this node was down and is up again.
    bench.applied(&[]);
    assert_eq!(bench.says(), Said::Nothing);
    assert_eq!(bench.at(100).says(), Said::Prepared(5));
    // The next generation is prepared by the same command that activates this one.
    bench.state(|view| view.prepared = Some(6));
    assert_eq!(bench.says(), Said::Nothing, "the data plane has not walked 6");
    bench.core.handle_walked(6);
    assert_eq!(bench.says(), Said::Prepared(6));
}

#[test]
fn the_wait_of_a_key_is_from_its_need_to_its_pin() {
    let mut bench = Bench::new();
    bench.at(100).needs(1, Some(1));
    bench.at(110).needs(2, Some(2));
    // A need that goes before it was told waits for nothing.
    bench.at(112).needs(3, Some(3));
    bench.at(115).needs(3, None);
    assert_eq!(bench.at(120).says(), batch(1, &[(1, Some(1)), (2, Some(2))]));
    bench.at(125).needs(4, Some(4));
    assert!(bench.core.take_waited().is_empty());
    bench.at(150).applied(&[(1, Some(1)), (2, Some(2))]);
    let millis = |list: &[u64]| {
        list.iter()
            .map(|millis| Duration::from_millis(*millis))
            .collect::<Vec<_>>()
    };
    assert_eq!(bench.core.take_waited(), millis(&[50, 40]));
    assert!(bench.core.take_waited().is_empty(), "each is told once");
    // One whose batch fails goes on waiting.
    assert_eq!(bench.at(150).says(), batch(2, &[(4, Some(4))]));
    let now = bench.at(160).now;
    bench.core.handle_answer(Answer::Failed, now);
    assert_eq!(bench.at(300).says(), batch(3, &[(4, Some(4))]));
    bench.at(325).applied(&[(4, Some(4))]);
    assert_eq!(bench.core.take_waited(), millis(&[200]));
}
