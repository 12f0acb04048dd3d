"""Where things are: the repository, what is installed and minted for the bench, and what it leaves behind.

Everything outside the repository is under one directory of the user's cache, so that a second run is short and removing
it removes all of it. Nothing needs root.
"""

import os
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "portcullis" / "peers"
DEBIAN = CACHE / "debian"        # unpacked packages, never installed: their services do not exist
VENV = CACHE / "venv"
UPSTREAM = CACHE / "upstream"    # compiled from upstream.c
WORK = CACHE / "work"            # configurations, logs and temporary files of the proxies
LOCK = CACHE / "lock"
MEASURED = CACHE / "results.json"

# What is kept in the repository, all of it written by `run publish`.
RESULTS = HERE / "results.json"
CHART = HERE / "chart.svg"
README = REPOSITORY / "README.md"

# The proxy under test is alone on the first; the upstream and the load share the second.
PROXY_CORES = "0"
LOAD_CORES = "1"
BOTH_CORES = "0,1"


def cargo_target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))


def portcullis() -> Path:
    """The release build, or the one that PORTCULLIS_BIN names."""
    return Path(os.environ.get("PORTCULLIS_BIN", cargo_target() / "release" / "portcullis")).absolute()


def program(name: str) -> Path | None:
    """A program that was unpacked for the bench, or else the machine's own."""
    for directory in ("usr/sbin", "usr/bin"):
        if (DEBIAN / directory / name).exists():
            return DEBIAN / directory / name
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def libraries() -> str:
    """Where unpacked programs find the libraries that were unpacked with them."""
    return ":".join(str(found) for directory in ("lib", "usr/lib") for found in sorted((DEBIAN / directory).glob("*-linux-gnu*")))


def envoy() -> Path | None:
    return next(iter(VENV.glob("lib/python*/site-packages/envoy/_bin/envoy")), None)


def lua_module() -> Path | None:
    """Fits the nginx that it was unpacked with, and no other."""
    return next(iter(DEBIAN.glob("usr/lib/nginx/modules/ngx_http_lua_module.so")), None)


def triplet() -> str:
    return next(iter((DEBIAN / "usr/lib").glob("*-linux-gnu*"))).name


def is_root() -> bool:
    return os.geteuid() == 0
