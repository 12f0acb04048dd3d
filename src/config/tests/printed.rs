//! What `check --print` prints is the same configuration in long form.

use regex::Regex;

use super::examples::EXAMPLES;
use super::reference::{REFERENCE, everything, family, given, mappings};
use super::{config, file, issuer, route};
use crate::config::shape::Mapping;
use crate::config::{Config, print};

/// Everything in a configuration but the places in its file.
pub(super) fn shown(config: &Config) -> String {
    let place = Regex::new(r"Position \{[^}]*\}").expect("a regular expression");
    place.replace_all(&format!("{config:?}"), "_").into_owned()
}

pub(super) fn check(text: &str) {
    let first = config(text);
    let printed = print(&first);
    let second = config(&printed);
    assert_eq!(shown(&second), shown(&first), "\n{printed}");
    assert_eq!(print(&second), printed);
}

#[test]
fn what_is_printed_parses_to_the_same_configuration() {
    for (_, text) in EXAMPLES {
        check(text);
    }
    check(REFERENCE);
    let without_secret =
        everything().replace("{inline: \"a secret never stands in a file that is kept\", ", "{file: a, ");
    check(&without_secret);
}

#[test]
fn odd_names_survive() {
    check(&file(&[("upstreams", "{'true': http://a}"), ("workers", "3"), ("key_mirror", "./none")]));
    check(&file(&[
        ("upstreams", "{'a: b #c': 'http://[::1]:81'}"),
        ("listeners", "['[::]:80', 127.0.0.1:0, 'unix:/a b', {address: 'unix:/b', mode: 0600}]"),
    ]));
    check(&file(&[
        ("upstreams", "{a: {peers: ['unix:run/a b.sock', unix:/c, http://b]}}"),
        (
            "listeners",
            "[{address: 1.2.3.4:5, proxy_protocol: required, trusted_proxies: ['::/8', 10.0.0.1]}]",
        ),
    ]));
    check(&file(&[("routes", "{'*.a.com/{x}/%C3%A9/{*y}': 'a''b', '/': {require: public, name: 'null'}}")]));
    check(
        &issuer("claims: {scope: ['a\"b', '/a~1b', '~']}, from: [{header: 'X!'}, {query: '*'}]")
            .replace("audience: a", "audience: ['\u{e9}', '1']"),
    );
    check(&route(
        "streams: {warning: {before: 1m, message: \"a\\n'\\u00e9\"}, reauthenticate: {token: 'a b', when: {'/x~1y': '1', z: 1, \
         '/t': 'true', '/u': true, 'null': 'a\"'}}}",
    ));
    check(&file(&[("revocation", "{recheck_streams: 2s}")]));
    check(&file(&[("routes", r#"{/x: {require: {when: 'claims.a == "\\\"" && claims.b == "x"'}}}"#)]));
}

/// What the long form writes in another way: `oauth` as what it comes to, a prefix as one of `prefixes`.
fn is_short(mapping: &Mapping, key: &str) -> bool {
    mapping.id == "oauth"
        || [("file", "oauth"), ("api_keys", "prefix")].contains(&(mapping.id, key))
        || key == "dangerous_short_secret"
}

/// The long form leaves no key out but those that are off, and flags that are false.
#[test]
fn the_long_form_shows_every_key() {
    let printed = given(&print(&config(&everything())));
    for mapping in mappings() {
        for key in mapping.keys.iter().filter(|key| !is_short(mapping, key.name)) {
            assert!(
                printed.contains_key(&(family(mapping), key.name.to_owned())),
                "{} of {}",
                key.name,
                mapping.id
            );
        }
    }
}
