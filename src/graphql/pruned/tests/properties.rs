//! Documents of every shape, some of their root fields left out: what stays is read by other parsers.

use std::collections::{BTreeSet, HashSet};

use apollo_compiler::ast::{Definition, Document, Selection};
use bluejay_parser::ast::Parse;
use bluejay_parser::ast::executable::ExecutableDocument;
use proptest::prelude::*;

use crate::graphql::pruned::prune;

/// A part of a selection set.
#[derive(Debug, Clone)]
enum Part {
    /// A field of this number, with a variable of this one, and a spread below it.
    Field {
        number: u8,
        variable: Option<u8>,
        below: Option<u8>,
        goes: bool,
    },
    Inline {
        directive: Option<u8>,
        parts: Vec<Self>,
    },
    Spread {
        fragment: u8,
        directive: Option<u8>,
    },
}

/// Fragments of a document; any of them spreads those of higher numbers only.
const FRAGMENTS: u8 = 4;
/// Variables that its first operation declares where they are used.
const VARIABLES: u8 = 5;

fn part() -> impl Strategy<Value = Part> {
    let variable = || proptest::option::of(0..VARIABLES);
    let field = (0..40_u8, variable(), proptest::option::weighted(0.2, 0..FRAGMENTS), any::<bool>())
        .prop_map(|(number, variable, below, goes)| Part::Field { number, variable, below, goes });
    let spread =
        (0..FRAGMENTS, variable()).prop_map(|(fragment, directive)| Part::Spread { fragment, directive });
    let leaf = prop_oneof![4 => field, 1 => spread];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        (variable(), prop::collection::vec(inner, 1..4))
            .prop_map(|(directive, parts)| Part::Inline { directive, parts })
    })
}

/// A document as text, and where the fields begin that go.
#[derive(Default)]
struct Written {
    text: String,
    goes: HashSet<usize>,
}

impl Written {
    fn set(&mut self, parts: &[Part], least: u8) {
        self.text.push_str(" { ");
        for part in parts {
            self.part(part, least);
        }
        self.text.push_str("} ");
    }

    fn directive(&mut self, directive: Option<u8>) {
        if let Some(number) = directive {
            self.text.push_str(&format!("@include(if: $v{number}) "));
        }
    }

    fn part(&mut self, part: &Part, least: u8) {
        match part {
            Part::Field { number, variable, below, goes } => {
                if *goes {
                    self.goes.insert(self.text.len());
                }
                match number % 4 {
                    0 => self.text.push_str(&format!("f{number}")),
                    1 => self.text.push_str(&format!("a{number} :\n f{number}")),
                    2 => self.text.push_str(&format!("on{number} # }} $v0\n")),
                    _ => self
                        .text
                        .push_str(&format!("fragment{number}(t: \"\"\"}} \\\"\"\" ...F0\"\"\", n: -1.5e+3)")),
                }
                match variable {
                    Some(number) if !self.text.ends_with(')') => {
                        self.text.push_str(&format!("(x: {{y: [$v{number}, \"}}\"]}})"));
                    }
                    Some(number) => self.text.push_str(&format!("@skip(if: $v{number})")),
                    None => {}
                }
                match below.filter(|fragment| *fragment >= least) {
                    Some(fragment) => self.text.push_str(&format!("{{ ...F{fragment} x }},")),
                    None => self.text.push(' '),
                }
            }
            Part::Inline { directive, parts } => {
                self.text.push_str(if parts.len() % 2 == 0 { "... " } else { "... on Query " });
                self.directive(*directive);
                self.set(parts, least);
            }
            // A document without cycles, and each set with something in it.
            Part::Spread { fragment, directive } if *fragment >= least => {
                self.text.push_str(&format!("...F{fragment} "));
                self.directive(*directive);
            }
            Part::Spread { .. } => self.text.push_str("plain "),
        }
    }
}

/// The whole document of an operation and fragments, without what nothing uses.
fn written(operation: &[Part], fragments: &[Vec<Part>]) -> Written {
    let mut body = Written::default();
    body.set(operation, 0);
    for (number, parts) in (0..FRAGMENTS).zip(fragments) {
        body.text.push_str(&format!("fragment F{number} on Query"));
        body.set(parts, number + 1);
    }
    let declared: Vec<String> =
        (0..VARIABLES).map(|number| format!("$v{number}: [Boolean!]! = [{{c: \"$v0\"}}]")).collect();
    let head = format!("query Asked({})", declared.join(", "));
    let goes = body.goes.iter().map(|start| start + head.len()).collect();
    Written { text: head + &body.text + " query Other { other ...G } fragment G on Query { g }", goes }
}

/// The keys at the root of the first operation, through fragments, but for fields that begin at these octets.
fn root_keys(document: &Document, goes: &HashSet<usize>) -> BTreeSet<String> {
    let fragment = |name: &str| {
        document.definitions.iter().find_map(|definition| {
            let Definition::FragmentDefinition(fragment) = definition else { return None };
            (fragment.name == name).then_some(fragment)
        })
    };
    let operation = document.definitions.iter().find_map(|definition| {
        let Definition::OperationDefinition(operation) = definition else { return None };
        Some(operation)
    });
    let (mut keys, mut passed) = (BTreeSet::new(), BTreeSet::new());
    let mut look: Vec<&Selection> = operation.expect("an operation").selection_set.iter().collect();
    while let Some(selection) = look.pop() {
        match selection {
            Selection::Field(field) => {
                if !goes.contains(&field.location().expect("a place").offset()) {
                    keys.insert(field.response_name().to_string());
                }
            }
            Selection::InlineFragment(inline) => look.extend(&inline.selection_set),
            Selection::FragmentSpread(spread) => {
                if passed.insert(spread.fragment_name.to_string()) {
                    look.extend(&fragment(&spread.fragment_name).expect("a fragment").selection_set);
                }
            }
        }
    }
    keys
}

fn parsed(text: &str) -> Document {
    let read = ExecutableDocument::parse(text);
    assert!(read.result.is_ok(), "bluejay-parser refuses {text}");
    Document::parse(text, "document.graphql").unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_left_is_a_document_of_exactly_the_other_fields(
        operation in prop::collection::vec(part(), 1..6),
        fragments in prop::collection::vec(prop::collection::vec(part(), 1..4), FRAGMENTS as usize),
    ) {
        let Written { text, goes } = written(&operation, &fragments);
        let Some(pruned) = prune(&text, 0, &goes) else { return Ok(()) };
        let after = parsed(&pruned.document);
        let operations = after.definitions.iter().filter(|one| one.as_operation_definition().is_some());
        prop_assert_eq!(operations.count(), 1);
        let mut wanted = root_keys(&parsed(&text), &goes);
        wanted.extend(pruned.stand_in.as_deref().map(str::to_owned));
        let left = root_keys(&after, &HashSet::new());
        // An operation of which nothing is left at all has a stand-in too.
        prop_assert_eq!(left, wanted, "{}\n{}", text, pruned.document);
        // Nothing is declared that is not used, nor used that is not declared. (Without a schema no directive is known.)
        let faults = after.validate_standalone_executable().err().map(|faults| faults.to_string()).unwrap_or_default();
        for fault in ["unused variable", "must be used in an operation", "is not defined", "cannot find fragment"] {
            prop_assert!(!faults.contains(fault), "{}\n{}", pruned.document, faults);
        }
    }
}
