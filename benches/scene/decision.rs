//! One request, decided without sockets.

use std::net::{IpAddr, Ipv4Addr};

use portcullis::gate::denial::Reason;
use portcullis::gate::evidence::{Evidence, KeysAnswer, Need};
use portcullis::gate::memo::Memo;
use portcullis::gate::{Decision, Field, Request, decide};
use portcullis::path;
use portcullis::snapshot::Reader;
use portcullis::token::NumericDate;

use crate::core::NOW;

/// Decides with every need done at once; `None` is allowed. A body is there from the start.
pub(crate) fn decided(
    reader: &Reader,
    memo: &mut Memo,
    (method, target): (&str, &str),
    headers: &[Field<'_>],
    body: &[u8],
) -> Option<Reason> {
    let request = Request {
        method,
        host: "api.test",
        path: path::canonical(target).expect("a path"),
        query: None,
        headers,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: None,
        presented: None,
        message: None,
        websocket: None,
    };
    let mut evidence = Evidence::with_body(body);
    loop {
        match decide(&reader.load(), memo, &request, &mut evidence, NumericDate(NOW)) {
            Decision::Allow(_) | Decision::Answer(_) | Decision::Converse(_) | Decision::Preflight(_) => {
                return None;
            }
            Decision::Refuse(refusal) => return Some(refusal.denial.reason),
            Decision::Need(Need::Record(_) | Need::Body(_)) => unreachable!("nothing here is looked up"),
            Decision::Need(Need::Keys(_)) => evidence.keys = Some(KeysAnswer::Unavailable),
            Decision::Need(Need::Signature(work)) => evidence.signature = Some(work.verify()),
        }
    }
}
