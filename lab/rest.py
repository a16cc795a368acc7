"""A client of the control plane's REST API, as small as a script would write it."""

import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from lab.namespaces import Namespace


class Refused(RuntimeError):
    """The API answered with a problem document (RFC 9457); the message is its detail."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status


class Api:
    """One user's way in: the namespace to come from, ``url`` without ``/api/v1``, the user's token."""

    def __init__(self, namespace: Namespace, url: str, token: str) -> None:
        self.namespace, self.url, self.token = namespace, url, token

    def get(self, path: str) -> Any:
        return self.call("GET", path)[0]

    def post(self, path: str, **body: Any) -> Any:
        return self.call("POST", path, body)[0]

    def patch(self, path: str, **body: Any) -> Any:
        """Change what is there now: reads it first, so that a lost race is a refusal (If-Match)."""
        etag = self.call("GET", path)[1]
        return self.call("PATCH", path, body, {"If-Match": etag})[0]

    def delete(self, path: str) -> None:
        self.call("DELETE", path)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[Any, str]:
        """One request below ``/api/v1/``: the decoded answer and its ETag. Raises Refused, OSError."""
        host = urlsplit(self.url).netloc
        sent = {"Authorization": f"Token {self.token}", "Content-Type": "application/json", **(headers or {})}
        connection = HTTPConnection(host, timeout=30)
        try:
            with self.namespace.entered():
                connection.connect()
            connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise Refused(answer.status, f"{method} {path}: {text}")
        return (json.loads(text) if text else None), answer.headers.get("ETag", "")
