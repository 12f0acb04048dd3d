use serde_json::{Value, json};

use super::*;
use crate::authority::Authority;
use crate::authority::tests::{Scene, holds, object, wait};
use crate::mint::managed::{Hidden, KeyChange, KeyMade, NewKey, NotDone};

fn new() -> NewKey {
    NewKey {
        scopes: vec!["read:*".into()],
        attributes: object(json!({"tenant": "t-1"})),
        name: Some("The billing job".into()),
        ..NewKey::default()
    }
}

fn make(authority: &Authority, new: NewKey) -> KeyMade {
    wait(authority.api_keys.make(new)).unwrap_or_else(|why| panic!("{why:?}"))
}

fn whole(made: &KeyMade) -> String {
    made.key.as_deref().expect("a whole key").clone()
}

fn check(authority: &Authority, key: &str) -> Option<Arc<Holder>> {
    authority.api_keys.check("keys", Presented::Whole(key), clock::now()).ok()
}

fn pair(authority: &Authority, credential: &str, id: &str, secret: &str) -> Option<Arc<Holder>> {
    authority.api_keys.check(credential, Presented::Pair { id, secret }, clock::now()).ok()
}

fn change(authority: &Authority, made: &KeyMade, change: KeyChange) {
    let changed = wait(authority.api_keys.change("keys", &made.shown.id, change));
    changed.unwrap_or_else(|why| panic!("{why:?}"));
}

#[test]
fn what_is_no_key_is_refused() {
    let scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    let other = make(&authority, NewKey { prefix: Some("pk_live_".into()), ..new() });
    let (key, secret, id) = (whole(&made), &*made.secret, &*made.shown.id);
    let another = api_key::written("pk_", id, &other.secret);
    let unknown = api_key::written("pk_", "000000000000", secret);
    let elsewhere = api_key::written("pk_live_", id, secret);
    let slip = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
    for wrong in [
        "",
        "pk_",
        "pk_live_",
        id,
        secret,
        &another,
        &unknown,
        &elsewhere,
        &slip,
        &format!("{key} "),
        &key[3..],
    ] {
        assert_eq!(check(&authority, wrong), None, "{wrong}");
    }
    for (id, secret) in
        [(id, ""), (id, &**other.secret), ("", secret), (id, &*key), (&*other.shown.id, secret)]
    {
        assert_eq!(pair(&authority, "keys", id, secret), None, "{id} {secret}");
    }
    assert_eq!(pair(&authority, "people", id, secret), None, "another credential");
    assert_eq!(authority.api_keys.find("keys", "000000000000", clock::now()), None);
    assert_eq!(authority.api_keys.look_up("keys", &another, clock::now()), Looked::Unknown);
    assert_eq!(authority.api_keys.look_up("others", &key, clock::now()), Looked::Unknown);
}

#[test]
fn a_key_counts_whole_and_in_two_parts_and_after_a_restart() {
    let scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    let live = make(&authority, NewKey { prefix: Some("pk_live_".into()), ..new() });
    assert!(whole(&live).starts_with("pk_live_"));
    let holder = check(&authority, &whole(&made)).expect("it counts");
    assert_eq!((&*holder.credential, &*holder.id), ("keys", &*made.shown.id));
    assert_eq!(holder.scopes, vec!["read:*".into()].into());
    assert_eq!(holder.name.as_deref(), Some("The billing job"));
    drop(authority);
    let authority = scene.start();
    assert_eq!(check(&authority, &whole(&made)), Some(Arc::clone(&holder)));
    assert_eq!(pair(&authority, "keys", &made.shown.id, &made.secret), Some(holder));
    let live = check(&authority, &whole(&live)).expect("it counts");
    assert_eq!(*live.attributes, object(json!({"env": "live", "tier": 1, "tenant": "t-1"})));
}

#[test]
fn attributes_of_a_prefix_stand_behind_the_keys_own_and_change_with_the_configuration() {
    let mut scene = Scene::new();
    let authority = scene.start();
    let attributes = object(json!({"tier": 9}));
    let made = make(&authority, NewKey { prefix: Some("pk_live_".into()), attributes, ..NewKey::default() });
    let of =
        |authority: &Authority| (*check(authority, &whole(&made)).expect("it counts").attributes).clone();
    assert_eq!(of(&authority), object(json!({"env": "live", "tier": 9})));
    let credential = Arc::make_mut(&mut scene.config().authority.credentials[0]);
    if let CredentialKind::ApiKeys(keys) = &mut credential.kind {
        Arc::make_mut(keys).prefixes[1].attributes = object(json!({"env": "production"}));
    }
    scene.reload(&authority);
    assert_eq!(of(&authority), object(json!({"env": "production", "tier": 9})));
}

#[test]
fn two_secrets_count_while_one_replaces_the_other() {
    let scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    let id = &*made.shown.id;
    let only = wait(authority.api_keys.remove_secret("keys", id, 1));
    assert!(matches!(only, Err(NotDone::Conflict(_))), "the only one");
    let second = wait(authority.api_keys.add_secret("keys", id)).unwrap_or_else(|why| panic!("{why:?}"));
    assert!(matches!(wait(authority.api_keys.add_secret("keys", id)), Err(NotDone::Conflict(_))), "a third");
    let numbers: Vec<u32> = second.shown.secrets.iter().map(|secret| secret.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(check(&authority, &whole(&made)).is_some() && check(&authority, &whole(&second)).is_some());
    wait(authority.api_keys.remove_secret("keys", id, 1)).expect("removed");
    assert_eq!(wait(authority.api_keys.remove_secret("keys", id, 1)), Err(NotDone::Unknown));
    drop(authority);
    let authority = scene.start();
    assert!(check(&authority, &whole(&made)).is_none() && check(&authority, &whole(&second)).is_some());
}

#[test]
fn a_disabled_key_is_refused_with_all_that_was_made_from_it_and_counts_again() {
    let scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    let disabled = |is: bool| KeyChange { disabled: Some(is), ..KeyChange::default() };
    change(&authority, &made, disabled(true));
    assert_eq!(check(&authority, &whole(&made)), None);
    assert_eq!(authority.api_keys.find("keys", &made.shown.id, clock::now()), None);
    assert_eq!(authority.api_keys.look_up("keys", &whole(&made), clock::now()), Looked::NotNow);
    assert_eq!(scene.revoked(), [("api_key".into(), "https://keys.example".into())]);
    change(&authority, &made, disabled(true));
    assert_eq!(scene.revoked().len(), 1, "it was disabled already");
    drop(authority);
    let authority = scene.start();
    assert_eq!(check(&authority, &whole(&made)), None);
    change(&authority, &made, disabled(false));
    assert!(check(&authority, &whole(&made)).is_some());
    assert_eq!(scene.revoked(), []);
    assert_eq!(scene.said.changed.lock().expect("whole").len(), 0, "what other keys say is so still");
    change(&authority, &made, KeyChange { name: Some(None), ..KeyChange::default() });
    assert_eq!(scene.said.changed.lock().expect("whole").len(), 1);
}

#[test]
fn a_removed_key_is_gone_for_good() {
    let scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    change(&authority, &made, KeyChange { disabled: Some(true), ..KeyChange::default() });
    wait(authority.api_keys.remove("keys", &made.shown.id)).expect("removed");
    assert_eq!(wait(authority.api_keys.remove("keys", &made.shown.id)), Err(NotDone::Unknown));
    let revoked = scene.said.revoked.lock().expect("whole").clone();
    assert!(
        revoked.len() == 1 && revoked[0].expires.is_some(),
        "nothing without an end is left: {revoked:?}"
    );
    drop(authority);
    let authority = scene.start();
    assert_eq!(check(&authority, &whole(&made)), None);
    assert_eq!(authority.api_keys.look_up("keys", &whole(&made), clock::now()), Looked::Unknown);
}

#[test]
fn a_key_ends() {
    let scene = Scene::new();
    let authority = scene.start();
    let now = clock::now();
    let made = make(&authority, NewKey { expires: Some(now.0 + 100), ..new() });
    let at = |seconds: i64| {
        authority
            .api_keys
            .check("keys", Presented::Whole(&whole(&made)), NumericDate(now.0 + seconds))
            .is_ok()
    };
    assert!(at(0) && at(99) && !at(100) && !at(10_000));
    change(&authority, &made, KeyChange { expires: Some(None), ..KeyChange::default() });
    assert!(at(10_000), "null takes the end away");
}

#[test]
fn what_a_key_says_on_a_route_is_its_own() {
    let scene = Scene::new();
    let authority = scene.start();
    let end = clock::now().0 + 1_000;
    let attributes = object(json!({"tenant": "t", "iss": "evil", "scope": "admin", "exp": 1, "crit": []}));
    let made = make(&authority, NewKey { attributes, expires: Some(end), ..new() });
    let Looked::Known(claims) = authority.api_keys.look_up("keys", &whole(&made), clock::now()) else {
        panic!("it counts");
    };
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let id = &*made.shown.id;
    let expected = json!({
        "iss": "https://keys.example", "sub": id, "client_id": id, "scope": "read:*", "exp": end, "tenant": "t",
        "name": "The billing job",
    });
    assert_eq!(claims, expected);
}

#[test]
fn a_list_of_somebody_elses_is_looked_up_whole_and_by_parts() {
    let mut scene = Scene::new();
    scene.listed_keys(
        "listed",
        &[],
        &json!([
            {"id": "a", "secret": "the secret: of a", "scopes": ["x", "y"], "tenant": 7},
            {"id": 12, "secret": "another secret", "scopes": "x z", "name": "Twelve"},
            {"id": "a", "secret": "a second of the same id"},
            {"id": "without"}, {"secret": "without"}, {"id": "c", "secret": "c", "scopes": [1]},
        ]),
    );
    let authority = scene.start();
    let whole = |text: &str| authority.api_keys.check("listed", Presented::Whole(text), clock::now()).ok();
    for wrong in ["", "a", "the secret", "the secret: of a ", "a second of the same id", "without", "c"] {
        assert_eq!(whole(wrong), None, "{wrong}");
    }
    assert_eq!(pair(&authority, "listed", "a", "another secret"), None);
    assert_eq!(pair(&authority, "listed", "without", ""), None);
    let a = pair(&authority, "listed", "a", "the secret: of a").expect("it counts");
    assert_eq!((&*a.id, &*a.attributes), ("a", &object(json!({"tenant": 7}))));
    assert_eq!(whole("the secret: of a"), Some(Arc::clone(&a)));
    let twelve = whole("another secret").expect("it counts");
    assert_eq!(
        (&*twelve.id, twelve.name.as_deref(), twelve.scopes.join(" ")),
        ("12", Some("Twelve"), "x z".into())
    );
    scene.list("listed", &json!([{"id": "a", "secret": "a new one"}]));
    scene.reload(&authority);
    assert_eq!(pair(&authority, "listed", "a", "the secret: of a"), None, "it is on the list no more");
    assert!(pair(&authority, "listed", "a", "a new one").is_some());
}

#[test]
fn a_prefix_of_a_listed_key_says_something_of_it() {
    let mut scene = Scene::new();
    let list = json!([{"id": "a", "secret": "lk_live_1"}, {"id": "b", "secret": "lk_2", "of": "itself"}, {"id": "c", "secret": "x"}]);
    scene.listed_keys("listed", &["lk_", "lk_live_"], &list);
    let authority = scene.start();
    let of = |text: &str| {
        let found = authority.api_keys.check("listed", Presented::Whole(text), clock::now());
        found.ok().map(|holder| holder.attributes["of"].clone())
    };
    assert_eq!(of("lk_live_1"), Some("lk_live_".into()), "the longest");
    assert_eq!(of("lk_2"), Some("itself".into()));
    assert_eq!(of("x"), None, "what has no prefix is no key of this credential");
}

#[test]
fn a_key_of_somebody_elses_making_is_presented_in_parts_alone() {
    let scene = Scene::new();
    let authority = scene.start();
    let foreign = |id: &str, secret: &str| NewKey {
        id: Some(id.into()),
        secret: Some(Hidden(secret.to_owned().into())),
        ..new()
    };
    for (id, secret) in [("", "sixteen octets ok"), ("a", "too short"), ("a\nb", "sixteen octets ok")] {
        assert!(
            matches!(wait(authority.api_keys.make(foreign(id, secret))), Err(NotDone::Invalid(_))),
            "{id}"
        );
    }
    let made = make(&authority, foreign("k/\u{e9} 1", "sixteen octets ok"));
    assert!(made.key.is_none());
    assert!(pair(&authority, "keys", "k/\u{e9} 1", "sixteen octets ok").is_some());
    assert!(check(&authority, "sixteen octets ok").is_none());
    let again = wait(authority.api_keys.make(foreign("k/\u{e9} 1", "another one, as long")));
    assert!(matches!(again, Err(NotDone::Conflict(_))));
    // Twelve characters and a secret that was made here would make a whole key, if it were one.
    let looks = make(&authority, NewKey { id: Some("abcdefABCDEF".into()), ..new() });
    assert!(looks.key.is_none());
    assert!(check(&authority, &api_key::written("pk_", "abcdefABCDEF", &looks.secret)).is_none());
}

#[test]
fn what_is_asked_for_is_bounded() {
    let scene = Scene::new();
    let authority = scene.start();
    let long = |octets: usize| "x".repeat(octets);
    let wrong = [
        NewKey { credential: Some("people".into()), ..new() },
        NewKey { prefix: Some("lk_".into()), ..new() },
        NewKey { secret: Some(Hidden(long(20).into())), ..new() },
        NewKey { name: Some(long(257)), ..new() },
        NewKey { scopes: vec![long(2); 257], ..new() },
        NewKey { scopes: vec!["a b".into()], ..new() },
        NewKey { scopes: vec!["{a".into()], ..new() },
        NewKey { attributes: object(json!({"a": long(16 * 1024)})), ..new() },
        NewKey { attributes: object(json!({"scopes": []})), ..new() },
        NewKey { expires: Some(-1), ..new() },
    ];
    for new in wrong {
        let what = format!("{new:?}");
        assert!(matches!(wait(authority.api_keys.make(new)), Err(NotDone::Invalid(_))), "{what}");
    }
    assert_eq!(authority.api_keys.list(None, None, 10).map(|keys| keys.keys.len()), Ok(0));
}

#[test]
fn keys_are_listed_in_order_page_by_page() {
    let scene = Scene::new();
    let authority = scene.start();
    let mut ids: Vec<String> = (0..25).map(|_| make(&authority, new()).shown.id).collect();
    ids.sort();
    let (mut listed, mut after) = (Vec::new(), None::<String>);
    loop {
        let page =
            authority.api_keys.list(None, after.as_deref(), 10).unwrap_or_else(|why| panic!("{why:?}"));
        assert!(page.keys.len() <= 10);
        listed.extend(page.keys.into_iter().map(|key| key.id));
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(listed, ids);
    assert_eq!(authority.api_keys.list(Some("others"), None, 10).map(|page| page.keys.len()), Ok(0));
    assert!(authority.api_keys.list(None, Some("not a place"), 10).is_err());
}

#[test]
fn when_a_key_was_last_used_is_kept_once_a_minute() {
    let scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    let now = clock::now();
    let key = whole(&made);
    let use_at = |authority: &Authority, seconds: i64| {
        let _held = authority.api_keys.check("keys", Presented::Whole(&key), NumericDate(now.0 + seconds));
    };
    let last =
        |authority: &Authority| authority.api_keys.show("keys", &made.shown.id).map(|key| key.last_used);
    assert_eq!(last(&authority), Ok(None));
    use_at(&authority, 0);
    use_at(&authority, 59);
    assert_eq!(last(&authority), Ok(Some(now.0)));
    wait(authority.settle()).expect("written");
    drop(authority);
    let authority = scene.start();
    assert_eq!(last(&authority), Ok(Some(now.0)));
    use_at(&authority, 60);
    assert_eq!(last(&authority), Ok(Some(now.0 + 60)));
    let _wrong = check(&authority, "pk_nothing");
    change(&authority, &made, KeyChange { name: Some(None), ..KeyChange::default() });
    assert_eq!(last(&authority), Ok(Some(now.0 + 60)), "a change does not forget it");
}

#[test]
fn another_pepper_refuses_what_was_hashed_under_the_one_before() {
    let mut scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    assert!(made.shown.secrets[0].usable);
    scene.pepper("keys", b"another pepper for tests");
    scene.reload(&authority);
    assert_eq!(check(&authority, &whole(&made)), None);
    let usable = || authority.api_keys.show("keys", &made.shown.id).map(|key| key.secrets[0].usable);
    assert_eq!(usable(), Ok(false), "and it is shown");
    scene.pepper("keys", b"a pepper for tests");
    scene.reload(&authority);
    assert!(check(&authority, &whole(&made)).is_some());
    assert_eq!(usable(), Ok(true));
}

#[test]
fn t7_no_secret_is_in_the_store_in_any_spelling() {
    let scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    let second =
        wait(authority.api_keys.add_secret("keys", &made.shown.id)).unwrap_or_else(|why| panic!("{why:?}"));
    drop(authority);
    let octets = scene.octets();
    assert!(holds(&octets, &made.shown.id), "the key is there");
    for secret in [&*made.secret, &*second.secret] {
        let base64 = base64_simd::STANDARD_NO_PAD.encode_to_string(secret.as_bytes());
        let half = &secret[..16];
        for spelling in [secret.as_str(), half, &base64] {
            assert!(!holds(&octets, spelling), "a secret is in the store");
        }
    }
    assert!(!format!("{:?}", made.shown).contains(&**made.secret));
}

#[test]
fn t9_unknown_disabled_ended_and_wrong_are_one_answer() {
    let scene = Scene::new();
    let authority = scene.start();
    let disabled = make(&authority, new());
    change(&authority, &disabled, KeyChange { disabled: Some(true), ..KeyChange::default() });
    let ended = make(&authority, NewKey { expires: Some(1), ..new() });
    let wrong = api_key::written("pk_", &make(&authority, new()).shown.id, &disabled.secret);
    let unknown = api_key::written("pk_", "000000000000", &disabled.secret);
    for key in [&whole(&disabled), &whole(&ended), &*wrong, &*unknown] {
        assert_eq!(authority.api_keys.check("keys", Presented::Whole(key), clock::now()), Err(Refused));
    }
}

#[test]
fn attempts_are_counted_by_id_wherever_a_secret_is_not_of_our_making() {
    let scene = Scene::new();
    let authority = scene.start();
    let made = make(&authority, new());
    let free = |credential: &str, id: &str| authority.api_keys.is_beyond_guessing(credential, id);
    assert!(free("keys", &made.shown.id));
    assert!(free("keys", "0123456789aB"), "what would say that there is no such key");
    for id in ["alice", "", "0123456789aBc", "0123456789a-"] {
        assert!(!free("keys", id), "{id}");
    }
    assert!(!free("nothing", &made.shown.id));
    let foreign = NewKey { id: Some("reportingjob".into()), ..new() };
    assert_eq!(make(&authority, foreign).shown.id, "reportingjob");
    assert!(!free("keys", "reportingjob"));
}

/// How long it takes does not say whether there is a key of an id, nor how much of a secret is right: the medians of any two of
/// these are within a twentieth of each other. A machine that is busy with something else disturbs most measurements, so that
/// one calm run of several is enough; a difference of the work itself is in all of them, as one that is planted shows.
#[test]
fn t1_a_look_up_takes_as_long_whatever_is_wrong() {
    let scene = Scene::new();
    let authority = scene.start();
    for _ in 0..200 {
        make(&authority, new());
    }
    let made = make(&authority, new());
    let (id, secret) = (&*made.shown.id, &**made.secret);
    let other = |octet: u8| if octet == b'0' { '1' } else { '0' };
    let first = format!("{}{}", other(secret.as_bytes()[0]), &secret[1..]);
    let last = format!("{}{}", &secret[..31], other(secret.as_bytes()[31]));
    const RUNS: usize = 10;
    const SHARE: f64 = 0.05;
    let keys = [
        api_key::written("pk_", "0123456789aB", &first),
        api_key::written("pk_", id, &first),
        api_key::written("pk_", id, &last),
    ];
    let now = clock::now();
    let check = |which: usize| authority.api_keys.check("keys", Presented::Whole(&keys[which]), now);
    let real = |which| assert!(std::hint::black_box(check(which)).is_err());
    let mut seen = Vec::new();
    while seen.len() < RUNS && seen.last().is_none_or(|share| *share >= SHARE) {
        seen.push(largest_share(&real));
    }
    assert!(seen.last().is_some_and(|share| *share < SHARE), "shares: {seen:?}");
    // Whoever finds no key, and does not compare a secret then.
    let leak = |which| match which {
        0 => assert!(api_key::read(std::hint::black_box(&keys[0]), "pk_").is_ok()),
        _ => real(which),
    };
    let seen: Vec<f64> = (0..RUNS).map(|_| largest_share(&leak)).collect();
    assert!(seen.iter().all(|share| *share >= SHARE), "a leak that nobody sees: shares {seen:?}");
}

/// The largest difference of the medians of any two of three, as a share of the smaller one.
fn largest_share(work: &dyn Fn(usize)) -> f64 {
    const SAMPLES: usize = 5_000;
    let mut taken: [Vec<u128>; 3] = std::array::from_fn(|_| Vec::with_capacity(SAMPLES));
    for sample in 0..SAMPLES {
        // Taken in turn, each as often behind each other one: what drifts, drifts for all.
        for place in 0..3 {
            let which = if sample % 2 == 0 { place } else { 2 - place };
            let begun = std::time::Instant::now();
            work(which);
            taken[which].push(begun.elapsed().as_nanos());
        }
    }
    let medians = taken.map(|mut taken| {
        taken.sort_unstable();
        taken[SAMPLES / 2] as f64
    });
    let (least, most) = medians.iter().fold((f64::MAX, 0.0_f64), |(a, b), m| (a.min(*m), b.max(*m)));
    most / least - 1.0
}
