//! Certificates, their keys and authorities: read, compiled, and kept as they are while nothing about them changed.

use std::sync::Arc;

use crate::config::peer::Scheme;
use crate::config::problems::{Position, Problem};
use crate::config::shown::{CertificateFiles, ClientCertificate, ListenerTls};
use crate::config::{Config, Listener, Located, Upstream};
use crate::control::clock;
use crate::control::config_file::{Loader, START, Sort};
use crate::snapshot::Snapshot;
use crate::tls::certificate::Certificate;
use crate::tls::client::{Authority, ClientTls, server_name};
use crate::tls::server::{ClientAuthority, ServerTls};
use crate::tls::{Blamed, Fault};

impl Loader<'_> {
    /// What each listener shakes hands with.
    pub(super) fn listeners(
        &mut self,
        config: &Config,
        previous: Option<&Snapshot>,
    ) -> Vec<Option<Arc<ServerTls>>> {
        let before = |index: usize| previous.and_then(|snapshot| snapshot.listeners.get(index)?.clone());
        let listeners = config.listeners.iter().enumerate();
        listeners.map(|(index, listener)| self.listener(listener, before(index))).collect()
    }

    fn listener(&mut self, listener: &Listener, before: Option<Arc<ServerTls>>) -> Option<Arc<ServerTls>> {
        let tls = listener.tls.as_ref()?;
        let read: Vec<Option<Certificate>> =
            tls.certificates.iter().map(|files| self.certificate(files)).collect();
        for (files, certificate) in tls.certificates.iter().zip(&read).skip(1) {
            if certificate.as_ref().is_some_and(|certificate| !certificate.has_names()) {
                self.fault(&files.certificate, "certificate", Fault::NoName);
            }
        }
        let clients = self.client_authority(tls);
        let all: Option<Vec<Certificate>> = read.into_iter().collect();
        match ServerTls::compile(all?, clients?) {
            Ok(compiled) => Some(kept(before, compiled, ServerTls::is_like)),
            Err(fault) => {
                self.problems.push(Problem::new(tls.at, format!("a listener's `tls` {fault}")));
                None
            }
        }
    }

    /// The inner `None` where clients are not asked; the outer after saying what is wrong.
    fn client_authority(&mut self, tls: &ListenerTls) -> Option<Option<ClientAuthority>> {
        let Some(file) = tls.client_ca.as_ref().filter(|_| tls.client_certificate != ClientCertificate::None)
        else {
            return Some(None);
        };
        let bundle = self.file(&file.value, file.at, Sort::Certificates)?;
        match ClientAuthority::read(&bundle, tls.client_certificate) {
            Ok(clients) => Some(clients),
            Err(fault) => {
                self.fault(file, "certificate", fault);
                None
            }
        }
    }

    /// What the `https` peers of each upstream are met with.
    pub(super) fn clients(
        &mut self,
        config: &Config,
        previous: Option<&Snapshot>,
    ) -> Vec<Option<Arc<ClientTls>>> {
        let before = |upstream: &Upstream| {
            let mut routes = previous.into_iter().flat_map(|snapshot| snapshot.routes.all());
            let upward = routes
                .find_map(|route| route.upward().filter(|upward| upward.upstream.name == upstream.name));
            upward?.tls.clone()
        };
        config.upstreams.iter().map(|upstream| self.client(upstream, before(upstream))).collect()
    }

    fn client(&mut self, upstream: &Upstream, before: Option<Arc<ClientTls>>) -> Option<Arc<ClientTls>> {
        let mut secured = upstream.peers.iter().filter(|peer| peer.scheme() == Scheme::Https).peekable();
        secured.peek()?;
        let tls = upstream.tls.as_ref();
        let at = tls.map_or(START, |tls| tls.at);
        for peer in secured.filter(|peer| server_name(peer.host()).is_none()) {
            let what = format!("no certificate can be for the peer {} of `{}`", peer.host(), upstream.name);
            self.problems.push(Problem::new(at, what));
        }
        let authority = match tls.and_then(|tls| tls.ca.as_ref()) {
            Some(file) => {
                let bundle = self.file(&file.value, file.at, Sort::Certificates)?;
                Authority::read(&bundle).map_err(|fault| self.fault(file, "certificate", fault)).ok()
            }
            None => self.system_authority(upstream, at),
        };
        let shown = match tls.and_then(|tls| tls.client.as_ref()) {
            Some(files) => Some(self.certificate(files)?),
            None => None,
        };
        match ClientTls::compile(authority?, shown.as_ref()) {
            Ok(compiled) => Some(kept(before, compiled, ClientTls::is_like)),
            Err(fault) => {
                self.problems.push(Problem::new(at, format!("the `tls` of `{}` {fault}", upstream.name)));
                None
            }
        }
    }

    /// The system's roots: read at every load, and not watched.
    fn system_authority(&mut self, upstream: &Upstream, at: Position) -> Option<Authority> {
        let found = rustls_native_certs::load_native_certs();
        let authority = Authority::system(found.certs).ok();
        if authority.is_none() {
            let what =
                format!("this system has no root certificates to verify the peers of `{}`", upstream.name);
            self.problems.push(Problem::new(at, what).hint("name a bundle: `tls: {ca: PATH}`"));
        }
        authority
    }

    fn certificate(&mut self, files: &CertificateFiles) -> Option<Certificate> {
        let chain = self.file(&files.certificate.value, files.certificate.at, Sort::Certificates);
        let key = self.secret(&files.private_key);
        match Certificate::read(&chain?, &key?) {
            Ok(certificate) => {
                if let Err(untimely) = certificate.timely(clock::now()) {
                    let path = files.certificate.value.display();
                    let what = format!("the certificate in {path} {untimely}");
                    self.warnings.push(Problem::new(files.certificate.at, what));
                }
                Some(certificate)
            }
            Err((Blamed::Certificate, fault)) => {
                self.fault(&files.certificate, "certificate", fault);
                None
            }
            Err((Blamed::PrivateKey, fault)) => {
                let what = format!("the private key ({:?}) {fault}", files.private_key);
                self.problems.push(Problem::new(files.private_key.at, what));
                None
            }
        }
    }

    fn fault(&mut self, file: &Located<std::path::PathBuf>, sort: &str, fault: Fault) {
        let what = format!("the {sort} file {} {fault}", file.value.display());
        self.problems.push(Problem::new(file.at, what));
    }
}

/// What was compiled before, where it was compiled from the same: its sessions and connections go on.
fn kept<T>(before: Option<Arc<T>>, compiled: T, is_like: fn(&T, &T) -> bool) -> Arc<T> {
    before.filter(|before| is_like(before, &compiled)).unwrap_or_else(|| Arc::new(compiled))
}
