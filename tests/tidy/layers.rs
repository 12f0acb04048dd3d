//! Who may know whom, and who may touch what: the tables that `src/lib.rs` draws, and the rules that read them.
//!
//! A new edge in the graph, or a new exception, is one visible line here.

use std::collections::BTreeSet;

use crate::source::{Named, Source};

/// Top floor first. A room imports only from later lines; rooms on one line never import each other.
pub const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["app"],
    &["proxy", "authority", "admin", "control"],
    &["store"],
    &["metrics", "audit"],
    &["http1"],
    &["gate"],
    &["snapshot"],
    &["policy", "revocation", "mint"],
    &["keys", "tls"],
    &["graphql"],
    &["config"],
    &["path", "token"],
];

/// Packages of their own, below all of them: they know no room, and are no modules that could.
const PACKAGES: &[&str] = &["argon2id", "verification"];

/// The rooms that do no I/O and read no clock and no randomness.
const CORE: &[&str] = &[
    "http1",
    "gate",
    "snapshot",
    "policy",
    "revocation",
    "mint",
    "keys",
    "tls",
    "graphql",
    "config",
    "path",
    "token",
    "argon2id",
    "verification",
];

/// Paths that only some rooms (or files) may name. A path that begins with `::` is meant wherever it stands in
/// a longer one.
struct Ban {
    paths: &'static [&'static str],
    only: Only,
    why: &'static str,
}

/// Who may.
enum Only {
    /// These rooms, or files below `src/`.
    In(&'static [&'static str]),
    /// Every room outside the core, and these files.
    OutsideCore(&'static [&'static str]),
}

const BANS: &[Ban] = &[
    Ban {
        paths: &["tokio", "hyper", "hyper_util", "socket2", "notify", "mimalloc"],
        only: Only::OutsideCore(&[]),
        why: "the core knows no runtime and no sockets",
    },
    Ban {
        paths: &["std::fs", "std::env", "std::process", "std::os", "::stdin", "::stdout", "::stderr"],
        only: Only::OutsideCore(&[]),
        why: "the core does no I/O: bytes are an argument",
    },
    Ban {
        paths: &["std::thread"],
        // CEL's parser recurses without a bound of its own: it runs at load, on a stack made for it.
        only: Only::OutsideCore(&["config/expression.rs"]),
        why: "the core runs on its caller's thread",
    },
    Ban {
        paths: &[
            "::TcpListener",
            "::TcpStream",
            "::UdpSocket",
            "::UnixStream",
            "::UnixListener",
            "::ToSocketAddrs",
        ],
        only: Only::OutsideCore(&[]),
        why: "the core has addresses and no sockets",
    },
    Ban {
        paths: &["::SystemTime::now", "::Instant::now"],
        only: Only::OutsideCore(&[]),
        why: "the core reads no clock: `now` is an argument",
    },
    Ban {
        paths: &["rand", "getrandom", "fastrand", "aws_lc_rs::rand", "::SystemRandom", "::RandomState"],
        // Key pairs are made for commands and tests, never for a decision.
        only: Only::OutsideCore(&["keys/rotation.rs"]),
        why: "the core reads no randomness",
    },
    Ban {
        paths: &["pingora", "pingora_core", "pingora_load_balancing", "pingora_limits"],
        only: Only::In(&["app", "proxy"]),
        why: "pingora runs the process and chooses peers; nobody else knows it",
    },
    Ban {
        paths: &["granit_parser"],
        only: Only::In(&["config/raw.rs"]),
        why: "YAML is read in one place, with positions and strictness",
    },
    Ban {
        paths: &["prometheus"],
        only: Only::In(&["metrics", "admin"]),
        why: "families are registered in one place, with closed labels",
    },
    Ban { paths: &["rusqlite"], only: Only::In(&["store"]), why: "callers know the store, not its engine" },
    Ban {
        paths: &["crate::store"],
        only: Only::In(&["store", "authority", "control", "admin", "app", "cli"]),
        why: "the request path never waits for the store",
    },
    Ban {
        paths: &["::of_record"],
        only: Only::In(&["authority", "control", "app/minting.rs"]),
        why: "claims that no key has signed are vouched for by whoever looked them up",
    },
    Ban {
        paths: &["argon2", "argon2id"],
        only: Only::In(&["authority", "config"]),
        why: "passwords are hashed in one place",
    },
    Ban { paths: &["verification"], only: Only::In(&["keys"]), why: "signatures are verified in one place" },
    Ban { paths: &["anyhow"], only: Only::In(&["main", "cli", "app"]), why: "below `app` errors are typed" },
    Ban { paths: &["reqwest"], only: Only::In(&["control"]), why: "only control fetches" },
    Ban { paths: &["axum"], only: Only::In(&["admin"]), why: "the data plane frames its own HTTP" },
    Ban { paths: &["clap"], only: Only::In(&["main", "cli"]), why: "arguments are read once, at the top" },
];

/// Methods that read the clock or the file system, banned from the core. Names that would also be honest ones
/// (`metadata`) are left out.
const CORE_METHODS: &[&str] =
    &["elapsed", "exists", "is_file", "is_dir", "canonicalize", "read_dir", "to_socket_addrs"];

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

/// Every room is drawn, imports only from below, and spells its imports `use crate::module::Item`.
pub fn edges(source: &Source, report: &mut Vec<String>) {
    let room = source.room().unwrap_or_default();
    if source.is_test() || source.path == "src/lib.rs" || PACKAGES.contains(&room) {
        return;
    }
    let Some(from) = layer(room) else {
        report.push(format!("{}: room `{room}` is not in the layer table", source.path));
        return;
    };
    for Named { line, segments } in source.paths() {
        let mut report = |what: String| report.push(format!("{}:{line}: {what}", source.path));
        // The binary is a crate of its own and sees the library by its name.
        if segments[0] != "crate" && !(room == "main" && segments[0] == "portcullis") {
            continue;
        }
        let to = segments[1].as_str();
        match layer(to) {
            None => report(format!("`{}` is no room: name the module", segments.join("::"))),
            Some(_) if to == room => {}
            Some(below) if below > from => {}
            Some(beside) if beside == from => report(format!("`{room}` and `{to}` never import each other")),
            Some(_) => report(format!("`{room}` may not know `{to}`, which is above it")),
        }
    }
}

/// Nobody touches what only others may.
pub fn bans(source: &Source, report: &mut Vec<String>) {
    if source.is_test() {
        return;
    }
    let room = source.room().unwrap_or_default();
    let core = CORE.contains(&room);
    let listed = |places: &[&str]| {
        places.iter().any(|place| *place == room || source.path.strip_prefix("src/") == Some(*place))
    };
    for Named { line, segments } in source.paths() {
        for Ban { paths, only, why } in BANS {
            let may = match only {
                Only::In(places) => listed(places),
                Only::OutsideCore(places) => !core || listed(places),
            };
            if !may && paths.iter().any(|path| names(&segments, path)) {
                report.push(format!("{}:{line}: `{}` here: {why}", source.path, segments.join("::")));
            }
        }
    }
    if core {
        for (index, line) in source.code.lines().enumerate() {
            for method in CORE_METHODS {
                if line.contains(&format!(".{method}()")) {
                    report.push(format!("{}:{}: `.{method}()` in the core", source.path, index + 1));
                }
            }
        }
    }
}

/// Does a path of these segments name `banned`?
fn names(segments: &[String], banned: &str) -> bool {
    let parts: Vec<&str> = banned.split("::").filter(|part| !part.is_empty()).collect();
    let same = |window: &[String]| window.iter().zip(&parts).all(|(segment, part)| segment == part);
    if banned.starts_with("::") {
        segments.windows(parts.len()).any(same)
    } else {
        segments.len() >= parts.len() && same(&segments[..parts.len()])
    }
}

/// The map declares and draws exactly the rooms of the table.
pub fn map(lib: &Source, report: &mut Vec<String>) {
    let declared: BTreeSet<&str> =
        lib.code.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let drawn: BTreeSet<&str> = LAYERS.concat().into_iter().filter(|room| *room != "main").collect();
    for room in declared.symmetric_difference(&drawn) {
        report.push(format!("{}: `{room}` is a module or in the layer table, and not both", lib.path));
    }
    for room in drawn {
        let file = format!("//!   {room}.rs ");
        if !lib.text.lines().any(|line| line.starts_with(&file)) {
            report.push(format!("{}: the map does not draw `{room}.rs`", lib.path));
        }
    }
}

fn check(rule: fn(&Source, &mut Vec<String>), path: &str, text: &str, findings: usize) {
    let mut report = Vec::new();
    rule(&Source::new(path, text), &mut report);
    assert_eq!(report.len(), findings, "{path}: {text}\n{report:#?}");
}

#[test]
fn an_edge_upwards_or_sideways_is_found() {
    check(edges, "src/gate.rs", "use crate::token::Algorithm;", 0);
    check(edges, "src/gate/memo.rs", "use crate::gate::grant::Grant;", 0);
    check(edges, "src/token.rs", "use crate::keys::KeySet;", 1);
    check(edges, "src/token/jws.rs", "fn f() { crate::keys::KeySet::new(); }", 1);
    check(edges, "src/proxy/head.rs", "use crate::admin::Health;", 1);
    check(edges, "src/policy.rs", "use crate::{keys::KeySet, revocation::Kind};", 1);
    check(
        edges,
        "src/token.rs",
        "//! [`crate::keys`]\n// crate::keys::X\nconst A: &str = \"crate::keys\";",
        0,
    );
    check(edges, "src/token/tests.rs", "use crate::keys::KeySet;", 0);
    check(edges, "src/cellar.rs", "", 1);
    check(edges, "src/keys.rs", "use crate::Thing;", 1);
    check(edges, "src/main.rs", "fn main() { portcullis::cli::main(); }", 0);
}

#[test]
fn a_banned_path_is_found() {
    check(bans, "src/proxy.rs", "use tokio::net::TcpStream;", 0);
    check(bans, "src/gate.rs", "use tokio::sync::mpsc;", 1);
    check(bans, "src/config.rs", "use std::{fmt, fs};", 1);
    check(bans, "src/config.rs", "use std::net::{IpAddr, SocketAddr};\nuse std::path::Path;", 0);
    check(bans, "src/http1/head.rs", "use std::net::{IpAddr, TcpStream};", 1);
    check(bans, "src/config/raw.rs", "std::thread::spawn(work);", 1);
    check(bans, "src/config/expression.rs", "std::thread::spawn(work);", 0);
    check(bans, "src/keys.rs", "let now = std::time::SystemTime::now();", 1);
    check(bans, "src/keys.rs", "use std::time::Instant;\nlet now = Instant::now();", 1);
    check(bans, "src/keys.rs", "fn age(then: Instant) -> Duration { then.elapsed() }", 1);
    check(bans, "src/admin.rs", "let now = Instant::now();", 0);
    check(bans, "src/keys.rs", "use aws_lc_rs::rand::SystemRandom;", 1);
    check(bans, "src/keys/rotation.rs", "use aws_lc_rs::rand::SystemRandom;", 0);
    check(bans, "src/control.rs", "use pingora_core::server::Server;", 1);
    check(bans, "src/app.rs", "use pingora_core::server::Server;", 0);
    check(bans, "src/config/raw.rs", "use granit_parser::Parser;", 0);
    check(bans, "src/config.rs", "use granit_parser::Parser;", 1);
    check(bans, "src/cli/test.rs", "use granit_parser::Parser;", 1);
    check(bans, "src/control.rs", "use prometheus::IntGauge;", 1);
    check(bans, "src/gate.rs", "use anyhow::Result;", 1);
    check(bans, "src/proxy.rs", "use reqwest::Client;", 1);
    check(bans, "src/control/key_fetch.rs", "use reqwest::Client;", 0);
    check(bans, "src/cli/demo.rs", "use axum::Router;", 1);
    check(bans, "src/proxy/judge.rs", "fn f() { Verified::of_record(claims); }", 1);
    check(bans, "src/authority/opaque.rs", "fn f() { Verified::of_record(claims); }", 0);
    check(bans, "src/gate/tests.rs", "use tokio::sync::mpsc;", 0);
    check(bans, "src/gate.rs", "/// As `tokio::sync` would.\nconst A: &str = \"std::fs::read\";", 0);
}

#[test]
fn a_map_that_lags_behind_is_found() {
    let drawn: String = LAYERS.concat().iter().map(|room| format!("//!   {room}.rs  what it is\n")).collect();
    let declared: String = LAYERS[1..]
        .iter()
        .map(|rooms| rooms.iter().map(|room| format!("pub mod {room};\n")).collect::<String>() + "\n")
        .collect();
    check(map, "src/lib.rs", &format!("{drawn}\n{declared}"), 0);
    check(map, "src/lib.rs", &format!("{drawn}\n{declared}pub mod cellar;\n"), 1);
    check(map, "src/lib.rs", &format!("{}\n{declared}", drawn.replace("gate.rs", "")), 1);
    check(map, "src/lib.rs", &format!("{drawn}\n{}", declared.replace("pub mod gate;\n", "")), 1);
}
