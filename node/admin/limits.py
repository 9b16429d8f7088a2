"""Every bound of the Admin and status APIs, in one place. Sizes in bytes, times in seconds.

These APIs share an event loop with the node's gossip agent, so each bound also caps how long one
request can hold that loop: parsing the worst body within them takes about 100 milliseconds.
"""

from gossip import limits as gossip

REQUEST_LINE_BYTES_MAX = 8_190
"""As nginx's large_client_header_buffers: longer request lines and header fields get 400."""
HEADER_FIELD_BYTES_MAX = 8_190
KEEPALIVE_SECONDS = 65.0
"""Idle connections are closed after this (nginx's keepalive_timeout in Kong's template)."""
LINGERING_SECONDS = 5.0
"""How long an unread request body is drained before its connection is closed."""
SHUTDOWN_SECONDS = 5.0
"""How long requests in flight may take once the node stops."""

REQUESTS_MAX = 512
"""Requests in progress at once, event streams included; beyond it 503."""
BODY_BYTES_MAX = 1024 * 1024
"""A request body on an entity endpoint; beyond it 413."""
BODY_SECONDS_MAX = 30.0
"""From the request head to the end of its body; beyond it 408."""
BODY_VALUES_MAX = 100_000
"""Values in a JSON document: objects, arrays and scalars."""
BODY_DEPTH_MAX = 64
"""Nesting of JSON arrays and objects, and of form field names."""
FORM_FIELDS_MAX = 1_000
"""Fields of an urlencoded form, and arguments of a query; beyond it 400, as in Kong."""
FORM_NAME_CHARS_MAX = 1_024
"""One field name of a form."""
PARTS_MAX = 256
"""Fields of a multipart form; their heads take longer to read than anything else here."""
PART_HEAD_BYTES_MAX = 1_536
"""Headers of one multipart part, the field's name among them."""
NUMBER_MAX = 2**63 - 1
"""Largest magnitude of an integer in a JSON body: what both databases can hold."""

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000
TAGS_MAX = 5
"""Tags in one filter, as in Kong (db/dao/init.lua)."""
OFFSET_CHARS_MAX = 3_072
"""An offset of tags holds one of them (TAG_CHARS_MAX), in base64."""

IDEMPOTENCY_KEY_CHARS_MAX = 255
IF_MATCH_TAGS_MAX = 16

AUDIT_FIELD_CHARS_MAX = 256
"""One field of the line that the log has for each write; the rest is cut off."""

TOUCHED_LISTED_MAX = 1_000
"""Entities of each kind that the answer to a declarative document lists as created, changed and
deleted; the rest are counted."""
DOCUMENTS_AT_ONCE_MAX = 4
"""Declarative documents that are read, or wait for one that is; more get 503. Each has up to
``store.limits.DOCUMENT_BYTES_MAX``."""

EVENT_SUBSCRIBERS_MAX = 32
"""Open streams of /cluster/events; beyond it 503."""
EVENT_HEARTBEAT_SECONDS = 15.0
"""Pause after which a comment line is sent, so that a vanished client is noticed."""
EVENT_WRITE_SECONDS = 10.0
"""A subscriber that takes longer to read what was written is cut off."""

FENCE_SECONDS_DEFAULT = 2.0
FENCE_SECONDS_MAX = gossip.FENCE_SECONDS_MAX
"""How long a write, or a question for a revision, may wait for all members."""
FENCE_NAMES_SHOWN_MAX = 10
"""Members that a Grapevine-Fence header names of each kind, up to 384 bytes each; the rest are
counted."""
FENCE_NAMES_LISTED_MAX = 100
"""Of each kind in the body of /cluster/revision."""

ADDRESS_CHARS_MAX = 261
"""``host:port``: 253 of a DNS name, colon, five digits, two brackets."""

GUI_PATH_CHARS_MAX = 1_024
"""Of a path below admin_gui_path; beyond it 404."""
GUI_FILE_BYTES_MAX = 16 * 1024 * 1024
"""A file of Kong Manager that may name the base; what is larger is sent as it is."""
GUI_HELD_BYTES_MAX = 64 * 1024 * 1024
"""All such files that are kept in memory."""

assert EVENT_SUBSCRIBERS_MAX < REQUESTS_MAX, "watchers must leave room for requests"
assert FORM_NAME_CHARS_MAX < PART_HEAD_BYTES_MAX, "a name must fit its part's head"
assert OFFSET_CHARS_MAX < REQUEST_LINE_BYTES_MAX
assert 2 * FENCE_NAMES_SHOWN_MAX * 3 * gossip.NAME_BYTES_MAX < HEADER_FIELD_BYTES_MAX
