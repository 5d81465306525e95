"""A relay between a client and a Postgres server that writes down what the client says, message by message.

It speaks just enough of the protocol (https://www.postgresql.org/docs/current/protocol-message-formats.html): it
declines encryption, cuts the client's bytes into messages, and forwards everything unchanged.
"""

import socket
import struct
import threading

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


class Relay:
    """Listens on a free loopback port; `sessions` holds what the clients said."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.sessions = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self):
        """What was said since the last call."""
        said, self.sessions = self.sessions, []
        return said

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.create_connection(("127.0.0.1", self.server_port))
        session = Session()
        try:
            startup = self._startup(client, server)
            if startup is None:
                return
            session.startup = startup
            self.sessions.append(session)
            answers = threading.Thread(target=self._answers, args=(server, client, session), daemon=True)
            answers.start()
            while (message := read_message(client)) is not None:
                kind, body = message
                session.say(kind, body)
                server.sendall(kind + struct.pack("!I", len(body) + 4) + body)
        except OSError:
            pass
        finally:
            for end in (server, client):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _startup(self, client, server):
        while True:
            (length,) = struct.unpack("!I", read_exactly(client, 4))
            body = read_exactly(client, length - 4)
            (code,) = struct.unpack("!I", body[:4])
            if code in (SSL_REQUEST, GSS_REQUEST):
                client.sendall(b"N")
                continue
            server.sendall(struct.pack("!I", length) + body)
            if code == CANCEL_REQUEST:
                return None
            words = body[4:].rstrip(b"\0").split(b"\0")
            return dict(zip((w.decode() for w in words[0::2]), (w.decode() for w in words[1::2])))

    def _answers(self, server, client, session):
        try:
            while (message := read_message(server)) is not None:
                kind, body = message
                session.answer(kind, body)
                client.sendall(kind + struct.pack("!I", len(body) + 4) + body)
        except OSError:
            pass
        try:
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Session:
    """What one client said, in rounds: a round is what it sends up to an answer that is its turn again."""

    def __init__(self):
        self.startup = {}
        self.rounds = []
        self.open = []
        self.answered = 0
        self.error = None

    def say(self, kind, body):
        """Notes a message of the client."""
        if kind == b"Q":
            # Behind messages without a Sync of their own, where a client pipelines so.
            before = {"messages": self.open} if self.open else {}
            self.begin(before | {"query": text(body[:-1])})
            self.open = []
        elif kind == b"d" and self.rounds:
            last = self.rounds[-1]
            last["copy"] = last.get("copy", b"") + body
        elif kind == b"S":
            self.begin({"messages": self.open})
            self.open = []
        elif kind == b"F":
            self.begin({"function": struct.unpack("!I", body[:4])[0]})
        elif kind in MESSAGES:
            self.open.append(MESSAGES[kind](body))

    def begin(self, said):
        """A round; the server may have answered its first messages already."""
        if self.error is not None and self.answered == len(self.rounds):
            said["error"], self.error = self.error, None
        self.rounds.append(said)

    def answer(self, kind, body):
        """Notes what the server says: which rounds ended with an error."""
        if kind == b"E":
            code = next(field[1:].decode() for field in body.split(b"\0") if field[:1] == b"C")
            if self.answered < len(self.rounds):
                self.rounds[self.answered]["error"] = code
            else:
                self.error = code
        elif kind == b"Z" and self.rounds:
            self.answered = min(self.answered + 1, len(self.rounds))


def text(data):
    """Statements and values are UTF-8 in all recordings."""
    return data.decode("utf-8")


def cstring(body, at):
    end = body.index(b"\0", at)
    return text(body[at:end]), end + 1


def numbers(body, at, form):
    (count,) = struct.unpack_from("!H", body, at)
    size = struct.calcsize(form)
    return [struct.unpack_from("!" + form, body, at + 2 + n * size)[0] for n in range(count)], at + 2 + count * size


def parse_of(body):
    name, at = cstring(body, 0)
    sql, at = cstring(body, at)
    types, _ = numbers(body, at, "I")
    return compact({"parse": sql, "name": name, "types": types})


def bind_of(body):
    portal, at = cstring(body, 0)
    statement, at = cstring(body, at)
    formats, at = numbers(body, at, "H")
    (count,) = struct.unpack_from("!H", body, at)
    at += 2
    values = []
    for index in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        if length < 0:
            values.append(None)
            continue
        value = body[at : at + length]
        at += length
        binary = formats[index if len(formats) > 1 else 0] if formats else 0
        values.append({"hex": value.hex()} if binary else text(value))
    results, _ = numbers(body, at, "H")
    return compact({"bind": statement, "portal": portal, "formats": formats, "values": values, "results": results})


def describe_of(body):
    return {"describe": body[:1].decode(), "name": cstring(body, 1)[0]}


def close_of(body):
    return {"close": body[:1].decode(), "name": cstring(body, 1)[0]}


def execute_of(body):
    portal, at = cstring(body, 0)
    return compact({"execute": portal, "rows": struct.unpack_from("!I", body, at)[0]})


def compact(message):
    """Leaves out what is empty, but for the first key, which tells the kind."""
    first = next(iter(message))
    return {key: value for key, value in message.items() if key == first or value}


MESSAGES = {
    b"P": parse_of,
    b"B": bind_of,
    b"D": describe_of,
    b"E": execute_of,
    b"C": close_of,
    b"H": lambda body: {"flush": True},
}


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise ConnectionError("closed")
        data += more
    return data


def read_message(stream):
    try:
        head = read_exactly(stream, 5)
        return head[:1], read_exactly(stream, struct.unpack("!I", head[1:])[0] - 4)
    except OSError:
        return None
