//! The order in which the parts end.

use tokio::sync::oneshot;

use super::*;

struct Parts {
    stop: watch::Sender<bool>,
    drain: watch::Receiver<bool>,
    stop_now: watch::Receiver<bool>,
    control: watch::Receiver<bool>,
    proxy: oneshot::Sender<()>,
    control_alive: oneshot::Sender<()>,
    readiness: Arc<Readiness>,
    fault: Fault,
    ready: watch::Receiver<bool>,
}

fn conductor(grace: Duration) -> (Conductor, Parts) {
    let (stop, when) = watch::channel(false);
    let (proxy, proxy_ended) = oneshot::channel();
    let (control_alive, control_ended) = oneshot::channel();
    let (announced, ready) = watch::channel(false);
    let switches = Switches::new();
    let readiness = Arc::new(Readiness::default());
    let fault = Fault::default();
    let parts = Parts {
        stop,
        drain: switches.drain.subscribe(),
        stop_now: switches.stop.subscribe(),
        control: switches.control.subscribe(),
        proxy,
        control_alive,
        readiness: Arc::clone(&readiness),
        fault: fault.clone(),
        ready,
    };
    let conductor = Conductor {
        stop: Stop::When(when),
        ready: Ready { listeners: Vec::new(), admin: None },
        files: SocketFiles::default(),
        succession: Succession::nobody(Arc::clone(&readiness)),
        prospects: Prospects {
            waiting: Box::new(Vec::new),
            catch_up: Box::new(|| Box::pin(async { Ok(()) })),
            load: Box::new(|| Box::pin(async { Ok(()) })),
            accepting: watch::channel(0).1,
            workers: 0,
        },
        on_ready: Box::new(move |_| {
            announced.send_replace(true);
        }),
        reload: Box::new(|| ()),
        readiness,
        switches,
        proxy_ended,
        control_ended,
        grace,
        fault,
    };
    (conductor, parts)
}

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn control_outlives_the_connections() {
    let (conductor, mut parts) = conductor(LONG);
    let conducted = tokio::spawn(conductor.conduct());
    parts.ready.wait_for(|ready| *ready).await.expect("announced");
    assert!(parts.readiness.reasons(&[]).is_empty());
    parts.stop.send_replace(true);
    parts.drain.wait_for(|drain| *drain).await.expect("drains");
    assert!(!parts.readiness.reasons(&[]).is_empty(), "still ready while draining");
    assert!(!*parts.stop_now.borrow(), "stopped at once with grace left");
    assert!(!*parts.control.borrow(), "control ended before the data plane");
    drop(parts.proxy);
    parts.control.wait_for(|stop| *stop).await.expect("control is told");
    drop(parts.control_alive);
    conducted.await.expect("no panic");
    assert!(parts.fault.take().is_none());
}

#[tokio::test]
async fn grace_is_the_longest_wait() {
    let (conductor, mut parts) = conductor(Duration::ZERO);
    parts.stop.send_replace(true);
    let conducted = tokio::spawn(conductor.conduct());
    parts.stop_now.wait_for(|stop| *stop).await.expect("stops");
    drop(parts.proxy);
    drop(parts.control_alive);
    conducted.await.expect("no panic");
}

#[tokio::test]
async fn a_data_plane_that_ends_by_itself_is_a_fault() {
    let (conductor, parts) = conductor(LONG);
    drop(parts.proxy);
    let watch = conductor.into_signal_watch();
    assert!(matches!(watch.recv().await, ShutdownSignal::FastShutdown));
    assert!(parts.fault.take().is_some());
}

#[tokio::test]
async fn control_that_ends_by_itself_takes_readiness_with_it() {
    let (conductor, mut parts) = conductor(LONG);
    let readiness = Arc::clone(&parts.readiness);
    drop(parts.control_alive);
    let conducted = tokio::spawn(conductor.conduct());
    parts.ready.wait_for(|ready| *ready).await.expect("announced");
    while readiness.reasons(&[]).is_empty() {
        tokio::task::yield_now().await;
    }
    parts.stop.send_replace(true);
    parts.drain.wait_for(|drain| *drain).await.expect("still drains");
    drop(parts.proxy);
    conducted.await.expect("no panic");
}
