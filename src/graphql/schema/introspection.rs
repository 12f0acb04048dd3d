//! A schema as the answer to an introspection query, alone or as the whole response with its `data`.

use serde::Deserialize;

use crate::config::problems::{Position, Problem};
use crate::graphql::schema::declared::{Declared, DeclaredType, Named, Root, Sort};

#[derive(Deserialize)]
struct Response {
    data: Option<Data>,
    #[serde(rename = "__schema")]
    schema: Option<Schema>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "__schema")]
    schema: Schema,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    query_type: Option<Reference>,
    mutation_type: Option<Reference>,
    subscription_type: Option<Reference>,
    types: Vec<Type>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Type {
    kind: Kind,
    name: String,
    fields: Option<Vec<Field>>,
    interfaces: Option<Vec<Reference>>,
    possible_types: Option<Vec<Reference>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Scalar,
    Object,
    Interface,
    Union,
    Enum,
    InputObject,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    of: Wrapped,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
}

/// A type with the lists around it; the innermost has a name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wrapped {
    name: Option<String>,
    of_type: Option<Box<Self>>,
}

/// Reads it. Of its types, those of introspection itself are left out: nobody's rules concern them.
pub(crate) fn read(text: &str) -> Result<Declared, Problem> {
    let response: Response = serde_json::from_str(text).map_err(|error| {
        let narrow = |n: usize| u32::try_from(n.max(1)).unwrap_or(u32::MAX);
        let at = Position { line: narrow(error.line()), column: narrow(error.column()) };
        let said = error.to_string();
        // The place is said already.
        let what = said.split(" at line ").next().unwrap_or_default();
        Problem::new(at, format!("this is no introspection's JSON: {what}"))
    })?;
    let Some(schema) = response.schema.or(response.data.map(|data| data.schema)) else {
        let problem = Problem::new(START, "there is no `__schema` in this");
        return Err(problem.hint("what is wanted is the answer to an introspection query, or SDL"));
    };
    let roots = [
        (Root::Query, schema.query_type),
        (Root::Mutation, schema.mutation_type),
        (Root::Subscription, schema.subscription_type),
    ];
    let roots = roots.into_iter().filter_map(|(root, of)| Some((root, named(of?.name)))).collect();
    let types = schema.types.into_iter().filter(|found| !found.name.starts_with("__"));
    let types = types.map(declared).collect::<Result<_, _>>()?;
    Ok(Declared { types, roots, is_explicit: true })
}

fn declared(found: Type) -> Result<DeclaredType, Problem> {
    let sort = match found.kind {
        Kind::Scalar | Kind::Enum => Sort::Leaf,
        Kind::Object => Sort::Object,
        Kind::Interface => Sort::Interface,
        Kind::Union => Sort::Union,
        Kind::InputObject => Sort::Input,
    };
    let is_output = matches!(sort, Sort::Object | Sort::Interface);
    let lacks = |what: &str| Problem::new(START, format!("`{}` lacks its {what}", found.name));
    if is_output && found.fields.is_none() {
        return Err(lacks("`fields`"));
    }
    if sort == Sort::Union && found.possible_types.is_none() {
        return Err(lacks("`possibleTypes`"));
    }
    let mut fields = Vec::new();
    for field in found.fields.unwrap_or_default() {
        let Some(of) = innermost(field.of) else {
            let what = format!("the type of `{}.{}` has no name", found.name, field.name);
            return Err(Problem::new(START, what)
                .hint("introspect deeper: lists around it go further than the query that was asked"));
        };
        fields.push((named(field.name), named(of)));
    }
    // What an interface's implementers are, they say themselves.
    let members = if sort == Sort::Union { found.possible_types.unwrap_or_default() } else { Vec::new() };
    let all = |references: Vec<Reference>| references.into_iter().map(|one| named(one.name)).collect();
    Ok(DeclaredType {
        name: named(found.name),
        sort,
        extends: false,
        fields,
        interfaces: all(found.interfaces.unwrap_or_default()),
        members: all(members),
    })
}

fn innermost(mut of: Wrapped) -> Option<String> {
    while let Some(inner) = of.of_type {
        of = *inner;
    }
    of.name
}

fn named(name: String) -> Named {
    Named { name: name.into(), at: 0 }
}

const START: Position = Position { line: 1, column: 1 };
