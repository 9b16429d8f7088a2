"""Every bound of the configuration, in one place."""

FILE_BYTES_MAX = 1024 * 1024
"""A configuration file. Kong's own commented sample has some 100 kB."""
LINE_BYTES_MAX = 65_536
"""A line of it, continuation lines joined; long enough for a certificate in base64."""
ENTRIES_MAX = 2_000
"""Keys in one file."""
PROBLEMS_MAX = 100
"""Problems reported at once; beyond it the count of the rest is told."""

VALUE_CHARS_MAX = 65_536
LIST_ITEMS_MAX = 1_024
SECRET_FILE_BYTES_MAX = 65_536
"""What ``<KEY>_FILE`` names."""

KEYRING_FILE_BYTES_MAX = 65_536

NAME_CHARS_MAX = 128
"""node_name, cluster_name, cluster_zone: they ride in gossip packets of 1,400 bytes."""
HOST_CHARS_MAX = 253
"""RFC 1035, section 2.3.4, in text form."""
PATH_CHARS_MAX = 4_096

WORKERS_MAX = 1_024
BACKLOG_MAX = 65_535
PG_POOL_MAX = 1_000
SECONDS_MAX = 366 * 24 * 3600.0

assert LINE_BYTES_MAX <= VALUE_CHARS_MAX < FILE_BYTES_MAX
