//! Verdicts against the library's.

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use num_bigint::BigUint;

use super::*;
use crate::keys::rotation::SigningKey;

const MESSAGE: &[u8] = b"header.payload";

struct Both {
    ours: Option<Rsassa>,
    library: ParsedPublicKey,
    modulus: Vec<u8>,
    signature: Vec<u8>,
}

impl Both {
    fn new(algorithm: Algorithm, parameters: &'static RsaParameters) -> Self {
        let key = SigningKey::generate(algorithm).expect("a key");
        let jwk = key.public_jwk().expect("public");
        let member = |name: &str| {
            base64_simd::URL_SAFE_NO_PAD.decode_to_vec(jwk[name].as_str().expect("text")).expect("base64url")
        };
        let (modulus, exponent) = (member("n"), member("e"));
        let library = RsaPublicKeyComponents { n: &modulus, e: &exponent }.to_parsed_public_key(parameters);
        let ours = Rsassa::new(&modulus, &exponent, algorithm);
        Self {
            ours,
            library: library.expect("a key"),
            signature: key.sign(MESSAGE).expect("a signature"),
            modulus,
        }
    }

    /// What both say. A processor without the instructions has one opinion.
    #[track_caller]
    fn verdict(&self, message: &[u8], signature: &[u8]) -> bool {
        let verdict = self.library.verify_sig(message, signature).is_ok();
        if let Some(ours) = &self.ours {
            assert_eq!(ours.verifies(message, signature), verdict);
        }
        verdict
    }
}

#[test]
fn verdicts_are_the_librarys() {
    let algorithms = [
        (Algorithm::RS256, &signature::RSA_PKCS1_2048_8192_SHA256),
        (Algorithm::RS384, &signature::RSA_PKCS1_2048_8192_SHA384),
        (Algorithm::RS512, &signature::RSA_PKCS1_2048_8192_SHA512),
    ];
    for (algorithm, parameters) in algorithms {
        let both = Both::new(algorithm, parameters);
        assert_eq!(both.ours.is_some(), std::is_x86_feature_detected!("avx512ifma"));
        let signature = &both.signature;
        assert!(both.verdict(MESSAGE, signature));
        assert!(!both.verdict(b"header.Payload", signature));
        for at in (0..signature.len() * 8).step_by(11) {
            let mut broken = signature.clone();
            broken[at / 8] ^= 1 << (at % 8);
            assert!(!both.verdict(MESSAGE, &broken), "bit {at}");
        }
        let (longer, shorter) = ([signature, &[0][..]].concat(), &signature[1..]);
        let before = [&[0][..], signature].concat();
        for other in [&longer[..], shorter, &before, &[]] {
            assert!(!both.verdict(MESSAGE, other), "{} octets", other.len());
        }
        // Other numbers that stand for the same, or whose power is known.
        let modulus = BigUint::from_bytes_be(&both.modulus);
        let number = BigUint::from_bytes_be(signature);
        for other in
            [&modulus - &number, modulus.clone(), &modulus - 1_u32, BigUint::ZERO, BigUint::from(1_u32)]
        {
            let octets = other.to_bytes_be();
            let octets = [vec![0; signature.len() - octets.len()], octets].concat();
            assert!(!both.verdict(MESSAGE, &octets));
        }
        let same = (&number + &modulus).to_bytes_be();
        assert!(!both.verdict(MESSAGE, &same));
    }
}

#[test]
fn what_is_not_verified_here() {
    let both = Both::new(Algorithm::RS256, &signature::RSA_PKCS1_2048_8192_SHA256);
    assert!(Rsassa::new(&both.modulus, &[3], Algorithm::RS256).is_none(), "another exponent");
    assert!(Rsassa::new(&both.modulus, &EXPONENT, Algorithm::PS256).is_none(), "another padding");
    assert!(Rsassa::new(&[0xff; 1024], &EXPONENT, Algorithm::RS256).is_none(), "too long a modulus");
}
