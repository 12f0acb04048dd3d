//! What is compiled from which octets, and what is refused, by name.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, DnValue, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;

use crate::config::shown::ClientCertificate;
use crate::tls::certificate::{Certificate, Untimely, authorities};
use crate::tls::client::{Authority, ClientTls, server_name};
use crate::tls::facts::ClientIdentity;
use crate::tls::server::{ClientAuthority, ServerTls};
use crate::tls::{Blamed, Fault};
use crate::token::NumericDate;

/// RFC 7468.
fn pem(kind: &str, der: &[u8]) -> Vec<u8> {
    let base64 = base64_simd::STANDARD.encode_to_string(der);
    format!("-----BEGIN {kind}-----\n{base64}\n-----END {kind}-----\n").into_bytes()
}

/// A certificate that signs itself, and its key, PEM; and its DER.
fn signed(edit: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, Vec<u8>, CertificateDer<'static>) {
    let mut params = CertificateParams::new(vec!["api.test".to_owned()]).expect("a name");
    edit(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (
        pem("CERTIFICATE", certificate.der()),
        pem("PRIVATE KEY", &key.serialize_der()),
        certificate.der().clone(),
    )
}

#[track_caller]
fn refused(chain: &[u8], key: &[u8], expected: (Blamed, Fault)) {
    assert_eq!(Certificate::read(chain, key).expect_err("it was accepted"), expected);
}

#[test]
fn what_is_wrong_is_said_of_the_file_that_is_wrong() {
    let (chain, key, _) = signed(|_| {});
    let (other, other_key, _) = signed(|_| {});
    let (authority, authority_key, _) =
        signed(|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let certificate = |fault| (Blamed::Certificate, fault);
    let private_key = |fault| (Blamed::PrivateKey, fault);
    refused(b"", &key, certificate(Fault::NoCertificate));
    refused(b"hello", &key, certificate(Fault::NoCertificate));
    refused(&key, &key, certificate(Fault::NoCertificate));
    refused(&pem("CERTIFICATE", b"no DER"), &key, certificate(Fault::BadCertificate(1)));
    refused(
        b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        &key,
        certificate(Fault::BadCertificate(1)),
    );
    let second = [&chain[..], &pem("CERTIFICATE", b"no DER")].concat();
    refused(&second, &key, certificate(Fault::BadCertificate(2)));
    refused(&[&authority[..], &chain].concat(), &authority_key, certificate(Fault::AuthorityFirst));
    refused(&chain, b"", private_key(Fault::NoKey));
    refused(&chain, &chain, private_key(Fault::NoKey));
    refused(&chain, &pem("ENCRYPTED PRIVATE KEY", b"x"), private_key(Fault::EncryptedKey));
    let old =
        b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END RSA PRIVATE KEY-----\n";
    refused(&chain, old, private_key(Fault::EncryptedKey));
    refused(&chain, &pem("PRIVATE KEY", b"x"), private_key(Fault::UnsupportedKey));
    refused(&chain, &other_key, private_key(Fault::WrongKey));
    refused(&other, &key, private_key(Fault::WrongKey));
    assert!(Certificate::read(&chain, &key).is_ok());
    // A certificate that signs itself and nothing else is shown alone, authority or not.
    assert!(Certificate::read(&authority, &authority_key).is_ok());
}

/// 1024 bits, of the kind that a device made ten years ago.
#[test]
fn a_short_rsa_key_is_refused() {
    let weak = include_bytes!("tests/rsa1024.pem");
    let (_, key, _) = signed(|_| {});
    refused(weak, &key, (Blamed::Certificate, Fault::WeakKey(1024)));
}

#[test]
fn no_fault_repeats_what_was_read() {
    let (chain, key, _) = signed(|_| {});
    let (blamed, fault) = Certificate::read(&key, &chain).expect_err("swapped");
    let said = format!("{blamed:?} {fault} {fault:?}");
    assert!(!said.contains("BEGIN") && said.len() < 120, "{said}");
    let certificate = Certificate::read(&chain, &key).expect("a pair");
    let shown = ServerTls::compile(vec![certificate], None).expect("compiled");
    let text = String::from_utf8(key).expect("PEM");
    assert!(!format!("{shown:?}").contains(&text[40..60]));
}

#[test]
fn a_certificate_knows_its_time() {
    let now = SystemTime::now();
    let day = Duration::from_secs(86_400);
    let (chain, key, _) = signed(|params| {
        params.not_before = (now - day).into();
        params.not_after = (now + day).into();
    });
    let certificate = Certificate::read(&chain, &key).expect("a pair");
    let at = |offset: i64| {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        NumericDate(i64::try_from(seconds).expect("small") + offset)
    };
    assert_eq!(certificate.timely(at(0)), Ok(()));
    assert_eq!(certificate.timely(at(90_000)), Err(Untimely::Expired));
    assert_eq!(certificate.timely(at(-90_000)), Err(Untimely::NotYetValid));
}

#[test]
fn a_bundle_of_authorities_is_taken_whole_or_not() {
    let (one, key, _) = signed(|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    assert_eq!(authorities(&[&one[..], &one].concat()).map(|roots| roots.len()), Ok(2));
    assert_eq!(authorities(b"").map(|roots| roots.len()), Err(Fault::NoCertificate));
    assert_eq!(authorities(&key).map(|roots| roots.len()), Err(Fault::NoCertificate));
    let broken = [&one[..], &pem("CERTIFICATE", b"no DER")].concat();
    assert_eq!(authorities(&broken).map(|roots| roots.len()), Err(Fault::BadCertificate(2)));
    assert!(matches!(Authority::system(Vec::new()), Err(Fault::NoCertificate)));
    assert!(matches!(Authority::system(vec![b"no DER".to_vec().into()]), Err(Fault::NoCertificate)));
}

/// What is the same is kept at a reload, with its sessions; what differs in anything is not.
#[test]
fn whatever_differs_is_compiled_anew() {
    let (chain, key, _) = signed(|_| {});
    let (ca, _, _) = signed(|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let (other_ca, _, _) = signed(|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let pair = || Certificate::read(&chain, &key).expect("a pair");
    let server = |ca: &[u8], asked| {
        let clients = ClientAuthority::read(ca, asked).expect("a bundle");
        ServerTls::compile(vec![pair()], clients).expect("compiled")
    };
    let all = [
        server(&ca, ClientCertificate::None),
        server(&ca, ClientCertificate::Optional),
        server(&ca, ClientCertificate::Required),
        server(&other_ca, ClientCertificate::Required),
    ];
    let client = |ca: &[u8], shown: Option<&Certificate>| {
        ClientTls::compile(Authority::read(ca).expect("a bundle"), shown).expect("compiled")
    };
    let clients = [client(&ca, None), client(&other_ca, None), client(&ca, Some(&pair()))];
    for (index, one) in all.iter().enumerate() {
        assert!(all.iter().enumerate().all(|(other, two)| one.is_like(two) == (index == other)));
    }
    for (index, one) in clients.iter().enumerate() {
        assert!(clients.iter().enumerate().all(|(other, two)| one.is_like(two) == (index == other)));
    }
    assert!(all[0].is_like(&server(&other_ca, ClientCertificate::None)), "an authority that is not used");
    assert!(clients[2].is_like(&client(&ca, Some(&pair()))));
}

/// RFC 4514 section 2.4: no value can be taken for two, or for another's.
#[test]
fn a_distinguished_name_is_escaped() {
    for (value, written) in [
        ("device 7", "CN=device 7"),
        ("a,O=Evil", r"CN=a\,O\=Evil"),
        ("a+UID=0", r"CN=a\+UID\=0"),
        (" # ", r"CN=\ #\ "),
        ("#1", r"CN=\#1"),
        (r#"<"a";\>"#, r#"CN=\<\"a\"\;\\\>"#),
        ("a\r\nX: 1\0", r"CN=a\0d\0aX: 1\00"),
        ("é", "CN=é"),
        ("", "CN="),
    ] {
        let (_, _, der) = signed(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(value.to_owned()));
        });
        let identity = ClientIdentity::read(&der).expect("a certificate");
        assert_eq!((&*identity.subject, &*identity.issuer), (written, written));
    }
    let (_, _, der) = signed(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "CH");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), "77");
    });
    let subject = ClientIdentity::read(&der).expect("a certificate").subject;
    assert_eq!(
        subject, "2.5.4.5=#3737,O=Example,C=CH",
        "the last part first, and no name of ours for others"
    );
    assert_eq!(ClientIdentity::read(&CertificateDer::from(b"no DER".to_vec())), None);
}

#[test]
fn peers_are_verified_by_name_or_address() {
    for host in ["api.test", "api.test.", "a_b.internal", "10.0.0.5", "::1"] {
        assert!(server_name(host).is_some(), "{host}");
    }
    assert_eq!(server_name("api.test."), server_name("api.test"));
    for host in ["", "a b", "*.test", "a..b"] {
        assert!(server_name(host).is_none(), "{host}");
    }
}
