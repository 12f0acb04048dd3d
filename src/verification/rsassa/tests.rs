//! Verdicts against the library's.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, KeyPair, ParsedPublicKey, RsaEncoding, RsaParameters};
use num_bigint::BigUint;

use super::*;

const MESSAGE: &[u8] = b"header.payload";

struct Both {
    ours: Option<Rsassa>,
    library: ParsedPublicKey,
    modulus: Vec<u8>,
    signature: Vec<u8>,
}

impl Both {
    fn new(hash: Hash, size: KeySize) -> Self {
        let (parameters, encoding): (&'static RsaParameters, &'static dyn RsaEncoding) = match hash {
            Hash::Sha256 => (&signature::RSA_PKCS1_2048_8192_SHA256, &signature::RSA_PKCS1_SHA256),
            Hash::Sha384 => (&signature::RSA_PKCS1_2048_8192_SHA384, &signature::RSA_PKCS1_SHA384),
            Hash::Sha512 => (&signature::RSA_PKCS1_2048_8192_SHA512, &signature::RSA_PKCS1_SHA512),
        };
        let key = RsaKeyPair::generate(size).expect("a key");
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), MESSAGE, &mut signature).expect("a signature");
        let public = key.public_key();
        let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
        let exponent = public.exponent().big_endian_without_leading_zero().to_vec();
        let ours = Rsassa::new(&modulus, &exponent, hash);
        let der = public.as_der().expect("a public key");
        let library = ParsedPublicKey::new(parameters, der.as_ref()).expect("a public key");
        Self { ours, library, signature, modulus }
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
    let keys = [
        (Hash::Sha256, KeySize::Rsa2048),
        (Hash::Sha384, KeySize::Rsa3072),
        (Hash::Sha512, KeySize::Rsa4096),
    ];
    for (hash, size) in keys {
        let both = Both::new(hash, size);
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
    let both = Both::new(Hash::Sha256, KeySize::Rsa2048);
    assert!(Rsassa::new(&both.modulus, &[3], Hash::Sha256).is_none(), "another exponent");
    assert!(Rsassa::new(&[0xff; 1024], &EXPONENT, Hash::Sha256).is_none(), "too long a modulus");
}
