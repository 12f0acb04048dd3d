//! No secret of a file is ever repeated (threat K10).

use super::{file, issuer, problems, read};
use crate::config::print;

const CANARY: &str = "canary-hunter2-0123456789";

/// However a secret is put into the file, what is said about it does not hold it.
fn check(text: &str) {
    let text = text.replace("CANARY", CANARY);
    let problems = problems(&text);
    let shown = format!("{problems}\n{problems:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_secret_in_the_file_is_refused_and_masked() {
    for place in [
        "CANARY",
        "'CANARY'",
        "[CANARY]",
        "{CANARY}",
        "{CANARY: x}",
        "{inline: CANARY}",
        "{inline: {a: CANARY}}",
        "{inline: CANARY, inline: CANARY}",
        "{inlnie: CANARY}",
        "{value: CANARY}",
        "{vault: CANARY}",
        "{env: HMAC, default: CANARY}",
        "{inline: CANARY, dangerous_inline_secret: yes}",
        "{inline: CANARY, file: a, dangerous_inline_secret: true}",
        "{dangerous_inline_secret: CANARY}",
        "{dangerous_CANARY: true}",
        "|\n    CANARY\n    CANARY\n  ",
    ] {
        let admin = file(&[("admin", &format!("\n  address: 127.0.0.1:9900\n  token: {place}"))]);
        check(&admin);
        if !place.contains('\n') {
            check(&issuer(&format!("keys: {{secret: {place}}}")));
        }
    }
    assert!(problems(&issuer("keys: {secret: x}")).to_string().contains("a secret never stands in the file"));
}

#[test]
fn a_secret_under_a_wrong_key_is_masked() {
    check(&issuer("secret: CANARY"));
    check(&issuer("keys: {secert: CANARY}"));
    check(&issuer("keys: {secert: {inline: CANARY}}"));
    check(&file(&[("adnim", "{token: CANARY}")]));
    check(&file(&[("admin", "{address: 127.0.0.1:1, tokn: CANARY}")]));
    check(&file(&[("admin", "{address: 127.0.0.1:1, password: [a, {b: CANARY}]}")]));
    check(&file(&[("tokens", "{key: CANARY}")]));
    check(&file(&[("admin", "{address: x, token: CANARY}")]));
    check(&issuer("keys: {jwks: {url: 'https://user:CANARY@login.example.com/'}}"));
    check(&issuer("keys: {jwks: {inline: {keys: [{kty: oct, k: CANARY}]}}}"));
    check(&issuer("keys: {jwks: {inline: '{\"keys\":[{\"kty\":\"oct\",\"k\":\"CANARY\"}]}'}}"));
    check(&issuer("keys: {jwks: {inline: '{\"k\": \"CANARY\"'}}"));
    check(&issuer("keys: {pem: {inline: '-----BEGIN PRIVATE KEY----- CANARY'}}"));
}

#[test]
fn a_secret_under_an_unknown_key_is_masked_wherever_a_name_or_itself_suggests_it() {
    for entry in [
        "db_password: CANARY",
        "masterKey: CANARY",
        "passwd: [CANARY]",
        "admin_tokne: CANARY",
        "creds: {user: alice, credentials: CANARY}",
        "vault: [{name: a}, {token: {value: CANARY}}]",
        "passphrases: {CANARY: x}",
        "headers: {Authorization: Bearer CANARY}",
        "database: postgres://portcullis:CANARY@db.internal/portcullis",
        "database: {url: 'redis://:CANARY@10.0.0.1'}",
        "certificate: '-----BEGIN EC PRIVATE KEY----- CANARY'",
        "set: '{\"k\": \"CANARY\"}'",
    ] {
        check(&format!("{}{entry}\n", file(&[])));
    }
    check(&issuer("keys: {vaule: CANARY}"));
    check(&issuer("keys: {jwks: {vaule: CANARY}}"));
    check(&issuer("keys: {pem: {vaule: CANARY}}"));
}

/// What is only misspelt is shown: it is what the operator looks for.
#[test]
fn a_harmless_value_under_an_unknown_key_is_shown() {
    for (entry, shown) in [
        ("upstraems: {api: http://127.0.0.1:3000/a@b}", "http://127.0.0.1:3000/a@b"),
        ("proxy: {mode: [fast, open], log: 'no colour'}", "{mode: [fast, open], log: 'no colour'}"),
        ("listen: 127.0.0.1:8081", "listen: 127.0.0.1:8081"),
        ("default_upstream: orders", "default_upstream: orders"),
    ] {
        let problems = problems(&format!("{}{entry}\n", file(&[]))).to_string();
        assert!(problems.contains(shown) && !problems.contains("***"), "{problems}");
    }
}

#[test]
fn a_secret_in_what_is_no_yaml_is_masked() {
    check("admin:\n  token: 'CANARY\n");
    check("admin:\n  token: CANARY: x\n");
    check("admin: {token: {inline: CANARY}, }}\n");
    check("keys:\n  secret: |\n   x\n  CANARY\n");
    check("pem: |\n  -----BEGIN PRIVATE KEY-----\n MIIEvQIBADANBgkqhkiCANARY\n");
    check("secret: \tCANARY\0\n");
    check("token: @CANARY\n");
    check("token: *CANARY\n");
}

#[test]
fn an_accepted_inline_secret_is_redacted() {
    let text = issuer(&format!("keys: {{secret: {{inline: {CANARY}, dangerous_inline_secret: true}}}}"));
    let (config, warnings) = read(&text).expect("a configuration");
    let shown = format!("{config:?}\n{}\n{warnings:?}", print(&config));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("inline: \"***\"") && warnings.len() == 1, "{shown}");
    // Another mistake in the same line does not show it either.
    check(&text.replace(CANARY, "CANARY").replace("audience: a", "audience: []"));
}
