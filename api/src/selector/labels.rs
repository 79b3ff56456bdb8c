//! `labelSelector`, the whole syntax: `a=b, a==b, a!=b, a in (b,c), a notin (b,c), a, !a, a>1, a<1`.

use std::collections::{BTreeMap, BTreeSet};

/// Most requirements in one selector; more are refused.
const MAX_REQUIREMENTS: usize = 256;

/// Requirements that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    In(BTreeSet<String>),
    /// Holds too where the label is absent.
    NotIn(BTreeSet<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

/// A label selector that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LabelSelectorError {
    /// Something else was expected at this place.
    #[error("found {found:?} at character {at}, expected {expected}")]
    Syntax {
        /// What is there.
        found: String,
        /// From 1.
        at: usize,
        /// What may be there.
        expected: &'static str,
    },
    /// Not a label key.
    #[error(
        "{key:?} is not a label key: an optional DNS prefix of at most 253 characters and a slash, then 1 to 63 \
         letters, digits, '-', '_' or '.', with a letter or digit at both ends"
    )]
    Key {
        /// The key.
        key: String,
    },
    /// Not a label value.
    #[error(
        "{value:?} is not a label value: at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends"
    )]
    Value {
        /// The value.
        value: String,
    },
    /// `>` and `<` compare whole numbers.
    #[error("{value:?} is not a whole number, which > and < need")]
    Number {
        /// The value.
        value: String,
    },
    /// Too long.
    #[error("more than {MAX_REQUIREMENTS} requirements")]
    TooMany,
}

impl LabelSelector {
    pub(super) fn parse(text: &str) -> Result<LabelSelector, LabelSelectorError> {
        let mut tokens = Tokens { text, at: 0 };
        let mut requirements = Vec::new();
        while tokens.peek() != Token::End {
            if !requirements.is_empty() {
                tokens.expect(Token::Comma, "a comma")?;
            }
            if requirements.len() == MAX_REQUIREMENTS {
                return Err(LabelSelectorError::TooMany);
            }
            requirements.push(tokens.requirement()?);
        }
        Ok(LabelSelector(requirements))
    }

    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match &requirement.test {
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::Above(bound) => number().is_some_and(|number| number > *bound),
                Test::Below(bound) => number().is_some_and(|number| number < *bound),
            }
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    End,
    Comma,
    Open,
    Close,
    Not,
    Equal,
    NotEqual,
    Above,
    Below,
    Word(&'a str),
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn requirement(&mut self) -> Result<Requirement, LabelSelectorError> {
        if self.peek() == Token::Not {
            self.next();
            let key = self.key()?;
            return Ok(Requirement {
                key,
                test: Test::Absent,
            });
        }
        let key = self.key()?;
        let test = match self.peek() {
            Token::End | Token::Comma => Test::Exists,
            Token::Equal => self.one_value().map(Test::In)?,
            Token::NotEqual => self.one_value().map(Test::NotIn)?,
            Token::Above => self.number().map(Test::Above)?,
            Token::Below => self.number().map(Test::Below)?,
            Token::Word("in") => self.values().map(Test::In)?,
            Token::Word("notin") => self.values().map(Test::NotIn)?,
            _ => return Err(self.unexpected("an operator: = == != in notin > <")),
        };
        Ok(Requirement { key, test })
    }

    fn key(&mut self) -> Result<String, LabelSelectorError> {
        match self.peek() {
            Token::Word(key) => {
                self.next();
                if is_key(key) {
                    Ok(key.to_owned())
                } else {
                    Err(LabelSelectorError::Key { key: key.to_owned() })
                }
            }
            _ => Err(self.unexpected("a label key or !")),
        }
    }

    /// The value after an operator; it may be empty.
    fn one_value(&mut self) -> Result<BTreeSet<String>, LabelSelectorError> {
        self.next();
        let value = match self.peek() {
            Token::End | Token::Comma => "",
            Token::Word(value) => {
                self.next();
                value
            }
            _ => return Err(self.unexpected("a value")),
        };
        Ok(BTreeSet::from([checked_value(value)?]))
    }

    fn number(&mut self) -> Result<i64, LabelSelectorError> {
        self.next();
        match self.peek() {
            Token::Word(value) => {
                self.next();
                value.parse().map_err(|_| LabelSelectorError::Number {
                    value: value.to_owned(),
                })
            }
            _ => Err(self.unexpected("a whole number")),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, LabelSelectorError> {
        self.next();
        self.expect(Token::Open, "(")?;
        let mut values = BTreeSet::new();
        loop {
            let value = match self.peek() {
                Token::Word(value) => {
                    self.next();
                    value
                }
                Token::Comma | Token::Close => "",
                _ => return Err(self.unexpected("a value, a comma or )")),
            };
            values.insert(checked_value(value)?);
            match self.next() {
                Token::Comma => {}
                Token::Close => return Ok(values),
                _ => return Err(self.unexpected("a comma or )")),
            }
        }
    }

    fn expect(&mut self, token: Token<'_>, expected: &'static str) -> Result<(), LabelSelectorError> {
        if self.peek() == token {
            self.next();
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn unexpected(&self, expected: &'static str) -> LabelSelectorError {
        let rest = self.text[self.at..].trim_start();
        LabelSelectorError::Syntax {
            found: rest.chars().take(20).collect(),
            at: self.text.len() - rest.len() + 1,
            expected,
        }
    }

    fn peek(&self) -> Token<'a> {
        self.token().0
    }

    fn next(&mut self) -> Token<'a> {
        let (token, end) = self.token();
        self.at = end;
        token
    }

    /// The token at the current place and where it ends.
    fn token(&self) -> (Token<'a>, usize) {
        let rest = self.text[self.at..].trim_start();
        let start = self.text.len() - rest.len();
        let (token, length) = match rest.as_bytes() {
            [] => (Token::End, 0),
            [b',', ..] => (Token::Comma, 1),
            [b'(', ..] => (Token::Open, 1),
            [b')', ..] => (Token::Close, 1),
            [b'!', b'=', ..] => (Token::NotEqual, 2),
            [b'!', ..] => (Token::Not, 1),
            [b'=', b'=', ..] => (Token::Equal, 2),
            [b'=', ..] => (Token::Equal, 1),
            [b'>', ..] => (Token::Above, 1),
            [b'<', ..] => (Token::Below, 1),
            _ => {
                let ends = |character: char| character.is_whitespace() || ",()!=<>".contains(character);
                let length = rest.find(ends).unwrap_or(rest.len());
                (Token::Word(&rest[..length]), length)
            }
        };
        (token, start + length)
    }
}

fn checked_value(value: &str) -> Result<String, LabelSelectorError> {
    if value.is_empty() || is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(LabelSelectorError::Value {
            value: value.to_owned(),
        })
    }
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some((prefix, name)) => {
            let label = |label: &str| {
                !label.is_empty()
                    && label
                        .bytes()
                        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            };
            prefix.len() <= 253 && prefix.split('.').all(label) && is_name(name)
        }
    }
}

fn is_name(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        let labels = BTreeMap::from([
            ("app".to_owned(), "web".to_owned()),
            ("example.com/tier".to_owned(), "3".to_owned()),
            ("empty".to_owned(), String::new()),
        ]);
        for (text, expected) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("! app", false),
            ("missing", false),
            ("!missing", true),
            ("app=web", true),
            ("app = web", true),
            ("app==web", true),
            ("app!=web", false),
            ("missing!=web", true),
            ("app in (web,db)", true),
            ("app in ( db )", false),
            ("app notin (web, db)", false),
            ("missing notin (web)", true),
            ("example.com/tier>2", true),
            ("example.com/tier>3", false),
            ("example.com/tier<4,app=web", true),
            ("app>1", false),
            ("empty=", true),
            ("empty in (,x)", true),
            ("in=x", false),
            ("app=web,!missing,empty", true),
        ] {
            let selector = LabelSelector::parse(text).expect(text);
            assert_eq!(selector.matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn refusals_name_the_place() {
        for (text, part) in [
            ("app=web app", "expected a comma"),
            ("app in web", "found \"web\" at character 8, expected ("),
            ("app in (web", "expected a comma or )"),
            (",app", "expected a label key"),
            ("app,,x", "expected a label key"),
            ("app ~ x", "expected an operator"),
            ("-app", "is not a label key"),
            ("A.b/app=x", "is not a label key"),
            ("app=-x", "is not a label value"),
            ("app>x", "not a whole number"),
            ("app=a=b", "expected a comma"),
        ] {
            let error = LabelSelector::parse(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let long = vec!["a"; MAX_REQUIREMENTS + 1].join(",");
        assert_eq!(LabelSelector::parse(&long), Err(LabelSelectorError::TooMany));
    }
}
