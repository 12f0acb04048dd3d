//! Where connections come from and go to: PROXY headers, proxies in front that are believed, IPv6, Unix sockets, and
//! as many connections as there may be.

mod descriptors;
mod idle;
mod inet6;
mod proxy_protocol;
mod trusted;
mod unix;

use crate::harness::setup::Setup;

/// With more members of the public listener, as YAML in flow style.
fn listener(setup: Setup, members: &str) -> Setup {
    let members = members.to_owned();
    setup.yaml(move |text| {
        let (before, rest) = text.split_once("listeners: [").expect("listeners");
        let (address, after) = rest.split_once("]\n").expect("one listener");
        format!("{before}listeners: [{{address: {address}, {members}}}]\n{after}")
    })
}
