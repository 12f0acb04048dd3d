//! Addresses, URLs, hosts, origins and header names, checked once so that nothing behind the configuration has
//! to.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use http::Uri;
use http::uri::Authority;

use crate::config::address::socket_file;
use crate::config::peer::{Peer, Scheme};
use crate::config::problems::Wrong;

#[cfg(test)]
mod tests;

/// Reads `IP:PORT`.
pub fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        let wrong = Wrong::is("is no address");
        if let Some(port) = text.strip_prefix(':') {
            wrong.hint(format!("write `0.0.0.0:{port}` for every IPv4 address of this machine"))
        } else if text.parse::<IpAddr>().is_ok() {
            wrong.hint("add a port, such as `:8080`")
        } else if text.starts_with("localhost:") {
            wrong.hint("a listener is an IP address and a port: write 127.0.0.1")
        } else {
            wrong.hint("write an IP address and a port, such as `0.0.0.0:8080` or `\"[::]:8080\"`")
        }
    })
}

/// Whether binding both would put two listeners on one address and port. Port 0 is a port of its own each time, and
/// `[::]` is every IPv6 address and no IPv4 one: `0.0.0.0` stands beside it.
pub fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |one: IpAddr, other: IpAddr| one.is_unspecified() && one.is_ipv6() == other.is_ipv6();
    a.port() == b.port()
        && a.port() != 0
        && (a.ip() == b.ip() || covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
}

/// The same where the first is the admin listener, whose `[::]` is every IPv4 address too.
pub fn collides_with_admin(admin: SocketAddr, listener: SocketAddr) -> bool {
    let both = admin.ip().is_unspecified() && admin.is_ipv6() && listener.port() == admin.port();
    collide(admin, listener) || (both && admin.port() != 0)
}

/// Reads a peer: `http://HOST[:PORT]`, `h2c://HOST[:PORT]`, `https://HOST[:PORT]`, or `unix:PATH`, where a relative path
/// begins at `directory`.
pub fn peer(text: &str, directory: &Path) -> Result<Peer, Wrong> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Peer::Unix(unix(path, directory)?));
    }
    let example = "write it as `http://10.0.0.5:8080` or `unix:/run/app.sock`";
    let (scheme, uri) = split_url(text, example)?;
    let scheme = match scheme {
        "http" => Scheme::Http,
        "h2c" => Scheme::H2c,
        "https" => Scheme::Https,
        _ => return Err(Wrong::is("is no URL of a peer").hint(example)),
    };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(Wrong::is("has a path").hint("a peer is a host and a port; the path is the client's"));
    }
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(scheme.port());
    if port == 0 {
        return Err(Wrong::is("has the port 0").hint(example));
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(Peer::Host { scheme, host: bare.to_ascii_lowercase().into(), port })
}

/// Reads the path of a peer's Unix socket.
fn unix(path: &str, directory: &Path) -> Result<Arc<Path>, Wrong> {
    let wrong = |why: &str| Wrong::is(why.to_owned()).hint("write it as `unix:/run/app.sock`");
    if path.is_empty() || path.ends_with('/') {
        return Err(wrong("names no file"));
    }
    if path.starts_with("//") {
        return Err(wrong("is written as a URL, which could mean two paths"));
    }
    socket_file(path, directory).map(Arc::from)
}

/// Reads the URL of a key set or an issuer that is fetched. `plain` accepts `http` beyond loopback.
pub fn fetched(text: &str, plain: bool) -> Result<(), Wrong> {
    let example = "write it as `https://login.example.com/…`";
    let (scheme, uri) = split_url(text, example)?;
    match scheme {
        "https" => Ok(()),
        "http" if plain || is_loopback(uri.host().unwrap_or_default()) => Ok(()),
        "http" => Err(Wrong::is("would fetch keys over plain HTTP")
            .hint("use https; `dangerous_http: true` on the issuer accepts it beyond loopback")),
        _ => Err(Wrong::is("is no URL that keys can be fetched from").hint(example)),
    }
}

/// Checks `HOST[:PORT]`, as in a `Host` field (RFC 9110 section 7.2).
pub fn host_and_port(text: &str) -> Result<(), Wrong> {
    let wrong = || Wrong::is("is no host").hint("write a name or an address, with `:PORT` if there is one");
    let uri: Uri = format!("http://{text}/").parse().map_err(|_| wrong())?;
    let authority = uri.authority().filter(|authority| authority.as_str() == text).ok_or_else(wrong)?;
    if text.contains('@') || uri.path() != "/" || !has_valid_port(authority) {
        return Err(wrong());
    }
    host(authority.host()).map(drop)
}

/// Reads a host: a name or an address (IPv6 in brackets), in lower case without a trailing dot.
pub fn host(text: &str) -> Result<String, Wrong> {
    let wrong = |why: &str| Wrong::is(why.to_owned());
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.map(|address| format!("[{address}]")).ok_or_else(|| wrong("is no IPv6 address"));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if !name.is_ascii() {
        return Err(wrong("is not ASCII").hint("write the name as it stands in DNS (`xn--…`)"));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(wrong("is no host name"));
    }
    Ok(name)
}

/// Checks an origin as browsers send it (RFC 6454 section 6.2): they are compared octet for octet.
pub fn origin(text: &str) -> Result<(), Wrong> {
    let wrong =
        |why: &str| Wrong::is(why.to_owned()).hint("write it as a browser does: `https://app.example.com`");
    if text == "null" {
        return Err(wrong("is what every sandboxed page sends"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("is no origin"))?;
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b));
    if !scheme_ok {
        return Err(wrong("is no origin"));
    }
    if rest.contains(['/', '?', '#']) {
        return Err(wrong("has a path, which an origin never has"));
    }
    if rest.contains('*') {
        return Err(wrong("is a pattern; origins are compared exactly"));
    }
    host_and_port(rest).map_err(|_| wrong("is no origin"))?;
    if rest.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(wrong("is not in lower case"));
    }
    let standard = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return Ok(()),
    };
    if rest.ends_with(standard) && !rest.ends_with("]") {
        return Err(wrong("names the scheme's own port, which browsers leave out"));
    }
    Ok(())
}

/// Checks a field name (RFC 9110 section 5.1).
pub fn header_name(text: &str) -> Result<(), Wrong> {
    if is_token(text) && text.len() <= 256 {
        return Ok(());
    }
    Err(Wrong::is("is no header name").hint("letters, digits and `-`"))
}

/// Is this a `token` (RFC 9110 section 5.6.2)?
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A header name as every spelling of it is compared: lower case, whatever is no letter or digit as `-`.
pub fn folded(name: &str) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(fold).collect()
}

fn split_url<'t>(text: &'t str, example: &str) -> Result<(&'t str, Uri), Wrong> {
    let wrong = |why: &str| Wrong::is(why.to_owned()).hint(example);
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("is no URL"))?;
    if text.contains('#') {
        return Err(wrong("has a fragment, which is never sent"));
    }
    // `Uri` knows only some schemes; what is checked is the rest.
    let uri: Uri = format!("http://{rest}").parse().map_err(|_| wrong("is no URL"))?;
    let authority = uri.authority().ok_or_else(|| wrong("is no URL"))?;
    if authority.as_str().contains('@') {
        // The message repeats the URL; callers that see this hide it.
        return Err(wrong("has a user name or password in it").secret());
    }
    host(authority.host()).map_err(|_| wrong("has no valid host"))?;
    if !has_valid_port(authority) {
        return Err(wrong("has no valid port"));
    }
    Ok((scheme, uri))
}

/// No port at all, or a number that is one. `Uri` accepts anything behind the colon.
fn has_valid_port(authority: &Authority) -> bool {
    authority.as_str() == authority.host() || authority.port_u16().is_some()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
