"""How fresh the cluster's knowledge of the authority is.

Some member compares its head with the authority now and then, and the age of the newest comparison
rides on every heartbeat, so that one query per interval serves the whole cluster (DESIGN 4.6).
"""


class Confirmation:
    """The newest comparison known here."""

    def __init__(self) -> None:
        self._at: float | None = None

    def confirmed(self, now: float) -> None:
        """This node has just compared its head with the authority."""
        self._at = now

    def heard(self, age: float | None, slack: float, now: float) -> None:
        """A member says that the newest it knows is ``age`` seconds old.

        ``slack`` is at least the time the message travelled. An age that is taken too young would
        get younger each time two nodes tell each other, until nobody asks the authority any more;
        one that is taken too old costs a query.
        """
        if age is None:
            return
        at = now - age - slack
        if self._at is None or at > self._at:
            self._at = at

    def age(self, now: float) -> float | None:
        """Seconds since the newest comparison; None before the first."""
        return None if self._at is None else max(0.0, now - self._at)
