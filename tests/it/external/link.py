"""A network that loses and delays packets: two ends, of which one is in a network namespace of its own, with a server.

What the kernel has for this (netem) is not in every kernel; a TUN device is. Each end is one, and this process carries
packets between them. Says the server's address, then answers each line of its input: `delay MS`, `lose PERCENT`, `cut`,
`mend`, and `end`, with a line.

The server counts what it is sent by `POST /pay/ID`, and tells it by `GET /counts`.
"""

import fcntl
import heapq
import http.server
import json
import os
import random
import select
import struct
import subprocess
import sys
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PORT = 8080


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Link:
    """Both ends, and what happens between them."""

    def __init__(self, number):
        self.namespace = f"pcl{number}"
        # A subnet for each of those that run at once (RFC 2544's, which nobody routes).
        self.near, self.far = f"198.18.{number % 250}.1", f"198.18.{number % 250}.2"
        self.delay, self.loss, self.is_cut, self.random = 0.0, 0.0, False, random.Random(number)
        near, far = f"pcn{number}", f"pcf{number}"
        run("ip", "netns", "add", self.namespace)
        self.ends = (tun(near), tun(far))
        run("ip", "link", "set", far, "netns", self.namespace)
        run("ip", "addr", "add", self.near, "peer", self.far, "dev", near)
        run("ip", "link", "set", near, "up")
        inside = ("ip", "netns", "exec", self.namespace, "ip")
        run(*inside, "addr", "add", self.far, "peer", self.near, "dev", far)
        run(*inside, "link", "set", far, "up")
        run(*inside, "link", "set", "lo", "up")

    def carry(self):
        ahead, order = [], 0
        while True:
            wait = max(0, ahead[0][0] - time.monotonic()) if ahead else None
            for end in select.select(self.ends, [], [], wait)[0]:
                packet = os.read(end, 65536)
                if self.is_cut or self.random.random() < self.loss:
                    continue
                order += 1
                to = self.ends[1 - self.ends.index(end)]
                heapq.heappush(ahead, (time.monotonic() + self.delay, order, to, packet))
            while ahead and ahead[0][0] <= time.monotonic():
                _, _, to, packet = heapq.heappop(ahead)
                if not self.is_cut:
                    os.write(to, packet)

    def obey(self, line):
        what, _, value = line.partition(" ")
        if what == "delay":
            self.delay = float(value) / 1000
        elif what == "lose":
            self.loss = float(value) / 100
        elif what in ("cut", "mend"):
            self.is_cut = what == "cut"
        else:
            raise ValueError(line)


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    counts, lock = {}, threading.Lock()

    def do_GET(self):
        with self.lock:
            self.answer(json.dumps(self.counts))

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        name = self.path.rpartition("/")[2]
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + 1
        self.answer(name)

    def answer(self, text):
        self.send_response_only(200)
        self.send_header("content-length", str(len(text)))
        self.send_header("x-upstream", "yes")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def main():
    if sys.argv[1:2] == ["server"]:
        http.server.ThreadingHTTPServer.daemon_threads = True
        # Its own few would have the kernel answer some by SYN cookies, and reset those whose last packet is lost.
        http.server.ThreadingHTTPServer.request_queue_size = 64
        http.server.ThreadingHTTPServer((sys.argv[2], PORT), Server).serve_forever()
    link = Link(os.getpid())
    server = None
    try:
        threading.Thread(target=link.carry, daemon=True).start()
        inside = ["ip", "netns", "exec", link.namespace]
        server = subprocess.Popen(inside + [sys.executable, __file__, "server", link.far])
        print(f"{link.far}:{PORT}", flush=True)
        for line in sys.stdin:
            if line.strip() == "end":
                break
            link.obey(line.strip())
            print("done", flush=True)
    finally:
        if server:
            server.kill()
            server.wait()
        run("ip", "netns", "del", link.namespace)


main()
