"""Leases whose container is gone: found before a range is full, and freed on proof alone.

finder   when to look, who was seen dead twice, freeing under the store's own lock
proof    who can be dead at all; pure
sight    the door: every network namespace of the machine, and what runs on it
"""
