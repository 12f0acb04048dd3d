//! A WebSocket whose messages are GraphQL operations, each decided by itself.
//!
//! Its handshake is let in without a token: whether one is needed depends on the operation. The page that opens it was
//! asked about before ([`crate::gate::websocket`]), and is again with each operation.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::gate::denial::{Advice, Denial, Reason};
use crate::gate::evidence::Presented;
use crate::gate::{Request, credential};
use crate::graphql::conversation::message::Protocol;
use crate::graphql::rejected::Rejected;
use crate::policy::route::CompiledRoute;

/// A handshake that the gateway answers by itself. Made by the gate alone; it knows no upstream: the grants of its messages
/// do.
#[derive(Debug)]
pub struct Conversation {
    route: Arc<CompiledRoute>,
    protocol: Protocol,
    both: bool,
    own: Option<Presented>,
}

impl Conversation {
    /// The route that it is on.
    pub fn route(&self) -> &Arc<CompiledRoute> {
        &self.route
    }

    /// What is spoken in it.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether its client speaks the other protocol too.
    pub fn speaks_both(&self) -> bool {
        self.both
    }

    /// Whether the handshake itself brought another token than this: which of them counts could not be told
    /// (RFC 6750 section 2).
    pub fn contradicts(&self, token: &str) -> bool {
        self.own.as_ref().is_some_and(|Presented(own)| ***own != *token)
    }
}

/// Opens one, in a protocol that the handshake offers.
///
/// One that offers none is refused instead of being let in and closed: a browser drops a connection whose 101 names no
/// protocol that it asked for, and would not be told anything.
pub(in crate::gate) fn open(
    request: &Request<'_>,
    route: &Arc<CompiledRoute>,
) -> Result<Conversation, Denial> {
    let lines =
        request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"sec-websocket-protocol"));
    let offered = lines.filter_map(|field| std::str::from_utf8(field.value).ok());
    let offered = offered.flat_map(|value| value.split(',')).map(str::trim_ascii);
    let Some(protocol) = Protocol::chosen(offered.clone()) else {
        const WHY: &str = "Sec-WebSocket-Protocol offers neither graphql-transport-ws nor graphql-ws";
        let rejected = Rejected::new("BAD_REQUEST", WHY);
        return Err(Denial::new(Reason::GraphqlRejected, WHY).advice(Advice::Operation(rejected.into())));
    };
    let both = offered.filter_map(Protocol::named).any(|other| other != protocol);
    // What is wrong with a credential is said to the first operation that needs one.
    let own = credential::find(request, &route.places).ok().and_then(|credential| credential.token().ok());
    let own = own.map(|token| Presented(Zeroizing::new(token.into())));
    Ok(Conversation { route: Arc::clone(route), protocol, both, own })
}
