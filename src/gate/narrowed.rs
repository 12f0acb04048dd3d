//! Operations of which only a part may be run (`unauthorized: filter`).

use crate::gate::Request;

/// The `Accept` of what is sent on in part: the forms of an answer that can be told what was left out, of those that the
/// client takes. None where it takes no such form, as one that wants its answer in pieces does.
pub fn accept(request: &Request<'_>) -> Option<&'static str> {
    const MODERN: &str = "application/graphql-response+json";
    const BOTH: &str = "application/graphql-response+json, application/json;q=0.9";
    const PLAIN: &str = "application/json";
    let lines = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"accept"));
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        return Some(PLAIN);
    }
    let ranges = lines.iter().flat_map(|field| field.value.split(|octet| *octet == b','));
    let ranges: Vec<_> = ranges.filter_map(range).collect();
    let takes = |wanted: &str| ranges.iter().any(|range| range.eq_ignore_ascii_case(wanted.as_bytes()));
    match (takes(MODERN), takes(PLAIN) || takes("application/*") || takes("*/*")) {
        (true, true) => Some(BOTH),
        (true, false) => Some(MODERN),
        (false, true) => Some(PLAIN),
        (false, false) => None,
    }
}

/// A media range without its parameters; none of one that is refused by its weight (RFC 9110 section 12.4.2).
fn range(element: &[u8]) -> Option<&[u8]> {
    let mut parts = element.split(|octet| *octet == b';').map(<[u8]>::trim_ascii);
    let kind = parts.next()?;
    let refused = |part: &[u8]| {
        let value = part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q="));
        value.is_some_and(|value| value.iter().all(|octet| matches!(octet, b'0' | b'.')))
    };
    (!parts.any(refused)).then_some(kind)
}
