//! Questions that mean nothing to consensus.

use std::time::Duration;

use bytes::Bytes;
use guideway_consensus::{AskError, Tuning};
use guideway_model::NodeId;

use crate::fixture::{Cluster, PATIENCE, answer};

#[tokio::test(flavor = "multi_thread")]
async fn any_member_answers_any_other_and_itself() {
    let mut cluster = Cluster::start(2, Tuning::default()).await;
    let question = Bytes::from_static(b"\x00how many?\xff");
    for asking in &cluster.members {
        for asked in &cluster.members {
            let answered = asking.node().ask(asked.id, question.clone(), PATIENCE).await;
            assert_eq!(answered, Ok(answer(asked.id, &question)));
        }
    }
    let stranger = cluster.members[0]
        .node()
        .ask(NodeId(9), question.clone(), PATIENCE)
        .await;
    assert_eq!(stranger, Err(AskError::NotAMember { node: NodeId(9) }));

    let lost = cluster.members[1].id;
    cluster.members[1].crash();
    let unanswered = cluster.members[0].node().ask(lost, question, PATIENCE).await;
    assert!(
        matches!(unanswered, Err(AskError::NoAnswer { node, .. }) if node == lost),
        "{unanswered:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_and_patience_are_bounded() {
    let cluster = Cluster::start(2, Tuning::default()).await;
    let second = cluster.members[1].id;
    for asking in &cluster.members {
        let ask = |length: usize, patience| asking.node().ask(second, vec![0; length].into(), patience);
        let whole = ask(32, PATIENCE).await.expect("as long as an answer may be");
        assert_eq!(whole.len(), 32 << 20);
        assert!(ask(33, PATIENCE).await.is_err(), "longer than an answer may be");
        let endless = ask((1 << 20) + 1, PATIENCE).await;
        assert!(matches!(endless, Err(AskError::QuestionTooLong { .. })), "{endless:?}");
        let silent = ask(0, Duration::from_millis(50)).await;
        assert!(
            matches!(silent, Err(AskError::TimedOut { node, .. }) if node == second),
            "{silent:?}"
        );
    }
}
