use proptest::prelude::*;

use super::*;

const LIMIT: usize = 8 * 1024;

fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(octets)
}

fn with_header(header: &str) -> String {
    format!("{}.{}.{}", encode(header), encode("{}"), encode("signature"))
}

#[track_caller]
fn refused(token: &str, why: Malformed) {
    assert_eq!(parse(token, LIMIT).map(|_| ()), Err(why), "{}", &token[..token.len().min(200)]);
}

#[track_caller]
fn refused_header(header: &str, why: Malformed) {
    assert_eq!(parse(&with_header(header), LIMIT).map(|_| ()), Err(why), "{header}");
}

#[test]
fn j1_none_is_no_algorithm_in_any_spelling() {
    for algorithm in [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""none ""#,
        r#""""#,
        "null",
        "0",
        "true",
        "[]",
        r#"["RS256"]"#,
        r#"{"RS256":1}"#,
        r#"" RS256""#,
        r#""RS256 ""#,
        r#""rs256""#,
        r#""RS256\u0000""#,
        r#""ES512""#,
        r#""ES256K""#,
        r#""RS1""#,
        r#""dir""#,
        r#""RSA-OAEP""#,
        r#""Ed448""#,
        r#""HS256\n""#,
    ] {
        let header = format!(r#"{{"alg":{algorithm}}}"#);
        refused_header(&header, Malformed::Algorithm);
        refused(&format!("{}.{}.", encode(&header), encode("{}")), Malformed::NotThreeParts);
        refused(&format!("{}.{}", encode(&header), encode("{}")), Malformed::NotThreeParts);
    }
    refused_header("{}", Malformed::Algorithm);
    refused_header(r#"{"ALG":"RS256"}"#, Malformed::Algorithm);
}

#[test]
fn j4_embedded_keys_change_nothing() {
    let header = r#"{"alg":"RS256","jwk":{"kty":"RSA","kid":"evil"},"jku":"http://127.0.0.1:1/","x5u":"file:///etc","x5c":["AA"]}"#;
    let token = with_header(header);
    let compact = parse(&token, LIMIT).expect("the members are ignored");
    assert_eq!((compact.algorithm, compact.key_id), (Algorithm::RS256, None));
}

#[test]
fn j5_key_ids_are_short_strings_without_controls() {
    for key_id in [
        "1",
        "null",
        "[\"a\"]",
        "{}",
        r#""\u0000""#,
        r#""a\r\nlevel=info""#,
        r#""\u001b[31m""#,
        r#""\u007f""#,
        r#""\u0085""#,
        &format!("\"{}\"", "x".repeat(257)),
        &format!("\"{}\"", "é".repeat(129)),
    ] {
        refused_header(&format!(r#"{{"alg":"RS256","kid":{key_id}}}"#), Malformed::HeaderType);
    }
    let long = "x".repeat(256);
    for key_id in ["", "../../../../dev/null", "/proc/self/environ", "key' UNION", "%s%n", "é😀", &long] {
        let token = with_header(&serde_json::json!({"alg": "RS256", "kid": key_id}).to_string());
        assert_eq!(parse(&token, LIMIT).expect(key_id).key_id.as_deref(), Some(key_id));
    }
}

#[test]
fn j7_crit_is_refused_whatever_it_says() {
    for critical in
        [r#"["x"]"#, "[]", r#"["exp"]"#, r#""x""#, r#"["alg"]"#, r#"["x","x"]"#, "null", "{}", "1"]
    {
        refused_header(&format!(r#"{{"alg":"RS256","crit":{critical},"x":1,"exp":1}}"#), Malformed::Critical);
    }
    refused_header(r#"{"\u0063rit":[],"alg":"RS256"}"#, Malformed::Critical);
}

#[test]
fn j8_unencoded_payloads_are_refused() {
    for value in ["false", "true", "null", "\"false\""] {
        refused_header(&format!(r#"{{"alg":"RS256","b64":{value}}}"#), Malformed::Unencoded);
    }
    refused_header(r#"{"alg":"RS256","b64":false,"crit":["b64"]}"#, Malformed::Critical);
    let header = encode(r#"{"alg":"RS256","b64":false,"crit":["b64"]}"#);
    refused(&format!("{header}.{{\"sub\":\"x\"}}.AAAA"), Malformed::Critical);
}

#[test]
fn j9_encrypted_nested_and_compressed_tokens_are_refused() {
    let part = encode(r#"{"alg":"dir","enc":"A128GCM"}"#);
    refused(&format!("{part}..AAAA.AAAA.AAAA"), Malformed::NotThreeParts);
    refused(&format!("{part}.AAAA.AAAA.AAAA.AAAA"), Malformed::NotThreeParts);
    refused_header(r#"{"alg":"RS256","zip":"DEF"}"#, Malformed::Header);
    refused_header(r#"{"alg":"RS256","zip":null}"#, Malformed::Header);
    refused_header(r#"{"alg":"RS256","enc":"A128GCM"}"#, Malformed::Header);
    refused_header(r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"p2s":"AA"}"#, Malformed::Algorithm);
    for nested in ["JWT", "jwt", "Jwt", "application/jwt", "Application/JWT"] {
        refused_header(&format!(r#"{{"alg":"RS256","cty":"{nested}"}}"#), Malformed::Header);
    }
    refused_header(r#"{"alg":"RS256","cty":["JWT"]}"#, Malformed::HeaderType);
    assert!(parse(&with_header(r#"{"alg":"RS256","cty":"json"}"#), LIMIT).is_ok());
}

#[test]
fn j10_only_the_compact_serialization_is_read() {
    let (header, payload) = (encode(r#"{"alg":"RS256"}"#), encode("{}"));
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "....".into(),
        header.clone(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..AAAA"),
        format!(".{payload}.AAAA"),
        format!("{header}.{payload}.AAAA."),
        format!("{header}.{payload}.AAAA.."),
        format!("{header}.{payload}..AAAA"),
        r#"{"payload":"e30","signatures":[]}"#.into(),
        r#"{"payload":"e30","protected":"a.b.c.d"}"#.into(),
    ] {
        refused(&token, Malformed::NotThreeParts);
    }
    refused(r#"{"payload":"e30","protected":"a.b.c"}"#, Malformed::NotBase64Url);
    // CVE-2022-39227: the compact form inside a JSON one.
    let mixed = format!(r#"{{"  {header}.{payload}.AAAA":"","protected":"{header}","payload":"{payload}"}}"#);
    refused(&mixed, Malformed::NotBase64Url);
}

#[test]
fn j10_dots_without_end_are_refused_by_looking_at_three() {
    let dots = ".".repeat(64 * 1024);
    assert_eq!(parse(&dots, LIMIT).map(|_| ()), Err(Malformed::TooLong));
    assert_eq!(parse(&dots, usize::MAX).map(|_| ()), Err(Malformed::NotThreeParts));
    let spaced = "AAAA.".repeat(64 * 1024);
    assert_eq!(parse(&spaced, usize::MAX).map(|_| ()), Err(Malformed::NotThreeParts));
}

#[test]
fn j11_base64url_is_strict_in_every_part() {
    let (header, payload) = (encode(r#"{"alg":"RS256"}"#), encode("{}"));
    let good = [&*header, &*payload, "AAAA"];
    assert!(parse(&good.join("."), LIMIT).is_ok());
    for (place, part) in good.iter().enumerate() {
        let (start, end) = part.split_at(1);
        for text in [
            format!("{part}="),
            format!("{part}=="),
            format!(" {part}"),
            format!("{part} "),
            format!("{part}\n"),
            format!("{start}\r\n{end}"),
            format!("{start}\t{end}"),
            format!("+{end}"),
            format!("/{end}"),
            format!("%{end}"),
            format!("{part}\0"),
            format!("{part}é"),
        ] {
            let mut parts = good;
            parts[place] = &text;
            refused(&parts.join("."), Malformed::NotBase64Url);
        }
    }
    // Spare bits that are set, and a length that no octets encode to.
    for parts in [["", "", "AB"], ["", "", "AAB"], ["", "", "A"], ["", "", "AAAAA"], ["", "e31", ""]] {
        let parts = [0, 1, 2].map(|place| if parts[place].is_empty() { good[place] } else { parts[place] });
        refused(&parts.join("."), Malformed::NotBase64Url);
    }
}

#[test]
fn j11_no_two_spellings_decode_alike() {
    // Exhaustive over the last group: one and two octets have 16 and 4 spellings each in sloppy decoders.
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for prefix in ["", "AAAAAAAA", &"A".repeat(64)] {
        let mut accepted = 0;
        for &first in ALPHABET {
            for &second in ALPHABET {
                let text = format!("{prefix}{}{}", char::from(first), char::from(second));
                if let Ok(octets) = decode(&text) {
                    assert_eq!(encode(octets), text);
                    accepted += 1;
                }
            }
        }
        assert_eq!(accepted, 256);
    }
}

#[test]
fn j12_header_members_that_stand_twice_are_refused() {
    for header in [
        r#"{"alg":"RS256","alg":"none"}"#,
        r#"{"alg":"none","alg":"RS256"}"#,
        r#"{"alg":"RS256","\u0061lg":"HS256"}"#,
        r#"{"alg":"RS256","kid":"a","kid":"b"}"#,
        r#"{"alg":"RS256","jwk":{"n":"a","n":"b"}}"#,
        r#"{"alg":"RS256","x":[{"y":1,"y":1}]}"#,
    ] {
        refused_header(header, Malformed::Header);
    }
}

#[test]
fn a_header_that_is_no_strict_json_object_is_refused() {
    for header in [
        "",
        " ",
        "[]",
        "null",
        "RS256",
        "{",
        r#"{"alg":"RS256"}{}"#,
        r#"{"alg":"RS256"}x"#,
        r#"{"alg":"RS256",}"#,
    ] {
        let token = format!("{}.{}.AAAA", encode(header), encode("{}"));
        let why = if header.is_empty() { Malformed::NotThreeParts } else { Malformed::Header };
        refused(&token, why);
    }
    let token = format!("{}.{}.AAAA", encode(b"{\"alg\":\"RS256\",\"x\":\"\xff\"}"), encode("{}"));
    refused(&token, Malformed::Header);
}

#[test]
fn header_texts_of_another_type_are_refused() {
    for name in ["kid", "typ", "cty"] {
        for value in ["1", "null", "[]", "{}", "true", "\"\\n\""] {
            refused_header(&format!(r#"{{"alg":"RS256","{name}":{value}}}"#), Malformed::HeaderType);
        }
    }
}

#[test]
fn j18_length_and_shape_are_bounded() {
    let token = with_header(r#"{"alg":"RS256"}"#);
    assert!(parse(&token, token.len()).is_ok());
    assert_eq!(parse(&token, token.len() - 1).map(|_| ()), Err(Malformed::TooLong));
    refused_header(
        &format!(r#"{{"alg":"RS256","x":{}1{}}}"#, "[".repeat(32), "]".repeat(32)),
        Malformed::Header,
    );
    let many: String = (0..64).map(|n| format!(r#","m{n}":0"#)).collect();
    refused_header(&format!(r#"{{"alg":"RS256"{many}}}"#), Malformed::Header);
}

#[test]
fn a_token_is_taken_apart() {
    let token = with_header(r#"{"alg":"ES384","kid":"k","typ":"Application/AT+JWT"}"#);
    let compact = parse(&token, LIMIT).expect("a token");
    assert_eq!(compact.algorithm, Algorithm::ES384);
    assert_eq!(compact.key_id.as_deref(), Some("k"));
    assert_eq!(compact.typ.as_deref(), Some("at+jwt"));
    assert_eq!(compact.payload, b"{}");
    assert_eq!(compact.signature, b"signature");
    assert_eq!(compact.signing_input, token.rsplit_once('.').expect("dots").0.as_bytes());
    for algorithm in Algorithm::ALL {
        let token = with_header(&format!(r#"{{"alg":"{}"}}"#, algorithm.name()));
        assert_eq!(parse(&token, LIMIT).expect("a token").algorithm, algorithm);
    }
}

proptest! {
    /// Two different texts never come apart into the same octets.
    #[test]
    fn a_token_has_one_spelling(header in r#"\{"alg":"RS256","x":"[a-z]{0,9}"\}"#, payload in prop::collection::vec(any::<u8>(), 1..40), signature in prop::collection::vec(any::<u8>(), 1..70), at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let token = format!("{}.{}.{}", encode(&header), encode(&payload), encode(&signature));
        let good = parse(&token, LIMIT).expect("a token");
        let mut other = token.clone().into_bytes();
        let at = at.index(other.len());
        prop_assume!(other[at] != to);
        other[at] = to;
        if let Ok(other) = String::from_utf8(other)
            && let Ok(compact) = parse(&other, LIMIT)
        {
            prop_assert!(
                (compact.signing_input, &compact.payload, &compact.signature)
                    != (good.signing_input, &good.payload, &good.signature)
            );
            prop_assert!(compact.signing_input != good.signing_input || compact.signature != good.signature);
        }
    }

    #[test]
    fn nothing_panics(token in "\\PC{0,80}", dotted in "[A-Za-z0-9_=-]{0,20}\\.[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}") {
        let _ = parse(&token, LIMIT);
        let _ = parse(&dotted, LIMIT);
    }
}
