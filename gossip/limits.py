"""Every bound of the protocol in one table, with the relations between them asserted at import.

Sizes are in bytes, times in seconds. A bound that is hit is counted (``gossip.counters``).
"""

PACKET_BYTES_MAX = 1400
"""One UDP datagram, so that it fits an Ethernet frame through common tunnels unfragmented."""

HEADER_BYTES = 20
"""The envelope's clear header (``gossip.wire``)."""

SEAL_BYTES = 28
"""What sealing adds: key id 2, salt id 4, counter 6, authentication tag 16 (``gossip.seal``)."""

PROOF_BYTES = 56
"""What a proof adds: key id 2, salt 16, counter 6, nonce 16, tag 16."""

CHALLENGE_BYTES = HEADER_BYTES + 60
"""A challenge: key id 2, salt 16, counter 6, the question's counter 4, nonce 16, tag 16."""

SEALED_BODY_BYTES_MIN = CHALLENGE_BYTES - HEADER_BYTES - SEAL_BYTES
"""Sealed packets are padded to the size of a challenge: no answer is longer than its question."""

PACKET_BODY_BYTES_MAX = PACKET_BYTES_MAX - HEADER_BYTES - PROOF_BYTES
"""Room for messages. The same with and without a key, so that what fits doesn't depend on it; and
with a proof, so that any packet that a new process couldn't read can be sent again in one."""

BODY_BYTES_MAX = 64 * 1024 * 1024
"""One changeset's body."""

REQUEST_FRAME_BYTES_MAX = 8 * 1024 * 1024
"""One frame on an accepted stream: at most a whole member table."""

FRAME_BYTES_MAX = BODY_BYTES_MAX + 1024 * 1024
"""One frame on a stream that this node opened: at most what it asked for."""

PART_FIELDS_MAX = 32
"""Fields of one message, and elements of any array within it. Keeps a hostile packet from having
large arrays allocated before they are filled."""

PACKET_PARTS_MAX = 255
FRAME_PARTS_MAX = 65_536

NAME_BYTES_MAX = 128
ROLE_BYTES_MAX = 32
ZONE_BYTES_MAX = 64
SOFTWARE_BYTES_MAX = 32
ENDPOINT_BYTES_MAX = 96
AUTHORITY_BYTES_MAX = 36
"""A member's proxy or admin address as text; host names are allowed there."""
HOST_BYTES_MAX = 64
CLUSTER_NAME_BYTES_MAX = 255

ALIVE_BYTES_MAX = (
    96
    + HOST_BYTES_MAX
    + (
        NAME_BYTES_MAX
        + ROLE_BYTES_MAX
        + ZONE_BYTES_MAX
        + SOFTWARE_BYTES_MAX
        + 2 * ENDPOINT_BYTES_MAX
        + AUTHORITY_BYTES_MAX
    )
)
"""The longest claim: a member's whole record. The rest (96) is ids, numbers and msgpack."""

COUNTER_MAX = 2**62
"""Generations and incarnations. Above what any real node reaches and below 2^63. As an incarnation
it is for forcing a node out: nothing that its process can say outranks that. A forged accusation
at it leaves its victim the next generation to refute with."""

TAG_MAX = 2**64 - 1
REVISION_MAX = 2**63 - 1

CONTESTS_MAX = 64
"""Claims to this node's id or name that are looked into at once."""
CONTESTS_TOLD_MAX = 1_024

FOREIGNERS_MAX = 1_024
"""Nodes of other authorities that are remembered as such."""

FOREIGN_INTERVAL = 5.0
FOREIGN_REPEAT_SECONDS = 60.0
"""How often nodes of other authorities are told of, and each of them."""
"""Contests that were told, and aren't again."""
NAMESAKE_SECONDS = 30.0
"""A member of this node's name that didn't answer is asked again after this, and again."""
STRAYS_MAX = 1_024
STRAYS_SECONDS = 1.0
"""A sender whose packets reach the wrong node is told so at most this often."""

MEMBERS_MAX = 16_384
TOMBSTONES_MAX = 4_096
UPDATES_MAX = MEMBERS_MAX
SEEDS_MAX = 64
CONTACTS_MAX = 1_024
"""Addresses joined by hand, from the peers file or from the authority's rows."""
FORMER_MAX = 1_024
"""Addresses of failed members that have left the listing, tried again now and then."""
ISOLATION_REPEAT_SECONDS = 600.0
RELAYS_MAX = 256
"""Indirect probes run for others at once."""

CLOCK_MS_MAX = 2**53 - 1
"""The cluster clock: exact in a float, 285,000 years above any machine's uptime."""

PROBES_MAX = 8
"""Probes of this node under way at once. Windows are shorter than the interval and stretch as it
does, so two or three overlap where turns lie close together."""

CASES_MAX = 64
"""Members that this node looks into at once because of a refusal (``gossip.refusal``)."""

KNOCKS_MAX = 64
"""Knocks of this node under way at once, for its own cases and for others'."""

KNOCK_ASKERS_MAX = 32
"""Members that wait for one knock's outcome."""

KNOCK_SECONDS_MAX = 0.5
"""From a knock to its outcome."""

WATCHES_OPENED_MAX = 2
"""Successors that this node keeps a watch stream to."""

WATCHES_ACCEPTED_MAX = 8
"""Watch streams that others keep to this node: two, and some while views of the ring differ."""

WATCH_RETRIES_MAX = 64
"""Members whose watch stream ended and that wait to be watched again."""

DIRECT_MEMBERS_MAX = 64
"""In a cluster of up to so many a change goes from its origin straight to everyone (GOSSIP 4.4)."""

CHILDREN_MAX = 64
"""Members to whom one packet may have its receiver pass it on: what a packet can set off. √N of a
cluster of 4,096; in a larger one there are more relays."""
CHILDREN_MIN = 16
"""The list of so many children must fit beside what is spread, or the relays would be too many."""
CHILDREN_LIST_BYTES = 10
"""What such a list takes beside its wire ids of 8 bytes: kind, a long length, msgpack's marks."""
SPREAD_BYTES_MAX = PACKET_BODY_BYTES_MAX - CHILDREN_LIST_BYTES - 8 * CHILDREN_MIN
"""Messages that are spread together, in a cluster that needs relays."""

ANNOUNCEMENTS_KEPT_MAX = 16
"""Announcements that a relay keeps for its children until it has what they are of."""

HELD_RUNS_MAX = 8
"""Runs of early changesets told in one announcement."""

COALESCE_SECONDS = 0.001
"""Commits of a node within so long of its last push share packets."""

EARLY_COUNT_MAX = 1_024
EARLY_BYTES_MAX = 8 * 1024 * 1024
"""Changesets waiting for their predecessor."""

APPLIED_AT_ONCE_MAX = 256
"""Changesets applied by one call of the core, at some 60 µs each: more would hold the event loop
for over 20 ms. The rest waits for the next call, which is due at once."""

ORIGINS_MAX = 1_024
"""Changesets whose time of origin is remembered, for the propagation delay of repairs."""

PUSHES_MAX = 256
"""Changesets pushed at once; a node that suddenly holds more (a load from the authority) announces
its head, and the others pull."""

REPAIR_PACKETS_MAX = 16
"""Packets with which one gap request is answered; what needs more goes by stream."""

PULL_BYTES_MAX = 256 * 1024
"""Bodies in one answer to a pull, unless a single body is larger."""
PULL_COUNT_MAX = EARLY_COUNT_MAX
"""Changesets in one answer to a pull. They wait in the early buffer to be applied in slices."""

SLICE_BYTES = 128 * 1024
"""What a slice of a snapshot aims at: large beside a packet, and taken in within milliseconds."""

SLICES_ASKED_MAX = 2
"""Slices of a snapshot that are on their way at once: while one is taken in the next one comes."""

SLICE_BYTES_MAX = BODY_BYTES_MAX + SLICE_BYTES + 1024
"""A slice that ends with the largest entity, which some changeset must have carried, and marks."""

SNAPSHOT_BYTES_MAX = 2 * 1024 * 1024 * 1024
SNAPSHOT_SLICES_MAX = 2 * SNAPSHOT_BYTES_MAX // SLICE_BYTES
"""One snapshot: what an asker takes in before it gives up."""

SNAPSHOTS_GIVEN_MAX = 4
"""Snapshots given to others at once. Each pins the state of its moment in memory."""

SNAPSHOT_PEERS_MAX = 8
"""Peers that are tried for one snapshot."""

RESUMES_MAX = 4
"""Peers that are asked to go on where another broke off."""

RESUME_BYTES_MAX = 1024
"""Where to go on: a mark, a kind and an id."""

PINS_MAX = 4
PIN_SECONDS = 30.0
"""States that are kept for others to go on at, and how long after the last question."""

QUESTION_BYTES_MAX = 16 * 1024
"""A question about what differs: at most 512 items of 16 bytes."""

RECONCILE_SECONDS = 60.0
"""How long either side of a reconciliation may work before it says anything."""

WORK_PAUSE = 0.001
"""Between two pieces of work that take some milliseconds each, so that nothing else waits."""

COMPARE_INTERVAL = 1.0
"""One member is asked what exactly it holds at most so often."""

COMPARE_MEMBERS_MAX = 8
"""Members that are asked what they hold, to find out who is damaged (DESIGN 5)."""

DAMAGE_REST_SECONDS = 30.0
"""After it was found who is damaged, or that it can't be, nothing is looked into for so long."""

POISON_REFUSALS_MAX = 2
"""Peers from which the same changeset came that can't be applied here, before it is given up."""

POISON_REST_SECONDS_MAX = 60.0
"""A changeset that can't be applied here is tried again after a pause that doubles up to this."""

LOG_REFUSALS_MAX = 8
"""Peers whose log doesn't reach before the others' logs are taken to be no longer."""

SERVER_BYTES_MAX = 255
TIMELINE_MAX = 2**32 - 1
"""How a database server is told from another."""
HISTORY_ASKED_MAX = 8
"""Members that one question about the authority's history goes to."""
HISTORY_SECONDS = 2.0
HISTORY_REPEAT_SECONDS = 0.3
"""How long such a question stands, and when it is sent again."""
HISTORY_QUESTIONS_MAX = 256
"""Questions of others that are remembered, so that each is looked into once."""
FENCES_MAX = 1_024
"""Fences of this node under way at once: above the requests that its Admin API takes in."""
FENCE_QUESTIONS_MAX = 4_096
"""Questions of fences that wait for this node's application. Beyond it they are answered with
"not yet", and come again."""
FENCE_SECONDS_MAX = 60.0
FENCE_RETRY_SECONDS_MAX = 1.0
"""Members that a fence waits for are asked again at least so often."""
FENCE_FAILED_GRACE = 30.0
"""Members that have failed for less count in a fence: they may be proxying beyond a partition."""
FENCE_NUMBER_MAX = 2**32 - 1

GAP_CHANGESETS_MAX = 4_096
"""Changesets that one member is given one by one: some 0.6 s of work for it. One that lacks more is
told to take the whole state."""

LAG_CHANGESETS_MAX = 512
"""Changesets by which the median member may lag before writers wait: half a second's worth of the
greatest burst that this is made for."""
WRITE_PAUSE_SECONDS_MAX = 0.25
"""What one write waits at most, however far the others are behind."""

RESIDENCE_MAX = 86_400.0
CONFIRMATION_AGE_MAX = 365 * 86_400.0
HOPS_MAX = 255

STREAMS_OPENED_MAX = 64
STREAMS_ACCEPTED_MAX = 32
"""With REQUEST_FRAME_BYTES_MAX this bounds what strangers can make us hold: 256 MiB."""
ACCEPTED_SECONDS_MAX = 60.0
"""Time in which an accepted stream has served its purpose, unless it takes a snapshot; and in which
any one frame on it has arrived."""
STREAM_BUFFER_BYTES_MAX = 2 * 1024 * 1024
"""Unsent bytes on a stream above which nothing more is written: the reader doesn't read."""

STREAMS_BUFFER_BYTES_MAX = 4 * FRAME_BYTES_MAX
"""Unsent bytes on all streams together: so many of the largest answers at once."""
STREAM_STALL_SECONDS = 10.0
STREAM_STALL_BYTES = 512 * 1024
"""What a peer must take in such a time of what waits for it (50 kB/s), or its stream is cut."""
CACHE_NAME_BYTES_MAX = 32
PURGE_TEXT_BYTES_MAX = 640
"""The key or tag that a purge names: the longest cache key is a credential's kind, 512 characters
of its own and a workspace. With what else a purge holds it leaves the tree its room."""
PURGES_PER_SECOND = 100.0
PURGES_BURST = 200
"""What one node may originate."""
PURGE_SOURCES_MAX = 1_024
PURGES_KEPT_MAX = 1_024
"""Purges of all sources that are kept for members that missed them."""
PURGES_MISSING_MAX = 256
"""Purges of one source that are asked for; where more are missing, that cache is purged whole."""
PURGES_WANTED_MAX = PART_FIELDS_MAX - 2
"""Purges that one question names."""
PURGES_AWAITED_MAX = 1_024
"""Purges that are due again at a version that isn't reached yet."""
PURGE_GAP_SECONDS = 2.0
"""A purge that hasn't been found by then is made up for (DESIGN 4, point 7)."""
PURGE_NEWCOMER_SECONDS = 10.0
"""How long a process takes other sources for as far as they are: its caches hold next to
nothing."""
PURGE_NEWS_SECONDS = 0.002
PURGE_NEWS_PEERS = 2
PURGE_NEWS_GROWTH = 10.0
PURGE_OWN_ROUNDS = 3
"""After a purge this many others are told, this soon; by its origin in more rounds than one, each
so many times later than the one before."""
REGISTERS_MAX = 1_024
REGISTERS_DELETED_MAX = 1_024
"""Those that have a value, and those whose end is remembered."""
REGISTER_NAME_BYTES_MAX = 64
REGISTER_VALUE_BYTES_MAX = 512
REGISTER_SECONDS_MAX = 365 * 86_400.0
REGISTER_NEWS_SECONDS = 0.002
REGISTER_NEWS_PEERS = 2
REGISTER_NEWS_MAX = 16
"""What was adopted is passed on to so many others, this soon, so many at a time: where there is
more it came by a push-pull, and goes on by those."""
OBSERVATION_BYTES_MAX = 640
"""With what a packet holds besides it leaves the tree its room."""
OBSERVATIONS_TOLD_PER_SECOND = 200.0
OBSERVATIONS_HEARD_PER_SECOND = 2_000.0
"""What one node tells, and what it takes from all the others; the rest is lost, and said again."""
BESIDE_DIGEST_BYTES = 8
BESIDE_BYTES_MAX = 8 * BESIDE_DIGEST_BYTES
"""What stands for one part of what push-pulls carry besides the member table, and for all."""

KEYS_MAX = 8
"""Keys in a keyring: two in a rotation, and some that were forgotten."""

SALTS_ADMITTED_MAX = MEMBERS_MAX + 1_024
"""Processes that have proved themselves, with their replay windows. The least recently heard goes
first, and is challenged anew."""
CHALLENGES_MAX = 4_096
"""Challenges that await their proof."""
CHALLENGE_SECONDS_MAX = 5.0
CHALLENGE_INTERVAL = 0.1
"""One process is challenged by packet at most so often."""
CHALLENGES_PER_SECOND = 2_000
"""By packet, in all: what strangers can have this node do for them."""
SENT_MAX = 4_096
SENT_SECONDS_MAX = 5.0
"""Packets that can be sent again, to a process that didn't know their sender yet."""
RESENT_MAX = 8
"""Packets sent again in answer to one challenge."""
HINTS_PER_SECOND = 20
HINT_INTERVAL = 1.0
HINT_SOURCES_MAX = 1_024
"""Hints of unknown keys: in all, to one source, and sources remembered for that."""
KEY_UNKNOWN_INTERVAL = 5.0
"""The application is told of unknown keys at most so often."""
KEYRING_INTERVAL = 1.0
"""One member is sent or asked for the keyring at most so often."""
KEYRING_BYTES_MAX = 64 + KEYS_MAX * 34

# One probe of a suspect: ping, the accusation (buddy system), heartbeat, and one whole record.
_PING_BYTES = 24
_VERDICT_BYTES = 64
_HEARTBEAT_BYTES = 96
assert _PING_BYTES + _VERDICT_BYTES + _HEARTBEAT_BYTES + ALIVE_BYTES_MAX < PACKET_BODY_BYTES_MAX
_REGISTER_BYTES = REGISTER_NAME_BYTES_MAX + REGISTER_VALUE_BYTES_MAX + 64
_BESIDE_BYTES = REGISTERS_MAX * _REGISTER_BYTES + (REGISTERS_DELETED_MAX + PURGE_SOURCES_MAX) * 128
assert MEMBERS_MAX * (ALIVE_BYTES_MAX // 2) + _BESIDE_BYTES < REQUEST_FRAME_BYTES_MAX
_BESIDE_PARTS = PURGE_SOURCES_MAX + REGISTERS_MAX + REGISTERS_DELETED_MAX
assert 2 * MEMBERS_MAX + _BESIDE_PARTS + 16 <= FRAME_PARTS_MAX
assert 2 * WATCHES_OPENED_MAX <= WATCHES_ACCEPTED_MAX
assert PULL_BYTES_MAX < STREAM_BUFFER_BYTES_MAX < FRAME_BYTES_MAX
assert BODY_BYTES_MAX < FRAME_BYTES_MAX
assert SLICES_ASKED_MAX * SLICE_BYTES < STREAM_BUFFER_BYTES_MAX
assert SLICE_BYTES_MAX + HEADER_BYTES + PROOF_BYTES + 256 < FRAME_BYTES_MAX
assert KEYRING_BYTES_MAX < PACKET_BODY_BYTES_MAX
assert PURGE_TEXT_BYTES_MAX + CACHE_NAME_BYTES_MAX + 80 <= SPREAD_BYTES_MAX
assert OBSERVATION_BYTES_MAX + 16 <= SPREAD_BYTES_MAX
assert _REGISTER_BYTES <= SPREAD_BYTES_MAX
assert PULL_COUNT_MAX <= EARLY_COUNT_MAX
assert PULL_BYTES_MAX <= EARLY_BYTES_MAX
assert 3 <= CHILDREN_MIN <= CHILDREN_MAX
