//! The words of the file for our enumerations.

use crate::config::decode::fields::Word;
use crate::config::endpoint::{MemberKind, ScopeMode};
use crate::config::forward::ArrayForm;
use crate::config::graphql::{Counted, SafelistMode, Unauthorized};
use crate::config::log::LogFormat;
use crate::config::minted::Encoding;
use crate::config::shown::ClientCertificate;
use crate::config::{Balance, Enforce, ProxyProtocol, TokenType};
use crate::token::scope::ScopeMatch;

impl Word for Balance {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("round_robin", Self::RoundRobin),
        ("least_requests", Self::LeastRequests),
        ("consistent_hash", Self::ConsistentHash),
    ];
}

impl Word for ProxyProtocol {
    const WORDS: &'static [(&'static str, Self)] = &[("none", Self::None), ("required", Self::Required)];
}

impl Word for ClientCertificate {
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("optional", Self::Optional), ("required", Self::Required)];
}

impl Word for TokenType {
    const WORDS: &'static [(&'static str, Self)] = &[("any", Self::Any), ("at+jwt", Self::AtJwt)];
}

impl Word for ScopeMatch {
    const WORDS: &'static [(&'static str, Self)] =
        &[("exact", Self::Exact), ("segments", Self::Segments), ("glob", Self::Glob)];
}

impl Word for ArrayForm {
    const WORDS: &'static [(&'static str, Self)] =
        &[("comma", Self::Comma), ("json", Self::Json), ("repeat", Self::Repeat)];
}

impl Word for Enforce {
    const WORDS: &'static [(&'static str, Self)] = &[("deny", Self::Deny), ("shadow", Self::Shadow)];
}

impl Word for Encoding {
    const WORDS: &'static [(&'static str, Self)] =
        &[("base62", Self::Base62), ("hex", Self::Hex), ("base64url", Self::Base64Url)];
}

impl Word for MemberKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("any", Self::Any),
        ("text", Self::Text),
        ("list", Self::List),
        ("text_list", Self::TextList),
        ("object", Self::Object),
    ];
}

impl Word for ScopeMode {
    const WORDS: &'static [(&'static str, Self)] = &[("subset", Self::Subset), ("inherit", Self::Inherit)];
}

impl Word for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Word for Counted {
    const WORDS: &'static [(&'static str, Self)] = &[("strict", Self::Strict), ("selected", Self::Selected)];
}

impl Word for Unauthorized {
    const WORDS: &'static [(&'static str, Self)] = &[("refuse", Self::Refuse), ("filter", Self::Filter)];
}

impl Word for SafelistMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("enforce", Self::Enforce), ("log", Self::Log), ("ids", Self::Ids)];
}
