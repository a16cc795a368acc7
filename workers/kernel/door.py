"""The only way in to the kernel: opened once per process, inside the network namespace it works on."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from workers.kernel.filters import Filters
from workers.kernel.netlink import Netlink
from workers.kernel.nft import Nft
from workers.kernel.present import Present
from workers.kernel.procfs import Procfs


class Kernel:
    """The doors of one thread. Also a context manager."""

    def __init__(self) -> None:
        with ExitStack() as opened:
            self.netlink = opened.enter_context(Netlink())
            self.present = Present(self.netlink)
            self.nft = opened.enter_context(Nft())
            self.filters = Filters(self.nft)
            self.procfs = Procfs()
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
