//! `listeners` and `admin`.

use crate::config::address::Address;
use crate::config::decode::certificate;
use crate::config::decode::fields::Fields;
use crate::config::decode::secret;
use crate::config::decode::value::Value;
use crate::config::defaults::{CERTIFICATES, LISTENERS, SOCKET_MODE, TRUSTED_PROXIES};
use crate::config::network::Network;
use crate::config::problems::{Problem, Wrong};
use crate::config::shape::{Mapping, table};
use crate::config::shown::{ClientCertificate, ListenerTls};
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
        let (mut mode, mut own) = (SOCKET_MODE, None);
        if let Some(fields) = fields {
            mode = socket_mode(&fields, &address).unwrap_or(mode);
            own = fields.value("tls").and_then(tls);
        }
        if let Some(other) = listeners.iter().find(|other| other.address.collides(&address)) {
            value.problem(format!("{address} collides with the listener {}", other.address));
            continue;
        }
        listeners.push(Listener { address, mode, tls: own, proxy_protocol, trusted_proxies });
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

/// Reads `tls`: one certificate, or several.
fn tls(value: Value<'_>) -> Option<ListenerTls> {
    let fields = Fields::open(value, &table::LISTENER_TLS)?;
    let certificates = match fields.value("certificates") {
        Some(several) => {
            let beside = ["certificate", "private_key"].iter().find_map(|name| fields.entry(name));
            if let Some(entry) = beside {
                let what = format!("a listener's `tls` has both `certificates` and `{}`", entry.key);
                fields.report.problem(Problem::new(entry.at, what).hint("move it into the list"));
            }
            let values = several.some();
            if let Some(value) = values.get(CERTIFICATES) {
                value.problem(format!("more than {CERTIFICATES} certificates"));
            }
            values.into_iter().take(CERTIFICATES).filter_map(certificate::one_of_several).collect()
        }
        None if fields.entry("certificates").is_some() => Vec::new(),
        None => {
            let only = certificate::beside(&fields);
            if only.is_none()
                && fields.entry("certificate").is_none()
                && fields.entry("private_key").is_none()
            {
                let what = "a listener's `tls` has no certificate";
                let hint = "give `certificate` and `private_key`, or several in `certificates`";
                fields.report.problem(Problem::new(fields.at, what).hint(hint));
            }
            only.into_iter().collect()
        }
    };
    let client_certificate: ClientCertificate = fields.choice("client_certificate");
    let client_ca = certificate::file(&fields, "client_ca");
    match (client_certificate, fields.entry("client_ca")) {
        (ClientCertificate::Optional | ClientCertificate::Required, None) => {
            let what = "client certificates are asked for, and nothing says who signs them";
            fields.report.problem(Problem::new(fields.at, what).hint("give `client_ca`"));
        }
        (ClientCertificate::None, Some(entry)) => {
            let what = "`client_ca` is not used while `client_certificate` is `none`";
            fields.report.warning(Problem::new(entry.at, what));
        }
        (ClientCertificate::Optional | ClientCertificate::Required, Some(_))
        | (ClientCertificate::None, None) => {}
    }
    Some(ListenerTls { certificates, client_ca, client_certificate, at: fields.at })
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
