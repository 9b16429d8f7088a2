"""Bounds of what plugins may take of a worker. Sizes are in bytes, counts as named."""

BODY_BYTES_MAX = 1024 * 1024
"""Of a request's body that a plugin asks for; a greater one is passed on unseen."""
FORM_FIELDS_MAX = 1_000
"""Fields of a form that a plugin looks into; one with more stays as it is. (Kong looks at 100, and
drops the rest.)"""
ENTITIES_REMEMBERED_MAX = 2_000
"""Consumers and credentials whose stored text has been taken apart."""
PLUGINS_KEPT_MAX = 16
"""That keep something for the fields of one connection's requests."""
KEPT_SECONDS_MAX = 60.0
"""How long it is kept whose requests with some fields are. The answers of look-ups behind it, which
are read anew after some time (``store.cold.limits``), get that much older."""
CHAINS_MAX = 50_000
"""Routes whose plugins are remembered; the one resolved longest ago gives way."""
TEMPLATE_CHARS_MAX = 4_096
"""Of a value of request-transformer with templates in it."""
TEMPLATE_DEPTH_MAX = 16
"""Parentheses within each other in a template."""
JSON_DEPTH_MAX = 64
"""Levels of a JSON body that is transformed."""
ORIGINS_REMEMBERED_MAX = 1_000
"""Origins of requests that cors has taken apart."""
ORIGIN_CHARS_MAX = 256
"""Longer ones are taken apart each time."""
SERIES_MAX = 10_000
"""Metrics of different labels that one worker counts; what comes beyond is counted as dropped."""
LABEL_CHARS_MAX = 256
"""Of a label's value; the rest is cut off."""

RATE_BUCKETS = 16_384
RATE_WAYS = 4
"""Counters of rate limits that a worker has: so many buckets of so many. One more takes the place
of the one in its bucket whose period ends first, and is counted."""
RATE_WORKERS_MAX = 256
RATE_KEYS_REMEMBERED_MAX = 2_000
"""Identifiers whose hash a rate limit remembers."""

assert RATE_BUCKETS & (RATE_BUCKETS - 1) == 0
