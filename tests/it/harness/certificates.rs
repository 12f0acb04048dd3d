//! Certificates: authorities that sign, and what they signed. Made here with rcgen, anew in every test.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SanType,
    SerialNumber,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::harness::canary;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Who signs.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What is to be signed.
pub struct Leaf {
    params: CertificateParams,
    rsa: bool,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its key, PEM. A canary.
    pub key: String,
}

impl Authority {
    /// A new one by this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&[(DnType::CommonName, name)]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("an authority") }
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.issuer.der())
    }

    /// A store of this one.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        roots
    }

    /// Signs.
    pub fn issue(&self, leaf: Leaf) -> Issued {
        let key = if leaf.rsa {
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
        } else {
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        };
        let key = key.expect("a key");
        let certificate = leaf.params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued::remembered(pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
    }

    /// A server's certificate for these names.
    pub fn server(&self, names: &[&str]) -> Issued {
        self.issue(Leaf::server(names))
    }

    /// A client's certificate.
    pub fn client(&self, name: &str) -> Issued {
        self.issue(Leaf::client(name))
    }
}

impl Leaf {
    fn new(names: &[&str], usage: ExtendedKeyUsagePurpose) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = named(&[(DnType::CommonName, "a leaf")]);
        params.extended_key_usages = vec![usage];
        params.not_before = (SystemTime::now() - YEAR).into();
        params.not_after = (SystemTime::now() + YEAR).into();
        Self { params, rsa: false }
    }

    /// A server's, for these names or addresses.
    pub fn server(names: &[&str]) -> Self {
        Self::new(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's, by this common name in `O=Example`.
    pub fn client(name: &str) -> Self {
        let mut leaf = Self::new(&[], ExtendedKeyUsagePurpose::ClientAuth);
        leaf.params.distinguished_name =
            named(&[(DnType::OrganizationName, "Example"), (DnType::CommonName, name)]);
        leaf
    }

    /// With these alternative names.
    pub fn alternative_names(mut self, names: Vec<SanType>) -> Self {
        self.params.subject_alt_names = names;
        self
    }

    /// With this serial number.
    pub fn serial(mut self, octets: &[u8]) -> Self {
        self.params.serial_number = Some(SerialNumber::from_slice(octets));
        self
    }

    /// Ending at this moment.
    pub fn ending(mut self, at: SystemTime) -> Self {
        self.params.not_after = at.into();
        self
    }

    /// Beginning at this moment.
    pub fn beginning(mut self, at: SystemTime) -> Self {
        self.params.not_before = at.into();
        self
    }

    /// Over for a day.
    pub fn expired(self) -> Self {
        self.ending(SystemTime::now() - Duration::from_secs(86_400))
    }

    /// With an RSA key of 2048 bits.
    pub fn rsa(mut self) -> Self {
        self.rsa = true;
        self
    }
}

impl Issued {
    /// Nothing of the key, nor a line of the certificate, is ever to be seen in a log.
    fn remembered(certificate: String, key: String) -> Self {
        for line in certificate.lines().chain(key.lines()).filter(|line| line.len() == 64) {
            canary::secret(line);
        }
        Self { certificate, key }
    }

    /// The certificate, DER.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate")
    }

    /// The key, DER.
    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key")
    }
}

/// RFC 7468: lines of 64 characters.
fn pem(kind: &str, der: &[u8]) -> String {
    let base64 = base64_simd::STANDARD.encode_to_string(der);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

fn named(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    parts.iter().for_each(|(kind, value)| name.push(kind.clone(), *value));
    name
}
