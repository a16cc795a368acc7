"""The node's side: no database, no Django.

    fetch -> observe -> plan -> apply -> report

``document``, ``report`` and ``holdings`` are the formats that cross the wire; the control
plane imports such modules and nothing else of this package.
"""

VERSION = "0.1.0"
