"""Tokens: made, checked, revoked. 256 bits at random, so a plain SHA-256 is enough of a hash."""

import hashlib
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from netadmin import roles
from netadmin.statements import Statement
from nodes import brokeraccess, events
from nodes.models import Node, Token

FIND = Statement(
    f"""
    SELECT {{token}}, {{person}}, {{node}}, {roles.RANK.format(user="person.id")}
    FROM nodes_token token
    LEFT JOIN auth_user person ON person.id = token.user_id
    LEFT JOIN nodes_node node ON node.id = token.node_id
    WHERE token.digest = %s
    """,
    but=("created", "date_joined", "last_login"),  # slow to read, and not needed
    token=Token,
    person=get_user_model(),
    node=Node,
)


def hashed(token: str) -> str:
    """SHA-256 in hexadecimal: what the database and the broker's access list hold."""
    return hashlib.sha256(token.encode()).hexdigest()


def find(token: str) -> Token | None:
    """The row of a token with its user, whose role is known then, or its node; or None. One query."""
    for row, person, node, rank in FIND.rows(hashed(token)):
        row.user, row.node = person, node
        if person is not None:
            roles.remember(person, rank)
        found: Token = row
        return found
    return None


@transaction.atomic
def for_user(user: Any, *, description: str, by: str) -> str:
    """A new token of a user; shown once, as only the hash is kept."""
    token = secrets.token_urlsafe(32)
    Token.objects.create(digest=hashed(token), user=user, description=description)
    events.record(by, "made", "token", str(user), after={"description": description})
    return token


@transaction.atomic
def for_node(node: Node, *, by: str) -> str:
    """The node's token, instead of any it had; shown once. Also its password at the broker."""
    token = secrets.token_urlsafe(32)
    Token.objects.filter(node_name=node.name).delete()
    Token.objects.create(digest=hashed(token), node=node, node_name=node.name)
    events.record(by, "made", "token", f"node {node.name}")
    brokeraccess.grant_on_commit(node.name, hashed(token))
    return token
