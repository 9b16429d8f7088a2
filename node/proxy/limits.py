"""Every bound of the data plane, in one table, with the relations between them asserted.

Sizes are in bytes, times in seconds, counts as named. Where nginx, which Kong runs on, has a bound
of its own, its default is taken and named.
"""

REQUEST_HEAD_BYTES_MAX = 32 * 1024
"""nginx: large_client_header_buffers 4 8k. Beyond it: 400 (nginx's own code 494)."""
REQUEST_FIELDS_MAX = 1_000
"""Fields of a request's head (nginx: max_headers). Beyond it: 400."""
REQUEST_TARGET_BYTES_MAX = 8 * 1024
"""One of those buffers. Beyond it: 414."""
BLANK_LINES_MAX = 4
"""Empty lines tolerated before a request line (RFC 9112, 2.2)."""
RESPONSE_HEAD_BYTES_MAX = 64 * 1024
RESPONSE_FIELDS_MAX = 1_000
"""Fields of an upstream's head, as of a client's. Beyond it: 502."""
INTERIM_RESPONSES_MAX = 16
"""1xx responses before the final one; an upstream that sends more is broken."""

CHUNK_LINE_BYTES_MAX = 256
"""A chunk's size line with its extensions (RFC 9112, 7.1.1 asks for a bound)."""
CHUNK_SIZE_DIGITS_MAX = 15
"""Keeps a chunk below 2^60 bytes, far from any overflow."""
TRAILER_BYTES_MAX = 8 * 1024
CONTENT_LENGTH_DIGITS_MAX = 18

COLD_WAIT_SECONDS = 1.0
"""How long a look-up of a consumer or credential may wait for the replica file or the agent."""
COLD_ASKED_MAX = 1_024
"""Look-ups that wait for the agent's answer."""

RESULTS_TOLD_SECONDS = 0.005
"""How long results of targets are gathered before the agent is told."""
RESULTS_TOLD_MAX = 256
"""In one frame; so 51,200 a second at most."""
RESULTS_WAITING_MAX = 4_096
DOUBTS_MAX = 1_024
"""Addresses that other nodes have found unhealthy."""

BACKLOG_BYTES_MAX = 64 * 1024
"""Pipelined bytes kept while a request is being answered; reading pauses beyond it."""
REPLAY_BYTES_MAX = 64 * 1024
"""Request body kept until an answer begins, so that a failed try can be repeated; of one that was
read whole before, all of it is."""
REPLAY_PIECES_MAX = 64
"""Pieces of it, which are joined beyond that: bytes that come one by one would take forty each."""
SMALL_PIECE_BYTES = 1024
"""Pieces of a body that is held are joined below that, for the same reason."""
SMALL_BODY_BYTES = 16 * 1024
"""Up to that a body is sent in one piece with its head."""
REQUEST_BUFFER_BYTES_MAX = 512 * 1024
"""With request_buffering: a body that is read whole before its upstream is contacted. A larger one
is passed on as it comes (nginx takes it all, to a file beyond client_body_buffer_size)."""
RESPONSE_BUFFER_BYTES_MAX = 1024 * 1024
"""With response_buffering: what is read of an answer before its client takes it, and one piece more
(nginx: proxy_buffers 8 8k, and a file of up to 1 GiB)."""
BUFFERED_BYTES_MAX = 64 * 1024 * 1024
"""Of both, over all connections of one worker."""
WRITE_BUFFER_HIGH = 256 * 1024
WRITE_BUFFER_LOW = 64 * 1024

REQUEST_HEAD_SECONDS = 60.0
"""nginx: client_header_timeout."""
REQUEST_BODY_SECONDS = 60.0
"""nginx: client_body_timeout, between two reads."""
FIRST_REQUEST_SECONDS = 1.0
"""While draining: how long a new connection may take to send its first request."""
NEXT_REQUEST_SECONDS = 0.25
"""While draining: how long one that was idle may take to send another one, which ends it."""
KEEPALIVE_SECONDS = 65.0
"""nginx_http_keepalive_timeout of Kong's template: idle client connections."""
KEEPALIVE_REQUESTS_MAX = 10_000
"""nginx_proxy keepalive_requests in Kong 3.9."""
SEND_SECONDS = 60.0
"""nginx: send_timeout, between two writes that the client takes."""
LINGER_SECONDS = 2.0
"""How long input is discarded after an early answer (nginx: lingering_close)."""
TLS_HANDSHAKE_SECONDS = 10.0
"""From the connection to the end of its handshake; a client that takes longer is cut off."""
SERVER_CONTEXTS_MAX = 1_024
"""TLS contexts of certificates that are kept, of some 20 KiB each."""
UPSTREAM_CONTEXTS_MAX = 256
"""The same for upstreams. One that trusts the system's authorities has some 500 KiB; those with one
set of authorities share it."""
MIN_REVISION_WAIT_SECONDS = 1.0
MIN_REVISION_WAITERS_MAX = 1_000
ORPHAN_SECONDS = 4.0
"""What a worker whose agent is gone gives its requests; it must be out within 5 s."""

SWEEP_SECONDS = 0.05
"""Granularity of every deadline."""

ROUTER_CACHE_ENTRIES_MAX = 5_000
"""Kong: MATCH_LRUCACHE_SIZE."""
STAGED_AT_ONCE_MAX = 512
"""Changes of one large changeset that are applied to the table in one go: some 20 ms for routes."""
COPIED_AT_ONCE = 128
"""Entities that are put into the copy of a table between two turns of the loop."""
DISMANTLED_AT_ONCE = 64
"""Entities of a replaced state that are freed between two turns of the loop."""
ROUTER_CACHE_PATH_BYTES_MAX = 1_024
"""Longer paths are matched each time, so that clients can't fill memory with them."""
FIELD_NAMES_MAX = 4_096
"""Exact spellings of field names whose classification is remembered."""
KNOWN_HEAD_BYTES_MAX = 4 * 1024
"""Heads that a connection remembers, the latest one of requests and of responses, and what was
decided about it: some three times as much. Larger ones are read anew each time."""
HEAD_LAYOUTS_MAX = 1_024
"""Sequences of names of response fields whose classification is remembered."""
HEAD_LAYOUT_FIELDS_MAX = 64
HEAD_PATTERN_AFTER = 16
"""Heads of one layout that are read before an expression is compiled for it, in a millisecond."""
HEAD_PATTERNS_MAX = 128
CLIENT_ADDRESSES_MAX = 4_096
"""Addresses whose trust is remembered."""
REGEX_MEMORY_BYTES_MAX = 8 * 1024 * 1024
"""RE2's bound on one compiled pattern."""

QUERY_ARGS_MAX = 100
"""Of a query, that are looked at (Kong: lua_max_uri_args)."""

RESOLVER_NAMES_MAX = 1_024
"""Names that are remembered, beside those of targets."""
RESOLVER_TTL_SECONDS = 30.0
"""Of an answer that has none of its own."""
RESOLVER_TTL_MIN_SECONDS = 1.0
"""Kong asks at each request for a name with a TTL of 0; here it is asked for each second."""
RESOLVER_TTL_MAX_SECONDS = 24 * 3600.0
RESOLVER_FAILURE_SECONDS = 1.0
"""Kong: dns_error_ttl."""
RESOLVER_TIMEOUT_SECONDS = 5.0
RESOLVER_QUESTION_SECONDS = 2.0
"""Of one question for one type of record."""
RESOLVER_TICK_SECONDS = 0.5
"""How late the names of targets may be asked for anew."""
RESOLVER_AT_ONCE_MAX = 32
"""Look-ups under way; each takes a descriptor."""
RESOLVER_ADDRESSES_MAX = 64
"""Of one name."""
LITERALS_MAX = 16_384
"""Hosts of services and targets of which it is remembered whether they are addresses."""
HOSTS_FILE_BYTES_MAX = 1024 * 1024

IDLE_UPSTREAMS_MAX = 4_096
"""Idle upstream connections of one worker, over all services."""

DESCRIPTORS_RESERVED = 64
"""File descriptors kept for logs, DNS and the channel when clients are admitted."""

ACCESS_LOG_BATCH_ENTRIES = 256
"""Requests whose heads are kept until a batch of lines is made of them."""
ACCESS_LOG_FLUSH_SECONDS = 1.0
ACCESS_LOG_CLOSE_SECONDS = 0.5
"""How long an exiting worker waits for the disk."""
ACCESS_LOG_PENDING_BYTES_MAX = 8 * 1024 * 1024
"""Lines waiting for a slow disk; beyond it they are dropped and counted."""

assert REQUEST_TARGET_BYTES_MAX < REQUEST_HEAD_BYTES_MAX
assert RESULTS_TOLD_MAX < RESULTS_WAITING_MAX
assert WRITE_BUFFER_LOW < WRITE_BUFFER_HIGH < RESPONSE_BUFFER_BYTES_MAX
assert REPLAY_BYTES_MAX < REQUEST_BUFFER_BYTES_MAX < BUFFERED_BYTES_MAX
assert ACCESS_LOG_BATCH_ENTRIES * REQUEST_HEAD_BYTES_MAX <= ACCESS_LOG_PENDING_BYTES_MAX
assert ORPHAN_SECONDS + SWEEP_SECONDS + ACCESS_LOG_CLOSE_SECONDS < 5.0
