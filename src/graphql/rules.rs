//! One route's rules, compiled: what a field at the root of an operation needs, by its kind and its own name.
//!
//! In this order, and the first that says something is final: the field's own rule, the kinds that are public, the
//! template. What none of them knows is for nobody.

use std::collections::HashMap;

use crate::config::defaults::FIELD_NAME;
use crate::config::graphql::{FieldNeed, GraphQl, Introspection, OperationKind, Permission, PermissionPiece};
use crate::graphql::persisted::Listed;
use crate::graphql::plan::{Needs, Plan};
use crate::graphql::planning;
use crate::graphql::rejected::Rejected;
use crate::graphql::schema::Schema;
use crate::token::scope::is_scope_token;

#[cfg(test)]
mod tests;

/// What [`GraphQl`] says, ready for use. Made with the table of routes; one a route.
#[derive(Debug)]
pub struct Rules {
    /// As configured.
    pub config: GraphQl,
    /// By kind ([`place`]).
    kinds: [Kind; 3],
    introspection: Needs,
    template: Option<Template>,
    /// The documents that may be run, where that is said.
    pub(in crate::graphql) listed: Option<Listed>,
    schema: Option<Schema>,
}

/// What is known of one kind of operations.
#[derive(Debug, Default)]
struct Kind {
    /// Fields with a rule of their own.
    fields: HashMap<Box<str>, Needs>,
    /// The others are for everybody.
    is_public: bool,
}

/// The template, its groups found.
#[derive(Debug)]
struct Template {
    pattern: Option<regex::Regex>,
    pieces: Box<[Piece]>,
}

#[derive(Debug)]
enum Piece {
    Literal(Box<str>),
    Operation,
    Field,
    /// A group of the pattern, by its number; none where there is no such group, which then never matches.
    Group(Option<usize>),
}

impl Rules {
    /// Compiles; cannot fail.
    pub fn compile(config: &GraphQl) -> Self {
        let mut kinds: [Kind; 3] = Default::default();
        for rule in &config.fields {
            let what = named(rule.kind, &rule.field);
            let needs = Needs::by_rule(&rule.need, &what);
            // Two rules for one field are refused when the file is read; together they would ask for more, not less.
            kinds[place(rule.kind)].fields.entry(rule.field.clone()).or_default().join(&needs);
        }
        for kind in &config.public {
            kinds[place(*kind)].is_public = true;
        }
        let introspection = match &config.introspection {
            Introspection::Allow => Needs::nothing(),
            Introspection::Authenticated => Needs::a_token(),
            Introspection::Permission(permission) => {
                Needs::by_rule(&FieldNeed::Permissions(vec![permission.clone()]), INTROSPECTION)
            }
            Introspection::Deny => Needs::nobody(INTROSPECTION),
        };
        let template = config.permission.as_ref().map(Template::new);
        let listed = config.persisted.safelist.as_ref().map(Listed::compile);
        let mut rules = Self { config: config.clone(), kinds, introspection, template, schema: None, listed };
        let schema = config.schema.as_ref();
        // A field may come to a root again: what is read there needs what it needs at the root.
        rules.schema = schema.map(|schema| {
            let at_root = |kind, field: &str| rules.needs(kind, field);
            // What it is asked with there, conditions do not see.
            let again = config.arguments.then(|| Needs::nobody("a root below the root"));
            Schema::compile(schema, &at_root, again.as_ref())
        });
        rules
    }

    /// What a field at the root of an operation of this kind needs. The name is the field's own, never its alias.
    pub fn needs(&self, kind: OperationKind, field: &str) -> Needs {
        if let Some(meta) = field.strip_prefix("__").filter(|_| field.len() <= FIELD_NAME) {
            return match (kind, meta) {
                (_, "typename") => Needs::nothing(),
                (OperationKind::Query, "schema" | "type") => self.introspection.clone(),
                (OperationKind::Query | OperationKind::Mutation | OperationKind::Subscription, _) => {
                    Needs::nobody(named(kind, field))
                }
            };
        }
        if field.len() > FIELD_NAME {
            return Needs::nobody(named(kind, "a field whose name is too long"));
        }
        let known = &self.kinds[place(kind)];
        if let Some(needs) = known.fields.get(field) {
            return needs.clone();
        }
        if known.is_public {
            return Needs::nothing();
        }
        match self.template.as_ref().and_then(|template| template.permission(kind, field)) {
            Some(permission) => Needs { token: true, permissions: Box::from([permission]), denied: None },
            None => Needs::nobody(named(kind, field)),
        }
    }

    /// What reading the schema needs.
    pub fn introspection(&self) -> &Needs {
        &self.introspection
    }

    /// Rules below the root, if there are any: what they ask for is beside what [`Rules::needs`] does.
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Plans a document.
    pub fn plan(&self, document: &str, serial: u64) -> Result<Plan, Rejected> {
        planning::plan(self, document, serial)
    }
}

impl Template {
    fn new(permission: &Permission) -> Self {
        let group = |name: &str| {
            let pattern = permission.field.as_ref()?;
            pattern.capture_names().position(|known| known == Some(name))
        };
        let piece = |piece: &PermissionPiece| match piece {
            PermissionPiece::Literal(text) => Piece::Literal(text.clone()),
            PermissionPiece::Operation => Piece::Operation,
            PermissionPiece::Field => Piece::Field,
            PermissionPiece::Capture(name) => Piece::Group(group(name)),
        };
        Self { pattern: permission.field.clone(), pieces: permission.template.iter().map(piece).collect() }
    }

    /// The permission that a field of this name needs; none if there is none, and the field is for nobody.
    fn permission(&self, kind: OperationKind, field: &str) -> Option<Box<str>> {
        let groups = match &self.pattern {
            Some(pattern) => Some(pattern.captures(field)?),
            None => None,
        };
        let mut permission = String::with_capacity(field.len() + kind.name().len() + ROOM);
        for piece in &self.pieces {
            permission.push_str(match piece {
                Piece::Literal(text) => text,
                Piece::Operation => kind.name(),
                Piece::Field => field,
                // A group that takes no part in the match leaves a hole in the permission.
                Piece::Group(group) => groups.as_ref()?.get((*group)?)?.as_str(),
            });
        }
        is_scope_token(&permission).then(|| permission.into_boxed_str())
    }
}

/// As the configuration writes it.
fn named(kind: OperationKind, field: &str) -> String {
    format!("{}.{field}", kind.name())
}

fn place(kind: OperationKind) -> usize {
    match kind {
        OperationKind::Query => 0,
        OperationKind::Mutation => 1,
        OperationKind::Subscription => 2,
    }
}

/// What the log says where introspection is for nobody.
const INTROSPECTION: &str = "introspection";
/// Octets of a permission beside the names in it.
const ROOM: usize = 16;
