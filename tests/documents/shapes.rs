//! The structure of a document as a parser sees it: definitions, kinds, names, aliases, types and what is within what.

use apollo_compiler::ast;
use bluejay_core::executable::{Field as _, OperationDefinition as _, OperationDefinitionReference};
use bluejay_core::{AsIter as _, OperationType};
use bluejay_parser::ast::executable as bluejay;
use bluejay_parser::ast::{Parse as _, ParseOptions};
use portcullis::config::graphql::OperationKind;
use portcullis::graphql::document::{Bounds, Document, Kind};

/// Nesting that all of them are asked to take.
pub const RECURSION: usize = 200;

/// As the gateway reads it.
pub fn ours(text: &str) -> Option<String> {
    let bounds = Bounds { tokens: u64::MAX, recursion: RECURSION as u64 };
    let document = Document::read(text, &bounds).ok()?;
    let mut out = String::new();
    for operation in &document.operations {
        let kind = match operation.kind {
            OperationKind::Query => "query",
            OperationKind::Mutation => "mutation",
            OperationKind::Subscription => "subscription",
        };
        out += &format!("{kind} {}", document.name(operation).unwrap_or_default());
        selected(&document, (operation.body.start, operation.body.end), &mut out);
    }
    for fragment in &document.fragments {
        out += &format!("fragment {} {}", document.at(fragment.name), document.at(fragment.on));
        selected(&document, (fragment.body.start, fragment.body.end), &mut out);
    }
    Some(out)
}

fn selected(document: &Document<'_>, (mut next, end): (u32, u32), out: &mut String) {
    out.push('{');
    while next < end {
        let selection = &document.selections[next as usize];
        let name = document.at(selection.name);
        match selection.kind {
            Kind::Field => {
                field(out, (!selection.alias.is_empty()).then(|| document.at(selection.alias)), name)
            }
            Kind::Inline => *out += &format!("...on {name}"),
            Kind::Spread => *out += &format!("...{name};"),
        }
        if selection.kind == Kind::Inline || selection.next > next + 1 {
            selected(document, (next + 1, selection.next), out);
        }
        next = selection.next;
    }
    out.push('}');
}

fn field(out: &mut String, alias: Option<&str>, name: &str) {
    if let Some(alias) = alias {
        *out += &format!("{alias}:");
    }
    *out += &format!("{name};");
}

/// As bluejay-parser does.
pub fn bluejay(text: &str) -> Option<String> {
    let options = ParseOptions { graphql_ruby_compatibility: false, max_depth: 500, max_tokens: None };
    let document = bluejay::ExecutableDocument::parse_with_options(text, options).result.ok()?;
    let mut out = String::new();
    for operation in document.operation_definitions() {
        let operation = operation.as_ref();
        let kind = match operation.operation_type() {
            OperationType::Query => "query",
            OperationType::Mutation => "mutation",
            OperationType::Subscription => "subscription",
        };
        let name = match &operation {
            OperationDefinitionReference::Explicit(explicit) => explicit.name().map(AsRef::as_ref),
            OperationDefinitionReference::Implicit(_) => None,
        };
        out += &format!("{kind} {}", name.unwrap_or_default());
        of_bluejay(operation.selection_set(), &mut out);
    }
    for fragment in document.fragment_definitions() {
        let on = fragment.type_condition().named_type();
        out += &format!("fragment {} {}", fragment.name().as_ref(), on.as_ref());
        of_bluejay(fragment.selection_set(), &mut out);
    }
    Some(out)
}

fn of_bluejay(set: &bluejay::SelectionSet<'_>, out: &mut String) {
    out.push('{');
    for selection in set.iter() {
        match selection {
            bluejay::Selection::Field(one) => {
                field(out, one.alias(), bluejay_core::executable::Field::name(one));
                if let Some(set) = one.selection_set() {
                    of_bluejay(set, out);
                }
            }
            bluejay::Selection::InlineFragment(inline) => {
                let on = inline.type_condition().map(|on| on.named_type().as_ref());
                *out += &format!("...on {}", on.unwrap_or_default());
                of_bluejay(inline.selection_set(), out);
            }
            bluejay::Selection::FragmentSpread(spread) => *out += &format!("...{};", spread.name().as_ref()),
        }
    }
    out.push('}');
}

/// As apollo-compiler does.
pub fn apollo(text: &str) -> Option<String> {
    let parsed =
        apollo_compiler::parser::Parser::new().recursion_limit(2_000).parse_ast(text, "a.graphql").ok()?;
    let (mut out, mut fragments) = (String::new(), String::new());
    for definition in &parsed.definitions {
        if let ast::Definition::OperationDefinition(operation) = definition {
            let kind = operation.operation_type;
            out += &format!("{kind} {}", operation.name.as_ref().map_or("", |name| name.as_str()));
            of_apollo(&operation.selection_set, &mut out);
        } else if let ast::Definition::FragmentDefinition(fragment) = definition {
            fragments += &format!("fragment {} {}", fragment.name, fragment.type_condition);
            of_apollo(&fragment.selection_set, &mut fragments);
        } else {
            return None;
        }
    }
    Some(out + &fragments)
}

fn of_apollo(set: &[ast::Selection], out: &mut String) {
    out.push('{');
    for selection in set {
        match selection {
            ast::Selection::Field(one) => {
                field(out, one.alias.as_ref().map(|alias| alias.as_str()), &one.name);
                if !one.selection_set.is_empty() {
                    of_apollo(&one.selection_set, out);
                }
            }
            ast::Selection::InlineFragment(inline) => {
                *out += &format!("...on {}", inline.type_condition.as_ref().map_or("", |on| on.as_str()));
                of_apollo(&inline.selection_set, out);
            }
            ast::Selection::FragmentSpread(spread) => *out += &format!("...{};", spread.fragment_name),
        }
    }
    out.push('}');
}
