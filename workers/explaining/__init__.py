"""The way of a packet through this node: as it should be, as the kernel has it. Nothing is changed.

question -> Document, legs
leg -> course    what should be (pure: the same decisions as an apply)
    -> sight     what is there (netlink, nft, /proc, lease store)
    -> ends, routing, carriers, walls    hop by hop, with what is different (pure)
echoes -> crossing    what really comes back
"""
