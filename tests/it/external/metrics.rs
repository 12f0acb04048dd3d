//! promtool over the metrics, of a quiet gateway and of one that was attacked (threats D9, O10).

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::external::{requests, tools};
use crate::harness::api::Api;
use crate::harness::client::Request;
use crate::harness::metrics::Scrape;

/// Hostile requests beside the corpora.
const ATTACKS: usize = 3_000;

/// Fails if promtool has anything to say.
#[track_caller]
fn promtool(metrics: &Scrape) {
    let mut command = tools::program("promtool");
    let promtool = command.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut promtool = promtool.expect("promtool is there: .ci/run installs it");
    promtool.stdin.take().expect("piped").write_all(metrics.text.as_bytes()).expect("it reads");
    let ended = promtool.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn promtool_finds_nothing_to_say_of_the_metrics() {
    let api = Api::start();
    api.allows_token(&api.reader());
    promtool(&api.gateway.metrics());
}

/// Paths, methods, hosts, key ids and issuers of a client's choosing make no series of their own.
#[test]
fn d9_promtool_finds_nothing_to_say_after_an_attack() {
    let api = Api::with(|setup| setup.quiet().limits("idle_time: 200ms, header_time: 300ms"));
    api.allows_token(&api.reader());
    let mut octets = 0;
    for (_, request) in requests::corpus("invalid").into_iter().chain(requests::corpus("valid")) {
        let mut connection = api.gateway.connect().unaudited();
        connection.write(&request);
        octets += connection.read_to_end().len();
    }
    let (before, mut connection) = (api.gateway.metrics(), api.gateway.connect());
    for n in 0..ATTACKS {
        let token = api.issuer.token().header("kid", json!(format!("k{n}"))).scope(&format!("s{n}"));
        let token = if n % 2 == 0 { token } else { token.set("iss", json!(format!("https://{n}.test"))) };
        let request = match n % 3 {
            0 => Request::get(&format!("/{n}\"{{a=\"b\"}}")).host(&format!("{n}.test")),
            1 => Request::new(&format!("M{n}"), "/orders/1").bearer(&token.sign()),
            _ => Request::get(&format!("/orders/{n}"))
                .bearer(&token.sign())
                .header("User-Agent", &n.to_string()),
        };
        let response = connection.send(&request);
        assert!((400..=503).contains(&response.status), "{response:?}");
        if response.closes() {
            connection = api.gateway.connect();
        }
    }
    let after = api.gateway.metrics();
    let series = |scrape: &Scrape| -> BTreeSet<String> {
        let one = |line: &str| line.rsplit_once(' ').map_or(line, |(series, _)| series).to_owned();
        scrape.text.lines().filter(|line| !line.starts_with('#')).map(one).collect()
    };
    let (few, many) = (series(&before), series(&after));
    println!(
        "promtool: nothing to say after 143 corpus requests ({octets} octets of answers) and {ATTACKS} hostile ones; {} \
         series, {} before, {} octets",
        many.len(),
        few.len(),
        after.text.len()
    );
    promtool(&after);
    // One more for each reason that had not been given before; nothing of a client's own words.
    assert!(many.len() <= few.len() + 32, "new series: {:#?}", many.difference(&few));
    assert!(after.text.len() < 256 << 10, "{} octets", after.text.len());
}
