"""graphene-django: what stands in the URL goes before the body, and forms are taken as well as JSON."""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../systems"))

import django
from django.conf import settings

settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="no one's", INSTALLED_APPS=["graphene_django"], LOGGING_CONFIG=None
)
django.setup()

import graphene
from django.core.wsgi import get_wsgi_application
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from graphene_django.views import GraphQLView

from lines import serve

RAN = []


def said(kind, name):
    def resolve(*_, text=None):
        RAN.append(f"{kind}.{name}")
        return text or name

    return graphene.String(text=graphene.String(), resolver=resolve)


Query = type("Query", (graphene.ObjectType,), {name: said("Query", name) for name in ("hello", "secret")})
Mutation = type("Mutation", (graphene.ObjectType,), {name: said("Mutation", name) for name in ("create", "erase")})
schema = graphene.Schema(query=Query, mutation=Mutation)
urlpatterns = [path("graphene", csrf_exempt(GraphQLView.as_view(schema=schema, batch=False)))]


class Handler(BaseHTTPRequestHandler):
    """WSGI over HTTP/1.1: what the standard library has speaks 1.0."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environ = {
            "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body), "wsgi.errors": sys.stderr, "wsgi.version": (1, 0), "wsgi.multithread": True,
            "wsgi.multiprocess": False, "wsgi.run_once": False,
        }

        def start(status, headers, _=None):
            self.send_response(int(status.split()[0]))
            for name, value in headers:
                if name.lower() != "content-length":
                    self.send_header(name, value)

        answer = b"".join(APPLICATION(environ, start))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def ran():
    before = RAN[:]
    RAN.clear()
    return before


APPLICATION = get_wsgi_application()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
serve({"port": lambda: server.server_port, "ran": ran})
