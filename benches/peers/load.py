"""The load: wrk for HTTP/1.1, h2load for HTTP/2 and for handshakes. One thread, on a core that is not the proxy's."""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import places
import process

HANDSHAKES = 400     # connections at once, of one request each
H2_STREAMS = 8


@dataclass(frozen=True)
class Requests:
    """What is sent. The words are replay.lua's."""

    tokens: Path | None = None
    count: int | None = None
    once: bool = False
    broken: bool = False
    paths: int | None = None
    pause_ms: int | None = None

    def environment(self) -> dict[str, str]:
        named = {
            "TOKENS": self.tokens, "COUNT": self.count, "ONCE": int(self.once) or None,
            "BROKEN": int(self.broken) or None, "PATHS": self.paths, "PAUSE": self.pause_ms,
        }
        return {name: str(value) for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Answers:
    """What came of it. `cpu_us` is what making the load cost while it was measured."""

    requests: int
    seconds: float
    refused: int
    errors: int
    bytes: int
    cpu_us: float
    p50_us: int | None = None
    p99_us: int | None = None


class Wrk:
    """A load that begins when it is entered and ends with `after`."""

    def __init__(self, url: str, requests: Requests, connections: int, seconds: float, cores: str):
        # It is interrupted when the time is over, which need not be whole seconds; its own limit is for when we die.
        command = [
            places.program("wrk"), "-t1", f"-c{connections}", f"-d{math.ceil(seconds) + 30}s", "--timeout", "10s",
            "-s", places.HERE / "replay.lua", url,
        ]
        self.seconds = seconds
        self.process = process.spawn(
            command, cores, environment=requests.environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def __enter__(self) -> "Wrk":
        # Reading its tokens takes wrk a while, in which the proxy is not asked anything.
        said = self.process.stderr.readline()
        if said.strip() != "ready":
            raise RuntimeError(f"wrk: {said}{self.process.stderr.read()}")
        self.cpu_before = process.cpu(self.process.pid).total
        return self

    def after(self) -> Answers:
        time.sleep(self.seconds)
        self.process.send_signal(signal.SIGINT)
        output = self.process.stdout.read()
        cpu_us = ended(self.process) - self.cpu_before
        said = json.loads(output.strip().splitlines()[-1])
        seconds = said.pop("microseconds") / 1e6
        return Answers(seconds=seconds, cpu_us=cpu_us, **said)

    def __exit__(self, *_) -> None:
        process.stop(self.process)


class H2load:
    """The same for what wrk cannot do: HTTP/2, and a new connection for every request."""

    def __init__(self, url: str, requests: Requests, connections: int, seconds: float, cores: str, h2: bool, handshakes: bool):
        self.cores, self.handshakes, self.seconds = cores, handshakes, seconds
        self.command = [places.program("h2load"), "-t1", *(["-m", str(H2_STREAMS)] if h2 else ["--h1"])]
        if handshakes:
            self.command += ["-n", str(HANDSHAKES), "-c", str(HANDSHAKES)]
        else:
            self.command += ["-D", f"{int(seconds * 1000)}ms", "-c", str(connections)]
        if requests.tokens:
            with open(requests.tokens) as tokens:
                self.command += ["-H", f"authorization: Bearer {tokens.readline().strip()}"]
        self.command.append(url)

    def __enter__(self) -> "H2load":
        return self

    def after(self) -> Answers:
        if not self.handshakes:
            return self.run()
        end, runs = time.monotonic() + self.seconds, []
        while not runs or time.monotonic() < end:
            runs.append(self.run())
        return Answers(**{
            name: sum(getattr(run, name) for run in runs)
            for name in ("requests", "seconds", "refused", "errors", "bytes", "cpu_us")
        })

    def run(self) -> Answers:
        running = process.spawn(self.command, self.cores, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = running.stdout.read()
        cpu_us = ended(running)
        with contextlib.suppress(AttributeError):
            seconds = re.search(r"^finished in ([\d.]+)(us|ms|s),", output, re.M)
            done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
            statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
            octets = re.search(r"^traffic: \S+ \((\d+)\) total", output, re.M)
            unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0}[seconds[2]]
            good, *others = map(int, statuses.groups())
            return Answers(
                requests=good + sum(others), seconds=float(seconds[1]) * unit, refused=sum(others),
                errors=int(done[3]) + int(done[4]), bytes=int(octets[1]), cpu_us=cpu_us,
            )
        raise RuntimeError(f"h2load: {output[-600:]}")

    def __exit__(self, *_) -> None:
        pass


def ended(running: subprocess.Popen) -> float:
    """Waits for the end, and says what it cost whole, in microseconds."""
    _, running.returncode, used = os.wait4(running.pid, 0)
    return (used.ru_utime + used.ru_stime) * 1e6
