//! Certificates that sign themselves, made by openssl.

use std::path::{Path, PathBuf};

use crate::program;

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate; also what a client must trust.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one for a DNS name, with files in `folder`.
    pub fn make(folder: &Path, name: &str) -> Certificate {
        let made = Certificate {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        program::must(
            program::command("openssl")
                .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
                .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj"])
                .arg(format!("/CN={name}"))
                .arg("-addext")
                .arg(format!("subjectAltName=DNS:{name}"))
                // Some clients refuse a server whose certificate may sign others.
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .arg("-keyout")
                .arg(&made.key)
                .arg("-out")
                .arg(&made.certificate),
        );
        made
    }
}
