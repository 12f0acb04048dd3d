//! What a listener shakes hands with.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoClientAuth, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use smallvec::SmallVec;

use crate::config::shown::ClientCertificate;
use crate::tls::certificate::Certificate;
use crate::tls::{Fault, HTTP1, HTTP2, Origin, provider};

/// TLS 1.2 sessions without a ticket that a listener remembers: clients without tickets are rare.
const SESSIONS: usize = 1024;

/// A listener's certificates and rules, compiled.
#[derive(Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    origin: Origin,
}

/// Who signs the clients' certificates.
#[derive(Debug)]
pub struct ClientAuthority {
    roots: RootCertStore,
    required: bool,
    bundle: Box<[u8]>,
}

impl ClientAuthority {
    /// Reads a bundle, PEM. `None` where clients are not asked.
    pub fn read(bundle: &[u8], asked: ClientCertificate) -> Result<Option<Self>, Fault> {
        let required = match asked {
            ClientCertificate::None => return Ok(None),
            ClientCertificate::Optional => false,
            ClientCertificate::Required => true,
        };
        let roots = crate::tls::certificate::authorities(bundle)?;
        Ok(Some(Self { roots, required, bundle: bundle.into() }))
    }

    fn verifier(self) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots), provider());
        let builder = if self.required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|_| Fault::Refused)
    }
}

impl ServerTls {
    /// Compiles. The first certificate is for clients that ask for no name, or for one that no certificate has.
    pub fn compile(certificates: Vec<Certificate>, clients: Option<ClientAuthority>) -> Result<Self, Fault> {
        let mut parts: Vec<&[u8]> =
            certificates.iter().flat_map(|one| one.origin.iter().map(|part| &**part)).collect();
        if let Some(clients) = &clients {
            parts.extend([if clients.required { &b"required"[..] } else { b"optional" }, &clients.bundle]);
        }
        let origin = Origin::of(parts);
        let verifier = match clients {
            Some(clients) => clients.verifier()?,
            None => Arc::new(NoClientAuth),
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|_| Fault::Refused)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(ByName::new(certificates)));
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|_| Fault::Refused)?;
        Ok(Self { config: Arc::new(config), origin })
    }

    /// What rustls shakes hands with.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Whether both were compiled from the same octets: then the older one is kept, and its sessions with it.
    pub fn is_like(&self, other: &Self) -> bool {
        self.origin == other.origin
    }
}

/// Chooses a certificate by the name that a client asks for.
#[derive(Debug)]
struct ByName {
    all: Vec<Arc<CertifiedKey>>,
    /// By whole name; those with a wildcard by what follows its `*`.
    names: HashMap<Box<str>, SmallVec<[usize; 2]>>,
}

impl ByName {
    fn new(certificates: Vec<Certificate>) -> Self {
        let mut names: HashMap<Box<str>, SmallVec<[usize; 2]>> = HashMap::new();
        for (index, certificate) in certificates.iter().enumerate() {
            for name in &certificate.names {
                let key = name.strip_prefix('*').unwrap_or(name);
                names.entry(key.into()).or_default().push(index);
            }
        }
        Self { all: certificates.into_iter().map(|certificate| certificate.certified).collect(), names }
    }

    /// The certificates for a name, the configuration's order kept.
    fn find(&self, name: &str) -> Option<&[usize]> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let exact = self.names.get(name);
        // No name begins with a dot, so that what follows a `*` is found by nothing else.
        let wild = || self.names.get(name.get(name.find('.')?..)?);
        exact.or_else(wild).map(|found| &**found)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(&name.to_ascii_lowercase()));
        let candidates = named.unwrap_or(&[0]);
        let fits = |index: &&usize| {
            let key = self.all.get(**index).map(|certified| &certified.key);
            key.is_some_and(|key| key.choose_scheme(hello.signature_schemes()).is_some())
        };
        let chosen = candidates.iter().find(fits).or(candidates.first())?;
        self.all.get(*chosen).map(Arc::clone)
    }
}
