//! Checks a compiled expression: what it names, how deep it is, and what it can cost at worst.
//!
//! The bound is static. A variable's list is taken to have [`EXPRESSION_ELEMENTS`] elements, each step of the
//! evaluation counts one, and a loop counts its body once an element. A loop within a loop is refused whatever
//! it would cost: a token's owner chooses both lists.

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, operators};
use regex::RegexBuilder;

use crate::config::defaults::{
    EXPRESSION_COST, EXPRESSION_DEPTH, EXPRESSION_ELEMENTS, EXPRESSION_REGEX_COMPILED, EXPRESSION_REGEX_COST,
    EXPRESSION_REGEX_OCTETS,
};
use crate::config::problems::{closest, quoted};

/// Refuses an expression that names what does not exist, nests too deep or costs too much. The answer is what
/// it costs at worst.
pub(crate) fn check(expression: &IdedExpr) -> Result<u64, String> {
    let mut checker = Checker { bound: Vec::new(), in_loop: false };
    let cost = checker.cost(expression, 0)?;
    if cost > EXPRESSION_COST {
        return Err(format!("it can take {cost} steps, and {EXPRESSION_COST} are allowed"));
    }
    Ok(cost)
}

struct Checker<'e> {
    /// Variables of the loops around.
    bound: Vec<&'e str>,
    in_loop: bool,
}

impl<'e> Checker<'e> {
    fn cost(&mut self, expression: &'e IdedExpr, depth: usize) -> Result<u64, String> {
        if depth > EXPRESSION_DEPTH {
            return Err(format!("it is nested more than {EXPRESSION_DEPTH} deep"));
        }
        let inner = match &expression.expr {
            Expr::Unspecified | Expr::Struct(_) => {
                return Err("it builds a message, and there are none".to_owned());
            }
            Expr::Ident(name) => {
                self.check_variable(name)?;
                0
            }
            Expr::Literal(_) => 0,
            Expr::Select(select) => {
                check_request(&select.operand, &select.field)?;
                self.cost(&select.operand, depth + 1)?
            }
            Expr::List(ListExpr { elements, .. }) => self.sum(elements, depth)?,
            Expr::Map(map) => {
                let mut sum = 0_u64;
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err("it builds a message, and there are none".to_owned());
                    };
                    sum = sum.saturating_add(self.cost(&entry.key, depth + 1)?);
                    sum = sum.saturating_add(self.cost(&entry.value, depth + 1)?);
                }
                sum
            }
            Expr::Call(call) => {
                let mut sum = check_call(call)?;
                if let Some(target) = &call.target {
                    sum = sum.saturating_add(self.cost(target, depth + 1)?);
                }
                sum.saturating_add(self.sum(&call.args, depth)?)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth)?,
        };
        Ok(inner.saturating_add(1))
    }

    fn sum(&mut self, expressions: &'e [IdedExpr], depth: usize) -> Result<u64, String> {
        let mut sum = 0_u64;
        for expression in expressions {
            sum = sum.saturating_add(self.cost(expression, depth + 1)?);
        }
        Ok(sum)
    }

    fn comprehension(&mut self, loop_: &'e ComprehensionExpr, depth: usize) -> Result<u64, String> {
        if self.in_loop {
            return Err("a loop is nested in a loop".to_owned());
        }
        let range = self.cost(&loop_.iter_range, depth + 1)?;
        let init = self.cost(&loop_.accu_init, depth + 1)?;
        let known = self.bound.len();
        self.bound.push(&loop_.accu_var);
        self.bound.push(&loop_.iter_var);
        self.bound.extend(loop_.iter_var2.as_deref());
        self.in_loop = true;
        let body =
            self.cost(&loop_.loop_cond, depth + 1)?.saturating_add(self.cost(&loop_.loop_step, depth + 1)?);
        self.in_loop = false;
        let result = self.cost(&loop_.result, depth + 1)?;
        self.bound.truncate(known);
        let elements = if let Expr::List(list) = &loop_.iter_range.expr {
            list.elements.len() as u64
        } else {
            EXPRESSION_ELEMENTS
        };
        Ok(range.saturating_add(init).saturating_add(result).saturating_add(body.saturating_mul(elements)))
    }

    fn check_variable(&self, name: &str) -> Result<(), String> {
        let name = name.strip_prefix('.').unwrap_or(name);
        if VARIABLES.contains(&name) || TYPES.contains(&name) || self.bound.contains(&name) {
            return Ok(());
        }
        Err(unknown("variable", name, &VARIABLES))
    }
}

/// What a call costs apart from its arguments.
fn check_call(call: &cel::common::ast::CallExpr) -> Result<u64, String> {
    let name = call.func_name.as_str();
    if name == operators::INDEX
        && let [operand, index] = call.args.as_slice()
        && let Some(key) = string(index)
    {
        check_request(operand, key)?;
    }
    if name == operators::IN
        && let [key, operand] = call.args.as_slice()
        && let Some(key) = string(key)
    {
        check_request(operand, key)?;
    }
    if OPERATORS.contains(&name) {
        // Comparing, searching and joining read what they are given, once.
        return Ok(if LINEAR.contains(&name) { LINEAR_COST } else { 0 });
    }
    let functions: &[&str] = if call.target.is_some() { &METHODS } else { &FUNCTIONS };
    if !functions.contains(&name) {
        return Err(unknown("function", name, functions));
    }
    if name == "matches" {
        check_regex(call.args.last().and_then(string))?;
        return Ok(EXPRESSION_REGEX_COST);
    }
    Ok(LINEAR_COST)
}

/// Members of `request` are known, and its headers are in lower case: any other name could never match.
fn check_request(operand: &IdedExpr, member: &str) -> Result<(), String> {
    let is_request = |expr: &Expr| matches!(expr, Expr::Ident(name) if name == "request");
    if is_request(&operand.expr) && !REQUEST.contains(&member) {
        return Err(unknown("member of `request`", member, &REQUEST));
    }
    if let Expr::Select(select) = &operand.expr
        && select.field == "headers"
        && is_request(&select.operand.expr)
        && member.bytes().any(|b| b.is_ascii_uppercase())
    {
        let lower = quoted(&member.to_ascii_lowercase());
        return Err(format!("header names are in lower case: write {lower}"));
    }
    Ok(())
}

/// A regular expression stands in the expression itself, so that it is known at load, and is anchored: one
/// that may match anywhere in a path is how rules are bypassed (threats P2).
fn check_regex(pattern: Option<&str>) -> Result<(), String> {
    let Some(pattern) = pattern else {
        return Err("`matches` wants its regular expression in quotes".to_owned());
    };
    if pattern.len() > EXPRESSION_REGEX_OCTETS {
        return Err(format!("a regular expression is longer than {EXPRESSION_REGEX_OCTETS} bytes"));
    }
    if RegexBuilder::new(pattern).size_limit(EXPRESSION_REGEX_COMPILED).build().is_err() {
        return Err(format!("{} is no regular expression, or one too large", quoted(pattern)));
    }
    if !is_anchored(pattern) {
        return Err(format!(
            "the regular expression {} is not anchored: begin it with `^` and end it with `$`",
            quoted(pattern)
        ));
    }
    Ok(())
}

/// Begins with `^`, ends with `$`, and has no alternative beside the group that they enclose. Flags that would
/// change what `^`, `$` or the rest of the text mean (`m`, `x`, `R`) are refused.
fn is_anchored(pattern: &str) -> bool {
    let flags = |group: &str| {
        group.chars().take_while(|c| c.is_ascii_alphabetic() || *c == '-').any(|c| "mxR".contains(c))
    };
    if pattern.split("(?").skip(1).any(|group| !group.starts_with("P<") && flags(group)) {
        return false;
    }
    let Some(inner) = pattern.strip_prefix('^').and_then(|inner| inner.strip_suffix('$')) else {
        return false;
    };
    let (mut escaped, mut in_class, mut depth) = (false, false, 0_i32);
    for c in inner.chars() {
        if escaped {
            escaped = false;
            continue;
        }
        match c {
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth -= 1,
            '|' if !in_class && depth == 0 => return false,
            _ => {}
        }
    }
    !escaped
}

fn string(expression: &IdedExpr) -> Option<&str> {
    if let Expr::Literal(LiteralValue::String(text)) = &expression.expr { Some(text.inner()) } else { None }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let name = quoted(name);
    match closest(name.trim_matches('`'), known.iter().copied()) {
        Some(near) => format!("there is no {what} {name}; did you mean `{near}`?"),
        None => format!("there is no {what} {name}; there are {}", known.join(", ")),
    }
}

/// config.md section 2.
const VARIABLES: [&str; 3] = ["claims", "request", "now"];

/// config.md section 2.
const REQUEST: [&str; 8] = ["method", "path", "params", "query", "headers", "peer", "tls", "arguments"];

/// Types are values: `type(claims.sub) == string`.
const TYPES: [&str; 11] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "type", "uint"];

/// Called as `f(x)`.
const FUNCTIONS: [&str; 10] =
    ["bool", "bytes", "double", "dyn", "int", "matches", "size", "string", "type", "uint"];

/// Called as `x.f()`.
const METHODS: [&str; 5] = ["contains", "endsWith", "matches", "size", "startsWith"];

const OPERATORS: [&str; 19] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
    // What `all` and `exists` are made of.
    operators::NOT_STRICTLY_FALSE,
];

/// Operators that read the whole of what they are given.
const LINEAR: [&str; 4] = [operators::ADD, operators::EQUALS, operators::NOT_EQUALS, operators::IN];

/// What reading a whole value counts for: at 8 KiB a token it is soon read.
const LINEAR_COST: u64 = 8;
