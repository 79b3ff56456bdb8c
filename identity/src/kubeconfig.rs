//! A kubeconfig: the file that kubectl and our own commands read to know whom to ask and as whom.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// One node that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeconfigServer {
    /// Name of its cluster entry and context.
    pub name: String,
    /// URL of its API.
    pub url: String,
}

/// The text of a kubeconfig, in YAML: a cluster and a context for each server, all with the same authority and user. The
/// first context is the current one.
///
/// The result has the user's private key in it: write it so that nobody else reads it.
pub fn kubeconfig(
    servers: &[KubeconfigServer],
    user: &str,
    authority_pem: &str,
    certificate_pem: &str,
    key_pem: &str,
) -> String {
    let authority = BASE64_STANDARD.encode(authority_pem);
    let mut text = String::from("apiVersion: v1\nkind: Config\nclusters:\n");
    for KubeconfigServer { name, url } in servers {
        let (name, url) = (quoted(name), quoted(url));
        text +=
            &format!("- name: {name}\n  cluster:\n    server: {url}\n    certificate-authority-data: {authority}\n");
    }
    text += &format!(
        "users:\n- name: {}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\ncontexts:\n",
        quoted(user),
        BASE64_STANDARD.encode(certificate_pem),
        BASE64_STANDARD.encode(key_pem),
    );
    for KubeconfigServer { name, .. } in servers {
        let (name, user) = (quoted(name), quoted(user));
        text += &format!("- name: {name}\n  context:\n    cluster: {name}\n    user: {user}\n    namespace: default\n");
    }
    if let Some(first) = servers.first() {
        text += &format!("current-context: {}\n", quoted(&first.name));
    }
    text
}

/// A JSON string, which is a YAML scalar whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_names_each_server_and_quotes_what_it_is_given() {
        let server = |name: &str| KubeconfigServer {
            name: name.to_owned(),
            url: format!("https://{name}:7443"),
        };
        let text = kubeconfig(&[server("one"), server("t\"wo: x")], "admin", "CA", "CERT", "KEY");
        assert!(text.contains("- name: \"one\"\n  cluster:\n    server: \"https://one:7443\"\n"));
        assert!(text.contains("    certificate-authority-data: Q0E=\n"), "{text}");
        assert!(
            text.contains("    cluster: \"t\\\"wo: x\"\n    user: \"admin\"\n"),
            "{text}"
        );
        assert!(text.contains("client-certificate-data: Q0VSVA==\n    client-key-data: S0VZ\n"));
        assert!(text.ends_with("current-context: \"one\"\n"));
    }
}
