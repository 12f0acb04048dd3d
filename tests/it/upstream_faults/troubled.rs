//! The scene of these tests: a gateway, the fault-injecting proxy, and behind it an upstream that does its best.

use crate::harness::api::usual;
use crate::harness::fault_proxy::FaultProxy;
use crate::harness::gateway::Gateway;
use crate::harness::issuer::Issuer;
use crate::harness::setup::Setup;
use crate::harness::upstream::Upstream;

/// Dropped in this order: the gateway first.
pub struct Troubled {
    pub gateway: Gateway,
    pub proxy: FaultProxy,
    _upstream: Upstream,
    pub issuer: Issuer,
}

impl Troubled {
    /// With short timeouts, and `/any/{*rest}` open to every method.
    #[track_caller]
    pub fn start() -> Self {
        Self::with("response_timeout: 5s, connect_timeout: 1s", |setup| setup)
    }

    /// With these members of the upstream's mapping, and changed.
    #[track_caller]
    pub fn with(members: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let (issuer, upstream) = (Issuer::start(), Upstream::start());
        let proxy = FaultProxy::before(&upstream);
        let value = format!("{{peers: {:?}, {members}}}", proxy.url());
        let setup = usual(&upstream).upstream_as("api", &value).issuer("corp", &issuer);
        let gateway = change(setup.route("/any/{*rest}", "public")).start();
        Self { gateway, proxy, _upstream: upstream, issuer }
    }
}
