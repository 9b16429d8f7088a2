"""Limits per period, as both rate limiting plugins have them."""

from collections.abc import Mapping
from typing import Any

from store.schema.field import Field

PERIODS = ("second", "minute", "hour", "day", "month", "year")
LIMITS = {period: Field("number", f"Limit per {period}.", gt=0) for period in PERIODS}


def order_error(limits: Mapping[str, Any], article: str) -> str | None:
    """A longer period can't have a lower limit; ``article`` begins the text."""
    given = [(period, limits[period]) for period in PERIODS if limits.get(period) is not None]
    for index, (shorter, lower) in enumerate(given):
        for longer, higher in given[index + 1 :]:
            if higher < lower:
                return (
                    f"{article} limit for {longer}({higher:.1f}) "
                    f"cannot be lower than the limit for {shorter}({lower:.1f})"
                )
    return None
