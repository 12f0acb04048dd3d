//! One spelling of a request path: what is matched is byte for byte what is forwarded.
//!
//! Route patterns in the configuration and request targets on the wire go through [`canonical`], so
//! that no two spellings of one resource can meet different rules (threats P1 to P5).

use std::borrow::Cow;

/// A request path after [`canonical`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path<'a> {
    /// The one spelling: unreserved characters decoded, remaining escapes in upper case, no empty, `.` or
    /// `..` segment, nothing that another parser could read as a separator.
    Canonical(Cow<'a, str>),
    /// Well-formed octets that another parser might read differently (`%2f %5c %00 \ ; // /./ /../` or
    /// double encodings). Kept exactly as written: only a route with `dangerous_path: true` may match it.
    Dangerous(&'a str),
}

/// Why a path can be no path at all (RFC 3986 section 3.3): 400 on every route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("a path begins with \"/\"")]
    NotAbsolute,
    /// An octet that no path may hold: a control, a space, `#`, `"<>^`{|}` or anything beyond ASCII.
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

/// Puts `raw` (origin-form, without query) into its one spelling.
pub fn canonical(raw: &str) -> Result<Path<'_>, PathError> {
    todo!()
}
