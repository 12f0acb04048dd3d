//! Operations in a URL's query (`application/x-www-form-urlencoded`), as strictly as any server may read it.

use std::borrow::Cow;

use crate::graphql::envelope::{self, Envelope, Malformed, Name, Written};

#[cfg(test)]
mod tests;

/// A query that brings an operation.
#[derive(Debug)]
pub struct Parameters<'q> {
    /// What it brings.
    pub envelope: Envelope<'q>,
    /// `variables`, an object of JSON.
    pub variables: Option<Cow<'q, str>>,
    /// `extensions` without what names a document; none where there is nothing else.
    extensions: Option<String>,
    /// Other parameters, as written.
    others: Vec<&'q str>,
}

/// Whether a parameter is one that a server could take an operation, or a part of it, from. Any spelling of a name counts
/// that some framework reads as that: escaped, in another case, with brackets behind it, after a `;`.
pub fn name_an_operation(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        is_read_as(name, |name| !matches!(envelope::named(name), Ok(Name::Other)))
    })
}

/// Whether some framework reads the name of a parameter, as it is written, as this one.
pub fn may_name(written: &str, name: &str) -> bool {
    is_read_as(written, |read| read.eq_ignore_ascii_case(name))
}

/// Whether `is` is so of a name that some framework reads in this one, as it is written: without escapes, whether what is left
/// is text or not; up to a NUL; the first word in it, whatever stands before and behind (`[query]`, `query[]` and `.query` are
/// `query` to qs, `?query` to whoever begins at the second mark); or all of it with `_` between the words (PHP).
fn is_read_as(written: &str, is: impl Fn(&str) -> bool) -> bool {
    let octets = unescaped(written);
    let text = String::from_utf8_lossy(octets.split(|octet| *octet == 0).next().unwrap_or_default());
    let words = text.split(|character: char| !character.is_alphanumeric() && character != '_');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.first().is_some_and(|first| is(first)) || is(&words.join("_"))
}

/// Octets without their escapes; a broken one stands for itself.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut octets, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let escaped = digit(0).zip(digit(1)).filter(|_| *first == b'%');
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        octets.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    octets
}

/// Reads the query of a `GET`.
pub fn read(query: &str) -> Result<Parameters<'_>, Malformed> {
    let mut parameters =
        Parameters { envelope: Envelope::default(), variables: None, extensions: None, others: Vec::new() };
    // Some servers take it for `&`.
    if query.contains(';') {
        return Err(Malformed("a query with a semicolon that is not escaped"));
    }
    // Some begin at the last one.
    if query.contains('?') {
        return Err(Malformed("a query with a question mark that is not escaped"));
    }
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // To qs a name goes up to there.
        if value.contains("]=") || value.to_ascii_lowercase().contains("%5d=") {
            return Err(Malformed("a parameter whose name could be taken to end later"));
        }
        let name = decoded(name)?;
        let known = envelope::named(&name)?;
        if known == Name::Other {
            // `query[]` and its like are `query` to some.
            if name_an_operation(pair) {
                return Err(Malformed("a parameter that could be taken for one of an operation"));
            }
            parameters.others.push(pair);
            continue;
        }
        if seen.contains(&name) {
            return Err(Malformed("a parameter stands twice"));
        }
        seen.push(name);
        parameters.take(known, pair, decoded(value)?)?;
    }
    Ok(parameters)
}

impl<'q> Parameters<'q> {
    fn take(&mut self, name: Name, pair: &'q str, value: Cow<'q, str>) -> Result<(), Malformed> {
        if value.is_empty() {
            return Ok(());
        }
        let envelope = &mut self.envelope;
        match name {
            Name::Query => envelope.query = Some(Written::Plain(value)),
            Name::OperationName => {
                self.others.push(pair);
                envelope.operation_name = Some(value);
            }
            Name::Variables => {
                self.others.push(pair);
                envelope::object(&value)?;
                self.variables = Some(value);
            }
            Name::Extensions => {
                let Some(members) = envelope::object(&value)? else { return Ok(()) };
                let persisted = envelope::persisted(&members)?;
                envelope.persisted = persisted.map(|persisted| persisted.into_owned());
                self.extensions = envelope::others(&members);
            }
            Name::Id => {
                if envelope.id.replace(value).is_some() {
                    return Err(Malformed("two parameters that name a document"));
                }
            }
            Name::PersistedQuery | Name::Hash | Name::Version | Name::Other => {}
        }
        Ok(())
    }

    /// The same with this document, and nothing that names one.
    pub fn with(&self, document: &str) -> String {
        let mut query = String::with_capacity(2 * document.len() + 64);
        query.push_str("query=");
        encode(document, &mut query);
        for pair in &self.others {
            query.push('&');
            query.push_str(pair);
        }
        if let Some(extensions) = &self.extensions {
            query.push_str("&extensions=");
            encode(extensions, &mut query);
        }
        query
    }
}

/// Text without its escapes; what is none, or broken, is an error.
fn decoded(text: &str) -> Result<Cow<'_, str>, Malformed> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let broken = Malformed("a broken escape in the query");
    let (mut octets, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => octets.push(b' '),
            b'%' => {
                let digit =
                    |at: usize| rest.get(at).and_then(|digit| char::from(*digit).to_digit(16)).ok_or(broken);
                octets.push(u8::try_from(digit(0)? * 16 + digit(1)?).map_err(|_| broken)?);
                rest = rest.get(2..).unwrap_or_default();
            }
            other => octets.push(*other),
        }
    }
    String::from_utf8(octets).map(Cow::Owned).map_err(|_| Malformed("not UTF-8"))
}

/// Appends text, all of it escaped that is not letter, digit, or one of `-._~` (RFC 3986 section 2.3).
fn encode(text: &str, query: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            query.push(char::from(octet));
        } else {
            query.push('%');
            query.push(char::from(DIGITS[usize::from(octet >> 4)]));
            query.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
    }
}
