//! One line of the access log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use guideway_model::node::Protocol;
use serde::{Serialize, Serializer};

use crate::core::hello::Hello;
use crate::core::reason::CloseReason;
use crate::metrics::tally::Names;

/// What a line says, before it is text.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) time: SystemTime,
    pub(crate) protocol: Protocol,
    pub(crate) names: Arc<Names>,
    /// The client, and the address it dialed.
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
    /// This node's address toward the endpoint, and the endpoint.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) tries: u8,
    pub(crate) connect_errno: Option<u16>,
    /// What the client asked for; `None` on ports of other protocols, and if it never told.
    pub(crate) hello: Option<Arc<Hello>>,
    /// `None` in an open line.
    pub(crate) closing: Option<Closing>,
}

/// What is known only at the end.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) to_endpoint: u64,
    pub(crate) to_client: u64,
    /// Of a UDP flow: to the endpoint, to the client.
    pub(crate) datagrams: Option<[u64; 2]>,
    pub(crate) lasted: Duration,
    pub(crate) reason: CloseReason,
}

/// The line as JSON has it; the order of the fields is the order in the file.
#[derive(Serialize)]
struct Json<'a> {
    /// RFC 3339 with milliseconds, UTC.
    #[serde(serialize_with = "milliseconds")]
    time: SystemTime,
    event: &'static str,
    protocol: &'static str,
    #[serde(serialize_with = "listener")]
    listener: &'a Names,
    /// Empty without a route.
    route: &'a str,
    client: SocketAddr,
    local: SocketAddr,
    source: Option<SocketAddr>,
    endpoint: Option<SocketAddr>,
    tries: u8,
    /// errno of the last attempt that failed.
    connect_errno: Option<u16>,
    #[serde(flatten)]
    hello: Option<JsonHello<'a>>,
    #[serde(flatten)]
    closing: Option<JsonClosing>,
}

/// Only in lines of sessions whose ClientHello was read.
#[derive(Serialize)]
struct JsonHello<'a> {
    sni: Option<&'a str>,
    /// Offered protocols, separated by commas.
    alpn: Option<&'a str>,
    /// The newest version offered, or the one agreed on where TLS ended here.
    tls_version: &'static str,
}

#[derive(Serialize)]
struct JsonClosing {
    bytes_to_endpoint: u64,
    bytes_to_client: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    datagrams_to_endpoint: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datagrams_to_client: Option<u64>,
    duration_ms: u64,
    reason: &'static str,
}

impl Line {
    /// Appends the line and its line feed.
    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        let json = Json {
            time: self.time,
            event: if self.closing.is_some() { "close" } else { "open" },
            protocol: match self.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            },
            listener: &self.names,
            route: &self.names.route,
            client: self.client,
            local: self.local,
            source: self.source,
            endpoint: self.endpoint,
            tries: self.tries,
            connect_errno: self.connect_errno,
            hello: self.hello.as_ref().map(|hello| JsonHello {
                sni: hello.name.as_deref(),
                alpn: hello.protocols.as_deref(),
                tls_version: hello.version.word(),
            }),
            closing: self.closing.as_ref().map(|closing| JsonClosing {
                bytes_to_endpoint: closing.to_endpoint,
                bytes_to_client: closing.to_client,
                datagrams_to_endpoint: closing.datagrams.map(|[to_endpoint, _]| to_endpoint),
                datagrams_to_client: closing.datagrams.map(|[_, to_client]| to_client),
                duration_ms: u64::try_from(closing.lasted.as_millis()).unwrap_or(u64::MAX),
                reason: closing.reason.word(),
            }),
        };
        let start = text.len();
        match serde_json::to_writer(&mut *text, &json) {
            Ok(()) => text.push(b'\n'),
            // Writing to memory fails only if a value refuses to be text, and then half a line helps no one.
            Err(_) => text.truncate(start),
        }
    }
}

fn milliseconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let milliseconds = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX);
    serializer.collect_str(&format_args!("{time:.3}"))
}

fn listener<S: Serializer>(names: &&Names, serializer: S) -> Result<S::Ok, S::Error> {
    let name = &names.listener;
    serializer.collect_str(&format_args!("{}/{}/{}", name.namespace, name.gateway, name.listener))
}

#[cfg(test)]
mod tests {
    use guideway_model::plan::ListenerName;

    use super::*;
    use crate::core::hello::Version;

    #[test]
    fn a_close_line_has_every_field_in_order() {
        let line = Line {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_007),
            protocol: Protocol::Tcp,
            names: Arc::new(Names {
                listener: Arc::new(ListenerName {
                    namespace: "shop".into(),
                    gateway: "edge".into(),
                    listener: "pg".into(),
                }),
                route: "shop/postgres".into(),
            }),
            client: "[2001:db8::1]:40000".parse().expect("address"),
            local: "192.0.2.1:5432".parse().expect("address"),
            source: None,
            endpoint: Some("198.51.100.7:5432".parse().expect("address")),
            tries: 3,
            connect_errno: Some(111),
            hello: Some(Arc::new(Hello {
                name: Some("shop.test".into()),
                protocols: None,
                version: Version::Tls13,
            })),
            closing: Some(Closing {
                to_endpoint: 0,
                to_client: 0,
                datagrams: None,
                lasted: Duration::from_micros(12_900),
                reason: CloseReason::ConnectFailed,
            }),
        };
        let mut text = Vec::new();
        line.write(&mut text);
        let expected = concat!(
            r#"{"time":"2023-11-14T22:13:20.007Z","event":"close","protocol":"tcp","listener":"shop/edge/pg","route":"shop/postgres","#,
            r#""client":"[2001:db8::1]:40000","local":"192.0.2.1:5432","source":null,"endpoint":"198.51.100.7:5432","#,
            r#""tries":3,"connect_errno":111,"sni":"shop.test","alpn":null,"tls_version":"1.3","bytes_to_endpoint":0,"bytes_to_client":0,"duration_ms":12,"#,
            "\"reason\":\"connect_failed\"}\n"
        );
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }
}
