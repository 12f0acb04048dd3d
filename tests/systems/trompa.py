"""trompace-client, against GATEWAY: the host stands in a file of its own form."""

import os
import tempfile

from trompace.config import config
from trompace.connection import submit_query
from trompace.exceptions import QueryException
from trompace.mutations.person import mutation_create_person

from lines import serve

INI = """
[logging]
level = error
[server]
host = {host}
[auth]
required = true
id = {id}
key = {key}
scopes = {scopes}
token_cache_dir = {cache}
"""


def begin(id, key, scopes):
    """As a program begins: with its file, and without a token."""
    config.jwt_token_encoded = None
    cache = tempfile.mkdtemp()
    path = os.path.join(cache, "client.ini")
    with open(path, "w") as file:
        file.write(INI.format(host=os.environ["GATEWAY"], id=id, key=key, scopes=",".join(scopes), cache=cache))
    config.load(path)
    return True


def submit(text, auth=True):
    try:
        return submit_query(text, auth_required=auth)
    except QueryException as refused:
        return {"refused": str(refused)}


def create():
    text = mutation_create_person(
        title="A person", contributor="https://example.com", creator="https://example.com",
        source="https://example.com/1", format_="text/html", language="en", name="Anna",
    )
    return submit(text)


def query(auth=True):
    return submit("query { Person(identifier: \"1\") { name } }", auth)


def token():
    return config.jwt_token_encoded


serve({"begin": begin, "create": create, "query": query, "submit": submit, "token": token})
