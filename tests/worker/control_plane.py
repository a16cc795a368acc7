"""A control plane of one file: real HTTP on a real socket, and a script for what it answers.

with ControlPlane(body) as plane:                the listening socket belongs to the namespace
    plane.answer = Answer(503)                   of the thread that made it
    plane.reports                                what the node has said
    plane.ask("plan", body)                      a question; its answer comes into plane.answers
    plane.want(attachment, ...)                  what the node must hold; what it says comes into
                                                 plane.statements
"""

import json
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from lab.waiting import until
from workers import holdings, question, report
from workers.holdings import Attachment, Holdings, Reservation, Standing, Statement
from workers.question import Answer as QuestionAnswer
from workers.question import Question, Questions
from workers.report import Report

TOKEN = "the-token"


@dataclass
class Answer:
    """What every request is answered with, in place of what would be right."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    claims: int | None = None
    """Content-Length, where it is not the truth."""


GONE = Answer(
    410,
    {"Content-Type": "application/problem+json"},
    json.dumps({"title": "Gone", "detail": "n1 left"}).encode(),
)


class ControlPlane:
    def __init__(
        self, document: bytes = b"", version: str = "", port: int = 0, address: str = "127.0.0.1"
    ) -> None:
        self.document, self.version = document, version
        self.answer: Answer | None = None
        self.reports: list[Report] = []
        self.questions: list[Question] = []
        self.shared: dict[str, Any] = {}
        self.answers: dict[int, QuestionAnswer] = {}
        self.holdings = Holdings("n1", 0)
        self.statements: list[Statement] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, path, headers."""
        self.after_next_document: Callable[[], object] | None = None
        """What happens to the control plane as soon as it has served the document that is declared now."""
        self.gone = False
        self.withholds = False
        """What the node must hold cannot be fetched."""
        self.held = threading.Event()
        self.held.set()
        self._server = _Server((address, port), _handler(self))
        self.url = f"http://{address}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def declare(self, document: bytes, version: str) -> None:
        self.document, self.version = document, version

    def want(self, *attachments: Attachment, reserved: tuple[Reservation, ...] = ()) -> int:
        """The node must hold these from now on; the version."""
        self.holdings = Holdings("n1", self.holdings.version + 1, attachments, reserved)
        return self.holdings.version

    def standing(self, attachment: Attachment) -> Standing | None:
        """How the node says that it is, as of the newest holdings; None: it does not hold it."""
        newest = max(self.statements, key=lambda said: said.sequence, default=None)
        if newest is None or newest.version < self.holdings.version:
            return None
        return next((one for one in newest.attachments if one.id == attachment.id), None)

    def becomes(self, attachment: Attachment, state: str, within: float = 10) -> Standing:
        """Wait until the node says that it is."""

        def there() -> Standing | None:
            standing = self.standing(attachment)
            return standing if standing and standing.state == state else None

        return until(there, what=f"{attachment.service} is {state}", within=within)  # type: ignore[return-value]

    def told(self) -> bool:
        """Whether the node has said that it carries out a document; before, it may say that it has none."""
        return any(said.version for said in self.reports)

    def ask(self, kind: str, body: Any) -> int:
        """The number of a question that waits from now on."""
        number = len(self.answers) + len(self.questions) + 1
        self.questions.append(Question(number, kind, body))
        return number

    def hold(self) -> None:
        """Answer nothing from now on, until the end."""
        self.held.clear()

    def away(self) -> None:
        """Its process has ended: connections are refused, and the ones it had are closed."""
        self.gone = True
        self._server.socket.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Hang up on everybody, as a server does that is restarted or tired of waiting."""
        for connection in self._server.connections:
            with suppress(OSError):  # it may have ended already
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def fetches(self) -> int:
        return sum(method == "GET" for method, _, _ in self.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.held.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.connections: list[socket.socket] = []
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that was killed hangs up in the middle; anything else is worth a look."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address


def _handler(plane: ControlPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._note()
            if plane.answer:
                self._send(plane.answer)
            elif self.headers.get("Authorization") != f"Token {TOKEN}":
                self._send(Answer(401))
            elif self.path.endswith("/questions/"):
                self._send(Answer(200, {}, question.dump(Questions(tuple(plane.questions), plane.shared))))
            elif self.path.endswith("/holdings/"):
                self._send_holdings()
            elif not plane.document:
                self._send(Answer(404))
            else:
                self._send_document(
                    {
                        question.HEADER: str(len(plane.questions)),
                        holdings.HEADER: str(plane.holdings.version),
                    }
                )

        def _send_holdings(self) -> None:
            if plane.withholds:
                self._send(Answer(503))
            elif self.headers.get("If-None-Match") == f'"{plane.holdings.version}"':
                self._send(Answer(304))
            else:
                self._send(Answer(200, {}, holdings.dump(plane.holdings)))

        def _send_document(self, headers: dict[str, str]) -> None:
            if self.headers.get("If-None-Match") == f'"{plane.version}"':
                self._send(Answer(304, headers))
            else:
                self._send(Answer(200, {**headers, "ETag": f'"{plane.version}"'}, plane.document))
                if plane.after_next_document:
                    plane.after_next_document()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._note()
            if plane.answer:
                self._send(plane.answer)
                return
            if "/questions/" in self.path:
                self._take_answer(int(self.path.split("/")[-2]), body)
            elif self.path.endswith("/holdings/"):
                plane.statements.append(holdings.parse_statement(body))
            else:
                plane.reports.append(report.parse(body))
            self._send(Answer(204))

        def _take_answer(self, number: int, body: bytes) -> None:
            plane.answers[number] = question.parse_answer(body)
            plane.questions[:] = [one for one in plane.questions if one.id != number]

        def _note(self) -> None:
            plane.requests.append((self.command, self.path, dict(self.headers)))
            plane.held.wait()

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status not in (204, 304):
                self.send_header("Content-Length", str(answer.claims or len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            if answer.claims:
                self.close_connection = True

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: the tests look at ``requests``."""

    return Handler
