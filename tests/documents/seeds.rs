//! Documents that others are made of.

/// Each has something that the others do not.
pub const SEEDS: &[&str] = &[
    "{a}",
    "query A($v: [Int!]! = [1, 2] @d, $w: In = {x: {y: null}}) @e(f: $v) { b: c(d: $v, e: \"f\") @skip(if: $w) { g } }",
    "mutation M { a: CreatePerson(name: \"x\") { identifier } b: CreatePlace { identifier __typename } }",
    "subscription S { ThingCreateMutation(types: [Person, Place]) { identifier ... on Person { name } } }",
    "{ ...F ... { a } ... on T @include(if: false) { b } } fragment F on T @d { c { ...G } } fragment G on U { e }",
    "query A { a } query B { b } mutation C { c }",
    "\"\"\"said\n \\\"\"\" twice\"\"\" query A(\"what\" $a: Int) { a }  # said } \n",
    "{ a(s: \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u{1F600}\\uD83D\\uDE00\", t: \"\"\"x\\\\ \"\"\", n: [-0, 1.5e-3, 12]) b(e: E, t: true, o: {k: {}}) }",
    "query IntrospectionQuery { __schema { queryType { name } types { ...FullType } directives { name args { ...V } } } } fragment \
     FullType on __Type { kind fields(includeDeprecated: true) { name args { ...V } type { ...R } } } fragment V on __InputValue { name \
     type { ...R } defaultValue } fragment R on __Type { kind ofType { kind ofType { kind name } } }",
    "{ on: query(fragment: on) { true: null } ...onF } fragment onF on on { type schema extend }",
];
