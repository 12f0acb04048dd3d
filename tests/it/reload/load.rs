//! 100 reloads, half of them of broken files, while requests flow: no unexpected status and no reset.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::harness::api::Api;
use crate::harness::client::Request;

const RELOADS: usize = 100;

#[test]
fn k7_reloads_lose_no_request() {
    let api = Api::with(|setup| setup.quiet().route("GET /always", "public"));
    let (over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    let token = api.reader();
    let requests = [
        (Request::get("/always"), 200),
        (Request::get("/orders/1").bearer(&token), 200),
        (Request::get("/orders/1"), 401),
        (Request::get("/orders/1").bearer(&api.issuer.mint("none")), 403),
        (Request::get("/nowhere"), 404),
    ];
    std::thread::scope(|scope| {
        for kept in [true, true, true, false] {
            let (api, over, served, requests) = (&api, &over, &served, &requests);
            scope.spawn(move || {
                let mut connection = api.gateway.connect();
                while !over.load(Ordering::SeqCst) {
                    for (request, status) in requests {
                        if !kept {
                            connection = api.gateway.connect();
                        }
                        // A reset or an early end panics in here.
                        let response = connection.send(request);
                        assert_eq!(response.status, *status, "{response:?}");
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reload_often(&api)));
        over.store(true, Ordering::SeqCst);
        outcome.expect("every reload is answered as it should be");
    });
    let served = served.load(Ordering::SeqCst);
    assert!(served > RELOADS as u64, "only {served} requests flowed");
    eprintln!("{RELOADS} reloads, half of them broken, beside {served} requests: all as expected");
}

fn reload_often(api: &Api) {
    let sound = api.gateway.config();
    for round in 0..RELOADS {
        let broken = round % 2 == 1;
        let text = if broken {
            sound.replace("routes:", "roots:")
        } else {
            format!("{sound}  \"GET /round/{round}\": authenticated\n")
        };
        api.gateway.replace("portcullis.yaml", text);
        let response = api.gateway.reload();
        assert_eq!(response.status != 200, broken, "{response:?}");
    }
}
