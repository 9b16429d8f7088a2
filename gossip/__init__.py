"""The protocol: membership, dissemination, anti-entropy. Knows no entity, no SQL and no HTTP.

Where to find what:

    core           Gossip: the whole protocol as one object without I/O; start reading here
    router         which message concerns which part, and who may send it
    transport      the asyncio side (with sockets, datagrams, frames, outgoing, knocks)

    members        the member table, with the theory of operation; member, identity
    claims         what follows from claims: spreading, correcting, refuting
    own_record     this node's own record; contest: when its id or name is claimed by another too
    departure      leaving; strays: packets for another node
    detection      failure detection: probe (with schedule, health), refusal, watch, doubt;
                   suspicion: the time that an accused member has
    updates        the piggyback queue
    pushpull       joining, table exchange; contacts: whom to call when members are missing; streams

    dissemination  how changesets arrive; early, repair, confirmation; pace: when writers wait
    supply         how changesets are given to others; burst
    tree           how what everybody must hear is sent; relaying: passing on for others
    announcements  telling a few others what has come
    snapshot       taking a peer's whole state; snapshot_supply and pinned: giving ours
    replica        what the protocol needs of the store

    wire           the envelope; messages, reader, outbox, address
    sessions       encryption: who may be believed that a packet is new (with stream_sessions,
                   admission, challenge, recent, hints); seal: the primitive
    keyring        the cluster's keys; rotation: how a change of them spreads
    profiles       timing, each parameter with its formula
    limits         every bound
    effects, events, counters   what comes out of the core
"""
