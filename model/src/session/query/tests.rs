//! Pages against a full sort, and what filters mean.

use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::node::Protocol;
use crate::plan::{ListenerName, Why};
use crate::session::{LocalSessionId, SessionState, SortKey};

fn row(index: u32) -> SessionRow {
    SessionRow {
        id: LocalSessionId {
            protocol: Protocol::Tcp,
            seat: 0,
            index,
            generation: 1,
        },
        listener: Arc::new(ListenerName {
            namespace: "edge".to_owned(),
            gateway: "g".to_owned(),
            listener: "pg".to_owned(),
        }),
        route: Arc::from("apps/db"),
        client: "10.1.2.3:50000".parse().expect("an address"),
        endpoint: "10.0.0.1:5432".parse().ok(),
        why: Some(Why::Table),
        sni: Some(Arc::from("Db.Example.com")),
        alpn: None,
        state: SessionState::Established,
        age: Duration::from_secs(600),
        idle: Duration::from_secs(5),
        bytes: [1000, 24],
        packets: [0, 0],
    }
}

fn passes(selector: &str) -> bool {
    let filter = SessionFilter::parse(selector).unwrap_or_else(|error| panic!("{error}"));
    let json = serde_json::to_string(&filter).expect("JSON");
    assert_eq!(
        serde_json::from_str::<SessionFilter>(&json).expect("read again"),
        filter
    );
    filter.matches(&row(1))
}

#[test]
fn filters_say_what_they_mean() {
    for (yes, no) in [
        ("", "listener=other"),
        ("listener=pg", "listener!=pg"),
        ("gateway=g", "gateway=apps/g"),
        ("gateway=edge/g", "gateway=h"),
        ("route=db,spec.route==apps/db", "route=edge/db"),
        ("namespace=apps", "metadata.namespace=edge"),
        ("endpoint=10.0.0.1:5432", "endpoint=10.0.0.1:5433"),
        ("endpoint=10.0.0.1", "endpoint!=10.0.0.1"),
        ("client=10.0.0.0/8", "client=10.1.2.4"),
        ("client=::ffff:10.1.2.3", "client=::/0"),
        ("protocol=tcp", "protocol=UDP"),
        ("state=established", "state=HalfClosed"),
        ("sni=db.example.COM", "sni=example.com"),
        ("why=table", "why=pin"),
        ("age>5m", "age>10m"),
        ("age=>599s,age=<601s", "age<10m"),
        ("idle<6s", "idle>5s"),
        ("bytes>1023", "bytes>1k,bytes<1Ki"),
        (" age > 1s , why = table ", "age>1s,why!=table"),
    ] {
        assert!(passes(yes), "{yes}");
        assert!(!passes(no), "{no}");
    }
    let mut waiting = row(1);
    waiting.endpoint = None;
    waiting.route = Arc::from("");
    assert_eq!(waiting.namespace(), "edge");
    let filter = |selector: &str| SessionFilter::parse(selector).expect(selector);
    assert!(!filter("endpoint=0.0.0.0/0").matches(&waiting));
    assert!(filter("endpoint!=0.0.0.0/0").in_namespace("edge").matches(&waiting));
    let address: SocketAddr = "[::ffff:10.0.0.1]:5432".parse().expect("an address");
    assert!(
        filter("")
            .to_endpoint(address)
            .and(filter("why=table"))
            .matches(&row(1))
    );
}

#[test]
fn nodes_are_asked_by_number_or_name() {
    let filter = |selector: &str| SessionFilter::parse(selector).expect(selector);
    for (selector, wanted) in [
        ("node=a", true),
        ("node=7", true),
        ("node=b", false),
        ("node!=a", false),
        ("", true),
    ] {
        assert_eq!(filter(selector).wants_node(NodeId(7), "a"), wanted, "{selector}");
        assert!(filter(selector).matches(&row(1)), "{selector}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let many = vec!["why=pin"; 33].join(",");
    for (selector, message) in [
        ("colour=red", "colour: \"red\": must be one of node, listener, gateway,"),
        (
            "client",
            "fieldSelector: \"client\": must be a field, one of =, !=, > and <",
        ),
        ("client!10.0.0.1", "must be a field, one of"),
        ("client=10.0.0.0/33", "client: \"10.0.0.0/33\": must be an address"),
        ("endpoint=db", "endpoint: \"db\": must be an address"),
        ("age=5m", "age: \"5m\": must be compared with > or <"),
        ("age!=5m", "must be compared with > or <"),
        ("age>5", "age: \"5\": must be a span of time"),
        ("why>pin", "why: \"pin\": must be compared with = or !="),
        (
            "why=luck",
            "must be one of table, leaving, pin, affinity, grace, redispatch",
        ),
        (
            "state=Open",
            "must be one of Greeting, Connecting, Established, HalfClosed",
        ),
        ("protocol=TLS", "must be TCP or UDP"),
        ("bytes>1X", "must be a number of bytes"),
        ("bytes>99999999999T", "must be a number of bytes"),
        ("route=a/", "must be a name, or a namespace and a name"),
        ("sni=", "sni: \"\": must not be empty"),
        (many.as_str(), "must have at most 32 tests"),
    ] {
        let error = SessionFilter::parse(selector).expect_err(selector).to_string();
        assert!(error.contains(message), "{selector}: {error}");
    }
    let error = SessionSort::parse("colour").expect_err("no key").to_string();
    assert!(
        error.starts_with("sort: \"colour\": must be one of name, age,"),
        "{error}"
    );
    let sort = SessionSort::parse("-bytes").expect("a key");
    assert_eq!((sort.key, sort.descending), (SortKey::Bytes, true));
}

#[test]
fn a_page_goes_on_where_sessions_have_aged() {
    let aged = |index: u32, seconds: u64| SessionRow {
        age: Duration::from_secs(seconds),
        ..row(index)
    };
    let query = SessionQuery {
        sort: SessionSort::parse("-age").expect("a key"),
        limit: 2,
        ..SessionQuery::default()
    };
    let ages = |later: u64| {
        (1..=4)
            .map(|index| aged(index, u64::from(index) * 10 + later))
            .collect::<Vec<_>>()
    };
    let indices = |page: &SessionPage| {
        page.sessions
            .iter()
            .map(|session| session.id.local.index)
            .collect::<Vec<_>>()
    };
    let first = query.page(NodeId(1), Incarnation(1), &ages(0));
    assert_eq!((indices(&first), first.left), (vec![4, 3], 2));
    let rest = SessionQuery {
        after: first.next,
        ..query
    };
    let second = rest
        .later(Duration::from_secs(15))
        .page(NodeId(1), Incarnation(1), &ages(15));
    assert_eq!((indices(&second), second.left, second.next), (vec![2, 1], 0, None));
}

fn any_row() -> impl Strategy<Value = SessionRow> {
    let endpoint = select(vec![None, Some("10.0.0.1:1"), Some("[fd00::1]:1")]);
    (0_u32..1000, 0_u64..4, 0_u64..4, 0_u64..4, 1_u16..4, endpoint).prop_map(
        |(index, age, idle, bytes, client, endpoint)| SessionRow {
            age: Duration::from_secs(age),
            idle: Duration::from_secs(idle),
            bytes: [bytes, 0],
            client: SocketAddr::new("10.0.0.1".parse().expect("an address"), client),
            endpoint: endpoint.map(|text| text.parse().expect("an address")),
            ..row(index)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However sessions lie on nodes and however long pages are, pages one after another are all of it in order.
    #[test]
    fn pages_are_what_a_full_sort_gives(
        nodes in prop::collection::vec(prop::collection::btree_map(0_u32..1000, any_row(), 0..40), 1..4),
        sort in select(vec!["name", "age", "-age", "-idle", "bytes", "-rate", "client", "-client", "endpoint"]),
        limit in 1_usize..30,
        filtered in any::<bool>(),
    ) {
        let nodes: Vec<Vec<SessionRow>> = nodes
            .into_iter()
            .map(|rows| rows.into_iter().map(|(index, row)| SessionRow { id: LocalSessionId { index, ..row.id }, ..row }).collect())
            .collect();
        let mut query = SessionQuery {
            filter: SessionFilter::parse(if filtered { "age>1s" } else { "" }).expect("a filter"),
            sort: SessionSort::parse(sort).expect("a key"),
            limit,
            after: None,
            marked: false,
        };
        let whole = SessionQuery { limit: SessionQuery::MOST, ..query.clone() };
        let page_of = |query: &SessionQuery| {
            let pages = nodes.iter().zip(1..).map(|(rows, node)| query.page(NodeId(node), Incarnation(9), rows));
            query.merge(pages.collect::<Vec<_>>())
        };
        let expected = page_of(&whole);
        prop_assert_eq!(expected.next, None);
        let rows = nodes.iter().flatten().filter(|row| query.filter.matches(row)).count();
        prop_assert_eq!(expected.sessions.len(), rows);
        prop_assert!(expected.sessions.is_sorted_by(|one, other| query.compare(one, other) == Ordering::Less));
        let mut found = Vec::new();
        loop {
            let page = page_of(&query);
            prop_assert!(page.sessions.len() <= limit);
            found.extend(page.sessions);
            prop_assert_eq!(usize::try_from(page.left).expect("few"), rows - found.len());
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        prop_assert_eq!(found, expected.sessions);
    }
}
