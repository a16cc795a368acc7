"""Who may do what at the broker: an access list, one user per node and one for the control plane.

A node's user is ``node.NAME``, its password the node token, of which we hold the SHA-256
that the access list takes as it is. It may pop its own queue and nothing else. Names end
exactly: ``~node.n1*`` would open the queue of n10 too. (Valkey and Redis: ``ACL SETUSER``.)
"""

from typing import Any

from netadmin import broker
from nodes.models import Token

LOGIN = ("+hello", "+auth", "+ping", "+client|setinfo", "+select")


def user(node: str) -> str:
    """A node's user at the broker; its queue has the same name."""
    return f"node.{node}"


def node_rules(node: str, digest: str) -> list[str]:
    """Arguments of ACL SETUSER after the user name."""
    return ["reset", "on", f"#{digest}", f"~{user(node)}", "-@all", *LOGIN, "+brpop"]


def access_list(control_digest: str) -> str:
    """The whole access list as a file of the embedded broker: everybody else may nothing."""
    lines = [
        "user default off resetpass resetkeys resetchannels -@all",
        f"user control on #{control_digest} resetchannels &{broker.NAMES} ~node.* -@all "
        + " ".join(
            (
                *LOGIN,
                "+lpush",
                "+del",
                "+multi",
                "+exec",
                "+acl|setuser",
                "+acl|deluser",
                "+acl|users",
                "+info",
                "+llen",
                "+publish",
                "+subscribe",
                "+unsubscribe",
            )
        ),
    ]
    for token in Token.objects.exclude(node=None).order_by("node_name"):
        lines.append(f"user {user(token.node_name)} " + " ".join(node_rules(token.node_name, token.digest)))
    return "\n".join(lines) + "\n"


def grant_on_commit(node: str, digest: str) -> None:
    """Let the node in as soon as its token exists."""
    broker.on_commit(access_granted, node, digest)


def revoke_on_commit(node: str) -> None:
    """Shut the node out; the broker drops its open connection at once."""
    broker.on_commit(access_revoked, node)


def access_granted(node: str, digest: str) -> None:
    _execute(("ACL", "SETUSER", user(node), *node_rules(node, digest)))


def access_revoked(node: str) -> None:
    _execute(("ACL", "DELUSER", user(node)), ("DEL", user(node)))


def synchronise() -> tuple[list[str], list[str]]:
    """Make the users of all nodes at the broker what they are to be; (nodes let in, nodes shut out)."""
    digests = dict(Token.objects.exclude(node=None).values_list("node_name", "digest"))
    (users,) = _execute(("ACL", "USERS"))
    strangers = [name.removeprefix(user("")) for name in map(_text, users) if name.startswith(user(""))]
    gone = sorted(set(strangers) - digests.keys())
    _execute(*(("ACL", "SETUSER", user(node), *node_rules(node, digests[node])) for node in digests))
    _execute(*(("ACL", "DELUSER", user(node)) for node in gone))
    return sorted(digests), gone


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _execute(*commands: tuple[str, ...]) -> list[Any]:
    with broker.connection() as connection:
        channel: Any = connection.default_channel
        return [channel.client.execute_command(*command) for command in commands]
