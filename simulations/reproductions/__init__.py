"""Figures of the protocol, each a scenario whose tables one line brings out again.

``propagation`` and ``fence`` run real cores with a processor each on the network of GOSSIP 4.2
(``network``, ``cores``), beside small models of other designs (``designs``); ``repair`` and
``authority`` run nodes of the simulated world.
"""
