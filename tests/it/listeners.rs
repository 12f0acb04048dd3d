//! Where connections come from and go to: PROXY headers, proxies in front that are believed, IPv6, Unix sockets, and
//! as many connections as there may be.

mod unix;
