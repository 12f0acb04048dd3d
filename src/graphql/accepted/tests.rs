use super::*;

fn accepted(lines: &[&str]) -> (u16, u16, u16) {
    let Accepted { response, json, events } = Accepted::of(lines.iter().map(|line| line.as_bytes()));
    (response, json, events)
}

#[test]
fn weights_count_and_the_name_that_says_most_decides() {
    for (lines, wanted) in [
        (&[][..], (0, 0, 0)),
        (&[""], (0, 0, 0)),
        (&["application/json"], (0, 1000, 0)),
        (&["*/*"], (0, 1000, 0)),
        (&["application/graphql-response+json, application/json;q=0.9"], (1000, 900, 0)),
        (&["application/json;q=0.25", "application/graphql-response+json ; q=0.125"], (125, 250, 0)),
        (&["*/*;q=0.1, application/*;q=0.2"], (0, 200, 0)),
        (&["application/json;q=0, */*"], (0, 0, 0)),
        (&["*/*, application/json;q=0.0"], (0, 0, 0)),
        (&["Text/Event-Stream;Q=0.5,application/JSON"], (0, 1000, 500)),
        (&["application/json;charset=utf-8;q=0.5"], (0, 500, 0)),
        (&["application/graphql-response+json;q=0.000, text/html"], (0, 0, 0)),
    ] {
        assert_eq!(accepted(lines), wanted, "{lines:?}");
    }
}

#[test]
fn what_is_no_weight_is_none() {
    for weight in ["q=", "q=1.000", "q=0.1234", "q=x", "q=01", "q=-0"] {
        let (_, json, _) = accepted(&[&format!("application/json;{weight}")]);
        assert_eq!(json, 1000, "{weight}");
    }
    assert_eq!(accepted(&["application/json;q=0."]), (0, 0, 0));
}
