"""The real thing under attack: node processes, a Postgres pair and clients, with faults injected.

``simulations`` runs the protocol in virtual time; what runs here are the processes that users run,
in real time, on sockets, disks and servers that are made to fail (docs/reliability.md). What it
finds can't be replayed event by event: a seed draws the same faults in the same order, and the
machine decides the rest. So a run records everything that its clients did and saw, and what may be
concluded from that is decided afterwards, by code without a clock (``checker``).
"""
