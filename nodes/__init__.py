"""Who carries it out: the cluster, its nodes, their tokens, what they report, what happened.

Knows nothing of ``networks``; what needs both lives there.
"""
