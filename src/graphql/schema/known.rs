//! A schema whose names are bound: every type that is named is there, once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use crate::config::problems::quoted;
use crate::graphql::schema::declared::{Declared, DeclaredType, Flaw, Named, Root, Sort};

/// All that is known of a schema.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) types: Vec<Type>,
    pub(crate) names: HashMap<Box<str>, usize>,
    pub(crate) roots: [Option<usize>; 3],
}

/// One type; others by their places.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: Box<str>,
    pub(crate) sort: Sort,
    /// What each field comes to.
    pub(crate) fields: HashMap<Box<str>, usize>,
    /// Every interface that it implements, through others too, sorted.
    pub(crate) implements: Vec<usize>,
    /// The objects that may stand for it, if it is an interface or a union, sorted.
    pub(crate) possible: Vec<usize>,
    /// Interfaces and unions that it may stand for, sorted.
    pub(crate) belongs: Vec<usize>,
}

/// Binds names, or says everything that is wrong with them.
pub(crate) fn known(declared: Declared) -> Result<Known, Vec<Flaw>> {
    let mut builder = Builder::default();
    // What is extended may stand behind its extension.
    let (extensions, definitions): (Vec<_>, Vec<_>) = declared.types.into_iter().partition(|one| one.extends);
    definitions.into_iter().for_each(|one| builder.define(one));
    for name in BUILT_IN {
        builder.define_built_in(name);
    }
    extensions.into_iter().for_each(|one| builder.extend(one));
    let roots = builder.roots(&declared.roots, declared.is_explicit);
    let types = builder.bind();
    match builder.flaws.is_empty() {
        true => Ok(Known { types, names: builder.names, roots }),
        false => Err(builder.flaws),
    }
}

#[derive(Default)]
struct Builder {
    whole: Vec<DeclaredType>,
    names: HashMap<Box<str>, usize>,
    flaws: Vec<Flaw>,
}

impl Builder {
    fn define(&mut self, one: DeclaredType) {
        match self.names.entry(one.name.name.clone()) {
            Entry::Occupied(_) => {
                self.flaws.push(one.name.flaw(format!("{} is defined twice", quoted(&one.name.name))));
            }
            Entry::Vacant(entry) => {
                entry.insert(self.whole.len());
                self.whole.push(one);
            }
        }
    }

    /// The scalars that every schema has, unless its file says so itself.
    fn define_built_in(&mut self, name: &str) {
        if !self.names.contains_key(name) {
            self.names.insert(name.into(), self.whole.len());
            self.whole.push(DeclaredType {
                name: Named { name: name.into(), at: 0 },
                sort: Sort::Leaf,
                extends: false,
                fields: Vec::new(),
                interfaces: Vec::new(),
                members: Vec::new(),
            });
        }
    }

    fn extend(&mut self, one: DeclaredType) {
        let known = self.names.get(&one.name.name).and_then(|index| self.whole.get_mut(*index));
        match known {
            Some(known) if known.sort == one.sort => {
                known.fields.extend(one.fields);
                known.interfaces.extend(one.interfaces);
                known.members.extend(one.members);
            }
            Some(_) => {
                let what = format!("{} is extended as what it is not", quoted(&one.name.name));
                self.flaws.push(one.name.flaw(what));
            }
            None => {
                let what = format!("{} is extended and not defined", quoted(&one.name.name));
                self.flaws.push(one.name.flaw(what));
            }
        }
    }

    /// The roots, by kind: as `schema { … }` names them, or by their usual names.
    fn roots(&mut self, named: &[(Root, Named)], is_explicit: bool) -> [Option<usize>; 3] {
        let roots = [Root::Query, Root::Mutation, Root::Subscription].map(|root| {
            let mut said = named.iter().filter(|(of, _)| *of == root).map(|(_, name)| name);
            let (first, second) = (said.next(), said.next());
            if let Some(second) = second {
                self.flaws.push(second.flaw("a second root for one kind of operations"));
            }
            let Some(name) = first else {
                let usual = (!is_explicit).then(|| self.names.get(root.default_name()).copied()).flatten();
                return usual
                    .filter(|index| self.whole.get(*index).is_some_and(|one| one.sort == Sort::Object));
            };
            self.find(name, "a root", |sort| sort == Sort::Object)
        });
        if roots[0].is_none() && self.flaws.is_empty() {
            self.flaws.push(Flaw {
                at: 0,
                what: "a schema without a query root: there is no type `Query`".to_owned(),
            });
        }
        roots
    }

    /// The type of a name, which has to be of some sort.
    fn find(&mut self, name: &Named, role: &str, fits: impl Fn(Sort) -> bool) -> Option<usize> {
        let found = self.names.get(&name.name).copied();
        let sort = found.and_then(|index| self.whole.get(index)).map(|one| one.sort);
        match sort {
            Some(sort) if fits(sort) => found,
            Some(_) => {
                self.flaws.push(name.flaw(format!("{} cannot be {role}", quoted(&name.name))));
                None
            }
            None => {
                self.flaws.push(name.flaw(format!("{} is not defined", quoted(&name.name))));
                None
            }
        }
    }

    fn bind(&mut self) -> Vec<Type> {
        let whole = std::mem::take(&mut self.whole);
        // `find` asks for sorts alone.
        self.whole = whole.iter().map(sort_alone).collect();
        let mut types: Vec<Type> = whole.iter().map(|one| self.type_of(one)).collect();
        let direct: Vec<Vec<usize>> = types.iter().map(|one| one.implements.clone()).collect();
        for (index, one) in types.iter_mut().enumerate() {
            one.implements = closure(index, &direct);
        }
        for (index, declared) in whole.iter().enumerate() {
            let members: Vec<usize> = declared
                .members
                .iter()
                .filter_map(|name| self.find(name, "a member of a union", |sort| sort == Sort::Object))
                .collect();
            for member in &members {
                types[*member].belongs.push(index);
            }
            types[index].possible.extend(members);
        }
        for index in 0..types.len() {
            let implements = types[index].implements.clone();
            for interface in &implements {
                if types[index].sort == Sort::Object {
                    types[*interface].possible.push(index);
                }
            }
            types[index].belongs.extend(implements);
        }
        for one in &mut types {
            for list in [&mut one.possible, &mut one.belongs] {
                list.sort_unstable();
                list.dedup();
            }
        }
        types
    }

    fn type_of(&mut self, one: &DeclaredType) -> Type {
        let mut fields = HashMap::with_capacity(one.fields.len());
        for (name, of) in &one.fields {
            let Some(of) = self.find(of, "what a field comes to", |sort| sort != Sort::Input) else {
                continue;
            };
            if fields.insert(name.name.clone(), of).is_some() {
                let what = format!("{} has the field {} twice", quoted(&one.name.name), quoted(&name.name));
                self.flaws.push(name.flaw(what));
            }
        }
        let interfaces = one.interfaces.iter();
        let implements = interfaces
            .filter_map(|name| self.find(name, "implemented", |sort| sort == Sort::Interface))
            .collect();
        Type {
            name: one.name.name.clone(),
            sort: one.sort,
            fields,
            implements,
            possible: Vec::new(),
            belongs: Vec::new(),
        }
    }
}

fn sort_alone(one: &DeclaredType) -> DeclaredType {
    DeclaredType {
        name: one.name.clone(),
        sort: one.sort,
        extends: false,
        fields: Vec::new(),
        interfaces: Vec::new(),
        members: Vec::new(),
    }
}

/// Everything that can be come to from here, without where it begins.
fn closure(from: usize, direct: &[Vec<usize>]) -> Vec<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(index) = open.pop() {
        for next in direct.get(index).into_iter().flatten() {
            if *next != from && found.insert(*next) {
                open.push(*next);
            }
        }
    }
    found.into_iter().collect()
}

/// The scalars that every schema has (section 3.5).
const BUILT_IN: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];
