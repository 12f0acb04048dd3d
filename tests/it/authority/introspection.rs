//! Opaque tokens of others, asked about at whoever issued them (RFC 7662): by the real binary at a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::authority::{Scene, basic};
use crate::harness::upstream::{Then, Upstream};
use crate::harness::wait::wait_until;

/// A provider that knows these tokens by their first letters, and counts what it is asked.
struct Provider {
    server: Upstream,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    fn start() -> Self {
        let (server, asked) = (Upstream::start(), Arc::<AtomicUsize>::default());
        let count = Arc::clone(&asked);
        server.on("/introspect", move |exchange| {
            let body = String::from_utf8(exchange.body()?).unwrap_or_default();
            count.fetch_add(1, Ordering::SeqCst);
            let authorized =
                exchange.request.header("authorization") == Some(&*basic("gate+way", "s%C3%A9cret"));
            let token = body.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
            let answer = match token.split('-').next().unwrap_or_default() {
                _ if !authorized => return exchange.answer_read(401, "", b""),
                "good" => r#"{"active": true, "sub": "ann", "scope": "orders:read", "aud": null}"#,
                "narrow" => r#"{"active": true, "sub": "ann", "scope": "other"}"#,
                "over" => r#"{"active": true, "sub": "ann", "scope": "orders:read", "exp": 1}"#,
                "foreign" => r#"{"active": true, "iss": "https://elsewhere", "scope": "orders:read"}"#,
                "twice" => r#"{"active": false, "active": true, "scope": "orders:read"}"#,
                "broken" => "<html>",
                "strange" => return exchange.answer_read(400, "", b""),
                "trouble" => return exchange.answer_read(500, "", b""),
                "redirected" => return exchange.answer_read(307, "Location: /elsewhere\r\n", b""),
                _ => r#"{"active": false}"#,
            };
            exchange.answer_read(200, "Content-Type: application/json\r\n", answer.as_bytes())
        });
        Self { server, asked }
    }

    fn scene(&self, more: &str) -> Scene {
        let url = format!("{}/introspect", self.server.url());
        let yaml = format!(
            "issuers:\n  partner:\n    issuer: https://partner.example\n    audience: any\n    introspection: \
             {{url: '{url}', client: gate way, secret: {{file: partner}}{more}}}\n"
        );
        Scene::of(&yaml, |setup| setup.file("partner", "sécret"))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[test]
fn what_the_issuer_does_not_vouch_for_is_refused() {
    let provider = Provider::start();
    let scene = provider.scene("");
    for (token, status) in
        [("bad-1", 401), ("over-1", 401), ("foreign-1", 401), ("narrow-1", 403), ("good-1", 200)]
    {
        assert_eq!(scene.status("/orders", token), status, "{token}");
    }
    assert_eq!(scene.status("/me", "good-1"), 200);
    assert_eq!(scene.upstream.last().head.header("x-subject"), Some("ann"));
}

#[test]
fn answers_are_remembered_good_and_bad() {
    let provider = Provider::start();
    let scene = provider.scene("");
    for _ in 0..3 {
        assert_eq!(scene.status("/orders", "good-1"), 200);
        assert_eq!(scene.status("/orders", "bad-1"), 401);
    }
    assert_eq!(provider.asked(), 2);
    assert_eq!(scene.status("/orders", "good-2"), 200);
    assert_eq!(provider.asked(), 3);
}

#[test]
fn many_requests_are_one_question() {
    let provider = Provider::start();
    let scene = provider.scene("");
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_eq!(scene.status("/orders", "good-1"), 200));
        }
    });
    assert_eq!(provider.asked(), 1);
}

#[test]
fn a_provider_in_trouble_is_503_and_is_left_alone() {
    for token in ["trouble-1", "broken-1", "twice-1", "redirected-1"] {
        let provider = Provider::start();
        let scene = provider.scene("");
        assert_eq!(scene.status("/orders", "good-1"), 200);
        assert_eq!(scene.status("/orders", token), 503, "{token}");
        let asked = provider.asked();
        // Others are told at once, and it is not asked for each of them.
        for other in 0..20 {
            scene.status("/orders", &format!("trouble-{other}"));
        }
        assert!(provider.asked() <= asked + 5, "{} questions", provider.asked() - asked);
        assert_eq!(scene.status("/orders", "good-1"), 200, "what is remembered counts");
        wait_until("it is asked again", || scene.status("/orders", "good-2") == 200);
    }
}

/// One that cannot say anything of one token is in no trouble: a stranger's would keep everybody's from being asked about.
#[test]
fn bug_a_strange_token_kept_all_others_from_being_asked_about() {
    let provider = Provider::start();
    let scene = provider.scene("");
    for (number, token) in ["strange-1", "broken-1", "twice-1"].into_iter().enumerate() {
        assert_eq!(scene.status("/orders", token), 503, "{token}: nobody can say");
        assert_eq!(scene.status("/orders", &format!("good-{number}")), 200, "behind {token}");
    }
    let asked = provider.asked();
    for _ in 0..20 {
        assert_eq!(scene.status("/orders", "strange-2"), 503);
    }
    assert!(provider.asked() <= asked + 5, "{} questions", provider.asked() - asked);
}

#[test]
fn a_provider_that_is_down_or_silent_is_503() {
    let provider = Provider::start();
    let scene = provider.scene(", timeout: 100ms");
    provider.server.on("/introspect", |exchange| {
        exchange.body()?;
        Ok(Then::Close)
    });
    assert_eq!(scene.status("/orders", "good-1"), 503);
    provider.server.go_down();
    wait_until("it is asked again, and is down", || scene.status("/orders", "good-1") == 503);
}
