//! One gateway before an upstream of either version, and clients of either.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::harness::client::{Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::h2::client::Client;
use crate::harness::h2::upstream as two;
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::upstream::{self as one, Seen, Then};

/// What one side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

/// Both sides of the gateway: the client's version, then the upstream's.
pub const PAIRS: [(Version, Version); 4] = [
    (Version::One, Version::One),
    (Version::One, Version::Two),
    (Version::Two, Version::One),
    (Version::Two, Version::Two),
];

/// The gateway and its upstreams, which answer alike below `/one` and `/two`.
pub struct Scene {
    pub gateway: Gateway,
    pub one: one::Upstream,
    pub two: two::Upstream,
    pub issuer: Issuer,
    /// When requests were given up, as the upstreams saw it.
    pub given_up: Arc<Mutex<Vec<Instant>>>,
}

impl Version {
    /// Where the upstream of this version is.
    pub fn path(self, rest: &str) -> String {
        match self {
            Self::One => format!("/one/{rest}"),
            Self::Two => format!("/two/{rest}"),
        }
    }
}

impl Scene {
    #[track_caller]
    pub fn start() -> Self {
        Self::with(|setup| setup)
    }

    #[track_caller]
    pub fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        let (one, two, issuer) = (one::Upstream::start(), two::Upstream::start(), Issuer::start());
        let given_up = Arc::default();
        script_one(&one, &given_up);
        script_two(&two, &given_up);
        let mut setup = Gateway::new()
            .upstream_as("one", &one.url())
            .upstream_as("two", &two.url())
            .issuer("corp", &issuer);
        for name in ["one", "two"] {
            setup = setup
                .route(&format!("/{name}/{{*rest}}"), &format!("{{require: public, upstream: {name}}}"))
                .route(
                    &format!("/{name}/orders"),
                    &format!(
                        "{{require: orders:read, upstream: {name}, forward: {{headers: {{X-User-Id: sub}}}}}}"
                    ),
                );
        }
        Self { gateway: change(setup).start(), one, two, issuer, given_up }
    }

    /// Sends a request on a connection of its own.
    #[track_caller]
    pub fn send(&self, client: Version, request: &Request) -> Response {
        match client {
            Version::One => self.gateway.send(request),
            Version::Two => self.client().send(request),
        }
    }

    /// A client that speaks HTTP/2.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.gateway.ports.public)
    }

    /// The last request that the upstream of this version got.
    #[track_caller]
    pub fn last(&self, upstream: Version) -> Seen {
        match upstream {
            Version::One => self.one.last(),
            Version::Two => self.two.last(),
        }
    }

    /// How many requests it got.
    pub fn count(&self, upstream: Version) -> usize {
        match upstream {
            Version::One => self.one.count(),
            Version::Two => self.two.count(),
        }
    }
}

fn script_one(upstream: &one::Upstream, given_up: &Arc<Mutex<Vec<Instant>>>) {
    const OK: &str = "HTTP/1.1 200 OK\r\nX-Upstream: yes\r\n";
    upstream.on("/one/echo", |exchange| {
        let body = exchange.body()?;
        exchange.answer_read(200, "X-Upstream: yes\r\n", &body)
    });
    upstream.on_raw("/one/head", format!("{OK}Content-Length: 42\r\n\r\n"), Then::Keep);
    upstream.on_raw("/one/204", "HTTP/1.1 204 No Content\r\nX-Upstream: yes\r\n\r\n", Then::Keep);
    upstream.on("/one/early", |exchange| {
        exchange.write(b"HTTP/1.1 413 Too Large\r\nX-Upstream: yes\r\nContent-Length: 5\r\n\r\nearly")?;
        Ok(Then::Close)
    });
    upstream.on_raw(
        "/one/trailers",
        format!("{OK}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-checksum: abc\r\nset-cookie: a=b\r\n\r\n"),
        Then::Keep,
    );
    upstream.on("/one/reset", |exchange| {
        exchange.body()?;
        exchange.write(format!("{OK}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").as_bytes())?;
        Ok(exchange.reset())
    });
    let given_up = Arc::clone(given_up);
    upstream.on("/one/hang", move |exchange| {
        exchange.body()?;
        while !matches!(exchange.read_some().as_deref(), Ok([]) | Err(_)) {}
        given_up.lock().expect("no test panics in here").push(Instant::now());
        Ok(Then::Close)
    });
}

fn script_two(upstream: &two::Upstream, given_up: &Arc<Mutex<Vec<Instant>>>) {
    upstream.on("/two/echo", |mut exchange| {
        Box::pin(async move {
            let body = exchange.body().await?;
            exchange.head(200, &[], body.is_empty())?;
            if body.is_empty() { Ok(()) } else { exchange.send(&body, true).await }
        })
    });
    upstream.on("/two/head", |mut exchange| {
        Box::pin(async move { exchange.head(200, &[("content-length", "42")], true) })
    });
    upstream.on("/two/204", |mut exchange| Box::pin(async move { exchange.head(204, &[], true) }));
    upstream.on("/two/early", |mut exchange| {
        Box::pin(async move {
            exchange.head(413, &[("content-length", "5")], false)?;
            exchange.send(b"early", true).await
        })
    });
    upstream.on("/two/trailers", |mut exchange| {
        Box::pin(async move {
            exchange.body().await?;
            exchange.head(200, &[], false)?;
            exchange.send(b"body", false).await?;
            exchange.trail(&[("x-checksum", "abc"), ("set-cookie", "a=b")])
        })
    });
    upstream.on("/two/reset", |mut exchange| {
        Box::pin(async move {
            exchange.body().await?;
            exchange.head(200, &[], false)?;
            // More than a window holds: when it is sent, the beginning has been read.
            exchange.send(&[b'a'; 200_000], false).await?;
            exchange.reset(h2::Reason::INTERNAL_ERROR);
            Ok(())
        })
    });
    let given_up = Arc::clone(given_up);
    upstream.on("/two/hang", move |mut exchange| {
        let given_up = Arc::clone(&given_up);
        Box::pin(async move {
            exchange.body().await?;
            exchange.given_up().await?;
            given_up.lock().expect("no test panics in here").push(Instant::now());
            Ok(())
        })
    });
}
