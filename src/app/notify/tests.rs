use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::send;

fn heard(manager: &UnixDatagram) -> String {
    let mut said = [0; 64];
    let length = manager.recv(&mut said).expect("one datagram");
    String::from_utf8_lossy(&said[..length]).into_owned()
}

#[test]
fn a_manager_hears_it_at_a_path_and_at_an_abstract_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("bound");
    send(&path.display().to_string(), "READY=1").expect("sent");
    assert_eq!(heard(&manager), "READY=1");

    let name = format!("portcullis-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("bound");
    send(&format!("@{name}"), "STOPPING=1").expect("sent");
    assert_eq!(heard(&manager), "STOPPING=1");
}

#[test]
fn nobody_there_is_an_error() {
    assert!(send("/nonexistent/notify", "READY=1").is_err());
}
