"""What Django itself refuses, before or outside a view: below /api/ a problem document, else its page.

handler400  a request that cannot be read (wrong host, too large)
handler404  no such address
handler500  a defect; or, as 503, a database that does not answer
"""

import json
import sys

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from netadmin.rest import DATABASE_AWAY, MEDIA_TYPE, RETRY_SECONDS, problem


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _of_the_api(request):
        return _document(400, "bad-request", "The request cannot be read")
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if _of_the_api(request):
        return _document(404, "not-found", f"There is nothing at {request.path}; see /api/v1/docs/")
    return defaults.page_not_found(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    """Called while the exception is handled."""
    if isinstance(sys.exc_info()[1], DATABASE_AWAY):
        return _away(request)
    if _of_the_api(request):
        return _document(500, "defect", "The control plane failed; its log says why")
    return defaults.server_error(request)


def _away(request: HttpRequest) -> HttpResponse:
    if _of_the_api(request):
        response = _document(503, "database-away", "The database does not answer; try again in a moment")
    else:
        response = defaults.server_error(request)
        response.status_code = 503
    response["Retry-After"] = str(RETRY_SECONDS)
    return response


def _of_the_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _document(status: int, code: str, title: str) -> HttpResponse:
    body = json.dumps(problem(status, code, title, []))
    return HttpResponse(body, status=status, content_type=MEDIA_TYPE)
