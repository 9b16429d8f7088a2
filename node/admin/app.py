"""The Admin API and the status API of a node as aiohttp applications.

Middlewares run from the outside in: errors become answers, OPTIONS is answered, strangers are
refused; only then a handler runs. A path's methods are those in the tables below; OPTIONS and 405
follow from them.
"""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from node.admin import root, schemas
from node.admin.access import Access, access_of
from node.admin.access_log import ACCESS_LOG, AccessLog, keep_logs
from node.admin.audit_log import audit_writes
from node.admin.caches import Caches
from node.admin.cluster import Cluster
from node.admin.collections import Collection
from node.admin.config import Config
from node.admin.debug import Debug
from node.admin.errors import answer_errors
from node.admin.event_stream import EventStreams
from node.admin.fence import fence_writes
from node.admin.guard import bound_requests, refuse_strangers
from node.admin.headers import CommonHeaders, answer_options, note_start
from node.admin.health import Health
from node.admin.history import History
from node.admin.keys import Keys
from node.admin.limits import BODY_BYTES_MAX
from node.admin.metrics import Metrics
from node.admin.nested import Children, Parent
from node.admin.node_view import NodeView
from node.admin.openapi import OpenApi
from node.admin.redaction import CACHE_KEY
from node.admin.status import Status
from node.admin.tags import Tags
from node.metrics.measures import Answers
from store import schema as store_schema

Methods = Mapping[str, Handler]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def create_admin_app(node: NodeView) -> web.Application:
    """The Admin API of a node."""
    access = access_of(node.settings)
    app = _application(node, access, node.measures.admin)
    app.middlewares.append(refuse_strangers(access))
    app.middlewares.append(audit_writes(node))
    app.middlewares.append(fence_writes(node))
    app[ACCESS_LOG] = AccessLog(node.settings.admin_access_log)
    app.cleanup_ctx.append(keep_logs(node.settings))
    information, streams, cluster = root.Root(node), EventStreams(node), Cluster(node)
    status = Status(node)
    add(app, "/", {"GET": information.show})
    add(app, "/endpoints", {"GET": root.endpoints})
    add(app, "/timers", {"GET": information.timers})
    add(app, "/status", {"GET": status.show})
    add(app, "/status/ready", {"GET": status.ready})
    add(app, "/metrics", {"GET": Metrics(node).show})
    add(app, "/schemas/{entity}", {"GET": schemas.describe})
    add(app, "/schemas/{entity}/validate", {"POST": schemas.validate})
    for kind in store_schema.kinds():
        if store_schema.schema(kind).variant_field:
            add(app, f"/schemas/{kind}/{{name}}", {"GET": schemas.describe_subschema(kind)})
    add(app, "/plugins/schema/{name}", {"GET": schemas.describe_subschema("plugins")})
    add(app, "/plugins/enabled", {"GET": information.enabled_plugins})
    tags = Tags(node)
    add(app, "/tags", {"GET": tags.list})
    add(app, "/tags/{tag}", {"GET": tags.list_one})
    add(app, "/filter-chains", dict.fromkeys(_METHODS, root.no_wasm))
    add(app, "/filter-chains/{filter_chains}", dict.fromkeys(_METHODS, root.no_wasm))
    for path in ("/clustering/data-planes", "/clustering/status"):
        add(app, path, {"GET": root.no_control_plane})
    add(app, "/cluster", {"GET": cluster.members, "POST": cluster.join})
    add(app, "/cluster/revision", {"GET": cluster.revision})
    add(app, "/cluster/leave", {"POST": cluster.leave})
    add(app, "/cluster/nodes/{name}", {"DELETE": cluster.force_leave})
    history = History(node)
    add(app, "/cluster/authority", {"GET": history.show})
    add(app, "/cluster/authority/adopt", {"POST": history.adopt})
    keys = Keys(node)
    add(app, "/cluster/keys", {"GET": keys.list, "POST": keys.install})
    add(app, "/cluster/keys/{id}", {"PATCH": keys.use, "DELETE": keys.remove})
    caches = Caches(node)
    add(app, "/cluster/invalidate", {"POST": caches.invalidate})
    add(app, "/cache", {"DELETE": caches.forget_all})
    add(app, f"/cache/{{{CACHE_KEY}}}", {"GET": caches.show, "DELETE": caches.forget})
    health = Health(node)
    add(app, health.path, {"GET": health.show})
    for state, set_it in (("healthy", health.set_healthy), ("unhealthy", health.set_unhealthy)):
        for below in ("", "/{address}"):
            path = f"{health.target_path}{below}/{state}"
            add(app, path, {"PUT": set_it, "POST": set_it})
    debug = Debug(node)
    add(app, "/debug/node/log-level", {"GET": debug.show_level})
    add(app, "/debug/node/log-level/{log_level}", {"PUT": debug.set_level_here})
    add(app, debug.cluster_path, {"PUT": debug.set_level_everywhere})
    add(app, "/cluster/events", {"GET": streams.serve}, head=False)
    config = Config(node)
    add(app, "/config", {"GET": config.show, "POST": config.load})
    app.on_shutdown.append(streams.close)
    for kind in store_schema.kinds():
        _add_kind(app, node, kind)
    add(app, "/openapi.json", {"GET": OpenApi(node.version).show})
    return app


def create_status_app(node: NodeView) -> web.Application:
    """The status API of a node: for balancers and monitoring, without a token."""
    app = _application(node, None, None)
    status = Status(node)
    add(app, "/status", {"GET": status.show})
    add(app, "/status/ready", {"GET": status.ready})
    add(app, "/metrics", {"GET": Metrics(node).show})
    return app


def add(app: web.Application, path: str, methods: Methods, *, head: bool = True) -> None:
    """Serve a path, with and without a slash at its end. HEAD mirrors GET unless told otherwise."""
    served = {**methods, "HEAD": methods["GET"]} if head and "GET" in methods else methods
    resource = app.router.add_resource(path)
    routes = [resource.add_route(method, handler) for method, handler in served.items()]
    if not path.endswith("/"):
        # The same routes once more: to make them is most of what an application costs, of which
        # every start of a node makes one.
        slashed = app.router.add_resource(f"{path}/")
        for route in routes:
            slashed.register_route(route)


def _application(node: NodeView, access: Access | None, answers: Answers | None) -> web.Application:
    app = web.Application(
        client_max_size=BODY_BYTES_MAX,
        middlewares=[note_start, answer_errors, answer_options, bound_requests()],
    )
    app.on_response_prepare.append(CommonHeaders(node, access, answers).complete)
    return app


def _add_kind(app: web.Application, node: NodeView, kind: str) -> None:
    """A kind's own endpoints, and those along each of its foreign keys."""
    collection = Collection(node, store_schema.schema(kind))
    own = collection.schema
    if own.endpoints == "nowhere":
        return
    if own.endpoints == "everywhere":
        _add_entities(app, collection)
    for field, referred in own.references.items():
        parent = Collection(node, store_schema.schema(referred))
        children = Children(parent, collection, field)
        if own.endpoints == "nested":
            # What Kong lists there is the history of targets, which it no longer keeps.
            add(app, f"{children.path}/all", {"GET": children.list})
        _add_entities(app, children)
        if own.endpoints == "everywhere":
            up = Parent(collection, parent, field)
            methods = {"GET": up.read, "PATCH": up.patch, "PUT": up.put}
            add(app, up.path, {**methods, "DELETE": up.refuse_delete})


def _add_entities(app: web.Application, entities: Collection | Children) -> None:
    add(app, entities.path, {"GET": entities.list, "POST": entities.create})
    add(
        app,
        entities.entity_path,
        {
            "GET": entities.read,
            "PATCH": entities.patch,
            "PUT": entities.put,
            "DELETE": entities.delete,
        },
    )
