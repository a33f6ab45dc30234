"""As much of AMQP 0-9-1 as it takes to be idle or a burden: open a connection with one channel, declare queues, begin a
message without ending it, consume without reading or settling.

Without a client library, so that ten thousand connections are as many sockets and little else, that not every
declaration has to wait for its answer, and that a client can behave as none should.
"""

import socket
import struct
import time

TIMEOUT = 120

METHOD_FRAME, HEADER_FRAME, BODY_FRAME, FRAME_END = 1, 2, 3, b"\xce"
START, START_OK, TUNE, TUNE_OK = (10, 10), (10, 11), (10, 30), (10, 31)
OPEN, OPEN_OK, CLOSE = (10, 40), (10, 41), (10, 50)
CHANNEL_OPEN, CHANNEL_OPEN_OK, CHANNEL_CLOSE = (20, 10), (20, 11), (20, 40)
DECLARE, DECLARE_OK = (50, 10), (50, 11)
CONSUME, CONSUME_OK, PUBLISH, NACK = (60, 20), (60, 21), (60, 40), (60, 120)
GET, GET_OK = (60, 70), (60, 71)
PASSIVE, DURABLE, NO_WAIT = 0x01, 0x02, 0x10


def short_string(text):
    return struct.pack("B", len(text)) + text.encode()


def long_string(text):
    return struct.pack(">I", len(text)) + text.encode()


def declaration(name, bits):
    return struct.pack(">H", 0) + short_string(name) + struct.pack(">BI", bits, 0)


def frame(channel, method, arguments):
    return raw_frame(METHOD_FRAME, channel, struct.pack(">HH", *method) + arguments)


def raw_frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + FRAME_END


class Connection:
    """A connection of guest to the vhost / without heartbeats, with channel 1."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        try:
            self.open()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def open(self):
        self.socket.sendall(b"AMQP\x00\x00\x09\x01")
        self.expect(START)
        properties = struct.pack(">I", 0)
        login = short_string("PLAIN") + long_string("\0guest\0guest") + short_string("en_US")
        self.socket.sendall(frame(0, START_OK, properties + login))
        channels, frame_size, _ = struct.unpack(">HIH", self.expect(TUNE))
        self.socket.sendall(frame(0, TUNE_OK, struct.pack(">HIH", channels, frame_size, 0))
                            + frame(0, OPEN, short_string("/") + b"\0\0"))
        self.expect(OPEN_OK)
        self.socket.sendall(frame(1, CHANNEL_OPEN, b"\0"))
        self.expect(CHANNEL_OPEN_OK)

    def declare(self, names):
        """Declares durable queues and waits once, for the last: a failure before would have closed the channel."""
        *unanswered, last = names
        frames = [frame(1, DECLARE, declaration(name, DURABLE | NO_WAIT)) for name in unanswered]
        self.socket.sendall(b"".join(frames) + frame(1, DECLARE, declaration(last, DURABLE)))
        self.expect(DECLARE_OK)

    def messages(self, name):
        """How many messages are ready in a queue, which must be there."""
        self.socket.sendall(frame(1, DECLARE, declaration(name, PASSIVE)))
        messages, _ = struct.unpack(">II", self.expect(DECLARE_OK)[-8:])
        return messages

    def get(self, queue):
        """Takes a message, which must be there, until the connection ends."""
        self.socket.sendall(frame(1, GET, struct.pack(">H", 0) + short_string(queue) + b"\0"))
        self.expect(GET_OK)

    def begin_message(self, queue, size, part):
        """Publishes the beginning of a message to a queue: so many bytes of its body, as far as the broker takes them."""
        publish = struct.pack(">H", 0) + short_string("") + short_string(queue) + b"\0"
        header = struct.pack(">HHQH", PUBLISH[0], 0, size, 0)
        self.socket.sendall(frame(1, PUBLISH, publish) + raw_frame(HEADER_FRAME, 1, header))
        body = raw_frame(BODY_FRAME, 1, bytes(100_000)) * (part // 100_000)
        self.socket.setblocking(False)
        try:
            while body:
                body = body[self.socket.send(body):]
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(TIMEOUT)

    def consume(self, queue):
        """Has everything in a queue sent, to be settled."""
        consume = struct.pack(">H", 0) + short_string(queue) + short_string("consumer") + b"\0" + struct.pack(">I", 0)
        self.socket.sendall(frame(1, CONSUME, consume))
        self.expect(CONSUME_OK)

    def requeue_all(self):
        """Puts everything back that was delivered so far."""
        multiple_and_requeue = b"\x03"
        self.socket.sendall(frame(1, NACK, struct.pack(">Q", 0) + multiple_and_requeue))

    def read_for(self, seconds):
        """Reads and forgets for so long; how many bytes."""
        end, count = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                count += len(self.socket.recv(1 << 20))
            except TimeoutError:
                break
        self.socket.settimeout(TIMEOUT)
        return count

    def expect(self, method):
        """The arguments of the next method, which must be this one."""
        _, _, size = struct.unpack(">BHI", self.receive(7))
        payload = self.receive(size + len(FRAME_END))[:-len(FRAME_END)]
        received, arguments = struct.unpack(">HH", payload[:4]), payload[4:]
        if received in (CLOSE, CHANNEL_CLOSE):
            raise RuntimeError("closed by the broker: " + arguments[3:3 + arguments[2]].decode())
        if received != method:
            raise RuntimeError(f"method {received} instead of {method}")
        return arguments

    def receive(self, size):
        received = b""
        while len(received) < size:
            part = self.socket.recv(size - len(received))
            if not part:
                raise RuntimeError("the broker closed the socket")
            received += part
        return received
