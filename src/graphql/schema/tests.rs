//! Rules below the root: the table of what is reached how, and of what is wrong with files and rules.

mod documents;

use self::documents::Document;
use crate::config::graphql::{FieldNeed, OperationKind, SchemaRules, TypeRule};
use crate::config::problems::Position;
use crate::graphql::plan::Needs;
use crate::graphql::schema::walk::Walk;
use crate::graphql::schema::{Schema, Wrong, check};

/// Orders and people behind interfaces and a union; the root of mutations has another name.
const SDL: &str = r#"
schema { query: Query, mutation: Changes }
"Whatever has an id."
interface Node { id: ID! }
interface Named implements Node { id: ID!, name(long: Boolean = false): String }
type Person implements Named & Node @key(fields: "id") {
  id: ID!
  name: String
  email: String
  orders(first: Int = 10, after: [String!] = ["a"]): [[Order!]!]!
}
type Company implements Named & Node { id: ID! name: String, owner: Person, parent: Company }
type Order implements Node { id: ID!, total: Float, buyer: Named, state: State }
type Secret { code: Code, about: Node }
union Found = | Person | Order | Company
enum State { OPEN CLOSED }
scalar Code
input Filter { email: String = "a { b" }
type Query {
  node(id: ID!): Node
  named: [Named]
  search(filter: Filter): [Found!]
  person: Person
  company: Company
  order: Order
  secret: Secret
  version: String
}
type Changes { pay(order: ID!): Order, rename(name: String): Named }
extend type Person { secret: Secret }
extend union Found = Secret
extend interface Node { self: Node }
extend type Person { self: Node } extend type Company { self: Node } extend type Order { self: Order }
extend interface Named { self: Node }
directive @key(fields: String!) repeatable on OBJECT | INTERFACE
"#;

/// `Type.field: scope`, one a word pair.
fn rules(rules: &[(&str, &str)]) -> Vec<TypeRule> {
    let rule = |(index, (place, scope)): (usize, &(&str, &str))| {
        let (of, field) =
            place.split_once('.').map_or((*place, None), |(of, field)| (of, Some(field.into())));
        let need = match *scope {
            "token" => FieldNeed::Authenticated,
            scope => FieldNeed::Permissions(vec![scope.into()]),
        };
        TypeRule { of: of.into(), field, need, at: Position { line: index as u32 + 1, column: 1 } }
    };
    rules.iter().enumerate().map(rule).collect()
}

fn schema(text: &str, of: &[(&str, &str)]) -> Schema {
    assert_eq!(check(text, &rules(of)), Ok(()));
    Schema::compile(
        &SchemaRules { path: "schema".into(), at: Position::default(), text: text.into(), rules: rules(of) },
        &|_, _| Needs::nothing(),
        None,
    )
}

/// What an operation needs, all its root fields together.
fn needs(schema: &Schema, kind: OperationKind, document: &str) -> Needs {
    let document = Document::read(document);
    let document = &document;
    let mut walk = Walk::new(schema, &document);
    let all: Vec<Needs> = document.root().map(|(name, inside)| walk.field(kind, name, inside)).collect();
    Needs::all(&all)
}

/// The permissions, with `token` and `nobody: …` where that is so.
fn shown(needs: &Needs) -> String {
    let mut words: Vec<String> = needs.permissions.iter().map(ToString::to_string).collect();
    if let Some(denied) = &needs.denied {
        words.push(format!("nobody: {denied}"));
    }
    if words.is_empty() && needs.token {
        words.push("token".to_owned());
    }
    words.join(" ")
}

/// A document and what it needs under these rules.
fn table(of: &[(&str, &str)], expected: &[(&str, &str)]) {
    let schema = schema(SDL, of);
    for (document, needed) in expected {
        assert_eq!(
            shown(&needs(&schema, OperationKind::Query, document)),
            *needed,
            "{document}\nunder {of:?}"
        );
    }
}

#[test]
fn u6_a_field_below_the_root_needs_what_its_rule_says() {
    table(
        &[("Person.email", "email"), ("Query.version", "token"), ("Secret.code", "code")],
        &[
            ("{ person { name } }", ""),
            ("{ version }", "token"),
            ("{ person { email } }", "email"),
            ("{ person { name: email } }", "email"),
            ("{ person { ... { ... { email } } } }", "email"),
            ("{ company { owner { secret { code } } } version }", "code"),
            ("{ a: person { ...F } } fragment F on Person { ...G } fragment G on Person { email }", "email"),
        ],
    );
}

#[test]
fn u6_a_field_that_comes_to_a_type_needs_what_the_type_does() {
    table(
        &[("Order", "orders")],
        &[
            ("{ order { id } }", "orders"),
            ("{ order { __typename } }", "orders"),
            ("{ person { orders { total } } }", "orders"),
            ("{ person { name } }", ""),
            ("{ secret { about { ... on Order { __typename } } } }", "orders"),
        ],
    );
    // Scalars and enumerations are come to as well.
    table(
        &[("Code", "codes"), ("State", "states")],
        &[("{ secret { code } order { state } }", "codes states")],
    );
}

#[test]
fn u6_through_an_interface_is_read_whatever_may_stand_there() {
    table(
        &[("Person.name", "name"), ("Order", "orders"), ("Company.id", "id")],
        &[
            ("{ named { name } }", "name"),
            ("{ named { id } }", "id"),
            ("{ node { id } }", "id orders"),
            ("{ node { __typename } }", ""),
            ("{ node { ... on Person { id } } }", ""),
            ("{ node { ... on Named { name } } }", "name"),
            // An `Order` of its own is an `Order`, whatever the interface calls it.
            ("{ node { self { __typename } } }", "orders"),
            ("{ order { buyer { name } } }", "name orders"),
        ],
    );
}

#[test]
fn u6_rules_of_an_interface_go_for_whatever_implements_it() {
    table(
        &[("Node.id", "ids"), ("Named", "named")],
        &[
            ("{ person { id } }", "ids named"),
            ("{ person { email } }", "named"),
            ("{ order { id } }", "ids"),
            ("{ order { total } }", ""),
            ("{ node { ... on Company { __typename } } }", "named"),
            ("{ search { ... on Order { id } } }", "ids"),
            ("{ search { ... on Person { email } } }", "named"),
        ],
    );
}

#[test]
fn u6_a_union_is_any_of_its_members_and_has_no_fields() {
    table(
        &[("Found", "search"), ("Person.email", "email"), ("Secret", "secret")],
        &[
            ("{ search { __typename } }", "search"),
            ("{ search { ... on Person { email } } }", "email search"),
            ("{ search { ... on Secret { about { id } } } }", "search secret"),
            ("{ search { ... on Node { id } } }", "search"),
            ("{ search { id } }", "search nobody: Found.id"),
            ("{ person { email } }", "email"),
        ],
    );
}

/// GHSA-x33c-7c2v-mrj9, GHSA-mx7m-j9xf-62hw: rules of one side only were looked at.
#[test]
fn u6_a_fragment_on_an_abstract_type_bypasses_nothing() {
    table(
        &[("Person.name", "person"), ("Named.name", "named"), ("Company.name", "company")],
        &[
            // Stays what it is: what stands there is a person, by whichever name.
            ("{ person { ... on Named { name } } }", "named person"),
            ("{ person { ... on Node { ... on Named { name } } } }", "named person"),
            ("{ company { ...F } } fragment F on Named { name }", "company named"),
            // Nobody knows what stands there.
            ("{ node { ... on Named { name } } }", "company named person"),
            ("{ search { ...F } } fragment F on Named { name }", "company named person"),
            // One fragment in two types: what came of the first is not taken for the second.
            ("{ company { ...F } person { ...F } } fragment F on Named { name }", "company named person"),
            // And a fragment on one of them.
            ("{ named { ... on Person { name } } }", "named person"),
        ],
    );
}

#[test]
fn u6_the_roots_are_what_the_schema_calls_so() {
    let schema = schema(SDL, &[("Order", "orders"), ("Changes.rename", "rename")]);
    let of = |kind, document| shown(&needs(&schema, kind, document));
    assert_eq!(of(OperationKind::Mutation, "{ pay { total } }"), "orders");
    assert_eq!(of(OperationKind::Mutation, "{ rename { id } }"), "orders rename".replace("orders ", ""));
    assert_eq!(of(OperationKind::Mutation, "{ order { total } }"), "nobody: Changes.order");
    assert_eq!(of(OperationKind::Query, "{ pay { total } }"), "nobody: Query.pay");
    // There is a `schema { … }`, and no such root in it.
    assert_eq!(of(OperationKind::Subscription, "{ pay { total } }"), "nobody: Subscription.pay");
    for meta in ["{ __typename }", "{ __schema { types { name } } }", "{ __type(name: \"Order\") { name } }"]
    {
        assert_eq!(of(OperationKind::Query, meta), "", "introspection has a policy of its own");
    }
    let extended = "type Query { a: Int } type M { a: Int } extend schema { mutation: M }";
    let extended = self::schema(extended, &[("M.a", "a")]);
    assert_eq!(shown(&needs(&extended, OperationKind::Mutation, "{ a }")), "a");
    assert_eq!(shown(&needs(&extended, OperationKind::Query, "{ a }")), "");
}

#[test]
fn u6_what_the_schema_does_not_know_is_for_nobody() {
    table(
        &[("Person.email", "email")],
        &[
            ("{ persons { name } }", "nobody: Query.persons"),
            ("{ person { mail } }", "nobody: Person.mail"),
            ("{ person { Email } }", "nobody: Person.Email"),
            ("{ person { email, mail } }", "email nobody: Person.mail"),
            ("{ person { name { first } } }", "nobody: String.first"),
            ("{ person { ... on Persn { email } } }", "nobody: type.Persn"),
            ("{ person { ...F } }", "nobody: fragment.F"),
            ("{ person { __schema { name } } }", "nobody: Person.__schema"),
            ("{ person { ...F } } fragment F on Person { ...F }", "nobody: fragment.F"),
            ("{ person { ...F } } fragment F on Persn { email }", "nobody: type.Persn"),
        ],
    );
    // Without a schema that can be read, and so with none that could be configured.
    let none = Schema::compile(
        &SchemaRules {
            path: "schema".into(),
            at: Position::default(),
            text: "".into(),
            rules: rules(&[("Person.email", "email")]),
        },
        &|_, _| Needs::nothing(),
        None,
    );
    assert_eq!(shown(&needs(&none, OperationKind::Query, "{ person }")), "nobody: Query.person");
}

/// The result of an introspection says the same as the SDL, whole or as the answer that it came in.
#[test]
fn an_introspection_says_the_same() {
    let schema = r#"{"queryType":{"name":"Q"},"mutationType":null,"types":[
        {"kind":"OBJECT","name":"Q","fields":[{"name":"all","type":{"kind":"NON_NULL","ofType":{"kind":"LIST","ofType":
            {"kind":"INTERFACE","name":"Node"}}}}],"interfaces":[]},
        {"kind":"INTERFACE","name":"Node","fields":[{"name":"id","type":{"name":"ID"}}],"interfaces":null,
            "possibleTypes":[{"name":"A"}]},
        {"kind":"OBJECT","name":"A","fields":[{"name":"id","type":{"name":"ID"}}],"interfaces":[{"name":"Node"}]},
        {"kind":"UNION","name":"U","possibleTypes":[{"name":"A"}]},{"kind":"ENUM","name":"E"},
        {"kind":"INPUT_OBJECT","name":"I","inputFields":[]},{"kind":"SCALAR","name":"ID"},
        {"kind":"OBJECT","name":"__Type","fields":[{"name":"x","type":{"name":"Unknown"}}]}]}"#;
    for text in [format!(r#"{{"__schema":{schema}}}"#), format!(r#" {{"data":{{"__schema":{schema}}}}}"#)] {
        let schema = self::schema(&text, &[("A.id", "a")]);
        assert_eq!(shown(&needs(&schema, OperationKind::Query, "{ all { id } }")), "a");
        assert_eq!(shown(&needs(&schema, OperationKind::Query, "{ all { name } }")), "nobody: Node.name");
        assert_eq!(shown(&needs(&schema, OperationKind::Mutation, "{ all }")), "nobody: Mutation.all");
    }
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    let refused = [
        ("", "1:1: a schema without a query root"),
        ("type A { b: C }", "1:13: `C` is not defined"),
        ("type Query {\n  a: Int\n  a: Int\n}", "3:3: `Query` has the field `a` twice"),
        ("type Query { a: Int }\ntype Query { b: Int }", "2:6: `Query` is defined twice"),
        ("type Query { a: I } input I { a: Int }", "1:17: `I` cannot be what a field comes to"),
        ("type Query implements Int { a: Int }", "1:23: `Int` cannot be implemented"),
        ("type Query { a: Int } union U = Query | Int", "1:41: `Int` cannot be a member of a union"),
        ("type Query { a: Int } extend type A { a: Int }", "1:35: `A` is extended and not defined"),
        ("type Query { a: Int } extend union Query = Query", "1:36: `Query` is extended as what it is not"),
        ("schema { query: Q } type Query { a: Int }", "1:17: `Q` is not defined"),
        ("schema { querry: Query } type Query { a: Int }", "1:10: `querry` is no kind of operations"),
        ("schema { mutation: Query } type Query { a: Int }", "1:1: a schema without a query root"),
        ("{ person { name } }", "1:3: this is no introspection's JSON"),
        ("query { person }", "1:1: an operation"),
        ("tpye Query { a: Int }", "1:1: `tpye` begins no definition"),
        ("type Query { a: Int", "1:20: a name is expected, not the end"),
        ("type Query { a: [Int }", "1:22: `]` is expected, not `}`"),
        ("type Query { a(b: Int: Int }", "1:28: another bracket is expected"),
        ("type Query { a(b: Int }", "1:23: another bracket is expected"),
        ("type Query { \"a\n b: Int }", "1:14: a string that nothing closes"),
        ("\u{e9}", "1:1: `\u{e9}` means nothing"),
        ("{\"data\":null}", "1:1: there is no `__schema`"),
        ("{\"__schema\":{\"types\":[{\"kind\":\"OBJECT\",\"name\":\"A\"}]}}", "1:1: `A` lacks its `fields`"),
        (
            "{\"__schema\":{\"types\":[{\"kind\":\"OBJECT\",\"name\":\"A\",\"fields\":[{\"name\":\"b\",\"type\":{\"kind\":\"LIST\"}}]}]}}",
            "1:1: the type of `A.b` has no name",
        ),
    ];
    for (text, what) in refused {
        let Err(Wrong::File(problems)) = check(text, &[]) else { panic!("{text} is a schema") };
        let said: Vec<String> =
            problems.iter().map(|one| format!("{}:{}: {}", one.at.line, one.at.column, one.what)).collect();
        assert!(said.iter().any(|said| said.starts_with(what)), "{text}\n{said:#?}");
    }
}

/// Rules that cannot be bound (GHSA-g8jh-vg5j-4h3f).
#[test]
fn u6_a_rule_that_cannot_be_bound_is_refused_where_it_stands() {
    let of = [
        ("Persn", "a"),
        ("Person.emial", "a"),
        ("Filter.email", "a"),
        ("Found.id", "a"),
        ("Person.email", "a"),
    ];
    let Err(Wrong::Rules(problems)) = check(SDL, &rules(&of)) else { panic!("bound") };
    let said: Vec<_> =
        problems.iter().map(|one| (one.at.line, one.what.as_str(), one.hint.as_deref())).collect();
    assert_eq!(
        said,
        [
            (1, "the schema has no type `Persn`", Some("did you mean `Person`?")),
            (2, "the type `Person` of the schema has no field `emial`", Some("did you mean `email`?")),
            (3, "`Filter` is an input: nothing is read of it", None),
            (4, "the type `Found` of the schema has no field `id`", None),
        ]
    );
}

/// Fragments that hold each other twice and again: what they come to grows by two with each, what they cost by one.
#[test]
fn fragments_are_walked_once() {
    let mut document = "{ person { ...F0 } }".to_owned();
    for level in 0..400 {
        let next = level + 1;
        document.push_str(&format!(" fragment F{level} on Person {{ ...F{next} ...F{next} }}"));
    }
    document.push_str(" fragment F400 on Person { email }");
    let schema = schema(SDL, &[("Person.email", "email")]);
    assert_eq!(shown(&needs(&schema, OperationKind::Query, &document)), "email");
}

/// What a fragment needs is needed by every field that holds it, not only by the first.
#[test]
fn u6_a_fragment_counts_for_each_that_spreads_it() {
    let schema = schema(SDL, &[("Person.email", "email")]);
    let document =
        Document::read("{ person { ...F } company { owner { ...F } } } fragment F on Person { email }");
    let document = &document;
    let mut walk = Walk::new(&schema, &document);
    let fields: Vec<_> = document.root().collect();
    for (name, inside) in fields {
        assert_eq!(shown(&walk.field(OperationKind::Query, name, inside)), "email", "{name}");
    }
}

/// A request of 60 KB without a token took four seconds and 700 MB: each of two thousand fields at the roots had ten thousand
/// permissions written down.
#[test]
fn d7_what_is_needed_is_bounded_however_often_it_is_asked_for() {
    let fields: Vec<String> = (0..5_000).map(|field| format!("f{field}")).collect();
    let sdl = format!("type Query {{ x: X }} type X {{ {}: Int }}", fields.join(": Int "));
    let of: Vec<(String, String)> =
        fields.iter().map(|name| (format!("X.{name}"), format!("s{name}"))).collect();
    let of: Vec<(&str, &str)> = of.iter().map(|(place, scope)| (&**place, &**scope)).collect();
    let schema = schema(&sdl, &of);
    let fields = fields.join(" ");
    let once =
        needs(&schema, OperationKind::Query, &format!("{{ x {{ ...F }} }} fragment F on X {{ {fields} }}"));
    assert_eq!((once.permissions.len(), once.denied), (5_000, None));
    let many = format!("{{ {} }} fragment F on X {{ {fields} }}", "x { ...F } ".repeat(500));
    let many = needs(&schema, OperationKind::Query, &many);
    assert!(many.permissions.len() <= 16_384, "{}", many.permissions.len());
    assert_eq!(many.denied.as_deref(), Some("selections.too many needs"));
}

#[test]
fn what_is_too_deep_or_too_much_is_for_nobody() {
    let schema = schema(SDL, &[("Person.email", "email")]);
    let nested = |levels: usize| {
        format!("{{ company {}name{} }}", "{ parent ".repeat(levels), "}".repeat(levels))
            .replace("parent name", "name")
    };
    assert_eq!(shown(&needs(&schema, OperationKind::Query, &nested(400))), "");
    assert_eq!(shown(&needs(&schema, OperationKind::Query, &nested(600))), "nobody: selections.too deep");
    let many = format!("{{ person {{ {} }} }}", "name ".repeat(200_001));
    assert_eq!(shown(&needs(&schema, OperationKind::Query, &many)), "nobody: selections.too many");
}
