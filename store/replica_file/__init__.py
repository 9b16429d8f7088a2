"""The replica on a node's disk: what a restart starts from, and where cold kinds live.

``layout`` says what stands in the file, ``file`` reads and writes it, ``persister`` decides when to
write what, ``aside`` keeps what can't be used out of the way.
"""
