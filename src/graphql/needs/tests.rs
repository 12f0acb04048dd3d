use crate::config::graphql::FieldNeed;
use crate::graphql::plan::Needs;

fn permissions(all: &[&str]) -> Needs {
    Needs::by_rule(&FieldNeed::Permissions(all.iter().map(|one| Box::from(*one)).collect()), "x")
}

#[test]
fn joined_needs_are_sorted_and_each_there_once() {
    let mut needs = Needs::nothing();
    assert!(needs.are_none());
    for other in [permissions(&["b", "a"]), permissions(&["c", "a"]), Needs::a_token(), Needs::nothing()] {
        needs.join(&other);
    }
    assert_eq!(needs, permissions(&["a", "b", "c"]));
    assert_eq!(&*needs.permissions, ["a".into(), "b".into(), "c".into()]);
}

#[test]
fn what_nobody_may_stays_so_whatever_is_joined() {
    let mut needs = Needs::nobody("Mutation.a");
    needs.join(&Needs::nothing());
    needs.join(&Needs::nobody("Mutation.b"));
    needs.join(&permissions(&["a"]));
    assert_eq!(needs.denied.as_deref(), Some("Mutation.a"));
    assert!(needs.token);
    let mut needs = Needs::nothing();
    needs.join(&Needs::nobody("Mutation.b"));
    assert_eq!(needs, Needs::nobody("Mutation.b"));
}

#[test]
fn a_permission_that_no_grant_can_name_is_nobodys() {
    for text in ["", "a b", "a\"b", "a\\b", "\u{e9}"] {
        assert_eq!(permissions(&["ok", text]).denied.as_deref(), Some("x"), "{text:?}");
    }
}
