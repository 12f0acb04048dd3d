//! YAML as written: nodes with places, scalars untyped. All knowledge of YAML lives here.
//!
//! YAML 1.2 in the core schema, narrowed to what a configuration needs: one document, no tags, no directives,
//! no merge keys. Every cost is bounded before it is paid (threats K7): octets, nodes, depth, and what aliases
//! expand to.
//!
//! Why not serde: a scalar is to be taken as written where a word is expected (`issuer: 123` is the text
//! `123`), every problem is to be reported and not the first, and a value's place is needed long after it was
//! read. A tree of events gives all three in fewer lines than working around a typed deserializer.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, StructureStyle};
use serde_json::{Map, Number, Value};

use crate::config::defaults::{YAML_ALIASED_NODES, YAML_DEPTH, YAML_NODES, YAML_OCTETS};
use crate::config::problems::{Position, Problem};

#[cfg(test)]
mod tests;

/// What [`parse`] made of a text.
#[derive(Debug)]
pub struct Document {
    /// The tree; absent if the text is no YAML document within the bounds.
    pub root: Option<Node>,
    /// Everything that is wrong with the text as YAML, duplicate keys among it.
    pub problems: Vec<Problem>,
    /// Octets that belong to no node of the tree (values of duplicate keys): a snippet must not show them, as
    /// nobody can say whether they are secret.
    pub dropped: Vec<Span>,
}

/// Octets of the text, from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say all")]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// One node. Cloning is cheap.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// The octets it covers.
    pub span: Span,
    /// What it is.
    pub content: Content,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    Sequence(Arc<[Node]>),
    /// Entries in file order, no two of the same key.
    Mapping(Arc<[Entry]>),
}

/// A scalar as written, after unescaping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Its text.
    pub text: Arc<str>,
    /// Neither quoted nor a block: `true`, `null` and numbers are themselves only when plain.
    pub plain: bool,
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text.
    pub key: Arc<str>,
    /// Where the key begins.
    pub at: Position,
    /// The octets of the key.
    pub span: Span,
    /// The value.
    pub value: Node,
}

/// Reads one YAML document. Never fails as a whole: what is wrong is in [`Document::problems`].
pub fn parse(text: &str) -> Document {
    if let Err(problem) = check_characters(text) {
        return Document { root: None, problems: vec![problem], dropped: Vec::new() };
    }
    let mut builder = Builder::default();
    let outcome = builder.read(text);
    let Builder { root, mut problems, dropped, .. } = builder;
    let root = match outcome {
        Ok(()) => root,
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    Document { root, problems, dropped }
}

impl Node {
    /// An absent value: nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar(scalar) => {
                scalar.plain && matches!(&*scalar.text, "" | "~" | "null" | "Null" | "NULL")
            }
            Content::Sequence(_) | Content::Mapping(_) => false,
        }
    }

    /// A mapping or a list without entries.
    pub fn is_empty(&self) -> bool {
        match &self.content {
            Content::Scalar(_) => false,
            Content::Sequence(items) => items.is_empty(),
            Content::Mapping(entries) => entries.is_empty(),
        }
    }

    /// The entry of this key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| &*entry.key == key),
            Content::Scalar(_) | Content::Sequence(_) => None,
        }
    }

    /// The entries of a mapping; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            Content::Scalar(_) | Content::Sequence(_) => &[],
        }
    }

    /// The scalars of a list, or the one that this is.
    pub fn scalars(&self) -> Vec<String> {
        match &self.content {
            Content::Scalar(scalar) => vec![scalar.text.to_string()],
            Content::Sequence(items) => items.iter().flat_map(Self::scalar).collect(),
            Content::Mapping(_) => Vec::new(),
        }
    }

    fn scalar(&self) -> Option<String> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar.text.to_string()),
            Content::Sequence(_) | Content::Mapping(_) => None,
        }
    }

    /// What it is, for a message.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(_) if self.is_null() => "nothing",
            Content::Scalar(_) => "a single value",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// The same in JSON's types, plain scalars resolved by the core schema (YAML 1.2.2 section 10.3) with
    /// `true` and `false` as the only booleans.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(_) if self.is_null() => Value::Null,
            Content::Scalar(scalar) => scalar.to_json(),
            Content::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Mapping(entries) => {
                let members = entries.iter().map(|entry| (entry.key.to_string(), entry.value.to_json()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// Adds the octets of every scalar in this node, keys included.
    pub fn scalar_spans(&self, spans: &mut Vec<Span>) {
        match &self.content {
            Content::Scalar(_) => spans.push(self.span),
            Content::Sequence(items) => items.iter().for_each(|item| item.scalar_spans(spans)),
            Content::Mapping(entries) => {
                for entry in entries.iter() {
                    spans.push(entry.span);
                    entry.value.scalar_spans(spans);
                }
            }
        }
    }
}

impl Scalar {
    fn to_json(&self) -> Value {
        let text = &*self.text;
        let string = || Value::String(text.to_owned());
        if !self.plain {
            return string();
        }
        match text {
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            _ => {}
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return string();
        }
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        if let Ok(whole) = unsigned.parse::<i64>() {
            return Value::from(whole);
        }
        if let Some(hex) = text.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            return Value::from(hex);
        }
        let real = unsigned.parse::<f64>().ok().filter(|real| real.is_finite());
        real.and_then(Number::from_f64).map_or_else(string, Value::Number)
    }
}

/// The tree under construction. Iterative, so that depth costs no stack.
#[derive(Default)]
struct Builder {
    root: Option<Node>,
    problems: Vec<Problem>,
    dropped: Vec<Span>,
    frames: Vec<Frame>,
    anchors: HashMap<usize, (Node, u64)>,
    nodes: usize,
    aliased: u64,
    documents: usize,
}

/// An open collection.
struct Frame {
    at: Position,
    start: usize,
    flow: bool,
    anchor: usize,
    /// How many nodes it expands to so far, aliases followed.
    weight: u64,
    kind: FrameKind,
}

enum FrameKind {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<Node> },
}

impl Builder {
    fn read(&mut self, text: &str) -> Result<(), Problem> {
        let options = granit_parser::options! {
            disallow_directives: true,
            flow_nesting_limit: YAML_DEPTH + 1,
            block_nesting_limit: YAML_DEPTH + 1,
            simple_key_max_lookahead: KEY_LOOKAHEAD,
        };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| explain(&error))?;
            let at = position(span.start.line(), span.start.col());
            let range = span.byte_range().unwrap_or_default();
            let span = Span { start: range.start, end: range.end };
            if !self.take(event, at, span)? {
                break;
            }
        }
        Ok(())
    }

    /// Takes one event; false ends the reading.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum that may grow; what is new is refused"
    )]
    fn take(&mut self, event: Event<'_>, at: Position, span: Span) -> Result<bool, Problem> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.problems.push(
                        Problem::new(at, "a second document begins here")
                            .hint("keep one document in a file; leave out `---` and `...`"),
                    );
                    return Ok(false);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                let scalar = Scalar { text: Arc::from(&*text), plain: style == ScalarStyle::Plain };
                let weight = 1 + text.len() as u64 / OCTETS_A_NODE;
                self.finish(Node { at, span, content: Content::Scalar(scalar) }, anchor, weight)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.open(at, span, style, anchor, FrameKind::Sequence(Vec::new()))?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.open(at, span, style, anchor, FrameKind::Mapping { entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
            Event::Alias(anchor) => self.alias(anchor, at)?,
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            // The remaining events are options that are off, or unknown to this version.
            _ => return Err(Problem::new(at, "YAML that is not understood here")),
        }
        Ok(true)
    }

    fn open(
        &mut self,
        at: Position,
        span: Span,
        style: StructureStyle,
        anchor: usize,
        kind: FrameKind,
    ) -> Result<(), Problem> {
        if self.frames.len() >= YAML_DEPTH {
            return Err(too_deep(at));
        }
        let flow = style == StructureStyle::Flow;
        self.frames.push(Frame { at, start: span.start, flow, anchor, weight: 1, kind });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Problem> {
        let Some(Frame { at, start, flow, anchor, weight, kind }) = self.frames.pop() else {
            return Ok(());
        };
        let (content, last) = match kind {
            FrameKind::Sequence(items) => {
                let last = items.last().map(|item| item.span.end);
                (Content::Sequence(items.into()), last)
            }
            FrameKind::Mapping { entries, .. } => {
                let last = entries.last().map(|entry| entry.value.span.end);
                (Content::Mapping(self.unique(entries).into()), last)
            }
        };
        // A block collection ends where its last child does; the event stands at the next token.
        let end = if flow { span.end } else { last.unwrap_or(start) };
        self.finish(Node { at, span: Span { start, end }, content }, anchor, weight)
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Problem> {
        let Some((node, weight)) = self.anchors.get(&anchor).cloned() else {
            return Err(Problem::new(at, "an alias inside what it stands for"));
        };
        self.aliased = self.aliased.saturating_add(weight);
        if self.aliased > YAML_ALIASED_NODES {
            return Err(Problem::new(at, format!("aliases expand to more than {YAML_ALIASED_NODES} nodes")));
        }
        self.finish(node, 0, weight)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, weight: u64) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > YAML_NODES {
            return Err(Problem::new(node.at, format!("more than {YAML_NODES} values in one file")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight = frame.weight.saturating_add(weight);
        match &mut frame.kind {
            FrameKind::Sequence(items) => items.push(node),
            FrameKind::Mapping { entries, key } => match key.take() {
                None => *key = Some(node),
                Some(Node { at, span, content: Content::Scalar(scalar) }) => {
                    if scalar.plain && &*scalar.text == "<<" {
                        self.problems.push(
                            Problem::new(at, "a merge key: `<<` is not part of YAML 1.2")
                                .hint("write the members out, or use an alias for a whole value"),
                        );
                        node.scalar_spans(&mut self.dropped);
                    } else {
                        entries.push(Entry { key: scalar.text, at, span, value: node });
                    }
                }
                Some(key) => {
                    self.problems
                        .push(Problem::new(key.at, format!("a key must be a word, not {}", key.kind())));
                    key.scalar_spans(&mut self.dropped);
                    node.scalar_spans(&mut self.dropped);
                }
            },
        }
        Ok(())
    }

    /// The entries without those whose key was given before, which are reported. The message does not name
    /// the key: it might be a secret in the wrong place.
    fn unique(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut seen: HashMap<Arc<str>, u32> = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            match seen.get(&entry.key) {
                Some(line) => {
                    self.problems.push(
                        Problem::new(entry.at, "a duplicate key").hint(format!("line {line} has it already")),
                    );
                    entry.value.scalar_spans(&mut self.dropped);
                }
                None => {
                    seen.insert(Arc::clone(&entry.key), entry.at.line);
                    kept.push(entry);
                }
            }
        }
        kept
    }

    fn refuse_tag(&mut self, tagged: bool, at: Position) {
        if tagged {
            let problem = Problem::new(at, "a tag (`!…`) has no meaning here");
            self.problems.push(problem.hint("leave it out; a quoted value is always text"));
        }
    }
}

/// Refuses what no editor writes and no reader sees, before any of it is parsed.
fn check_characters(text: &str) -> Result<(), Problem> {
    let start = Position { line: 1, column: 1 };
    if text.len() > YAML_OCTETS {
        return Err(Problem::new(start, format!("the file is larger than {YAML_OCTETS} bytes")));
    }
    if text.starts_with('\u{feff}') {
        let problem = Problem::new(start, "the file begins with a byte order mark");
        return Err(problem.hint("save it as UTF-8 without a byte order mark"));
    }
    for (index, c) in text.char_indices() {
        let crlf = c == '\r' && text.as_bytes().get(index + 1) == Some(&b'\n');
        // YAML 1.2.2 section 5.1, without the two Unicode line breaks that YAML itself no longer counts.
        let allowed = matches!(c, '\n' | '\t' | ' '..='~') || crlf || (c > '\u{9f}' && c != '\u{feff}');
        if !allowed {
            let line = text[..index].matches('\n').count() as u32 + 1;
            let column = text[..index].chars().rev().take_while(|c| *c != '\n').count() as u32 + 1;
            let what = format!("a control character (U+{:04X})", u32::from(c));
            return Err(
                Problem::new(Position { line, column }, what).hint("remove it, or write it as an escape")
            );
        }
    }
    Ok(())
}

fn explain(error: &ScanError) -> Problem {
    let at = position(error.marker().line(), error.marker().col());
    let what = format!("this is not YAML: {}", error.info());
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; every other kind explains itself")]
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            Problem::new(at, "a tab where YAML wants spaces").hint("indent with spaces")
        }
        ErrorKind::RecursionLimitExceeded => too_deep(at),
        ErrorKind::UnknownAnchor => Problem::new(at, "an alias (`*…`) of an anchor that does not exist")
            .hint("quote a word that begins with `*`"),
        ErrorKind::DirectiveDisallowed => {
            Problem::new(at, "a directive (`%…`) has no meaning here").hint("leave it out")
        }
        ErrorKind::UnexpectedCharacter { .. } => Problem::new(at, what).hint("quote the word"),
        _ => Problem::new(at, what),
    }
}

fn too_deep(at: Position) -> Problem {
    Problem::new(at, format!("nested more than {YAML_DEPTH} deep"))
}

/// From the parser's lines (from 1) and columns (from 0).
fn position(line: usize, column: usize) -> Position {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: narrow(line.max(1)), column: narrow(column + 1) }
}

/// How many characters a key may have: a route's key is longer than YAML's own limit of 1,024 allows.
const KEY_LOOKAHEAD: usize = 4096;

/// So many octets of a scalar weigh as much as a node, when aliases are counted.
const OCTETS_A_NODE: u64 = 64;
