"""The queue between requests and what a plugin sends (``kong/tools/queue_schema.lua``), and the
settings that it replaced.
"""

from typing import Any

from store.schema.field import Deprecation, Field
from store.schema.plugins.plugin import config

QUEUE = config(
    {
        "max_batch_size": Field("integer", "Entries of one batch.", default=1, between=(1, 10**6)),
        "max_coalescing_delay": Field(
            "number", "Seconds that a batch waits to fill up.", default=1, between=(0, 3600)
        ),
        "max_entries": Field(
            "integer", "Entries that may wait.", default=10000, between=(1, 10**6)
        ),
        "max_bytes": Field("integer", "Bytes that may wait; null: no bound of its own."),
        "max_retry_time": Field(
            "number", "Seconds after which a failing batch is given up.", default=60
        ),
        "initial_retry_delay": Field(
            "number",
            "Seconds before the first retry; each next one waits twice as long.",
            default=0.01,
            between=(0.001, 10**6),
        ),
        "max_retry_delay": Field(
            "number",
            "Longest wait between retries, in seconds.",
            default=60,
            between=(0.001, 10**6),
        ),
        "concurrency_limit": Field(
            "integer", "Deliveries at a time; -1: no limit.", default=1, one_of=(-1, 1)
        ),
    },
    description="How what is sent is collected, bounded and retried.",
)


def old_queue_fields(plugin: str) -> dict[str, Field]:
    """Settings of the queue before Kong 3.3; still read, better said in ``queue``."""
    return {
        "retry_count": _old(
            "integer", 10, f"{plugin}: config.retry_count no longer works,", "max_retry_time"
        ),
        "queue_size": _old(
            "integer", 1, f"{plugin}: config.queue_size is deprecated,", "max_batch_size"
        ),
        "flush_timeout": _old(
            "number", 2, f"{plugin}: config.flush_timeout is deprecated,", "max_coalescing_delay"
        ),
    }


def _old(kind: Any, old_default: int, complaint: str, successor: str) -> Field:
    message = f"{complaint} please use config.queue.{successor} instead"
    return Field(
        kind,
        f"Older form of queue.{successor}.",
        deprecation=Deprecation(message, old_default=old_default),
    )
