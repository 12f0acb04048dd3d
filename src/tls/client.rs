//! What an upstream's `https` peers are met with: verified always, by name and by authority.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use crate::tls::certificate::{self, Certificate};
use crate::tls::{Fault, HTTP1, HTTP2, Origin, provider};

/// An upstream's authorities and our certificate, compiled.
#[derive(Debug)]
pub struct ClientTls {
    http1: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
    origin: Origin,
}

/// Who signs the peers' certificates.
#[derive(Debug)]
pub struct Authority {
    roots: RootCertStore,
    bundle: Box<[u8]>,
}

impl Authority {
    /// Reads a bundle, PEM.
    pub fn read(bundle: &[u8]) -> Result<Self, Fault> {
        Ok(Self { roots: certificate::authorities(bundle)?, bundle: bundle.into() })
    }

    /// The system's, as far as they can be used; some are too old for anything to verify them.
    pub fn system(certificates: Vec<CertificateDer<'static>>) -> Result<Self, Fault> {
        let bundle = certificates.iter().flat_map(|certificate| certificate.iter().copied()).collect();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 { Err(Fault::NoCertificate) } else { Ok(Self { roots, bundle }) }
    }
}

impl ClientTls {
    /// Compiles. `shown` is what the peers get to see of us.
    pub fn compile(authority: Authority, shown: Option<&Certificate>) -> Result<Self, Fault> {
        let parts = shown.into_iter().flat_map(|one| one.origin.iter().map(|part| &**part));
        let origin = Origin::of(std::iter::once(&*authority.bundle).chain(parts));
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|_| Fault::Refused)?
            .with_root_certificates(authority.roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let only = rustls::sign::SingleCertAndKey::from(CertifiedKey::clone(&shown.certified));
                builder.with_client_cert_resolver(Arc::new(only))
            }
        };
        config.alpn_protocols = vec![HTTP1.to_vec()];
        let mut either = config.clone();
        either.alpn_protocols.insert(0, HTTP2.to_vec());
        Ok(Self { http1: Arc::new(config), either: Arc::new(either), origin })
    }

    /// What rustls shakes hands with: HTTP/2 is offered, and HTTP/1.1.
    pub fn either(&self) -> &Arc<ClientConfig> {
        &self.either
    }

    /// What rustls shakes hands with where only HTTP/1.1 will do.
    pub fn http1(&self) -> &Arc<ClientConfig> {
        &self.http1
    }

    /// Whether both were compiled from the same octets: then the older one is kept, and its connections with it.
    pub fn is_like(&self, other: &Self) -> bool {
        self.origin == other.origin
    }
}

/// A peer's host as it is verified: a name, or an address among the certificate's own.
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()).ok()
}
