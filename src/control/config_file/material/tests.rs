use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::check;
use crate::config::credential::{Entries, EntriesSource};
use crate::control::config_file::{Loaded, load};
use crate::snapshot::{Change, Keys};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn entries() -> Entries {
    let source = EntriesSource::Listed(Vec::new());
    Entries { source, id: "id".into(), secret: "token".into(), scopes: "scopes".into() }
}

#[test]
fn a_list_that_cannot_be_used_says_which_entry_and_nothing_of_it() {
    for (text, why) in [
        ("", "no JSON array (line 1"),
        ("{}", "no JSON array"),
        ("[1]", "entry 1 is no object"),
        (r#"[{"token":"hunter2"}]"#, "entry 1: it has no `id`"),
        (r#"[{"id":"","token":"hunter2"}]"#, "entry 1: `id` is no text"),
        (r#"[{"id":"a","token":"x"},{"id":"b"}]"#, "entry 2: it has no `token`"),
        (r#"[{"id":"a","token":""}]"#, "`token` is no text, or empty"),
        (r#"[{"id":"a","token":7}]"#, "`token` is no text, or empty"),
        (r#"[{"id":"a","token":"hunter2","scopes":{}}]"#, "`scopes` is no list of texts"),
        (r#"[{"id":"a","token":"hunter2","scopes":["x",1]}]"#, "`scopes` is no list of texts"),
        (r#"[{"id":"a","token":"x"},{"id":"a","token":"hunter2"}]"#, "entry 2 has the id of another one"),
        (r#"[{"id":1,"token":"x"},{"id":"1","token":"hunter2"}]"#, "entry 2 has the id of another one"),
    ] {
        let said = check(text.as_bytes(), &entries(), None).expect_err(text);
        assert!(said.contains(why), "{text}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    for text in ["[]", r#"[{"id":"a","token":"x","scopes":"a b"},{"id":2,"token":"y","scopes":null,"z":[]}]"#]
    {
        check(text.as_bytes(), &entries(), None).expect(text);
    }
}

/// A gateway with every kind of secret, in this directory.
fn service(root: &Path, changes: &[(&str, &str)]) -> Result<Loaded, String> {
    let pem = crate::keys::rotation::SigningKey::generate(crate::token::Algorithm::ES256).expect("a key");
    let pem = pem.to_pem().expect("a private key");
    let files = [
        ("gate.yaml", SERVICE),
        ("kek", SECRET),
        ("pepper", SECRET),
        ("list", r#"[{"id":"a","token":"x"}]"#),
        ("own", SECRET),
        ("partner", "secret"),
        ("k.pem", &pem),
    ];
    for (name, text) in files {
        let text = changes.iter().find(|(changed, _)| *changed == name).map_or(text, |(_, text)| text);
        let path = root.join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("set");
    }
    let env = |name: &str| (name == "S").then(|| SECRET.to_owned());
    load(&root.join("gate.yaml"), &env, None).map_err(|problems| problems.to_string())
}

const SERVICE: &str = r#"
version: 1
listeners: [127.0.0.1:0]
upstreams: {api: "http://127.0.0.1:1"}
key_mirror: none
store: {sqlite: a.db}
signing_keys: {sealed_with: {file: kek}}
credentials:
  keys: {api_keys: {managed: true, pepper: {file: pepper}, entries: {file: list, secret: token}}}
  here: {api_keys: {entries: [{id: a, secret: {file: own}}]}}
issuers:
  partner:
    {issuer: https://p, audience: any, introspection: {url: https://p.example, client: c, secret: {file: partner}}}
tokens:
  hmac: {sign: {algorithm: HS256, secret: {env: S}}}
  pem: {sign: {algorithm: ES256, pem: {file: k.pem}}}
  managed: {}
routes: {/x: authenticated}
"#;

#[test]
fn everything_that_is_named_is_read_and_followed() {
    let root = tempfile::tempdir().expect("a directory");
    let loaded = service(root.path(), &[]).expect("loads");
    let material = &loaded.material;
    assert_eq!(material.signing.keys().map(|name| &**name).collect::<Vec<_>>(), ["hmac", "pem"]);
    assert_eq!(&**material.peppers["keys"], SECRET.as_bytes());
    assert_eq!(&**material.entries["keys"], br#"[{"id":"a","token":"x"}]"#);
    assert_eq!(&**material.listed[&("here".into(), "a".into())], SECRET.as_bytes());
    assert_eq!(material.sealed_with.as_deref().map(Vec::as_slice), Some(SECRET.as_bytes()));
    assert_eq!(&**material.introspection["partner"], b"secret");
    for name in ["kek", "pepper", "list", "own", "partner", "k.pem"] {
        assert!(loaded.files.paths().any(|path| path.ends_with(name)), "{name} is not followed");
    }
    assert!(!format!("{material:?}").contains(SECRET));
}

/// On a route nobody counts how often keys are tried, and a key that stands alone is found by anybody's guess at any of them.
#[test]
fn t3_a_listed_key_that_stands_alone_is_beyond_guessing() {
    let alone =
        SERVICE.replace("secret: token}", "secret: token}, prefixes: {live_: {}}}, from: {header: X-KEY");
    let alone = alone.replace("managed: true, pepper: {file: pepper}, ", "");
    let here = alone.replace("secret: {file: own}}]}", "secret: {file: own}}]}, from: bearer");
    let list = |key: &str| format!(r#"[{{"id":"a","token":"{key}"}}]"#);
    for (text, key, own, why) in [
        (&alone, "live_0123456789abcde", SECRET, Some("entry 1: `token` is shorter than 16 characters")),
        (&alone, "0123456789abcde", SECRET, Some("entry 1: `token` is shorter than 16 characters")),
        (&alone, "live_0123456789abcdef", "short", None),
        (&here, "live_0123456789abcdef", "short", Some("the secret of `a` (")),
        (&here, "live_0123456789abcdef", SECRET, None),
    ] {
        let root = tempfile::tempdir().expect("a directory");
        let files = [("gate.yaml", text.as_str()), ("list", &list(key)), ("own", own)];
        match (service(root.path(), &files), why) {
            (Ok(_), None) => {}
            (Err(said), Some(why)) => {
                assert!(said.contains(why) && !said.contains(key) && !said.contains(SECRET), "{said}");
            }
            (Ok(_), Some(why)) => panic!("{key}: no {why}"),
            (Err(said), None) => panic!("{key}: {said}"),
        }
    }
}

/// The public half of what a token is signed with is what verifies it.
#[test]
fn a_token_signed_with_a_pem_file_is_verified_with_its_public_half() {
    let root = tempfile::tempdir().expect("a directory");
    let loaded = service(root.path(), &[]).expect("loads");
    let Change::Config { issuers, .. } = &loaded.change else { panic!("no configuration") };
    let keys = |name: &str| {
        let (_, keys) = issuers.iter().find(|(issuer, _)| &*issuer.name == name).expect(name);
        let Keys::Ready { set, fetched: false } = keys else { panic!("{name}: {keys:?}") };
        set.len()
    };
    assert_eq!((keys("pem"), keys("hmac")), (1, 1));
}

#[test]
fn secrets_that_are_too_short_or_not_there_are_refused() {
    for (name, text, why) in [
        ("pepper", "short", "shorter than 16 octets"),
        ("kek", "short", "neither 32 octets nor their base64"),
        ("list", "[{}]", "entry 1: it has no `id`"),
        ("own", "", "is empty"),
        ("k.pem", "no key", "private key"),
    ] {
        let root = tempfile::tempdir().expect("a directory");
        let said = service(root.path(), &[(name, text)]).expect_err(name);
        assert!(said.contains(why), "{name}: {said}");
    }
    let root = tempfile::tempdir().expect("a directory");
    let short = SERVICE.replace("secret: {env: S}", "secret: {file: partner}");
    let said = service(root.path(), &[("gate.yaml", &short)]).expect_err("a short secret");
    assert!(said.contains("6 octets is shorter than the hash of HS256"), "{said}");
}

#[test]
fn a_list_that_everybody_can_read_is_warned_of_once() {
    let root = tempfile::tempdir().expect("a directory");
    service(root.path(), &[]).expect("loads");
    fs::set_permissions(root.path().join("list"), Permissions::from_mode(0o604)).expect("set");
    let env = |name: &str| (name == "S").then(|| SECRET.to_owned());
    let loaded = load(&root.path().join("gate.yaml"), &env, None).expect("loads");
    let about: Vec<_> = loaded.warnings.iter().filter(|warning| warning.what.contains("list")).collect();
    assert_eq!(about.len(), 1, "{:?}", loaded.warnings);
}
