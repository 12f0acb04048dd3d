//! What is shown and verified over TLS: the typed `tls` of listeners and upstreams.

use std::path::PathBuf;

use crate::config::problems::Position;
use crate::config::{Located, Secret};

/// `tls` of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Not empty; the first is for clients that ask for no name, or for one that no certificate has.
    pub certificates: Vec<CertificateFiles>,
    /// Who signs the clients' certificates. There unless `client_certificate` is `none`; not read if it is.
    pub client_ca: Option<Located<PathBuf>>,
    /// Whether clients show a certificate.
    pub client_certificate: ClientCertificate,
    /// Where it stands.
    pub at: Position,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate and those between it and its root, as PEM.
    pub certificate: Located<PathBuf>,
    /// The key, as PEM.
    pub private_key: Secret,
}

/// Alike wherever in the configuration they stand.
impl PartialEq for CertificateFiles {
    fn eq(&self, other: &Self) -> bool {
        self.certificate.value == other.certificate.value
            && self.private_key.source == other.private_key.source
    }
}

impl Eq for CertificateFiles {}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificate {
    /// They are not asked for one.
    #[default]
    None,
    /// One that is shown has to verify.
    Optional,
    /// A client without one is refused.
    Required,
}

/// `tls` of an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// Who signs the peers' certificates, as PEM; the system's roots without.
    pub ca: Option<Located<PathBuf>>,
    /// What the peers are shown of us.
    pub client: Option<CertificateFiles>,
    /// Where it stands.
    pub at: Position,
}

/// Alike wherever in the configuration they stand.
impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        let ca = |tls: &'_ Self| tls.ca.as_ref().map(|ca| ca.value.clone());
        ca(self) == ca(other) && self.client == other.client
    }
}

impl Eq for UpstreamTls {}
