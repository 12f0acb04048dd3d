//! One value of the file and its name, for messages; and the scalars it may be.

use std::borrow::Cow;
use std::time::Duration;

use crate::config::decode::report::Report;
use crate::config::problems::{Position, Problem, Wrong, closest, quoted};
use crate::config::raw::{Content, Entry, Node};
use crate::config::units;

/// A value that some key or list holds.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    /// The node.
    pub(crate) node: &'a Node,
    /// Where problems go.
    pub(crate) report: &'a Report<'a>,
    name: &'a str,
    place: Position,
}

/// A scalar, its environment variable looked up.
pub(crate) struct Text<'a> {
    /// The text.
    pub(crate) text: Cow<'a, str>,
    /// It may be `true`, or a number: it is not quoted.
    pub(crate) plain: bool,
    variable: Option<&'a str>,
}

impl<'a> Value<'a> {
    /// The value of an entry.
    pub(crate) fn of(entry: &'a Entry, report: &'a Report<'a>) -> Self {
        Self { node: &entry.value, report, name: &entry.key, place: entry.at }
    }

    /// The whole file.
    pub(crate) fn file(root: &'a Node, report: &'a Report<'a>) -> Self {
        Self { node: root, report, name: "file", place: root.at }
    }

    /// What holds it: where to point at for something that is missing in it.
    pub(crate) fn at(self) -> Position {
        self.place
    }

    /// The key that holds it.
    pub(crate) fn key(self) -> &'a str {
        self.name
    }

    /// Its name, for a message.
    pub(crate) fn name(self) -> String {
        quoted(self.name)
    }

    /// Reports a problem at the value itself.
    pub(crate) fn problem(self, what: impl Into<String>) {
        self.report.problem(Problem::new(self.node.at, what));
    }

    /// Reports a problem at the value itself, with a hint.
    pub(crate) fn problem_with_hint(self, what: impl Into<String>, hint: impl Into<String>) {
        self.report.problem(Problem::new(self.node.at, what).hint(hint));
    }

    /// Whether a scalar stands here, or `{env: …}` for one.
    pub(crate) fn is_scalar(self) -> bool {
        matches!(self.node.content, Content::Scalar(_)) || self.environment().is_some()
    }

    /// The values of a list; a single value is a list of one.
    pub(crate) fn list(self) -> Vec<Self> {
        match &self.node.content {
            Content::Sequence(items) => {
                items.iter().map(|node| Self { node, place: node.at, ..self }).collect()
            }
            Content::Scalar(_) | Content::Mapping(_) => vec![self],
        }
    }

    /// The same, where no value at all is a mistake.
    pub(crate) fn some(self) -> Vec<Self> {
        let list = self.list();
        if list.is_empty() {
            self.problem_with_hint(
                format!("{} is an empty list", self.name()),
                "name at least one, or leave the key out",
            );
        }
        list
    }

    /// The entries of a mapping whose keys are the operator's.
    pub(crate) fn named(self, example: &str) -> &'a [Entry] {
        match &self.node.content {
            Content::Mapping(entries) => entries,
            Content::Scalar(_) | Content::Sequence(_) => {
                let what = format!("{} is a mapping, not {}", self.name(), self.node.kind());
                self.problem_with_hint(what, format!("write `{example}`"));
                &[]
            }
        }
    }

    /// The scalar; `None` after saying why not.
    pub(crate) fn text(self) -> Option<Text<'a>> {
        if let Some((variable, default)) = self.environment() {
            return self.look_up(variable, default);
        }
        match &self.node.content {
            Content::Scalar(scalar) if !self.node.is_null() => {
                Some(Text { text: Cow::Borrowed(&scalar.text), plain: scalar.plain, variable: None })
            }
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) => {
                self.problem(format!("{} wants a single value, not {}", self.name(), self.node.kind()));
                None
            }
        }
    }

    /// The scalar as `read` understands it; `None` after saying why not.
    pub(crate) fn read<T>(self, read: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let text = self.text()?;
        read(&text.text).map_err(|wrong| self.wrong(&text, wrong)).ok()
    }

    /// The scalar as written; not empty.
    pub(crate) fn word(self) -> Option<Box<str>> {
        self.read(|text| if text.is_empty() { Err(Wrong::is("is empty")) } else { Ok(text.into()) })
    }

    /// `true` or `false`, not quoted.
    pub(crate) fn flag(self) -> Option<bool> {
        let text = self.text()?;
        match (&*text.text, text.plain) {
            ("true", true) => Some(true),
            ("false", true) => Some(false),
            _ => {
                self.wrong(
                    &text,
                    Wrong::is("is neither `true` nor `false`")
                        .hint("write `true` or `false`, without quotes"),
                );
                None
            }
        }
    }

    /// A whole number in these bounds, not quoted.
    pub(crate) fn whole(self, min: u64, max: u64) -> Option<u64> {
        let text = self.text()?;
        let digits = !text.text.is_empty() && text.text.bytes().all(|b| b.is_ascii_digit());
        let Some(number) = text.text.parse::<u64>().ok().filter(|_| digits && text.plain) else {
            self.wrong(&text, Wrong::is("is no whole number").hint("write digits alone"));
            return None;
        };
        self.bounded(&text, number, min, max, u64::to_string)
    }

    /// A duration in these bounds.
    pub(crate) fn duration(self, min: Duration, max: Duration) -> Option<Duration> {
        let text = self.text()?;
        let duration = units::duration(&text.text).map_err(|wrong| self.wrong(&text, wrong)).ok()?;
        self.bounded(&text, duration, min, max, |bound| units::write_duration(*bound))
    }

    /// How long a token lives, in these bounds: a duration, or as other systems write them. A number without a unit
    /// is seconds, and warned of.
    pub(crate) fn span(self, min: Duration, max: Duration) -> Option<Duration> {
        let mut text = self.text()?;
        if let (true, Some((_, Some(Content::Scalar(default))))) = (
            text.text.is_empty(),
            self.environment().map(|(name, node)| (name, node.map(|node| &node.content))),
        ) {
            // A variable that is set to nothing says nothing.
            text = Text { text: Cow::Borrowed(&default.text), plain: default.plain, variable: None };
        }
        let (span, has_unit) = units::span(&text.text).map_err(|wrong| self.wrong(&text, wrong)).ok()?;
        if !has_unit {
            let what = format!("{} has no unit, and is taken for seconds", self.name());
            let hint = format!("write `{}`", units::write_duration(span));
            self.report.warning(Problem::new(self.node.at, what).hint(hint));
        }
        self.bounded(&text, span, min, max, |bound| units::write_duration(*bound))
    }

    /// A size in these bounds.
    pub(crate) fn size(self, min: u64, max: u64) -> Option<u64> {
        let text = self.text()?;
        let size = units::size(&text.text).map_err(|wrong| self.wrong(&text, wrong)).ok()?;
        self.bounded(&text, size, min, max, |bound| units::write_size(*bound))
    }

    /// One of these words, by its place among them.
    pub(crate) fn choice(self, now: &[&str], later: &[&str]) -> Option<usize> {
        let text = self.text()?;
        let found = now.iter().position(|word| *word == text.text);
        if found.is_none() {
            let wrong = if later.contains(&&*text.text) {
                Wrong::is("is not in this version")
            } else {
                none_of(&text.text, now)
            };
            self.wrong(&text, wrong);
        }
        found
    }

    /// Reports what is wrong with the text of this value.
    pub(crate) fn wrong(self, text: &Text<'_>, wrong: Wrong) {
        let shown = match text.variable {
            Some(variable) => format!(": the value of ${variable}"),
            None if wrong.secret => String::new(),
            None => format!(": {}", quoted(&text.text)),
        };
        if wrong.secret {
            self.report.hide(self.node);
        }
        let problem = Problem::new(self.node.at, format!("{}{shown} {}", self.name(), wrong.what));
        self.report.problem(Problem { hint: wrong.hint, ..problem });
    }

    /// Reports what is wrong with a text that stands in this value and was never looked up.
    pub(crate) fn blame(self, text: &str, wrong: Wrong) {
        self.wrong(&Text { text: Cow::Borrowed(text), plain: false, variable: None }, wrong);
    }

    fn bounded<T: PartialOrd>(
        self,
        text: &Text<'_>,
        value: T,
        min: T,
        max: T,
        write: impl Fn(&T) -> String,
    ) -> Option<T> {
        if value < min {
            self.wrong(text, Wrong::is(format!("is less than {}", write(&min))));
            None
        } else if value > max {
            self.wrong(text, Wrong::is(format!("is more than {}", write(&max))));
            None
        } else {
            Some(value)
        }
    }

    /// `{env: NAME, default: value}`: the variable's name and what stands for it when it is not set.
    fn environment(self) -> Option<(&'a Node, Option<&'a Node>)> {
        let Content::Mapping(entries) = &self.node.content else { return None };
        let variable = self.node.get("env")?;
        let alone = entries.iter().all(|entry| matches!(&*entry.key, "env" | "default"));
        alone.then(|| (&variable.value, self.node.get("default").map(|entry| &entry.value)))
    }

    fn look_up(self, variable: &'a Node, default: Option<&'a Node>) -> Option<Text<'a>> {
        let Content::Scalar(name) = &variable.content else {
            self.problem("`env` wants the name of an environment variable");
            return None;
        };
        let name = &*name.text;
        if name.is_empty() || name.contains(['=', '\0']) {
            self.problem(format!("{} is no name of an environment variable", quoted(name)));
            return None;
        }
        if let Some(value) = (self.report.context.env)(name) {
            return Some(Text { text: Cow::Owned(value), plain: true, variable: Some(name) });
        }
        match default.map(|node| &node.content) {
            Some(Content::Scalar(scalar)) => {
                Some(Text { text: Cow::Borrowed(&scalar.text), plain: scalar.plain, variable: None })
            }
            Some(Content::Sequence(_) | Content::Mapping(_)) => {
                self.problem("`default` wants a single value");
                None
            }
            None => {
                let what = format!("{}: the environment variable {} is not set", self.name(), quoted(name));
                self.problem_with_hint(what, "set it, or give a `default`");
                None
            }
        }
    }
}

/// The mistake of naming something that is none of these.
pub(crate) fn none_of(word: &str, known: &[&str]) -> Wrong {
    let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let wrong = Wrong::is(format!("is none of {list}"));
    match closest(word, known.iter().copied()) {
        Some(near) => wrong.hint(format!("did you mean `{near}`?")),
        None => wrong,
    }
}
