//! The envelope of an operation that is sent on in part.

use std::borrow::Cow;

use crate::graphql::members::{Members, Text};

/// The document that an envelope holds; none where it is no envelope, or holds none.
pub fn document(envelope: &[u8]) -> Option<Cow<'_, str>> {
    let Members(members) = serde_json::from_str(str::from_utf8(envelope).ok()?).ok()?;
    let (_, query) = members.iter().find(|(name, _)| name == "query")?;
    let Text(document) = serde_json::from_str(query.get()).ok()?;
    Some(document)
}

/// The same envelope with another document, and nothing in it that could name one: of its members those that every server
/// knows, and of its extensions all but the hash of the document that was sent.
pub fn with_document(envelope: &[u8], document: &str) -> Option<Vec<u8>> {
    let Members(members) = serde_json::from_str(str::from_utf8(envelope).ok()?).ok()?;
    let mut out = b"{\"query\":".to_vec();
    out.extend_from_slice(serde_json::Value::from(document).to_string().as_bytes());
    for (name, value) in &members {
        match &**name {
            "operationName" | "variables" => member(&mut out, name, value.get()),
            "extensions" if value.get().starts_with('{') => {
                let Members(extensions) = serde_json::from_str(value.get()).ok()?;
                let mut kept = b"{".to_vec();
                for (name, value) in extensions.iter().filter(|(name, _)| name != "persistedQuery") {
                    member(&mut kept, name, value.get());
                }
                kept.push(b'}');
                member(&mut out, name, str::from_utf8(&kept).ok()?);
            }
            _ => {}
        }
    }
    out.push(b'}');
    Some(out)
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(value.as_bytes());
}
