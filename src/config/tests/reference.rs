//! `config/portcullis.yaml` shows every key there is, with its default; and the table is the whole truth about
//! what the decoder reads.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{config, read};
use crate::config::raw::{self, Content, Entry, Node};
use crate::config::shape::{Absent, Key, Mapping, Takes, table};
use crate::config::{schema, units};

pub(super) const REFERENCE: &str = include_str!("../../../config/portcullis.yaml");

/// The reference with everything turned on: without the `#` of each line that is no comment.
pub(super) fn everything() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.is_empty() || (rest.starts_with(' ') && !rest.starts_with("  ")) => {
            format!("{line}\n")
        }
        Some(rest) => format!("{rest}\n"),
        None => format!("{line}\n"),
    };
    REFERENCE.lines().map(line).collect()
}

/// Visits every mapping of closed keys in a node that takes this.
pub(super) fn walk(node: &Node, takes: Takes, visit: &mut dyn FnMut(&'static Mapping, &[Entry])) {
    match takes {
        Takes::Fields(mapping) | Takes::Short(_, mapping) | Takes::Secret(mapping) => {
            let Content::Mapping(entries) = &node.content else { return };
            if mapping.key("env").is_none() && node.get("env").is_some() {
                return;
            }
            visit(mapping, entries);
            for entry in entries.iter() {
                if let Some(key) = mapping.key(&entry.key) {
                    walk(&entry.value, key.takes, visit);
                }
            }
        }
        Takes::Some(one) | Takes::Any(one) => match &node.content {
            Content::Sequence(items) => items.iter().for_each(|item| walk(item, *one, visit)),
            Content::Scalar(_) | Content::Mapping(_) => walk(node, *one, visit),
        },
        Takes::Named(_, one) => {
            if let Content::Mapping(entries) = &node.content {
                entries.iter().for_each(|entry| walk(&entry.value, *one, visit));
            }
        }
        Takes::Either(all) => all.iter().for_each(|one| walk(node, *one, visit)),
        Takes::Flag
        | Takes::Whole(..)
        | Takes::Duration(..)
        | Takes::Size(..)
        | Takes::Word { .. }
        | Takes::Text(_)
        | Takes::Json
        | Takes::Template
        | Takes::Span(..) => {}
    }
}

/// Every mapping of the table.
pub(super) fn mappings() -> Vec<&'static Mapping> {
    let mut found: Vec<&'static Mapping> = vec![&table::FILE];
    let mut index = 0;
    while let Some(mapping) = found.get(index) {
        for inner in mapping.keys.iter().flat_map(|key| key.takes.mappings()) {
            if !found.iter().any(|known| known.id == inner.id) {
                found.push(inner);
            }
        }
        index += 1;
    }
    found
}

fn every_key() -> impl Iterator<Item = (&'static Mapping, &'static Key)> {
    mappings().into_iter().flat_map(|mapping| mapping.keys.iter().map(move |key| (mapping, key)))
}

/// The values that a text gives to each key. A secret is a secret, wherever it is.
pub(super) fn given(text: &str) -> BTreeMap<(&'static str, String), Vec<Value>> {
    let root = raw::parse(text).root.expect("a tree");
    let mut given: BTreeMap<_, Vec<Value>> = BTreeMap::new();
    walk(&root, Takes::Fields(&table::FILE), &mut |mapping, entries| {
        for entry in entries {
            given.entry((family(mapping), entry.key.to_string())).or_default().push(entry.value.to_json());
        }
    });
    given
}

/// The mapping, of the two that say where a secret is the larger one.
pub(super) fn family(mapping: &Mapping) -> &'static str {
    match mapping.id {
        "secret" => "shared_secret",
        id => id,
    }
}

#[test]
fn the_reference_shows_every_key_and_each_with_its_default() {
    let (shown, all) = (given(REFERENCE), given(&everything()));
    let one = |value: &Value| {
        let alone = value.as_array().filter(|items| items.len() == 1).map_or(value, |items| &items[0]);
        // `24h` and `1d` are the same.
        let duration = alone.as_str().and_then(|text| units::duration(text).ok());
        duration.map_or_else(|| alone.clone(), |duration| units::write_duration(duration).into())
    };
    for (mapping, key) in every_key() {
        let place = (family(mapping), key.name.to_owned());
        let values = all.get(&place).unwrap_or_else(|| panic!("{place:?} is not in the reference"));
        if let Absent::Is(default) = key.absent {
            let default = one(&schema::default(default));
            assert!(
                values.iter().map(one).any(|value| value == default),
                "{place:?}: {values:?} lacks {default}"
            );
        }
        // What is not commented out is required, or the default, or alternatives that a route needs anyway.
        if let (Absent::Means(means), Some(values)) = (key.absent, shown.get(&place)) {
            let sections = [
                "upstreams",
                "issuers",
                "limits",
                "log",
                "claims",
                "forward",
                "streams",
                "upstream",
                "scopes",
            ]
            .contains(&key.name);
            assert!(sections, "{place:?}: {values:?} is shown, and without it: {means}");
        }
    }
}

#[test]
fn the_reference_parses_as_it_stands_and_with_everything_turned_on() {
    let (_, warnings) = read(REFERENCE).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(warnings, []);
    let config = config(&everything());
    assert!(config.admin.is_some() && config.store.is_some() && config.revocation.is_some());
    assert_eq!((config.upstreams.len(), config.issuers.len()), (2, 18));
}

/// Leaving out every key that has a default changes nothing: the table's defaults are the decoder's.
#[test]
fn leaving_defaults_out_changes_nothing() {
    let short = "version: 1\nlisteners: 0.0.0.0:8080\nupstreams: {orders: {peers: [http://10.0.0.5:8080, \
                 http://10.0.0.6:8080]}}\nissuers: {corp: {issuer: https://login.example.com/, audience: \
                 https://api.example.com}}\nroutes:\n  GET /orders/{id}: orders:read\n  POST,PUT /orders: \
                 {require: {issuers: corp, scopes: orders:write}}\n  GET /me: authenticated\n  \
                 api.example.com/public/{*rest}: public\n";
    assert_eq!(super::printed::shown(&config(short)), super::printed::shown(&config(REFERENCE)));
}

/// Whatever key is given, somebody reads it: a value that nothing accepts is refused where it stands.
#[test]
fn no_key_is_accepted_and_ignored() {
    let text = everything();
    let root = raw::parse(&text).root.expect("a tree");
    let mut places = BTreeMap::new();
    walk(&root, Takes::Fields(&table::FILE), &mut |mapping, entries| {
        // What an open mapping has besides is the operator's.
        for entry in entries.iter().filter(|entry| mapping.key(&entry.key).is_some()) {
            places.entry((family(mapping), entry.key.to_string())).or_insert((entry.at, entry.value.span));
        }
    });
    let keys: BTreeSet<_> =
        every_key().map(|(mapping, key)| (family(mapping), key.name.to_owned())).collect();
    let anything: BTreeSet<_> = every_key()
        .filter(|(_, key)| matches!(key.takes, Takes::Template))
        .map(|(mapping, key)| (family(mapping), key.name.to_owned()))
        .collect();
    assert_eq!(places.keys().cloned().collect::<BTreeSet<_>>(), keys);
    for (place, (at, span)) in places {
        // A template may be anything; what no template has is a hole that nothing fills.
        let nothing = if anything.contains(&place) { "\"{nothing}\"" } else { "[[[]]]" };
        let broken = format!("{}{nothing}{}", &text[..span.start], &text[span.end..]);
        let problems = read(&broken).err().unwrap_or_else(|| panic!("{place:?} accepts anything"));
        let near = problems.list.iter().any(|problem| (at.line..=at.line + 1).contains(&problem.at.line));
        assert!(near, "{place:?} at {at:?}:\n{problems}");
    }
}

/// Every default of the table is one that its own key accepts, and every word is known to its enumeration.
#[test]
fn every_word_and_default_is_accepted() {
    let text = everything();
    let root = raw::parse(&text).root.expect("a tree");
    let mut tried = 0;
    walk(&root, Takes::Fields(&table::FILE), &mut |mapping, entries| {
        for entry in entries {
            let Some(Key { takes: Takes::Word { now, .. }, .. }) = mapping.key(&entry.key) else { continue };
            // A token of another format has other keys beside it.
            if (mapping.id, &*entry.key) == ("token", "format") {
                continue;
            }
            let span = entry.value.span;
            let shown: Vec<String> = now
                .iter()
                .map(|word| format!("{}{word}{}", &text[..span.start], &text[span.end..]))
                .map(|text| super::printed::shown(&config(&text)))
                .collect();
            let different = shown.iter().collect::<BTreeSet<_>>().len();
            assert_eq!(different, now.len(), "{} of {}: two words mean the same", entry.key, mapping.id);
            tried += 1;
        }
    });
    assert!(tried >= 8, "{tried}");
}
