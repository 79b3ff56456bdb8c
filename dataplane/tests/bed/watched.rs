//! A data plane whose metrics and access log lines are told apart from those of other tests.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};

use guideway_dataplane::{AccessLogConfig, AccessLogTarget, Config, Driver};
use guideway_model::node::SocketKey;
use guideway_model::plan::Listener;

use super::plans::{self, Share};
use super::recorder::kept;
use super::{Bed, Port, config, dial, eventually};

/// A data plane whose metrics and access log lines are its own: they carry its port.
pub(crate) struct Watched {
    pub(crate) bed: Bed,
    pub(crate) port: Port,
    pub(crate) log: tempfile::NamedTempFile,
}

/// A configuration with an access log of its own, whose metrics are kept.
pub(crate) fn logged(driver: Driver, change: impl FnOnce(&mut Config)) -> (Config, tempfile::NamedTempFile) {
    kept();
    let log = tempfile::NamedTempFile::new().expect("log");
    let mut config = Config {
        access_log: AccessLogConfig {
            target: AccessLogTarget::File(log.path().into()),
            open_lines: false,
        },
        ..config(driver)
    };
    change(&mut config);
    (config, log)
}

impl Watched {
    pub(crate) fn start(driver: Driver, shares: Option<&[Share]>, change: impl FnOnce(&mut Config)) -> Watched {
        Watched::with_listener(driver, change, |key| plans::listener(key, shares))
    }

    /// With a listener of the test's making.
    pub(crate) fn with_listener(
        driver: Driver,
        change: impl FnOnce(&mut Config),
        listener: impl FnOnce(SocketKey) -> Listener,
    ) -> Watched {
        let (config, log) = logged(driver, change);
        let bed = Bed::start(config);
        let port = Port::reserve();
        bed.activate(plans::plan(1, &[listener(port.loopback_key())]));
        bed.wait_bound();
        Watched { bed, port, log }
    }

    pub(crate) fn dial(&self) -> TcpStream {
        dial(self.port.address())
    }

    /// Waits until exactly these values of this listener and its route are not zero. `{}` stands for the labels
    /// of the listener, `{E}` for those of the endpoint.
    pub(crate) fn expect_metrics(&self, endpoint: Option<SocketAddr>, expected: &[(&str, f64)]) {
        let port = self.port.number();
        let route = format!("route=test/route-{port}");
        let endpoint = endpoint
            .map(|address| format!("{route},endpoint={address}"))
            .unwrap_or_default();
        let listener = |route: &str| format!("namespace=test,gateway=bed,listener=port-{port},{route}");
        let listener = if endpoint.is_empty() && expected.iter().any(|(name, _)| name.contains("no_route")) {
            listener("route=")
        } else {
            listener(&route)
        };
        let expected: BTreeMap<String, f64> = expected
            .iter()
            .map(|(name, value)| {
                (
                    name.replace("{E", &format!("{{{endpoint}"))
                        .replace("{L", &format!("{{{listener}")),
                    *value,
                )
            })
            .collect();
        eventually("the metrics", || {
            let values = kept().values(&format!("-{port},"));
            if values == expected {
                Ok(())
            } else {
                Err(format!("\n  have {values:#?}\n  want {expected:#?}"))
            }
        });
    }

    /// Waits for this many lines and gives the last.
    pub(crate) fn line(&self, count: usize) -> serde_json::Value {
        eventually("an access log line", || {
            let text = std::fs::read_to_string(self.log.path()).expect("log");
            let lines: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
            match lines.last() {
                Some(line) if lines.len() == count => Ok(serde_json::from_str(line).expect("JSON")),
                Some(_) | None => Err(format!("{} lines", lines.len())),
            }
        })
    }

    /// Compares a close line with what must be in it; times are only looked at for their form.
    pub(crate) fn expect_close(
        &self,
        client: SocketAddr,
        endpoint: Option<SocketAddr>,
        fields: &[(&str, serde_json::Value)],
    ) {
        let line = self.line(1);
        let line = line.as_object().expect("object");
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        assert!(
            text("time").ends_with('Z') && text("time").len() == "2026-01-31T12:00:00.000Z".len(),
            "{line:?}"
        );
        assert!(line["duration_ms"].is_u64(), "{line:?}");
        assert_eq!(text("event"), "close");
        assert_eq!(text("listener"), format!("test/bed/port-{}", self.port.number()));
        assert_eq!(text("client"), client.to_string());
        assert_eq!(text("local"), self.port.address().to_string());
        assert_eq!(line["endpoint"], serde_json::json!(endpoint));
        for (field, value) in fields {
            assert_eq!(line[*field], *value, "{field} in {line:?}");
        }
    }
}
