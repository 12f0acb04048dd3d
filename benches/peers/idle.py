"""What a connection costs that has had its answer and is kept: resident memory, nothing else."""

import contextlib
import socket
from pathlib import Path

import load
import measure
import peers
import places
import process
from proxies.scene import Scene

CONNECTIONS = 5_000
PEERS = ("portcullis", "nginx", "haproxy", "envoy")
BUFFER = 8_192
WARM_SECONDS = 0.5


def connection(peer: peers.Peer, minted: Path, connections: int) -> measure.Measured:
    """Compares a proxy that has served already with itself once it holds `connections` more."""
    with process.alone(), measure.upstream() as (port, _):
        scene = Scene.of(minted, port, algorithm="RS256" if peer.checks else None)
        with measure.proxy(peer, scene) as front, contextlib.ExitStack() as held:
            with load.Wrk(scene.url, load.Requests(scene.tokens("one")), 64, WARM_SECONDS, places.LOAD_CORES) as warming:
                warming.after()
            before = process.resident_kib(front.pid)
            request = request_with(scene.tokens("one").read_text().strip())
            for _ in range(connections):
                ask(held, scene.port, request)
            after = process.resident_kib(front.pid)
    return measure.Measured(foreign=0.0, connection_kib=(after - before) / connections, resident_kib=after)


def request_with(token: str) -> bytes:
    return f"GET /orders/123 HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def ask(held: contextlib.ExitStack, port: int, request: bytes) -> None:
    """One request on a connection that stays open until `held` ends."""
    connection = held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < measure.BODY:
        octets = connection.recv(BUFFER)
        if not octets:
            raise RuntimeError("closed without an answer")
        answer += octets
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer.split(b"\r\n", 1)[0].decode(errors="replace"))
