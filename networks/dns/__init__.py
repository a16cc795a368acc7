"""The cluster DNS: names of service addresses, served by PowerDNS with our remote backend.

    allocations, networks, nodes, cluster
        | loaded        rows -> Facts
        v
    names, reverse      Facts -> records (pure), zone apexes
        v
    zones               records by name, ready as answers; what changed between two looks
        |
        +-> backend     lines of PowerDNS' remote backend -> answers (pure)
        |     server    UNIX socket; follows changes, purges PowerDNS' caches, acknowledges
        +-> masterfile  `dns dump`
        +-> api, pages  lists

Whoever changes what is served calls ``changes.changed()`` inside the transaction.
"""
