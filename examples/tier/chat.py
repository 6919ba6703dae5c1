"""A chat room behind the connection tier: the gateway holds the WebSockets, this program only answers HTTP. Python's own library is all it needs.

    PORT=9000 TIER=http://127.0.0.1:9100 SECRET=... python3 chat.py
"""
import hashlib
import hmac
import json
import os
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["SECRET"].encode()
TIER = os.environ["TIER"]
FIVE_MINUTES_MS = 300_000


def signature(method, path, body, at):
    signed = f"{at}.{method}.{path}.".encode() + body
    return hmac.new(SECRET, signed, hashlib.sha256).hexdigest()


def is_signed(method, path, body, header):
    """`t=MS,v1=HEX`, made with the secret in the last five minutes."""
    fields = dict(field.partition("=")[::2] for field in (header or "").split(","))
    if not fields.get("t", "").isdigit() or abs(time.time() * 1000 - int(fields["t"])) > FIVE_MINUTES_MS:
        return False
    return hmac.compare_digest(signature(method, path, body, fields["t"]), fields.get("v1", ""))


def call(path, message):
    """Asks the tier for something: /publish, /send, /broadcast, /connections/ID/send ..."""
    body = json.dumps(message).encode()
    at = int(time.time() * 1000)
    headers = {"Content-Type": "application/json", "Evenkeel-Signature": f"t={at},v1={signature('POST', path, body, at)}"}
    with urllib.request.urlopen(urllib.request.Request(TIER + path, body, headers), timeout=5) as answer:
        return json.load(answer)


def on_connected(event):
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(event["url"]).query)
    user = query.get("user", [None])[0]
    # Whoever does not say who he is stays outside.
    return (200, {"user": user, "topics": ["room"]}) if user else (401, None)


def on_message(event):
    call("/publish", {"topic": "room", "data": {"from": event["user"], "text": event["data"]}})
    return 200, {"send": [{"data": "sent"}]}


def on_disconnected(event):
    call("/publish", {"topic": "room", "data": {"left": event["user"]}})
    return 204, None


EVENTS = {"connected": on_connected, "message": on_message, "disconnected": on_disconnected}


class Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if is_signed("POST", self.path, body, self.headers.get("Evenkeel-Signature")):
            event = json.loads(body)
            # Events that this program does not know are none of its business: `authorize`, say.
            status, answer = EVENTS.get(event["type"], lambda _: (200, None))(event)
        else:
            status, answer = 401, None
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Hook)
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()
