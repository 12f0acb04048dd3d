//! `request.query`: parameters by name, percent-decoded.
//!
//! Upstreams differ in how they read a query: of a name that stands twice some take the first value and some the last, some
//! part it at `;` too, some fold the case of names, and some make one list of `a[]` and `a`. The request goes on as it was sent,
//! so a condition must not take one reading for all of them. What can be read in more than one way is there, and has no
//! value: asking for it in any way refuses, also asking whether it is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator, Sizer};
use cel::common::types::{CelInt, CelMap, CelMapKey, CelString, Type};
use cel::common::value::{CowVal, Val};

use crate::policy::condition::{DOUBTFUL, decoded};

/// The parameters of a query, as an expression sees them.
#[derive(Debug, Clone)]
pub(in crate::policy::condition) struct Query {
    /// Those of which there is one reading, and others that nobody can ask for by name.
    plain: CelMap<'static>,
    /// By folded name: the one that may be asked for, if there is one reading.
    known: Arc<HashMap<String, Option<String>>>,
    /// Some stand in it twice, or not for everybody.
    has_doubtful: bool,
    /// Told when somebody asks for what can be read in more than one way.
    asked: Arc<AtomicBool>,
}

impl Query {
    /// Reads an undecoded query.
    pub(in crate::policy::condition) fn read(query: &str, asked: &Arc<AtomicBool>) -> Self {
        let mut read = Self {
            plain: CelMap::default(),
            known: Arc::default(),
            has_doubtful: false,
            asked: Arc::clone(asked),
        };
        let mut known: HashMap<String, Option<String>> = HashMap::new();
        let mut plain: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name);
            let is_parted = pair.contains(';');
            for part in pair.split(';').filter(|_| is_parted) {
                known.insert(folded(&decoded(part.split_once('=').map_or(part, |(name, _)| name))), None);
            }
            // `a[b]` is a member of `a` for some, for whom `a` is another one than for the rest.
            let base = name.split(['[', '\0']).next().unwrap_or_default();
            if base.len() < name.len() {
                known.insert(folded(base), None);
            }
            let one = (!is_parted).then(|| name.clone());
            let is_new = !known.contains_key(&folded(&name));
            read.has_doubtful |= is_parted || plain.contains_key(&CelMapKey::from(name.as_str()));
            known.insert(folded(&name), one.filter(|_| is_new));
            plain.insert(name.into(), Box::new(CelString::from(decoded(value))));
        }
        read.plain = plain.into();
        read.known = Arc::new(known);
        read
    }

    /// Fails if there is more than one reading of the parameter of this name.
    fn look_for(&self, name: &dyn Val) -> Result<(), ExecutionError> {
        let Some(name) = name.downcast_ref::<CelString<'_>>() else { return Ok(()) };
        match self.known.get(&folded(name.inner())) {
            None => Ok(()),
            Some(Some(known)) if known == name.inner() => Ok(()),
            Some(_) => Err(self.doubt()),
        }
    }

    /// Whoever asks for all of them asks for those too.
    fn look_at_all(&self) {
        if self.has_doubtful {
            self.doubt();
        }
    }

    fn doubt(&self) -> ExecutionError {
        self.asked.store(true, Ordering::Relaxed);
        ExecutionError::function_error("query", DOUBTFUL)
    }
}

impl Val for Query {
    fn get_type(&self) -> &Type {
        self.plain.get_type()
    }

    fn cel_type() -> &'static Type {
        CelMap::cel_type()
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        self.look_at_all();
        self.plain.equals(other)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }
}

impl Container for Query {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        self.look_for(name)?;
        self.plain.contains(name)
    }
}

impl Indexer for Query {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.look_for(name)?;
        self.plain.get(name)
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

impl Iterable for Query {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        self.look_at_all();
        self.plain.iter()
    }
}

impl Sizer for Query {
    fn size(&self) -> CelInt {
        self.look_at_all();
        self.plain.size()
    }
}

/// The name that all its spellings have: without spaces around it, in lower case, and every octet that is no letter or digit as
/// `_`.
fn folded(name: &str) -> String {
    let fold = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.trim().chars().map(fold).collect()
}
