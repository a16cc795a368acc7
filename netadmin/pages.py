"""What every page shares: who may see it, how a poll is answered, long tables in parts.

    page     GET /networks/backend1/        the whole page, with the part that changes inside
    poll     GET /live/networks/backend1/   that part alone; 304 when it is as it was

A poll (``assets/live.js``) sends the ETag of what it shows: as long as nothing changed, the
browser swaps nothing and whoever reads or selects there is not disturbed.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import resolve_url
from django.views.decorators.http import conditional_page
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from netadmin import roles
from netadmin.rest import NAME

ROWS = 100
"""Rows of a table on one page."""


class PageRequest(HttpRequest):
    """A request as the middleware hands it to a page."""

    htmx: HtmxDetails


View = Callable[..., HttpResponseBase]


def page(role: str = roles.VIEWER) -> Callable[[View], View]:
    """A view for people who hold ``role``: others log in first, or are told which role it takes."""

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_login(request)
            roles.require(request.user, role)
            return view(request, *args, **kwargs)

        return guarded

    return guard


def live(view: View) -> View:
    """A view for people that answers polls."""
    return page()(conditional_page(view))


def _to_login(request: PageRequest) -> HttpResponse:
    """A poll must not put the log-in page into a table: it takes the whole page there."""
    if request.htmx:
        target = redirect_to_login(request.htmx.current_url_abs_path or resolve_url("overview"))
        return HttpResponseClientRedirect(target.url)
    return redirect_to_login(request.get_full_path())


def asked(request: HttpRequest, name: str) -> str:
    """A text of the query; no row has a NUL in it, and PostgreSQL refuses to look for one."""
    return request.GET.get(name, "").replace("\0", " ").strip()


class NameConverter:
    """Names as they stand in an address; anything else is no address of ours (404)."""

    regex = NAME

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


def part_of(request: HttpRequest, rows: Any, size: int = ROWS, parameter: str = "page") -> Page[Any]:
    """The rows that the request asks for with ``?page=``."""
    return Paginator(rows, size).get_page(request.GET.get(parameter))
