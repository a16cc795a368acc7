"""/healthz: for whoever supervises the process; no login, no page."""

from django.db import connection
from django.http import HttpRequest, HttpResponse

from netadmin.rest import DATABASE_AWAY, RETRY_SECONDS


def healthz(request: HttpRequest) -> HttpResponse:
    """200 ``ok`` when a request could be served, 503 when the database does not answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DATABASE_AWAY as error:
        text = f"the database does not answer: {error}\n"
        return HttpResponse(
            text, status=503, content_type="text/plain", headers={"Retry-After": str(RETRY_SECONDS)}
        )
    return HttpResponse("ok\n", content_type="text/plain")
