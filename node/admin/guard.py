"""Who is let in: the checks of access.py, and a bound on requests in progress."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from node.admin.access import Access, cross_site_refusal, is_loopback_address, token_accepted
from node.admin.errors import TOO_MANY_ARGUMENTS, Refusal
from node.admin.limits import FORM_FIELDS_MAX, REQUESTS_MAX


def refuse_strangers(access: Access) -> Middleware:
    """Refuse what a foreign page sent (403), and what lacks the admin token (401)."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = cross_site_refusal(
            access, request.headers, listener_is_loopback=_listens_on_loopback(request)
        )
        if refusal is not None:
            raise Refusal(403, refusal)
        if not token_accepted(access, request.headers):
            raise Refusal(401, "Unauthorized", {"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return check


def bound_requests() -> Middleware:
    """Refuse what comes while REQUESTS_MAX requests are in progress (503), and endless queries
    (400)."""
    in_progress = 0

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        nonlocal in_progress
        if request.rel_url.raw_query_string.count("&") >= FORM_FIELDS_MAX:
            raise Refusal(400, TOO_MANY_ARGUMENTS)
        if in_progress >= REQUESTS_MAX:
            raise Refusal(503, f"{REQUESTS_MAX} requests are in progress", {"Retry-After": "1"})
        in_progress += 1
        try:
            return await handler(request)
        finally:
            in_progress -= 1

    return count


def _listens_on_loopback(request: web.Request) -> bool:
    address = request.get_extra_info("sockname")
    return isinstance(address, tuple) and is_loopback_address(address[0])
