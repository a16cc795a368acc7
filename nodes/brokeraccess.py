"""Who may do what at the broker: an access list, one user per node and one for the control plane.

A node's user is ``node.NAME``, its password the node token, of which we hold the SHA-256
that the access list takes as it is. It may pop its own queue and nothing else. Names end
exactly: ``~node.n1*`` would open the queue of n10 too. (Valkey and Redis: ``ACL SETUSER``.)
"""

from netadmin import broker
from nodes.models import Token

LOGIN = ("+hello", "+auth", "+ping", "+client|setinfo", "+select")


def node_rules(node: str, digest: str) -> list[str]:
    """Arguments of ACL SETUSER after the user name."""
    return ["reset", "on", f"#{digest}", f"~node.{node}", "-@all", *LOGIN, "+brpop"]


def access_list(control_digest: str) -> str:
    """The whole access list as a file of the embedded broker: everybody else may nothing."""
    lines = [
        "user default off resetpass resetkeys resetchannels -@all",
        f"user control on #{control_digest} resetchannels ~node.* -@all "
        + " ".join(
            (*LOGIN, "+lpush", "+del", "+multi", "+exec", "+acl|setuser", "+acl|deluser", "+info", "+llen")
        ),
    ]
    for token in Token.objects.exclude(node=None).order_by("node_name"):
        lines.append(f"user node.{token.node_name} " + " ".join(node_rules(token.node_name, token.digest)))
    return "\n".join(lines) + "\n"


def grant_on_commit(node: str, digest: str) -> None:
    """Let the node in as soon as its token exists."""
    broker.on_commit(access_granted, node, digest)


def revoke_on_commit(node: str) -> None:
    """Shut the node out; the broker drops its open connection at once."""
    broker.on_commit(access_revoked, node)


def access_granted(node: str, digest: str) -> None:
    _execute(("ACL", "SETUSER", f"node.{node}", *node_rules(node, digest)))


def access_revoked(node: str) -> None:
    _execute(("ACL", "DELUSER", f"node.{node}"), ("DEL", f"node.{node}"))


def _execute(*commands: tuple[str, ...]) -> None:
    with broker.app.connection_for_write() as connection:
        client = connection.default_channel.client
        for command in commands:
            client.execute_command(*command)
