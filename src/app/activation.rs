//! Sockets that a service manager has bound for us (sd_listen_fds(3)).

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use socket2::SockRef;

use crate::app::AppError;
use crate::config::Config;
use crate::config::address::Address;
use crate::proxy::listening::{Given, Origin};

/// The sockets for the listeners and for the admin listener.
pub(crate) type Activated = (Vec<Given>, Option<TcpListener>);

/// Takes the sockets that `LISTEN_FDS` and `LISTEN_PID` say are there, and finds out which listener each is for.
/// The variables are taken out of the environment, so that this has to happen before there are threads.
pub(crate) fn take(config: &Config) -> Result<Activated, AppError> {
    let mut passed = ListenFd::from_env();
    let (mut listeners, mut admin) = (Vec::new(), None);
    for index in 0..passed.len() {
        let (address, socket) = listening(&mut passed, index)?;
        if config.listeners.iter().any(|listener| listener.address == address) {
            listeners.push(Given { listener: address, origin: Origin::Manager, socket });
        } else if config.admin.as_ref().is_some_and(|admin| Some(admin.address) == address.ip()) {
            admin = Some(TcpListener::from(socket));
        } else {
            let listeners: Vec<String> =
                config.listeners.iter().map(|listener| listener.address.to_string()).collect();
            return Err(AppError::Configuration(format!(
                "the service manager passes a socket at {address}, and no listener is there; they are at {}",
                listeners.join(", ")
            )));
        }
    }
    Ok((listeners, admin))
}

/// The socket at this index, and where it listens.
fn listening(passed: &mut ListenFd, index: usize) -> Result<(Address, OwnedFd), AppError> {
    let wrong = || {
        let what = "is no listening stream socket (TCP or Unix, with a name)";
        AppError::Configuration(format!("socket {index} of those that the service manager passes {what}"))
    };
    let (address, socket) = if let Ok(Some(socket)) = passed.take_tcp_listener(index) {
        (socket.local_addr().ok().map(Address::Ip), OwnedFd::from(socket))
    } else if let Ok(Some(socket)) = passed.take_unix_listener(index) {
        (path(&socket).map(Address::Unix), OwnedFd::from(socket))
    } else {
        return Err(wrong());
    };
    if !SockRef::from(&socket).is_listener().unwrap_or(false) {
        return Err(wrong());
    }
    Ok((address.ok_or_else(wrong)?, socket))
}

fn path(socket: &UnixListener) -> Option<std::path::PathBuf> {
    socket.local_addr().ok()?.as_pathname().map(ToOwned::to_owned)
}
