"""The peers: what each is called, whether it is here, which version, and how it is configured."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import places
from proxies import envoy, haproxy, nginx, portcullis
from proxies.scene import Scene


@dataclass(frozen=True)
class Peer:
    """`checks` is whether it can verify tokens."""

    name: str
    title: str
    program: Callable[[], Path | None]
    command: Callable[[Scene], list]
    version_option: str
    checks: bool = True

    def present(self) -> bool:
        program = self.program()
        return program is not None and program.exists()

    def version(self) -> str:
        said = subprocess.run(
            [str(self.program()), self.version_option], capture_output=True, text=True,
            env=dict(os.environ, LD_LIBRARY_PATH=places.libraries()),
        )
        # nginx says it as an error.
        return re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)[0]


def unpacked(name: str) -> Callable[[], Path | None]:
    return lambda: places.program(name)


def nginx_with_lua() -> Path | None:
    return places.program("nginx") if places.lua_module() else None


ALL = [
    Peer("portcullis", "Portcullis", places.portcullis, portcullis.command, "--version"),
    Peer("nginx", "nginx", unpacked("nginx"), nginx.command, "-v", checks=False),
    Peer("nginx-lua", "nginx + Lua cache", nginx_with_lua, nginx.command_with_lua, "-v"),
    Peer("haproxy", "HAProxy", unpacked("haproxy"), haproxy.command, "-v"),
    Peer("envoy", "Envoy", places.envoy, envoy.command, "--version"),
    Peer("envoy-cache", "Envoy, cache", places.envoy, envoy.command_with_cache, "--version"),
]
NAMED = {peer.name: peer for peer in ALL}
