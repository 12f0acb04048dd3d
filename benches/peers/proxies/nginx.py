"""nginx, the yardstick: it only forwards. And nginx with Lua, which verifies a token once and remembers that it did."""

import places
from proxies.scene import AUDIENCE, CONNECTIONS, ISSUER, KEPT, REQUESTS_PER_CONNECTION, SCOPE, Scene

# As many as Envoy is told to keep.
REMEMBERED = 20_000


def command(scene: Scene) -> list:
    return serve(scene, "", "", "")


def command_with_lua(scene: Scene) -> list:
    lua = places.DEBIAN / "usr/share/lua/5.1", places.DEBIAN / "usr/lib" / f"{places.triplet()}/lua/5.1"
    modules = places.DEBIAN / "usr/lib/nginx/modules"
    load = f"load_module {modules}/ndk_http_module.so; load_module {modules}/ngx_http_lua_module.so;"
    http = f"""
  lua_package_path "{places.HERE}/proxies/?.lua;{lua[0]}/?.lua;;";
  lua_package_cpath "{lua[1]}/?.so;;";
  init_worker_by_lua_block {{
    verify = require("verify").new {{
      algorithm = "{scene.algorithm}", public_key = "{scene.public_key}", remembered = {REMEMBERED},
      issuer = "{ISSUER}", audience = "{AUDIENCE}", scope = "{SCOPE}",
    }}
  }}"""
    return serve(scene, load, http, "access_by_lua_block { verify() }")


def serve(scene: Scene, load: str, http: str, access: str) -> list:
    ways = ("ssl" if scene.tls else "") + (" http2" if scene.h2 else "")
    certificate = ""
    if scene.tls:
        # Every handshake is a whole one: the load resumes none, and tickets are work that the others do not do for it.
        certificate = f"""
    ssl_protocols TLSv1.3; ssl_session_tickets off;
    ssl_certificate {scene.certificate}; ssl_certificate_key {scene.private_key};"""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {scene.directory}/{kind};" for kind in kinds)
    # Workers that root starts become nobody, who may read nothing of the bench's.
    user = "user root;" if places.is_root() else ""
    text = f"""daemon off; worker_processes {scene.workers}; pid {scene.directory}/nginx.pid; {user}
error_log {scene.directory}/nginx-errors.log error; worker_rlimit_nofile {CONNECTIONS}; {load}
events {{ worker_connections {CONNECTIONS}; }}
http {{
  access_log off; {temporary}
  keepalive_requests {REQUESTS_PER_CONNECTION};
  upstream orders {{
    server 127.0.0.1:{scene.upstream_port};
    keepalive {KEPT}; keepalive_requests {REQUESTS_PER_CONNECTION};
  }}{http}
  server {{
    listen 127.0.0.1:{scene.port} {ways} backlog=4096;{certificate}
    location / {{
      {access}
      proxy_pass http://orders; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""
    return [places.program("nginx"), "-p", scene.directory, "-c", scene.write("nginx.conf", text)]
