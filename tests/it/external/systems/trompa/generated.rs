//! Operations that nobody wrote: some hundreds of them, each with a token of some scopes. What ran is what an oracle of a
//! few lines allows, and of what was refused nothing ran.

use std::collections::BTreeSet;

use serde_json::json;

use crate::external::systems::trompa::operations::{Scene, WAYS};

/// How many.
const OPERATIONS: usize = 600;

/// Fields with what they need, and the rest of each.
const FIELDS: [(&str, &str, &str); 10] = [
    ("CreatePerson", "Mutation:Person:Create", "(name:\"}{\"){identifier}"),
    ("CreatePlace", "Mutation:Place:Create", "(name:\"#\"){name identifier}"),
    ("UpdatePerson", "Mutation:Person:Update", "(identifier:\"1\"){relatedTo{identifier}}"),
    ("DeletePerson", "Mutation:Person:Delete", "(identifier:\"1\"){identifier}"),
    ("DeleteDigitalDocument", "Mutation:DigitalDocument:Delete", "(identifier:\"1\"){identifier}"),
    (
        "MergeMusicComposition",
        "Mutation:MusicComposition:Merge",
        "(identifier:1 name:\"\"\"a\"b\"\"\"){identifier}",
    ),
    (
        "AddMusicCompositionComposer",
        "Mutation:MusicCompositionComposer:Add",
        "(from:{identifier:1},to:{identifier:2}){from{identifier}}",
    ),
    (
        "RemoveMusicCompositionComposer",
        "Mutation:MusicCompositionComposer:Remove",
        "(from:{identifier:1},to:{identifier:2}){to{identifier}}",
    ),
    (
        "AddMusicCompositionSchema_publisher",
        "Mutation:MusicCompositionSchema_publisher:Add",
        "(from:{identifier:1},to:{identifier:2}){from{identifier}}",
    ),
    ("RequestControlAction", "Mutation:ControlAction:Request", "{identifier}"),
];

/// Scopes of a token; none is no token.
const GRANTS: [&[&str]; 10] = [
    &[],
    &["*"],
    &["Mutation:*"],
    &["Mutation:Person:*"],
    &["Mutation:*:Create", "Mutation:*:Delete"],
    &["Mutation:MusicComposition*:*"],
    &["Mutation:MusicComposition:*", "Mutation:Person:Create"],
    &["Mutation:*:Add", "Mutation:*:Re*"],
    &["Query:*", "Subscription:*"],
    &["Mutation:{Person,Place}:{Create,Update,Delete}"],
];

/// The same numbers in every run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % most
    }
}

/// Whether a scope covers a permission: `*` is anything, `{a,b}` one of them.
fn covers(scope: &str, permission: &str) -> bool {
    if let Some((before, rest)) = scope.split_once('{') {
        let (words, after) = rest.split_once('}').expect("it is closed");
        return words.split(',').any(|word| covers(&format!("{before}{word}{after}"), permission));
    }
    match scope.split_once('*') {
        None => scope == permission,
        Some((before, after)) => permission.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && covers(after, &rest[at..]))
        }),
    }
}

/// A mutation, what it asks for, and what of it runs.
struct Made {
    text: String,
    asked: BTreeSet<usize>,
    runs: BTreeSet<usize>,
}

/// One to four fields, each in another dress.
fn mutation(numbers: &mut Numbers) -> Made {
    let mut made = Made { text: String::new(), asked: BTreeSet::new(), runs: BTreeSet::new() };
    let (mut selections, mut fragments) = (String::new(), String::new());
    let (mut variables, mut count) = (false, 0);
    for which in (0..=numbers.below(4)).map(|_| numbers.below(FIELDS.len())).collect::<BTreeSet<_>>() {
        let (name, _, rest) = FIELDS[which];
        count += 1;
        let alias = match numbers.below(3) {
            0 => format!("{}:", FIELDS[numbers.below(FIELDS.len())].0.to_owned() + &count.to_string()),
            1 => format!("a{count} : "),
            _ => String::new(),
        };
        let (directive, asked, runs) = match numbers.below(9) {
            0 => ("@skip(if:true)", false, false),
            1 => ("@include(if:false)", false, false),
            2 => ("@skip(if:$yes)", true, false),
            3 => ("@include(if:$yes)", true, true),
            4 => ("@include(if:true)", true, true),
            _ => ("", true, true),
        };
        variables |= directive.contains('$');
        // On the field itself, or on what it stands in.
        let at = rest.find('{').expect("a selection");
        let at = if rest.starts_with('(') { rest.rfind("){").expect("arguments") + 1 } else { at };
        let field = |directive: &str| format!("{alias}{name}{}{directive}{}", &rest[..at], &rest[at..]);
        match numbers.below(6) {
            0 => selections.push_str(&format!("...on Mutation{directive}{{{}}}", field(""))),
            1 => selections.push_str(&format!("...{directive}{{...on Mutation{{{}}}}}", field(""))),
            2 => {
                selections.push_str(&format!("...F{count}{directive},"));
                fragments.push_str(&format!("fragment F{count} on Mutation{{__typename {}}}", field("")));
            }
            3 => {
                selections.push_str(&format!("...F{count} "));
                fragments.push_str(&format!("fragment F{count} on Mutation{{...G{count}}}"));
                fragments.push_str(&format!("fragment G{count} on Mutation{{{}}}", field(directive)));
            }
            _ => selections.push_str(&format!("{}\n", field(directive))),
        }
        if asked {
            made.asked.insert(which);
        }
        if runs {
            made.runs.insert(which);
        }
    }
    let variables = if variables { "($yes:Boolean=true)" } else { "" };
    let operation = format!("mutation M{variables}{{__typename {selections}}}");
    // In front, behind or between what is not asked for.
    made.text = match numbers.below(3) {
        0 => format!("{fragments}{operation}"),
        1 => format!("# mutation{{DeletePlace}}\nquery Q{{Person{{identifier}}}} {operation}{fragments}"),
        _ => format!("{operation}{fragments} mutation Other{{DeletePlace(identifier:\"1\"){{identifier}}}}"),
    };
    made
}

#[test]
fn what_ran_is_what_was_allowed() {
    let mut scene = Scene::new();
    let tokens = GRANTS.map(|scopes| (!scopes.is_empty()).then(|| scene.token(scopes)));
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut allowed, mut refused) = (0, 0);
    for count in 0..OPERATIONS {
        let made = mutation(&mut numbers);
        let grant = numbers.below(GRANTS.len());
        let way = WAYS[count % WAYS.len()];
        let covered = |which: &usize| GRANTS[grant].iter().any(|scope| covers(scope, FIELDS[*which].1));
        let is_allowed = made.asked.iter().all(covered);
        let payload = json!({"query": made.text, "operationName": "M"});
        let (status, answer) = scene.ask(way, tokens[grant].as_deref(), &payload);
        let ran: BTreeSet<String> = scene.servers.ran().into_iter().collect();
        let what = format!("{way:?} {:?} {}: {status:?} {answer}", GRANTS[grant], made.text);
        if is_allowed {
            allowed += 1;
            let runs: BTreeSet<String> =
                made.runs.iter().map(|which| format!("Mutation.{}", FIELDS[*which].0)).collect();
            assert!(answer["errors"].is_null() && !answer["data"].is_null(), "{what}");
            assert_eq!(ran, runs, "{what}");
        } else {
            refused += 1;
            assert_eq!((answer["data"].is_null(), ran.len()), (true, 0), "{what}: {ran:?}");
            assert!(matches!(status, None | Some(401 | 403)), "{what}");
        }
    }
    println!("corpus generated operations: {OPERATIONS}, {allowed} run, {refused} refused and not run");
    assert!(allowed > OPERATIONS / 5 && refused > OPERATIONS / 5, "{allowed} and {refused}");
}
