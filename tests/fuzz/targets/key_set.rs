//! A key set that is taken holds usable public keys with distinct ids and nothing secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::keys::jwk::{parse_jwks, parse_pem};

fuzz_target!(|text: &[u8]| {
    if let Ok((set, skipped)) = parse_jwks(text, None) {
        assert!(!set.is_empty());
        let mut ids: Vec<&str> = set.key_ids().collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "distinct ids");
        assert!(set.same_keys(&set));
        assert!(skipped.iter().all(|key| key.key_id.as_ref().is_none_or(|id| id.len() <= 256)));
    }
    if let Ok(set) = parse_pem(text, None) {
        assert!(!set.is_empty());
        assert_eq!(set.key_ids().count(), 0);
    }
});
