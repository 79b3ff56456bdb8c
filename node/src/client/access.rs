//! Whom to ask and as whom: what a kubeconfig says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;

/// A server and what is shown to it.
#[derive(Clone, Debug)]
pub struct Access {
    /// URL, without a slash at the end.
    pub(super) server: String,
    /// How TLS is spoken with it; `None` only where the URL is `http:`.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Bearer token, if that is how one signs in.
    pub(super) token: Option<String>,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error(
        "the kubeconfig {} cannot be read: {source}\nName another with --kubeconfig FILE or KUBECONFIG; `guideway init` and `guideway join` leave one in the data folder.",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not what a kubeconfig should be.
    #[error("the kubeconfig {} cannot be used: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    current_context: Option<String>,
    #[serde(default)]
    clusters: Vec<ClusterEntry>,
    #[serde(default)]
    users: Vec<UserEntry>,
    #[serde(default)]
    contexts: Vec<ContextEntry>,
}

#[derive(Deserialize)]
struct ClusterEntry {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
}

#[derive(Deserialize)]
struct UserEntry {
    name: String,
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
}

#[derive(Deserialize)]
struct ContextEntry {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

impl Access {
    /// What the current context of a kubeconfig says; `server` is asked instead of its own if given, which is the way to
    /// ask a certain node.
    ///
    /// # Errors
    /// The file cannot be read or used.
    pub fn from_kubeconfig(path: &Path, server: Option<&str>) -> Result<Access, AccessError> {
        let text = std::fs::read_to_string(path).map_err(|source| AccessError::Read {
            path: path.to_owned(),
            source,
        })?;
        Access::parse(path, &text, server).map_err(|problem| AccessError::Content {
            path: path.to_owned(),
            problem,
        })
    }

    /// A server without TLS, asked without signing in: it answers only whether it is well.
    pub fn plain(server: &str) -> Access {
        Access {
            server: server.trim_end_matches('/').to_owned(),
            tls: None,
            token: None,
        }
    }

    /// The same, toward another node.
    pub(crate) fn at(&self, server: &str) -> Access {
        Access {
            server: server.trim_end_matches('/').to_owned(),
            ..self.clone()
        }
    }

    fn parse(path: &Path, text: &str, server: Option<&str>) -> Result<Access, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let wanted = file.current_context.unwrap_or_default();
        let context = file.contexts.into_iter().find(|entry| entry.name == wanted);
        let context = context.ok_or_else(|| format!("current-context {wanted:?} is not among its contexts"))?;
        let Context { cluster, user } = context.context;
        let found = file.clusters.into_iter().find(|entry| entry.name == cluster);
        let cluster = found.ok_or_else(|| format!("there is no cluster {cluster:?}"))?.cluster;
        let found = file.users.into_iter().find(|entry| entry.name == user);
        let user = found.map(|entry| entry.user).unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new("."));
        let pem = |data: &Option<String>, file: &Option<PathBuf>| material(folder, data.as_deref(), file.as_deref());
        let authority = pem(&cluster.certificate_authority_data, &cluster.certificate_authority)?;
        let certificate = pem(&user.client_certificate_data, &user.client_certificate)?;
        let key = pem(&user.client_key_data, &user.client_key)?;
        let tls = client_config(authority, certificate, key)?;
        Ok(Access {
            server: server.unwrap_or(&cluster.server).trim_end_matches('/').to_owned(),
            tls: Some(Arc::new(tls)),
            token: user.token,
        })
    }
}

/// PEM that stands in the file itself or in another beside it.
fn material(folder: &Path, data: Option<&str>, file: Option<&Path>) -> Result<Option<Vec<u8>>, String> {
    match (data, file) {
        (Some(data), _) => {
            let decoded = BASE64_STANDARD.decode(data);
            decoded
                .map(Some)
                .map_err(|error| format!("a field with -data is not base64: {error}"))
        }
        (None, Some(file)) => {
            let path = folder.join(file);
            let read = std::fs::read(&path);
            read.map(Some).map_err(|error| format!("{}: {error}", path.display()))
        }
        (None, None) => Ok(None),
    }
}

fn client_config(
    authority: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&authority.unwrap_or_default()) {
        let root = root.map_err(|error| format!("certificate-authority: {error}"))?;
        roots
            .add(root)
            .map_err(|error| format!("certificate-authority: {error}"))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
            let chain = chain.map_err(|error| format!("client-certificate: {error}"))?;
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| format!("client-key: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("client-certificate and client-key: {error}"))
        }
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(_), None) => Err("there is a client-certificate and no client-key".to_owned()),
        (None, Some(_)) => Err("there is a client-key and no client-certificate".to_owned()),
    }
}
