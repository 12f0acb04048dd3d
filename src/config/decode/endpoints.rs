//! `endpoints`.

use std::sync::Arc;

use crate::config::credential::{Credential, CredentialKind, CredentialPlace, Reader};
use crate::config::decode::errors;
use crate::config::decode::fields::Fields;
use crate::config::decode::forward;
use crate::config::decode::grants::{check_access, check_clients, check_refresh};
use crate::config::decode::issue;
use crate::config::decode::issuers::Issuers;
use crate::config::decode::names::{self, Named, Names};
use crate::config::decode::readers;
use crate::config::decode::templates::Place;
use crate::config::decode::ties::Ties;
use crate::config::decode::value::Value;
use crate::config::defaults::{ENDPOINTS, ISSUED};
use crate::config::endpoint::{Action, Endpoint, Refresh, Revoke, Revoked, Selection};
use crate::config::forward::Forward;
use crate::config::minted::{Format, Minted};
use crate::config::pattern::{self, RouteKey};
use crate::config::problems::{Position, Problem, Wrong, quoted};
use crate::config::shape;
use crate::config::streams::Streams;
use crate::config::websocket::WebSocket;
use crate::config::{Enforce, Require, Requirement, Route};

/// What endpoints refer to.
pub(crate) struct Around<'n> {
    /// `tokens`.
    pub(crate) tokens: &'n Named<Minted>,
    /// Their names.
    pub(crate) token_names: Names<'n>,
    /// `credentials`.
    pub(crate) credentials: &'n Named<Credential>,
    /// Their names.
    pub(crate) credential_names: Names<'n>,
    /// All issuers.
    pub(crate) issuers: &'n Issuers<'n>,
    /// What is given out together: tokens' names, an endpoint a list.
    pub(crate) together: Vec<Vec<String>>,
}

/// An endpoint being read.
pub(crate) struct Here<'a> {
    /// Its keys.
    pub(crate) fields: &'a Fields<'a>,
    /// What it refers to.
    pub(crate) around: &'a Around<'a>,
    /// Parameters of its path.
    pub(crate) parameters: &'a [&'a str],
}

impl<'n> Around<'n> {
    /// What the endpoints of one file refer to.
    pub(crate) fn new(
        file: &Fields<'_>,
        tokens: &'n Named<Minted>,
        credentials: &'n Named<Credential>,
        issuers: &'n Issuers<'n>,
    ) -> Self {
        let mut together = Vec::new();
        for entry in file.entry("endpoints").into_iter().flat_map(|entry| entry.value.entries()) {
            let issue = entry.value.get("issue").map(|issue| issue.value.scalars()).unwrap_or_default();
            let grants = entry.value.get("grants").map(|grants| &grants.value);
            let granted =
                grants.into_iter().flat_map(|node| node.entries()).flat_map(|entry| entry.value.scalars());
            together.push(issue);
            together.push(granted.collect());
        }
        Self {
            tokens,
            token_names: tokens.names("token"),
            credentials,
            credential_names: credentials.names("credential"),
            issuers,
            together,
        }
    }

    /// A token by its name.
    pub(crate) fn token(&self, value: Value<'_>) -> Option<Arc<Minted>> {
        self.tokens.get(self.token_names.find(value)?).cloned()
    }

    /// A credential by its name.
    pub(crate) fn credential(&self, value: Value<'_>) -> Option<Arc<Credential>> {
        self.credentials.get(self.credential_names.find(value)?).cloned()
    }
}

/// Endpoints, and the routes that lead to them.
pub(crate) type Answering = (Vec<Arc<Endpoint>>, Vec<Arc<Route>>);

/// Reads `endpoints`, and the routes that lead to them.
pub(crate) fn endpoints<'a>(file: &Fields<'a>, around: &Around<'_>, ties: &mut Ties) -> Answering {
    let example = "POST /token: {issue: access, credential: clients}";
    let entries = file.value("endpoints").map(|value| value.named(example)).unwrap_or_default();
    if let Some(entry) = entries.get(ENDPOINTS) {
        file.report.problem(Problem::new(entry.at, format!("more than {ENDPOINTS} endpoints")));
    }
    let (mut endpoints, mut routes) = (Vec::new(), Vec::new());
    for entry in entries.iter().take(ENDPOINTS) {
        let key = match pattern::read_key(&entry.key) {
            Ok(key) => key,
            Err(wrong) => {
                let problem =
                    Problem::new(entry.at, format!("the endpoint {} {}", quoted(&entry.key), wrong.what));
                file.report.problem(Problem { hint: wrong.hint, ..problem });
                continue;
            }
        };
        ties.check(file.report, &key, &entry.key, entry.at);
        let value = Value::of(entry, file.report);
        let parameters = parameters(&key);
        let read = Fields::open(value, &shape::endpoint::ENDPOINT)
            .and_then(|fields| endpoint(&entry.key, entry.at, &fields, around, &parameters));
        if let Some((endpoint, route)) = read {
            let endpoint = Arc::new(endpoint);
            routes.push(Arc::new(lead(key, &endpoint, route)));
            endpoints.push(endpoint);
        }
    }
    (endpoints, routes)
}

/// What the route to an endpoint has of its own.
#[derive(Default)]
pub(crate) struct Lead {
    require: Option<Requirement>,
    cors: Option<crate::config::Cors>,
}

/// The route that leads to an endpoint.
pub(crate) fn lead(key: RouteKey, endpoint: &Arc<Endpoint>, lead: Lead) -> Route {
    let errors = (!endpoint.errors.0.is_empty()).then(|| Arc::clone(&endpoint.errors));
    Route {
        name: endpoint.name.clone(),
        at: endpoint.at,
        methods: key.methods,
        host: key.host,
        path: key.path,
        require: lead.require.map_or(Require::Public, Require::Token),
        forward: Forward::default(),
        cors: lead.cors,
        websocket: WebSocket::Never,
        streams: Streams::default(),
        upstream: 0,
        endpoint: Some(Arc::clone(endpoint)),
        errors,
        enforce: Enforce::default(),
        dangerous_path: false,
    }
}

fn parameters(key: &RouteKey) -> Vec<&str> {
    key.path.parameters().collect()
}

fn endpoint(
    key: &str,
    at: Position,
    fields: &Fields<'_>,
    around: &Around<'_>,
    parameters: &[&str],
) -> Option<(Endpoint, Lead)> {
    let name = fields
        .value("name")
        .and_then(|value| value.read(|text| names::check_label(text).map(|()| Box::from(text))));
    let cors = fields.value("cors").and_then(forward::cors);
    let attempts = u32::try_from(fields.whole("attempts")).unwrap_or(u32::MAX);
    let here = Here { fields, around, parameters };
    let actions = ["issue", "refresh", "revoke", "introspect", "key_set", "metadata", "resource", "grants"];
    let (does, value) = fields.one_of(&actions)?;
    here.refuse_strays(does);
    let mut reasons: Vec<Box<str>> = Vec::new();
    let mut made: Vec<String> = Vec::new();
    let action = match does {
        "issue" => issue::issue(&here, value).map(|issue| {
            reasons.extend(issue.require.iter().map(|member| member.error.clone()));
            made.extend(issue.tokens.iter().map(|token| token.name.to_string()));
            Action::Issue(issue)
        }),
        "refresh" => here.refresh(value).map(|refresh| {
            let name = refresh.token.name.to_string();
            let families = around.together.iter().filter(|family| family.contains(&name));
            made.extend(families.flatten().cloned().chain([name.clone()]));
            Action::Refresh(refresh)
        }),
        "revoke" => here.revoke(value).map(Action::Revoke),
        "introspect" => here.introspect(value),
        "key_set" => here.key_set(value),
        "metadata" => Place::METADATA.template(value).map(Action::Metadata),
        "resource" => Fields::open(value, &shape::endpoint::RESOURCE).map(|_| Action::Resource),
        _ => here.grants(value),
    };
    let reasons: Vec<&str> = reasons.iter().map(|reason| &**reason).collect();
    let errors = fields.value("errors").map(|value| errors::of_endpoint(value, &reasons));
    let made = made.iter().map(String::as_str).collect();
    let answer =
        fields.value("answer").map(|value| errors::answer(value, &Place::answer(made, parameters.to_vec())));
    let action = action?;
    here.refuse_idle_attempts(&action);
    let require = action.selection().and_then(trusted);
    let endpoint = Endpoint {
        name: name.unwrap_or_else(|| key.into()),
        at,
        action,
        answer: match answer {
            Some(answer) => Some(answer?),
            None => None,
        },
        errors: match errors {
            Some(errors) => errors?,
            None => Arc::default(),
        },
        attempts,
    };
    Some((endpoint, Lead { require, cors }))
}

/// What the route requires where the credential is a token.
fn trusted(selection: &Selection) -> Option<Requirement> {
    match selection {
        Selection::One(credential) => match credential.kind {
            CredentialKind::Issuer(index) => {
                Some(Requirement { issuers: vec![index], ..Requirement::default() })
            }
            CredentialKind::ApiKeys(_) | CredentialKind::People(_) => None,
        },
        Selection::By { .. } => None,
    }
}

impl<'a> Here<'a> {
    /// Refuses keys that say nothing about what the endpoint does.
    fn refuse_strays(&self, does: &str) {
        let known: &[&str] = match does {
            "issue" => {
                &["credential", "require", "scopes", "act_as", "reuse", "answer", "errors", "attempts"]
            }
            "refresh" => &["credential", "from", "answer", "errors", "attempts"],
            "revoke" => &["credential", "from", "family", "subject", "answer", "errors", "attempts"],
            "introspect" => &["credential", "from", "errors", "attempts"],
            "grants" => &["credential", "errors", "attempts"],
            _ => &["errors"],
        };
        let all = [
            "credential",
            "from",
            "family",
            "subject",
            "require",
            "scopes",
            "act_as",
            "reuse",
            "answer",
            "errors",
            "attempts",
        ];
        for entry in
            all.iter().filter(|name| !known.contains(name)).filter_map(|name| self.fields.entry(name))
        {
            let what = format!("`{}` says nothing about `{does}`", entry.key);
            self.fields.report.problem(Problem::new(entry.at, what).hint("leave it out"));
        }
    }

    /// Refuses `attempts` where there is nothing to guess that could be counted.
    fn refuse_idle_attempts(&self, action: &Action) {
        let Some(entry) = self.fields.entry("attempts").filter(|_| !action.counts_attempts()) else { return };
        let what = "`attempts` counts nothing here: no API key or password is shown to this endpoint";
        self.fields.report.problem(Problem::new(entry.at, what).hint("leave it out"));
    }

    /// Tokens by name, each once; `fits` says what is wrong with one.
    pub(crate) fn tokens(
        &self,
        value: Value<'_>,
        fits: impl Fn(&Minted) -> Result<(), Wrong>,
    ) -> Option<Vec<Arc<Minted>>> {
        let values = value.some();
        if let Some(value) = values.get(ISSUED) {
            value.problem(format!("more than {ISSUED} tokens"));
        }
        let mut tokens: Vec<Arc<Minted>> = Vec::new();
        let mut clean = !values.is_empty();
        for value in values.into_iter().take(ISSUED) {
            let Some(token) = self.around.token(value) else {
                clean = false;
                continue;
            };
            if let Err(wrong) = fits(&token) {
                value.blame(&token.name, wrong);
            }
            if tokens.iter().any(|other| other.name == token.name) {
                value.problem(format!("{} is there twice", quoted(&token.name)));
            }
            tokens.push(token);
        }
        clean.then_some(tokens)
    }

    /// `credential`, if it is given.
    pub(crate) fn credential(&self) -> Option<Option<Selection>> {
        let Some(value) = self.fields.value("credential") else {
            return self.fields.entry("credential").is_none().then_some(None);
        };
        if value.is_scalar() {
            let credential = self.around.credential(value)?;
            self.check_place(value, &credential.from, &credential);
            return Some(Some(Selection::One(credential)));
        }
        let fields = Fields::open(value, &shape::endpoint::SELECTION)?;
        let reader = fields.value("by").and_then(|value| self.reader(value));
        let mut of = Vec::new();
        let entries = fields.value("of").map(|value| value.named("key: clients")).unwrap_or_default();
        if let (true, Some(entry)) = (entries.is_empty(), fields.entry("of")) {
            fields.report.problem(Problem::new(entry.at, "`of` names no credential"));
        }
        for entry in entries {
            let value = Value::of(entry, fields.report);
            let Some(credential) = self.around.credential(value) else { continue };
            if let CredentialKind::Issuer(_) = credential.kind {
                value.problem_with_hint(
                    format!(
                        "{} is a token, which no word of the request can choose",
                        quoted(&credential.name)
                    ),
                    "give it an endpoint of its own",
                );
            }
            self.check_place(value, &credential.from, &credential);
            of.push((Box::from(&*entry.key), credential));
        }
        Some(Some(Selection::By { reader: reader?, of }))
    }

    /// `credential`, which has to be given.
    pub(crate) fn required_credential(&self, does: &str) -> Option<Selection> {
        let credential = self.credential()?;
        if credential.is_none() {
            let what = format!("`{does}` without a `credential`: anybody could ask");
            let problem = Problem::new(self.fields.at, what);
            self.fields.report.problem(problem.hint("name one of `credentials`: `credential: clients`"));
        }
        credential
    }

    fn check_place(&self, value: Value<'_>, from: &CredentialPlace, credential: &Credential) {
        for reader in readers::places(from) {
            if let Err(wrong) = readers::check_path(reader, self.parameters) {
                value.problem(format!("{} is read from the path: {}", quoted(&credential.name), wrong.what));
            }
        }
    }

    /// A place of the request to this endpoint.
    pub(crate) fn reader(&self, value: Value<'_>) -> Option<Reader> {
        let reader = readers::reader(value)?;
        self.check_reader(value, &reader);
        Some(reader)
    }

    /// Whether the path has what is read from it.
    pub(crate) fn check_reader(&self, value: Value<'_>, reader: &Reader) {
        if let Err(wrong) = readers::check_path(reader, self.parameters) {
            value.report.problem(Problem { hint: wrong.hint, ..Problem::new(value.node.at, wrong.what) });
        }
    }

    /// `from`, each place once.
    fn from(&self, default: Reader) -> Option<Vec<Reader>> {
        let Some(value) = self.fields.value("from") else {
            return self.fields.entry("from").is_none().then(|| vec![default]);
        };
        let mut from = Vec::new();
        for value in value.some() {
            let reader = self.reader(value)?;
            if from.contains(&reader) {
                value.problem("this place is there twice");
            }
            from.push(reader);
        }
        (!from.is_empty()).then_some(from)
    }

    fn refresh(&self, value: Value<'_>) -> Option<Refresh> {
        let token = self.around.token(value)?;
        let default = match token.format {
            Format::Refresh { .. } => Reader::Body("refresh_token".into()),
            Format::Jwt { .. } => Reader::Bearer,
            Format::Opaque { .. } => {
                value.problem_with_hint(
                    format!("{} is opaque, and does not refresh itself", quoted(&token.name)),
                    "name a refresh token that is issued with it, or a JWT",
                );
                Reader::Bearer
            }
        };
        let (from, credential) = (self.from(default), self.credential());
        let name = token.name.to_string();
        if let (Format::Refresh { .. }, false) =
            (&token.format, self.around.together.iter().any(|one| one.contains(&name)))
        {
            value.problem_with_hint(
                format!("{} is issued by no endpoint", quoted(&token.name)),
                format!("name it beside what it refreshes: `issue: [access, {name}]`"),
            );
        }
        Some(Refresh { token, from: from?, credential: credential? })
    }

    fn revoke(&self, value: Value<'_>) -> Option<Revoke> {
        let tokens = self.tokens(value, |_| Ok(()));
        let (family, credential) = (self.fields.flag("family"), self.credential());
        let Some(subject) = self.fields.value("subject") else {
            let from = self.from(Reader::Body("token".into()));
            let what = Revoked::Presented { tokens: tokens?, from: from?, family };
            return Some(Revoke { what, credential: credential? });
        };
        for stray in ["from", "family"].iter().filter_map(|name| self.fields.entry(name)) {
            let what = format!("`{}` where every token of a subject is revoked", stray.key);
            self.fields.report.problem(Problem::new(stray.at, what).hint("leave it out"));
        }
        let subject = Place::revoked(self.parameters.to_vec()).text(subject);
        let credential = credential?;
        if credential.is_none() {
            let problem = Problem::new(self.fields.at, "anybody could revoke the tokens of everybody");
            self.fields.report.problem(problem.hint("say who may: `credential: server_key`"));
        }
        Some(Revoke { what: Revoked::Subject { tokens: tokens?, subject: subject? }, credential })
    }

    fn introspect(&self, value: Value<'_>) -> Option<Action> {
        let tokens = self.tokens(value, |_| Ok(()));
        let credential = self.required_credential("introspect");
        let mut from = self.from(Reader::Body("token".into()))?;
        if let (true, Some(entry)) = (from.len() > 1, self.fields.entry("from")) {
            self.fields.report.problem(Problem::new(entry.at, "`introspect` takes a token from one place"));
        }
        let from = from.pop()?;
        Some(Action::Introspect { credential: credential?, tokens: tokens?, from })
    }

    fn key_set(&self, value: Value<'_>) -> Option<Action> {
        let fits = |token: &Minted| match &token.format {
            Format::Jwt { sign, .. } if sign.algorithm().is_symmetric() => {
                Err(Wrong::is("is signed with a secret, which is shown to nobody"))
            }
            Format::Jwt { .. } => Ok(()),
            Format::Opaque { .. } | Format::Refresh { .. } => Err(Wrong::is("is no JWT, and has no keys")),
        };
        self.tokens(value, fits).map(Action::KeySet)
    }

    fn grants(&self, value: Value<'_>) -> Option<Action> {
        let own = Fields::open(value, &shape::endpoint::GRANTS)?;
        let access = own.value("access").and_then(|value| {
            let token = self.around.token(value)?;
            check_access(&token).map_err(|wrong| value.blame(&token.name, wrong)).ok()?;
            Some(token)
        });
        let refresh = own.value("refresh").map(|value| {
            let token = self.around.token(value)?;
            check_refresh(&token).map_err(|wrong| value.blame(&token.name, wrong)).ok()?;
            Some(token)
        });
        let clients = self.required_credential("grants")?;
        if let Some(entry) = self.fields.entry("credential") {
            check_clients(&clients)
                .map_err(|what| self.fields.report.problem(Problem::new(entry.at, what)))
                .ok()?;
        }
        let refresh = match refresh {
            Some(refresh) => Some(refresh?),
            None => None,
        };
        Some(Action::OAuthToken { clients, access: access?, refresh })
    }
}
