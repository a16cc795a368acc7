"""What the node makes of every answer of the control plane: real HTTP, real sockets."""

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.worker import documents
from tests.worker.conftest import Node
from tests.worker.control_plane import GONE, TOKEN, Answer, ControlPlane
from workers import config
from workers.config import Settings
from workers.control import Away, Control, ControlError, Denied, Gone, Refused, Silent

BODY = documents.body(documents.backend())
PROBLEM = {"Content-Type": "application/problem+json"}


@pytest.fixture
def here(node: Node, plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane; the test itself is on the node."""
    with node.namespace.entered():
        yield plane


@pytest.fixture
def settings(here: ControlPlane) -> Settings:
    return config.load({"NETADMIN_NODE": "n1", "NETADMIN_URL": here.url, "NETADMIN_TOKEN": TOKEN})


@pytest.fixture
def control(settings: Settings) -> Iterator[Control]:
    control = Control(settings)
    yield control
    control.close()


def test_it_fetches_with_the_nodes_token(here: ControlPlane, control: Control) -> None:
    assert control.document("") == BODY
    method, path, headers = here.requests[0]
    assert (method, path) == ("GET", "/api/v1/nodes/n1/desired/")
    assert headers["Authorization"] == f"Token {TOKEN}"
    assert "If-None-Match" not in headers


def test_what_it_knows_already_is_not_sent_again(here: ControlPlane, control: Control) -> None:
    assert control.document(here.version) is None
    assert here.requests[0][2]["If-None-Match"] == f'"{here.version}"'


def test_another_token_is_denied_with_the_remedy(here: ControlPlane, settings: Settings) -> None:
    with pytest.raises(Denied, match="make a new token"):
        Control(replace(settings, token="wrong")).document("")


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(403), Denied, "make a new token"),
        (Answer(404), Away, "check NETADMIN_NODE and NETADMIN_URL"),
        (GONE, Gone, "410 n1 left; the node was removed"),
        (Answer(410), Away, "410"),
        (Answer(410, {"Content-Type": "text/html"}, b"<h1>Gone</h1>"), Away, "410"),
        (Answer(500), Away, "500"),
        (Answer(502, PROBLEM, b"no JSON"), Away, "502"),
        (Answer(302, {"Location": "https://elsewhere/"}), Away, "to https://elsewhere/; set NETADMIN_URL"),
        (Answer(400, PROBLEM, b'{"detail": "outcome: odd"}'), Refused, "400 outcome: odd"),
        (Answer(304), Away, "304"),
        (Answer(200, {}, BODY[:50], claims=len(BODY)), Silent, "check NETADMIN_URL"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_every_other_answer_is_an_error_of_its_kind(
    here: ControlPlane, control: Control, answer: Answer, error: type[ControlError], says: str
) -> None:
    here.answer = answer
    with pytest.raises(error) as caught:
        control.document("")
    assert type(caught.value) is error
    assert says in str(caught.value)


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("3600", 60.0), ("Wed, 21 Oct 2026", 0.0)])
def test_it_hears_how_long_to_wait(here: ControlPlane, control: Control, said: str, seconds: float) -> None:
    here.answer = Answer(503, {"Retry-After": said})
    with pytest.raises(Away) as away:
        control.document("")
    assert away.value.retry_after == seconds
    assert here.fetches == 1


def test_nobody_there_is_away(settings: Settings) -> None:
    with pytest.raises(Away, match=r"/desired/: .*Connection refused.*; check NETADMIN_URL"):
        Control(replace(settings, url=f"http://127.0.0.1:{_closed_port()}")).document("")


def test_a_kept_connection_that_was_closed_is_opened_again(here: ControlPlane, control: Control) -> None:
    assert control.document("") == BODY
    here.drop_connections()
    assert control.document("") == BODY


def test_a_report_is_posted(here: ControlPlane, control: Control) -> None:
    control.report(b'{"format":1,"node":"n1","sequence":1,"version":"","outcome":"no-document"}')
    assert here.reports[0].node == "n1"


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
