"""Portcullis with everything on that is meant to be on: limits, header hygiene, revocation, metrics."""

import json

import places
from proxies.scene import AUDIENCE, CONNECTIONS, ISSUER, REQUESTS_PER_CONNECTION, SCOPE, Scene

REVOKED = 1_000
# Room for 100,000 tokens, where the cost of so many is compared with one's.
ROOM = ", verified_cache: 256MiB"


def command(scene: Scene) -> list:
    tls = f", tls: {{certificate: {scene.certificate}, private_key: {{file: {scene.private_key}}}}}" if scene.tls else ""
    room = ROOM if scene.many_tokens else ""
    text = f"""version: 1
workers: {scene.workers}
listeners: [{{address: 127.0.0.1:{scene.port}{tls}}}]
admin: {{address: 127.0.0.1:{scene.admin_port}}}
upstreams: {{orders: http://127.0.0.1:{scene.upstream_port}}}
{issuers(scene)}
{routes(scene)}
revocation: {{file: {revoked(scene)}}}
key_mirror: none
limits: {{connections: {CONNECTIONS}, connections_per_address: {CONNECTIONS}, requests_per_connection: {REQUESTS_PER_CONNECTION}{room}}}
log: {{level: warn, access: false}}
"""
    return [places.portcullis(), "run", "--config", scene.write("portcullis.yaml", text)]


def issuers(scene: Scene) -> str:
    if not scene.algorithm:
        return ""
    names = [ISSUER] if scene.issuers == 1 else [f"https://idp-{number}.test/" for number in range(scene.issuers)]
    lines = [
        f"  idp{number}: {{issuer: {name}, audience: {AUDIENCE}, max_token_lifetime: 31d, {accepted(scene)}}}"
        for number, name in enumerate(names)
    ]
    return "\n".join(["issuers:", *lines])


def accepted(scene: Scene) -> str:
    """The algorithms and the keys: of two algorithms, where the second's signatures come as a flood."""
    algorithms = [algorithm for algorithm in (scene.algorithm, scene.second_algorithm) if algorithm]
    keys = [key for algorithm in algorithms for key in json.loads(scene.jwks_of(algorithm).read_text())["keys"]]
    inline = json.dumps(json.dumps({"keys": keys}))
    return f"algorithms: {json.dumps(algorithms)}, keys: {{jwks: {{inline: {inline}}}}}"


def routes(scene: Scene) -> str:
    requirement = f"'{SCOPE}'" if scene.algorithm else "public"
    paths = ["/{*rest}"] if scene.routes is None else [f"GET /service{number}/orders/{{id}}" for number in range(scene.routes)]
    return "\n".join(["routes:", *(f"  {path}: {requirement}" for path in paths)])


def revoked(scene: Scene):
    entries = (f"- {{kind: jti, issuer: '{ISSUER}', value: revoked-{number}}}" for number in range(REVOKED))
    return scene.write("revoked.yaml", "\n".join(entries) + "\n")
