//! TLS on the other side of the gateway: a client that shakes hands with it, and a front that lets a plain upstream
//! be reached over TLS.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, ServerConfig, StreamOwned, SupportedProtocolVersion};
use tokio::io::copy_bidirectional;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::harness::certificates::{Authority, Issued};
use crate::harness::client::Connection;
use crate::harness::wait::PATIENCE;

/// A client and what it remembers of its sessions.
#[derive(Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl TlsClient {
    /// One that trusts this authority, offers HTTP/1.1, and speaks TLS 1.2 and 1.3.
    pub fn new(authority: &Authority) -> Self {
        Self::speaking(authority, rustls::ALL_VERSIONS, None)
    }

    /// The same that shows a certificate when it is asked for one.
    pub fn showing(authority: &Authority, shown: &Issued) -> Self {
        Self::speaking(authority, rustls::ALL_VERSIONS, Some(shown))
    }

    /// The same with a choice of versions.
    pub fn speaking(
        authority: &Authority,
        versions: &[&'static SupportedProtocolVersion],
        shown: Option<&Issued>,
    ) -> Self {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(authority.roots());
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                builder.with_client_auth_cert(vec![shown.der()], shown.key_der()).expect("a certificate")
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(64);
        Self { config: Arc::new(config) }
    }

    /// One that verifies signatures of this scheme in the handshake, and no others.
    pub fn verifying_only(authority: &Authority, scheme: rustls::SignatureScheme) -> Self {
        let mut client = Self::new(authority);
        let mut provider = rustls::crypto::CryptoProvider::clone(&provider());
        let all = provider.signature_verification_algorithms;
        let mapping: Vec<_> = all.mapping.iter().filter(|(known, _)| *known == scheme).copied().collect();
        provider.signature_verification_algorithms.mapping = mapping.leak();
        let config = ClientConfig::builder_with_provider(Arc::new(provider));
        let config = config.with_protocol_versions(rustls::ALL_VERSIONS).expect("versions");
        let config = config.with_root_certificates(authority.roots()).with_no_client_auth();
        client.config = Arc::new(config);
        client
    }

    /// Offering these application protocols; none is no offer at all.
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Asking for no name.
    pub fn nameless(mut self) -> Self {
        Arc::make_mut(&mut self.config).enable_sni = false;
        self
    }

    /// For those who bring a socket of their own.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.config))
    }

    /// Connects and shakes hands, waiting also for what a TLS 1.3 server says after its client thinks it is done.
    pub fn shake(
        &self,
        address: SocketAddr,
        name: &str,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        self.shake_after(&[], address, name)
    }

    /// The same after these octets in the clear.
    pub fn shake_after(
        &self,
        clear: &[u8],
        address: SocketAddr,
        name: &str,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut socket = Connection::from_source(Ipv4Addr::LOCALHOST.into(), address)?.into_tcp();
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(clear)?;
        let mut session = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(session, socket))
    }

    /// The same as a connection to send requests on.
    #[track_caller]
    pub fn connect(&self, address: SocketAddr, name: &str) -> Connection {
        match self.shake(address, name) {
            Ok(stream) => Connection::over_tls(stream),
            Err(error) => panic!("no TLS with the gateway as {name}: {error}"),
        }
    }

    /// Why no request can be sent: at the handshake, or, in TLS 1.3, with the first octets after it.
    #[track_caller]
    pub fn refused(&self, address: SocketAddr, name: &str) -> io::Error {
        use std::io::Read;
        let mut stream = match self.shake(address, name) {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        stream.write_all(b"GET / HTTP/1.1\r\nHost: api.test\r\n\r\n").ok();
        let mut answer = [0; 64];
        match stream.read(&mut answer) {
            Ok(count) => panic!("not refused: {:?}", String::from_utf8_lossy(&answer[..count])),
            Err(error) => error,
        }
    }
}

/// What a TLS server in front of a plain upstream saw.
#[derive(Default)]
struct Seen {
    shaken: AtomicUsize,
    failed: AtomicUsize,
    /// The name asked for, and the number of the client's certificates.
    last: Mutex<Option<(Option<String>, usize)>>,
}

/// A TLS server that passes everything on to a plain one.
pub struct TlsFront {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Seen>,
    _running: tokio::runtime::Runtime,
}

impl TlsFront {
    /// Starts one that shows this certificate, and wants one signed by `clients` if there is such.
    pub fn start(shown: &Issued, clients: Option<&Authority>, behind: SocketAddr) -> Self {
        Self::choosing(&["http/1.1"], shown, clients, behind)
    }

    /// The same that chooses among these application protocols; what is behind it speaks whichever was chosen.
    pub fn choosing(
        protocols: &[&str],
        shown: &Issued,
        clients: Option<&Authority>,
        behind: SocketAddr,
    ) -> Self {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(clients.roots()), provider())
                    .build()
                    .expect("a verifier"),
            ),
        };
        let mut config = builder.with_single_cert(vec![shown.der()], shown.key_der()).expect("a certificate");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let seen = Arc::new(Seen::default());
        let running = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let running = running.expect("a runtime");
        let listener = running.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let tells = Arc::clone(&seen);
        running.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, tells) = (acceptor.clone(), Arc::clone(&tells));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else {
                        tells.failed.fetch_add(1, Ordering::SeqCst);
                        return;
                    };
                    let session = stream.get_ref().1;
                    let name = session.server_name().map(str::to_owned);
                    let certificates = session.peer_certificates().map_or(0, <[_]>::len);
                    *tells.last.lock().expect("no test panics in here") = Some((name, certificates));
                    tells.shaken.fetch_add(1, Ordering::SeqCst);
                    let Ok(mut plain) = tokio::net::TcpStream::connect(behind).await else { return };
                    copy_bidirectional(&mut stream, &mut plain).await.ok();
                });
            }
        });
        Self { address, seen, _running: running }
    }

    /// Handshakes that were done.
    pub fn shaken(&self) -> usize {
        self.seen.shaken.load(Ordering::SeqCst)
    }

    /// Handshakes that failed.
    pub fn failed(&self) -> usize {
        self.seen.failed.load(Ordering::SeqCst)
    }

    /// The name that the latest client asked for, and the number of certificates it showed.
    #[track_caller]
    pub fn last(&self) -> (Option<String>, usize) {
        self.seen.last.lock().expect("no test panics in here").clone().expect("a handshake was done")
    }
}
