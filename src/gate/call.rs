//! What an endpoint of the gateway's own is asked, and what it answers.
//!
//! The gate decides that a request goes to an endpoint, as it decides that one goes upstream; the data plane reads the body,
//! asks, and writes the answer down. Neither of them knows what an endpoint does.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::config::Issuer;
use crate::config::endpoint::Endpoint;
use crate::gate::denial::{Denial, Reason};
use crate::gate::memo::TokenFacts;
use crate::policy::route::CompiledRoute;

/// A request is for an endpoint. Made by the gate alone; it knows no upstream.
#[derive(Debug)]
pub struct Called {
    pub(in crate::gate) route: Arc<CompiledRoute>,
    pub(in crate::gate) endpoint: Arc<Endpoint>,
    /// Whose token was let through, if it was one; it may have been refused.
    pub(in crate::gate) issuer: Option<Arc<Issuer>>,
    pub(in crate::gate) facts: Option<Arc<TokenFacts>>,
    pub(in crate::gate) refused: Option<Denial>,
}

impl Called {
    /// The route that leads to it.
    pub fn route(&self) -> &Arc<CompiledRoute> {
        &self.route
    }

    /// Which it is.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The issuer of the request's token, as far as that was found out.
    pub fn issuer(&self) -> Option<&Arc<Issuer>> {
        self.issuer.as_ref()
    }

    /// What the endpoint's credential says, where it is a token and was let through.
    pub fn facts(&self) -> Option<&Arc<TokenFacts>> {
        self.facts.as_ref()
    }

    /// Why it was not: the endpoint words it.
    pub fn refused(&self) -> Option<&Denial> {
        self.refused.as_ref()
    }
}

/// A request to an endpoint, whole.
pub struct Call {
    /// Which endpoint.
    pub endpoint: Arc<Endpoint>,
    /// As sent.
    pub method: Box<str>,
    /// Host and port as the client asked for them, as far as that can be believed, lower-case.
    pub host: Box<str>,
    /// `https` or `http`, as the client sees it.
    pub scheme: &'static str,
    /// Parameters of the path, by name.
    pub parameters: Vec<(Box<str>, Box<str>)>,
    /// What follows `?`, as sent.
    pub query: Option<Box<str>>,
    /// Header lines in order: names lower-case, values as sent.
    pub headers: Vec<(Box<str>, Box<[u8]>)>,
    /// The body, whole.
    pub body: Vec<u8>,
    /// The client's address.
    pub peer: IpAddr,
    /// For logs and answers.
    pub request_id: Box<str>,
    /// Whoever the gate let through, where the endpoint's credential is a token.
    pub caller: Option<Arc<TokenFacts>>,
    /// Why the gate did not let it through: the answer says so. Otherwise the gate has.
    pub refused: Option<Reason>,
}

impl fmt::Debug for Call {
    /// Without anything that a client sent: credentials are in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("endpoint", &self.endpoint.name).finish_non_exhaustive()
    }
}

/// An endpoint's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Lines of its head: names lower-case. Its length, `cache-control: no-store` and CORS are added by whoever writes it.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Its body.
    pub body: Vec<u8>,
    /// For the access log: what it came to, of a closed set.
    pub result: &'static str,
}

/// Asks the authority. `app` wires.
pub type AskAuthority = Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Answered> + Send>> + Send + Sync>;
