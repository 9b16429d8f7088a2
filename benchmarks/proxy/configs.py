"""The other proxies' configurations: each forwards everything to one upstream, with one core.

All keep connections to both sides alive, add the X-Forwarded fields that a gateway adds, and write
an access log. nginx's is buffered like ours, since an unbuffered one would cost it a system call a
request that we don't make.
"""

NGINX_MAIN = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{modules}
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log combined buffer=64k flush=1s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000;
    client_max_body_size 0;
    server_tokens off;
{http}
}}
"""

UPSTREAM = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        access_log off;
        root {folder}/www;
        sendfile on;
        tcp_nopush on;
        client_body_buffer_size 101m;
        location / {{ }}
        # From memory: if it opened a file for each request, the upstream, which shares its core
        # with the load, would be slower than some of the proxies.
        location = /bench/1k {{ default_type application/octet-stream; return 200 "{kilobyte}"; }}
        location = /bench/upload {{
            # Answered once the whole body is here, and in memory: by itself nginx answers earlier.
            proxy_pass http://127.0.0.1:{sink}/;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_http_version 1.1;
        }}
    }}
    server {{
        listen 127.0.0.1:{sink};
        access_log off;
        location / {{ return 200 "ok"; }}
    }}
"""

FORWARD = """
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Forwarded-Port $server_port;
"""

NGINX = (
    """
    upstream origin {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen 127.0.0.1:{tls_port} ssl backlog=4096;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        location / {{"""
    + FORWARD
    + """
            proxy_pass http://origin;
        }}
    }}
"""
)

LUA_MODULES = "load_module modules/ndk_http_module.so; load_module modules/ngx_http_lua_module.so;"

LUA_LOOKUP = (
    """
    init_by_lua_block {{
        -- One table from path prefix to upstream: the least that a dynamic router does.
        routes = {{ ["/bench/"] = {{ "127.0.0.1", {upstream} }} }}
        balancer = require "ngx.balancer"
    }}
    upstream dynamic {{
        server 0.0.0.1;
        balancer_by_lua_block {{
            -- The address that the look-up has found.
            local peer = ngx.ctx.peer
            balancer.set_current_peer(peer[1], peer[2])
        }}
        keepalive 512;
        keepalive_requests 100000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            access_by_lua_block {{
                -- The look-up.
                ngx.ctx.peer = routes[ngx.var.uri:sub(1, 7)]
            }}"""
    + FORWARD
    + """
            proxy_pass http://dynamic;
        }}
    }}
"""
)

LUA_PHASES = """
    init_by_lua_block {{
        balancer = require "ngx.balancer"
        local lrucache = require "resty.lrucache"
        cache = lrucache.new(5000)
        -- Four routes with a method, a host and a prefix each, tried in order of their priority.
        routes = {{}}
        for number = 1, 4 do
            routes[number] = {{
                methods = {{ GET = true, POST = true }},
                prefix = number == 4 and "/bench/" or "/other" .. number .. "/",
                service = {{ host = "127.0.0.1", port = {upstream}, retries = 5, timeout = 60 }},
            }}
        end
        -- Plugins of no effect: what is asked of each is whether it has something to do.
        plugins = {{ {{ name = "one" }}, {{ name = "two" }}, {{ name = "three" }} }}
        function match(method, host, uri)
            -- A cache over method, host and path; behind it the routes in order.
            local key = method .. "|" .. host .. "|" .. uri
            local found = cache:get(key)
            if found then return found end
            for _, route in ipairs(routes) do
                if route.methods[method] and uri:sub(1, #route.prefix) == route.prefix then
                    cache:set(key, route)
                    return route
                end
            end
        end
        function run(phase, context)
            -- One pass over the plugins of a phase.
            for _, plugin in ipairs(plugins) do
                local handler = plugin[phase]
                if handler then handler(plugin, context) end
            end
        end
        function request_id()
            -- 32 hexadecimal digits, as the gateway's own.
            count = (count or 0) + 1
            return string.format("%016x%016x", 0x1234567, count)
        end
    }}
    upstream dynamic {{
        server 0.0.0.1;
        balancer_by_lua_block {{
            -- Phase 3: the address, its time-outs and how often another may be tried.
            local context = ngx.ctx.context
            local service = context.route.service
            context.tries = (context.tries or 0) + 1
            if context.tries == 1 then balancer.set_more_tries(service.retries) end
            balancer.set_timeouts(service.timeout, service.timeout, service.timeout)
            balancer.set_current_peer(service.host, service.port)
        }}
        keepalive 512;
        keepalive_requests 100000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            set $forwarded_for "";
            set $forwarded_prefix "";
            set $request_number "";
            rewrite_by_lua_block {{
                -- Phase 1: the request's context, with its number and when it began.
                local context = {{ id = request_id(), began = ngx.now() }}
                ngx.ctx.context = context
                ngx.var.request_number = context.id
                run("rewrite", context)
            }}
            access_by_lua_block {{
                -- Phase 2: the route, what is forwarded of the client, and the plugins.
                local context = ngx.ctx.context
                context.route = match(ngx.req.get_method(), ngx.var.host, ngx.var.uri)
                if not context.route then return ngx.exit(404) end
                ngx.var.forwarded_for = ngx.var.proxy_add_x_forwarded_for
                ngx.var.forwarded_prefix = context.route.prefix
                run("access", context)
                context.sent = ngx.now()
            }}
            header_filter_by_lua_block {{
                -- Phase 4: the latencies and the number, in the answer's head.
                local context = ngx.ctx.context
                local now = ngx.now()
                ngx.header["X-Upstream-Latency"] = math.floor((now - context.sent) * 1000)
                ngx.header["X-Proxy-Latency"] = math.floor((context.sent - context.began) * 1000)
                ngx.header["X-Request-Id"] = context.id
                ngx.header["Via"] = "1.1 gateway"
                run("header_filter", context)
            }}
            body_filter_by_lua_block {{
                -- Phase 5: for each piece of the body.
                run("body_filter", ngx.ctx.context)
            }}
            log_by_lua_block {{
                -- Phase 6: when all is sent.
                run("log", ngx.ctx.context)
            }}
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Forwarded-Prefix $forwarded_prefix;
            proxy_set_header X-Request-Id $request_number;
            proxy_pass http://dynamic;
        }}
    }}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 8192
    log fd@1 format raw local0
defaults
    mode http
    log global
    option httplog
    option forwardfor
    timeout connect 60s
    timeout client 60s
    timeout server 60s
frontend all
    bind 127.0.0.1:{port} backlog 4096
    default_backend origin
backend origin
    http-reuse always
    server one 127.0.0.1:{upstream} maxconn 4096
"""

CADDY = """
{{
    admin off
    auto_https off
    log {{
        output file {folder}/caddy.log
        level ERROR
    }}
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    log {{
        output file {folder}/access.log
    }}
    reverse_proxy 127.0.0.1:{upstream} {{
        flush_interval -1
        transport http {{
            keepalive_idle_conns_per_host 512
        }}
    }}
}}
"""

ENVOY_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/{manager}
          stat_prefix: all
          use_remote_address: true
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: {folder}/access.log
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: "/"}}
                route: {{cluster: origin, timeout: 60s}}
  clusters:
  - name: origin
    connect_timeout: 5s
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}
"""

TRAEFIK = """
entryPoints:
  web:
    address: "127.0.0.1:{port}"
providers:
  file:
    filename: {folder}/dynamic.yml
accessLog:
  filePath: {folder}/access.log
  bufferingSize: 1000
log:
  level: ERROR
global:
  checkNewVersion: false
  sendAnonymousUsage: false
"""

TRAEFIK_DYNAMIC = """
http:
  routers:
    all:
      rule: "PathPrefix(`/`)"
      service: origin
  services:
    origin:
      loadBalancer:
        servers:
        - url: "http://127.0.0.1:{upstream}"
"""
