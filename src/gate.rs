//! `decide`: the straight path (skeleton).

pub mod denial;
pub mod evidence;
pub mod grant;
pub mod memo;

use std::net::IpAddr;

use crate::path::Path;

/// One header line.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// As sent.
    pub name: &'a str,
    /// Without surrounding white space.
    pub value: &'a [u8],
}

/// A request, as far as a decision reads it. Made by whoever framed it (HTTP/1.1: `http1`).
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// As sent, case-sensitive.
    pub method: &'a str,
    /// The host, lower-case, without port or trailing dot.
    pub host: &'a str,
    /// The path, made canonical once.
    pub path: Path<'a>,
    /// What follows `?`, if there is one.
    pub query: Option<&'a str>,
    /// Header lines in order.
    pub headers: &'a [Field<'a>],
    /// The client's address.
    pub peer: IpAddr,
}
