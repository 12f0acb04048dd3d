//! Which forms of an answer a client takes (RFC 9110 section 12.5.1), of those that GraphQL over HTTP knows.

#[cfg(test)]
mod tests;

/// How welcome each form is, in thousandths; 0 where it is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// `application/graphql-response+json`, by its name: who takes anything takes what servers of old answer, too.
    pub response: u16,
    /// `application/json`, by its name or another that it falls under.
    pub json: u16,
    /// `text/event-stream`, by its name.
    pub events: u16,
}

impl Accepted {
    /// By the values of `Accept`, each line one. Where there is none nothing is said to be taken.
    pub fn of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut accepted = Self::default();
        // The name that says most decides, wherever it stands.
        let (mut json, mut application, mut any) = (None, None, None);
        for range in lines.flat_map(|line| line.split(|octet| *octet == b',')) {
            // What most send needs no taking apart.
            if range == b"application/json" {
                json = Some(WHOLE);
                continue;
            }
            let mut parts = range.split(|octet| *octet == b';').map(<[u8]>::trim_ascii);
            let media = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(WHOLE);
            let is = |known: &str| media.eq_ignore_ascii_case(known.as_bytes());
            if is("application/graphql-response+json") {
                accepted.response = weight;
            } else if is("text/event-stream") {
                accepted.events = weight;
            } else if is("application/json") {
                json = Some(weight);
            } else if is("application/*") {
                application = Some(weight);
            } else if is("*/*") {
                any = Some(weight);
            }
        }
        accepted.json = json.or(application).or(any).unwrap_or_default();
        accepted
    }
}

/// `q=0.5`, in thousandths (RFC 9110 section 12.4.2). What is no weight counts as the whole: the client named the form.
fn weight(part: &[u8]) -> Option<u16> {
    let value = part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q="))?;
    let [b'0', rest @ ..] = value else { return Some(WHOLE) };
    let digits = match rest {
        [] => &[][..],
        [b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return Some(WHOLE),
    };
    let digit = |place: usize| digits.get(place).map_or(0, |digit| u16::from(digit - b'0'));
    Some(digit(0) * 100 + digit(1) * 10 + digit(2))
}

/// A weight of 1.
const WHOLE: u16 = 1000;
