//! TLS: certificates and keys, from octets to what rustls shakes hands with; and what is known of a connection
//! once it has.
//!
//! Nothing here reads a file or a socket: [`crate::control`] brings the octets, [`crate::proxy`] the connection. What
//! was compiled is immutable and carried by the snapshot, so that a reload swaps it with everything else: new
//! handshakes use the new certificate, and connections that are open stay as they are.
//!
//! - TLS 1.2 and 1.3 on aws-lc-rs, with rustls' own cipher suites. No 0-RTT: a request in it could be replayed.
//! - Sessions are resumed by tickets, and by a bounded cache for TLS 1.2 clients without them. A listener's tickets
//!   are its own and die with what it was compiled from, so that no session outlives the authority that verified its
//!   client; whoever accepts a resumed session looks at the client certificate's end again
//!   ([`facts::ClientIdentity::not_after`]).
//! - A name is looked for exactly, then with a wildcard for its first label (RFC 6125 section 6.4.3). Of several
//!   certificates for a name, the first that the client can verify is shown (an ECDSA one, and RSA for old clients).
//!
//! *Why a `Host` that the shown certificate does not have is served.* RFC 9110 section 7.4 would have it refused, to
//! keep a client from being fooled about whom it talks to, which the client itself sees to. Here every name of a
//! listener is under the same rules: its client certificates are verified alike whatever name was asked for, and
//! routes match the `Host` alone. So nothing is gained by asking for one name and sending another, and clients that
//! come by address, or through a load balancer's health check, are served. A route that wants both to be the same
//! says so: `request.tls.server_name == "api.example.com"`.

pub mod certificate;
pub mod client;
pub mod facts;
pub mod server;
pub mod why;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;

/// What is wrong with a certificate, a key or a bundle. Never any of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A file without a certificate.
    #[error("holds no certificate in PEM")]
    NoCertificate,
    /// One that cannot be parsed, counted from 1.
    #[error("certificate {0} in it cannot be read")]
    BadCertificate(usize),
    /// The first certificate is an authority's.
    #[error("its first certificate is an authority's: the server's own comes first")]
    AuthorityFirst,
    /// One that can be chosen by no name, and is not the first of its listener.
    #[error("has no DNS name, so that no client can ask for it")]
    NoName,
    /// A file without a private key.
    #[error("holds no private key in PEM")]
    NoKey,
    /// A key that wants a passphrase.
    #[error("holds an encrypted key; one without a passphrase is needed")]
    EncryptedKey,
    /// A kind of key that is not served.
    #[error("holds a key that is neither RSA, ECDSA (P-256, P-384, P-521) nor Ed25519")]
    UnsupportedKey,
    /// An RSA key that is too short.
    #[error("has an RSA key of {0} bits; 2048 is the least")]
    WeakKey(usize),
    /// A key that is not the certificate's.
    #[error("is not the key of the certificate")]
    WrongKey,
    /// The library refuses what was compiled: no operator can mend that.
    #[error("is refused by the TLS library")]
    Refused,
}

/// Which of the things given is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blamed {
    /// The certificate.
    Certificate,
    /// Its key.
    PrivateKey,
}

/// HTTP/2 and HTTP/1.1, as they are named in ALPN (RFC 7301, RFC 9113 section 3.2).
pub const HTTP2: &[u8] = b"h2";
/// The same of HTTP/1.1.
pub const HTTP1: &[u8] = b"http/1.1";

/// The one provider of the process; [`crate::app`] asserts that there is no other.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Stands for everything that something was compiled from.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Origin([u8; 32]);

impl Origin {
    fn of<'o>(parts: impl IntoIterator<Item = &'o [u8]>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        Self(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Origin(…)")
    }
}
