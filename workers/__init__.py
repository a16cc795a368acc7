"""The node's side: no database, no Django.

    fetch -> observe -> plan -> apply -> report

``document`` and ``report`` are the two formats that cross the wire; the control
plane imports these two modules and nothing else of this package.
"""

VERSION = "0.1.0"
