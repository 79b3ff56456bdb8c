//! The metrics of a node, as Prometheus reads them.

use crate::cluster::Cluster;
use crate::{http, wait};

/// Sum of the samples of `metric` on one page that carry all of these labels.
pub fn sum(page: &str, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    page.lines()
        .filter_map(|line| line.strip_prefix(metric))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter(|rest| wanted.iter().all(|label| rest.contains(label.as_str())))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

impl Cluster {
    /// [`sum`] over the nodes named, at this moment; a node that does not answer counts as 0.
    pub fn sample(&self, indexes: &[usize], metric: &str, labels: &[(&str, &str)]) -> f64 {
        let pages = indexes
            .iter()
            .filter_map(|index| http::get(&self.node(*index).metrics).ok());
        pages.map(|page| sum(&page.text(), metric, labels)).sum()
    }

    /// Waits until that sum is what is wanted.
    pub fn wait_sample(&self, indexes: &[usize], metric: &str, labels: &[(&str, &str)], wanted: impl Fn(f64) -> bool) {
        wait::until(&format!("{metric}{labels:?}"), || {
            let found = self.sample(indexes, metric, labels);
            if wanted(found) { Ok(()) } else { Err(found.to_string()) }
        });
    }
}
