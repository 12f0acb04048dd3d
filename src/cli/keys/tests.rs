//! Names of algorithms, and files that nobody else may read.

use super::*;

#[test]
fn only_key_pairs_have_an_algorithm_here() {
    for name in ["HS256", "none", "es256", "", "ES512"] {
        assert!(algorithm(name).is_err(), "{name}");
    }
    assert_eq!(algorithm("EdDSA"), Ok(Algorithm::EdDSA));
}

#[test]
fn a_private_key_is_private_and_is_not_replaced_unasked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("private.pem");
    write(&path, b"first", 0o600, false).expect("written");
    assert!(write(&path, b"second", 0o600, false).is_err(), "replaced unasked");
    assert_eq!(fs::read(&path).expect("still there"), b"first");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("a mode");
    write(&path, b"2", 0o600, true).expect("replaced");
    assert_eq!(fs::read(&path).expect("there"), b"2");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
