//! `listeners` and `admin`.

use std::net::SocketAddr;

use crate::config::decode::fields::Fields;
use crate::config::decode::secret;
use crate::config::decode::value::Value;
use crate::config::defaults::LISTENERS;
use crate::config::shape::{Mapping, table};
use crate::config::{Admin, Listener, net};

/// Reads `listeners`. No two share an address.
pub(crate) fn listeners(file: &Fields<'_>) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    let values = file.value("listeners").map(Value::some).unwrap_or_default();
    if let Some(value) = values.get(LISTENERS) {
        value.problem(format!("more than {LISTENERS} listeners"));
    }
    for value in values.into_iter().take(LISTENERS) {
        let Some((address, fields)) = address(value, &table::LISTENER) else { continue };
        if let Some(fields) = fields {
            fields.word_of("proxy_protocol");
        }
        if let Some(other) = listeners.iter().find(|other| net::collide(other.address, address)) {
            value.problem(format!("{address} collides with the listener {}", other.address));
            continue;
        }
        listeners.push(Listener { address });
    }
    listeners
}

/// Reads `admin`, which shares no address with a listener.
pub(crate) fn admin(file: &Fields<'_>, listeners: &[Listener]) -> Option<Admin> {
    let value = file.value("admin")?;
    let (address, fields) = address(value, &table::ADMIN)?;
    if let Some(other) = listeners.iter().find(|other| net::collide(other.address, address)) {
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
fn address<'a>(value: Value<'a>, shape: &'static Mapping) -> Option<(SocketAddr, Option<Fields<'a>>)> {
    if value.is_scalar() {
        return Some((value.read(net::address)?, None));
    }
    let fields = Fields::open(value, shape)?;
    let address = fields.value("address").and_then(|value| value.read(net::address));
    Some((address?, Some(fields)))
}
