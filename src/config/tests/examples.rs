//! Every example under `config/` parses as it stands and means what its comments say.

use super::config;
use crate::config::pattern::HostPattern;
use crate::config::{Config, KeySource, Require, TokenPlace};
use crate::token::scope::ScopeMatch;

/// Every example but the reference, which has tests of its own.
pub(super) const EXAMPLES: [(&str, &str); 6] = [
    ("minimal.yaml", include_str!("../../../config/minimal.yaml")),
    ("quickstart.yaml", include_str!("../../../config/quickstart.yaml")),
    ("several-issuers.yaml", include_str!("../../../config/several-issuers.yaml")),
    ("browser.yaml", include_str!("../../../config/browser.yaml")),
    ("revocation.yaml", include_str!("../../../config/revocation.yaml")),
    ("roles.yaml", include_str!("../../../config/roles.yaml")),
];

fn example(name: &str) -> Config {
    let (_, text) = EXAMPLES.iter().find(|(known, _)| *known == name).expect("an example");
    config(text)
}

#[test]
fn every_example_parses_without_a_warning() {
    for (name, text) in EXAMPLES {
        let (_, warnings) = super::read(text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert_eq!(warnings, [], "{name}");
    }
}

#[test]
fn the_shortest_file_of_the_documentation() {
    let config = example("minimal.yaml");
    assert_eq!((config.routes.len(), config.issuers[0].keys.value.clone()), (3, KeySource::Discovery));
    assert_eq!(config.routes[2].require, Require::Public);
}

#[test]
fn the_quickstart_is_what_the_readme_shows() {
    let config = example("quickstart.yaml");
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.map(|admin| admin.address.to_string()).as_deref(), Some("127.0.0.1:9900"));
    assert_eq!(&*config.issuers[0].issuer, "https://issuer.example");
    assert_eq!(config.issuers[0].keys.value, KeySource::JwksFile("/etc/portcullis/keys/jwks.json".into()));
    assert!(format!("{:?}", config.upstreams[0].peers[0]).contains("port: 3000"));
    assert_eq!(config.key_mirror, None);
    let names: Vec<&str> = config.routes.iter().map(|route| &*route.name).collect();
    assert_eq!(names, ["GET /hello", "/health"]);
}

#[test]
fn the_other_examples() {
    let several = example("several-issuers.yaml");
    assert_eq!((several.issuers.len(), several.upstreams.len()), (3, 2));
    assert_eq!(several.routes[2].upstream, 1);
    let browser = example("browser.yaml");
    assert_eq!(browser.issuers[0].from, [TokenPlace::Cookie("access_token".into()), TokenPlace::Bearer]);
    assert_eq!(browser.routes[1].host, HostPattern::Exact("api.example.com".into()));
    assert!(example("revocation.yaml").revocation.is_some());
    let roles = example("roles.yaml");
    assert_eq!(roles.issuers[0].scope_match, ScopeMatch::Segments);
}
