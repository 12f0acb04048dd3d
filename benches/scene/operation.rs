//! One GraphQL operation as clients send it.

/// 436 octets, as much as an application's mutation has.
pub(crate) const DOCUMENT: &str =
    "mutation AddComposer($from: _MusicCompositionInput!, $to: _LegalPersonInterfaceInput!, $name: String) {
  created: CreatePerson(name: $name, title: \"composer\") {
    ...PersonParts
    __typename
  }
  AddMusicCompositionComposer(from: $from, to: $to) {
    from { identifier title name }
    to { identifier ... on Person { name givenName } }
  }
}

fragment PersonParts on Person { identifier name title source created { formatted } }";

/// What it needs under the rules of [`RULES`].
pub(crate) const SCOPES: &str = "Mutation:Person:Create Mutation:MusicCompositionComposer:Add";

/// The requirement of the route that looks into it.
pub(crate) const RULES: &str = "{graphql: {permission: \"{operation}:{type}:{action}\", \
                                field: '^(?<action>[A-Z][a-z]+)(?<type>[A-Z]\\w+)$', public: [Query, Subscription]}}";

/// The requirement of one that does not, with as many scopes to cover.
pub(crate) const UNINSPECTED: &str =
    "{scopes: [\"Mutation:Person:Create\", \"Mutation:MusicCompositionComposer:Add\"]}";

/// The body that brings a document.
pub(crate) fn body(document: &str) -> String {
    let body = serde_json::json!({
        "operationName": "AddComposer",
        "query": document,
        "variables": {"from": {"identifier": "c-1"}, "to": {"identifier": "p-1"}, "name": "Clara Schumann"},
    });
    body.to_string()
}

/// A request with it, as a client's library sends one.
pub(crate) fn post(path: &str, token: &str) -> Vec<u8> {
    assert_eq!(DOCUMENT.len(), 436, "the document is as long as it is said to be");
    let body = body(DOCUMENT);
    format!(
        "POST {path} HTTP/1.1\r\nHost: api.test\r\nUser-Agent: bench\r\nAccept: application/json\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nAuthorization: Bearer {token}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
