"""The door to what others have at hook forward: read again only when some ruleset changed.

generation (5 us) -> as before: what was read last
                  -> else list chains, and the rules of those that matter
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from workers.host import NOTHING, Forwarding
from workers.kernel import forwarding
from workers.kernel.forwarding import Accept, Follow
from workers.kernel.nft import Nft


class Filters:
    def __init__(self, nft: Nft) -> None:
        self._nft = nft
        self._seen = -1
        self._read: tuple[Forwarding, tuple[Accept, ...]] = (NOTHING, ())

    def look(self, own: str) -> tuple[Forwarding, tuple[Accept, ...]]:
        """What others have beside our own table, and our rules among theirs; raises NftError."""
        generation = self._nft.generation()
        if generation != self._seen:
            self._read = self._look(own)
            self._seen = generation
        return self._read

    def end_of(self, family: str) -> int:
        """The handle of the final return of docker's chain, as it was seen last; 0: there is none."""
        return self._read[0].docker.get(family, 0)

    def _look(self, own: str) -> tuple[Forwarding, tuple[Accept, ...]]:
        chains = self._nft.objects("list chains", "chain")
        docker: dict[str, int] = {}
        accepts: list[Accept] = []
        for family in forwarding.docker_chains(chains):
            rules = self._rules({"family": family, "table": "filter", "name": forwarding.DOCKER_USER})
            docker[family], ours = forwarding.docker_user(family, rules)
            accepts += ours
        found = [
            forwarding.barrier(chain, self._rules(chain), self._beside(chain))
            for chain in forwarding.base_chains(chains, own)
        ]
        return Forwarding(tuple(one for one in found if one), docker), tuple(accepts)

    def _beside(self, chain: Mapping[str, Any]) -> Follow:
        """Reads other chains of its table, each once."""
        return lru_cache(maxsize=None)(lambda name: self._rules({**chain, "name": name}))

    def _rules(self, chain: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        return self._nft.objects(f"list chain {chain['family']} {chain['table']} {chain['name']}", "rule")
