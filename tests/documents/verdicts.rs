//! What graphql-js makes of documents, as it was written down.

use portcullis::graphql::document::fault::Fault;
use portcullis::graphql::document::{Bounds, Document};
use serde::{Deserialize, Serialize};

use crate::shapes::ours;

/// One document.
#[derive(Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub text: String,
    /// Its structure for graphql-js, if it takes it.
    pub shape: Option<String>,
    /// Why the gateway refuses it although graphql-js does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// All of them.
pub fn read() -> Vec<Verdict> {
    serde_json::from_str(include_str!("../vectors/graphql/documents.json")).expect("verdicts")
}

/// What is wrong with a document for the gateway.
pub fn refused(text: &str) -> Option<String> {
    match Document::read(text, &Bounds::NONE).err()? {
        Fault::Syntax { what, .. } | Fault::Invalid(what) => Some(what.to_owned()),
        fault @ (Fault::Tokens | Fault::Recursion) => Some(format!("{fault:?}")),
    }
}

#[test]
fn u6_what_is_taken_graphql_js_takes_with_the_same_structure() {
    let verdicts = read();
    let (mut taken, mut stricter) = (0, 0);
    for verdict in &verdicts {
        match (ours(&verdict.text), &verdict.shape) {
            (Some(shape), known) => {
                taken += 1;
                assert_eq!(Some(&shape), known.as_ref(), "{:?}", verdict.text);
                assert_eq!(verdict.refused, None, "{:?}", verdict.text);
            }
            (None, Some(_)) => {
                stricter += 1;
                assert_eq!(refused(&verdict.text), verdict.refused, "{:?}", verdict.text);
            }
            (None, None) => {}
        }
    }
    let refused = verdicts.len() - taken - stricter;
    assert!(
        taken > 120 && stricter > 25 && refused > 500,
        "{taken} taken, {stricter} stricter, {refused} refused"
    );
}
