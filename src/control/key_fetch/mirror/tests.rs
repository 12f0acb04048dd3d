use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::control::key_fetch::mirror::{Mirror, MirrorError};
use crate::token::NumericDate;

const SET: &str = r#"{"keys": [{"kty": "OKP", "kid": "\u00e4"}]}"#;
const LIMIT: usize = 1_024;

fn mirror(directory: &Path, issuer: &str, source: Option<&str>) -> Mirror {
    Mirror {
        directory: directory.to_owned(),
        file: directory.join("a.json"),
        issuer: issuer.into(),
        source: source.map(Into::into),
    }
}

/// A directory with a set in it.
fn kept() -> (tempfile::TempDir, Mirror) {
    let root = tempfile::tempdir().expect("a directory");
    let mirror = mirror(&root.path().join("keys"), "https://a.example/", None);
    mirror.write(SET, NumericDate(1_000)).expect("written");
    (root, mirror)
}

#[track_caller]
fn refuse(mirror: &Mirror, why: &str) {
    let refusal = mirror.read(LIMIT).expect_err("refused").to_string();
    assert!(refusal.contains(why), "{refusal}");
}

#[test]
fn what_others_could_have_written_is_not_read() {
    let (_root, mirror) = kept();
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&mirror.file, Permissions::from_mode(mode)).expect("set");
        refuse(&mirror, "the file may be written by others");
    }
    fs::set_permissions(&mirror.file, Permissions::from_mode(0o600)).expect("set");
    fs::set_permissions(&mirror.directory, Permissions::from_mode(0o777)).expect("set");
    refuse(&mirror, "the directory may be written by others");
}

#[test]
fn what_is_damaged_or_anothers_is_not_read() {
    let (_root, mirror) = kept();
    let other = Mirror { issuer: "https://b.example/".into(), ..mirror.clone() };
    refuse(&other, "another issuer");
    let moved = Mirror { source: Some("https://a.example/keys".into()), ..mirror.clone() };
    refuse(&moved, "another issuer");
    let whole = fs::read(&mirror.file).expect("read");
    for length in 0..whole.len() {
        fs::write(&mirror.file, &whole[..length]).expect("written");
        refuse(&mirror, "damaged");
    }
    fs::write(&mirror.file, [whole.as_slice(), b"x"].concat()).expect("written");
    refuse(&mirror, "damaged");
    mirror.write(&"x".repeat(3 * LIMIT + 16 * 1024), NumericDate(0)).expect("written");
    refuse(&mirror, "damaged");
    fs::remove_file(&mirror.file).expect("removed");
    fs::create_dir(&mirror.file).expect("created");
    assert!(matches!(mirror.read(LIMIT), Err(MirrorError::Io(_))));
}

#[test]
fn what_is_kept_comes_back() {
    let (_root, mirror) = kept();
    let kept = mirror.read(LIMIT).expect("read").expect("there");
    assert_eq!(kept.key_set(), SET.as_bytes());
    assert_eq!(kept.fetched_at(), NumericDate(1_000));
    mirror.write("{}", NumericDate(2_000)).expect("written");
    let kept = mirror.read(LIMIT).expect("read").expect("there");
    assert_eq!((kept.key_set(), kept.fetched_at()), (b"{}".as_slice(), NumericDate(2_000)));
}

#[test]
fn the_directory_and_file_are_ours_alone_and_nothing_else_is_left() {
    let (_root, mirror) = kept();
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&mirror.directory), 0o700);
    assert_eq!(mode(&mirror.file), 0o600);
    assert_eq!(fs::read_dir(&mirror.directory).expect("listed").count(), 1);
}

#[test]
fn nothing_kept_is_nothing() {
    let root = tempfile::tempdir().expect("a directory");
    let mirror = mirror(&root.path().join("never"), "https://a.example/", None);
    assert!(mirror.read(LIMIT).expect("no error").is_none());
}
