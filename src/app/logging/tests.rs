//! Which records are written.

use tracing::Level;

use super::*;

#[track_caller]
fn check(level: &str, ours: Option<Level>, others: Option<Level>) {
    let targets = targets(level);
    let most = |target: &str| {
        [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR]
            .into_iter()
            .find(|level| targets.would_enable(target, level))
    };
    assert_eq!(most("portcullis::proxy"), ours, "{level}");
    for crate_name in
        ["pingora_core::server", "hyper::proto::h1", "h2", "reqwest", "rustls::client", "notify"]
    {
        assert_eq!(most(crate_name), others, "{level} {crate_name}");
    }
}

#[test]
fn other_crates_never_reach_the_levels_that_print_octets() {
    check("trace", Some(Level::TRACE), Some(Level::INFO));
    check("debug", Some(Level::DEBUG), Some(Level::INFO));
    check("info", Some(Level::INFO), Some(Level::WARN));
    check("warn", Some(Level::WARN), Some(Level::WARN));
    check("error", Some(Level::ERROR), Some(Level::ERROR));
    check("off", None, None);
}

#[test]
fn access_lines_are_written_at_every_level_but_off() {
    for (level, written) in [("error", true), ("warn", true), ("trace", true), ("off", false)] {
        assert_eq!(targets(level).would_enable(ACCESS, &Level::INFO), written, "{level}");
        assert!(!targets(level).would_enable(ACCESS, &Level::DEBUG), "{level}");
    }
}
