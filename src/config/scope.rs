//! Required scopes that are built from the request: `read:orders/{id}`.

/// Scopes of a requirement with parameters of the route's path in them, beside those that are literal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Built {
    /// All of these.
    pub scopes: Vec<BuiltScope>,
    /// And one of these, or of the literal ones, if there are any of either.
    pub any_scope: Vec<BuiltScope>,
}

/// One such scope: at least one of its pieces is a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltScope(pub Vec<ScopePiece>);

/// A part of a [`BuiltScope`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopePiece {
    /// As it stands.
    Literal(Box<str>),
    /// A parameter of the route's path.
    Parameter(Box<str>),
}

impl BuiltScope {
    /// As it is written in the file.
    pub fn written(&self) -> String {
        let piece = |piece: &ScopePiece| match piece {
            ScopePiece::Literal(text) => text.to_string(),
            ScopePiece::Parameter(name) => format!("{{{name}}}"),
        };
        self.0.iter().map(piece).collect()
    }
}
