//! What a demo tells its user.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::child::{Children, run_arguments};
use super::folder::Folder;
use super::layout::{LISTENER_PORT, Layout};
use crate::columns;
use crate::shell::word;
use crate::status::NodeRow;

/// Everything is up.
pub(super) fn ready(
    layout: &Layout,
    nodes: &[NodeRow],
    kubeconfig: &Path,
    children: &Children,
    took: Duration,
    endpoints: bool,
) -> String {
    let mut rows = vec![["NODE", "PID", "ROLE", "ADDRESS", "API", "METRICS"].map(str::to_owned)];
    for (node, pid) in layout.nodes.iter().zip(children.pids()) {
        let role = nodes
            .iter()
            .find(|row| row.name == node.name)
            .map_or("", |row| row.role.as_str());
        rows.push([
            node.name.clone(),
            pid.to_string(),
            role.to_owned(),
            node.address.to_string(),
            node.api(),
            node.metrics(),
        ]);
    }
    let mut text = format!("Ready after {:.1} s.\n\n", took.as_secs_f64());
    text += &columns::aligned(&rows, "  ");
    text += &format!(
        "\nKubeconfig: {}\nData:       {}\n",
        kubeconfig.display(),
        layout.folder().display()
    );
    text += &if endpoints {
        with_endpoints(layout, kubeconfig, children)
    } else {
        empty(layout, kubeconfig)
    };
    text += "\nCtrl-C ends the demo.\n";
    text
}

fn with_endpoints(layout: &Layout, kubeconfig: &Path, children: &Children) -> String {
    let (first, last) = (&layout.nodes[0], &layout.nodes[layout.nodes.len() - 1]);
    let mut text = format!(
        "\nThree things to try:\n\n\
         1. See what is configured, with kubectl or any other client of the Kubernetes API:\n\
         \x20    export KUBECONFIG={kubeconfig}\n\
         \x20    kubectl get gateways,tcproutes,backends\n\n\
         2. Connect through any node, again and again, and see which endpoint answers:\n\
         \x20    curl http://{first}:{LISTENER_PORT}/\n\
         \x20    nc {last} {LISTENER_PORT}\n\n",
        kubeconfig = word(&kubeconfig.display().to_string()),
        first = first.address,
        last = last.address,
    );
    text += &match children.pids() {
        [victim, _, ..] => format!(
            "3. Kill a node without warning, and connect through another:\n\
             \x20    kill -9 {victim}\n\
             \x20    curl http://{}:{LISTENER_PORT}/\n",
            last.address
        ),
        _ => "3. Look at the metrics that moved:\n".to_owned() + &format!("     curl {}\n", first.metrics()),
    };
    text
}

fn empty(layout: &Layout, kubeconfig: &Path) -> String {
    let first = &layout.nodes[0];
    format!(
        "\nNothing is configured yet. To apply something of your own:\n\n\
         \x20    export KUBECONFIG={}\n\
         \x20    kubectl apply -f FILE\n\
         \x20    guideway status --server {}\n",
        word(&kubeconfig.display().to_string()),
        first.api(),
    )
}

/// A node died; nobody starts it again but the user.
pub(super) fn node_ended(layout: &Layout, index: usize, status: ExitStatus, running: usize) -> String {
    let node = &layout.nodes[index];
    let rest = match running {
        0 => "no node is left".to_owned(),
        1 => "1 node goes on".to_owned(),
        more => format!("{more} nodes go on"),
    };
    let program = std::env::current_exe().map_or_else(|_| "guideway".to_owned(), |path| path.display().to_string());
    let words: Vec<String> = run_arguments(node).iter().map(|argument| word(argument)).collect();
    format!(
        "\n{} has ended ({status}); {rest}. Its log is {}. To start it again:\n  {} {}\n",
        node.name,
        node.log_file().display(),
        word(&program),
        words.join(" "),
    )
}

/// The last words.
pub(super) fn gone(folder: &Folder) -> String {
    if folder.is_temporary() {
        "All nodes have ended; the demo's folder is removed.\n".to_owned()
    } else {
        format!(
            "All nodes have ended; their data stays in {}. The same command goes on with it.\n",
            folder.path().display()
        )
    }
}
