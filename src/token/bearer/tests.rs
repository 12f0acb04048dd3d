use super::*;

#[track_caller]
fn check(value: &[u8], expected: Authorization<'_>) {
    let read = match parse(value) {
        Authorization::Bearer(octets) if token(octets).is_none() => Authorization::Malformed,
        read @ (Authorization::Bearer(_) | Authorization::OtherScheme | Authorization::Malformed) => read,
    };
    assert_eq!(read, expected, "{}", value.escape_ascii());
}

#[test]
fn c6_bearer_with_anything_but_one_space_and_one_token_is_malformed() {
    for value in [
        "Bearer",
        "Bearer ",
        "bearer",
        "Bearer  x",
        "Bearer\tx",
        "Bearer \tx",
        "Bearer x ",
        "Bearer x y",
        "Bearer x,y",
        "Bearer x, Bearer y",
        "Bearer,x",
        "Bearer =",
        "Bearer x=y",
        "Bearer \"x\"",
        "Bearer x;y",
        "Bearer x\u{e9}",
        "Bearer\u{a0}x",
        "Bearer:x",
    ] {
        check(value.as_bytes(), Authorization::Malformed);
    }
    check(b"Bearer x\0", Authorization::Malformed);
    check(b"Bearer \xff", Authorization::Malformed);
    check(b"Bearer x\r\n y", Authorization::Malformed);
}

#[test]
fn c6_bearer_joined_behind_another_scheme_is_malformed() {
    for value in [
        "Basic dTpw, Bearer x",
        "Basic dTpw,Bearer x",
        "Basic dTpw,\tbearer\tx",
        "Basic dTpw, , BEARER",
        ", Bearer x",
        " Bearer x",
        "Basic, Bearer",
    ] {
        check(value.as_bytes(), Authorization::Malformed);
    }
}

#[test]
fn c6_other_schemes_are_no_bearer_credential() {
    for value in ["", "Basic dTpw", "Bearerx y", "xBearer y", "Bearer.x y", "DPoP x", "Digest a=b, c=d", "x"]
    {
        check(value.as_bytes(), Authorization::OtherScheme);
    }
}

#[test]
fn bearer_in_any_case_with_one_token_is_read() {
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        for token in ["x", "a.b.c", "aZ09-._~+/", "x=", "x=="] {
            check(format!("{scheme} {token}").as_bytes(), Authorization::Bearer(token.as_bytes()));
        }
    }
}
