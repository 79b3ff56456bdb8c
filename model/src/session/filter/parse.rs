//! How field selectors are read.

use std::time::Duration;

use super::{Bound, Field, Named, Place, Test, canonical};
use crate::node::Protocol;
use crate::plan::Why;
use crate::resource::TimeSpan;
use crate::session::{SessionQueryError, SessionState};

/// Most tests in one selector.
const TESTS: usize = 32;

/// The fields that can be tested, for the message about any other.
const FIELDS: &str = "must be one of node, listener, gateway, route, namespace, endpoint, client, protocol, state, sni, \
                      why, age, idle, bytes";

pub(super) fn tests(selector: &str) -> Result<Vec<Test>, SessionQueryError> {
    let mut tests = Vec::new();
    for term in terms(selector) {
        if tests.len() == TESTS {
            return Err(fault("fieldSelector", selector, "must have at most 32 tests"));
        }
        tests.push(test(&term)?);
    }
    Ok(tests)
}

/// How a test compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    More,
    Less,
}

/// The tests of a selector, without the backslashes with which `,`, `=` and `\` are escaped in values.
fn terms(selector: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut letters = selector.chars();
    while let Some(letter) = letters.next() {
        let last = terms.len() - 1;
        match letter {
            ',' => terms.push(String::new()),
            '\\' => terms[last].extend(letters.next()),
            other => terms[last].push(other),
        }
    }
    terms.retain(|term| !term.trim().is_empty());
    terms
}

fn test(term: &str) -> Result<Test, SessionQueryError> {
    let place = term.find(['=', '!', '<', '>']);
    let (name, rest) = term.split_at(place.unwrap_or(term.len()));
    let signs = [
        ("==", Operator::Equal),
        ("=>", Operator::More),
        ("=<", Operator::Less),
        ("=", Operator::Equal),
        ("!=", Operator::Unequal),
        (">", Operator::More),
        ("<", Operator::Less),
    ];
    let found = signs
        .iter()
        .find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
    let Some((operator, value)) = found else {
        let rule = "must be a field, one of =, !=, > and <, and a value, such as client=10.0.0.0/8 or age>5m";
        return Err(fault("fieldSelector", term, rule));
    };
    let (name, value) = (name.trim(), value.trim());
    // As the fields stand in a Session, or for short.
    let short = ["metadata.", "spec.", "status."]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    field(short.unwrap_or(name), operator, value)
        .map(|field| Test {
            field,
            negated: operator == Operator::Unequal,
        })
        .map_err(|rule| fault(name, value, rule))
}

/// What a test looks at; an error is the rule that is broken.
fn field(name: &str, operator: Operator, value: &str) -> Result<Field, &'static str> {
    let measured = matches!(operator, Operator::More | Operator::Less);
    match name {
        "age" | "idle" | "bytes" if !measured => Err("must be compared with > or <"),
        "age" => Ok(Field::Age(bound(operator, span(value)?))),
        "idle" => Ok(Field::Idle(bound(operator, span(value)?))),
        "bytes" => Ok(Field::Bytes(bound(operator, quantity(value)?))),
        "node" | "listener" | "gateway" | "route" | "namespace" | "endpoint" | "client" | "protocol" | "state"
        | "sni" | "why"
            if measured =>
        {
            Err("must be compared with = or !=")
        }
        "node" => Ok(Field::Node(text(value)?)),
        "listener" => Ok(Field::Listener(text(value)?)),
        "gateway" => Ok(Field::Gateway(named(value)?)),
        "route" => Ok(Field::Route(named(value)?)),
        "namespace" => Ok(Field::Namespace(text(value)?)),
        "endpoint" => Ok(Field::Endpoint(place(value)?)),
        "client" => Ok(Field::Client(place(value)?)),
        "protocol" => match value.to_ascii_uppercase().as_str() {
            "TCP" => Ok(Field::Protocol(Protocol::Tcp)),
            "UDP" => Ok(Field::Protocol(Protocol::Udp)),
            _ => Err("must be TCP or UDP; sessions of TLS listeners are of TCP"),
        },
        "state" => state(value).map(Field::State),
        "sni" => Ok(Field::Sni(text(value)?.to_ascii_lowercase())),
        "why" => why(value).map(Field::Why),
        _ => Err(FIELDS),
    }
}

fn state(value: &str) -> Result<SessionState, &'static str> {
    let all = [
        ("Greeting", SessionState::Greeting),
        ("Connecting", SessionState::Connecting),
        ("Established", SessionState::Established),
        ("HalfClosed", SessionState::HalfClosed),
    ];
    let found = all.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
    let rule = "must be one of Greeting, Connecting, Established, HalfClosed";
    found.map(|(_, state)| state).ok_or(rule)
}

fn why(value: &str) -> Result<Why, &'static str> {
    let all = [
        ("table", Why::Table),
        ("leaving", Why::Leaving),
        ("pin", Why::Pin),
        ("affinity", Why::Affinity),
        ("grace", Why::Grace),
        ("redispatch", Why::Redispatch),
    ];
    let found = all.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
    let rule = "must be one of table, leaving, pin, affinity, grace, redispatch";
    found.map(|(_, why)| why).ok_or(rule)
}

fn text(value: &str) -> Result<String, &'static str> {
    if value.is_empty() {
        Err("must not be empty")
    } else {
        Ok(value.to_owned())
    }
}

fn named(value: &str) -> Result<Named, &'static str> {
    let (namespace, name) = match value.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, value),
    };
    if name.is_empty() || namespace.as_ref().is_some_and(String::is_empty) {
        return Err("must be a name, or a namespace and a name such as apps/db");
    }
    Ok(Named {
        namespace,
        name: name.to_owned(),
    })
}

fn place(value: &str) -> Result<Place, &'static str> {
    if let Ok(address) = value.parse() {
        return Ok(Place::Socket(canonical(address)));
    }
    value.parse().map(Place::Network).map_err(|_| {
        "must be an address such as 10.0.0.7, an address and port such as 10.0.0.7:5432 or [2001:db8::7]:5432, or a \
         network such as 10.0.0.0/8"
    })
}

fn span(value: &str) -> Result<Duration, &'static str> {
    TimeSpan::try_from(value.to_owned())
        .map(|span| span.length())
        .map_err(|_| "must be a span of time such as 1h30m, 10s or 500ms")
}

/// A number, perhaps with a suffix of Kubernetes' quantities.
fn quantity(value: &str) -> Result<u64, &'static str> {
    let rule = "must be a number of bytes such as 5000, 10k, 4Mi or 1G";
    let digits = value
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, suffix) = value.split_at(digits);
    let scale: u64 = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u64.pow(2),
        "G" => 1000_u64.pow(3),
        "T" => 1000_u64.pow(4),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return Err(rule),
    };
    let number: u64 = number.parse().map_err(|_| rule)?;
    number.checked_mul(scale).ok_or(rule)
}

fn bound<T>(operator: Operator, value: T) -> Bound<T> {
    match operator {
        Operator::Less => Bound::LessThan(value),
        Operator::More | Operator::Equal | Operator::Unequal => Bound::MoreThan(value),
    }
}

fn fault(field: &str, value: &str, rule: &'static str) -> SessionQueryError {
    SessionQueryError {
        field: field.to_owned(),
        value: value.to_owned(),
        rule,
    }
}
