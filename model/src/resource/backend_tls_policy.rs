//! gateway.networking.k8s.io/v1 BackendTLSPolicy: TLS toward the endpoints of a Service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::{PolicyStatus, PolicyTarget, check_targets};
use super::reference::LocalObjectReference;
use super::rules::Rules;
use crate::faults::Faults;
use crate::format;
use crate::meta::{ObjectMeta, is_default};

/// gateway.networking.k8s.io/v1 BackendTLSPolicy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendTlsPolicy {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: BackendTlsPolicySpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: PolicyStatus,
}

/// `spec` of a BackendTLSPolicy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendTlsPolicySpec {
    /// Services, or ports of them by `sectionName`.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<PolicyTarget>,
    /// How endpoints prove who they are.
    pub validation: BackendTlsValidation,
    /// Options of implementations, keys prefixed by a domain.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = super::listener::free_text()))]
    pub options: BTreeMap<String, String>,
}

/// How endpoints prove who they are. Either `caCertificateRefs` or `wellKnownCACertificates` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendTlsValidation {
    /// Bundles of certificate authorities: ConfigMaps or Secrets with the key `ca.crt`.
    #[serde(rename = "caCertificateRefs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub ca_certificate_refs: Vec<LocalObjectReference>,
    /// `System` for the authorities that the machine trusts.
    #[serde(rename = "wellKnownCACertificates", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::WELL_KNOWN_AUTHORITIES))]
    pub well_known_ca_certificates: Option<String>,
    /// SNI toward endpoints, and the name that their certificate must carry unless `subjectAltNames` says other.
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub hostname: String,
    /// Names of which the certificate must carry one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubjectAltName {
    /// Which of the other two fields is set.
    #[serde(rename = "type")]
    pub name_type: SubjectAltNameType,
    /// DNS name, perhaps with a wildcard as first label.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::HOSTNAME))]
    pub hostname: Option<String>,
    /// URI, such as a SPIFFE identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = format::URI))]
    pub uri: Option<String>,
}

/// What a name in a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubjectAltNameType {
    /// DNS name.
    Hostname,
    /// URI.
    #[serde(rename = "URI")]
    Uri,
}

impl BackendTlsValidation {
    /// Value of `wellKnownCACertificates` for the authorities that the machine trusts.
    pub const SYSTEM: &'static str = "System";
}

impl Rules for BackendTlsPolicy {
    fn check(&self, _version: &str, faults: &mut Faults) {
        check_targets(&self.spec.target_refs, faults);
        self.spec.validation.check(faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl BackendTlsValidation {
    fn check(&self, faults: &mut Faults) {
        const PATH: &str = "spec.validation";
        let given = self.ca_certificate_refs.len();
        match (given, &self.well_known_ca_certificates) {
            (0, None) => faults.broken_rule(
                PATH,
                "must specify either CACertificateRefs or WellKnownCACertificates",
                "neither is set",
            ),
            (0, Some(_)) | (_, None) => {}
            (_, Some(known)) => faults.broken_rule(
                PATH,
                "must not contain both CACertificateRefs and WellKnownCACertificates",
                format_args!("there are {given} references beside {known:?}"),
            ),
        }
        for (index, name) in self.subject_alt_names.iter().enumerate() {
            name.check(&format!("{PATH}.subjectAltNames[{index}]"), faults);
        }
    }
}

impl SubjectAltName {
    fn check(&self, path: &str, faults: &mut Faults) {
        let message = match (self.name_type, &self.hostname, &self.uri) {
            (SubjectAltNameType::Hostname, None, _) => {
                "SubjectAltName element must contain Hostname, if Type is set to Hostname"
            }
            (SubjectAltNameType::Hostname, Some(_), Some(_)) => {
                "SubjectAltName element must not contain URI, if Type is not set to URI"
            }
            (SubjectAltNameType::Uri, _, None) => "SubjectAltName element must contain URI, if Type is set to URI",
            (SubjectAltNameType::Uri, Some(_), Some(_)) => {
                "SubjectAltName element must not contain Hostname, if Type is not set to Hostname"
            }
            (SubjectAltNameType::Hostname, Some(_), None) | (SubjectAltNameType::Uri, None, Some(_)) => return,
        };
        faults.broken_rule(
            path,
            message,
            format_args!("hostname {:?}, uri {:?}", self.hostname, self.uri),
        );
    }
}
