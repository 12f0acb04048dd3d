//! CEL expressions, compiled at load with a bound on what they can cost.

use std::sync::Arc;

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
        todo!()
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
