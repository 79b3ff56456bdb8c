//! What is said of silent members: that one falls silent and that it is heard again, and now and then how long it has
//! been. Not each look: without a majority nobody can agree that a member is down, and the looks go on.
//!
//! Pure: time is handed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use guideway_model::NodeId;

/// Pause between two reminders of members that stay silent without the cluster agreeing that they are down.
const REMINDER_INTERVAL: Duration = Duration::from_secs(60);

/// Members that are silent and that the cluster has not agreed to be down.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    since: BTreeMap<NodeId, Instant>,
    reminded: Option<Instant>,
}

/// What a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A member has fallen silent.
    Fell(NodeId),
    /// A member is heard again before the cluster agreed that it is down.
    Heard { node: NodeId, after: Duration },
    /// These are silent still, and the cluster does not agree that they are down: it has no majority.
    Still { nodes: Vec<NodeId>, longest: Duration },
}

impl Silence {
    /// Takes the members that are silent and those of them that the cluster has agreed to be down.
    pub(crate) fn look(&mut self, silent: &[NodeId], down: &[NodeId], now: Instant) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.since.retain(|node, since| {
            let heard = !silent.contains(node);
            if heard {
                let after = now.saturating_duration_since(*since);
                notices.push(Notice::Heard { node: *node, after });
            }
            !heard && !down.contains(node)
        });
        for node in silent.iter().filter(|node| !down.contains(node)) {
            self.since.entry(*node).or_insert_with(|| {
                notices.push(Notice::Fell(*node));
                self.reminded.get_or_insert(now);
                now
            });
        }
        if self.since.is_empty() {
            self.reminded = None;
        }
        if let Some(reminded) = self.reminded
            && now.saturating_duration_since(reminded) >= REMINDER_INTERVAL
        {
            self.reminded = Some(now);
            let longest = self.since.values().map(|since| now.saturating_duration_since(*since));
            notices.push(Notice::Still {
                nodes: self.since.keys().copied().collect(),
                longest: longest.max().unwrap_or_default(),
            });
        }
        notices
    }
}

impl Notice {
    /// Writes it to the log.
    pub(crate) fn log(&self) {
        match self {
            Notice::Fell(node) => tracing::warn!(%node, "a member is silent; the leader says that it is down"),
            Notice::Heard { node, after } => tracing::info!(%node, silent_for = ?after, "a member is heard again"),
            Notice::Still { nodes, longest } => tracing::warn!(
                ?nodes,
                silent_for = ?longest,
                "members are silent, and without a majority of the voters the cluster cannot agree that they are down"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);

    /// Second, who is silent, who is down, and what is to be said.
    type Step<'a> = (u64, &'a [NodeId], &'a [NodeId], Vec<Notice>);

    #[test]
    fn changes_are_said_once_and_what_lasts_now_and_then() {
        let start = Instant::now();
        let mut silence = Silence::default();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let steps: [Step<'_>; 8] = [
            (0, &[], &[], vec![]),
            (1, &[ONE], &[], vec![Notice::Fell(ONE)]),
            (2, &[ONE], &[], vec![]),
            (3, &[ONE, TWO], &[], vec![Notice::Fell(TWO)]),
            (
                61,
                &[ONE, TWO],
                &[],
                vec![Notice::Still {
                    nodes: vec![ONE, TWO],
                    longest: Duration::from_secs(60),
                }],
            ),
            (62, &[ONE, TWO], &[], vec![]),
            (
                63,
                &[ONE],
                &[],
                vec![Notice::Heard {
                    node: TWO,
                    after: Duration::from_secs(60),
                }],
            ),
            // Agreed on: nothing is left to say, now or when it comes back.
            (64, &[ONE], &[ONE], vec![]),
        ];
        for (second, silent, down, expected) in steps {
            assert_eq!(silence.look(silent, down, at(second)), expected, "second {second}");
        }
        assert_eq!(silence.look(&[], &[], at(500)), []);
    }
}
