"""What a schema cannot say: which token is good, which cursor is one, and what lines of JSON are."""

import json
import os

import schemathesis
from hypothesis import strategies

schemathesis.openapi.format("jwt", strategies.just(os.environ["HELD_TOKEN"]))
schemathesis.openapi.format("cursor", strategies.just(os.environ["CURSOR"]))
schemathesis.openapi.format("place", strategies.just(os.environ["PLACE"]))


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    values = value if isinstance(value, list) else [value]
    return "".join(json.dumps(value) + "\n" for value in values).encode()


@schemathesis.deserializer("application/x-ndjson")
def last_line(context, response):
    return json.loads(response.content.decode().splitlines()[-1])
