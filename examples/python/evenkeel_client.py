"""A client of Evenkeel's session protocol (docs/reference/protocol.md) in its JSON form, on `websockets` 10: Debian's
python3-websockets. Streams, gaps, numbered messages, moves, resync, heartbeat, coming back; requests are left out.

    python3 evenkeel_client.py ws://127.0.0.1:8080/evenkeel [token]

reads commands, a JSON list a line: ["subscribe", "chat", {"history": 10}], ["unsubscribe", "chat"], ["publish", "chat", {"any": "JSON"}],
["close"]; and prints what happens, a JSON object a line."""
import asyncio, base64, json, random, secrets, sys, time
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatusCode, WebSocketException

TROUBLE = (OSError, asyncio.TimeoutError, WebSocketException)


class Link:
    """One WebSocket. `old`: the link that it replaces, until every topic in `waiting` has been answered here."""

    def __init__(self, socket, old=None):
        self.socket, self.old = socket, old
        self.heard = time.monotonic()
        self.ready = self.given_up = False
        self.waiting, self.resync = set(), None
        self.welcome = asyncio.get_running_loop().create_future()

    async def send(self, *frames):
        try:
            some, size = [], 0  # A message holds up to 1,000 frames and about 65,536 bytes; or one frame, which may be larger.
            for text in map(json.dumps, frames):
                if some and (size + len(text) > 65_536 or len(some) == 1000):
                    await self.socket.send("[" + ",".join(some) + "]")
                    some, size = [], 0
                some.append(text)
                size += len(text)
            await self.socket.send(some[0] if len(some) == 1 else "[" + ",".join(some) + "]")
        except ConnectionClosed:
            pass  # The reader sees it too, and what was not acknowledged is sent again on the next link.


class Client:
    def __init__(self, url, tell, token=None):
        self.url, self.tell, self.token = url, tell, token
        self.session, self.instance, self.links = None, secrets.token_hex(8), 0
        self.starts, self.positions = {}, {}  # By topic: where to begin, and what has been seen.
        self.outbox, self.numbers = {}, {}  # By topic: messages without ack, as [number, data, was sent, was refused]; the last number.
        self.ping_s, self.dead_s, self.spread_s = 10, 20, 0
        self.current = self.moving = self.slot = None
        self.failures, self.closed = 0, False

    async def run(self):
        """Stays connected until close(), or until the server says that coming back is of no use; returns why."""
        while not self.closed:
            wait = await self._follow()
            if isinstance(wait, str):
                return wait
            await asyncio.sleep(wait)
        return "closed"

    async def subscribe(self, topic, start=None):
        self.starts[topic] = start or {"history": 0}
        if self.current and self.current.ready:
            await self.current.send({"type": "subscribe", "topic": topic, "start": self.starts[topic]})

    async def unsubscribe(self, topic):
        self.starts.pop(topic, None)
        if self.current and self.current.ready:
            await self.current.send({"type": "unsubscribe", "topic": topic})

    async def publish(self, topic, data):
        number = self.numbers[topic] = self.numbers.get(topic, 0) + 1
        self.outbox.setdefault(topic, []).append([number, data, False, False])
        if self.current and self.current.ready:
            await self.current.send(*self._unacknowledged(topic, number))

    async def close(self):
        self.closed = True
        if self.current:
            await self.current.socket.close(1000)

    def _unacknowledged(self, topic, first=1):
        rest = [message for message in self.outbox.get(topic, []) if message[0] >= first]
        for message in rest:
            message[2] = True
        return [
            {"type": "lost", "topic": topic, "from": number, "to": number}
            if refused
            else {"type": "publish", "topic": topic, "number": number, "data": data}
            for number, data, _, refused in rest
        ]

    async def _follow(self):
        """One life of a connection, whatever links carry it. Returns how long to wait before the next, in s, or why to stop."""
        url, self.slot = self.url + (("&" if "?" in self.url else "?") + "slot=" + self.slot if self.slot else ""), None
        try:
            self.current = await self._open(url)
        except InvalidStatusCode as refused:
            after = refused.headers.get("Retry-After", "")
            return int(after) if refused.status_code == 503 and after.isdigit() else self._backoff()
        except TROUBLE:
            return self._backoff()
        while True:
            link = self.current
            await link.reader
            if self.moving:
                await self.moving  # It may have put a new link in place of the one that ended.
            if link is self.current:
                return self._wait_after(link)

    def _wait_after(self, link):
        code, reason = link.socket.close_code or 1006, link.socket.close_reason or ""
        if self.closed:
            return "closed"
        if code == 1013 and reason.startswith("{"):
            told = json.loads(reason)
            self.slot = told.get("slot")
            return told.get("retryMs", 1000) / 1000
        if code in (1000, 1002, 1003, 1007, 1008, 1009, 1010, 1015, 3000, 3003) or 4400 <= code < 4500:
            return f"{code} {reason}"
        if code == 1006 and link.welcome.result() and not link.given_up:
            return max(random.random() * self.spread_s, self._backoff())
        return self._backoff()

    def _backoff(self):
        self.failures += 1
        return random.random() * min(30, 0.5 * 2 ** (self.failures - 1))

    async def _open(self, url, ticket=None, old=None):
        socket = await websockets.connect(url, subprotocols=["evenkeel.v1.json"], ping_interval=None, max_size=None, close_timeout=2)
        link = Link(socket, old)
        await self._hello(link, {"ticket": ticket} if ticket else {})
        link.reader = asyncio.create_task(self._read(link))
        return link

    async def _hello(self, link, fields):
        self.links += 1
        hello = {"type": "hello", "instance": self.instance, "link": self.links, **fields}
        hello.update({name: value for name, value in (("session", self.session), ("token", self.token)) if value is not None})
        hello["subscriptions"] = [{"topic": topic, "after": position} for topic, position in self.positions.items()]
        link.ready, link.waiting, link.resync = False, set(self.positions), fields.get("resync")
        await link.send(hello)

    async def _read(self, link):
        pulse = asyncio.create_task(self._pulse(link))
        try:
            async for message in link.socket:
                link.heard = time.monotonic()
                frames = json.loads(message)
                for frame in frames if isinstance(frames, list) else [frames]:
                    handle = getattr(self, "_on_" + frame["type"], None)  # Types that are not known are left out.
                    if handle:
                        await handle(link, frame)
        except ConnectionClosed:
            pass
        finally:
            pulse.cancel()
            link.ready = False
            if not link.welcome.done():
                link.welcome.set_result(False)

    async def _pulse(self, link):
        while True:
            await asyncio.sleep(min(0.5, self.ping_s / 4))
            silent_s = time.monotonic() - link.heard
            if silent_s >= self.dead_s:
                link.given_up = True
                link.socket.transport.abort()
            elif silent_s >= self.ping_s:
                await link.send({"type": "ping", "at": int(time.time() * 1000)})

    async def _on_ping(self, link, frame):
        await link.send({"type": "pong", "at": frame["at"]})

    async def _on_welcome(self, link, frame):
        if frame.get("resync") != link.resync:
            return
        self.session, self.failures, self.current, link.ready = frame["session"], 0, link, True
        self.ping_s, self.dead_s, self.spread_s = frame["pingMs"] / 1000, frame["deadMs"] / 1000, frame["spreadMs"] / 1000
        taken = {each["topic"]: each["number"] for each in frame["numbers"]}
        for topic, messages in self.outbox.items():
            if frame["resumed"]:
                self.outbox[topic] = [message for message in messages if message[0] > taken.get(topic, 0)]
                continue
            for message in messages:
                if message[2] and not message[3]:
                    self.tell("undecided", topic=topic, data=message[1])
            unsent = [message[1] for message in messages if not message[2]]
            self.outbox[topic] = [[number, data, False, False] for number, data in enumerate(unsent, 1)]
        if not frame["resumed"]:
            self.numbers = {topic: len(messages) for topic, messages in self.outbox.items()}
        self.tell("welcome", resumed=frame["resumed"], node=frame["node"])
        new = [{"type": "subscribe", "topic": topic, "start": start} for topic, start in self.starts.items() if topic not in self.positions]
        link.waiting |= {frame["topic"] for frame in new}
        again = [publish for topic in self.outbox for publish in self._unacknowledged(topic)]
        if new + again:
            await link.send(*new, *again)
        if not link.welcome.done():
            link.welcome.set_result(True)
        self._answered(link, None)

    def _answered(self, link, topic):
        link.waiting.discard(topic)
        if link.ready and link.old and not link.waiting:
            old, link.old = link.old, None
            asyncio.create_task(old.socket.close(1000))

    async def _on_subscribed(self, link, frame):
        self.positions.setdefault(frame["topic"], frame["position"])  # The old link of a move may have delivered more by now.
        self._answered(link, frame["topic"])

    async def _on_gap(self, link, frame):
        topic, position, mine = frame["topic"], frame["position"], self.positions.get(frame["topic"])
        if not (mine and mine["epoch"] == position["epoch"] and mine["offset"] >= position["offset"]):
            self.positions[topic] = position
            self.tell("gap", topic=topic, before=mine, position=position)
        self._answered(link, topic)

    async def _on_unsubscribed(self, link, frame):
        self.starts.pop(frame["topic"], None)
        self.positions.pop(frame["topic"], None)
        self.tell("unsubscribed", topic=frame["topic"], code=frame["code"], message=frame["message"])
        self._answered(link, frame["topic"])

    async def _on_publication(self, link, frame):
        topic, offset, mine = frame["topic"], frame["offset"], self.positions.get(frame["topic"])
        if mine is None:
            return  # Of a topic that was left.
        if offset == mine["offset"] + 1:
            self.positions[topic] = {"epoch": frame["epoch"], "offset": offset}
            data = frame["data"] if "data" in frame else base64.b64decode(frame["bytes"]).hex()
            self.tell("message", topic=topic, offset=offset, data=data)
        # Else it is a repeat, or something is wrong: ask, once until that is answered.
        elif (frame["epoch"] != mine["epoch"] or offset > mine["offset"]) and link is self.current and topic not in link.waiting:
            link.waiting.add(topic)
            await link.send({"type": "subscribe", "topic": topic, "start": {"after": mine}})

    async def _on_ack(self, link, frame):
        self.outbox[frame["topic"]] = [message for message in self.outbox.get(frame["topic"], []) if message[0] > frame["number"]]

    async def _on_refused(self, link, frame):
        if link is not self.current:
            return  # What was said on an older link is said again on this one.
        topic, number = frame["topic"], frame["number"]
        for message in self.outbox.get(topic, []):
            if message[0] == number:
                if not message[3]:
                    self.tell("refused", topic=topic, number=number, code=frame["code"], message=frame["message"])
                message[1], message[3] = None, True  # Its number is still to be settled: the node counts it when it has our answer.
                await link.send({"type": "lost", "topic": topic, "from": number, "to": number})

    async def _on_expected(self, link, frame):
        topic, first = frame["topic"], frame["number"]
        rest = self._unacknowledged(topic, first)
        held = min((message[0] for message in self.outbox.get(topic, []) if message[0] >= first), default=self.numbers.get(topic, 0) + 1)
        lost = [{"type": "lost", "topic": topic, "from": first, "to": held - 1}] if held > first else []
        if link is self.current and lost + rest:
            await link.send(*lost, *rest)

    async def _on_spread(self, link, frame):
        self.spread_s = frame["ms"] / 1000

    async def _on_resync(self, link, frame):
        await self._hello(link, {"resync": frame["number"]})

    async def _on_move(self, link, frame):
        if link is self.current:
            self.moving = asyncio.create_task(self._move(link, frame))

    async def _move(self, old, frame):
        until, new = time.monotonic() + frame["withinMs"] / 1000, None
        try:
            new = await asyncio.wait_for(self._open(frame["url"], frame["ticket"], old), frame["withinMs"] / 1000)
            await asyncio.wait_for(asyncio.shield(new.welcome), until - time.monotonic())
        except TROUBLE:
            if new:
                await new.socket.close(1000)  # Then we stay.
        self.moving = None


async def main(url, token=None):
    client = Client(url, lambda event, **fields: print(json.dumps({"event": event, **fields}), flush=True), token)
    running = asyncio.create_task(client.run())
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def obey():
        async for line in lines:
            command, *arguments = json.loads(line)
            await getattr(client, command)(*arguments)

    commands = asyncio.create_task(obey())
    client.tell("stopped", why=await running)
    commands.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
