use proptest::prelude::*;

use crate::http1::body::{BodyReader, Piece};
use crate::http1::head::Framing;
use crate::http1::tests::cuts::{Reading, compare_cuts, read};

/// Reads a chunked body whole, and cut at every single octet.
fn chunked(input: &str) -> Reading {
    compare_cuts(Framing::Chunked, input.as_bytes(), &[1])
}

#[track_caller]
fn check_refused(bodies: &[&str]) {
    for body in bodies {
        let body = format!("{body}\r\n0\r\n\r\n");
        assert!(chunked(&body).is_err(), "{body:?}");
    }
}

#[test]
fn h6_chunk_sizes_in_any_but_their_one_form_are_refused() {
    check_refused(&[
        "",
        " 5\r\nhello",
        "5 \r\nhello",
        "5\t\r\nhello",
        "0x5\r\nhello",
        "+5\r\nhello",
        "-5\r\nhello",
        "5_0\r\nhello",
        "g\r\nhello",
        "5h\r\nhello",
        ";a\r\nhello",
        " ;a\r\nhello",
        "\r\nhello",
        "5,5\r\nhello",
        "\"5\"\r\nhello",
        "\u{ff15}\r\nhello",
    ]);
    check_refused(&[
        "10000000000000000\r\n",
        "00000000000000005\r\nhello",
        "FFFFFFFFFFFFFFFF\r\n",
        "8000000000000000\r\nx",
    ]);
}

#[test]
fn h6_line_ends_of_chunks_are_crlf() {
    check_refused(&[
        "5\nhello",
        "5\rhello",
        "5\r\rhello",
        "5\n\r\nhello",
        "5\r\nhello\n5\r\nhello",
        "5\r\nhelloX",
        "5\r\nhello\rX",
    ]);
    check_refused(&["5\r\nhell", "5\r\nhello!", "5;a\nhello", "5;a\n\r\nhello", "5;a\rb\r\nhello"]);
    for body in ["0\n\n", "0\r\n\n", "0\n\r\n", "0\r\n\rX", "0\r\r\n\r\n"] {
        assert!(chunked(body).is_err(), "{body:?}");
    }
}

#[test]
fn h6_extensions_are_bounded_and_printable() {
    check_refused(&[
        "5;\r\nhello",
        "5; a\r\nhello",
        "5;=a\r\nhello",
        "5;a\0\r\nhello",
        "5;a=\u{e9}\r\nhello",
        "5 ;a\r\nhello",
        "5;;\r\nhello",
    ]);
    let line = |length: usize| format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(length - 2));
    assert_eq!(chunked(&line(256)), Ok((b"hello".to_vec(), line(256).len(), true)));
    assert!(chunked(&line(257)).is_err());
    let many = |count: usize| format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "a".repeat(128)).repeat(count));
    assert!(chunked(&many(64)).is_ok());
    assert!(chunked(&many(65)).is_err(), "8 KiB of extensions in all");
}

#[test]
fn h6_trailers_are_checked_bounded_and_dropped() {
    for trailer in [
        "X",
        ": y",
        " X: y",
        "X : y",
        "X: y\n",
        "X: y\r\n z",
        "X: a\0b",
        "X: a\u{7f}b",
        "\u{e9}: x",
        "X\r\n: y",
        "X: \ry",
    ] {
        assert!(chunked(&format!("0\r\n{trailer}\r\n\r\n")).is_err(), "{trailer:?}");
    }
    let trailers = |lines: &str| format!("5\r\nhello\r\n0\r\n{lines}\r\n");
    for lines in [
        "X: y\r\n",
        "X:\r\nY-Z:\t\u{e9} \r\n",
        "X_Auth_User: admin\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let body = trailers(lines);
        assert_eq!(chunked(&body), Ok((b"hello".to_vec(), body.len(), true)), "{lines:?}");
    }
    assert!(chunked(&trailers(&"X: y\r\n".repeat(64))).is_ok());
    assert!(chunked(&trailers(&"X: y\r\n".repeat(65))).is_err());
    // A line of this length has 5 octets more.
    assert!(chunked(&trailers(&format!("X: {}\r\n", "y".repeat(8192 - 5)))).is_ok());
    assert!(chunked(&trailers(&format!("X: {}\r\n", "y".repeat(8192 - 4)))).is_err());
}

#[test]
fn chunked_bodies_are_taken_apart() {
    for (body, content, rest) in [
        ("0\r\n\r\n", "", ""),
        ("000\r\n\r\nGET", "", "GET"),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", ""),
        (
            "0000000000000005\r\nhello\r\n6;a=\"b c\";d\r\n world\r\n0;x\r\nT: u\r\n\r\nrest",
            "hello world",
            "rest",
        ),
        ("A\r\n0123456789\r\na\r\n\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n", "0123456789\r\n0\r\n\r\n0\r\n", ""),
    ] {
        assert_eq!(
            chunked(body),
            Ok((content.as_bytes().to_vec(), body.len() - rest.len(), true)),
            "{body:?}"
        );
    }
    for cut in [
        "",
        "5",
        "5\r\n",
        "5\r\nhel",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\n",
        "5\r\nhello\r\n0\r\nX: y\r\n\r",
    ] {
        assert!(
            matches!(chunked(cut), Ok((_, consumed, false)) if consumed == cut.len()),
            "{cut:?} has no end"
        );
    }
}

#[test]
fn the_largest_chunk_is_announced_and_not_waited_for() {
    let mut reader = BodyReader::new(Framing::Chunked);
    assert_eq!(reader.next(b"7fffffffffffffff\r\nx"), Ok(Piece::Content { skip: 18, length: 1 }));
    assert_eq!(reader.next(b""), Ok(Piece::More { skip: 0 }));
    assert_eq!(reader.next(b"yz"), Ok(Piece::Content { skip: 0, length: 2 }));
    assert_eq!((reader.remaining(), reader.is_done()), (None, false));
}

#[test]
fn declared_lengths_end_where_they_say() {
    let mut reader = BodyReader::new(Framing::Length(5));
    assert_eq!((reader.remaining(), reader.is_done()), (Some(5), false));
    assert_eq!(reader.next(b""), Ok(Piece::More { skip: 0 }));
    assert_eq!(reader.next(b"hel"), Ok(Piece::Content { skip: 0, length: 3 }));
    assert_eq!((reader.remaining(), reader.is_done()), (Some(2), false));
    assert_eq!(reader.next(b"loGET /"), Ok(Piece::Content { skip: 0, length: 2 }));
    assert_eq!((reader.remaining(), reader.is_done()), (Some(0), true));
    assert_eq!(reader.next(b"GET /"), Ok(Piece::End { skip: 0 }));
    let largest = u64::try_from(i64::MAX).expect("positive");
    assert_eq!(BodyReader::new(Framing::Length(largest)).remaining(), Some(largest));
}

#[test]
fn no_body_is_done_and_an_unbounded_one_never() {
    for framing in [Framing::None, Framing::Length(0)] {
        let mut reader = BodyReader::new(framing);
        assert!(reader.is_done());
        assert_eq!(reader.next(b"GET /"), Ok(Piece::End { skip: 0 }));
    }
    let mut reader = BodyReader::new(Framing::UntilClose);
    assert_eq!(reader.next(b"0\r\n\r\n"), Ok(Piece::Content { skip: 0, length: 5 }));
    assert_eq!(reader.next(b""), Ok(Piece::More { skip: 0 }));
    assert_eq!((reader.remaining(), reader.is_done()), (None, false));
}

#[test]
fn every_cut_in_two_reads_the_same() {
    let body = b"5;a=b\r\nhello\r\n10\r\n0123456789abcdef\r\n0;c\r\nX: y\r\nZ:\r\n\r\nGET / HTTP/1.1\r\n";
    let whole = read(Framing::Chunked, body, &[255]).expect("a good body");
    assert_eq!((whole.0.len(), whole.2), (21, true));
    for cut in 1..body.len() {
        let cut = u8::try_from(cut).expect("short");
        assert_eq!(read(Framing::Chunked, body, &[cut, 255]).as_ref(), Ok(&whole), "cut at {cut}");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["5\r\nhello\r\n", "1;a=b\r\nx\r\n", "a\r\n0123456789\r\n", "0\r\n", "\r\n", "X: y\r\n"]),
        1 => prop::sample::select(vec!["0", "1", "f", ";", "\r", "\n", " ", "\t", ":", "x", "\0", "\u{7f}", "ffffffffffffffff"]),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn how_a_body_is_cut_never_matters(
        body in pieces(),
        steps in prop::collection::vec(1_u8..20, 1..6),
        framing in prop_oneof![
            4 => Just(Framing::Chunked),
            1 => (0_u64..40).prop_map(Framing::Length),
            1 => Just(Framing::None),
            1 => Just(Framing::UntilClose),
        ],
    ) {
        let _ = compare_cuts(framing, body.as_bytes(), &steps);
    }
}

/// However the input is cut, and only where somebody asked for them.
#[test]
fn trailers_are_kept_for_who_wants_them() {
    let body = b"3\r\nabc\r\n0;x=y\r\nA: 1\r\nB:\t2 \r\n\r\nnext";
    for cut in 1..body.len() {
        let mut keeping = BodyReader::keeping_trailers(Framing::Chunked);
        let mut forgetting = BodyReader::new(Framing::Chunked);
        for reader in [&mut keeping, &mut forgetting] {
            let mut at = 0;
            for end in [cut, body.len()] {
                while at < end && !reader.is_done() {
                    at += match reader.next(&body[at..end]).expect("a body") {
                        Piece::Content { skip, length } => skip + length,
                        Piece::More { skip } | Piece::End { skip } => skip,
                    };
                }
            }
            assert_eq!(at, body.len() - 4, "cut at {cut}");
        }
        assert_eq!(keeping.trailers(), b"A: 1\r\nB:\t2 \r\n", "cut at {cut}");
        assert_eq!(forgetting.trailers(), b"");
    }
}
