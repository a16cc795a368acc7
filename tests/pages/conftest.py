"""What the tests of the pages share: a real Chromium on a real server, and people who are logged in.

Whatever a page writes to the console as an error fails the test that looked at it: a script
that broke, a file that is missing, something that the content security policy refused.
"""

import os
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from networks.models import Allocation
from networks.resources import describe
from tests import factories

CHROMIUM = "/usr/bin/chromium"
Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def browser(django_db_setup: None) -> Iterator[Browser]:
    # Playwright keeps an event loop running in this thread. Django takes the thread for asynchronous
    # from then on, and has other connections in it: they too must know what migrations wrote.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    written = connection._test_serialized_contents  # type: ignore[attr-defined]
    with sync_playwright() as playwright:
        connection._test_serialized_contents = written  # type: ignore[attr-defined]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def site(django_db_serialized_rollback: None, browser: Browser, live_server: LiveServer) -> str:
    """The address of a server with an empty cluster."""
    return live_server.url


ALL_THAT_CAN_BE_ASKED_FOR = {
    "service": "web", "resource": "ip#0", "node": "n1", "network": "backend1", "netns": "docker:web",
    "expose": "80/tcp", "wanted": "10.11.0.9", "interface": "eth3", "hostname": "web-c1",
    "dns_name_suffix": "-b", "wait_dns": "2.5", "comment": "the shop",
}  # fmt: skip
"""Fields of a service's form, here and in the admin."""


def was_asked_for(row: Allocation) -> bool:
    """Whether it is exactly that."""
    kept = {"service": "root/svc/web", "expose": ["80/tcp"], "wanted": ["10.11.0.9"], "wait_dns": 2.5}
    return {**describe(row), "service": row.service} == {**ALL_THAT_CAN_BE_ASKED_FOR, **kept}


def logged_in(name: str) -> Client:
    """Somebody of the cast, without a browser."""
    client = Client()
    client.force_login(User.objects.filter(username=name).first() or factories.a_user(name))
    return client


@pytest.fixture
def complaints() -> list[str]:
    """What pages wrote to the console; a test that provokes something takes it out."""
    return []


@pytest.fixture
def visit(browser: Browser, site: str, complaints: list[str]) -> Iterator[Visit]:
    """Open a page as somebody of the cast, or as nobody; a window of ``width`` pixels."""
    contexts = []

    def visit(path: str = "/", name: str = "", width: int = 1400, scheme: str = "light") -> Page:
        context = browser.new_context(
            base_url=site,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        contexts.append(context)
        if name:
            session = logged_in(name).cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": site}])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: _note(complaints, message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def _note(complaints: list[str], message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        complaints.append(f"{message.type}: {message.text}")
