//! Rust sources as the rules see them: text, code without comments and literals, and the paths that code names.

use std::fs;
use std::path::Path;

/// One file.
pub struct Source {
    /// Relative to the repository, with `/`.
    pub path: String,
    /// As it stands.
    pub text: String,
    /// The same with comments and the insides of literals blanked; lines stay where they were.
    pub code: String,
}

/// A path that code names, such as `crate::gate::Request`, and its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Counted from 1.
    pub line: usize,
    /// Its segments.
    pub segments: Vec<String>,
}

impl Source {
    /// A file with this text.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    /// Reads one file below `root`.
    pub fn read(root: &Path, path: &str) -> Self {
        let text = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::new(path, &text)
    }

    /// Whether it is compiled for tests alone.
    pub fn is_test(&self) -> bool {
        !self.path.starts_with("src/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The room it belongs to: `src/proxy/head.rs` to `proxy`.
    pub fn room(&self) -> Option<&str> {
        let inner = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        Some(inner.split_once('/').map_or(inner, |(room, _)| room))
    }

    /// Every path of two segments or more that its code names, `use` trees written out.
    pub fn paths(&self) -> Vec<Named> {
        let (uses, rest) = split_uses(&self.code);
        let mut found = Vec::new();
        for (line, tree) in uses {
            expand(&[], &tree, &mut |segments| found.push(Named { line, segments }));
        }
        for (index, line) in rest.lines().enumerate() {
            found.extend(inline(line).map(|segments| Named { line: index + 1, segments }));
        }
        found
    }
}

/// Every file below `root/directory` whose path `wanted` accepts, in order.
pub fn walk(root: &Path, directory: &str, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join(directory)) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.expect("a directory entry");
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("a file type").is_dir() {
            found.extend(walk(root, &path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Blanks comments and the insides of string and character literals.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none does.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => seek(chars, at, |rest| rest[0] == '\n'),
        '/' if next == Some('*') => block_comment_end(chars, at),
        '"' => quoted_end(chars, at + 1, '"'),
        // A lifetime has no closing quote where a character would have it.
        '\'' if next == Some('\\') || chars.get(at + 2) == Some(&'\'') => quoted_end(chars, at + 1, '\''),
        'r' if !continues_word(chars, at) => raw_string_end(chars, at),
        _ => at,
    }
}

/// Is the character before `at` part of a word? The `b` and `c` of `br"…"` and `cr"…"` are not.
fn continues_word(chars: &[char], at: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    match at.checked_sub(1).map(|before| chars[before]) {
        Some('b' | 'c') => at >= 2 && word(chars[at - 2]),
        Some(before) => word(before),
        None => false,
    }
}

fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    (seek(chars, at + 2 + hashes, |rest| rest.starts_with(&close)) + close.len()).min(chars.len())
}

fn quoted_end(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn block_comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        let step = match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (1, 2),
            ('*', Some('/')) => (-1, 2),
            _ => (0, 1),
        };
        depth += step.0;
        at += step.1;
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

fn seek(chars: &[char], from: usize, stop: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|&at| stop(&chars[at..])).unwrap_or(chars.len())
}

/// Takes the `use` items out of `code`: each tree with its line, and what is left.
fn split_uses(code: &str) -> (Vec<(usize, String)>, String) {
    let mut uses = Vec::new();
    let mut rest = String::with_capacity(code.len());
    let mut at = 0;
    while let Some(found) = code[at..].find("use ").map(|found| at + found) {
        let before = code[..found].trim_end();
        // An item, and not the end of another word or the `use<'a>` of a bound.
        let item =
            before.is_empty() || before.ends_with([';', '{', '}', ']', ')']) || before.ends_with("pub");
        let boundary = !code[..found].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let end = code[found..].find(';').map(|end| found + end);
        rest.push_str(&code[at..found]);
        if let (true, true, Some(end)) = (item, boundary, end) {
            let line = code[..found].matches('\n').count() + 1;
            uses.push((line, code[found + 4..end].split_whitespace().collect::<Vec<_>>().join(" ")));
            rest.extend(code[found..end].chars().filter(|&c| c == '\n'));
            at = end;
        } else {
            rest.push_str("use ");
            at = found + 4;
        }
    }
    rest.push_str(&code[at..]);
    (uses, rest)
}

/// Writes a `use` tree out: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(prefix: &[String], tree: &str, each: &mut dyn FnMut(Vec<String>)) {
    let mut path = prefix.to_vec();
    let (head, group) = match tree.split_once('{') {
        Some((head, group)) => (head, Some(group.trim().strip_suffix('}').unwrap_or(group))),
        None => (tree.split(" as ").next().unwrap_or(tree), None),
    };
    path.extend(head.split("::").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned));
    let Some(group) = group else {
        return each(path);
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = group[start..at].trim();
                if !part.is_empty() {
                    expand(&path, part, each);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths of two segments or more in a line outside `use` items.
fn inline(line: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .map(|path| path.split("::").filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>())
        .filter(|segments| segments.len() > 1)
}

#[test]
fn literals_and_comments_are_no_code() {
    let check = |text: &str, want: &str| {
        let code = blank(text);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), want, "{text}");
        assert_eq!(code.lines().count(), text.lines().count(), "lines of {text}");
    };
    check("a // b\nc", "a c");
    check("a /* b /* c */ d */ e", "a e");
    check("/// [`crate::x`]\nfn f() {}", "fn f() {}");
    check(r#"f("b \" c", d)"#, "f( , d)");
    check("f(r#\"a \" b\"#, br\"c\\\", d)", "f( , b , d)");
    check("let r#type = barr;", "let r#type = barr;");
    check("f('\"', '\\'', 'a', &'a str)", "f( , , , &'a str)");
    check("x<'a, 'b>('{')", "x<'a, 'b>( )");
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let check = |text: &str, want: &[&str]| {
        let found: Vec<String> =
            Source::new("src/x.rs", text).paths().iter().map(|p| p.segments.join("::")).collect();
        assert_eq!(found, want, "{text}");
    };
    check("use crate::a::B;", &["crate::a::B"]);
    check("pub(crate) use a::{self, b::{C, D as E}, f::*,};", &["a::self", "a::b::C", "a::b::D", "a::f::*"]);
    check("use std::{fs,\n net::TcpStream};", &["std::fs", "std::net::TcpStream"]);
    check("fn f() { crate::a::g(); }", &["crate::a::g"]);
    check("#[test]\nuse a::b;\nlet x: ::c::d = 1;", &["a::b", "c::d"]);
    check("impl A + use<'a> {} // use a::b;", &[]);
    check("reuse a::b;", &["a::b"]);
    check("f(Instant::now(), \"e::f\")", &["Instant::now"]);
    assert_eq!(
        Source::new("src/x.rs", "\n\nuse a::b;\nc::d();").paths().iter().map(|p| p.line).collect::<Vec<_>>(),
        [3, 4]
    );
}
