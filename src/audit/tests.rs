use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::*;

fn asker() -> Asker {
    Asker { request_id: "r-1".into(), peer: ([10, 0, 0, 1], 4_000).into(), actor: Some("admin") }
}

fn about(id: &str) -> About {
    About {
        id: id.to_owned(),
        kind: "jti".into(),
        key: [0xab; 16],
        issuer: "https://a.example".into(),
        not_before: None,
        expires: Some(7),
        reason: "stolen".into(),
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("readable");
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn opened(directory: &tempfile::TempDir) -> (PathBuf, Audit) {
    let path = directory.path().join("audit.jsonl");
    let audit = Audit::open(&path).expect("opened");
    (path, audit)
}

#[test]
fn a_change_has_two_lines_with_one_id() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, audit) = opened(&directory);
    audit.asked(&asker(), Event::Revoke, &[about("1"), about("2")]).expect("written");
    audit.ended(&asker(), Event::Revoke, End::Failed, Some("store_unavailable")).expect("written");
    let lines = lines(&path);
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!((&line["event"], &line["request_id"]), (&"revoke".into(), &"r-1".into()));
        assert_eq!((&line["actor"], &line["peer"]), (&"admin".into(), &"10.0.0.1:4000".into()));
        assert!(line["time_ms"].as_u64().is_some_and(|time| time > 1_700_000_000_000), "{line}");
    }
    assert_eq!((&lines[0]["step"], &lines[0]["count"]), (&"asked".into(), &2.into()));
    let wanted = serde_json::json!({
        "id": "2", "kind": "jti", "key": "ab".repeat(16), "issuer": "https://a.example", "expires": 7,
        "reason": "stolen",
    });
    assert_eq!(lines[0]["entries"][1], wanted);
    assert_eq!((&lines[1]["step"], &lines[1]["why"]), (&"failed".into(), &"store_unavailable".into()));
}

#[test]
fn the_file_is_ours_and_only_grows() {
    let directory = tempfile::tempdir().expect("a directory");
    for _ in 0..3 {
        let (path, audit) = opened(&directory);
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        audit.ended(&asker(), Event::Reload, End::Done, None).expect("written");
    }
    assert_eq!(lines(&directory.path().join("audit.jsonl")).len(), 3);
}

#[test]
fn a_line_that_was_cut_is_ended_before_the_next() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, audit) = opened(&directory);
    audit.ended(&asker(), Event::Reload, End::Done, None).expect("written");
    // By a crash of this process or, in an upgrade, of the other one.
    for audit in [&audit, &Audit::open(&path).expect("opened")] {
        let whole = fs::read(&path).expect("readable");
        fs::write(&path, &whole[..whole.len() - 5]).expect("written");
        audit.ended(&asker(), Event::Lift, End::Done, None).expect("written");
        let text = fs::read_to_string(&path).expect("readable");
        let last = text.lines().last().expect("a line");
        assert!(text.ends_with('\n') && serde_json::from_str::<Value>(last).is_ok(), "{text}");
    }
}

#[test]
fn a_file_that_was_renamed_away_is_followed_by_a_new_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, audit) = opened(&directory);
    audit.ended(&asker(), Event::Reload, End::Done, None).expect("written");
    let old = path.with_extension("1");
    fs::rename(&path, &old).expect("renamed");
    audit.ended(&asker(), Event::Lift, End::Done, None).expect("written");
    assert_eq!((lines(&old).len(), lines(&path).len()), (1, 1));
    assert_eq!(lines(&path)[0]["event"], "lift");
}

#[test]
fn what_is_no_file_of_ours_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    Audit::open(directory.path()).expect_err("a directory");
    let open = directory.path().join("open.jsonl");
    fs::write(&open, "").expect("written");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).expect("changed");
    let why = Audit::open(&open).expect_err("anybody may write to it");
    assert!(why.to_string().contains("world-writable"), "{why}");
    let (path, audit) = opened(&directory);
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    audit.asked(&asker(), Event::Reload, &[]).expect_err("nothing can be written");
}

#[test]
fn those_who_are_turned_away_are_written_down_so_often() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, audit) = opened(&directory);
    for _ in 0..TURNED_AWAY + 5 {
        audit.turned_away(&Asker { actor: None, ..asker() }, Event::Read, "unknown_key").expect("written");
    }
    let written = lines(&path);
    assert_eq!(written.len(), TURNED_AWAY as usize);
    assert_eq!((&written[0]["why"], &written[0]["actor"]), (&"unknown_key".into(), &Value::Null));
    assert_eq!(audit.turn(Instant::now() + MINUTE), Some(5), "the next one says what was left out");
    assert_eq!(audit.turn(Instant::now() + MINUTE), Some(0));
}
