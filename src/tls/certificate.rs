//! A certificate chain with its key, and bundles of authorities.

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::tls::{Blamed, Fault};
use crate::token::NumericDate;

/// The fewest bits of an RSA key (NIST SP 800-131A).
const RSA_BITS: usize = 2048;

/// A certificate that can be shown.
#[derive(Debug)]
pub struct Certificate {
    pub(in crate::tls) certified: Arc<CertifiedKey>,
    /// The DNS names that it is for, in lower case; the first label may be `*`.
    pub(in crate::tls) names: Vec<Box<str>>,
    /// Of what it was made; the key by its digest.
    pub(in crate::tls) origin: [Box<[u8]>; 2],
    not_before: i64,
    not_after: i64,
}

/// Why a certificate does not serve at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untimely {
    /// Its time is over.
    #[error("has expired")]
    Expired,
    /// Its time has not come.
    #[error("is not valid yet")]
    NotYetValid,
}

impl Certificate {
    /// Reads a chain and its key, both PEM. The key has to be the first certificate's.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, (Blamed, Fault)> {
        let blame = |fault| (Blamed::Certificate, fault);
        let origin = [chain.into(), digest::digest(&digest::SHA256, key).as_ref().into()];
        let chain = certificates(chain).map_err(blame)?;
        let leaf = chain.first().ok_or(blame(Fault::NoCertificate))?;
        let leaf = parse(leaf).ok_or(blame(Fault::BadCertificate(1)))?;
        if leaf.is_ca() && chain.len() > 1 {
            return Err(blame(Fault::AuthorityFirst));
        }
        if let Ok(PublicKey::RSA(rsa)) = leaf.public_key().parsed()
            && rsa.key_size() < RSA_BITS
        {
            return Err(blame(Fault::WeakKey(rsa.key_size())));
        }
        let names = dns_names(&leaf);
        let validity = leaf.validity();
        let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let key = private_key(key).map_err(|fault| (Blamed::PrivateKey, fault))?;
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|_| (Blamed::PrivateKey, Fault::UnsupportedKey))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err((Blamed::PrivateKey, Fault::WrongKey)),
            Err(_) => return Err(blame(Fault::BadCertificate(1))),
        }
        Ok(Self { certified: Arc::new(certified), names, origin, not_before, not_after })
    }

    /// Whether it serves at this moment.
    pub fn timely(&self, now: NumericDate) -> Result<(), Untimely> {
        if now.0 > self.not_after {
            Err(Untimely::Expired)
        } else if now.0 < self.not_before {
            Err(Untimely::NotYetValid)
        } else {
            Ok(())
        }
    }

    /// Whether some client can ask for it by name.
    pub fn has_names(&self) -> bool {
        !self.names.is_empty()
    }
}

/// Reads a bundle of authorities, PEM: every one of them counts, so that one that cannot be read is a mistake.
pub fn authorities(bundle: &[u8]) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(bundle)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|_| Fault::BadCertificate(index + 1))?;
    }
    Ok(roots)
}

/// The certificates of a PEM text; not none.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| Fault::BadCertificate(chain.len() + 1))?;
        if parse(&certificate).is_none() {
            return Err(Fault::BadCertificate(chain.len() + 1));
        }
        chain.push(certificate);
    }
    if chain.is_empty() { Err(Fault::NoCertificate) } else { Ok(chain) }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    // `BEGIN ENCRYPTED PRIVATE KEY` (RFC 5958), or `Proc-Type: 4,ENCRYPTED` (RFC 1421).
    if pem.windows(9).any(|window| window == b"ENCRYPTED") {
        return Err(Fault::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| Fault::NoKey)
}

/// Reads a certificate's DER; nothing may follow it.
pub(in crate::tls) fn parse<'d>(der: &'d CertificateDer<'_>) -> Option<X509Certificate<'d>> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}

fn dns_names(leaf: &X509Certificate<'_>) -> Vec<Box<str>> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return Vec::new() };
    let mut found: Vec<Box<str>> = Vec::new();
    for name in &names.value.general_names {
        if let GeneralName::DNSName(name) = name {
            found.push(name.to_ascii_lowercase().into());
        }
    }
    found
}
