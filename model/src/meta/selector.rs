//! Label selectors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{check_label, check_label_key};
use crate::faults::Faults;

/// Kubernetes label selector; empty selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LabelSelector {
    /// Labels that must be equal.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements that must all hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelectorRequirement {
    /// Label key.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// Values for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl LabelSelector {
    /// Whether `labels` meet every requirement. An operator that does not exist is never met.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(labels))
    }

    pub(crate) fn check(&self, path: &str, faults: &mut Faults) {
        for (key, value) in &self.match_labels {
            check_label(key, value, &format!("{path}.matchLabels"), faults);
        }
        for (index, requirement) in self.match_expressions.iter().enumerate() {
            requirement.check(&format!("{path}.matchExpressions[{index}]"), faults);
        }
    }
}

impl LabelSelectorRequirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }

    fn check(&self, path: &str, faults: &mut Faults) {
        check_label_key(&self.key, &format!("{path}.key"), faults);
        match self.operator.as_str() {
            "In" | "NotIn" if self.values.is_empty() => {
                faults.required(format!("{path}.values"), "must be set when operator is In or NotIn");
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !self.values.is_empty() => {
                faults.forbidden(
                    format!("{path}.values"),
                    "must not be set when operator is Exists or DoesNotExist",
                );
            }
            "Exists" | "DoesNotExist" => {}
            other => faults.not_supported(
                format!("{path}.operator"),
                other,
                &["In", "NotIn", "Exists", "DoesNotExist"],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_labels: BTreeMap::new(),
            match_expressions: vec![LabelSelectorRequirement {
                key: "tier".to_owned(),
                operator: operator.to_owned(),
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            }],
        }
    }

    #[test]
    fn each_operator_decides_by_presence_and_value() {
        let labelled = BTreeMap::from([("tier".to_owned(), "edge".to_owned())]);
        let bare = BTreeMap::new();
        for (operator, values, on_edge, on_bare) in [
            ("In", &["edge", "core"][..], true, false),
            ("In", &["core"][..], false, false),
            ("NotIn", &["edge"][..], false, true),
            ("NotIn", &["core"][..], true, true),
            ("Exists", &[][..], true, false),
            ("DoesNotExist", &[][..], false, true),
            ("Like", &["edge"][..], false, false),
        ] {
            let selector = requirement(operator, values);
            assert_eq!(selector.matches(&labelled), on_edge, "{operator} {values:?} on edge");
            assert_eq!(selector.matches(&bare), on_bare, "{operator} {values:?} on no label");
        }
        assert!(LabelSelector::default().matches(&bare));
    }

    #[test]
    fn broken_requirements_are_named() {
        for (operator, values, field) in [
            ("In", &[][..], "s.matchExpressions[0].values"),
            ("Exists", &["x"][..], "s.matchExpressions[0].values"),
            ("Like", &["x"][..], "s.matchExpressions[0].operator"),
        ] {
            let mut faults = Faults::default();
            requirement(operator, values).check("s", &mut faults);
            let causes = faults.into_causes();
            assert_eq!(causes.len(), 1, "{operator}");
            assert_eq!(causes[0].field, field);
        }
    }
}
