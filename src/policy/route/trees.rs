//! Trees of segments, one a host, laid flat.
//!
//! A table of ten thousand routes is looked up in ten thousand places in turn, and what such a look-up costs is the
//! memory that it has to wait for. All nodes therefore stand in one row, in the order in which they were planted, so
//! that a route's own stand together, and one table of numbers finds a node by its parent and its segment.

use std::hash::{BuildHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::ops::Range;

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::config::pattern::{PathPattern, Segment};
use crate::policy::route::segments::{self, BySegment};

/// The trees.
#[derive(Debug, Default)]
pub(in crate::policy) struct Trees {
    nodes: Vec<Node>,
    /// Every node that a literal segment leads to.
    literals: HashTable<u32>,
    /// The literal segments, end to end.
    text: String,
    leaves: Vec<Leaf>,
    /// Every method that some route names.
    methods: Vec<Box<str>>,
}

/// Where a tree begins.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Root(u32);

/// The place after a segment.
#[derive(Debug)]
struct Node {
    parent: u32,
    /// The segment that leads here, in the text; empty where none does.
    start: u32,
    length: u32,
    parameter: Option<NonZeroU32>,
    rest: Place,
    end: Place,
}

/// A leaf's number, counted from 1.
type Place = Option<NonZeroU32>;

/// The routes of one path.
#[derive(Debug, Default)]
pub(in crate::policy) struct Leaf {
    by_method: SmallVec<[(u32, u32); 2]>,
    any_method: Option<u32>,
}

impl Trees {
    /// One more tree, that has nothing yet.
    pub(in crate::policy) fn root(&mut self) -> Root {
        Root(self.node(0, 0..0))
    }

    /// Adds a route: for these methods, or for every one if there are none.
    pub(in crate::policy) fn plant(
        &mut self,
        root: Root,
        path: &PathPattern,
        methods: &[Box<str>],
        index: usize,
    ) {
        let mut node = root.0;
        let mut to_rest = false;
        for segment in &path.segments {
            match segment {
                Segment::Literal(text) => node = self.literal(node, text),
                Segment::Parameter(_) => node = self.parameter(node),
                Segment::Rest(_) => to_rest = true,
            }
        }
        let named: SmallVec<[u32; 8]> = methods.iter().map(|method| self.method(method)).collect();
        let here = &mut self.nodes[node as usize];
        let place = if to_rest { &mut here.rest } else { &mut here.end };
        let place = place.get_or_insert_with(|| {
            self.leaves.push(Leaf::default());
            NonZeroU32::MIN.saturating_add(number(self.leaves.len() - 1))
        });
        let (leaf, index) = (&mut self.leaves[place.get() as usize - 1], number(index));
        if methods.is_empty() {
            leaf.any_method = Some(index);
        }
        leaf.by_method.extend(named.into_iter().map(|method| (method, index)));
    }

    /// The routes of this path, without its leading slash: the first that a walk reaches.
    pub(in crate::policy) fn find(&self, root: Root, path: &str) -> Option<&Leaf> {
        self.walk(root.0, Some(path))
    }

    /// The route for this method.
    pub(in crate::policy) fn route(&self, leaf: &Leaf, method: &str) -> Option<usize> {
        let is = |known: u32| self.methods.get(known as usize).is_some_and(|known| **known == *method);
        let named = leaf.by_method.iter().find(|(known, _)| is(*known)).map(|(_, index)| *index);
        named.or(leaf.any_method).map(|index| index as usize)
    }

    /// The methods that routes of this path name.
    pub(in crate::policy) fn methods<'t>(&'t self, leaf: &'t Leaf) -> impl Iterator<Item = &'t str> {
        leaf.by_method.iter().filter_map(|(method, _)| self.methods.get(*method as usize)).map(|name| &**name)
    }

    /// `rest` is what of the path is left, without its leading slash; `None` when nothing is.
    fn walk(&self, at: u32, rest: Option<&str>) -> Option<&Leaf> {
        let node = self.nodes.get(at as usize)?;
        let Some(rest) = rest else { return self.leaf(node.end) };
        let (segment, after) = segments::first(rest);
        self.child(at, segment)
            .and_then(|child| self.walk(child, after))
            .or_else(|| {
                let parameter = node.parameter.filter(|_| !segment.is_empty())?;
                self.walk(parameter.get(), after)
            })
            .or_else(|| self.leaf(node.rest))
    }

    fn leaf(&self, place: Place) -> Option<&Leaf> {
        self.leaves.get(place?.get() as usize - 1)
    }

    fn child(&self, parent: u32, segment: &str) -> Option<u32> {
        let is = |child: &u32| {
            let node = &self.nodes[*child as usize];
            node.parent == parent && node.segment(&self.text) == segment
        };
        self.literals.find(hash(parent, segment), is).copied()
    }

    fn literal(&mut self, parent: u32, segment: &str) -> u32 {
        if let Some(child) = self.child(parent, segment) {
            return child;
        }
        let start = self.text.len();
        self.text.push_str(segment);
        let child = self.node(parent, start..self.text.len());
        let Self { nodes, text, literals, .. } = self;
        literals.insert_unique(hash(parent, segment), child, |other| {
            let node = &nodes[*other as usize];
            hash(node.parent, node.segment(text))
        });
        child
    }

    fn parameter(&mut self, parent: u32) -> u32 {
        if let Some(known) = self.nodes[parent as usize].parameter {
            return known.get();
        }
        let child = self.node(parent, 0..0);
        self.nodes[parent as usize].parameter = NonZeroU32::new(child);
        child
    }

    fn node(&mut self, parent: u32, text: Range<usize>) -> u32 {
        let (start, length) = (number(text.start), number(text.len()));
        self.nodes.push(Node { parent, start, length, parameter: None, rest: None, end: None });
        number(self.nodes.len() - 1)
    }

    fn method(&mut self, name: &str) -> u32 {
        let known = self.methods.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.methods.push(name.into());
            self.methods.len() - 1
        });
        number(known)
    }
}

impl Node {
    fn segment<'t>(&self, text: &'t str) -> &'t str {
        let start = self.start as usize;
        text.get(start..start + self.length as usize).unwrap_or_default()
    }
}

/// No file that a configuration is read from is as long as what would not fit.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn hash(parent: u32, segment: &str) -> u64 {
    let mut hasher = BySegment.build_hasher();
    parent.hash(&mut hasher);
    segment.hash(&mut hasher);
    hasher.finish()
}
