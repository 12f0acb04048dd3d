//! What it costs to read a document and to plan it, beside a library's parser; and the worst that a mebibyte can do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a bench fails by panicking and says what it measured"
)]

#[path = "../tests/documents/seeds.rs"]
mod seeds;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bluejay_parser::ast::executable::ExecutableDocument;
use bluejay_parser::ast::{Parse as _, ParseOptions};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use portcullis::config::graphql::{FieldNeed, GraphQl, SchemaRules, TypeRule};
use portcullis::config::problems::Position;
use portcullis::config::{Context, Require, parse};
use portcullis::graphql::document::{Bounds, Document};
use portcullis::graphql::plans::Plans;
use portcullis::graphql::rules::Rules;

/// The longest that a mebibyte may take, whatever is in it.
const WORST: Duration = Duration::from_millis(50);
const MEBIBYTE: usize = 1 << 20;

/// An operation of 436 octets, as an application sends it.
const TYPICAL: &str = "query PersonPage($id: ID!, $first: Int = 10, $withWorks: Boolean!) {\n  person: Person(identifier: $id) {\n    \
    ...Card\n    birthDate\n    works: composed(first: $first, orderBy: [\"name_asc\"]) @include(if: $withWorks) {\n      identifier\n      \
    name\n      url\n    }\n  }\n  ControlAction(filter: {status: \"open\", tags: [\"a\", \"b\"]}) {\n    identifier\n  \
    }\n}\nfragment Card on Person {\n  identifier\n  name\n  image\n  jobTitle\n  description\n}\n\n";

fn documents() -> Vec<(&'static str, String)> {
    let mut typical = TYPICAL.trim_end().to_owned();
    while typical.len() < 436 {
        typical.push(' ');
    }
    let introspection = seeds::SEEDS.iter().find(|seed| seed.contains("IntrospectionQuery")).expect("a seed");
    let big: String = (0..16)
        .map(|number| {
            TYPICAL
                .replace("PersonPage", &format!("Page{number}"))
                .split("fragment")
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    let big = big + "fragment Card on Person { identifier name image jobTitle description }";
    vec![
        ("tiny", "query A { person(id: 1) { identifier name url } }".to_owned()),
        ("typical", typical),
        ("introspection", (*introspection).to_owned()),
        ("big", big),
    ]
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("graphql");
    for (name, document) in documents() {
        group.throughput(Throughput::Bytes(document.len() as u64));
        let bounds = Bounds { tokens: 15_000, recursion: 200 };
        group.bench_function(format!("read/{name}"), |bench| {
            bench.iter(|| Document::read(black_box(&document), &bounds).expect("a document"));
        });
        group.bench_function(format!("bluejay/{name}"), |bench| {
            bench.iter(|| {
                let options = ParseOptions {
                    graphql_ruby_compatibility: false,
                    max_depth: 200,
                    max_tokens: Some(15_000),
                };
                ExecutableDocument::parse_with_options(black_box(&document), options)
                    .result
                    .expect("a document")
            });
        });
    }
}

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("graphql");
    let rules = rules("");
    for (name, document) in documents() {
        let mut plans = Plans::default();
        group.bench_function(format!("planned/{name}"), |bench| {
            bench.iter(|| plans.plan(&rules, &black_box(document.as_str()).into()).expect("a plan"));
        });
        group.bench_function(format!("unseen/{name}"), |bench| {
            bench.iter_batched(
                || (),
                |()| rules.plan(black_box(&document), 1).expect("a plan"),
                BatchSize::SmallInput,
            );
        });
    }
}

/// Each once, by the clock: under the bounds of every route, and under as few as a route can have.
fn worst(_: &mut Criterion) {
    below_the_root();
    let most = "limits: {tokens: 1000000000, recursion: 500, depth: 0, aliases: 0, directives: 0, root_fields: 0, mutations: 0, name: 0, cost: 1000000000}";
    for (kind, rules) in [("default", rules("")), ("unbounded", rules(most))] {
        for (name, document) in hostile() {
            let fastest = (0..3).map(|_| {
                let start = Instant::now();
                let answer =
                    black_box(rules.plan(&document, 1)).err().map_or("planned", |rejected| rejected.code);
                (start.elapsed(), answer)
            });
            let (elapsed, answer) = fastest.min().expect("three");
            println!("worst/{kind}/{name}: {:.2} ms, {answer}", elapsed.as_secs_f64() * 1e3);
            // Without optimisation it only has to end.
            assert!(cfg!(debug_assertions) || elapsed < WORST, "{kind}/{name} took {elapsed:?}");
        }
    }
}

/// The same where ten thousand fields have rules: what a few letters ask for is all of it, over and over.
fn below_the_root() {
    const RULES: usize = 9_990;
    let fields: Vec<String> = (0..RULES).map(|field| format!("f{field}")).collect();
    let types: Vec<String> = (0..500)
        .map(|of| format!("type T{of} implements I {{ i: I, z: Int, {}: Int }}", fields[of]))
        .collect();
    let text = format!(
        "type Query {{ x: X, i: I }} interface I {{ i: I, z: Int }} type X {{ {}: Int }} {}",
        fields.join(": Int "),
        types.join(" ")
    );
    let need = |field: &String| TypeRule {
        of: "X".into(),
        field: Some(field.as_str().into()),
        need: FieldNeed::Permissions(vec![format!("read:{field}").into()]),
        at: Position::default(),
    };
    let schema = SchemaRules {
        path: "schema.graphql".into(),
        at: Position::default(),
        text: text.into(),
        // The last, so that what needs it is kept in as many words as there are.
        rules: fields
            .iter()
            .map(need)
            .chain([TypeRule { of: "I".into(), field: Some("z".into()), ..need(&fields[0]) }])
            .collect(),
    };
    let mut config = GraphQl::clone(&rules("public: Query").config);
    config.schema = Some(Arc::new(schema));
    config.limits.root_fields.most = 0;
    let rules = Rules::compile(&config);
    let all = fields.join(" ");
    let shared: String = (0..95).map(|number| format!("query A{number}{{...R}}")).collect();
    let roots = "x{...F}".repeat(20);
    let chain = |number: usize| format!("fragment C{number} on I{{i{{...C{}}}}}", number + 1);
    let chain: String = (0..400).map(chain).collect();
    let within: String = (0..500).map(|of| format!("...on T{of}{{...C0}}")).collect();
    for (name, document) in [
        ("shared", format!("{shared}fragment R on Query{{{roots}}}fragment F on X{{{all}}}")),
        ("types", format!("{{i{{{within}}}}}{chain}fragment C400 on I{{z}}")),
        ("once", format!("{{x{{{all}}}}}")),
    ] {
        let started = Instant::now();
        let answer = black_box(rules.plan(&document, 1)).err().map_or("planned", |rejected| rejected.code);
        let elapsed = started.elapsed();
        println!("worst/types/{name}: {:.2} ms, {answer}", elapsed.as_secs_f64() * 1e3);
        assert!(cfg!(debug_assertions) || elapsed < WORST, "types/{name} took {elapsed:?}");
    }
}

/// Documents of a mebibyte.
fn hostile() -> Vec<(&'static str, String)> {
    let mut all = long();
    all.extend(entangled());
    all
}

/// So many of a piece as a mebibyte holds.
fn fill(piece: &str) -> String {
    piece.repeat(MEBIBYTE / piece.len() - 8)
}

/// The pieces of all numbers, as many as a mebibyte holds.
fn numbered(piece: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    for piece in (0..).map(piece) {
        if out.len() + piece.len() > MEBIBYTE {
            break;
        }
        out.push_str(&piece);
    }
    out
}

/// Much of one thing.
fn long() -> Vec<(&'static str, String)> {
    vec![
        ("nested", fill("{a")),
        ("nested_closed", format!("{}{}", "{a".repeat(MEBIBYTE / 3), "}".repeat(MEBIBYTE / 3))),
        ("lists", format!("{{a(b: {}", fill("["))),
        ("types", format!("query ($a: {}", fill("["))),
        ("fields", format!("{{{}}}", fill("a "))),
        ("aliases", format!("{{{}}}", numbered(|number| format!("a{number}:b ")))),
        ("below", format!("{{a{{{}}}}}", fill("b "))),
        ("directives", format!("{{a {}}}", fill("@a "))),
        ("arguments", format!("{{a({})}}", fill("b:1 "))),
        ("string", format!("{{a(b: \"{}\")}}", fill("x"))),
        ("escapes", format!("{{a(b: \"{}\")}}", fill("\\u{1F600}"))),
        ("block", format!("{{a(b: \"\"\"{}\"\"\")}}", fill("\\\"\"\""))),
        ("quotes", format!("{{a(b: \"\"\"{}", fill("\"\" "))),
        ("comments", format!("{}{{a}}", fill("#\n"))),
        ("comment", format!("#{}\n{{a}}", fill("\u{2027}"))),
        ("white", format!("{}{{a}}", fill(","))),
        ("error_at_the_end", format!("{{{}", fill("a "))),
    ]
}

/// Definitions that have to do with each other.
fn entangled() -> Vec<(&'static str, String)> {
    let operations: String = (0..100).map(|number| format!("mutation A{number} {{...F}}")).collect();
    let next = |number: usize| format!("fragment F{number} on T{{...F{}}}", number + 1);
    let twice = |number: usize| format!("fragment F{number} on T{{...F{0} ...F{0}}}", number + 1);
    let chain: String = (0..20_000).map(next).collect();
    let doubling: String = (0..20_000).map(twice).collect();
    let fields = |of: usize| (0..20).map(move |field| format!("f{of}x{field} ")).collect::<String>();
    vec![
        ("operations", numbered(|number| format!("query A{number}{{a}}"))),
        ("missing", format!("{{...F0}}{}", numbered(next))),
        ("chain", format!("{{...F0}}{chain}fragment F20000 on T {{a}}")),
        ("doubling", format!("{{...F0}}{doubling}fragment F20000 on T {{a}}")),
        ("cycle", format!("{{...F0}}{chain}fragment F20000 on T {{...F0}}")),
        ("unused", format!("{{a}}{}", numbered(|number| format!("fragment F{number} on T{{a}}")))),
        ("shared_root", format!("{operations}fragment F on T {{{}}}", fields(0))),
        ("shared_roots", format!("{operations}fragment F on T {{{}}}", fill("... @skip(if: true) {a}"))),
        ("distinct", (0..100).map(|number| format!("mutation A{number} {{{}}}", fields(number))).collect()),
    ]
}

/// Permissions by name, as a route of a large interface has them.
fn rules(more: &str) -> Arc<Rules> {
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    let text = format!(
        "version: 1\nlisteners: 127.0.0.1:1\nupstreams: {{a: http://127.0.0.1:2}}\nissuers: {{a: {{issuer: https://a.example, \
         audience: any}}}}\nroutes: {{/graphql: {{require: {{graphql: {{permission: \"{{operation}}:{{field}}\", field: \
         '[A-Za-z_0-9]+', introspection: authenticated{more}}}}}}}}}\n"
    );
    let context = Context { name: "a.yaml", directory: Path::new("/"), env: &|_| None };
    let (config, _) = parse(&text, &context).unwrap_or_else(|problems| panic!("{problems}"));
    let Require::Token(requirement) = &config.routes[0].require else { panic!("public") };
    Arc::new(Rules::compile(requirement.graphql.as_ref().expect("rules")))
}

criterion_group!(benches, read, plan, worst);
criterion_main!(benches);
