//! What a change costs the one writer: compiling and publishing routes, keys and revocations.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench, not an interface"
)]

#[path = "scene/core.rs"]
mod core;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use portcullis::keys::jwk;
use portcullis::keys::rotation::SigningKey;
use portcullis::policy::route::Routes;
use portcullis::revocation::{Entry, Kind, Revocations};
use portcullis::snapshot::{self, Change};
use portcullis::token::{Algorithm, NumericDate};

use crate::core::{ISS, NOW, change, config};

fn routes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("routes");
    group.sample_size(10);
    for count in [1_000, 10_000] {
        let config = config(count);
        group.bench_function(format!("compile/{count}"), |bencher| {
            bencher.iter(|| Routes::compile(black_box(&config)))
        });
    }
    group.finish();
}

fn publish(criterion: &mut Criterion) {
    let key = SigningKey::generate(Algorithm::ES256).expect("a key");
    let config = config(1_000);
    let (mut publisher, _reader) = snapshot::channel(change(&config, &key));
    let empty = Arc::new(Revocations::default());
    criterion.bench_function("publish/revocations", |bencher| {
        bencher.iter(|| publisher.publish(Change::Revocations(Arc::clone(&empty))));
    });
    let mut group = criterion.benchmark_group("publish");
    group.sample_size(10);
    group.bench_function("config_1000_routes", |bencher| {
        bencher.iter_batched(
            || change(&config, &key),
            |change| publisher.publish(change),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn keys(criterion: &mut Criterion) {
    let keys: Vec<_> = (0..50)
        .map(|_| {
            SigningKey::generate(Algorithm::ES256).expect("a key").public_jwk().expect("an asymmetric key")
        })
        .collect();
    let jwks = serde_json::json!({ "keys": keys }).to_string();
    criterion.bench_function("keys/parse_50", |bencher| {
        bencher.iter(|| jwk::parse_jwks(black_box(jwks.as_bytes()), None).unwrap());
    });
}

fn revocations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("revocations");
    group.sample_size(10);
    for count in [1_000, 100_000, 1_000_000] {
        let entries: Vec<_> = (0..count)
            .map(|id| Entry {
                kind: Kind::Jti,
                issuer: ISS.into(),
                claim: "".into(),
                value: format!("{id:032x}").into(),
                not_before: None,
                expires: Some(NumericDate(NOW + 600)),
                reason: None,
            })
            .collect();
        let before = resident();
        let kept = Revocations::compile(&entries, NumericDate(NOW));
        println!(
            "revocations/{count}: {} octets resident an entry",
            resident().saturating_sub(before) / count
        );
        drop(kept);
        group.bench_function(format!("compile/{count}"), |bencher| {
            bencher.iter(|| Revocations::compile(black_box(&entries), NumericDate(NOW)));
        });
    }
    group.finish();
}

/// Octets of memory that the process holds.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

criterion_group!(benches, routes, publish, keys, revocations);
criterion_main!(benches);
