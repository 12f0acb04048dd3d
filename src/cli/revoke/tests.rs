//! Times as they are written, and entries as they are shown.

use serde_json::json;

use super::*;

#[test]
fn a_moment_is_a_time_or_a_way_off() {
    let now = NumericDate(1_000);
    let seconds = |text: &str, later| moment(text).map(|moment| moment.seconds(now, later)).ok();
    assert_eq!(seconds("now", 0), Some(1_000));
    assert_eq!(seconds("now", 1), Some(1_001), "a token of this second is from before");
    assert_eq!(seconds("30d", 0), Some(1_000 + 30 * 86_400));
    assert_eq!(seconds("1767225600", 1), Some(1_767_225_600));
    assert_eq!(seconds("2026-01-01T00:00:00Z", 1), Some(1_767_225_600));
    for text in ["", "soon", "1w", "99999999999999999999d"] {
        assert_eq!(seconds(text, 0), None, "{text}");
    }
}

#[test]
fn an_entry_is_shown_on_one_line_that_moves_no_cursor() {
    let entry = json!({"kind": "jti", "issuer": "https://a.test", "expires": 1_767_225_600, "reason": "a\nb\u{1b}[2J"});
    assert_eq!(shown(&entry), "jti https://a.test until 2026-01-01T00:00:00Z (a b\\u{1b}[2J)");
}

#[test]
fn what_stands_in_a_query_is_encoded() {
    assert_eq!(encoded("https://a.test/?x=1&y ü"), "https%3A%2F%2Fa.test%2F%3Fx%3D1%26y%20%C3%BC");
}
