//! Identity headers: whose names no client may use, and how a claim becomes a value.

use serde_json::Value as Json;

use crate::config::forward::ArrayForm;
use crate::token::json::document::Value;

/// The longest value an identity header may have, in octets (threats J20): more is no name or role but a
/// payload, and it has to fit beside others in an upstream's own limit.
pub const VALUE_LIMIT: usize = 4096;

/// A set of field names, compared as another parser might fold them: without case, and every octet that is no
/// letter or digit as the same one (`X_User.Id` is `x-user-id`; threats S2).
#[derive(Debug, Default)]
pub struct FieldNames {
    folded: Vec<Box<[u8]>>,
    /// Bit `n` is set when some name has `n` octets (64 or more share the last bit).
    lengths: u64,
}

impl FieldNames {
    /// Collects names.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut folded: Vec<Box<[u8]>> =
            names.into_iter().map(|name| name.bytes().map(fold).collect()).collect();
        folded.sort_unstable();
        folded.dedup();
        let lengths = folded.iter().fold(0, |lengths, name| lengths | bit(name.len()));
        Self { folded, lengths }
    }

    /// Whether `name` folds to one of these.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.lengths & bit(name.len()) != 0
            && self.folded.iter().any(|known| {
                known.len() == name.len()
                    && known.iter().zip(name).all(|(known, octet)| *known == fold(*octet))
            })
    }
}

fn bit(length: usize) -> u64 {
    1 << length.min(63)
}

fn fold(octet: u8) -> u8 {
    if octet.is_ascii_alphanumeric() { octet.to_ascii_lowercase() } else { b'-' }
}

/// A claim that has no safe form as a header: too long, or with octets that another parser could read as more
/// than one value or line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsafeValue;

/// Writes a claim as header values: none for `null` or an empty array, several lines for [`ArrayForm::Repeat`].
pub fn values(claim: Value<'_>, form: ArrayForm) -> Result<Vec<String>, UnsafeValue> {
    let values = match (form, claim) {
        (_, Value::Null) => Vec::new(),
        (ArrayForm::Json, value) => vec![ascii_json(value)],
        (ArrayForm::Comma, Value::Array(items)) if items.is_empty() => Vec::new(),
        (ArrayForm::Comma, Value::Array(items)) => {
            vec![items.map(scalar).collect::<Result<Vec<_>, _>>()?.join(",")]
        }
        (ArrayForm::Repeat, Value::Array(items)) => items.map(scalar).collect::<Result<_, _>>()?,
        (ArrayForm::Comma | ArrayForm::Repeat, value) => vec![scalar(value)?],
    };
    if values.iter().any(|value| value.len() > VALUE_LIMIT) { Err(UnsafeValue) } else { Ok(values) }
}

fn scalar(value: Value<'_>) -> Result<String, UnsafeValue> {
    match value {
        Value::Text(text) => {
            let plain = text.bytes().all(|octet| matches!(octet, b' '..=b'~') && octet != b',');
            // White space at the edges would be trimmed on the way, and the value become another one.
            if plain && text.trim_matches(' ') == text { Ok(text.to_owned()) } else { Err(UnsafeValue) }
        }
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(_) => Ok(Json::from(value).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(UnsafeValue),
    }
}

/// JSON in visible ASCII: everything else as `\u` escapes.
fn ascii_json(value: Value<'_>) -> String {
    let mut out = String::new();
    for character in Json::from(value).to_string().chars() {
        if matches!(character, ' '..='~') {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
