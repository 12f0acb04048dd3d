//! What an endpoint of the gateway's own is asked, and what it answers.
//!
//! The gate decides that a request goes to an endpoint, as it decides that one goes upstream; the data plane reads the body,
//! asks, and writes the answer down. Neither of them knows what an endpoint does.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::config::endpoint::Endpoint;
use crate::gate::denial::Reason;
use crate::gate::memo::TokenFacts;

/// A request to an endpoint, whole.
pub struct Call {
    /// Which endpoint.
    pub endpoint: Arc<Endpoint>,
    /// As sent.
    pub method: Box<str>,
    /// The host, lower-case.
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
