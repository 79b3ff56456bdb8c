//! A metrics recorder that keeps what it is told, for the tests to read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// The process's recorder.
#[derive(Default)]
pub(crate) struct Kept {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Count>>>,
}

/// How many values a histogram was given.
#[derive(Default)]
struct Count(AtomicU64);

impl HistogramFn for Count {
    fn record(&self, _value: f64) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Installs the recorder, once per process.
pub(crate) fn kept() -> &'static Kept {
    static KEPT: OnceLock<&'static Kept> = OnceLock::new();
    KEPT.get_or_init(|| {
        let kept: &'static Kept = Box::leak(Box::default());
        assert!(
            metrics::set_global_recorder(kept).is_ok(),
            "another recorder is installed"
        );
        kept
    })
}

impl Kept {
    /// Every value that is not zero and whose labels contain `part`, by `name{label=value,...}`; a histogram by the
    /// number of its values.
    pub(crate) fn values(&self, part: &str) -> BTreeMap<String, f64> {
        let mut values = BTreeMap::new();
        #[expect(clippy::cast_precision_loss, reason = "tests count little")]
        for (name, counter) in lock(&self.counters).iter() {
            values.insert(name.clone(), counter.load(Ordering::SeqCst) as f64);
        }
        for (name, gauge) in lock(&self.gauges).iter() {
            values.insert(name.clone(), f64::from_bits(gauge.load(Ordering::SeqCst)));
        }
        #[expect(clippy::cast_precision_loss, reason = "tests count little")]
        for (name, histogram) in lock(&self.histograms).iter() {
            values.insert(name.clone(), histogram.0.load(Ordering::SeqCst) as f64);
        }
        values.retain(|name, value| *value != 0.0 && name.contains(part));
        values
    }
}

impl Recorder for &'static Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(lock(&self.counters).entry(name(key)).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(lock(&self.gauges).entry(name(key)).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(lock(&self.histograms).entry(name(key)).or_default()))
    }
}

fn name(key: &Key) -> String {
    let labels: Vec<String> = key
        .labels()
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    let name = key.name().trim_start_matches("guideway_dataplane_");
    format!("{name}{{{}}}", labels.join(","))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
