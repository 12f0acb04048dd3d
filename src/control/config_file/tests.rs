use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::config::problems::{Position, Problem, Problems};
use crate::config::revocation::Revocation;
use crate::config::{Admin, Config, Issuer, KeySource, Secret, SecretSource};
use crate::control::clock;
use crate::control::config_file::{AtHand, Loader, load, mirrored, refusal, trimmed};
use crate::control::files::Files;
use crate::control::key_fetch::mirror::Mirror;
use crate::control::tests::fixture::{config, issuer, jwks, mirroring};
use crate::policy::route::Routes;
use crate::revocation::{Kind, Revocations};
use crate::snapshot::{Change, Keys, channel};
use crate::token::NumericDate;

const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
const AT: Position = Position { line: 7, column: 3 };

/// A directory with files of these contents, mode 0600.
fn scratch(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (name, content) in files {
        let path = root.path().join(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(path, Permissions::from_mode(0o600)).expect("set");
    }
    root
}

fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("an-admin-token".into()),
        "ODD" => Some("two words".into()),
        "EMPTY" => Some(String::new()),
        "PEM" => Some(PEM.into()),
        _ => None,
    }
}

/// What `work` makes of a loader in this directory, with its problems and warnings.
fn with<T>(root: &Path, work: impl FnOnce(&mut Loader<'_>) -> T) -> (T, Vec<Problem>, Vec<Problem>) {
    let mut files = Files::default();
    let mut loader = Loader {
        env: &env,
        directory: root.to_owned(),
        files: &mut files,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let made = work(&mut loader);
    (made, loader.problems, loader.warnings)
}

fn words(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{}:{} {}\n", problem.at.line, problem.at.column, problem.what))
        .collect()
}

#[track_caller]
fn check_key_source(root: &Path, source: KeySource, problem: Option<&str>) -> Vec<Problem> {
    let shown = format!("{source:?}");
    let (set, problems, warnings) = with(root, |loader| loader.key_set(&issuer("a", source)));
    match problem {
        Some(problem) => {
            let said = words(&problems);
            assert!(problems.len() == 1 && said.contains(problem), "{shown}: {said}");
            assert!(problems[0].at == AT, "{shown}: {said}");
        }
        None => {
            assert!(set.is_some_and(|set| set.len() == 1) && problems.is_empty(), "{shown}: {problems:?}")
        }
    }
    warnings
}

fn secret(source: SecretSource) -> Secret {
    Secret { source, at: AT }
}

fn shared(source: SecretSource) -> KeySource {
    KeySource::Secret { secret: secret(source), dangerous_short: false }
}

#[test]
fn keys_that_cannot_be_used_are_problems_where_the_configuration_names_them() {
    let root = scratch(&[
        ("empty", b""),
        ("text", b"hello"),
        ("none.json", b"{\"keys\": []}"),
        ("short", b"hunter2"),
    ]);
    let file = |name: &str| PathBuf::from(name);
    for (source, problem) in [
        (KeySource::JwksFile(file("missing.json")), "missing.json cannot be read: No such file"),
        (KeySource::JwksFile(file("text")), "the keys of `a`: not a key set"),
        (KeySource::JwksFile(file("none.json")), "no usable key"),
        (KeySource::JwksFile(file(".")), "not a regular file"),
        (KeySource::JwksInline("{}".into()), "the keys of `a`: not a key set"),
        (KeySource::PemFile(file("text")), "not a usable public key"),
        (KeySource::PemFile(file("empty")), "not a usable public key"),
        (KeySource::PemEnv("UNSET".into()), "environment variable UNSET is not set"),
        (KeySource::PemInline("hello".into()), "not a usable public key"),
        (shared(SecretSource::File(file("missing"))), "cannot be read"),
        (shared(SecretSource::File(file("empty"))), "is empty"),
        (shared(SecretSource::File(file("short"))), "shorter than the hash"),
        (shared(SecretSource::Env("UNSET".into())), "UNSET is not set"),
        (shared(SecretSource::Env("EMPTY".into())), "is empty"),
        (shared(SecretSource::Inline("hunter2".into())), "shorter than the hash"),
    ] {
        check_key_source(root.path(), source, Some(problem));
    }
}

#[test]
fn keys_come_from_wherever_they_are() {
    let set = jwks(&["k1"]);
    let long = [b'x'; 64];
    let root = scratch(&[("keys.json", set.as_bytes()), ("key.pem", PEM.as_bytes()), ("secret", &long)]);
    for source in [
        KeySource::JwksFile("keys.json".into()),
        KeySource::JwksFile(root.path().join("keys.json")),
        KeySource::JwksInline(set.clone()),
        KeySource::PemFile("key.pem".into()),
        KeySource::PemEnv("PEM".into()),
        KeySource::PemInline(PEM.into()),
        shared(SecretSource::File("secret".into())),
        shared(SecretSource::Inline("x".repeat(64))),
    ] {
        assert!(check_key_source(root.path(), source, None).is_empty());
    }
}

#[test]
fn a_skipped_key_is_a_warning() {
    let set = jwks(&["k1"]).replace("]}", r#",{"kty":"EC","crv":"P-999","kid":"k2"}]}"#);
    let root = scratch(&[]);
    let warnings = check_key_source(root.path(), KeySource::JwksInline(set), None);
    assert!(words(&warnings).starts_with("7:3 key 1 of `a` is skipped: "), "{warnings:?}");
}

#[test]
fn who_else_can_write_or_read_a_file_matters() {
    let set = jwks(&["k1"]);
    let long = [b'x'; 64];
    let root = scratch(&[("keys.json", set.as_bytes()), ("secret", &long), ("revoked.yaml", b"[]")]);
    let mode = |name: &str, mode| fs::set_permissions(root.path().join(name), Permissions::from_mode(mode));
    for (bits, problem, warns) in [
        (0o602, Some("is world-writable"), false),
        (0o606, Some("is world-writable"), true),
        (0o604, None, true),
        (0o644, None, true),
        (0o640, None, false),
        (0o400, None, false),
    ] {
        mode("secret", bits).expect("set");
        let warnings = check_key_source(root.path(), shared(SecretSource::File("secret".into())), problem);
        assert_eq!(words(&warnings).contains("is world-readable"), warns, "{bits:o}");
    }
    mode("keys.json", 0o646).expect("set");
    check_key_source(root.path(), KeySource::JwksFile("keys.json".into()), Some("world-writable"));
    mode("keys.json", 0o644).expect("set");
    assert!(check_key_source(root.path(), KeySource::JwksFile("keys.json".into()), None).is_empty());
    mode("revoked.yaml", 0o666).expect("set");
    let (made, problems, warnings) =
        with(root.path(), |loader| loader.revocations(&revoking("revoked.yaml"), None));
    assert!(made.is_ok() && problems.is_empty());
    assert!(words(&warnings).contains("world-writable"), "{warnings:?}");
}

#[test]
fn an_admin_token_must_fit_a_bearer_header() {
    let root = scratch(&[("token", b"from-a-file==\n"), ("binary", &[0xff, 0xfe]), ("blank", b"\n")]);
    for (source, expected) in [
        (SecretSource::Env("ODD".into()), Err("no bearer token can have")),
        (SecretSource::Env("EMPTY".into()), Err("is empty")),
        (SecretSource::Env("UNSET".into()), Err("UNSET is not set")),
        (SecretSource::File("binary".into()), Err("no bearer token can have")),
        (SecretSource::File("blank".into()), Err("is empty")),
        (SecretSource::File("token".into()), Ok("from-a-file==")),
        (SecretSource::Env("TOKEN".into()), Ok("an-admin-token")),
        (SecretSource::Inline("abc".into()), Ok("abc")),
    ] {
        let (token, problems, _) = with(root.path(), |loader| loader.token(&secret(source.clone())));
        let said = words(&problems);
        match expected {
            Ok(expected) => assert_eq!(token.expect(&said).expose_secret(), expected),
            Err(problem) => {
                assert!(token.is_none() && said.starts_with("7:3 ") && said.contains(problem), "{said}")
            }
        }
        assert!(!said.contains("two words"), "{said}");
    }
}

#[test]
fn one_trailing_newline_of_a_text_is_not_the_secrets() {
    for (octets, expected) in [
        (b"abc".as_slice(), b"abc".as_slice()),
        (b"abc\n", b"abc"),
        (b"abc\r\n", b"abc"),
        (b"abc\n\n", b"abc\n"),
        (b"\nabc", b"\nabc"),
        (b"abc\r", b"abc\r"),
        (b"\n", b""),
        (b"", b""),
        (b"\xff\n", b"\xff\n"),
    ] {
        assert_eq!(**trimmed(Zeroizing::new(octets.to_vec())), *expected, "{octets:?}");
    }
}

fn revoking(file: &str) -> Config {
    let revocation = Some(Revocation {
        file: Some(file.into()),
        claims: Arc::default(),
        recheck_streams: Duration::from_secs(5),
        at: Position { line: 9, column: 1 },
    });
    Config { revocation, ..config(vec![issuer("a", KeySource::Discovery)]) }
}

#[test]
fn revocations_are_loaded_or_say_what_is_wrong_where() {
    let good = "- {kind: jti, issuer: https://a.example/, value: v}\n- {kind: subject, issuer: https://a.example/, value: v}\n";
    let bad = "- {kind: jti}\n";
    let strange = "- {kind: jti, issuer: https://gone.example/, value: v}\n";
    let root = scratch(&[
        ("good", good.as_bytes()),
        ("bad", bad.as_bytes()),
        ("strange", strange.as_bytes()),
        ("binary", &[0xff]),
    ]);
    let revocations = |file: &str| with(root.path(), |loader| loader.revocations(&revoking(file), None));
    for (file, problem) in [("missing", "missing cannot be read"), ("binary", "binary is not UTF-8")] {
        let (made, problems, _) = revocations(file);
        assert!(matches!(made, Err(None)));
        assert!(words(&problems).starts_with("9:1 ") && words(&problems).contains(problem), "{problems:?}");
    }
    let (made, problems, _) = revocations("bad");
    let own = made.expect_err("refused").expect("its own problems");
    assert!(problems.is_empty() && own.file == "bad" && &*own.text == bad);
    assert_eq!(own.list.len(), 2);
    let (made, problems, _) = revocations("good");
    let made = made.expect("compiled");
    assert!(problems.is_empty() && made.len(Kind::Jti) == 1 && made.len(Kind::Subject) == 1);
    let (made, problems, warnings) = revocations("strange");
    assert!(made.is_ok_and(|made| made.len(Kind::Jti) == 1) && problems.is_empty());
    assert!(words(&warnings).starts_with("9:1 strange:1:23: no issuer of the configuration"), "{warnings:?}");
    let (none, _, _) = with(root.path(), |loader| loader.revocations(&config(Vec::new()), None));
    assert!(none.is_ok_and(|none| none.is_empty()));
}

#[test]
fn problems_of_two_files_stand_in_the_one_that_names_the_other() {
    let own = || Problems {
        file: "revoked.yaml".into(),
        text: "- {kind: x}".into(),
        list: vec![Problem::new(Position { line: 1, column: 10 }, "there is no kind `x`")],
    };
    let path = Path::new("p.yaml");
    let config = revoking("revoked.yaml");
    assert!(refusal(path, "text", &config, Vec::new(), None).is_none());
    let alone = refusal(path, "text", &config, Vec::new(), Some(own())).expect("refused");
    assert_eq!((&*alone.file, &*alone.text), ("revoked.yaml", "- {kind: x}"));
    let later = vec![Problem::new(Position { line: 20, column: 1 }, "later"), Problem::new(AT, "earlier")];
    let both = refusal(path, "text", &config, later, Some(own())).expect("refused");
    assert_eq!((&*both.file, &*both.text), ("p.yaml", "text"));
    assert_eq!(words(&both.list), "7:3 earlier\n9:1 revoked.yaml:1:10: there is no kind `x`\n20:1 later\n");
}

#[test]
fn no_snippet_is_made_of_a_text_with_a_secret_in_it() {
    let inline = || Some(secret(SecretSource::Inline("hunter2".into())));
    let admin = Some(Admin { address: ([127, 0, 0, 1], 1).into(), token: inline() });
    let by_issuer = config(vec![issuer("a", shared(SecretSource::Inline("hunter2".into())))]);
    for config in [Config { admin, ..config(Vec::new()) }, by_issuer] {
        let refused = refusal(Path::new("p"), "hunter2", &config, vec![Problem::new(AT, "x")], None);
        assert_eq!(&*refused.expect("refused").text, "");
    }
}

fn fetched(
    root: &Path,
    config: &Config,
    previous: Option<Keys>,
) -> (Keys, BTreeMap<Box<str>, AtHand>, String) {
    let issuer: &Arc<Issuer> = &config.issuers[0];
    let snapshot = previous.map(|keys| {
        let (_, reader) = channel(Change::Config {
            routes: Arc::new(Routes::default()),
            issuers: vec![(Arc::clone(issuer), keys)],
            revocations: Arc::new(Revocations::default()),
            listeners: Vec::new(),
            token_limit: 1,
        });
        Arc::clone(&reader.load())
    });
    let mut at_hand = BTreeMap::new();
    let (keys, problems, warnings) =
        with(root, |loader| loader.fetched(config, issuer, snapshot.as_deref(), &mut at_hand));
    assert!(problems.is_empty());
    (keys, at_hand, words(&warnings))
}

#[test]
fn fetched_keys_are_the_previous_ones_or_the_mirrors_or_not_there() {
    let root = scratch(&[]);
    let unmirrored = config(vec![issuer("a", KeySource::Discovery)]);
    assert!(fetched(root.path(), &unmirrored, None).0.is_empty());
    let config = mirroring(vec![issuer("a", KeySource::Discovery)], "keys".into());
    let mirror = Mirror::new(&root.path().join("keys"), &config.issuers[0]);
    let (keys, at_hand, said) = fetched(root.path(), &config, None);
    assert!(keys.is_empty() && at_hand.is_empty() && said.is_empty());
    let now = clock::now().0;
    // Past max_stale they are not at hand any more; a clock that went back makes them young.
    for (age, there) in [(86_500, false), (86_000, true), (10, true), (-500, true)] {
        mirror.write(&jwks(&["k1", "k2"]), NumericDate(now - age)).expect("written");
        let (keys, at_hand, said) = fetched(root.path(), &config, None);
        assert_eq!(keys.len(), if there { 2 } else { 0 }, "{age}");
        assert_eq!(at_hand.len(), usize::from(there), "{age}");
        assert!(said.is_empty(), "{said}");
        if let Some(at_hand) = at_hand.get("a") {
            assert_eq!(at_hand.fetched_at, NumericDate(now - age));
            let expected = Duration::from_secs(age.max(0).unsigned_abs());
            assert!(at_hand.age.abs_diff(expected) < Duration::from_secs(20), "{:?}", at_hand.age);
        }
    }
    let (keys, at_hand, _) = fetched(root.path(), &config, Some(Keys::Unavailable));
    assert!(keys.is_empty() && at_hand.is_empty(), "what is in force goes before the mirror");
    mirror.write("{}", NumericDate(now)).expect("written");
    let (keys, _, said) = fetched(root.path(), &config, None);
    assert!(keys.is_empty() && said.contains("the mirrored keys of `a` are not used"), "{said}");
    assert!(
        mirrored(&root.path().join("keys"), &issuer("b", KeySource::Discovery), 99)
            .is_ok_and(|no| no.is_none())
    );
}

#[test]
fn what_is_no_text_file_is_refused_without_parsing() {
    let root = scratch(&[("binary", &[0xff])]);
    for (name, problem) in [
        ("binary", "the file is not UTF-8"),
        ("missing", "missing cannot be read: No such file"),
        ("", "cannot be read: not a regular file"),
    ] {
        let path = root.path().join(name);
        let refused = load(&path, &env, None).expect_err("refused");
        assert_eq!(refused.file, path.display().to_string());
        assert!(
            words(&refused.list).starts_with("1:1 ") && words(&refused.list).contains(problem),
            "{refused:?}"
        );
    }
}

#[test]
fn nothing_that_is_kept_shows_a_secret() {
    let root = scratch(&[("token", b"canary")]);
    let mut files = Files::default();
    files.read(&root.path().join("token"), 99).expect("read");
    let shown = format!("{files:?} {:?}", secret(SecretSource::Inline("canary".into())));
    assert!(shown.contains("token") && !shown.contains("canary"), "{shown}");
}
