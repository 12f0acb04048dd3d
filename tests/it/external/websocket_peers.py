"""A WebSocket server and client of the `websockets` package, with the gateway between them.

    websocket_peers.py server            prints its port, serves until its input ends
    websocket_peers.py client URL TOKEN  URL the gateway's route
"""

import asyncio
import sys

import websockets
from websockets.exceptions import InvalidStatus


async def serve():
    async def echo(connection):
        async for message in connection:
            await connection.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def refused(url, status, **options):
    try:
        async with websockets.connect(url, **options):
            raise AssertionError("not refused")
    except InvalidStatus as error:
        assert error.response.status_code == status, error.response.status_code


async def run(url, token):
    headers = {"Authorization": f"Bearer {token}"}
    await refused(url, 401)
    await refused(url, 401, additional_headers={"Authorization": "Bearer x.y.z"})
    await refused(url, 403, additional_headers=headers, origin="https://evil.example")
    done = 3
    async with websockets.connect(url, additional_headers=headers, max_size=None) as connection:
        for message in ["hello", b"\x00\xff" * 1000, "x" * 1_000_000, ""]:
            await connection.send(message)
            assert await connection.recv() == message
            done += 1
        await connection.send(["in ", "three ", "parts"])
        assert await connection.recv() == "in three parts"
        await asyncio.wait_for(await connection.ping(), 10)
        done += 2
    # Compression is negotiated end to end, and closing is a handshake.
    assert connection.close_code == 1000, connection.close_code

    async def one(number):
        async with websockets.connect(url, additional_headers=headers) as connection:
            for round in range(20):
                await connection.send(f"{number}.{round}")
                assert await connection.recv() == f"{number}.{round}"

    await asyncio.gather(*(one(number) for number in range(100)))
    print(f"websockets: {done + 101} checks passed")


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1] == "server" else run(*sys.argv[2:]))
