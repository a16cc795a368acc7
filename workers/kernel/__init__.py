"""What a node has in its kernel.

A kind of object is one file, pure: ``links``, ``sysctls``, ``addresses``, ``firewall``,
``routes``. Each holds a frozen dataclass with the kernel's own key and the functions
``wanted`` (from the document), ``decode`` (from the kernel) and ``encode`` (to the kernel).
The doors do the talking: ``netlink``, ``nft``, ``procfs``, bundled in ``door``; ``monitor``
hears what others do.
"""
