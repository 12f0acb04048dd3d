//! `streams` of a route: what its long streams do when their token dies.

use crate::config::decode::fields::Fields;
use crate::config::decode::value::{Text, Value};
use crate::config::defaults as d;
use crate::config::problems::{Problem, Wrong, quoted};
use crate::config::raw::Entry;
use crate::config::shape::route;
use crate::config::streams::{Literal, Member, Reauthenticate, Streams, Warning};
use crate::token::claims::Selector;

/// Reads `streams`.
pub(crate) fn streams(value: Value<'_>) -> Option<Streams> {
    let fields = Fields::open(value, &route::STREAMS)?;
    Some(Streams {
        close: close(&fields),
        grace: fields.duration("grace"),
        warning: fields.value("warning").and_then(warning),
        reauthenticate: fields.value("reauthenticate").and_then(reauthenticate),
    })
}

/// The codes that say what happened and that an endpoint may send (RFC 6455 section 7.4.2): the rest stands for
/// something else, or for nothing at all.
fn close(fields: &Fields<'_>) -> u16 {
    let given = fields.whole("close");
    match u16::try_from(given) {
        Ok(code @ (d::POLICY_VIOLATION | d::PRIVATE_CLOSE_FIRST..=d::PRIVATE_CLOSE_LAST)) => code,
        Ok(_) | Err(_) => {
            if let Some(value) = fields.value("close") {
                value.problem_with_hint(
                    format!("{}: `{given}` is no close code that a gateway may choose", value.name()),
                    "write `1008`, or one from `4000` to `4999` (RFC 6455 section 7.4)",
                );
            }
            d::STREAM_CLOSE
        }
    }
}

fn warning(value: Value<'_>) -> Option<Warning> {
    if value.is_scalar() {
        return value.read(message).map(|message| Warning { before: d::STREAM_WARNING, message });
    }
    let fields = Fields::open(value, &route::WARNING)?;
    let before = fields.duration("before");
    Some(Warning { before, message: fields.value("message")?.read(message)? })
}

fn message(text: &str) -> Result<Box<str>, Wrong> {
    match text.len() {
        0 => Err(Wrong::is("is empty").hint("write what a client is to read, or leave `warning` out")),
        1..=d::WARNING_MESSAGE => Ok(text.into()),
        _ => Err(Wrong::is("is longer than 1KiB")),
    }
}

fn reauthenticate(value: Value<'_>) -> Option<Reauthenticate> {
    let fields = Fields::open(value, &route::REAUTHENTICATE)?;
    let token = fields.value("token").and_then(|value| value.read(place));
    let when = fields.value("when").map(when).unwrap_or_default();
    Some(Reauthenticate { token: token?, when })
}

fn when(value: Value<'_>) -> Vec<Member> {
    let entries = value.named("/event: access_token");
    if value.node.is_empty() {
        value.problem_with_hint("`when` is empty", "name a member, or leave the key out");
    }
    if let Some(entry) = entries.get(d::REAUTHENTICATE_WHEN) {
        let what = format!("more than {} members", d::REAUTHENTICATE_WHEN);
        value.report.problem(Problem::new(entry.at, what));
    }
    entries.iter().take(d::REAUTHENTICATE_WHEN).filter_map(|entry| member(entry, value)).collect()
}

fn member(entry: &Entry, within: Value<'_>) -> Option<Member> {
    let selector = place(&entry.key)
        .map_err(|wrong| {
            let problem = Problem::new(entry.at, format!("{} {}", quoted(&entry.key), wrong.what));
            within.report.problem(Problem { hint: wrong.hint, ..problem });
        })
        .ok()?;
    let value = literal(&Value::of(entry, within.report).text()?);
    Some(Member { name: Box::from(&*entry.key), selector, value })
}

/// One place in a message.
fn place(text: &str) -> Result<Selector, Wrong> {
    Selector::parse(&[text]).ok_or_else(|| {
        Wrong::is("names no member")
            .hint("write a member's name, or a pointer such as `/payload/access_token` (RFC 6901)")
    })
}

/// Quotes make a text of what would be a number or a boolean.
fn literal(text: &Text<'_>) -> Literal {
    match (&*text.text, text.plain) {
        ("true", true) => Literal::Flag(true),
        ("false", true) => Literal::Flag(false),
        (digits, true) if is_whole(digits) => {
            digits.parse().map_or_else(|_| Literal::Text(digits.into()), Literal::Whole)
        }
        (text, _) => Literal::Text(text.into()),
    }
}

/// Digits as JSON writes them (RFC 8259 section 6).
fn is_whole(text: &str) -> bool {
    text == "0"
        || !text.starts_with('0') && !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}
