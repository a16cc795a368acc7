"""The content security policy, for pages only: an answer of the REST API shows nothing.

``CSPMiddleware`` writes the policy anew for every answer, also for those it then leaves alone.
"""

from typing import Any

from csp.middleware import CSPMiddleware
from django.http import HttpRequest

API = "/api/v1/"
"""The schema browser is below it: it brings inline styles and one inline script of its own."""


class Policy(CSPMiddleware):
    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request) if request.path_info.startswith(API) else super().__call__(request)
