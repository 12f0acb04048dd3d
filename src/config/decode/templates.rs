//! Templates, and which holes each place of the file may have.

use serde_json::Value as Json;

use crate::config::decode::value::Value;
use crate::config::problems::{Wrong, closest, quoted};
use crate::config::raw::Content;
use crate::config::template::{Hole, Source, Template, Text};

/// A place that a template stands in, and what is known when it is filled.
#[derive(Clone)]
pub(crate) struct Place<'p> {
    /// "a claim", for messages.
    pub(crate) name: &'static str,
    /// What fills holes there.
    pub(crate) knows: &'static [Known],
    /// Tokens that were made then.
    pub(crate) tokens: Vec<&'p str>,
    /// Parameters of the path; none where several paths lead there.
    pub(crate) parameters: Option<Vec<&'p str>>,
}

/// What fills holes, by when it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Who asks.
    Credential,
    /// What they sent: body, query, head.
    Request,
    /// A parameter of the path.
    Path,
    /// Whom the token is for.
    Subject,
    /// What was granted: scopes, the family.
    Granted,
    /// The one scope of an error, and the others' text.
    Scope,
    /// Now, and what is random.
    Moment,
    /// A token that was made.
    Token,
    /// Why not.
    Refusal,
    /// The request's id.
    RequestId,
}

impl Place<'static> {
    /// `claims` of a token.
    pub(crate) const CLAIM: Self = Self::new(
        "a claim",
        &[
            Known::Credential,
            Known::Request,
            Known::Path,
            Known::Subject,
            Known::Granted,
            Known::Scope,
            Known::Moment,
        ],
    );
    /// `subject` of a token: what is known before anything else is.
    pub(crate) const SUBJECT: Self =
        Self::new("a subject", &[Known::Credential, Known::Request, Known::Path, Known::Moment]);
    /// `scopes.ceiling`: nothing that callers could choose for themselves.
    pub(crate) const CEILING: Self = Self::new("a ceiling", &[Known::Credential, Known::Path]);
    /// `act_as.id`: the same.
    pub(crate) const ACT_AS: Self = Self::new("`act_as`", &[Known::Credential]);
    /// `errors`.
    pub(crate) const ERROR: Self =
        Self::new("an error", &[Known::Refusal, Known::Scope, Known::Moment, Known::RequestId]);
    /// `metadata`.
    pub(crate) const METADATA: Self = Self::new("metadata", &[]);

    const fn new(name: &'static str, knows: &'static [Known]) -> Self {
        Self { name, knows, tokens: Vec::new(), parameters: None }
    }
}

impl<'p> Place<'p> {
    /// `answer` of an endpoint that makes these tokens.
    pub(crate) fn answer(tokens: Vec<&'p str>, parameters: Vec<&'p str>) -> Self {
        const KNOWN: &[Known] = &[
            Known::Credential,
            Known::Request,
            Known::Path,
            Known::Subject,
            Known::Granted,
            Known::Scope,
            Known::Moment,
            Known::Token,
            Known::RequestId,
        ];
        Self { name: "an answer", knows: KNOWN, tokens, parameters: Some(parameters) }
    }

    /// `subject` of what is revoked.
    pub(crate) fn revoked(parameters: Vec<&'p str>) -> Self {
        const KNOWN: &[Known] = &[Known::Credential, Known::Request, Known::Path];
        Self { name: "whom to revoke", knows: KNOWN, tokens: Vec::new(), parameters: Some(parameters) }
    }

    /// The same place, on a path with these parameters.
    pub(crate) fn on<'q>(self, parameters: Vec<&'q str>) -> Place<'q>
    where
        'p: 'q,
    {
        Place { parameters: Some(parameters), ..self }
    }

    /// Whether every hole is filled there.
    pub(crate) fn check(&self, text: &Text) -> Result<(), Wrong> {
        // What may stay empty may do so on a path that has no such parameter: a token is given out at several paths.
        let elsewhere = |hole: &Hole| hole.optional && matches!(hole.source, Source::Path(_));
        let mut holes = text.holes().filter(|hole| !(elsewhere(hole) && self.knows.contains(&Known::Path)));
        holes.try_for_each(|hole| self.check_source(&hole.source))
    }

    fn check_source(&self, source: &Source) -> Result<(), Wrong> {
        let shown = quoted(&format!("{{{}}}", source.written()));
        if !self.knows.contains(&known(source)) {
            return Err(Wrong::is(format!("has the hole {shown}, which {} does not know", self.name)));
        }
        let (name, among, what) = match source {
            Source::Path(name) => match &self.parameters {
                Some(parameters) => (name, parameters, "is no parameter of the path"),
                None => return Ok(()),
            },
            Source::Token(name) | Source::Expires(name) | Source::Lifetime(name) => {
                (name, &self.tokens, "is no token that is made here")
            }
            Source::Credential(_)
            | Source::Body(_)
            | Source::Query(_)
            | Source::Header(_)
            | Source::Subject
            | Source::Scopes
            | Source::Scope
            | Source::Session
            | Source::Now
            | Source::Uuid
            | Source::Random(_)
            | Source::Reason
            | Source::Message
            | Source::RequestId => return Ok(()),
        };
        if among.contains(&&**name) {
            return Ok(());
        }
        let wrong = Wrong::is(format!("has the hole {shown}: {} {what}", quoted(name)));
        Err(match closest(name, among.iter().copied()) {
            Some(near) => wrong.hint(format!("did you mean `{near}`?")),
            None => wrong,
        })
    }

    /// Reads a text with holes.
    pub(crate) fn text(&self, value: Value<'_>) -> Option<Text> {
        value.read(|text| self.read(text))
    }

    fn read(&self, text: &str) -> Result<Text, Wrong> {
        let text = Text::parse(text)?;
        self.check(&text).map(|()| text)
    }

    /// Reads JSON with holes. `{env: …}` is an object here like any other.
    pub(crate) fn template(&self, value: Value<'_>) -> Option<Template> {
        match &value.node.content {
            Content::Scalar(scalar) => match value.node.to_json() {
                Json::String(_) => {
                    let read = self.read(&scalar.text);
                    let told = |wrong: Wrong| value.blame(&scalar.text, wrong);
                    read.map_err(told).ok().map(Template::Text)
                }
                plain @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => {
                    Some(Template::Plain(plain))
                }
            },
            Content::Sequence(_) => {
                let items = value.list().into_iter().map(|item| self.template(item));
                // Every problem, and not the first alone.
                let items: Vec<Option<Template>> = items.collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Template::List)
            }
            Content::Mapping(entries) => {
                let member = |entry| {
                    let value: Value<'_> = Value::of(entry, value.report);
                    self.template(value).map(|template| (Box::from(&*entry.key), template))
                };
                let members: Vec<Option<_>> = entries.iter().map(member).collect();
                members.into_iter().collect::<Option<Vec<_>>>().map(Template::Object)
            }
        }
    }
}

fn known(source: &Source) -> Known {
    match source {
        Source::Credential(_) => Known::Credential,
        Source::Body(_) | Source::Query(_) | Source::Header(_) => Known::Request,
        Source::Path(_) => Known::Path,
        Source::Subject => Known::Subject,
        Source::Scopes | Source::Session => Known::Granted,
        Source::Scope => Known::Scope,
        Source::Now | Source::Uuid | Source::Random(_) => Known::Moment,
        Source::Token(_) | Source::Expires(_) | Source::Lifetime(_) => Known::Token,
        Source::Reason | Source::Message => Known::Refusal,
        Source::RequestId => Known::RequestId,
    }
}
