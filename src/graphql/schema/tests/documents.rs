//! Documents as far as these tests write them.

use crate::graphql::schema::tokens::{Token, Tokens};
use crate::graphql::schema::walk::{Selection, Selections};

/// A document: sets by their places, the operation's first of all.
#[derive(Debug, Default)]
pub(super) struct Document {
    sets: Vec<Vec<Member>>,
    fragments: Vec<(String, String, usize)>,
}

#[derive(Debug)]
enum Member {
    Field(String, Option<usize>),
    Inline(Option<String>, usize),
    Spread(String),
}

impl Document {
    pub(super) fn read(text: &str) -> Self {
        let mut document = Self::default();
        let mut tokens = Tokens::new(text).expect("tokens");
        document.set(&mut tokens);
        while tokens.take_word("fragment").expect("a token") {
            let name = word(&mut tokens);
            assert!(tokens.take_word("on").expect("a token"));
            let on = word(&mut tokens);
            let set = document.set(&mut tokens);
            document.fragments.push((name, on, set));
        }
        assert_eq!(tokens.peek(), None, "{text}");
        document
    }

    /// The fields at the operation's root.
    pub(super) fn root(&self) -> impl Iterator<Item = (&str, Option<usize>)> {
        self.sets[0].iter().map(|member| match member {
            Member::Field(name, inside) => (name.as_str(), *inside),
            other @ (Member::Inline(..) | Member::Spread(_)) => panic!("{other:?} at the root"),
        })
    }

    fn set(&mut self, tokens: &mut Tokens<'_>) -> usize {
        tokens.expect('{').expect("a brace");
        let place = self.sets.len();
        self.sets.push(Vec::new());
        while !tokens.take_mark('}').expect("a token") {
            let member = self.member(tokens);
            self.sets[place].push(member);
        }
        place
    }

    fn member(&mut self, tokens: &mut Tokens<'_>) -> Member {
        if tokens.take_mark('.').expect("a token") {
            if tokens.take_word("on").expect("a token") {
                let on = word(tokens);
                return Member::Inline(Some(on), self.set(tokens));
            }
            if tokens.peek() == Some(Token::Mark('{')) {
                return Member::Inline(None, self.set(tokens));
            }
            return Member::Spread(word(tokens));
        }
        let mut name = word(tokens);
        if tokens.take_mark(':').expect("a token") {
            name = word(tokens);
        }
        if tokens.peek() == Some(Token::Mark('(')) {
            tokens.skip_group().expect("arguments");
        }
        let inside = (tokens.peek() == Some(Token::Mark('{'))).then(|| self.set(tokens));
        Member::Field(name, inside)
    }
}

impl<'d> Selections<'d> for &'d Document {
    type Set = usize;

    fn members(&self, set: usize) -> impl Iterator<Item = Selection<'d, usize>> {
        let document: &'d Document = self;
        document.sets[set].iter().map(|member| match member {
            Member::Field(name, inside) => Selection::Field(name, *inside),
            Member::Inline(on, inside) => Selection::Inline(on.as_deref(), *inside),
            Member::Spread(name) => Selection::Spread(name),
        })
    }

    fn fragment(&self, name: &str) -> Option<(usize, &'d str, usize)> {
        let document: &'d Document = self;
        let place = document.fragments.iter().position(|(known, ..)| known == name)?;
        let (_, on, set) = &document.fragments[place];
        Some((place, on, *set))
    }
}

fn word(tokens: &mut Tokens<'_>) -> String {
    tokens.name().expect("a name").name.into()
}
