"""``Authorization: Token XXX`` for people and for nodes.

A person's token makes ``request.user`` that user. A node's token makes it a ``NodePrincipal``,
which has no role and so opens nothing but the views that ask for exactly that node.
"""

from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from nodes import reports, tokens
from nodes.models import Node, Token


@dataclass(frozen=True, slots=True)
class NodePrincipal:
    """Who asks, when it is a node."""

    name: str
    node: Node | None
    """None: it was removed from the cluster."""
    is_authenticated = True
    is_active = True

    def __str__(self) -> str:
        return f"node {self.name}"


class TokenAuthentication(BaseAuthentication):
    keyword = "Token"

    def authenticate(self, request: Request) -> tuple[Any, Token] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() not in (b"token", b"bearer"):
            return None
        if len(words) != 2:
            raise AuthenticationFailed("The Authorization header is not: Token XXX")
        token = tokens.find(words[1].decode("latin-1"))
        if token is None:
            raise AuthenticationFailed("The token is unknown or was revoked; ask an admin for a new one")
        if token.user is None:
            return NodePrincipal(token.node_name, token.node), token
        if not token.user.is_active:
            raise AuthenticationFailed("The user of this token is not active")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return self.keyword


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the published schema describes it."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token XXX`, of a user or of a node.",
        }


class OnlyThisNode(BasePermission):
    """The node of the URL, by its own token; raises NodeGone when it was removed."""

    message = "Only the node itself, by its token, may do this."

    def has_permission(self, request: Request, view: Any) -> bool:
        principal = request.user
        if not isinstance(principal, NodePrincipal) or principal.name != view.kwargs["name"]:
            return False
        if principal.node is None:
            raise reports.gone(principal.name)
        return True


def node_of(request: Request) -> Node:
    """The node that asks, where ``OnlyThisNode`` let it in."""
    node: Node = request.user.node  # type: ignore[union-attr]
    return node
