"""Processes that are measured: started on their cores, ahead of everybody else, and what they have used so far."""

import contextlib
import ctypes
import fcntl
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import places

TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
PATIENCE = 15.0
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}.get(platform.machine())


def urgent() -> None:
    """Nice -20 and a short slice, inherited by children: the bench's wake-ups come before other people's builds. Without
    the right to it, nothing changes but the noise."""
    if SCHED_SETATTR:
        size, policy, flags, nice, priority, slice_ns = 48, 0, 0, -20, 0, 100_000
        attributes = struct.pack("=IIQiIQQQ", size, policy, flags, nice, priority, slice_ns, 0, 0)
        ctypes.CDLL(None).syscall(SCHED_SETATTR, 0, attributes, 0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def spawn(command: list, cores: str, **options) -> subprocess.Popen:
    """A process in a session of its own. A session is a group to the scheduler, and nice counts within its group only, so
    that the group is raised too."""
    environment = dict(os.environ, LD_LIBRARY_PATH=places.libraries(), **options.pop("environment", {}))
    process = subprocess.Popen(
        ["taskset", "-c", cores, *map(str, command)],
        stdin=subprocess.DEVNULL, env=environment, start_new_session=True, preexec_fn=urgent, **options,
    )
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/autogroup").write_text("-20")
    return process


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextlib.contextmanager
def serving(name: str, command: list, port: int, cores: str):
    """A server that is up, with its port open, and gone afterwards. What it says is in the work directory."""
    log = places.WORK / f"{name}.log"
    with open(log, "wb") as output:
        process = spawn(command, cores, stdout=output, stderr=output)
    try:
        wait_for_port(process, name, port)
        yield process
    finally:
        stop(process)


def wait_for_port(process: subprocess.Popen, name: str, port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{name} exited with {process.returncode}: {(places.WORK / f'{name}.log').read_text()[-600:]}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"{name} did not open its port")


def stop(process: subprocess.Popen) -> None:
    """At once: nothing of it is needed any more, and a proxy that drains thousands of connections takes its time."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{current}/task"):
                waiting += map(int, Path(f"/proc/{current}/task/{thread}/children").read_text().split())
    return found


@dataclass(frozen=True)
class Cpu:
    """Microseconds of processor time."""

    user: float = 0.0
    system: float = 0.0

    @property
    def total(self) -> float:
        return self.user + self.system

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.user - other.user, self.system - other.system)


def cpu(pid: int) -> Cpu:
    user = system = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
            user, system = user + int(fields[11]), system + int(fields[12])
    return Cpu(user * TICK_US, system * TICK_US)


def resident_kib(pid: int) -> int:
    total = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    total += int(line.split()[1])
    return total


def busy_us() -> float:
    """Processor time that anybody used, or the host took away, on the two cores of the bench."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *times = line.split()
        if name in ("cpu0", "cpu1"):
            user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, times[:8])
            total += user + nice + system + interrupts + soft + stolen
    return total * TICK_US


@contextlib.contextmanager
def alone():
    """One measurement at a time on this machine, whoever else runs the bench."""
    with open(places.LOCK, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
