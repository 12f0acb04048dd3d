//! Both sides of an upgrade in one process, on real sockets.

use std::net::TcpListener;

use super::predecessor;
use super::*;
use crate::config::address::Address;
use crate::proxy::listening::Origin;
use crate::store::error::StoreError;

/// Listens for upgrades with so many sockets to give.
fn host(path: &Path, sockets: usize) -> (Estate, tokio::task::JoinHandle<()>) {
    let offered = (0..sockets).map(|_| {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = Address::Ip(socket.local_addr().expect("an address"));
        Offered { name: Name::Listener(address, Origin::Own), socket: socket.into() }
    });
    let estate = Estate {
        offer: Arc::new(Offer::new(offered.collect())),
        readiness: Arc::default(),
        store: None,
        audit: None,
        handed: Arc::new(watch::channel(false).0),
    };
    let host = Host::open(path).expect("it listens");
    (estate.clone(), tokio::spawn(host.serve(estate)))
}

async fn ask(path: &Path) -> Result<(predecessor::Predecessor, Vec<Offered>), HandoverError> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || predecessor::ask(&path)).await.expect("no panic")
}

#[tokio::test]
async fn more_sockets_than_fit_at_once_travel_under_their_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("upgrade.sock");
    let (estate, served) = host(&path, 300);
    let (predecessor, sockets) = ask(&path).await.expect("given");
    assert_eq!(sockets.len(), 300);
    for Offered { name, socket } in sockets {
        let at = TcpListener::from(socket).local_addr().expect("an address");
        assert_eq!(name, Name::Listener(Address::Ip(at), Origin::Own));
    }
    assert!(!estate.readiness.is_handed_over(), "not before it is told that the new one is ready");
    tokio::task::spawn_blocking(|| predecessor.ready()).await.expect("no panic").expect("let go");
    assert!(estate.readiness.is_handed_over());
    served.await.expect("it ends");
    assert!(path.exists(), "the successor's file may stand there");
}

#[tokio::test]
async fn a_new_process_that_dies_is_forgotten_and_the_next_one_is_served() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("upgrade.sock");
    let (estate, _served) = host(&path, 3);
    let (first, _sockets) = ask(&path).await.expect("given");
    let refused = ask(&path).await.expect_err("one is under way");
    assert!(refused.to_string().contains("another upgrade is under way"), "{refused}");
    drop(first);
    // Until its end is noticed, it is under way.
    let (second, sockets) = loop {
        match ask(&path).await {
            Ok(given) => break given,
            Err(HandoverError::Refused(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(sockets.len(), 3);
    assert!(!*estate.handed.borrow());
    tokio::task::spawn_blocking(|| second.ready()).await.expect("no panic").expect("let go");
}

#[tokio::test]
async fn the_store_takes_nothing_between_still_and_the_end_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("upgrade.sock");
    let store = Arc::new(Store::open(&directory.path().join("p.db")).expect("a store"));
    let (mut estate, served) = host(&path, 1);
    served.abort();
    assert!(served.await.is_err());
    estate.store = Some(Arc::clone(&store));
    let host = Host::open(&path).expect("it listens");
    tokio::spawn(host.serve(estate.clone()));
    let still = || async {
        let (predecessor, _sockets) = ask(&path).await.expect("given");
        tokio::task::spawn_blocking(|| predecessor.still()).await.expect("no panic").expect("still")
    };
    let successor = still().await;
    assert_eq!(store.append(Vec::new()).await, Err(StoreError::Paused));
    // It dies: the running process takes changes again.
    drop(successor);
    while store.append(Vec::new()).await.is_err() {
        tokio::task::yield_now().await;
    }
    let successor = still().await;
    tokio::task::spawn_blocking(|| successor.ready()).await.expect("no panic").expect("let go");
    assert_eq!(store.append(Vec::new()).await, Err(StoreError::Paused), "it has let go for good");
}

#[tokio::test]
async fn a_process_that_stops_gives_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("upgrade.sock");
    let (estate, served) = host(&path, 3);
    estate.offer.close();
    let refused = ask(&path).await.expect_err("nothing is offered");
    assert!(refused.to_string().contains("stopping"), "{refused}");
    served.abort();
    assert!(served.await.is_err());
    assert!(!path.exists(), "its file is gone");
}

#[test]
fn a_directory_that_others_may_enter_is_refused() {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("portcullis");
    let socket = directory.join("upgrade.sock");
    secure_directory(&socket).expect("it is made");
    let mode = || fs::metadata(&directory).expect("a directory").mode() & 0o7777;
    assert_eq!(mode(), 0o700);
    secure_directory(&socket).expect("it is ours alone");
    fs::set_permissions(&directory, Permissions::from_mode(0o750)).expect("changed");
    let refused = secure_directory(&socket).expect_err("the group may enter");
    assert!(refused.contains("chmod 0700"), "{refused}");
    assert!(secure_directory(Path::new("/nonexistent/deep/upgrade.sock")).is_err());
}
