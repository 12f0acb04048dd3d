"""A gRPC server and a gRPC client of grpcio's own, with the gateway between them.

    grpc_peers.py server            prints its port, serves until its input ends
    grpc_peers.py client PORT TOKEN OTHER
                                    PORT the gateway's, TOKEN with the scope, OTHER without it
"""

import sys
import threading
from concurrent import futures

import grpc

cancelled = threading.Event()


def unary(request, context):
    context.set_trailing_metadata((("x-trailer", "after"),))
    return request + b"!" + dict(context.invocation_metadata()).get("x-subject", "nobody").encode()


def missing(_request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such order")


def count(request, _context):
    for number in range(int(request)):
        yield b"%d" % number


def add(requests, _context):
    return b"%d" % sum(len(request) for request in requests)


def echo(requests, _context):
    for request in requests:
        yield request


def wait(_request, context):
    context.add_callback(cancelled.set)
    cancelled.wait(30)
    return b"late"


def was_cancelled(_request, _context):
    return b"yes" if cancelled.wait(5) else b"no"


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Missing": grpc.unary_unary_rpc_method_handler(missing),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Add": grpc.stream_unary_rpc_method_handler(add),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
        "Wait": grpc.unary_unary_rpc_method_handler(wait),
        "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Orders", handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


def refused(call, code, details):
    try:
        call()
    except grpc.RpcError as error:
        assert (error.code(), error.details()) == (code, details), (error.code(), error.details())
        return
    raise AssertionError(f"not refused: {details}")


def run(port, token, other):
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    with_token = (("authorization", f"Bearer {token}"),)
    method = lambda kind, name: getattr(channel, kind)(f"/shop.Orders/{name}")
    done = 0

    # Refusals first: a status of gRPC, with the reason.
    status = grpc.StatusCode
    one = method("unary_unary", "Unary")
    refused(lambda: one(b"a", timeout=10), status.UNAUTHENTICATED, "no_credentials")
    refused(
        lambda: one(b"a", metadata=(("authorization", "Bearer x.y.z"),), timeout=10), status.UNAUTHENTICATED, "malformed_token"
    )
    refused(
        lambda: one(b"a", metadata=(("authorization", f"Bearer {other}"),), timeout=10),
        status.PERMISSION_DENIED,
        "insufficient_scope",
    )
    refused(
        lambda: list(method("stream_stream", "Echo")(iter([b"a", b"b"]), timeout=10)), status.UNAUTHENTICATED, "no_credentials"
    )
    refused(lambda: channel.unary_unary("/other.Service/Call")(b"", timeout=10), status.UNIMPLEMENTED, "no_route")
    refused(
        lambda: method("unary_unary", "Missing")(b"a", metadata=with_token, timeout=10), status.NOT_FOUND, "no such order"
    )
    done += 6

    answer, call = one.with_call(b"hello", metadata=with_token + (("x-subject", "mallory"),), timeout=10)
    assert answer == b"hello!alice", answer
    assert ("x-trailer", "after") in [tuple(pair) for pair in call.trailing_metadata()], call.trailing_metadata()
    large = b"x" * 3_000_000
    assert one(large, metadata=with_token, timeout=30) == large + b"!alice"
    assert list(method("unary_stream", "Count")(b"200", metadata=with_token, timeout=10)) == [b"%d" % n for n in range(200)]
    assert method("stream_unary", "Add")(iter([b"x" * 1000] * 500), metadata=with_token, timeout=10) == b"500000"
    done += 4

    # Each message is answered before the next is sent: nothing is held back on the way.
    turn = threading.Semaphore(0)

    def messages():
        for number in range(100):
            yield b"%d" % number
            turn.acquire()

    for number, said in enumerate(method("stream_stream", "Echo")(messages(), metadata=with_token, timeout=20)):
        assert said == b"%d" % number, said
        turn.release()
    done += 1

    refused(
        lambda: method("unary_unary", "Wait")(b"", metadata=with_token, timeout=0.5), status.DEADLINE_EXCEEDED, "Deadline Exceeded"
    )
    assert method("unary_unary", "WasCancelled")(b"", metadata=with_token, timeout=10) == b"yes"
    done += 2

    # Many at once on one connection.
    calls = [one.future(b"%d" % n, metadata=with_token, timeout=30) for n in range(500)]
    assert [call.result() for call in calls] == [b"%d!alice" % n for n in range(500)]
    done += 1
    print(f"grpc: {done} checks passed")


if __name__ == "__main__":
    serve() if sys.argv[1] == "server" else run(*sys.argv[2:])
