//! Lines, however they are cut.

use super::*;

fn all(pieces: &[&[u8]]) -> (Vec<(u64, Vec<u8>)>, u64) {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for piece in pieces {
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(line) = lines.next(&mut piece) {
            found.push((line.number, line.octets.to_vec()));
        }
        assert!(piece.is_empty(), "all of a piece is consumed");
    }
    found.extend(lines.rest().map(|line| (line.number, line.octets.to_vec())));
    (found, lines.number())
}

#[test]
fn where_a_body_is_cut_makes_no_difference() {
    let body = b"one\r\n\n  \ntwo \n\nthree";
    let expected = (vec![(1, b"one".to_vec()), (4, b"two".to_vec()), (6, b"three".to_vec())], 6);
    assert_eq!(all(&[body]), expected);
    for first in 0..=body.len() {
        for second in first..=body.len() {
            assert_eq!(all(&[&body[..first], &body[first..second], &body[second..]]), expected);
        }
    }
    assert_eq!(all(&[b"one\n", b"two\n"]).1, 2);
    assert_eq!(all(&[]), (Vec::new(), 0));
}

#[test]
fn a_line_without_an_end_takes_bounded_room() {
    let piece = vec![b'x'; 100_000];
    let mut lines = Lines::default();
    for _ in 0..100 {
        assert_eq!(lines.next(&mut Bytes::from(piece.clone())), None);
    }
    assert!(lines.carried.capacity() <= 4 * LINE, "{}", lines.carried.capacity());
    let mut rest = Bytes::from_static(b"\ny\n");
    assert_eq!(lines.next(&mut rest).map(|line| (line.number, line.octets.len())), Some((1, LINE + 1)));
    assert_eq!(lines.next(&mut rest).map(|line| line.octets), Some(Bytes::from_static(b"y")));
}
