"""What plugins refuse an ADD with, in their own words, and what helps. Pure.

Source: the allocator of ``host-local`` (containernetworking/plugins, releases 1.0 to 1.6).
"""

FULL = "no IP addresses available"
DUPLICATE = "duplicate allocation"
TAKEN = ("requested IP address", "failed to allocate all requested IPs")
"""Of an address that was asked for."""
ABSENT = "cannot be started"
"""Our own words: there is no such program."""
OTHERS = "was asked for"
"""Our own words: the plugins gave other addresses."""


def may_pass(said: str) -> bool:
    """Whether another try, behind a DEL, may succeed."""
    return DUPLICATE in said or FULL in said


def is_of_address(said: str) -> bool:
    """Whether it is that an address that was asked for cannot be had."""
    return any(words in said for words in TAKEN)


def remedy(said: str, network: str, node: str) -> str:
    """What an operator can do about it."""
    if FULL in said:
        return (
            f"Release what is not needed (manage.py net ip ls --network {network} --node {node}), or free "
            f"what is lost (manage.py net ip check --release --network {network}); then it is attached"
        )
    if is_of_address(said):
        return (
            "Release who has the address, or ask for another one or for any "
            f"(manage.py net ip ls --network {network} --node {node}); then it is attached"
        )
    if ABSENT in said:
        return (
            f"Install that plugin on {node} (Debian has the usual ones in containernetworking-plugins), or "
            "take it out of the network's template; then it is attached"
        )
    if OTHERS in said:
        return (
            f"Give {network} a template whose ipam takes addresses from args.cni.ips, as host-local does, or "
            "ask for any address"
        )
    return "It is tried again"
