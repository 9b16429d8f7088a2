"""The cookie that keeps a client at its target, among those that the upstream sets."""


def with_cookie(lines: list[bytes], cookie: bytes) -> list[bytes]:
    """An answer's fields with one more Set-Cookie, in the place of the first that the upstream sets
    by the same name (Kong: ``set_cookie`` in kong/runloop/balancer/init.lua)."""
    ours = b"Set-Cookie: " + cookie
    start = cookie[: cookie.index(b"=") + 1]
    for place, line in enumerate(lines):
        name, _, value = line.partition(b":")
        if name.lower() == b"set-cookie" and value.lstrip(b" \t").startswith(start):
            return [*lines[:place], ours, *lines[place + 1 :]]
    return [*lines, ours]
