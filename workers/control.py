"""The control plane over HTTP, as one node sees it.

    GET  URL/api/v1/nodes/NAME/desired/   If-None-Match: "VERSION"  -> 200 document, 304
    POST URL/api/v1/nodes/NAME/report/    report                    -> 204
    GET  URL/api/v1/nodes/NAME/questions/                           -> 200 questions
    POST URL/api/v1/nodes/NAME/questions/ID/   answer               -> 204
    GET  URL/api/v1/nodes/NAME/holdings/  If-None-Match: "VERSION"  -> 200 holdings, 304
    POST URL/api/v1/nodes/NAME/holdings/  statement                 -> 204

    ControlError
    |- Away      5xx, 404, a redirect: keep everything, try again
    |  `- Silent no answer at all
    |- Denied    401, 403: the token is not taken: keep everything, a person has to act
    |- Refused   what was sent is not taken as it is: sending it again is of no use
    `- Gone      410 with a problem document: this node was removed from the cluster

``Gone`` takes a network away, so a bare 410 of some proxy on the way is only ``Away``.
"""

import json
import time
from collections.abc import Callable
from urllib.parse import quote

import urllib3

from workers import holdings, question
from workers.config import Settings

CONNECT_SECONDS = 3.0
READ_SECONDS = 15.0
PATIENT = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
PROBLEM = "application/problem+json"
ONCE = urllib3.Retry(connect=0, read=0, status=0, other=0)
ONCE_MORE = urllib3.Retry(
    connect=0, read=1, status=0, other=0, allowed_methods=None, respect_retry_after_header=False
)
"""Only for a kept connection that the other side has closed meanwhile; waiting is the caller's."""


class ControlError(Exception):
    """The control plane did not do what it was asked; ``str()`` is a sentence with the remedy."""


class Away(ControlError):
    def __init__(self, sentence: str, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after
        """Seconds the control plane asks for; 0: it did not say."""


class Silent(Away):
    pass


class Denied(ControlError):
    pass


class Refused(ControlError):
    pass


class Gone(ControlError):
    pass


class Control:
    """One kept connection; used by one thread."""

    def __init__(self, settings: Settings, answered: Callable[[float], None] = lambda begun: None) -> None:
        """``answered``: called with the ``time.monotonic`` at which an exchange began that was answered."""
        self._answered = answered
        self._timeout = PATIENT
        self._base = f"{settings.url}/api/v1/nodes/{quote(settings.node, safe='')}"
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            headers={"Authorization": f"Token {settings.token}", "User-Agent": "netadmin-worker"},
        )
        self.asked = 0
        """How many questions wait for this node's answer, as the last answer to ``document`` said."""
        self.holdings_version = 0
        """Of what the node must hold for services, as the last answer to ``document`` said; 0: it did not."""

    def document(self, known: str) -> bytes | None:
        """The document's bytes; None when its version still is ``known``. Raises ControlError."""
        headers = {"If-None-Match": f'"{known}"'} if known else {}
        response = self._ask("GET", "desired", headers, None)
        self.asked = _count(response.headers.get(question.HEADER, ""))
        self.holdings_version = _version(response.headers.get(holdings.HEADER, ""))
        if response.status == 304 and known:
            return None
        if response.status != 200:
            raise _refusal(response)
        return response.data

    def report(self, body: bytes) -> None:
        """Hand a report in. Raises ControlError."""
        response = self._ask("POST", "report", {"Content-Type": "application/json"}, body)
        if response.status not in (200, 202, 204):
            raise _refusal(response)

    def questions(self) -> bytes:
        """What waits for this node's answer. Raises ControlError."""
        response = self._ask("GET", "questions", {}, None)
        if response.status != 200:
            raise _refusal(response)
        return response.data

    def answer(self, number: int, body: bytes) -> None:
        """Answer a question. Raises ControlError."""
        response = self._ask("POST", f"questions/{number}", {"Content-Type": "application/json"}, body)
        if response.status not in (200, 202, 204):
            raise _refusal(response)

    def holdings(self, known: int) -> bytes | None:
        """What the node must hold for services; None when its version still is ``known``. Raises
        ControlError."""
        headers = {"If-None-Match": f'"{known}"'} if known else {}
        response = self._ask("GET", "holdings", headers, None)
        if response.status == 304 and known:
            return None
        if response.status != 200:
            raise _refusal(response)
        return response.data

    def state(self, body: bytes) -> None:
        """Say what the node holds. Raises ControlError."""
        response = self._ask("POST", "holdings", {"Content-Type": "application/json"}, body)
        if response.status not in (200, 202, 204):
            raise _refusal(response)

    def hurry(self, seconds: float) -> None:
        """The next request uses no kept connection, and waits at most so long for its answer."""
        self.close()
        self._timeout = urllib3.Timeout(connect=min(1.0, seconds), read=min(seconds, READ_SECONDS))

    def close(self) -> None:
        self._pool.clear()

    def _ask(
        self, method: str, what: str, headers: dict[str, str], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        url = f"{self._base}/{what}/"
        begun, timeout, self._timeout = time.monotonic(), self._timeout, PATIENT
        try:
            response = self._pool.request(
                method,
                url,
                headers={**self._pool.headers, **headers},
                body=body,
                redirect=False,
                retries=ONCE_MORE if timeout is PATIENT else ONCE,
                timeout=timeout,
            )
        except urllib3.exceptions.HTTPError as error:
            raise Silent(
                f"{url}: {_reason(error)}; check NETADMIN_URL and that the control plane runs"
            ) from error
        self._answered(begun)
        return response


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """The cause, without the object that urllib3 names first."""
    text = str(getattr(error, "reason", None) or error)
    return text.partition("): ")[2] or text


def _refusal(response: urllib3.BaseHTTPResponse) -> ControlError:
    problem = _problem(response)
    said = f"{response.status} {problem or response.reason or ''}".strip()
    if response.status in (401, 403):
        return Denied(f"{said}; make a new token (manage.py node token NAME) and put it into NETADMIN_TOKEN")
    if response.status == 410 and problem is not None:
        return Gone(f"{said}; the node was removed from the cluster")
    if response.status == 409:
        return Refused(said)
    if response.status in (400, 413, 415, 422):
        return Refused(f"{said}; worker and control plane may be of different releases")
    if 300 <= response.status < 400:
        return Away(f"{said} to {response.headers.get('Location')}; set NETADMIN_URL to where it really is")
    if response.status == 404:
        return Away(f"{said}; check NETADMIN_NODE and NETADMIN_URL")
    return Away(said, _seconds(response.headers.get("Retry-After", "")))


def _problem(response: urllib3.BaseHTTPResponse) -> str | None:
    """What a problem document (RFC 9457) says; None when the answer is none."""
    if not response.headers.get("Content-Type", "").startswith(PROBLEM):
        return None
    try:
        problem = json.loads(response.data)
        return str(problem.get("detail") or problem.get("title") or "")[:300]
    except (ValueError, AttributeError):
        return None


def _seconds(text: str) -> float:
    """Retry-After as a number of seconds (RFC 9110 10.2.3); a date is not looked at. At most a minute."""
    return min(float(text), 60.0) if text.isdecimal() else 0.0


def _count(text: str) -> int:
    return min(int(text), 1000) if text.isdecimal() else 0


def _version(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0
