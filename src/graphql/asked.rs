//! What a request asks for: from its octets to the operations that the upstream will run.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::config::defaults::{GRAPHQL_ARGUMENTS_IN_ALL, GRAPHQL_BATCH_MAX};
use crate::config::graphql::{Bound, Counted, SafelistMode};
use crate::graphql::arguments;
use crate::graphql::envelope::{self, Brought, Envelope, Malformed, Name, Written};
use crate::graphql::head::{Incoming, Way};
use crate::graphql::parameters;
use crate::graphql::persisted::{DocumentHash, Sent};
use crate::graphql::plan::{Needs, Plan, Planned};
use crate::graphql::plans::Plans;
use crate::graphql::rejected::{Kind, Rejected};
use crate::graphql::rules::Rules;
use crate::token::json::document::Document;

#[cfg(test)]
pub(in crate::graphql) mod tests;

/// The operations of one request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// In order; one unless it is a list.
    pub items: SmallVec<[Item; 1]>,
    /// What is sent on instead of what was sent: of a body, of a message, or of what follows `?` where it came by `GET`.
    /// None where that goes on as it is.
    pub instead: Option<Arc<[u8]>>,
    /// The request was a list.
    pub batch: bool,
    /// What each is asked with, where a condition names that, and with `operations: strict` what every other of its document
    /// would be; none of one that could be read in two ways.
    pub arguments: Vec<Option<Arc<Document>>>,
    /// What it is past and that only warns, beside what its plans say.
    pub warnings: SmallVec<[&'static str; 3]>,
    /// The documents that are not on the safelist, which only logs that.
    pub unlisted: Vec<DocumentHash>,
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Item {
    /// The document's plan.
    pub plan: Arc<Plan>,
    /// Which of its operations.
    pub operation: usize,
}

/// What a worker knows of documents.
#[derive(Debug, Default)]
pub struct Documents {
    /// Their plans.
    pub plans: Plans,
    /// Those that clients have sent with their hashes.
    pub sent: Sent,
}

/// Reads what is asked for: what [`Incoming::wants_body`] has let pass, with its body.
pub fn read(
    rules: &Arc<Rules>,
    documents: &mut Documents,
    incoming: &Incoming<'_>,
) -> Result<Asked, Rejected> {
    let mut reading = Reading { rules, documents, arguments: GRAPHQL_ARGUMENTS_IN_ALL };
    match incoming.way {
        Way::Message(text) => reading.text(text, Bound { most: 0, warn: false }),
        Way::Request { method: "POST", body, .. } => {
            reading.text(body.unwrap_or_default(), rules.config.batch)
        }
        Way::Request { query, .. } => reading.query(query.unwrap_or_default()),
    }
}

struct Reading<'r> {
    rules: &'r Arc<Rules>,
    documents: &'r mut Documents,
    /// Octets of arguments that may be read yet.
    arguments: usize,
}

/// A document, found.
struct Found<'t> {
    document: Cow<'t, Written<'t>>,
    /// It was named, or comes with a name that has done its work: the request is written anew.
    anew: bool,
    /// It is not on the safelist, and runs.
    unlisted: Option<DocumentHash>,
    /// It is kept by this hash, its own.
    keep: Option<DocumentHash>,
}

/// One operation with its document.
struct Read<'t> {
    item: Item,
    arguments: Vec<Option<Arc<Document>>>,
    found: Found<'t>,
}

impl Reading<'_> {
    /// One operation, or a list of at most `most`, in JSON.
    fn text(&mut self, text: &[u8], most: Bound) -> Result<Asked, Rejected> {
        let body = self.rules.config.limits.body;
        let is_large = text.len() as u64 > body.most;
        if is_large && !body.warn {
            return Err(too_large());
        }
        let mut asked = self.brought(text, most)?;
        if is_large {
            asked.warnings.push("body");
        }
        if asked.batch && asked.items.len() as u64 > most.most {
            asked.warnings.push("batch");
        }
        Ok(asked)
    }

    fn brought(&mut self, text: &[u8], most: Bound) -> Result<Asked, Rejected> {
        let most = if most.warn { GRAPHQL_BATCH_MAX } else { most.most };
        let takes_lists = most > 0;
        match envelope::read(text, usize::try_from(most).unwrap_or(usize::MAX)).map_err(bad)? {
            Brought::One(envelope) => {
                let read = self.one(&envelope, envelope.variables())?;
                let instead = read.found.anew.then(|| {
                    let document = read.found.document.text();
                    let mut instead = Vec::with_capacity(text.len() + document.len());
                    envelope.write(&document, &mut instead);
                    Arc::from(instead)
                });
                Ok(Asked::one(read, instead))
            }
            Brought::List(_) | Brought::TooMany if !takes_lists => {
                Err(Rejected::new("BATCHING_NOT_ALLOWED", "a list of operations is not taken"))
            }
            Brought::TooMany => Err(Rejected::new("BATCH_LIMIT", "more operations in a list than are taken")),
            Brought::List(list) => self.list(&list),
        }
    }

    fn list(&mut self, list: &[(Envelope<'_>, &str)]) -> Result<Asked, Rejected> {
        if list.is_empty() {
            return Err(Rejected::new("BAD_REQUEST", "an empty list of operations"));
        }
        let read = list.iter().map(|(envelope, _)| self.one(envelope, envelope.variables()));
        let read: Vec<Read<'_>> =
            read.collect::<Result<_, _>>().map_err(|rejected| Rejected { list: list.len(), ..rejected })?;
        let anew = read.iter().any(|read| read.found.anew);
        let instead = anew.then(|| {
            let mut instead = vec![b'['];
            for ((envelope, text), read) in list.iter().zip(&read) {
                if instead.len() > 1 {
                    instead.push(b',');
                }
                match read.found.anew {
                    true => envelope.write(&read.found.document.text(), &mut instead),
                    false => instead.extend_from_slice(text.as_bytes()),
                }
            }
            instead.push(b']');
            Arc::from(instead)
        });
        let unlisted: Vec<DocumentHash> = read.iter().filter_map(|read| read.found.unlisted).collect();
        let warnings = warnings(&unlisted);
        let arguments = read.iter().flat_map(|read| read.arguments.iter().cloned()).collect();
        let items = read.into_iter().map(|read| read.item).collect();
        Ok(Asked { items, instead, batch: true, arguments, warnings, unlisted })
    }

    /// One operation in a URL.
    fn query(&mut self, query: &str) -> Result<Asked, Rejected> {
        let parameters = parameters::read(query).map_err(bad)?;
        let read = self.one(&parameters.envelope, parameters.variables.as_deref())?;
        if !read.item.planned().is_some_and(|planned| planned.is_safe) {
            return Err(Rejected::of(Kind::Method, "METHOD_NOT_ALLOWED", "a mutation comes by POST"));
        }
        let instead =
            read.found.anew.then(|| parameters.with(&read.found.document.text()).into_bytes().into());
        Ok(Asked::one(read, instead))
    }

    fn one<'t>(&mut self, envelope: &'t Envelope<'_>, variables: Option<&str>) -> Result<Read<'t>, Rejected> {
        let found = self.document(envelope)?;
        let plan = self.documents.plans.plan(self.rules, &found.document)?;
        if let Some(hash) = found.keep {
            self.documents.sent.keep(hash, &found.document.text());
        }
        let operation = plan.select(envelope.operation_name.as_deref())?;
        let item = Item { plan, operation };
        let arguments = self.arguments(&item, &found.document, variables);
        Ok(Read { item, arguments, found })
    }

    /// What a condition is to see of an operation, if there is one that does; and of those that a server could take for it.
    fn arguments(
        &mut self,
        item: &Item,
        document: &Written<'_>,
        variables: Option<&str>,
    ) -> Vec<Option<Arc<Document>>> {
        let Rules { config, .. } = &**self.rules;
        if !config.arguments {
            return Vec::new();
        }
        let operations = item.plan.operations.iter().enumerate();
        let counted =
            operations.filter(|(place, _)| config.operations == Counted::Strict || *place == item.operation);
        let read = arguments::read(&document.text(), counted, variables, &mut self.arguments);
        read.into_iter().map(|arguments| arguments.map(Arc::new)).collect()
    }

    /// The document that an envelope brings or names.
    fn document<'t>(&mut self, envelope: &'t Envelope<'_>) -> Result<Found<'t>, Rejected> {
        if envelope.id.is_some() && envelope.persisted.is_some() {
            return Err(Rejected::new("BAD_REQUEST", "two names for one document"));
        }
        if let Some(found) = self.listed(envelope)? {
            return Ok(found);
        }
        if envelope.id.is_some() {
            return Err(not_supported());
        }
        let mut found = match envelope.persisted {
            Some(_) => self.hashed(envelope)?,
            None => {
                let document = envelope.query.as_ref();
                let document = document.ok_or_else(|| Rejected::new("BAD_REQUEST", "no query"))?;
                Found { document: Cow::Borrowed(document), anew: false, unlisted: None, keep: None }
            }
        };
        match self.rules.listed.as_ref().filter(|listed| !listed.has(&found.document.text())) {
            Some(listed) if listed.mode == SafelistMode::Log => {
                found.unlisted = Some(DocumentHash::of(&found.document.text()));
            }
            Some(_) => {
                return Err(Rejected::new("QUERY_NOT_IN_SAFELIST", "the document is not on the safelist"));
            }
            None => {}
        }
        Ok(found)
    }

    /// The document that the safelist has under the envelope's name for it, if there is one. Where only names are taken,
    /// there is no other way.
    fn listed<'t>(&self, envelope: &'t Envelope<'_>) -> Result<Option<Found<'t>>, Rejected> {
        let Some(listed) = &self.rules.listed else { return Ok(None) };
        let hash = envelope.persisted.as_ref().map(|persisted| &*persisted.hash);
        let Some(name) = envelope.id.as_deref().or(hash) else {
            return match listed.mode {
                SafelistMode::Ids => Err(Rejected::new(
                    "PERSISTED_QUERY_ID_REQUIRED",
                    "documents are taken by their ids alone",
                )),
                SafelistMode::Log | SafelistMode::Enforce => Ok(None),
            };
        };
        let Some(text) = listed.by_id(name) else {
            // A hash may be that of a document that clients have sent.
            return match (hash, listed.mode) {
                (Some(_), SafelistMode::Log | SafelistMode::Enforce) => Ok(None),
                (Some(_), SafelistMode::Ids) | (None, _) => {
                    Err(Rejected::new("PERSISTED_QUERY_NOT_FOUND", "the safelist has no document of this id"))
                }
            };
        };
        if envelope.query.as_ref().is_some_and(|query| query.text() != text) {
            return Err(Rejected::new("BAD_REQUEST", "the document is not the one of its id"));
        }
        Ok(Some(Found::named(text.to_owned())))
    }

    /// The document of `extensions.persistedQuery`.
    fn hashed<'t>(&mut self, envelope: &'t Envelope<'_>) -> Result<Found<'t>, Rejected> {
        let automatic = self.rules.config.persisted.automatic;
        let Some(persisted) = envelope.persisted.as_ref().filter(|persisted| persisted.is_known) else {
            return Err(not_supported());
        };
        let hash = DocumentHash::read(&persisted.hash);
        if let Some(document) = &envelope.query {
            let hash = hash.filter(|hash| *hash == DocumentHash::of(&document.text()));
            if hash.is_none() {
                return Err(Rejected::new("BAD_REQUEST", "the document does not have this hash"));
            }
            let (document, keep) = (Cow::Borrowed(document), hash.filter(|_| automatic));
            // The hash has done its work: an upstream that knows hashes would learn this one past us.
            return Ok(Found { document, anew: true, unlisted: None, keep });
        }
        if !automatic {
            return Err(not_supported());
        }
        match hash.and_then(|hash| self.documents.sent.find(hash)) {
            Some(text) => Ok(Found::named((*text).to_owned())),
            None => Err(Rejected::of(Kind::NotFound, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")),
        }
    }
}

impl Found<'_> {
    /// One that was named.
    fn named(text: String) -> Self {
        let document = Cow::Owned(Written::Plain(text.into()));
        Self { document, anew: true, unlisted: None, keep: None }
    }
}

impl Envelope<'_> {
    /// `variables`, as they stand.
    fn variables(&self) -> Option<&str> {
        let member = self.members.iter().find(|member| member.name == Name::Variables);
        member.map(|member| member.value)
    }

    /// Appends it with this document, and nothing that names one.
    pub(in crate::graphql) fn write(&self, document: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"query\":");
        envelope::quote(document, out);
        for member in &self.members {
            match member.name {
                Name::Query | Name::Id | Name::Extensions => {}
                Name::OperationName | Name::Variables | Name::Other => {
                    out.push(b',');
                    envelope::quote(&member.key, out);
                    out.push(b':');
                    out.extend_from_slice(member.value.as_bytes());
                }
                // They are no members of an operation.
                Name::PersistedQuery | Name::Hash | Name::Version => {}
            }
        }
        if let Some(extensions) = envelope::others(&self.extensions) {
            out.extend_from_slice(b",\"extensions\":");
            out.extend_from_slice(extensions.as_bytes());
        }
        out.push(b'}');
    }
}

impl Asked {
    fn one(read: Read<'_>, instead: Option<Arc<[u8]>>) -> Self {
        let unlisted: Vec<DocumentHash> = read.found.unlisted.into_iter().collect();
        let warnings = warnings(&unlisted);
        let Read { item, arguments, .. } = read;
        Self { items: [item].into(), instead, batch: false, arguments, warnings, unlisted }
    }

    /// What it is past and that only warns, each once.
    pub fn warned(&self) -> SmallVec<[&'static str; 3]> {
        let mut all = self.warnings.clone();
        for warning in self.items.iter().flat_map(|item| item.plan.warnings.iter()) {
            if !all.contains(warning) {
                all.push(warning);
            }
        }
        all
    }

    /// Whether none of it needs a token.
    pub fn is_public(&self) -> bool {
        self.items.iter().all(|item| item.needs().is_some_and(|needs| !needs.token))
    }
}

impl Item {
    /// The operation.
    pub fn planned(&self) -> Option<&Planned> {
        self.plan.operations.get(self.operation)
    }

    /// What it needs; none where there is no such operation, which then is for nobody.
    pub fn needs(&self) -> Option<&Needs> {
        self.planned().map(|planned| &planned.needs)
    }
}

fn warnings(unlisted: &[DocumentHash]) -> SmallVec<[&'static str; 3]> {
    if unlisted.is_empty() { SmallVec::new() } else { smallvec!["safelist"] }
}

fn bad(malformed: Malformed) -> Rejected {
    Rejected::new("BAD_REQUEST", malformed.0)
}

fn not_supported() -> Rejected {
    Rejected::new("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
}

fn too_large() -> Rejected {
    Rejected::of(Kind::TooLarge, "BODY_TOO_LARGE", "more than is taken of a request")
}
