//! A schema in GraphQL's own language (section 3 of the specification), as far as rules need it: which types there are,
//! what their fields come to, what implements and belongs to what. Arguments, values and directives are passed over.

use crate::config::problems::quoted;
use crate::graphql::schema::declared::{Declared, DeclaredType, Flaw, Named, Root, Sort};
use crate::graphql::schema::tokens::{Token, Tokens};

/// Reads a document of definitions and extensions. It ends at the first mistake.
pub(crate) fn read(text: &str) -> Result<Declared, Flaw> {
    let mut tokens = Tokens::new(text)?;
    let mut declared = Declared::default();
    while tokens.peek().is_some() {
        definition(&mut tokens, &mut declared)?;
    }
    Ok(declared)
}

fn definition(tokens: &mut Tokens<'_>, declared: &mut Declared) -> Result<(), Flaw> {
    description(tokens)?;
    let extends = tokens.take_word("extend")?;
    let keyword = tokens.name()?;
    let sort = match &*keyword.name {
        "schema" => {
            declared.is_explicit |= !extends;
            return roots(tokens, declared);
        }
        "directive" => return directive_definition(tokens),
        "type" => Sort::Object,
        "interface" => Sort::Interface,
        "union" => Sort::Union,
        "scalar" | "enum" => Sort::Leaf,
        "input" => Sort::Input,
        "query" | "mutation" | "subscription" | "fragment" => {
            return Err(keyword.flaw("an operation: a schema has definitions of types"));
        }
        other => return Err(keyword.flaw(format!("{} begins no definition of a type", quoted(other)))),
    };
    let mut found = DeclaredType {
        name: tokens.name()?,
        sort,
        extends,
        fields: Vec::new(),
        interfaces: Vec::new(),
        members: Vec::new(),
    };
    if matches!(sort, Sort::Object | Sort::Interface) && tokens.take_word("implements")? {
        found.interfaces = names(tokens, '&')?;
    }
    directives(tokens)?;
    match sort {
        Sort::Object | Sort::Interface => fields(tokens, &mut found.fields)?,
        Sort::Union if tokens.take_mark('=')? => found.members = names(tokens, '|')?,
        Sort::Union => {}
        Sort::Leaf | Sort::Input => {
            if tokens.peek() == Some(Token::Mark('{')) {
                tokens.skip_group()?;
            }
        }
    }
    declared.types.push(found);
    Ok(())
}

fn roots(tokens: &mut Tokens<'_>, declared: &mut Declared) -> Result<(), Flaw> {
    directives(tokens)?;
    if !tokens.take_mark('{')? {
        return Ok(());
    }
    while !tokens.take_mark('}')? {
        description(tokens)?;
        let operation = tokens.name()?;
        let Some(root) = Root::read(&operation.name) else {
            return Err(operation.flaw(format!("{} is no kind of operations", quoted(&operation.name))));
        };
        tokens.expect(':')?;
        let of = tokens.name()?;
        directives(tokens)?;
        declared.roots.push((root, of));
    }
    Ok(())
}

fn directive_definition(tokens: &mut Tokens<'_>) -> Result<(), Flaw> {
    tokens.expect('@')?;
    tokens.name()?;
    arguments(tokens)?;
    directives(tokens)?;
    tokens.take_word("repeatable")?;
    if !tokens.take_word("on")? {
        return Err(tokens.unexpected("`on`"));
    }
    names(tokens, '|').map(|_| ())
}

/// The fields between braces, if there are any.
fn fields(tokens: &mut Tokens<'_>, found: &mut Vec<(Named, Named)>) -> Result<(), Flaw> {
    if !tokens.take_mark('{')? {
        return Ok(());
    }
    while !tokens.take_mark('}')? {
        description(tokens)?;
        let name = tokens.name()?;
        arguments(tokens)?;
        tokens.expect(':')?;
        found.push((name, returned(tokens)?));
        directives(tokens)?;
    }
    Ok(())
}

/// The type of a field, without the lists around it and what may be null.
fn returned(tokens: &mut Tokens<'_>) -> Result<Named, Flaw> {
    let mut lists = 0_usize;
    while tokens.take_mark('[')? {
        lists += 1;
    }
    let name = tokens.name()?;
    tokens.take_mark('!')?;
    for _ in 0..lists {
        tokens.expect(']')?;
        tokens.take_mark('!')?;
    }
    Ok(name)
}

/// Names with one of these between them, and perhaps one before the first.
fn names(tokens: &mut Tokens<'_>, between: char) -> Result<Vec<Named>, Flaw> {
    tokens.take_mark(between)?;
    let mut names = vec![tokens.name()?];
    while tokens.take_mark(between)? {
        names.push(tokens.name()?);
    }
    Ok(names)
}

fn description(tokens: &mut Tokens<'_>) -> Result<(), Flaw> {
    if tokens.peek() == Some(Token::Text) {
        tokens.take()?;
    }
    Ok(())
}

fn arguments(tokens: &mut Tokens<'_>) -> Result<(), Flaw> {
    match tokens.peek() {
        Some(Token::Mark('(')) => tokens.skip_group(),
        Some(Token::Mark(_) | Token::Name(_) | Token::Text | Token::Number) | None => Ok(()),
    }
}

fn directives(tokens: &mut Tokens<'_>) -> Result<(), Flaw> {
    while tokens.take_mark('@')? {
        tokens.name()?;
        arguments(tokens)?;
    }
    Ok(())
}
