//! `listeners` and `admin`.

use crate::config::address::Address;
use crate::config::decode::fields::Fields;
use crate::config::decode::secret;
use crate::config::decode::value::Value;
use crate::config::defaults::{LISTENERS, SOCKET_MODE, TRUSTED_PROXIES};
use crate::config::network::Network;
use crate::config::problems::{Problem, Wrong};
use crate::config::shape::{Mapping, table};
use crate::config::{Admin, Listener, ProxyProtocol, net};

/// Reads `listeners`. No two share an address.
pub(crate) fn listeners(file: &Fields<'_>) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    let values = file.value("listeners").map(Value::some).unwrap_or_default();
    if let Some(value) = values.get(LISTENERS) {
        value.problem(format!("more than {LISTENERS} listeners"));
    }
    for value in values.into_iter().take(LISTENERS) {
        let place = |text: &str| Address::read(text, file.report.context.directory);
        let Some((address, fields)) = address(value, &table::LISTENER, place) else { continue };
        let (proxy_protocol, trusted_proxies) = fields.as_ref().map(proxies).unwrap_or_default();
        let mode = fields.and_then(|fields| socket_mode(&fields, &address)).unwrap_or(SOCKET_MODE);
        if let Some(other) = listeners.iter().find(|other| other.address.collides(&address)) {
            value.problem(format!("{address} collides with the listener {}", other.address));
            continue;
        }
        listeners.push(Listener { address, mode, proxy_protocol, trusted_proxies });
    }
    listeners
}

/// What stands before a listener: whether it says so itself, and whose word is taken for whom.
fn proxies(fields: &Fields<'_>) -> (ProxyProtocol, Vec<Network>) {
    let values = fields.value("trusted_proxies").map(Value::list).unwrap_or_default();
    if let Some(value) = values.get(TRUSTED_PROXIES) {
        value.problem(format!("more than {TRUSTED_PROXIES} networks"));
    }
    let networks = values.into_iter().take(TRUSTED_PROXIES).filter_map(|value| {
        let network = value.read(Network::read)?;
        if network.is_everything() {
            let problem = Problem::new(value.node.at, "`trusted_proxies` names every address there is");
            fields.report.warning(problem.hint("any client can then say that it is another one"));
        }
        Some(network)
    });
    let networks = networks.collect();
    (fields.choice("proxy_protocol"), networks)
}

/// Reads `admin`, which shares no address with a listener.
pub(crate) fn admin(file: &Fields<'_>, listeners: &[Listener]) -> Option<Admin> {
    let value = file.value("admin")?;
    let (address, fields) = address(value, &table::ADMIN, net::address)?;
    if let Some(other) = listeners.iter().find(|other| other.address.collides_with_admin(address)) {
        value.problem_with_hint(
            format!("{address} collides with the listener {}", other.address),
            "the admin listener has an address of its own, best on loopback",
        );
    }
    let token = fields.and_then(|fields| fields.value("token"));
    let token = token.and_then(|token| secret::read(token, &table::SECRET)).map(|(secret, _)| secret);
    Some(Admin { address, token })
}

/// An address, or the mapping that it is short for.
fn address<'a, T>(
    value: Value<'a>,
    shape: &'static Mapping,
    read: impl Fn(&str) -> Result<T, Wrong>,
) -> Option<(T, Option<Fields<'a>>)> {
    if value.is_scalar() {
        return Some((value.read(read)?, None));
    }
    let fields = Fields::open(value, shape)?;
    let address = fields.value("address").and_then(|value| value.read(read));
    Some((address?, Some(fields)))
}

/// The permissions of a Unix socket's file.
fn socket_mode(fields: &Fields<'_>, address: &Address) -> Option<u32> {
    let value = fields.value("mode")?;
    if let Address::Ip(_) = address {
        value.problem_with_hint(
            "`mode` is for the file of a Unix socket",
            "anybody can connect to an IP address: leave it out",
        );
        return None;
    }
    value.read(|text| match text.as_bytes() {
        [b'0', digits @ ..]
            if digits.len() == 3 && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) =>
        {
            Ok(digits.iter().fold(0, |mode, digit| mode * 8 + u32::from(digit - b'0')))
        }
        _ => Err(Wrong::is("is no file mode").hint("write four octal digits, such as `0660`")),
    })
}
