//! The usual scene: an upstream that knows nothing of tokens, one issuer, and the gateway before it.

use portcullis::gate::denial::Reason;

use crate::harness::audit::is_refusal;
use crate::harness::client::{Request, Response};
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;

/// A gateway with what stands before and behind it.
pub struct Api {
    /// The gateway; dropped first.
    pub gateway: Gateway,
    /// What it guards.
    pub upstream: Upstream,
    /// Whose tokens count.
    pub issuer: Issuer,
}

impl Api {
    /// With routes for reading and writing orders, `/me` and `/health`.
    #[track_caller]
    pub fn start() -> Self {
        Self::with(|setup| setup)
    }

    /// The same, changed.
    #[track_caller]
    pub fn with(change: impl FnOnce(Setup) -> Setup) -> Self {
        Self::with_issuer(Issuer::start(), |setup, issuer| change(setup.issuer("corp", issuer)))
    }

    /// With this issuer, which `change` has to name.
    #[track_caller]
    pub fn with_issuer(issuer: Issuer, change: impl FnOnce(Setup, &Issuer) -> Setup) -> Self {
        let upstream = Upstream::start();
        let setup = change(usual(&upstream), &issuer);
        Self { gateway: setup.start(), upstream, issuer }
    }

    /// A token that may read orders.
    pub fn reader(&self) -> String {
        self.issuer.mint("orders:read")
    }

    /// Sends a request that has to be refused for this reason without the upstream hearing of it.
    #[track_caller]
    pub fn refuses(&self, request: &Request, reason: Reason) -> Response {
        let before = self.upstream.count();
        let response = self.gateway.send(request);
        assert_refused(&response, reason);
        assert_eq!(self.upstream.count(), before, "I1: the upstream heard of it: {:?}", self.upstream.last());
        response
    }

    /// Sends a request that has to be allowed, and to reach the upstream once.
    #[track_caller]
    pub fn allows(&self, request: &Request) -> Response {
        let before = self.upstream.count();
        let response = self.gateway.send(request);
        assert_allowed(&response);
        assert_eq!(self.upstream.count(), before + 1, "one request in is one request out");
        response
    }

    /// `refuses` for a token on the readers' route.
    #[track_caller]
    pub fn refuses_token(&self, token: &str, reason: Reason) -> Response {
        self.refuses(&Request::get("/orders/1").bearer(token), reason)
    }

    /// `allows` for a token on the readers' route.
    #[track_caller]
    pub fn allows_token(&self, token: &str) -> Response {
        self.allows(&Request::get("/orders/1").bearer(token))
    }
}

/// The usual configuration, without an issuer.
pub fn usual(upstream: &Upstream) -> Setup {
    Gateway::new()
        .upstream(upstream)
        .route("GET /orders/{id}", "orders:read")
        .route("POST,PUT /orders", "orders:write")
        .route("GET /me", "authenticated")
        .route("/health", "public")
}

/// Fails unless the gateway refused for this reason.
#[track_caller]
pub fn assert_refused(response: &Response, reason: Reason) {
    assert!(is_refusal(response), "not refused for {}: {response:?}", reason.code());
    assert_eq!(
        (response.status, response.reason().as_str()),
        (reason.status(), reason.code()),
        "{response:?}"
    );
}

/// Fails unless the upstream's own answer came through.
#[track_caller]
pub fn assert_allowed(response: &Response) {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("x-upstream"), Some("yes"), "not the upstream's answer: {response:?}");
}
