//! What routes of GraphQL name: schemas, and lists of the documents that may be run. Read whole or not at all: a list that
//! lost an entry would refuse what was promised, and a schema that is half there would know nothing of the other half.

mod manifest;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::defaults::{SAFELIST_DOCUMENTS, SAFELIST_OCTETS};
use crate::config::graphql::{GraphQl, SchemaRules};
use crate::config::problems::{Position, Problem, quoted};
use crate::config::{Config, Require, Route};
use crate::control::config_file::{Loader, Sort, cannot_read, named};
use crate::control::files::Directory;
use crate::graphql::document::{Bounds, Document};
use crate::graphql::rules::Rules;
use crate::graphql::schema::{self, Wrong};

/// Ids and documents, sorted by id.
type Documents = Arc<Vec<(Box<str>, Box<str>)>>;

/// What was read already: several routes often name one file.
#[derive(Default)]
struct Read {
    schemas: BTreeMap<PathBuf, Option<Arc<str>>>,
    safelists: BTreeMap<PathBuf, Option<Documents>>,
}

impl Loader<'_> {
    /// Reads what routes name, and puts it where they name it.
    pub(super) fn graphql(&mut self, config: &mut Config) {
        let mut read = Read::default();
        for route in &mut config.routes {
            if graphql_of(route)
                .is_none_or(|graphql| graphql.schema.is_none() && graphql.persisted.safelist.is_none())
            {
                continue;
            }
            let Require::Token(requirement) = &mut Arc::make_mut(route).require else { continue };
            let Some(graphql) = requirement.graphql.as_mut().map(Arc::make_mut) else { continue };
            if let Some(rules) = graphql.schema.as_mut().map(Arc::make_mut) {
                self.schema(rules, &mut read);
            }
            if let Some(safelist) = &mut graphql.persisted.safelist {
                let known = read.safelists.entry(safelist.path.clone());
                let documents = known.or_insert_with(|| self.safelist(&safelist.path, safelist.at));
                safelist.documents = documents.clone().unwrap_or_default();
            }
            self.warn_of_dead_documents(graphql);
        }
    }

    fn schema(&mut self, rules: &mut SchemaRules, read: &mut Read) {
        let text = match read.schemas.get(&rules.path) {
            Some(text) => text.clone(),
            None => {
                let text = self.text(&rules.path, rules.at, Sort::Schema);
                read.schemas.insert(rules.path.clone(), text.clone());
                text
            }
        };
        // What cannot be read has been said.
        let Some(text) = text else { return };
        match schema::check(&text, &rules.rules) {
            Ok(()) => rules.text = text,
            Err(Wrong::Rules(problems)) => self.problems.extend(problems),
            Err(Wrong::File(problems)) => {
                let file = rules.path.display().to_string();
                self.problems.extend(problems.into_iter().map(|problem| named(&file, rules.at, problem)));
            }
        }
    }

    /// Says which documents of a list the route's own rules would never run.
    fn warn_of_dead_documents(&mut self, graphql: &GraphQl) {
        let Some(safelist) = &graphql.persisted.safelist else { return };
        let rules = Rules::compile(graphql);
        for (id, document) in safelist.documents.iter() {
            if let Err(rejected) = rules.plan(document, 0) {
                let what =
                    format!("the document {} of the safelist is never run: {}", quoted(id), rejected.message);
                self.warnings.push(Problem::new(safelist.at, what));
            }
        }
    }

    fn safelist(&mut self, path: &Path, at: Position) -> Option<Documents> {
        let full = self.directory.join(path);
        let listed = match full.is_dir() {
            true => self.documents(&full, at)?,
            false => {
                let text = self.text(path, at, Sort::Safelist)?;
                match manifest::read(&text) {
                    Ok(documents) => documents,
                    Err(problem) => {
                        self.problems.push(named(&full.display().to_string(), at, problem));
                        return None;
                    }
                }
            }
        };
        let mut refuse = |what: &str| {
            self.problems.push(Problem::new(at, format!("the safelist {} {what}", full.display())));
            None
        };
        match listed.len() {
            0 => return refuse("has no documents: everything would be refused"),
            1..=SAFELIST_DOCUMENTS => {}
            _ => return refuse(&format!("has more than {SAFELIST_DOCUMENTS} documents")),
        }
        let mut sorted: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
        for (id, document) in listed {
            if id.is_empty() || document.trim().is_empty() {
                return refuse("has an id or a document that is empty");
            }
            if let Err(fault) = Document::read(&document, &Bounds::NONE) {
                let why = fault.rejected(&document).message;
                return refuse(&format!("has a document that is none, {}: {why}", quoted(&id)));
            }
            if sorted.insert(id, document).is_some() {
                return refuse("has one id twice");
            }
        }
        Some(Arc::new(sorted.into_iter().collect()))
    }

    /// The documents of a directory; their ids are the files' names.
    fn documents(&mut self, path: &Path, at: Position) -> Option<Vec<(Box<str>, Box<str>)>> {
        let bounds = Directory { endings: &ENDINGS, files: SAFELIST_DOCUMENTS, octets: SAFELIST_OCTETS };
        let members = match self.files.read_directory(path, bounds) {
            Ok(members) => members,
            Err(why) => {
                self.problems.push(Problem::new(at, cannot_read(Sort::Safelist.name(), path, &why)));
                return None;
            }
        };
        let mut documents = Vec::with_capacity(members.len());
        for (name, content) in members {
            let file = path.join(&*name);
            if content.mode & WRITABLE_BY_ALL != 0 {
                let what = format!("the safelist file {} is world-writable", file.display());
                self.problems.push(Problem::new(at, what).hint("chmod o-w"));
            }
            match str::from_utf8(&content.octets) {
                // Editors end a file with one; whoever sends the document does not.
                Ok(text) => {
                    let text =
                        text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
                    documents.push((name, text.into()));
                }
                Err(_) => {
                    let what = format!("the safelist file {} is not UTF-8", file.display());
                    self.problems.push(Problem::new(at, what));
                }
            }
        }
        Some(documents)
    }

    /// A file's text.
    fn text(&mut self, path: &Path, at: Position, sort: Sort) -> Option<Arc<str>> {
        let octets = self.file(path, at, sort)?;
        match str::from_utf8(&octets) {
            Ok(text) => Some(text.into()),
            Err(_) => {
                let what = format!("the {} file {} is not UTF-8", sort.name(), path.display());
                self.problems.push(Problem::new(at, what));
                None
            }
        }
    }
}

fn graphql_of(route: &Route) -> Option<&GraphQl> {
    match &route.require {
        Require::Public => None,
        Require::Token(requirement) => requirement.graphql.as_deref(),
    }
}

/// What documents' files are called.
const ENDINGS: [&str; 2] = [".graphql", ".gql"];
/// The mode bit.
const WRITABLE_BY_ALL: u32 = 0o002;
