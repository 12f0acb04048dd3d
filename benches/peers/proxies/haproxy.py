"""HAProxy, which verifies the signature of every token; what the claims have to be is rules written by hand."""

import places
from proxies.scene import AUDIENCE, CONNECTIONS, ISSUER, SCOPE, Scene


def command(scene: Scene) -> list:
    text = f"""global
    nbthread {scene.workers}
    maxconn {CONNECTIONS // 3}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend front
    bind 127.0.0.1:{scene.port}
{rules(scene)}
    default_backend orders
backend orders
    server orders 127.0.0.1:{scene.upstream_port}
"""
    return [places.program("haproxy"), "-db", "-f", scene.write("haproxy.cfg", text)]


def rules(scene: Scene) -> str:
    if not scene.algorithm:
        return ""

    def claim(name: str, kind: str = "") -> str:
        return f"var(txn.token),jwt_payload_query('$.{name}'{kind})"

    def unless(status: int, condition: str) -> str:
        return f"http-request return status {status} unless {{ {condition} }}"

    lines = [
        "http-request set-var(txn.token) http_auth_bearer",
        unless(401, "var(txn.token) -m found"),
        "http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')",
        unless(401, f"var(txn.alg) -m str {scene.algorithm}"),
        unless(401, f'var(txn.token),jwt_verify(txn.alg,"{scene.public_key}") 1'),
        f"http-request set-var(txn.exp) {claim('exp', ',' + repr('int'))}",
        f"http-request set-var(txn.nbf) {claim('nbf', ',' + repr('int'))}",
        "http-request set-var(txn.now) date()",
        unless(401, "var(txn.exp),sub(txn.now) -m int gt 0"),
        unless(401, "var(txn.nbf),sub(txn.now) -m int le 0"),
        unless(401, f"{claim('iss')} -m str {ISSUER}"),
        unless(401, f"{claim('aud')} -m str {AUDIENCE}"),
        unless(403, f"{claim('scope')} -m reg '(^| ){SCOPE}( |$)'"),
    ]
    return "\n".join(f"    {line}" for line in lines)
