//! The long form of `require.graphql`.

use crate::config::decode::fields::Word;
use crate::config::graphql::{
    Bound, FieldNeed, GraphQl, Introspection, Messages, OperationKind, OperationLimits, Permission,
    PermissionPiece, Persisted,
};
use crate::config::print::{Out, path, quote, words};
use crate::config::units::write_size;

/// Prints `graphql`.
pub(crate) fn print(out: &mut Out, graphql: &GraphQl) {
    if let Some(permission) = &graphql.permission {
        out.entry("permission", quote(&template(permission)));
        if let Some(field) = permission.written() {
            out.entry("field", quote(field));
        }
    }
    out.list("fields", &graphql.fields, |out, rule| {
        out.entry(&quote(&format!("{}.{}", rule.kind.name(), rule.field)), need(&rule.need));
    });
    if !graphql.public.is_empty() {
        let kinds: Vec<&str> = graphql.public.iter().copied().map(OperationKind::name).collect();
        out.entry("public", words(&kinds));
    }
    match &graphql.introspection {
        Introspection::Allow => out.entry("introspection", "allow"),
        Introspection::Authenticated => out.entry("introspection", "authenticated"),
        Introspection::Deny => out.entry("introspection", "deny"),
        Introspection::Permission(permission) => {
            out.entry("introspection", format!("{{permission: {}}}", quote(permission)));
        }
    }
    out.entry("operations", graphql.operations.word());
    let Bound { most, warn } = graphql.batch;
    out.entry("batch", format!("{{most: {most}, warn: {warn}}}"));
    out.entry("csrf", graphql.csrf);
    out.nested("persisted", |out| print_persisted(out, &graphql.persisted));
    out.entry("unauthorized", graphql.unauthorized.word());
    out.nested("limits", |out| print_limits(out, &graphql.limits));
    if let Some(schema) = &graphql.schema {
        out.entry("schema", path(&schema.path));
        out.list("types", &schema.rules, |out, rule| {
            let field = rule.field.as_deref().map(|field| format!(".{field}")).unwrap_or_default();
            out.entry(&quote(&format!("{}{field}", rule.of)), need(&rule.need));
        });
    }
    if graphql.compat {
        out.entry("compat", 200);
    }
    out.entry("show_scopes", graphql.show_scopes);
    if let Some(life) = graphql.reserved_streams {
        out.time("reserved_streams", life);
    }
    out.nested("messages", |out| print_messages(out, &graphql.messages));
}

fn template(permission: &Permission) -> String {
    let piece = |piece: &PermissionPiece| match piece {
        PermissionPiece::Literal(text) => text.to_string(),
        PermissionPiece::Operation => "{operation}".to_owned(),
        PermissionPiece::Field => "{field}".to_owned(),
        PermissionPiece::Capture(name) => format!("{{{name}}}"),
    };
    permission.template.iter().map(piece).collect()
}

fn need(need: &FieldNeed) -> String {
    match need {
        FieldNeed::Public => "public".to_owned(),
        FieldNeed::Authenticated => "authenticated".to_owned(),
        FieldNeed::Permissions(permissions) => words(permissions),
    }
}

fn print_persisted(out: &mut Out, persisted: &Persisted) {
    out.entry("automatic", persisted.automatic);
    if let Some(safelist) = &persisted.safelist {
        let (path, mode) = (path(&safelist.path), safelist.mode.word());
        out.entry("safelist", format!("{{path: {path}, mode: {mode}}}"));
    }
}

fn print_limits(out: &mut Out, limits: &OperationLimits) {
    let Bound { most, warn } = limits.body;
    out.entry("body", format!("{{most: {}, warn: {warn}}}", write_size(most)));
    let bounds = [
        ("tokens", limits.tokens),
        ("recursion", limits.recursion),
        ("depth", limits.depth),
        ("aliases", limits.aliases),
        ("directives", limits.directives),
        ("root_fields", limits.root_fields),
        ("mutations", limits.mutations),
        ("name", limits.name),
        ("cost", limits.cost),
    ];
    for (name, Bound { most, warn }) in bounds {
        out.entry(name, format!("{{most: {most}, warn: {warn}}}"));
    }
}

fn print_messages(out: &mut Out, messages: &Messages) {
    let token: String = messages
        .token
        .iter()
        .map(|selector| {
            selector.places().iter().map(|place| quote(place.written())).collect::<Vec<_>>().join(", ")
        })
        .collect::<Vec<_>>()
        .join(", ");
    out.entry("token", format!("[{token}]"));
    out.time("init_time", messages.init_time);
    out.time("keep_alive", messages.keep_alive);
    out.entry("operations", messages.operations);
    out.size("message", messages.message);
}
