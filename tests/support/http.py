"""A real HTTP server on the loopback interface, for tests of streaming."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Reply", "Server", "serve"]


@dataclass
class Reply:
    """What the server answers.

    Attributes:
        body: bytes, or pieces to be sent one by one (an iterable may wait between them).
        content_type: None sends no such header.
        length: whether to send a Content-Length; else the body is chunked.
        announce: a Content-Length other than the true one.
        drop: close the connection after the body, whatever was announced.
    """

    body: bytes | Callable[[], Iterable[bytes]] = b""
    content_type: str | None = "application/wasm"
    status: int = 200
    length: bool = True
    announce: int | None = None
    drop: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """Replies by path.

    Attributes:
        replies: path -> Reply.
        disconnected: set once a client has gone before it had the whole body.
    """

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.disconnected = threading.Event()
        self.address = ("", 0)

    def url(self, path: str, reply: Reply) -> str:
        """Serve a reply at a path; its URL."""
        self.replies[path] = reply
        return f"http://{self.address[0]}:{self.address[1]}{path}"


@contextlib.contextmanager
def serve() -> Iterator[Server]:
    """A server for the time of the `with` block."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            reply = state.replies[self.path]
            pieces = (reply.body,) if isinstance(reply.body, bytes) else reply.body()
            self.send_response(reply.status)
            if reply.content_type is not None:
                self.send_header("Content-Type", reply.content_type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.announce is not None:
                self.send_header("Content-Length", str(reply.announce))
            elif reply.length and isinstance(reply.body, bytes):
                self.send_header("Content-Length", str(len(reply.body)))
            else:
                self.send_header("Transfer-Encoding", "chunked")
                pieces = chunked(pieces)
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
                if reply.drop:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                state.disconnected.set()
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = QuietServer(("127.0.0.1", 0), Handler)
    state.address = server.server_address[:2]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"
