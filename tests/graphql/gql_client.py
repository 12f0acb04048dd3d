"""gql of PyPI, over aiohttp and over websockets by both protocols."""

import asyncio
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../systems"))

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport

from lines import serve


def transport(client, url, token):
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    if client == "aiohttp":
        return AIOHTTPTransport(url=url, headers=bearer)
    address = url.replace("http", "ws", 1)
    return WebsocketsTransport(url=address, init_payload=bearer, subprotocols=[client], close_timeout=1)


async def operate(client, url, query, token, most):
    async with Client(transport=transport(client, url, token), execute_timeout=20) as session:
        if not query.startswith("subscription"):
            return await session.execute(gql(query))
        values = []
        async for value in session.subscribe(gql(query)):
            values.append(value)
            if len(values) == most:
                break
        return values


def run(client, url, query, token=None, most=2):
    try:
        return {"data": asyncio.run(asyncio.wait_for(operate(client, url, query, token, most), 20))}
    except Exception as error:  # noqa: BLE001: whatever the package raises is what came of it
        errors = getattr(error, "errors", None) or []
        close = getattr(getattr(error, "__cause__", None), "rcvd", None)
        return {
            "error": {
                "name": type(error).__name__,
                "message": str(error),
                "status": getattr(error, "code", None),
                "codes": [(one.get("extensions") or {}).get("code") for one in errors if isinstance(one, dict)],
                "close": getattr(close, "code", None),
            }
        }


serve({"run": run})
