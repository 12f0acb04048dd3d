"""Envoy with its filter for JWTs, and its role-based filter for the scope."""

import functools
import json

import places
from proxies.scene import AUDIENCE, CONNECTIONS, ISSUER, SCOPE, Scene

API = "type.googleapis.com/envoy.extensions"
CACHED = 20_000


def command(scene: Scene, cached: int = 0) -> list:
    filters = (authentication(scene, cached) if scene.algorithm else []) + [
        typed("envoy.filters.http.router", "filters.http.router.v3.Router", suppress_envoy_headers=True)]
    everything = {"match": {"prefix": "/"}, "route": {"cluster": "orders"}}
    manager = typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="in", codec_type="AUTO", generate_request_id=False, http_filters=filters,
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [everything]}]},
    )
    configuration = {"static_resources": {
        "listeners": [{
            "name": "front", "address": address(scene.port), "tcp_backlog_size": 4096,
            "filter_chains": [{"filters": [manager], **transport(scene)}],
        }],
        "clusters": [{
            "name": "orders", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [{
                name: CONNECTIONS for name in ("max_connections", "max_pending_requests", "max_requests")}]},
            "load_assignment": {"cluster_name": "orders", "endpoints": [{
                "lb_endpoints": [{"endpoint": {"address": address(scene.upstream_port)}}]}]},
        }],
    }}
    file = scene.write("envoy.json", json.dumps(configuration, indent=1))
    return [places.envoy(), "-c", file, "--concurrency", scene.workers, "--disable-hot-restart", "-l", "error"]


command_with_cache = functools.partial(command, cached=CACHED)


def typed(name: str, kind: str, **settings) -> dict:
    return {"name": name, "typed_config": {"@type": f"{API}.{kind}", **settings}}


def address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def transport(scene: Scene) -> dict:
    if not scene.tls:
        return {}
    # As nginx is told: no resumption, so no tickets.
    context = typed(
        "envoy.transport_sockets.tls", "transport_sockets.tls.v3.DownstreamTlsContext",
        disable_stateless_session_resumption=True, disable_stateful_session_resumption=True,
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{
                "certificate_chain": {"filename": str(scene.certificate)},
                "private_key": {"filename": str(scene.private_key)},
            }],
        },
    )
    return {"transport_socket": context}


def authentication(scene: Scene, cached: int) -> list[dict]:
    provider = {
        "issuer": ISSUER, "audiences": [AUDIENCE], "forward": True, "require_expiration": True,
        "payload_in_metadata": "token", "local_jwks": {"inline_string": scene.jwks_of(scene.algorithm).read_text()},
    }
    if cached:
        provider["jwt_cache_config"] = {"jwt_cache_size": cached}
    scope = {"metadata": {
        "filter": "envoy.filters.http.jwt_authn", "path": [{"key": "token"}, {"key": "scope"}],
        "value": {"string_match": {"safe_regex": {"regex": f"(.* )?{SCOPE}( .*)?"}}},
    }}
    return [
        typed(
            "envoy.filters.http.jwt_authn", "filters.http.jwt_authn.v3.JwtAuthentication",
            providers={"idp": provider},
            rules=[{"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}],
        ),
        typed(
            "envoy.filters.http.rbac", "filters.http.rbac.v3.RBAC",
            rules={"action": "ALLOW", "policies": {"scope": {"permissions": [{"any": True}], "principals": [scope]}}},
        ),
    ]
