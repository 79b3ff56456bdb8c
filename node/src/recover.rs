//! `guideway recover`: what one node has becomes the cluster, after the loss was stated.

use std::path::Path;

use guideway_consensus::{Beside, BesideError, Loss, RecoverError, StartError, Stopped};

use crate::config::Config;
use crate::{membership, shell};

/// Why nothing was recovered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoverCommandError {
    /// The node runs and could not.
    #[error(transparent)]
    Beside(#[from] BesideError),
    /// The node does not run and its folder cannot be used.
    #[error(transparent)]
    Stopped(#[from] RecoverError),
    /// The same.
    #[error(transparent)]
    Folder(#[from] StartError),
    /// It was not asked for.
    #[error("nothing was changed. When you are sure that none of them will ever start again, say so with --yes")]
    NotSure,
}

/// The node whose quorum is lost.
pub(crate) enum Left {
    /// It runs.
    Running(Box<Beside>),
    /// It does not.
    Stopped(Box<Stopped>),
}

impl Left {
    /// Finds out which, and what is lost.
    pub(crate) async fn find(config: &Config) -> Result<(Left, Loss), RecoverCommandError> {
        let beside = membership::beside(config)?;
        match beside.loss().await {
            Ok(loss) => Ok((Left::Running(Box::new(beside)), loss)),
            // Whether it runs after all is known by the lock on its folder.
            Err(BesideError::Silent { .. }) => {
                let stopped = Stopped::open(&config.data_dir).await?;
                let loss = stopped.loss()?;
                Ok((Left::Stopped(Box::new(stopped)), loss))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the node the only member.
    pub(crate) async fn recover(self, config: &Config) -> Result<Loss, RecoverCommandError> {
        Ok(match self {
            Left::Running(beside) => beside.recover().await?,
            Left::Stopped(stopped) => stopped.recover(&config.peer_listen.to_string()).await?,
        })
    }
}

/// What is lost, for a person who has to decide.
pub(crate) fn stated(loss: &Loss) -> String {
    let mut text = format!(
        "Node {node} would go on alone, with {objects} objects: everything up to log index {applied}{tail}.\n\
         What others have acknowledged and this node has never received is lost. These members are given up:\n",
        node = loss.node,
        objects = loss.objects,
        applied = loss.applied,
        tail = match loss.last - loss.applied {
            0 => String::new(),
            more => format!(", and {more} more entries of which it is not known whether they were acknowledged"),
        },
    );
    for member in &loss.members {
        let role = if member.voter { "voter" } else { "learner" };
        let answers = match member.answers {
            Some(true) => ", WHICH ANSWERS: stop it first",
            Some(false) => ", which does not answer",
            None => "",
        };
        text += &format!(
            "  node {} {} at {}, {role}{answers}\n",
            member.node, member.name, member.peer_address
        );
    }
    text += "None of them may ever start again: several of them together would be a cluster of their own.\n";
    text
}

/// What to do next.
pub(crate) fn recovered(loss: &Loss, file: &Path) -> String {
    let file = shell::word(&file.display().to_string());
    let next = if loss.running {
        "It leads, and sessions have gone on.".to_owned()
    } else {
        format!("Start it:    guideway run --config {file}")
    };
    format!(
        "Node {} is the only member now. {next}\n\
         Add nodes:   guideway invite --config {file}, on this machine, prints how\n",
        loss.node
    )
}
