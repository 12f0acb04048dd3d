//! What is known of a connection once its hands were shaken: for conditions, logs and the choice of protocol.

use rustls::pki_types::CertificateDer;
use rustls::{ProtocolVersion, ServerConnection};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

use crate::tls::certificate::parse;

/// A client's connection over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The name that the client asked for, in lower case.
    pub server_name: Option<Box<str>>,
    /// The certificate that it showed and that verified.
    pub client: Option<Box<ClientIdentity>>,
}

/// What a client's certificate says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The distinguished name (RFC 4514): `CN=device 7,O=Example`.
    pub subject: String,
    /// The signer's.
    pub issuer: String,
    /// The serial number, in lower-case hexadecimal without leading zeros.
    pub serial: String,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub fingerprint: String,
    /// Alternative names: DNS.
    pub dns: Vec<String>,
    /// Alternative names: URIs, SPIFFE ids among them.
    pub uri: Vec<String>,
    /// Alternative names: mail addresses.
    pub email: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
}

impl TlsFacts {
    /// Of a connection whose handshake is done. `None` where the client's certificate verified and yet cannot be
    /// read: nobody could say then who it is.
    pub fn of(connection: &ServerConnection) -> Option<Self> {
        let version = connection.protocol_version()?;
        let version = if version == ProtocolVersion::TLSv1_3 {
            "1.3"
        } else if version == ProtocolVersion::TLSv1_2 {
            "1.2"
        } else {
            return None;
        };
        let client = match connection.peer_certificates().and_then(<[_]>::first) {
            Some(leaf) => Some(Box::new(ClientIdentity::read(leaf)?)),
            None => None,
        };
        let server_name = connection.server_name().map(|name| name.to_ascii_lowercase().into());
        Some(Self { version, server_name, client })
    }
}

impl ClientIdentity {
    /// Reads a certificate; `None` if it is none.
    pub fn read(leaf: &CertificateDer<'_>) -> Option<Self> {
        let certificate = parse(leaf)?;
        let mut identity = Self {
            subject: name(certificate.subject()),
            issuer: name(certificate.issuer()),
            serial: hex(certificate.raw_serial()).trim_start_matches('0').to_owned(),
            fingerprint: hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf).as_ref()),
            dns: Vec::new(),
            uri: Vec::new(),
            email: Vec::new(),
            not_after: certificate.validity().not_after.timestamp(),
        };
        identity.alternative_names(&certificate)?;
        Some(identity)
    }

    fn alternative_names(&mut self, certificate: &X509Certificate<'_>) -> Option<()> {
        let names = certificate.subject_alternative_name().ok()?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => self.dns.push((*name).to_owned()),
                GeneralName::URI(uri) => self.uri.push((*uri).to_owned()),
                GeneralName::RFC822Name(address) => self.email.push((*address).to_owned()),
                GeneralName::OtherName(..)
                | GeneralName::X400Address(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EDIPartyName(_)
                | GeneralName::IPAddress(_)
                | GeneralName::RegisteredID(_)
                | GeneralName::Invalid(..) => {}
            }
        }
        Some(())
    }
}

/// A distinguished name as RFC 4514 writes it: the last part first, and every character escaped that could make
/// a value look like two (section 2.4).
fn name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| {
            let pairs: Vec<String> = part
                .iter()
                .map(|pair| {
                    let kind = pair.attr_type().to_id_string();
                    match (short(&kind), pair.as_str()) {
                        (Some(short), Ok(value)) => format!("{short}={}", escaped(value)),
                        // Section 2.4: what has no string form is written as its BER encoding; the value's own
                        // octets say enough here.
                        (short, _) => {
                            format!("{}=#{}", short.unwrap_or(&kind), hex(pair.attr_value().data))
                        }
                    }
                })
                .collect();
            pairs.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// RFC 4514 section 3.
fn short(kind: &str) -> Option<&'static str> {
    let short = match kind {
        "2.5.4.3" => "CN",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.6" => "C",
        "2.5.4.9" => "STREET",
        "0.9.2342.19200300.100.1.25" => "DC",
        "0.9.2342.19200300.100.1.1" => "UID",
        _ => return None,
    };
    Some(short)
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => out.extend(['\\', c]),
            '#' if index == 0 => out.push_str("\\#"),
            ' ' if index == 0 || index == last => out.push_str("\\ "),
            c if c.is_control() => {
                let mut octets = [0; 4];
                for octet in c.encode_utf8(&mut octets).bytes() {
                    out.push_str(&format!("\\{octet:02x}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
