//! Reading a mapping against its shape: every key known, every required one there, every value of its kind.
//!
//! A reader of a section opens [`Fields`] and asks for its keys by name. Defaults, bounds and the list of known
//! keys come from [`crate::config::shape::table`], so that they cannot differ from the schema's. Whatever is
//! wrong goes to the [`Report`], and the reader goes on with a default: nothing is built from it in the end.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::config::decode::report::Report;
use crate::config::decode::secret;
use crate::config::decode::value::Value;
use crate::config::problems::{Position, Problem, closest, quoted};
use crate::config::raw::{Content, Entry};
use crate::config::shape::{Absent, Given, Key, Mapping, Takes};

/// One mapping of the file.
pub(crate) struct Fields<'a> {
    /// Where it stands, for what is missing in it.
    pub(crate) at: Position,
    /// Where problems go.
    pub(crate) report: &'a Report<'a>,
    shape: &'static Mapping,
    entries: &'a [Entry],
}

/// An enumeration that the file writes as words.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Every word and what it stands for.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for it.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| *word)
    }
}

impl<'a> Fields<'a> {
    /// Opens a mapping; `None` after saying that it is none.
    pub(crate) fn open(value: Value<'a>, shape: &'static Mapping) -> Option<Self> {
        let Content::Mapping(entries) = &value.node.content else {
            let what = format!("{} is a mapping, not {}", shape.name, value.node.kind());
            if secret::suggests_secret(value.key()) {
                value.report.hide(value.node);
            }
            value.problem_with_hint(what, format!("its keys are {}", names(shape)));
            return None;
        };
        let fields = Self { at: value.at(), report: value.report, shape, entries };
        let excused = fields.check_known();
        fields.check_complete(&excused);
        Some(fields)
    }

    /// A mapping of this shape that is not given, in another that is: every default.
    pub(crate) fn empty(within: &Self, shape: &'static Mapping) -> Self {
        Self { at: within.at, report: within.report, shape, entries: &[] }
    }

    /// The same, blamed at another place.
    pub(crate) fn empty_at(within: &Self, shape: &'static Mapping, at: Position) -> Self {
        Self { at, report: within.report, shape, entries: &[] }
    }

    /// Whether it has no entries at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of a key that is given, even without a value.
    pub(crate) fn entry(&self, name: &str) -> Option<&'a Entry> {
        debug_assert!(self.shape.key(name).is_some(), "{} has no key {name}", self.shape.id);
        self.entries.iter().find(|entry| &*entry.key == name)
    }

    /// The value of a key that is given.
    pub(crate) fn value(&self, name: &str) -> Option<Value<'a>> {
        let entry = self.entry(name)?;
        let value = Value::of(entry, self.report);
        if entry.value.is_null() {
            let problem = Problem::new(entry.at, format!("{} has no value", value.name()));
            self.report.problem(problem.hint("give one, or leave the key out"));
            return None;
        }
        Some(value)
    }

    /// A flag. One whose name begins with `dangerous_` warns when it is set.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let flag = self.value(name).and_then(Value::flag).unwrap_or_else(|| self.default(name).flag());
        if let (true, Some(entry)) = (flag && name.starts_with("dangerous_"), self.entry(name)) {
            let what = self.shape.key(name).map_or("", |key| key.what);
            self.report.warning(Problem::new(entry.at, format!("`{name}` is set")).hint(what));
        }
        flag
    }

    /// A whole number.
    pub(crate) fn whole(&self, name: &str) -> u64 {
        let Takes::Whole(min, max) = self.takes(name) else { return self.default(name).number() };
        self.value(name)
            .and_then(|value| value.whole(min, max))
            .unwrap_or_else(|| self.default(name).number())
    }

    /// A size in octets.
    pub(crate) fn size(&self, name: &str) -> u64 {
        let Takes::Size(min, max) = self.takes(name) else { return self.default(name).number() };
        self.value(name).and_then(|value| value.size(min, max)).unwrap_or_else(|| self.default(name).number())
    }

    /// A duration.
    pub(crate) fn duration(&self, name: &str) -> Duration {
        let Takes::Duration(min, max) = self.takes(name) else { return self.default(name).duration() };
        let given = self.value(name).and_then(|value| value.duration(min, max));
        given.unwrap_or_else(|| self.default(name).duration())
    }

    /// How long a token lives, if it is given.
    pub(crate) fn span(&self, name: &str) -> Option<Duration> {
        let Takes::Span(min, max) = self.takes(name) else { return None };
        self.value(name)?.span(min, max)
    }

    /// One of the words that stand for a `T`.
    pub(crate) fn choice<T: Word + Default>(&self, name: &str) -> T {
        self.word_of(name)
            .and_then(|word| T::WORDS.iter().find(|(known, _)| *known == word))
            .map_or_else(T::default, |(_, value)| *value)
    }

    /// One of the words that the key takes; its default if it is not given.
    pub(crate) fn word_of(&self, name: &str) -> Option<&'static str> {
        let Takes::Word { now, later } = self.takes(name) else { return None };
        match self.value(name) {
            Some(value) => value.choice(now, later).and_then(|index| now.get(index).copied()),
            None => self.default(name).words().first().copied(),
        }
    }

    /// A path, made absolute by the configuration's directory.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).and_then(path)
    }

    /// The one key of these that is given, which must be exactly one.
    pub(crate) fn one_of(&self, names: &[&'static str]) -> Option<(&'static str, Value<'a>)> {
        let mut given = names.iter().filter_map(|name| Some((*name, self.entry(name)?)));
        let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let Some((name, _)) = given.next() else {
            if !self.entries.iter().any(|entry| self.shape.key(&entry.key).is_none()) {
                let what = format!("{} wants one of {list}", self.shape.name);
                self.report.problem(Problem::new(self.at, what));
            }
            return None;
        };
        if let Some((second, entry)) = given.next() {
            let what = format!("{} has both `{name}` and `{second}`", self.shape.name);
            self.report.problem(Problem::new(entry.at, what).hint(format!("keep one of {list}")));
            return None;
        }
        Some((name, self.value(name)?))
    }

    /// What stands for a key that is not given.
    pub(crate) fn default(&self, name: &str) -> Given {
        match self.shape.key(name).map(|key| key.absent) {
            Some(Absent::Is(given)) => given,
            Some(Absent::Refused | Absent::Means(_)) | None => Given::Words(&[]),
        }
    }

    fn takes(&self, name: &str) -> Takes {
        self.shape.key(name).map_or(Takes::Flag, |key| key.takes)
    }

    /// Refuses keys that are not of this mapping. Answers which required keys need not be missed: those that a
    /// misspelt key was probably meant to be.
    fn check_known(&self) -> Vec<&'static str> {
        let mut excused = Vec::new();
        for entry in self.entries {
            match self.shape.key(&entry.key) {
                Some(Key { takes: Takes::Secret(_), .. }) => secret::hide(&entry.value, self.report),
                Some(_) => {}
                None if self.shape.is_open() && self.is_own(entry) => {}
                None => {
                    if HOLD_KEYS.contains(&self.shape.id) {
                        self.report.hide(&entry.value);
                    } else {
                        secret::hide_suspicious(entry, self.report);
                    }
                    self.refuse(entry, &mut excused);
                }
            }
        }
        excused
    }

    /// Whether a key of an open mapping is the operator's own, and none of ours misspelt.
    fn is_own(&self, entry: &Entry) -> bool {
        closest(&entry.key, self.shape.keys.iter().map(|key| key.name)).is_none()
    }

    /// What an open mapping has beside its keys.
    pub(crate) fn attributes(&self) -> Map<String, Json> {
        let others = self.entries.iter().filter(|entry| self.shape.key(&entry.key).is_none());
        others.map(|entry| (entry.key.to_string(), entry.value.to_json())).collect()
    }

    fn refuse(&self, entry: &Entry, excused: &mut Vec<&'static str>) {
        let shown = quoted(&entry.key);
        if self.shape.later.contains(&&*entry.key) {
            excused.extend(self.shape.keys.iter().map(|key| key.name));
            self.report.problem(Problem::new(entry.at, format!("{shown} is not in this version")));
            return;
        }
        let known = self.shape.keys.iter().map(|key| key.name);
        let inner = self
            .shape
            .keys
            .iter()
            .find(|key| key.takes.mappings().iter().any(|mapping| mapping.key(&entry.key).is_some()));
        let hint = if let Some(inner) = inner {
            excused.push(inner.name);
            format!("{shown} belongs in `{}`", inner.name)
        } else if let Some(near) = closest(&entry.key, known.chain(self.shape.later.iter().copied())) {
            excused.extend(self.shape.key(near).map(|key| key.name));
            format!("did you mean `{near}`?")
        } else {
            format!("its keys are {}", names(self.shape))
        };
        let what = format!("unknown key {shown} in {}", self.shape.name);
        self.report.problem(Problem::new(entry.at, what).hint(hint));
    }

    fn check_complete(&self, excused: &[&str]) {
        for key in self.shape.keys.iter().filter(|key| matches!(key.absent, Absent::Refused)) {
            let given = self.entries.iter().any(|entry| &*entry.key == key.name);
            if !given && !excused.contains(&key.name) {
                let what = format!("missing key `{}` in {}", key.name, self.shape.name);
                self.report
                    .problem(Problem::new(self.at, what).hint(format!("`{}`: {}", key.name, key.what)));
            }
        }
    }
}

/// Reads one of the words that stand for a `T`.
pub(crate) fn word<T: Word>(value: Value<'_>) -> Option<T> {
    let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
    let index = value.choice(&words, &[])?;
    T::WORDS.get(index).map(|(_, value)| *value)
}

/// Reads a path, made absolute by the configuration's directory.
pub(crate) fn path(value: Value<'_>) -> Option<PathBuf> {
    let written = value.word()?;
    Some(value.report.context.directory.join(&*written))
}

impl Given {
    /// The flag.
    pub(crate) fn flag(self) -> bool {
        matches!(self, Self::Flag(true))
    }
    /// The number or size.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Whole(number) | Self::Size(number) => number,
            Self::Flag(_) | Self::Duration(_) | Self::Word(_) | Self::Words(_) => 0,
        }
    }
    /// The duration.
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Duration(duration) => duration,
            Self::Flag(_) | Self::Whole(_) | Self::Size(_) | Self::Word(_) | Self::Words(_) => Duration::ZERO,
        }
    }
    /// The words.
    pub(crate) fn words(self) -> Vec<&'static str> {
        match self {
            Self::Word(word) => vec![word],
            Self::Words(words) => words.to_vec(),
            Self::Flag(_) | Self::Whole(_) | Self::Size(_) | Self::Duration(_) => Vec::new(),
        }
    }
}

fn names(shape: &Mapping) -> String {
    shape.keys.iter().map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ")
}

/// The mappings that hold keys: what stands under a misspelt name in them may be one.
const HOLD_KEYS: [&str; 3] = ["keys", "jwks", "pem"];
