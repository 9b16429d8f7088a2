"""Paths in entities: a service's path, and a route's plain and regular-expression paths."""

import re

import re2

from store.limits import REGEX_CHARS_MAX

_ALLOWED = re.compile(r"/[A-Za-z0-9._~/%:@!$&'()*+,;=-]*")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).?.?")
_RESERVED = frozenset(b"!*'();:@&=+$,/?%#[]")

_RE2_OPTIONS = re2.Options()
_RE2_OPTIONS.log_errors = False  # the client is told; RE2 would also write to stderr


def path_error(path: str) -> str | None:
    """A service's path: RFC 3986 characters, properly percent-encoded."""
    if not _ALLOWED.fullmatch(path):
        return f"invalid path: '{path}' (characters outside of the reserved list of RFC 3986 found)"
    return _escape_error(path)


def _escape_error(path: str) -> str | None:
    broken = _BROKEN_ESCAPE.search(path)
    return f"invalid url-encoded value: '{broken.group()}'" if broken else None


def route_path_error(path: str) -> str | None:
    """A route's path: plain and normalised, or ``~`` and a regular expression."""
    if path.startswith("~"):
        return _regex_error(path[1:])
    if _ALLOWED.fullmatch(path):
        wrong = _escape_error(path)
        if wrong is not None:
            return wrong
    normalised = normalise_path(path)
    if normalised != path:
        return f"non-normalized path, consider use '{normalised}' instead"
    return None


def _regex_error(pattern: str) -> str | None:
    """RE2 matches in time linear in the input, so that no pattern can stall a worker; its price is
    that look-around and backreferences don't exist (Kong's own router engine since 3.0, Rust's
    regex, has the same limits)."""
    if len(pattern) > REGEX_CHARS_MAX:
        return f"length must be at most {REGEX_CHARS_MAX}"
    try:
        re2.compile(pattern, _RE2_OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        if re.search(r"\(\?(<?[=!])|\\[1-9]|\\k", said) or "invalid named capture" in said:
            said += "; look-around and backreferences are not supported"
        return f"invalid regex: '{pattern}' (RE2 returned: {said})"
    return None


def normalise_path(path: str) -> str:
    """The form that plain paths are compared in (RFC 3986 section 6, as ``kong/tools/uri.lua``).

    Escapes of characters that aren't reserved are decoded, the others upper-cased; dot segments
    and empty segments are removed. What doesn't decode to UTF-8 is shown as ``\\xNN``.
    """

    def decode(match: re.Match[bytes]) -> bytes:
        code = int(match.group(1), 16)
        return match.group().upper() if code in _RESERVED else bytes([code])

    raw = path.encode("utf-8", "surrogatepass")
    decoded = _ESCAPE.sub(decode, raw).decode("utf-8", "backslashreplace")
    if "." not in decoded and "//" not in decoded:
        return decoded
    return _without_dot_segments(decoded)


def _without_dot_segments(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    trailing = segments[-1] in ("", ".", "..") and bool(kept)
    return "/" + "/".join(kept) + ("/" if trailing else "")
