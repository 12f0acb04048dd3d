//! One spelling of a request path: what is matched is byte for byte what is forwarded.
//!
//! Route patterns in the configuration and request targets on the wire go through [`canonical`], so
//! that no two spellings of one resource can meet different rules (threats P1 to P5). Only what RFC 3986
//! calls equivalent is made equal (section 6.2.2): the case of escapes, and escapes of unreserved characters.
//! Everything that servers are known to disagree on is [`Path::Dangerous`] instead of being repaired.
//!
//! Why not decode sub-delimiters, `:` and `@` too: `%2B` and `+`, `%3A` and `:` name different resources to
//! some servers (section 2.2), so each keeps the spelling the client chose.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// A request path after [`canonical`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path<'a> {
    /// The one spelling: unreserved characters decoded, remaining escapes in upper case, no empty, `.` or
    /// `..` segment, nothing that another parser could read as a separator.
    Canonical(Cow<'a, str>),
    /// Well-formed octets that another parser might read differently: `\ ; // /./ /../` and escapes of
    /// `/ \ ; ? #`, of controls, of what is not UTF-8, or of another escape. Kept exactly as written: only
    /// a route with `dangerous_path: true` may match it.
    Dangerous(&'a str),
}

/// Why a path can be no path at all (RFC 3986 section 3.3): 400 on every route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("a path begins with \"/\"")]
    NotAbsolute,
    /// An octet that no path may hold: a control, a space, `#`, `?`, `[`, `]`, `"<>^`{|}` or anything beyond
    /// ASCII.
    #[error("an octet that a path may not hold")]
    ForbiddenOctet,
    /// A `%` that two hexadecimal digits do not follow.
    #[error("a broken percent-escape")]
    BrokenEscape,
}

impl Path<'_> {
    /// The octets to match and to forward.
    pub fn as_str(&self) -> &str {
        match self {
            Path::Canonical(path) => path,
            Path::Dangerous(path) => path,
        }
    }
}

/// Puts `raw` (origin-form, without query) into its one spelling. Borrows when `raw` has it already.
pub fn canonical(raw: &str) -> Result<Path<'_>, PathError> {
    let octets = raw.as_bytes();
    if octets.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    if is_plain(octets) {
        return Ok(Path::Canonical(Cow::Borrowed(raw)));
    }
    let survey = Survey::of(octets)?;
    if survey.dangerous {
        return Ok(Path::Dangerous(raw));
    }
    if survey.changes {
        return Ok(Path::Canonical(Cow::Owned(respell(raw))));
    }
    Ok(Path::Canonical(Cow::Borrowed(raw)))
}

/// The text that `part` of a canonical path stands for: its escapes decoded, `+` left alone. What is not UTF-8 stays as it is.
pub fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return Cow::Borrowed(part);
    }
    let mut octets = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = (*first == b'%').then(|| after.get(..2)).flatten();
        let escaped =
            digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        octets.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(octets).map_or(Cow::Borrowed(part), Cow::Owned)
}

/// What an octet is to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// RFC 3986 `pchar`, less those below.
    Plain,
    /// `/`
    Slash,
    /// `.`
    Dot,
    /// `%`
    Percent,
    /// `\` and `;`
    Separator,
    /// Everything else.
    Forbidden,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Forbidden; 256];
    let mut octet = 0;
    while octet < 256 {
        classes[octet] = match octet as u8 {
            b'/' => Class::Slash,
            b'.' => Class::Dot,
            b'%' => Class::Percent,
            b'\\' | b';' => Class::Separator,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Plain,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => {
                Class::Plain
            }
            _ => Class::Forbidden,
        };
        octet += 1;
    }
    classes
};

fn class(octet: u8) -> Class {
    CLASSES[usize::from(octet)]
}

/// The common case in one pass: nothing to decode, no empty segment, none that begins with a dot. What this
/// refuses, [`Survey`] looks at with care.
fn is_plain(octets: &[u8]) -> bool {
    let mut after_slash = false;
    for octet in octets {
        match class(*octet) {
            Class::Plain => after_slash = false,
            Class::Slash if !after_slash => after_slash = true,
            Class::Dot if !after_slash => {}
            Class::Slash | Class::Dot | Class::Percent | Class::Separator | Class::Forbidden => return false,
        }
    }
    true
}

/// What a path turned out to hold.
#[derive(Debug, Default)]
struct Survey {
    dangerous: bool,
    /// The one spelling differs from the one sent.
    changes: bool,
    /// Octets of the segment so far; saturates, because only 0, 1 and 2 matter.
    segment: u8,
    /// The segment so far is made of dots only.
    dots_only: bool,
    /// Hexadecimal digits since an escaped `%`: two of them make a double encoding.
    digits_since_percent: Option<u8>,
}

impl Survey {
    fn of(octets: &[u8]) -> Result<Self, PathError> {
        let mut survey = Self { dots_only: true, ..Self::default() };
        let mut rest = octets.get(1..).unwrap_or_default();
        while let Some((octet, after)) = rest.split_first() {
            rest = after;
            match class(*octet) {
                Class::Forbidden => return Err(PathError::ForbiddenOctet),
                Class::Separator => survey.dangerous = true,
                Class::Slash => survey.end_segment(false),
                Class::Plain | Class::Dot => survey.take(*octet),
                Class::Percent => {
                    let decoded = escaped(after)?;
                    let skip = survey.take_escape(decoded, after);
                    rest = after.get(skip..).unwrap_or_default();
                }
            }
        }
        survey.end_segment(true);
        Ok(survey)
    }

    /// One decoded octet of a segment.
    fn take(&mut self, octet: u8) {
        self.segment = self.segment.saturating_add(1);
        self.dots_only &= octet == b'.';
        self.digits_since_percent = match self.digits_since_percent {
            Some(0) if octet.is_ascii_hexdigit() => Some(1),
            Some(_) if octet.is_ascii_hexdigit() => {
                self.dangerous = true;
                None
            }
            Some(_) | None => None,
        };
    }

    /// An escape that decodes to `decoded`, whose digits begin `after`: how many octets of it to skip.
    fn take_escape(&mut self, decoded: u8, after: &[u8]) -> usize {
        self.take(decoded);
        match decoded {
            b'%' => self.digits_since_percent = Some(0),
            b'/' | b'\\' | b';' | b'?' | b'#' => self.dangerous = true,
            0x80.. => return self.take_scalar(decoded, after),
            // C0 controls and DEL.
            _ if decoded.is_ascii_control() => self.dangerous = true,
            _ => {}
        }
        let lower = after.iter().take(2).any(|digit| digit.is_ascii_lowercase());
        self.changes |= lower || is_unreserved(decoded);
        2
    }

    /// Escapes beyond ASCII must spell one UTF-8 scalar (RFC 3629 section 4: no overlong form, no surrogate)
    /// that is no control; `first` is decoded already. A lone escape is skipped when they do not.
    fn take_scalar(&mut self, first: u8, after: &[u8]) -> usize {
        let length = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let mut scalar = [first, 0, 0, 0];
        for (index, octet) in scalar.iter_mut().enumerate().take(length).skip(1) {
            // Escapes stand three octets apart; `after` begins behind the first one's `%`.
            let Some(b'%') = after.get(index * 3 - 1) else { break };
            *octet = after.get(index * 3..).and_then(|digits| escaped(digits).ok()).unwrap_or(0);
        }
        let decoded = scalar.get(..length).and_then(|octets| std::str::from_utf8(octets).ok());
        if decoded.is_none_or(|text| text.chars().any(char::is_control)) {
            self.dangerous = true;
            return 2;
        }
        let written = length * 3 - 1;
        self.changes |= after.iter().take(written).any(u8::is_ascii_lowercase);
        written
    }

    /// A segment ended. The last one may be empty: a trailing slash is significant and harmless.
    fn end_segment(&mut self, last: bool) {
        let hidden = self.dots_only && matches!(self.segment, 1 | 2);
        self.dangerous |= hidden || (self.segment == 0 && !last);
        self.segment = 0;
        self.dots_only = true;
        self.digits_since_percent = None;
    }
}

/// Rewrites a surveyed path that is neither broken nor dangerous.
fn respell(raw: &str) -> String {
    let mut spelled = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('%') {
        spelled.push_str(before);
        match escaped(after.as_bytes()) {
            Ok(decoded) if is_unreserved(decoded) => spelled.push(char::from(decoded)),
            Ok(_) | Err(_) => {
                spelled.push('%');
                spelled.extend(after.chars().take(2).map(|digit| digit.to_ascii_uppercase()));
            }
        }
        rest = after.get(2..).unwrap_or_default();
    }
    spelled.push_str(rest);
    spelled
}

/// The octet that the two hexadecimal digits at the start of `digits` stand for.
fn escaped(digits: &[u8]) -> Result<u8, PathError> {
    let digit = |at: usize| digits.get(at).and_then(|octet| char::from(*octet).to_digit(16));
    match (digit(0), digit(1)) {
        (Some(high), Some(low)) => u8::try_from(high * 16 + low).map_err(|_| PathError::BrokenEscape),
        _ => Err(PathError::BrokenEscape),
    }
}

/// RFC 3986 section 2.3.
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}
