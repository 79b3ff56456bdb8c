//! What tests show to the API of a node, by its `address:port`: read from the kubeconfig that a user would use.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

static KNOWN: Mutex<BTreeMap<String, Arc<ClientConfig>>> = Mutex::new(BTreeMap::new());

/// Reads a kubeconfig as `guideway` writes it; from now on its user signs in at its servers. Panics if it is another.
pub fn read(kubeconfig: &Path) {
    for server in field(kubeconfig, "server") {
        if let Some(authority) = server.strip_prefix("https://") {
            show(kubeconfig, authority);
        }
    }
}

/// From now on the user of a kubeconfig signs in at `authority`, whatever servers the file names.
pub fn show(kubeconfig: &Path, authority: &str) {
    let config = Arc::new(client(kubeconfig));
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.insert(authority.to_owned(), config);
}

/// The values of a field, each time that it occurs.
fn field(kubeconfig: &Path, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(kubeconfig).unwrap_or_else(|error| panic!("{}: {error}", kubeconfig.display()));
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
    lines.map(|value| value.trim_matches('"').to_owned()).collect()
}

fn client(kubeconfig: &Path) -> ClientConfig {
    let pem = |name: &str| {
        let found = field(kubeconfig, name);
        let data = found
            .first()
            .unwrap_or_else(|| panic!("no {name} in {}", kubeconfig.display()));
        BASE64_STANDARD.decode(data).expect("a kubeconfig holds base64")
    };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&pem("certificate-authority-data")) {
        roots.add(root.expect("an authority in PEM")).expect("an authority");
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem("client-certificate-data")).collect();
    let key = PrivateKeyDer::from_pem_slice(&pem("client-key-data")).expect("a key in PEM");
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the versions of the provider")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.expect("a certificate in PEM"), key)
        .expect("a certificate and its key")
}

/// What is shown to the server at `authority`.
pub(crate) fn of(authority: &str) -> Option<Arc<ClientConfig>> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get(authority).cloned()
}
