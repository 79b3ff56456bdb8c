//! A NetworkPolicy of Kubernetes, for the pods that are endpoints.

use super::{PolicyArgs, Sources};

/// A namespace: RFC 1123 label.
pub(super) fn label(text: &str) -> Result<String, String> {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_label = (1..=63).contains(&text.len())
        && text.starts_with(is_letter)
        && text.ends_with(is_letter)
        && text.chars().all(|letter| is_letter(letter) || letter == '-');
    if is_label {
        Ok(text.to_owned())
    } else {
        Err(
            "must be a name of 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends"
                .to_owned(),
        )
    }
}

/// `KEY=VALUE` of a label.
pub(super) fn selector(text: &str) -> Result<(String, String), String> {
    let is_allowed = |text: &str, more: &str| {
        text.len() <= 317
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && is_allowed(key, "-_./") && is_allowed(value, "-_.") => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err("must be KEY=VALUE, a label of the pods, such as app=postgres".to_owned()),
    }
}

pub(super) fn text(sources: &Sources, arguments: &PolicyArgs) -> String {
    let mut text = "# Lets the nodes of the Guideway cluster reach pods: kubectl apply -f FILE\n".to_owned();
    text += &sources.remark();
    text += &format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: guideway\n  namespace: {}\nspec:\n",
        arguments.namespace
    );
    if arguments.selectors.is_empty() {
        text += "  podSelector: {}\n";
    } else {
        text += "  podSelector:\n    matchLabels:\n";
        for (key, value) in &arguments.selectors {
            text += &format!("      {key}: \"{value}\"\n");
        }
    }
    text += "  policyTypes: [Ingress]\n  ingress:\n  - from:\n";
    for (addresses, prefix) in [(&sources.v4, 32), (&sources.v6, 128)] {
        for address in addresses {
            text += &format!("    - ipBlock: {{ cidr: \"{address}/{prefix}\" }}\n");
        }
    }
    if !arguments.ports.is_empty() {
        text += "    ports:\n";
        for port in &arguments.ports {
            let protocol = if port.udp { "UDP" } else { "TCP" };
            text += &format!("    - {{ protocol: {protocol}, port: {} }}\n", port.number);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{arguments, nodes};
    use super::*;

    #[test]
    fn it_says_the_same_as_yaml() {
        let words = [
            "--format",
            "networkpolicy",
            "--namespace",
            "shop",
            "--selector",
            "app=db",
            "--port",
            "5432",
            "--port",
            "53/udp",
        ];
        let text = text(&nodes(), &arguments(&words));
        let policy: Value = serde_saphyr::from_str(&text).expect("YAML");
        let spec = json!({
            "podSelector": {"matchLabels": {"app": "db"}},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [
                    {"ipBlock": {"cidr": "10.0.0.1/32"}},
                    {"ipBlock": {"cidr": "10.0.0.2/32"}},
                    {"ipBlock": {"cidr": "2001:db8::1/128"}},
                ],
                "ports": [{"protocol": "TCP", "port": 5432}, {"protocol": "UDP", "port": 53}],
            }],
        });
        assert_eq!(policy["spec"], spec);
        assert_eq!(policy["metadata"], json!({"name": "guideway", "namespace": "shop"}));
        let text = super::text(&nodes(), &arguments(&["--format", "networkpolicy"]));
        let policy: Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(policy["spec"]["podSelector"], json!({}));
        assert_eq!(policy["spec"]["ingress"][0]["ports"], Value::Null);
    }
}
