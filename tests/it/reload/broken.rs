//! K7: a file that is broken in whatever way changes nothing but a gauge, a counter and a log line.

use std::fs;

use portcullis::gate::denial::Reason::NoRoute;

use crate::harness::api::{Api, assert_allowed, assert_refused};
use crate::harness::canary;
use crate::harness::client::Request;
use crate::harness::keys::random_name;

type Break = fn(&str) -> Vec<u8>;

/// How a sound text is broken. Every broken text also says that `/sneaked` is public, where it can.
const FORMS: [(&str, Break); 33] = [
    ("an empty file", |_| Vec::new()),
    ("blanks", |_| b"\n\n  \n".to_vec()),
    ("a comment", |_| b"# nothing\n".to_vec()),
    ("no mapping", |_| b"- a\n- b\n".to_vec()),
    ("a text", |_| b"hello\n".to_vec()),
    ("a NUL", |text| format!("{text}\0").into_bytes()),
    ("no UTF-8", |text| [text.as_bytes(), b"# \xff\xfe\n"].concat()),
    ("UTF-16", |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ("tabs for blanks", |text| text.replace("\n  ", "\n\t").into_bytes()),
    ("an unknown key", |text| format!("{text}nonsense: 1\n").into_bytes()),
    ("a misspelt key", |text| text.replace("audience:", "audiance:").into_bytes()),
    ("a duplicate key", |text| format!("{text}version: 1\n").into_bytes()),
    ("a duplicate route", |text| format!("{text}  \"/health\": public\n").into_bytes()),
    ("a tying route", |text| format!("{text}  \"GET /orders/{{other}}\": public\n").into_bytes()),
    ("a route without requirement", |text| format!("{text}  \"/x\":\n").into_bytes()),
    ("an empty requirement", |text| format!("{text}  \"/x\": {{}}\n").into_bytes()),
    ("an upstream nobody knows", |text| {
        format!("{text}  \"/x\": {{require: public, upstream: nowhere}}\n").into_bytes()
    }),
    ("an issuer nobody knows", |text| {
        format!("{text}  \"/x\": {{require: {{issuers: [nobody]}}}}\n").into_bytes()
    }),
    ("a condition that does not compile", |text| {
        format!("{text}  \"/x\": {{require: {{when: 'claims.sub =='}}}}\n").into_bytes()
    }),
    ("a wrong version", |text| text.replace("version: 1", "version: 2").into_bytes()),
    ("no version", |text| text.replace("version: 1\n", "").into_bytes()),
    ("a number for a list", |text| text.replace("workers: 2", "workers: two").into_bytes()),
    ("no routes", |text| text.split("routes:").next().unwrap_or_default().as_bytes().to_vec()),
    ("an unfinished mapping", |text| format!("{text}  \"/x\": {{require: public\n").into_bytes()),
    ("an unfinished text", |text| format!("{text}  \"/x: public\n").into_bytes()),
    ("another document", |text| format!("{text}---\nversion: 1\n").into_bytes()),
    ("an alias of nothing", |text| format!("{text}  \"/x\": *nothing\n").into_bytes()),
    ("a bomb of aliases", |text| (bomb() + text).into_bytes()),
    ("great depth", |text| format!("{text}  \"/x\": {}\n", "[".repeat(100_000)).into_bytes()),
    ("great size", |text| [text.as_bytes(), &b"# blank\n".repeat(8 << 20)].concat()),
    ("another port", |text| {
        text.replace("listeners: [\"127.0.0.1:", "listeners: [\"127.0.0.2:").into_bytes()
    }),
    ("other workers", |text| text.replace("workers: 2", "workers: 3").into_bytes()),
    ("a key file that is not there", |text| text.replace("corp.json", "nowhere.json").into_bytes()),
];

/// Nine levels of nine: a billion laughs.
fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let one = format!("*a{}, ", level - 1).repeat(9);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", one.trim_end_matches(", ")));
    }
    text
}

/// The old configuration serves, and nothing of the new one.
#[track_caller]
fn unchanged(api: &Api, token: &str, generation: u64, what: &str) {
    assert_allowed(&api.gateway.get("/orders/1", token));
    assert_allowed(&api.gateway.send(&Request::get("/health")));
    assert_refused(&api.gateway.send(&Request::get("/sneaked")), NoRoute);
    assert_eq!(api.gateway.generation(), generation, "{what}: something was published");
    assert_eq!(api.gateway.metric("config_last_reload_success", &[]), 0.0, "{what}");
}

#[test]
fn k7_a_broken_file_changes_nothing() {
    let api = Api::start();
    let token = api.reader();
    let sound = api.gateway.config();
    let bold = format!("{sound}  \"GET /sneaked\": public\n");
    for (what, broken) in FORMS {
        let (generation, failed) =
            (api.gateway.generation(), api.gateway.metric("config_reloads_total", &[]));
        api.gateway.replace("portcullis.yaml", broken(&bold));
        let response = api.gateway.reload();
        assert!((400..600).contains(&response.status), "{what}: {response:?}");
        assert!(response.body.len() < 64 << 10, "{what}: an answer of {} octets", response.body.len());
        unchanged(&api, &token, generation, what);
        assert!(api.gateway.metric("config_reloads_total", &[]) > failed, "{what} is not counted");
        // Its end is the end of it: the sound file is taken again.
        api.gateway.replace("portcullis.yaml", &sound);
        assert_eq!(api.gateway.reload().status, 200, "after {what}");
        assert_eq!(api.gateway.metric("config_last_reload_success", &[]), 1.0, "after {what}");
    }
}

#[test]
fn k7_a_truncated_file_is_refused_or_whole() {
    let api = Api::start();
    let token = api.reader();
    let sound = api.gateway.config();
    let routes = sound.find("routes:").expect("there are routes") + "routes:\n".len();
    // Within the list of routes a shorter list is a sound file; before it nothing is. The unit tests cut at every
    // octet; here enough of them go through the whole machinery.
    for end in (0..routes).step_by(routes / 25) {
        let generation = api.gateway.generation();
        api.gateway.replace("portcullis.yaml", &sound[..end]);
        let response = api.gateway.reload();
        assert!(response.status >= 400, "cut at {end}: {response:?}");
        unchanged(&api, &token, generation, &format!("cut at {end}"));
    }
}

#[test]
fn k7_something_else_than_a_file_changes_nothing() {
    let api = Api::start();
    let token = api.reader();
    let sound = api.gateway.config();
    let generation = api.gateway.generation();
    fs::remove_file(api.gateway.config_path()).expect("the file goes");
    fs::create_dir(api.gateway.config_path()).expect("a directory comes");
    assert!(api.gateway.reload().status >= 400);
    unchanged(&api, &token, generation, "a directory");
    fs::remove_dir(api.gateway.config_path()).expect("the directory goes");
    std::os::unix::fs::symlink("/dev/zero", api.gateway.config_path()).expect("an endless device");
    assert!(api.gateway.reload().status >= 400);
    unchanged(&api, &token, generation, "a device");
    api.gateway.replace("portcullis.yaml", sound);
    assert_eq!(api.gateway.reload().status, 200);
}

/// Where, what and what instead; and never what is secret.
#[test]
fn k7_k10_a_refused_reload_says_where_and_what_and_keeps_secrets() {
    let secret = canary::secret(&(random_name() + &random_name()));
    let api = Api::with(|setup| setup.file("secret", &secret).yaml_tail("# a comment to move the lines"));
    let text = api.gateway.config();
    let line = text.lines().position(|line| line.starts_with("issuers:")).expect("there are issuers") + 2;
    api.gateway.replace("portcullis.yaml", text.replace("audience:", "audiance:"));
    let response = api.gateway.reload();
    assert!(response.text().contains("audience"), "no hint: {response:?}");
    assert!(response.text().contains(&format!("portcullis.yaml:{line}:")), "no place: {response:?}");
    api.gateway.wait_for_log(&["audiance"]);
    // A secret where none belongs is not repeated.
    let inline = format!("keys: {{secret: {secret}}}");
    api.gateway.replace("portcullis.yaml", text.replace("keys: {jwks: {file: corp.json}}", &inline));
    let response = api.gateway.reload();
    assert!(response.status >= 400, "{response:?}");
    assert!(canary::find(&response.text()).is_none(), "I4: {response:?}");
}

#[test]
fn what_cannot_change_live_is_refused_and_said() {
    let api = Api::start();
    let text = api.gateway.config();
    let changes = [
        text.replace("workers: 2", "workers: 1"),
        text.replace("listeners: [", "listeners: [\"127.0.0.1:1\", "),
    ];
    for changed in changes {
        api.gateway.replace("portcullis.yaml", changed);
        let response = api.gateway.reload();
        assert!(response.status >= 400, "{response:?}");
        assert!(response.text().contains("restart"), "{response:?}");
    }
}
