//! What a remembered token keeps in memory, and what a new one takes from the allocator: counted, not measured.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking and exports nothing"
)]

#[path = "../benches/scene/core.rs"]
mod core;
#[path = "../benches/scene/decision.rs"]
mod decision;

use std::alloc::System;

use portcullis::gate::Field;
use portcullis::gate::memo::Memo;
use portcullis::keys::rotation::SigningKey;
use portcullis::snapshot::{self, Reader};
use portcullis::token::Algorithm;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::core::{ISS, NOW, change, config};
use crate::decision::decided;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Tokens remembered, as in the table of performance figures.
const TOKENS: usize = 10_000;

/// Octets that a remembered token of some 700 may keep, its place in the map included.
const KEPT: usize = 640;

/// Allocations that a new token may cost, from its text to its place in the memo. (Verifying takes more of its own, in C.)
const ALLOCATIONS: usize = 10;

/// One test: the allocator counts for all threads.
#[test]
fn a_remembered_token_is_kept_in_little_memory() {
    let mut scene = Scene::new();
    let tokens: Vec<_> = (0..=TOKENS + 1).map(|id| scene.bearer(id)).collect();
    // What is made once is made for the first token.
    scene.allow(&tokens[0]);

    let region = Region::new(ALLOCATOR);
    for token in &tokens[1..=TOKENS] {
        scene.allow(token);
    }
    let all = region.change();
    let kept = (all.bytes_allocated - all.bytes_deallocated) / TOKENS;
    let counted = scene.memo.weight() as usize / TOKENS;
    let new = allocations(&region, || scene.allow(&tokens[TOKENS + 1]));
    let cached = allocations(&region, || scene.allow(&tokens[1]));
    println!(
        "a token of {} octets keeps {kept} and is counted for {counted}; {new} allocations when new, {cached} when cached",
        tokens[1].len() - "Bearer ".len()
    );
    assert_eq!(scene.memo.counts().entries as usize, TOKENS + 2, "all are remembered");
    assert!(kept <= KEPT, "{kept} octets a remembered token");
    assert!((kept..kept * 3 / 2).contains(&counted), "{kept} octets kept, {counted} counted");
    assert!(new <= ALLOCATIONS, "{new} allocations a new token");
    assert_eq!(cached, 0, "allocations of a decision that the memo knows");
}

fn allocations(region: &Region<'_, System>, what: impl FnOnce()) -> usize {
    let before = region.change();
    what();
    let change = region.change() - before;
    change.allocations + change.reallocations
}

/// A gateway's core and its signer.
struct Scene {
    key: SigningKey,
    reader: Reader,
    memo: Memo,
}

impl Scene {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::ES256).expect("a key");
        let (_, reader) = snapshot::channel(change(&config(1), &key));
        Self { key, reader, memo: Memo::new([7; 16], 64 << 20) }
    }

    /// A token as identity providers make them.
    fn bearer(&self, id: usize) -> String {
        let claims = json!({
            "iss": ISS, "aud": "api", "sub": format!("user-{id:012}"), "azp": "web-frontend", "typ": "Bearer",
            "iat": NOW, "nbf": NOW - 60, "exp": NOW + 3600, "jti": format!("9f0cdb2b-0b0b-4e2f-8f0f-{id:012x}"),
            "scope": "openid profile orders:read orders:write", "email_verified": true, "name": "Jane Doe",
            "preferred_username": "jane.doe@example.com", "sid": "3c1cb4f7-0a27-4e9e-8a4b-3a62b8f8f4a1",
        });
        format!("Bearer {}", self.key.mint(&claims, "JWT").expect("a token"))
    }

    fn allow(&mut self, authorization: &str) {
        let headers = [Field { name: b"Authorization", value: authorization.as_bytes() }];
        let refused = decided(&self.reader, &mut self.memo, ("GET", "/service0/orders/123"), &headers, &[]);
        assert_eq!(refused, None, "the token is good");
    }
}
