//! Operations of which only a part may be run (`unauthorized: filter`).
//!
//! What was to be refused goes on without the fields at its root that the token may not have, if there are others. This
//! stands behind every other step: a token that is no good, a scope or a condition of the route, refuse the whole; only
//! that there is none at all leaves what is public. The whole is refused too where the rest could not be asked for alone,
//! or its answer not be told of what is missing: of lists, subscriptions and messages, of what comes in a query string,
//! and where the client takes no answer but in pieces.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smallvec::smallvec;

use crate::config::Enforce;
use crate::config::graphql::{OperationKind, Unauthorized};
use crate::gate::Request;
use crate::gate::evidence::Evidence;
use crate::gate::grant::Narrowed;
use crate::gate::memo::{Memo, TokenFacts};
use crate::graphql::accepted::Accepted;
use crate::graphql::asked::{Asked, Item};
use crate::graphql::merged::{Key, LeftOut, Missing};
use crate::graphql::plan::{Needs, Planned, RootField};
use crate::graphql::pruned::{self, Instead};
use crate::policy::route::CompiledRoute;

#[cfg(test)]
mod tests;

/// What may be run of what was asked for, and what its client is told of the rest. None where the whole is refused.
pub(in crate::gate) fn narrow(
    memo: &mut Memo,
    request: &Request<'_>,
    evidence: &Evidence<'_>,
    route: &CompiledRoute,
    asked: &Asked,
    token: Option<&TokenFacts>,
) -> Option<(Arc<Asked>, Box<Narrowed>)> {
    let rules = route.graphql.as_ref()?;
    let [item] = asked.items.as_slice() else { return None };
    let planned = item.planned().filter(|planned| planned.kind != OperationKind::Subscription)?;
    let filters = rules.config.unauthorized == Unauthorized::Filter && route.config.enforce == Enforce::Deny;
    if !filters || asked.batch || request.method != "POST" || request.message.is_some() {
        return None;
    }
    let accept = accept(request)?;
    let may = |needs: &Needs| match token {
        None => !needs.token,
        Some(facts) => {
            needs.denied.is_none()
                && needs.permissions.iter().all(|permission| facts.granted.covers(permission))
        }
    };
    let missing = |needs: &Needs| match token {
        None => Missing::Token,
        Some(_) => Missing::Permission(rules.config.show_scopes.then(|| needs.permissions.clone())),
    };
    let keys = keys(planned, |needs| (!may(needs)).then(|| missing(needs)))?;
    let starts: HashSet<usize> = refused(planned, &may).map(|field| field.span.start).collect();
    // As it was read: what came by its hash is written out there already.
    let sent = asked.instead.as_deref().or(evidence.body.as_deref())?;
    let Instead { pruned, envelope } = pruned::rewrite(sent, item.operation, &starts)?;
    let plan = memo.operations.documents.plans.plan(rules, &pruned.document.as_str().into()).ok()?;
    let [left] = plan.operations.as_ref() else { return None };
    // Read anew, it is what it was to be; whatever went wrong before ends here.
    let wanted = planned.fields.iter().filter(|field| may(&field.needs));
    let same = |(wanted, left): (&RootField, &RootField)| wanted.key == left.key && wanted.name == left.name;
    let stays = wanted.clone().count() == left.fields.len() && wanted.zip(&left.fields).all(same);
    if !stays || left.kind != planned.kind || !may(&left.needs) {
        return None;
    }
    let item = Item { plan, operation: 0 };
    let asked = Asked { items: smallvec![item], instead: Some(envelope.into()), ..asked.clone() };
    let left_out = LeftOut { keys, stand_in: pruned.stand_in };
    Some((Arc::new(asked), Box::new(Narrowed { left_out, accept })))
}

fn refused<'p>(planned: &'p Planned, may: &impl Fn(&Needs) -> bool) -> impl Iterator<Item = &'p RootField> {
    planned.fields.iter().filter(|field| !may(&field.needs))
}

/// The names in the answer, each once. None where nothing stays or nothing goes, and where one name is that of a field
/// which stays and of one which goes: its upstream would have refused those together.
fn keys(planned: &Planned, missing: impl Fn(&Needs) -> Option<Missing>) -> Option<Box<[Key]>> {
    let (mut keys, mut places): (Vec<Key>, HashMap<&str, usize>) = (Vec::new(), HashMap::new());
    for field in &planned.fields {
        let key = Key { name: field.key.clone(), refused: missing(&field.needs) };
        match places.get(&*field.key).and_then(|place| keys.get(*place)) {
            Some(known) if known.refused.is_some() == key.refused.is_some() => {}
            Some(_) => return None,
            None => {
                places.insert(&field.key, keys.len());
                keys.push(key);
            }
        }
    }
    let goes = keys.iter().filter(|key| key.refused.is_some()).count();
    (0 < goes && goes < keys.len()).then(|| keys.into())
}

/// The `Accept` of what is sent on in part: the forms of an answer that can be told what was left out, of those that the
/// client takes. None where it takes no such form, as one that wants its answer in pieces does.
pub fn accept(request: &Request<'_>) -> Option<&'static str> {
    const MODERN: &str = "application/graphql-response+json";
    const BOTH: &str = "application/graphql-response+json, application/json;q=0.9";
    const EITHER: &str = "application/json, application/graphql-response+json;q=0.9";
    const PLAIN: &str = "application/json";
    let lines = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(b"accept"));
    let lines: Vec<_> = lines.map(|field| field.value).collect();
    if lines.is_empty() {
        return Some(PLAIN);
    }
    match Accepted::of(lines.into_iter()) {
        Accepted { response: 0, json: 0, .. } => None,
        Accepted { response: 0, .. } => Some(PLAIN),
        Accepted { json: 0, .. } => Some(MODERN),
        Accepted { response, json, .. } => Some(if response >= json { BOTH } else { EITHER }),
    }
}
