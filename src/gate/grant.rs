//! The one thing that opens the way upstream.

use std::sync::Arc;

use crate::config::{Cors, Issuer, Upstream};
use crate::gate::denial::Denial;
use crate::gate::memo::TokenFacts;
use crate::gate::reserved::Reserved;
use crate::graphql::asked::Asked;
use crate::graphql::merged::LeftOut;
use crate::policy::route::{CompiledRoute, Upward};
use crate::tls::client::ClientTls;

/// A request may go upstream, as this route, with this identity.
///
/// Invariant: made only by the gate, at the end of its path, and the only thing that names an upstream. It owns
/// small `Arc`s, never a snapshot: a connection that lives ten hours pins nothing.
#[derive(Debug)]
pub struct Grant {
    pub(in crate::gate) route: Arc<CompiledRoute>,
    pub(in crate::gate) upward: Arc<Upward>,
    pub(in crate::gate) identity: Identity,
    pub(in crate::gate) headers: Vec<(Box<str>, String)>,
    pub(in crate::gate) shadow: Option<Denial>,
    pub(in crate::gate) asked: Option<Arc<Asked>>,
    pub(in crate::gate) narrowed: Option<Box<Narrowed>>,
    pub(in crate::gate) reserved: Option<Box<Reserved>>,
}

/// An operation that goes on without some of its fields.
#[derive(Debug)]
pub struct Narrowed {
    /// What its client is told of them.
    pub left_out: LeftOut,
    /// The forms of an answer that it can be told in, and that the client takes: `Accept` of what is sent on.
    pub accept: &'static str,
}

/// Who is asking.
#[derive(Debug, Clone)]
pub enum Identity {
    /// Nobody in particular: a public route, or a shadowed refusal.
    Anonymous,
    /// Whoever this token speaks for.
    Token {
        /// What was verified.
        facts: Arc<TokenFacts>,
        /// By whose keys.
        issuer: Arc<Issuer>,
    },
}

impl Narrowed {
    /// What is left out, in words.
    pub(in crate::gate) fn told(&self) -> String {
        let keys = self.left_out.keys.iter();
        let goes: Vec<&str> = keys.filter(|key| key.refused.is_some()).map(|key| &*key.name).collect();
        format!("sent on without {}", goes.join(" "))
    }
}

impl Grant {
    /// The route it is for.
    pub fn route(&self) -> &Arc<CompiledRoute> {
        &self.route
    }

    /// Where it leads.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upward.upstream
    }

    /// Its index in the configuration.
    pub fn upstream_index(&self) -> usize {
        self.upward.index
    }

    /// What the upstream's `https` peers are met with. Without, those cannot be reached.
    pub fn upstream_tls(&self) -> Option<&Arc<ClientTls>> {
        self.upward.tls.as_ref()
    }

    /// Who is asking.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The identity headers to set, already fit for the wire. All configured ones are removed first.
    pub fn headers(&self) -> &[(Box<str>, String)] {
        &self.headers
    }

    /// The refusal that a shadowed route did not act on.
    pub fn shadow(&self) -> Option<&Denial> {
        self.shadow.as_ref()
    }

    /// The operations that it is for, on a route that judges them.
    pub fn asked(&self) -> Option<&Arc<Asked>> {
        self.asked.as_ref()
    }

    /// What is not sent on of an operation that is.
    pub fn narrowed(&self) -> Option<&Narrowed> {
        self.narrowed.as_deref()
    }

    /// What it has to do with a reserved event stream.
    pub fn reserved(&self) -> Option<&Reserved> {
        self.reserved.as_deref()
    }

    /// The route's CORS rule.
    pub fn cors(&self) -> Option<&Cors> {
        self.route.config.cors.as_ref()
    }
}

impl Identity {
    /// The issuer's name, for labels.
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Token { issuer, .. } => Some(&issuer.name),
        }
    }

    /// The subject.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Token { facts, .. } => facts.subject(),
        }
    }
}
