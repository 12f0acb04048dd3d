"""pubq of PyPI, against GATEWAY: its base address is written in its code, and set anew in each of its clients."""

import asyncio
import os
import types

from pubq.rest import REST
from pubq.auth import Auth

from lines import serve

HTTP = "_{}__client"
rest = None


def begin(key=None, **urls):
    global rest
    Auth._Auth__instance = None
    rest = REST({"key": key, "autoRefreshToken": False, **urls})
    for owner in (rest, rest.channels):
        getattr(owner, HTTP.format(type(owner).__name__)).base_url = os.environ["GATEWAY"]
    # Its own addresses are absolute, and it puts the base before them.
    rest.auth._Auth__client.base_url = ""
    return True


def generate(client_id=None):
    options = types.SimpleNamespace(clientId=client_id) if client_id else None
    return asyncio.run(rest.generateToken(options))


def refresh(token):
    return asyncio.run(rest.refreshToken(token))


def revoke(token):
    return asyncio.run(rest.revokeToken(token))


def publish(channel, data):
    rest.channels.get(channel).publish(data)
    return True


def request_token():
    return asyncio.run(rest.auth.requestToken())


serve({
    "begin": begin, "generate": generate, "refresh": refresh, "revoke": revoke, "publish": publish,
    "requestToken": request_token,
})
