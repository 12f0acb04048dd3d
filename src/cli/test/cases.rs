//! The cases of `portcullis test` as written: every problem of the file at once, each with its place.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::problems::{Position, Problem, closest, quoted};
use crate::config::raw::{self, Content, Document, Entry, Node, Scalar};
use crate::gate::denial::Reason;

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    /// Where it stands.
    pub(crate) at: Position,
    /// Its name.
    pub(crate) name: String,
    /// Whose token `claims` become: an issuer's name in the configuration.
    pub(crate) issuer: Option<String>,
    /// What is asked.
    pub(crate) request: Wanted,
    /// What should come of it.
    pub(crate) expect: Expected,
}

/// The request of a case. `claims` and `token` exclude each other.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// `GET` unless given.
    pub(crate) method: String,
    /// Path and query, or a whole URL.
    pub(crate) url: String,
    /// By name, in the order of the names; each has its values.
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    /// What a throw-away key signs.
    pub(crate) claims: Option<Map<String, Value>>,
    /// A whole token.
    pub(crate) token: Option<String>,
    /// The body, for a route that looks into it; empty unless given.
    pub(crate) body: String,
}

/// What should come of it; everything that is said has to hold.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Allowed or refused.
    pub(crate) allow: Option<bool>,
    /// Refused for this reason.
    pub(crate) reason: Option<Reason>,
    /// Refused with this status.
    pub(crate) status: Option<u16>,
}

/// Reads the cases; there is at least one. No problem repeats a token.
pub(crate) fn read(text: &str) -> Result<Vec<Case>, Vec<Problem>> {
    let Document { root, problems, .. } = raw::parse(text);
    let mut reader = Reader { problems };
    let cases = root.as_ref().map(|root| reader.cases(root)).unwrap_or_default();
    let mut problems = reader.problems;
    if cases.is_empty() && problems.is_empty() {
        let at = root.map_or(Position { line: 1, column: 1 }, |root| root.at);
        problems.push(Problem::new(at, "there is no case in it").hint(FORM));
    }
    problems.sort_by_key(|problem| problem.at);
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn cases(&mut self, root: &Node) -> Vec<Case> {
        match &root.content {
            Content::Sequence(nodes) => nodes.iter().filter_map(|node| self.case(node)).collect(),
            Content::Scalar(_) if root.is_null() => Vec::new(),
            Content::Scalar(_) | Content::Mapping(_) => {
                let what = format!("a list of cases is expected, not {}", root.kind());
                self.problems.push(Problem::new(root.at, what).hint(FORM));
                Vec::new()
            }
        }
    }

    fn case(&mut self, node: &Node) -> Option<Case> {
        self.check_keys(node, "a case", &["name", "issuer", "request", "expect"])?;
        let name = self.required(node, "a case", "name").and_then(|entry| self.text(entry));
        let issuer = node.get("issuer").and_then(|entry| self.text(entry));
        let request = self.required(node, "a case", "request").and_then(|entry| self.request(&entry.value));
        let expect = self.required(node, "a case", "expect").and_then(|entry| self.expected(&entry.value));
        let (name, request, expect) = (name?, request?, expect?);
        if let (Some(entry), None) = (node.get("issuer"), &request.claims) {
            let what = "`issuer` says whose `claims` these are, and there are none";
            self.problems.push(Problem::new(entry.at, what));
        }
        Some(Case { at: node.at, name, issuer, request, expect })
    }

    fn request(&mut self, node: &Node) -> Option<Wanted> {
        self.check_keys(node, "`request`", &["method", "url", "headers", "claims", "token", "body"])?;
        let method = node.get("method").and_then(|entry| self.text(entry));
        let url = self.required(node, "`request`", "url").and_then(|entry| self.text(entry));
        let headers = node.get("headers").map(|entry| self.headers(entry)).unwrap_or_default();
        let claims = node.get("claims").and_then(|entry| self.claims(entry));
        let token = node.get("token").and_then(|entry| self.text(entry));
        if let (Some(_), Some(token)) = (node.get("claims"), node.get("token")) {
            let what = "`claims` and `token` are two credentials: give one";
            self.problems.push(Problem::new(token.at, what));
        }
        let body = node.get("body").and_then(|entry| self.text(entry)).unwrap_or_default();
        let method = method.unwrap_or_else(|| "GET".to_owned());
        Some(Wanted { method, url: url?, headers, claims, token, body })
    }

    fn headers(&mut self, entry: &Entry) -> BTreeMap<String, Vec<String>> {
        let Content::Mapping(headers) = &entry.value.content else {
            self.wrong_kind(entry, "a mapping of header names to values");
            return BTreeMap::new();
        };
        headers.iter().map(|header| (header.key.to_string(), self.values(header))).collect()
    }

    fn values(&mut self, header: &Entry) -> Vec<String> {
        let Content::Sequence(items) = &header.value.content else {
            return self.text(header).into_iter().collect();
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items.iter() {
            match &item.content {
                Content::Scalar(scalar) => values.push(scalar.text.to_string()),
                Content::Sequence(_) | Content::Mapping(_) => {
                    let what = format!("a value of {} is text, not {}", quoted(&header.key), item.kind());
                    self.problems.push(Problem::new(item.at, what));
                }
            }
        }
        values
    }

    fn claims(&mut self, entry: &Entry) -> Option<Map<String, Value>> {
        match entry.value.to_json() {
            Value::Object(claims) => Some(claims),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.wrong_kind(entry, "a mapping of claims");
                None
            }
        }
    }

    fn expected(&mut self, node: &Node) -> Option<Expected> {
        self.check_keys(node, "`expect`", &["allow", "reason", "status"])?;
        let allow = node.get("allow").and_then(|entry| self.flag(entry));
        let reason = node.get("reason").and_then(|entry| self.reason(entry));
        let status = node.get("status").and_then(|entry| self.status(entry));
        if node.is_empty() {
            self.problems.push(Problem::new(node.at, "`expect` expects nothing").hint(FORM));
        }
        if let (Some(true), Some(other)) = (allow, node.get("reason").or_else(|| node.get("status"))) {
            let what = "what is allowed has no `reason` and no `status`";
            self.problems.push(Problem::new(other.at, what));
        }
        Some(Expected { allow, reason, status })
    }

    fn flag(&mut self, entry: &Entry) -> Option<bool> {
        match entry.value.to_json() {
            Value::Bool(flag) => Some(flag),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                self.wrong_kind(entry, "`true` or `false`");
                None
            }
        }
    }

    fn reason(&mut self, entry: &Entry) -> Option<Reason> {
        let code = self.text(entry)?;
        let reason = Reason::from_code(&code);
        if reason.is_none() {
            let problem = Problem::new(entry.value.at, format!("there is no reason {}", quoted(&code)));
            let near = closest(&code, Reason::ALL.map(Reason::code));
            self.problems.push(match near {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        reason
    }

    fn status(&mut self, entry: &Entry) -> Option<u16> {
        let status = self.text(entry)?.parse().ok();
        if status.is_none() {
            self.wrong_kind(entry, "a status code, such as 401");
        }
        status
    }

    /// A scalar as written.
    fn text(&mut self, entry: &Entry) -> Option<String> {
        match &entry.value.content {
            Content::Scalar(Scalar { text, .. }) if !entry.value.is_null() => Some(text.to_string()),
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) => {
                self.wrong_kind(entry, "a single value");
                None
            }
        }
    }

    fn required<'n>(&mut self, node: &'n Node, what: &str, key: &str) -> Option<&'n Entry> {
        let entry = node.get(key);
        if entry.is_none() {
            self.problems.push(Problem::new(node.at, format!("{what} without `{key}`")).hint(FORM));
        }
        entry
    }

    /// Refuses what is no mapping, and reports keys that are not of it.
    fn check_keys(&mut self, node: &Node, what: &str, keys: &[&str]) -> Option<()> {
        let Content::Mapping(entries) = &node.content else {
            let what = format!("{what} is a mapping, not {}", node.kind());
            self.problems.push(Problem::new(node.at, what).hint(FORM));
            return None;
        };
        for entry in entries.iter().filter(|entry| !keys.contains(&&*entry.key)) {
            let hint = match closest(&entry.key, keys.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => FORM.to_owned(),
            };
            let what = format!("unknown key {} in {what}", quoted(&entry.key));
            self.problems.push(Problem::new(entry.at, what).hint(hint));
        }
        Some(())
    }

    fn wrong_kind(&mut self, entry: &Entry, wanted: &str) {
        let (name, kind) = (quoted(&entry.key), entry.value.kind());
        // A single value in place of another is not repeated: it may be a token.
        let what = match &entry.value.content {
            Content::Scalar(_) if !entry.value.is_null() => format!("{name} is not {wanted}"),
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) => {
                format!("{name} is {wanted}, not {kind}")
            }
        };
        self.problems.push(Problem::new(entry.value.at, what));
    }
}

const FORM: &str =
    "{name: …, request: {url: /…, claims: {scope: …}}, expect: {allow: true} or {reason: expired}}";
