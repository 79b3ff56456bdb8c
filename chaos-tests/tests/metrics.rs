//! Promise: every node serves its metrics, each name follows the house's form and is documented, and traffic moves them.

use std::collections::BTreeSet;
use std::path::Path;

use guideway_chaos_tests::traffic::{Answer, Session};
use guideway_chaos_tests::{Cluster, Endpoint, http, manifest, repository, wait};

const DOCUMENT: &str = "docs/metrics.md";

#[test]
fn each_node_serves_documented_metrics() {
    let cluster = Cluster::start();
    let endpoint = Endpoint::start("counted", cluster.addresses().endpoint(0));
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("metrics", &[("main", port)]);
    api.apply(&gateway);
    api.apply_all(&manifest::service_with("app", 80, &[endpoint.address()]));
    api.apply(&manifest::tcp_route("app", "metrics", "main", &[("app", 80, 1)]));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_traffic(&[0, 1, 2], port, "the endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });

    let documented = repository::read(Path::new(DOCUMENT));
    for index in 0..cluster.size() {
        let url = &cluster.node(index).metrics;
        let mut session = Session::open(cluster.listener(index, port), cluster.addresses().client(0)).expect("opens");
        session.echo("bytes to count").expect("echoes");
        let samples = wait::until(&format!("{url} counts an accepted session"), || {
            let answer = http::get(url).map_err(|error| error.to_string())?;
            let text = answer.text();
            let accepted = total(&text, "accepted");
            if accepted > 0.0 { Ok(text) } else { Err(text) }
        });
        for name in names(&samples) {
            assert!(
                name.starts_with("guideway_"),
                "{url}: {name} does not begin with guideway_"
            );
            assert!(
                documented.contains(&format!("`{name}`")),
                "{url}: {name} is not in {DOCUMENT}"
            );
        }
    }
}

/// Names of the metric families: what `# TYPE` lines say.
fn names(samples: &str) -> BTreeSet<&str> {
    samples
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect()
}

/// Sum of all samples whose metric name contains `part`.
fn total(samples: &str, part: &str) -> f64 {
    samples
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter(|line| line.split(['{', ' ']).next().is_some_and(|name| name.contains(part)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
