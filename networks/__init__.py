r"""What is declared: networks, segments, allocations, and the document each node gets of them.

declare / change / withdraw      membership (a node came, a node went)
            \                      /
     rules say no, segments assigns, desired renders, events records
                       |
    one transaction; wake-ups after it commits
"""
