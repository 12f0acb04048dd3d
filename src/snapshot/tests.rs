use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::problems::Position;
use crate::config::{ClaimMap, Issuer, KeySource, Located, Secret, SecretSource, TokenPlace, TokenType};
use crate::keys::jwk;
use crate::policy::route::Routes;
use crate::revocation::held::{Held, Id};
use crate::revocation::key::Key;
use crate::revocation::{Kind, Revocations};
use crate::snapshot::{Change, Keys, Publisher, Reader, channel};
use crate::token::claims::Selector;
use crate::token::scope::ScopeMatch;
use crate::token::{Algorithm, NumericDate};

fn selector(name: &str) -> Selector {
    Selector::parse(&[name]).expect("a name")
}

fn issuer(name: &str) -> Issuer {
    Issuer {
        name: name.into(),
        issuer: format!("https://{name}.example/").into(),
        audience: None,
        keys: at(1, KeySource::JwksFile(PathBuf::from("keys.json"))),
        refresh: Duration::from_secs(300),
        cooldown: Duration::from_secs(30),
        max_stale: Duration::from_secs(86_400),
        miss_wait: Duration::from_millis(250),
        algorithms: None,
        leeway: Duration::from_secs(30),
        max_token_lifetime: Duration::from_secs(86_400),
        token_type: TokenType::Any,
        scope_match: ScopeMatch::Exact,
        claims: ClaimMap {
            scope: selector("scope"),
            subject: selector("sub"),
            client: selector("client_id"),
            id: selector("jti"),
            session: selector("sid"),
            tenant: selector("tid"),
        },
        revocable: Arc::default(),
        from: vec![TokenPlace::Bearer],
        dangerous_http: false,
    }
}

fn at(line: u32, value: KeySource) -> Located<KeySource> {
    Located { value, at: Position { line, column: 1 } }
}

fn keys(secret: u8) -> Keys {
    let set = jwk::from_secret(&[secret; 32], None, false).expect("a good secret");
    Keys::Ready { set: Arc::new(set), fetched: true }
}

fn config(issuers: impl IntoIterator<Item = (Issuer, Keys)>, token_limit: usize) -> Change {
    Change::Config {
        routes: Arc::new(Routes::default()),
        issuers: issuers.into_iter().map(|(issuer, keys)| (Arc::new(issuer), keys)).collect(),
        revocations: Arc::new(Revocations::default()),
        listeners: Vec::new(),
        token_limit,
    }
}

fn epochs(reader: &Reader) -> Vec<u64> {
    reader.load().issuers.iter().map(|state| state.epoch).collect()
}

fn start() -> (Publisher, Reader) {
    channel(config([(issuer("a"), keys(1)), (issuer("b"), Keys::Unavailable)], 8_192))
}

/// Publishes and says which of the issuers `a` and `b` got a new epoch, after checking that one that is new
/// was never used before.
#[track_caller]
fn check(change: Change, renewed: [bool; 2]) {
    let (mut publisher, reader) = start();
    let before = epochs(&reader);
    let generation = publisher.publish(change);
    let after = epochs(&reader);
    assert_eq!(generation, 2);
    assert_eq!(reader.load().generation, 2);
    let seen: BTreeSet<u64> = before.iter().copied().collect();
    for ((old, new), renewed) in before.iter().zip(&after).zip(renewed) {
        assert_eq!(old != new, renewed, "{before:?} -> {after:?}");
        assert!(!renewed || !seen.contains(new), "{before:?} -> {after:?}");
    }
}

#[test]
fn the_first_generation_is_one_and_every_issuer_has_its_own_epoch() {
    let (_publisher, reader) = start();
    assert_eq!(reader.load().generation, 1);
    assert_eq!(epochs(&reader), [1, 2]);
}

#[test]
fn what_steps_five_seven_and_eight_read_renews_the_epoch() {
    let b = || (issuer("b"), Keys::Unavailable);
    let a = |change: fn(&mut Issuer)| {
        let mut a = issuer("a");
        change(&mut a);
        config([(a, keys(1)), b()], 8_192)
    };
    check(a(|a| a.algorithms = Some(vec![Algorithm::HS256])), [true, false]);
    check(a(|a| a.issuer = "https://else.example/".into()), [true, false]);
    check(a(|a| a.keys.value = KeySource::Discovery), [true, false]);
    check(a(|a| a.leeway = Duration::ZERO), [true, false]);
    check(config([(issuer("a"), keys(2)), b()], 8_192), [true, false]);
    check(config([(issuer("a"), Keys::Unavailable), b()], 8_192), [true, false]);
    check(config([(issuer("a"), keys(1)), (issuer("b"), keys(1))], 8_192), [false, true]);
    check(config([(issuer("a"), keys(1)), b()], 4_096), [true, true]);
    check(Change::Keys { issuer: "a".into(), keys: keys(2) }, [true, false]);
    check(Change::Keys { issuer: "a".into(), keys: Keys::Unavailable }, [true, false]);
    check(Change::Keys { issuer: "b".into(), keys: keys(1) }, [false, true]);
}

#[test]
fn what_is_the_same_keeps_the_epoch() {
    let b = || (issuer("b"), Keys::Unavailable);
    check(config([(issuer("a"), keys(1)), b()], 8_192), [false, false]);
    check(Change::Keys { issuer: "a".into(), keys: keys(1) }, [false, false]);
    check(Change::Keys { issuer: "b".into(), keys: Keys::Unavailable }, [false, false]);
    check(Change::Keys { issuer: "nobody".into(), keys: keys(3) }, [false, false]);
    check(Change::Revocations(Arc::new(Revocations::default())), [false, false]);
    let mut moved = issuer("a");
    moved.keys.at = Position { line: 77, column: 3 };
    check(config([(moved, keys(1)), b()], 8_192), [false, false]);
}

#[test]
fn a_secret_that_moved_in_the_file_is_the_same() {
    let secret = |line, file: &str| {
        let source = SecretSource::File(PathBuf::from(file));
        let secret = Secret { source, at: Position { line, column: 9 } };
        let mut issuer = issuer("a");
        issuer.keys = at(line, KeySource::Secret { secret, dangerous_short: false });
        config([(issuer, keys(1))], 1)
    };
    let (mut publisher, reader) = channel(secret(4, "s"));
    publisher.publish(secret(9, "s"));
    assert_eq!(epochs(&reader), [1]);
    publisher.publish(secret(9, "t"));
    assert_eq!(epochs(&reader), [2]);
}

/// An issuer that goes and comes back, or turns back to old keys, gets an epoch of its own: what a memo
/// remembers of before is dead.
#[test]
fn an_epoch_is_never_used_twice() {
    let (mut publisher, reader) = start();
    let mut seen = BTreeSet::from([epochs(&reader)[0]]);
    for step in 0..6_u8 {
        publisher.publish(Change::Keys { issuer: "a".into(), keys: keys(2 - step % 2) });
        assert!(seen.insert(epochs(&reader)[0]), "step {step}");
    }
    publisher.publish(config([], 8_192));
    publisher.publish(config([(issuer("a"), keys(1))], 8_192));
    assert!(seen.insert(epochs(&reader)[0]));
}

#[test]
fn a_change_of_one_part_shares_the_others() {
    let (mut publisher, reader) = start();
    let before = reader.load();
    publisher.publish(Change::Keys { issuer: "a".into(), keys: keys(2) });
    let after = reader.load();
    assert!(Arc::ptr_eq(&before.routes, &after.routes));
    assert!(Arc::ptr_eq(&before.revocations, &after.revocations));
    assert!(Arc::ptr_eq(&before.issuers[1], &after.issuers[1]));
    assert_eq!(after.token_limit, 8_192);
    // The snapshot a decision holds does not change under it.
    assert_eq!(before.generation, 1);
    assert_eq!(before.issuers[0].epoch, 1);
}

#[test]
fn a_first_change_of_another_kind_starts_empty() {
    let (_publisher, reader) = channel(Change::Keys { issuer: "a".into(), keys: keys(1) });
    assert!(reader.load().issuers.is_empty());
    assert!(reader.load().routes.all().is_empty());
}

/// A reload begins, somebody is revoked, the reload ends: it would have brought the set from before.
#[test]
fn a_reload_does_not_undo_what_was_revoked_meanwhile() {
    let (mut publisher, reader) = channel(config([], 1));
    let reload = config([], 2);
    let key = Key::new(Kind::Subject, "i", "s");
    let held = Held { id: Id(1), kind: Kind::Subject, key, not_before: None, expires: None };
    let revoked = reader.load().revocations.with([held], &[], NumericDate(0));
    publisher.publish(Change::Revocations(Arc::new(revoked)));
    publisher.publish(reload);
    assert_eq!(reader.load().revocations.len(Kind::Subject), 1);
}
