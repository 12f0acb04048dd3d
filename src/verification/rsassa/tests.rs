//! Verdicts against the library's.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    self, KeyPair, ParsedPublicKey, RsaEncoding, RsaParameters, RsaPublicKeyComponents,
};
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

    /// Of two primes that are so much more than a power of two: a modulus whose bits do not fill its octets.
    fn of_primes(exponent: u32, more: [u32; 2]) -> Self {
        let one = BigUint::from(1_u32);
        let [p, q] = more.map(|more| (&one << exponent) + more);
        let (public, modulus) = (BigUint::from(65537_u32), &p * &q);
        let private = public.modinv(&((p - 1_u32) * (q - 1_u32))).expect("an inverse");
        let octets = modulus.to_bytes_be();
        let ours = Rsassa::new(&octets, &EXPONENT, Hash::Sha256);
        let mut encoded = vec![0; octets.len()];
        encode(Hash::Sha256, MESSAGE, &mut encoded);
        let signature = BigUint::from_bytes_be(&encoded).modpow(&private, &modulus);
        let library = RsaPublicKeyComponents { n: octets.as_slice(), e: &EXPONENT[..] }
            .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256);
        Self {
            ours,
            library: library.expect("a public key"),
            signature: padded(&signature, octets.len()),
            modulus: octets,
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

/// Whether the processor has the instructions.
fn is_here() -> bool {
    Rsassa::new(&[0xff; SHORTEST], &EXPONENT, Hash::Sha256).is_some()
}

fn padded(number: &BigUint, length: usize) -> Vec<u8> {
    let octets = number.to_bytes_be();
    [vec![0; length - octets.len()], octets].concat()
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
        assert_eq!(both.ours.is_some(), is_here());
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
            assert!(!both.verdict(MESSAGE, &padded(&other, signature.len())));
        }
        let same = (&number + &modulus).to_bytes_be();
        assert!(!both.verdict(MESSAGE, &same));
    }
}

/// The numbers that stand for the same as a signature fit as many octets here.
#[test]
fn moduli_that_do_not_fill_their_octets() {
    for (exponent, more) in [(1024, [643, 1081]), (1039, [23, 545])] {
        let both = Both::of_primes(exponent, more);
        assert_eq!(both.ours.is_some(), is_here());
        assert!(both.verdict(MESSAGE, &both.signature));
        let same = BigUint::from_bytes_be(&both.signature) + BigUint::from_bytes_be(&both.modulus);
        assert!(!both.verdict(MESSAGE, &padded(&same, both.signature.len())));
    }
}

/// A key of 4097 bits was taken, and then no signature fitted the room for it.
#[test]
fn a_key_of_more_than_4096_bits_is_the_librarys() {
    let both = Both::of_primes(2048, [981, 1617]);
    assert!(both.ours.is_none() && both.verdict(MESSAGE, &both.signature));
    for (length, taken) in [(255, false), (256, true), (512, true), (513, false), (519, false), (1024, false)]
    {
        let key = Rsassa::new(&vec![0xff; length], &EXPONENT, Hash::Sha512);
        assert_eq!(key.is_some(), taken && is_here(), "{length} octets");
    }
}

#[test]
fn another_exponent_is_the_librarys() {
    assert!(Rsassa::new(&[0xff; 256], &[3], Hash::Sha256).is_none());
    assert!(Rsassa::new(&[0xff; 256], &[1, 0, 1, 0], Hash::Sha256).is_none());
    assert!(Rsassa::new(&[0xff; 256], &[], Hash::Sha256).is_none());
}
