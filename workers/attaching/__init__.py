"""Interfaces with addresses for services: made by the CNI plugins, looked after, taken away.

    Holdings -> keeper: which attachment is worked on (held), a few side by side (jobs)
                  |
                  +-> places, runtimes    the container's network namespace, held open
                  +-> journal             all that ADD is given, on disk before it starts
                  +-> calls, chain        the plugins, one after the other
                  +-> hostports           host ports, in an nftables table of our own
                  `-> sight               what the plugins' CHECK does not see
    Statement <- post                     sent when something changed, until it is taken

Beside the agent, in threads of its own: a plugin is a process, and no repair waits for one.
"""
