//! `require.graphql`: what operations need, and what they may be.

mod permission;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::decode::fields::Fields;
use crate::config::decode::issuers::selector;
use crate::config::decode::process::narrow;
use crate::config::decode::require;
use crate::config::decode::value::{Value, none_of};
use crate::config::defaults as d;
use crate::config::graphql::{
    Bound, FieldNeed, FieldRule, GraphQl, Introspection, Messages, OperationKind, OperationLimits, Persisted,
    Safelist, SafelistMode, SchemaRules, TypeRule,
};
use crate::config::problems::{Position, Problem, Wrong, quoted};
use crate::config::raw::Entry;
use crate::config::shape::{self, Mapping};
use crate::config::units;
use crate::token::claims::Selector;

/// Reads `graphql`. Nobody reads more of a body than `inspected_body`.
pub(crate) fn graphql(value: Value<'_>, inspected_body: usize) -> Option<GraphQl> {
    let fields = Fields::open(value, &shape::graphql::GRAPHQL)?;
    let permission = permission::permission(&fields);
    let mut rules = Rules::default();
    rules.read(&fields);
    let public = rules.public(&fields);
    if ["permission", "fields", "public"].iter().all(|key| fields.entry(key).is_none()) {
        value.problem_with_hint(
            "a `graphql` that lets nothing through: every field would be for nobody",
            "write `permission: \"{operation}:{field}\"`, `fields`, or `public: [Query]`",
        );
        return None;
    }
    let introspection = introspection(&fields, &public);
    let persisted = fields.value("persisted").and_then(persisted).unwrap_or_default();
    Some(GraphQl {
        permission,
        fields: rules.all,
        public,
        introspection,
        operations: fields.choice("operations"),
        batch: batch(&fields),
        csrf: fields.flag("csrf"),
        persisted,
        unauthorized: fields.choice("unauthorized"),
        limits: limits(&fields, inspected_body as u64),
        arguments: false,
        schema: schema(&fields).map(Arc::new),
        compat: fields.value("compat").is_some_and(|value| value.whole(200, 200).is_some()),
        show_scopes: fields.flag("show_scopes"),
        reserved_streams: fields
            .value("reserved_streams")
            .and_then(|value| value.duration(d::RESERVED_STREAMS_MIN, d::RESERVED_STREAMS_MAX)),
        messages: messages(&fields),
    })
}

/// What is said of single root fields, and where.
#[derive(Default)]
struct Rules {
    all: Vec<FieldRule>,
    said: HashMap<(OperationKind, Box<str>), Position>,
}

impl Rules {
    /// Reads `fields`.
    fn read(&mut self, fields: &Fields<'_>) {
        for entry in named(fields, "fields", "Mutation.login: public") {
            let value = Value::of(entry, fields.report);
            let name =
                root_field(&entry.key).map_err(|wrong| blame(fields, entry.at, &entry.key, wrong)).ok();
            let need = need(value, "field");
            if let (Some((kind, field)), Some(need)) = (name, need) {
                self.said.insert((kind, field.clone()), entry.at);
                self.all.push(FieldRule { kind, field, need });
            }
        }
    }

    /// Reads `public`: the kinds in it; single fields become rules.
    fn public(&mut self, fields: &Fields<'_>) -> Vec<OperationKind> {
        let mut kinds: Vec<(OperationKind, Position)> = Vec::new();
        let mut single = Vec::new();
        let values = fields.value("public").map(Value::some).unwrap_or_default();
        if let Some(value) = values.get(d::GRAPHQL_RULES) {
            value.problem(format!("more than {} operations", d::GRAPHQL_RULES));
        }
        for value in values.into_iter().take(d::GRAPHQL_RULES) {
            let at = value.node.at;
            let read = value.read(|text| match text.contains('.') {
                true => root_field(text).map(|(kind, field)| (kind, Some(field))),
                false => kind(text).map(|kind| (kind, None)),
            });
            match read {
                Some((kind, None)) if kinds.iter().any(|(known, _)| *known == kind) => {
                    value.problem(format!("`{}` is there twice", kind.name()));
                }
                Some((kind, None)) => kinds.push((kind, at)),
                Some((kind, Some(field))) => single.push((kind, field, value)),
                None => {}
            }
        }
        for (kind, field, value) in single {
            let written = format!("`{}.{field}`", kind.name());
            if kinds.iter().any(|(known, _)| *known == kind) {
                let what = format!("{written} is public already: `{}` is", kind.name());
                value.problem_with_hint(what, "leave one of them out");
            } else if let Some(Position { line, .. }) = self.said.get(&(kind, field.clone())) {
                let what = format!("{written} has a rule already");
                value.problem_with_hint(what, format!("line {line} has it; leave one of them out"));
            } else {
                self.said.insert((kind, field.clone()), value.node.at);
                self.all.push(FieldRule { kind, field, need: FieldNeed::Public });
            }
        }
        kinds.into_iter().map(|(kind, _)| kind).collect()
    }
}

/// The entries of a mapping whose keys are the operator's; not none, and not too many.
fn named<'a>(fields: &Fields<'a>, key: &str, example: &str) -> &'a [Entry] {
    let Some(value) = fields.value(key) else { return &[] };
    let entries = value.named(example);
    if value.node.is_empty() {
        value.problem_with_hint(format!("{} is empty", value.name()), "name a field, or leave the key out");
    }
    match entries.get(d::GRAPHQL_RULES) {
        Some(entry) => {
            let what = format!("more than {} rules", d::GRAPHQL_RULES);
            fields.report.problem(Problem::new(entry.at, what));
            &[]
        }
        None => entries,
    }
}

fn blame(fields: &Fields<'_>, at: Position, key: &str, wrong: Wrong) {
    let problem = Problem::new(at, format!("{} {}", quoted(key), wrong.what));
    fields.report.problem(Problem { hint: wrong.hint, ..problem });
}

/// What a field needs: a word, a scope, or several.
fn need(value: Value<'_>, of: &str) -> Option<FieldNeed> {
    let list = value.some();
    if let [only] = list.as_slice() {
        match &*only.word()? {
            "public" => return Some(FieldNeed::Public),
            "authenticated" => return Some(FieldNeed::Authenticated),
            _ => {}
        }
    }
    let mut permissions = Vec::with_capacity(list.len());
    let mut complete = !list.is_empty();
    for value in list {
        match require::literal(value) {
            Some(word) if matches!(&*word, "public" | "authenticated") => {
                let what = format!("`{word}` stands alone: a {of} needs all that its list names");
                value.problem_with_hint(what, "leave it out, or the others");
                complete = false;
            }
            Some(permission) if permissions.contains(&permission) => {
                value.problem(format!("{} is there twice", quoted(&permission)));
                complete = false;
            }
            Some(permission) => permissions.push(permission),
            None => complete = false,
        }
    }
    complete.then_some(FieldNeed::Permissions(permissions))
}

/// Reads `Kind.field`.
fn root_field(text: &str) -> Result<(OperationKind, Box<str>), Wrong> {
    let Some((before, field)) = text.split_once('.') else {
        return Err(Wrong::is("is no field at the root of an operation").hint("write `Mutation.login`"));
    };
    let kind = kind(before)?;
    check_name(field)?;
    Ok((kind, field.into()))
}

fn kind(text: &str) -> Result<OperationKind, Wrong> {
    const KINDS: [OperationKind; 3] =
        [OperationKind::Query, OperationKind::Mutation, OperationKind::Subscription];
    KINDS.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
        let wrong = none_of(text, &KINDS.map(OperationKind::name));
        Wrong { what: format!("is of a kind that {}", wrong.what), ..wrong }
    })
}

/// A name as GraphQL's grammar has them (section 2.1.9); those with two underscores are its own.
fn check_name(name: &str) -> Result<(), Wrong> {
    let letter = |octet: u8| octet.is_ascii_alphabetic() || octet == b'_';
    let is_name = name.bytes().next().is_some_and(letter)
        && name.bytes().all(|octet| letter(octet) || octet.is_ascii_digit());
    if !is_name {
        return Err(Wrong::is("holds what is no name in GraphQL").hint("letters, digits and `_` only"));
    }
    if name.starts_with("__") {
        return Err(Wrong::is("is one of GraphQL's own").hint("see `introspection`; `__typename` is free"));
    }
    Ok(())
}

fn introspection(fields: &Fields<'_>, public: &[OperationKind]) -> Introspection {
    let or_else = match public.contains(&OperationKind::Query) {
        true => Introspection::Allow,
        false => Introspection::Authenticated,
    };
    let Some(value) = fields.value("introspection") else { return or_else };
    if value.is_scalar() {
        return match value.choice(&["allow", "authenticated", "deny"], &[]) {
            Some(0) => Introspection::Allow,
            Some(1) => Introspection::Authenticated,
            Some(_) | None => Introspection::Deny,
        };
    }
    let fields = Fields::open(value, &shape::graphql::INTROSPECTION);
    let permission = fields.and_then(|fields| fields.value("permission")).and_then(require::literal);
    permission.map_or(Introspection::Deny, Introspection::Permission)
}

fn persisted(value: Value<'_>) -> Option<Persisted> {
    let fields = Fields::open(value, &shape::graphql::PERSISTED)?;
    let automatic = fields.flag("automatic");
    let safelist = fields.value("safelist").and_then(safelist);
    let ids = safelist.as_ref().is_some_and(|safelist| safelist.mode == SafelistMode::Ids);
    if let (true, true, Some(entry)) = (automatic, ids, fields.entry("automatic")) {
        let what = "`automatic` beside `mode: ids`: what clients bring themselves is on no list";
        fields.report.problem(Problem::new(entry.at, what).hint("leave one of them out"));
    }
    Some(Persisted { automatic, safelist })
}

fn safelist(value: Value<'_>) -> Option<Safelist> {
    let fields = Fields::open(value, &shape::graphql::SAFELIST)?;
    let at = fields.entry("path").map_or(value.at(), |entry| entry.value.at);
    let mode = fields.choice("mode");
    Some(Safelist { path: fields.path("path")?, at, mode, documents: Arc::default() })
}

fn batch(fields: &Fields<'_>) -> Bound {
    let given = fields.value("batch").and_then(|value| {
        bound(value, &shape::graphql::BATCH_BOUND, |most| most.whole(0, d::GRAPHQL_BATCH_MAX))
    });
    given.unwrap_or(Bound { most: d::GRAPHQL_BATCH, warn: false })
}

fn limits(fields: &Fields<'_>, inspected_body: u64) -> OperationLimits {
    let given = fields.value("limits").and_then(|value| Fields::open(value, &shape::graphql::LIMITS));
    let fields = given.unwrap_or_else(|| Fields::empty(fields, &shape::graphql::LIMITS));
    let depth = fields.value("depth").and_then(short_or_long);
    OperationLimits {
        body: body(&fields, inspected_body),
        tokens: some_bound(&fields, "tokens", d::GRAPHQL_BOUND_MAX),
        recursion: some_bound(&fields, "recursion", d::GRAPHQL_RECURSION_MAX),
        depth: depth.unwrap_or(Bound { most: d::GRAPHQL_DEPTH, warn: true }),
        aliases: bound_of(&fields, "aliases"),
        directives: bound_of(&fields, "directives"),
        root_fields: bound_of(&fields, "root_fields"),
        mutations: bound_of(&fields, "mutations"),
        name: bound_of(&fields, "name"),
        cost: bound_of(&fields, "cost"),
    }
}

fn body(fields: &Fields<'_>, inspected_body: u64) -> Bound {
    let otherwise = Bound { most: d::GRAPHQL_BODY.min(inspected_body), warn: false };
    let Some(value) = fields.value("body") else { return otherwise };
    let given = bound(value, &shape::graphql::BODY_BOUND, |most| most.size(1, d::GRAPHQL_BODY_MAX));
    let Some(given) = given else { return otherwise };
    if given.most > inspected_body {
        let inspected = units::write_size(inspected_body);
        value.problem_with_hint(
            format!("{} is more than `limits.inspected_body`, {inspected}", value.name()),
            format!("write {inspected} or less, or raise `inspected_body`"),
        );
    }
    given
}

fn bound_of(fields: &Fields<'_>, name: &str) -> Bound {
    let given = fields.value(name).and_then(short_or_long);
    given.unwrap_or_else(|| Bound { most: fields.default(name).number(), warn: false })
}

fn short_or_long(value: Value<'_>) -> Option<Bound> {
    bound(value, &shape::graphql::BOUND, |most| most.whole(0, d::GRAPHQL_BOUND_MAX))
}

/// A bound: the most, or with what is done about more.
fn bound<'a>(
    value: Value<'a>,
    long: &'static Mapping,
    most: impl Fn(Value<'a>) -> Option<u64>,
) -> Option<Bound> {
    if value.is_scalar() {
        return Some(Bound { most: most(value)?, warn: false });
    }
    let fields = Fields::open(value, long)?;
    let warn = fields.flag("warn");
    Some(Bound { most: most(fields.value("most")?)?, warn })
}

/// A bound that has to be one: past `max` nothing is read on.
fn some_bound(fields: &Fields<'_>, name: &str, max: u64) -> Bound {
    let bound = bound_of(fields, name);
    let Some(value) = fields.value(name) else { return bound };
    if bound.most == 0 || bound.most > max {
        value.problem_with_hint(
            format!("{}: `{}` is no bound for it", value.name(), bound.most),
            format!("write a number from 1 to {max}"),
        );
    }
    bound
}

fn schema(fields: &Fields<'_>) -> Option<SchemaRules> {
    let rules: Vec<TypeRule> = named(fields, "types", "Person.email: read:person:email")
        .iter()
        .filter_map(|entry| type_rule(fields, entry))
        .collect();
    let lonely = |key: &str, other: &str, why: &str| {
        if let (Some(entry), None) = (fields.entry(key), fields.entry(other)) {
            let problem = Problem::new(entry.at, format!("`{key}` without `{other}`: {why}"));
            fields.report.problem(problem.hint(format!("add `{other}`, or leave `{key}` out")));
        }
    };
    lonely("types", "schema", "only a schema says where these fields are reached");
    lonely("schema", "types", "nothing is asked of it");
    let at = fields.entry("schema")?.value.at;
    Some(SchemaRules { path: fields.path("schema")?, at, text: Arc::from(""), rules })
}

fn type_rule(fields: &Fields<'_>, entry: &Entry) -> Option<TypeRule> {
    let (of, field) = match entry.key.split_once('.') {
        Some((of, field)) => (of, Some(field)),
        None => (&*entry.key, None),
    };
    let names = [Some(of), field];
    let checked = names.into_iter().flatten().try_for_each(check_name);
    let value = Value::of(entry, fields.report);
    let need = need(value, "field");
    if let Err(wrong) = checked {
        blame(fields, entry.at, &entry.key, wrong);
        return None;
    }
    let need = need?;
    if need == FieldNeed::Public {
        let what = format!("{} cannot be public: rules below the root only ask for more", quoted(&entry.key));
        value.problem_with_hint(what, "leave it out: what has no rule asks for nothing");
        return None;
    }
    Some(TypeRule { of: of.into(), field: field.map(Box::from), need, at: entry.at })
}

fn messages(fields: &Fields<'_>) -> Messages {
    let given = fields.value("messages").and_then(|value| Fields::open(value, &shape::graphql::MESSAGES));
    let fields = given.unwrap_or_else(|| Fields::empty(fields, &shape::graphql::MESSAGES));
    let given = fields.value("token").map(|value| value.some().into_iter().filter_map(selector).collect());
    let default =
        || fields.default("token").words().into_iter().filter_map(|place| Selector::parse(&[place]));
    Messages {
        token: given.unwrap_or_else(|| default().collect()),
        init_time: fields.duration("init_time"),
        keep_alive: fields.duration("keep_alive"),
        operations: narrow(fields.whole("operations")),
        message: narrow(fields.size("message")),
    }
}
