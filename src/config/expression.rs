//! CEL expressions, compiled at load with a bound on what they can cost.

pub(crate) mod cost;

use std::sync::Arc;

use crate::config::defaults::{
    EXPRESSION_BRACKETS, EXPRESSION_OCTETS, EXPRESSION_OPERATORS, EXPRESSION_STACK,
};
use crate::config::problems::quoted;

#[cfg(test)]
mod tests;

/// A compiled expression. Its variables are `claims`, `request` and `now`.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    program: Arc<cel::Program>,
}

impl Expression {
    /// Compiles; the error says what is wrong, for the operator. An expression past the size or nesting bound
    /// of [`crate::config::defaults`], with a loop nested in a loop, or naming an unknown variable is refused.
    pub fn compile(source: &str) -> Result<Self, String> {
        check_text(source)?;
        let compile = || {
            let program = cel::Program::compile(source).map_err(|errors| explain(&errors))?;
            cost::check(program.expression())?;
            Ok(Self { source: source.into(), program: Arc::new(program) })
        };
        // The parser takes up to 180 KiB of stack for each nested bracket, and the caller's stack is unknown:
        // on a thread of its own it can neither overflow that nor, should it panic, take the caller with it.
        std::thread::scope(|scope| {
            let thread =
                std::thread::Builder::new().stack_size(EXPRESSION_STACK).spawn_scoped(scope, compile);
            let compiled = thread.map_err(|error| format!("there is no thread to compile it on: {error}"))?;
            compiled.join().unwrap_or_else(|_| Err("it cannot be compiled".to_owned()))
        })
    }
    /// Whether it may ask for `request.arguments`.
    pub fn names_arguments(&self) -> bool {
        self.source.contains("arguments")
    }
    /// As written.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// The compiled program.
    pub fn program(&self) -> &cel::Program {
        &self.program
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

/// Bounds what the parser's recursion and its search can be made to do, before it sees a single octet. Text in
/// quotes is counted too: it errs to the safe side, and no real condition comes near.
fn check_text(source: &str) -> Result<(), String> {
    if source.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if source.len() > EXPRESSION_OCTETS {
        return Err(format!("it is longer than {EXPRESSION_OCTETS} bytes"));
    }
    if let Some(c) = source.chars().find(|c| c.is_control() && !c.is_ascii_whitespace()) {
        return Err(format!("it holds a control character (U+{:04X})", u32::from(c)));
    }
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                operators += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b'?' | b'!' | b'-' | b'+' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'&' | b'|' => {
                operators += 1
            }
            _ => {}
        }
    }
    if deepest > EXPRESSION_BRACKETS {
        return Err(format!("its brackets are nested more than {EXPRESSION_BRACKETS} deep"));
    }
    if operators > EXPRESSION_OPERATORS {
        return Err(format!("it has more than {EXPRESSION_OPERATORS} operators"));
    }
    Ok(())
}

/// The first error, which the others follow from.
fn explain(errors: &cel::ParseErrors) -> String {
    errors.errors.first().map_or_else(
        || "it is no CEL".to_owned(),
        |error| {
            format!(
                "{} (line {}, character {} of the expression)",
                one_line(&error.msg),
                error.pos.0,
                error.pos.1
            )
        },
    )
}

fn one_line(message: &str) -> String {
    quoted(message).trim_matches('`').to_owned()
}
