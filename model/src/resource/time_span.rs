//! Spans of time as the Gateway API writes them (GEP-2257).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::format;

/// One to four numbers of one to five digits, each with its unit `h`, `m`, `s` or `ms`, such as `1h30m`. Kept as it was
/// written, so that what is read is what was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeSpan {
    text: String,
    length: Duration,
}

/// How long a span may be.
pub(in crate::resource) struct SpanBounds {
    least: Duration,
    most: Duration,
    /// Whether only whole seconds can be used.
    whole_seconds: bool,
    /// All of this in words.
    rule: &'static str,
}

/// Text that is no span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a span of time such as 1h30m or 500ms: up to four numbers of up to five digits with h, m, s or ms"
)]
pub struct NotATimeSpan {
    /// The text.
    pub text: String,
}

impl TimeSpan {
    /// How long it is.
    pub fn length(&self) -> Duration {
        self.length
    }
}

impl SpanBounds {
    /// For what should be over soon, such as a handshake.
    pub(in crate::resource) const WAIT: SpanBounds = SpanBounds {
        least: Duration::from_millis(1),
        most: Duration::from_secs(3600),
        whole_seconds: false,
        rule: "must be between 1ms and 1h; leave it out for the default",
    };
    /// For what may last, up to a leap year.
    pub(in crate::resource) const LAST: SpanBounds = SpanBounds {
        least: Duration::from_millis(1),
        most: Duration::from_secs(8784 * 3600),
        whole_seconds: false,
        rule: "must be between 1ms and 8784h; leave it out for the default",
    };
    /// For `TCP_USER_TIMEOUT`, which the kernel keeps as a signed number of milliseconds.
    pub(in crate::resource) const USER_TIMEOUT: SpanBounds = SpanBounds {
        least: Duration::from_millis(1),
        most: Duration::from_secs(596 * 3600),
        whole_seconds: false,
        rule: "must be between 1ms and 596h; leave it out for the kernel's",
    };
    /// For `TCP_KEEPIDLE` and `TCP_KEEPINTVL`.
    pub(in crate::resource) const KEEPALIVE: SpanBounds = SpanBounds {
        least: Duration::from_secs(1),
        most: Duration::from_secs(32_767),
        whole_seconds: true,
        rule: "must be whole seconds between 1s and 32767s; leave it out for the kernel's",
    };

    /// Checks a span that may be absent.
    pub(in crate::resource) fn check(&self, span: Option<&TimeSpan>, path: &str, faults: &mut Faults) {
        let Some(span) = span else { return };
        let fits = (self.least..=self.most).contains(&span.length);
        if !fits || (self.whole_seconds && span.length.subsec_nanos() != 0) {
            faults.invalid_text(path, &span.text, self.rule);
        }
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = NotATimeSpan;

    fn try_from(text: String) -> Result<Self, NotATimeSpan> {
        match parse(&text) {
            Some(length) => Ok(TimeSpan { text, length }),
            None => Err(NotATimeSpan { text }),
        }
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> String {
        span.text
    }
}

impl JsonSchema for TimeSpan {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format::DURATION })
    }
}

fn parse(text: &str) -> Option<Duration> {
    if !format::matches(format::DURATION, text) {
        return None;
    }
    let mut millis: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit = after
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let scale = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = after;
    }
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("1s", 1000),
            ("1h30m", 5_400_000),
            ("1m2s3ms", 62_003),
            ("1s1s1s1s", 4000),
            ("99999h99999h99999h99999h", 1_439_985_600_000),
        ] {
            let span = TimeSpan::try_from(text.to_owned()).expect(text);
            assert_eq!(span.length(), Duration::from_millis(millis), "{text}");
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "1",
            "s",
            "1d",
            "-1s",
            "1.5s",
            "1 s",
            "100000s",
            "1s1s1s1s1s",
            "1S",
            "infinity",
        ] {
            let error = TimeSpan::try_from(text.to_owned()).expect_err(text);
            assert_eq!(error.text, text);
        }
    }
}
