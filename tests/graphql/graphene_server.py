"""graphene-django: what stands in the URL goes before the body, and forms are taken as well as JSON."""

import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

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


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def ran():
    before = RAN[:]
    RAN.clear()
    return before


server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
serve({"port": lambda: server.server_port, "ran": ran})
