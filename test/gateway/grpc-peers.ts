// A gRPC server and a gRPC client of other people's making (Debian's python3-grpcio, over the C core of gRPC): the server has a method of
// each sort, the client goes through them and tells what it saw, a line of JSON for each.

/** Debian's own: its packages are not seen by others. */
export const PYTHON = '/usr/bin/python3';

/** Prints `port PORT`, then a line for whatever a client takes back. Arguments: key and certificate, or none. */
export const SERVER = `
import sys, time, threading
from concurrent import futures
import grpc
from google.protobuf.wrappers_pb2 import StringValue, Int32Value

def tell(*words):
    print(*words, flush=True)

def echo(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-first", metadata.get("x-mine", "none")),))
    context.set_trailing_metadata((("x-last-bin", metadata.get("x-raw-bin", b"none")),))
    return StringValue(value=request.value)

def count(request, context):
    for i in range(request.value):
        yield StringValue(value=f"message {i}")

def gather(requests, context):
    return StringValue(value=" ".join(one.value for one in requests))

def talk(requests, context):
    for one in requests:
        yield StringValue(value=f"got {one.value}")

def refuse(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, request.value)

def break_off(request, context):
    for i in range(3):
        yield StringValue(value=str(i))
    context.set_trailing_metadata((("x-why", "enough"),))
    context.abort(grpc.StatusCode.DATA_LOSS, "broken off")

def sleep(request, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    tell("asked for", "seconds" if 0 < (context.time_remaining() or 0) < 1 else "ever")
    gone.wait(10)
    tell("sleeper gone", not context.is_active())
    return request

def endless(request, context):
    gone = threading.Event()
    context.add_callback(gone.set)
    while not gone.is_set():
        yield StringValue(value="more")
        gone.wait(0.01)
    tell("endless gone", not context.is_active())

def handler(make, method, request=StringValue):
    return make(method, request_deserializer=request.FromString, response_serializer=StringValue.SerializeToString)

handlers = {
    "Echo": handler(grpc.unary_unary_rpc_method_handler, echo),
    "Count": handler(grpc.unary_stream_rpc_method_handler, count, Int32Value),
    "Gather": handler(grpc.stream_unary_rpc_method_handler, gather),
    "Talk": handler(grpc.stream_stream_rpc_method_handler, talk),
    "Refuse": handler(grpc.unary_unary_rpc_method_handler, refuse),
    "BreakOff": handler(grpc.unary_stream_rpc_method_handler, break_off),
    "Sleep": handler(grpc.unary_unary_rpc_method_handler, sleep),
    "Endless": handler(grpc.unary_stream_rpc_method_handler, endless),
}
server = grpc.server(futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Peer", handlers),))
if len(sys.argv) > 1:
    pair = [open(path, "rb").read() for path in sys.argv[1:3]]
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
else:
    port = server.add_insecure_port("localhost:0")
server.start()
tell("port", port)
server.wait_for_termination()
`;

/** Arguments: `HOST:PORT`, and a certificate to trust, or none. Waits for a line before the last call. */
export const CLIENT = `
import json, sys, queue, threading
import grpc
from google.protobuf.wrappers_pb2 import StringValue, Int32Value

if len(sys.argv) > 2:
    channel = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(open(sys.argv[2], "rb").read()))
else:
    channel = grpc.insecure_channel(sys.argv[1])

def method(make, name, request=StringValue):
    return make(f"/test.Peer/{name}", request_serializer=request.SerializeToString, response_deserializer=StringValue.FromString)

def tell(name, *seen):
    print(json.dumps([name, *seen]), flush=True)

def failure(call):
    try:
        call()
        return "no failure"
    except grpc.RpcError as error:
        return [error.code().name, error.details()]

text = lambda value: StringValue(value=value)
echo = method(channel.unary_unary, "Echo")

call = echo.future(text("hello"), metadata=(("x-mine", "a"), ("x-raw-bin", bytes([0, 255, 7]))))
tell("unary", call.result().value, dict(call.initial_metadata()).get("x-first"), list(dict(call.trailing_metadata()).get("x-last-bin")), call.code().name)
large = "x" * 2_000_000
tell("large", echo(text(large)).value == large)
calls = [echo.future(text(str(i))) for i in range(100)]
tell("at once", [call.result().value for call in calls] == [str(i) for i in range(100)])

call = method(channel.unary_stream, "Count", Int32Value)(Int32Value(value=1000))
tell("server streams", [one.value for one in call] == [f"message {i}" for i in range(1000)], call.code().name)
tell("client streams", method(channel.stream_unary, "Gather")(iter([text("a"), text("b"), text("c")])).value)

words = queue.Queue()
call = method(channel.stream_stream, "Talk")(iter(words.get, None))
heard = []
for word in ["one", "two", "three"]:
    words.put(text(word))
    heard.append(next(call).value)
words.put(None)
tell("both stream", heard, [one.value for one in call], call.code().name)

tell("refused", failure(lambda: method(channel.unary_unary, "Refuse")(text("not now: 100 % \\u00fc"))))
tell("unknown", failure(lambda: method(channel.unary_unary, "Nothing")(text("x")))[0])
call = method(channel.unary_stream, "BreakOff")(text("x"))
seen = []
tell("broken off", failure(lambda: [seen.append(one.value) for one in call]), seen, dict(call.trailing_metadata()).get("x-why"))

tell("deadline", failure(lambda: method(channel.unary_unary, "Sleep")(text("x"), timeout=0.5))[0])
call = method(channel.unary_stream, "Endless")(text("x"))
first = [next(call).value, next(call).value]
call.cancel()
tell("cancelled", first, failure(lambda: list(call))[0])
tell("goes on", echo(text("still here")).value)

sys.stdin.readline()
tell("server gone", failure(lambda: echo(text("x"), timeout=5))[0])
`;
