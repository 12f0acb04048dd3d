//! A stream that goes on under a new token: which of its client's messages brings one, and for whom it has to speak.

#[cfg(test)]
mod tests;

use crate::config::streams::{Literal, Member, Reauthenticate};
use crate::gate::grant::{Grant, Identity};
use crate::token::json::document::{Document, Numeral, Value};
use crate::token::json::{self, Bounds};

/// Bounds of a message that is looked at (threats J18). Its length is bounded by whoever read it.
const MESSAGE: Bounds = Bounds { depth: 32, members: 64, elements: 1024 };

/// The token that a text message brings by this rule; `None` where it is any other message.
///
/// What is not one strict JSON object is none: a message that two parsers could read differently goes on to the
/// upstream, and changes nothing here.
pub fn token(rule: &Reauthenticate, message: &[u8]) -> Option<Box<str>> {
    let document = json::document(message, MESSAGE).ok()?;
    let token = rule.token.find(document.members())?.as_text()?;
    rule.when.iter().all(|member| holds(member, &document)).then(|| token.into())
}

fn holds(member: &Member, document: &Document) -> bool {
    match (member.selector.find(document.members()), &member.value) {
        (Some(Value::Text(there)), Literal::Text(text)) => *there == **text,
        (Some(Value::Bool(there)), Literal::Flag(flag)) => there == *flag,
        (Some(Value::Number(Numeral::Natural(there))), Literal::Whole(number)) => there == *number,
        (
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_))
            | Some(Value::Array(_) | Value::Object(_))
            | None,
            Literal::Text(_) | Literal::Flag(_) | Literal::Whole(_),
        ) => false,
    }
}

/// Whether a stream that was granted for `old` may go on under `new`: both speak for one subject of one issuer. A token
/// without a subject speaks for nobody that could be compared. A stream that began for nobody, since its route only
/// shadowed, may go on as whoever.
pub fn continues(old: &Grant, new: &Grant) -> bool {
    if old.shadow().is_some() {
        return true;
    }
    match (old.identity(), new.identity()) {
        (Identity::Token { issuer: old_issuer, .. }, Identity::Token { issuer: new_issuer, .. }) => {
            let subject = old.identity().subject();
            old_issuer.issuer == new_issuer.issuer && subject.is_some() && subject == new.identity().subject()
        }
        (Identity::Anonymous | Identity::Token { .. }, Identity::Anonymous)
        | (Identity::Anonymous, Identity::Token { .. }) => false,
    }
}
