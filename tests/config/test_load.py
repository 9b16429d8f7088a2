"""Reading the configuration: precedence, defaults that follow from others, and every problem."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from node.config.listen import HostPort
from node.config.load import ConfigError, load
from node.config.settings import Settings, keys

HERE = Path(__file__).parent
KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No grapevine.conf of the developer's own may be found."""
    monkeypatch.chdir(tmp_path)


def read(
    text: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    ignore: tuple[str, ...] = (),
) -> Settings:
    """The settings that a file named test.conf, the environment and the flags make."""
    Path("test.conf").write_text(text)
    return load(
        "test.conf",
        {"prefix": "node1"} | dict(flags or {}),
        {"HOME": "/home/kong"} | dict(environ or {}),
        ignore_unsupported=ignore,
    )


def refused(
    text: str = "",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """The problems of a configuration that is refused."""
    with pytest.raises(ConfigError) as error:
        read(text, environ, flags)
    return error.value.problems


def test_nothing_at_all_is_a_configuration() -> None:
    settings = load(None, {}, {"HOME": "/home/kong"})
    assert settings.source == "none"
    assert settings.warnings == ()
    assert settings.prefix.is_absolute()


@pytest.mark.parametrize("count", range(4))
def test_the_highest_source_counts(count: int) -> None:
    given = {"flag": "debug", "GRAPEVINE": "info", "KONG": "warn", "file": "error"}
    left = dict(list(given.items())[count:])
    settings = read(
        f"log_level = {given['file']}",
        {f"{name}_LOG_LEVEL": level for name, level in left.items() if name.isupper()},
        {"log_level": left["flag"]} if "flag" in left else {},
    )
    assert settings.log_level == next(iter(left.values()))


def test_each_value_says_where_it_comes_from() -> None:
    settings = read("\nlog_level = info", {"KONG_ROLE": "traditional"}, {"cluster_name": "c"})
    assert settings.origins == {
        "prefix": "-p/--prefix",
        "cluster_name": "--set",
        "role": "KONG_ROLE",
        "log_level": "test.conf:2",
    }


@pytest.mark.parametrize("unset", ["", "NONE", "  "])
def test_none_gives_a_key_back_to_its_default(unset: str) -> None:
    assert read("log_level = debug", {"KONG_LOG_LEVEL": unset}).log_level == "notice"


def test_signs_in_variables_are_taken_as_they_are() -> None:
    assert read(environ={"KONG_PG_PASSWORD": 'a # b"', "KONG_DATABASE": "sqlite"}).pg_password == (
        'a # b"'
    )


@pytest.mark.parametrize(
    ("alias", "field", "value"),
    [
        ("nginx_proxy_real_ip_header = X-Forwarded-For", "real_ip_header", "X-Forwarded-For"),
        ("nginx_proxy_real_ip_recursive = on", "real_ip_recursive", True),
        ("nginx_main_worker_processes = 3", "nginx_worker_processes", 3),
        ("nginx_http_client_max_body_size = 8m", "client_max_body_size", 8 * 1024 * 1024),
        ("client_max_body_size = 1k", "client_max_body_size", 1024),
        ("cluster_role = traditional", "role", "traditional"),
        ("resolver_address = 192.0.2.1", "dns_resolver", (HostPort("192.0.2.1", 53),)),
        ("resolver_hosts_file = /etc/hosts2", "dns_hostsfile", "/etc/hosts2"),
        ("resolver_valid_ttl = 5", "dns_valid_ttl", 5.0),
    ],
)
def test_other_names_of_kongs_for_a_key_are_read(alias: str, field: str, value: object) -> None:
    assert getattr(read(alias), field) == value


def test_a_keys_own_name_wins_over_its_alias_within_a_source_and_loses_to_a_higher_one() -> None:
    both = "nginx_proxy_real_ip_header = X-One\nreal_ip_header = X-Two"
    assert read(both).real_ip_header == "X-Two"
    above = {"KONG_NGINX_PROXY_REAL_IP_HEADER": "X-Three"}
    assert read(both, above).real_ip_header == "X-Three"


class TestDerivedDefaults:
    def test_files_live_in_the_prefix(self, tmp_path: Path) -> None:
        settings = read("admin_access_log = off\nproxy_error_log = logs/error.log")
        prefix = tmp_path / "node1"
        assert settings.prefix == prefix
        assert settings.sqlite_path == prefix / "authority.db"
        assert settings.proxy_access_log == str(prefix / "logs/access.log")
        assert settings.proxy_error_log == str(prefix / "logs/error.log")
        assert settings.admin_error_log == "/dev/stderr"
        assert settings.admin_access_log == "off"

    def test_nodes_share_a_file_by_naming_its_path(self) -> None:
        assert read("sqlite_path = /srv/authority.db").sqlite_path == Path("/srv/authority.db")

    def test_a_node_on_sqlite_gossips_on_loopback(self) -> None:
        assert read().cluster_listen == HostPort("127.0.0.1", 8005)
        assert read("cluster_listen = [::]:9005").cluster_listen == HostPort("::", 9005)

    def test_ports_are_kongs(self) -> None:
        settings = read()
        listeners = (*settings.proxy_listen, *settings.admin_listen, *settings.status_listen)
        assert [str(listener.address) for listener in listeners] == [
            "0.0.0.0:8000",
            "0.0.0.0:8443",
            "127.0.0.1:8001",
            "127.0.0.1:8444",
            "127.0.0.1:8007",
        ]


class TestDatabase:
    def test_sqlite_is_the_default_and_says_why(self) -> None:
        settings = read()
        assert settings.database == "sqlite"
        assert settings.database_reason == "database is unset and no pg_* key is set"

    def test_a_choice_names_its_origin(self) -> None:
        assert read("database = sqlite").database_reason == "database is set (test.conf:1)"

    def test_postgres_follows_from_any_of_its_keys(self) -> None:
        settings = read(environ={"KONG_PG_HOST": "db"})
        assert settings.database == "postgres"
        assert settings.database_reason == "pg_host is set (KONG_PG_HOST)"
        assert settings.cluster_listen == HostPort("0.0.0.0", 8005)

    def test_an_unset_key_of_postgres_is_no_choice(self) -> None:
        assert read("pg_password = NONE").database == "sqlite"

    def test_cassandra_says_what_to_use(self) -> None:
        assert refused("database = cassandra") == (
            "test.conf:1: database = 'cassandra': is gone since Kong 3.4; use postgres or sqlite",
        )


class TestSecrets:
    @pytest.mark.parametrize("prefix", ["GRAPEVINE", "KONG"])
    def test_a_secret_may_stand_in_a_file_of_its_own(self, prefix: str, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text(f"{KEY}\n")
        settings = read(environ={f"{prefix}_CLUSTER_ENCRYPT_KEY_FILE": str(path)})
        assert settings.cluster_encrypt_key == b"k" * 32

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (None, "can't be read: No such file or directory"),
            (b"\xff", "is no UTF-8 text"),
            (b" \n", "is empty"),
            (b"x" * 70_000, "is longer than 65536 bytes"),
        ],
    )
    def test_a_secrets_file_that_cant_be_used_is_named(
        self, content: bytes | None, reason: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "key"
        if content is not None:
            path.write_bytes(content)
        (problem,) = refused(environ={"KONG_ADMIN_TOKEN_FILE": str(path)})
        assert problem.startswith(f"KONG_ADMIN_TOKEN_FILE: {path}: {reason}")

    def test_a_secret_and_its_file_are_one_too_many(self) -> None:
        environ = {"KONG_ADMIN_TOKEN": "t" * 16, "KONG_ADMIN_TOKEN_FILE": "/none"}
        assert refused(environ=environ) == (
            "KONG_ADMIN_TOKEN_FILE: KONG_ADMIN_TOKEN is set too; unset one of them",
        )

    def test_no_error_and_no_answer_shows_a_secret(self) -> None:
        secrets = {"cluster_encrypt_key": "hunter2", "admin_token": "hunter2"}
        assert all("hunter2" not in problem for problem in refused(flags=secrets))
        settings = read(flags={"admin_token": "hunter2-hunter2-x", "cluster_encrypt_key": KEY})
        shown = json.dumps(settings.public())
        assert "hunter2" not in shown
        assert KEY not in shown
        assert settings.public()["admin_token"] == "******"
        assert settings.public()["pg_password"] is None


def test_the_public_view_holds_every_key_as_json() -> None:
    public = read("nginx_http_client_max_body_size = 1k").public()
    assert set(public) == {row.name for row in keys()}
    assert json.loads(json.dumps(public)) == public
    assert public["nginx_http_client_max_body_size"] == 1024
    assert public["status_listen"] == ["127.0.0.1:8007"]
    assert public["cluster_listen"] == "127.0.0.1:8005"


class TestReferences:
    def test_a_value_may_stand_in_a_variable_of_its_own(self) -> None:
        environ = {"MY_PASSWORD": "s3cret", "PG": '{"port": "5433"}'}
        text = "pg_password = {vault://env/my-password}\npg_port = {vault://env/pg/port}"
        settings = read(text, environ)
        assert (settings.pg_password, settings.pg_port) == ("s3cret", 5433)
        assert settings.database == "postgres"
        shown = settings.public()
        assert shown["pg_password"] == "{vault://env/my-password}"
        assert shown["pg_port"] == "{vault://env/pg/port}"
        assert "s3cret" not in json.dumps(shown)

    def test_flags_and_variables_may_refer_too(self) -> None:
        found = read(environ={"KONG_NODE_NAME": "{vault://env/host}", "HOST": "gw7"})
        assert found.node_name == "gw7"
        assert read(flags={"node_name": "{vault://env/home}"}, environ={"HOME": "gw8"}).node_name

    def test_the_variables_have_the_prefix_that_is_configured(self) -> None:
        text = "vault_env_prefix = APP_\nnode_name = {vault://env/name}"
        assert read(text, {"APP_NAME": "gw1", "NAME": "other"}).node_name == "gw1"
        (problem,) = refused("vault_env_prefix = {vault://env/name}", {"NAME": "x"})
        assert "so it can't be one" in problem

    def test_a_reference_that_leads_nowhere_stops_the_start(self) -> None:
        assert refused("pg_password = {vault://env/gone}") == (
            "test.conf:1: pg_password = '{vault://env/gone}': the variable GONE isn't set",
        )
        (problem,) = refused("node_name = {vault://elsewhere/name}")
        assert "there is no vault 'elsewhere'" in problem

    def test_no_error_shows_what_a_reference_leads_to(self) -> None:
        (problem,) = refused("pg_port = {vault://env/port}", {"PORT": "hunter2"})
        assert "pg_port = '{vault://env/port}': leads to a value that this key can't" in problem
        assert "hunter2" not in problem


class TestEnvironment:
    @pytest.mark.parametrize(
        "variable",
        [
            "KONG_SERVICE_HOST",
            "KONG_SERVICE_PORT",
            "KONG_PROXY_SERVICE_PORT_PROXY_TLS",
            "KONG_PORT",
            "KONG_PORT_8000_TCP",
            "KONG_PORT_8000_TCP_ADDR",
            "KONG_ADMIN_PORT_8001_TCP_PROTO",
            "KONG_PORT_53_UDP",
            "KONG_VERSION",
            "GRAPEVINE_VERSION",
        ],
    )
    def test_what_kubernetes_and_docker_inject_is_left_alone(self, variable: str) -> None:
        assert read(environ={variable: "x"}).warnings == ()

    def test_an_injected_port_is_not_a_key_of_that_name(self) -> None:
        settings = read(environ={"KONG_PG_PORT": "tcp://10.0.0.1:5432"})
        assert (settings.database, settings.pg_port) == ("sqlite", 5432)

    def test_variables_that_name_no_key_are_one_warning(self) -> None:
        settings = read(environ={"KONG_FOO": "1", "GRAPEVINE_BAR": "2", "KONGA": "3"})
        assert settings.warnings == ("variables that name no key: GRAPEVINE_BAR, KONG_FOO",)

    def test_a_variable_that_is_no_utf_8_is_an_error(self) -> None:
        (problem,) = refused(environ={"KONG_NODE_NAME": "gw\udcff"})
        assert problem == r"KONG_NODE_NAME: node_name = 'gw\udcff': is no UTF-8"


class TestKongsOtherKeys:
    def test_the_complete_list_of_kong_3_9_loads_at_its_defaults(self) -> None:
        text = (HERE / "kong_3_9.conf").read_text()
        settings = read(f"{text}\ndatabase = sqlite")
        assert len(settings.warnings) == 3
        unknown, http2, dashboard = settings.warnings
        assert unknown.startswith("keys of Kong's without an effect here: anonymous_reports, ")
        assert "dns_resolver" not in unknown
        assert "http2" in http2
        assert "dashboard" in dashboard

    def test_harmless_keys_are_one_warning_that_names_them(self) -> None:
        settings = read("mem_cache_size = 1g\nnginx_http_gzip = on\ndns_no_sync = on")
        assert settings.warnings == (
            "keys of Kong's without an effect here: dns_no_sync, mem_cache_size, nginx_http_gzip",
        )

    @pytest.mark.parametrize(
        "line",
        [
            "stream_listen = 0.0.0.0:9000",
            "port_maps = 80:8000",
            "cluster_mtls = pki",
            "cluster_cert = /etc/cluster.crt",
            "wasm = on",
            "nginx_admin_allow = 10.0.0.0/8",
            "nginx_proxy_deny = all",
            "nginx_http_ssl_verify_client = on",
            "nginx_http_include = /etc/nginx/extra.conf",
        ],
    )
    def test_meaningful_keys_stop_the_start_unless_passed_over(self, line: str) -> None:
        key, _, value = line.partition(" = ")
        (problem,) = refused(line)
        assert problem.startswith(f"test.conf:1: {key} = '{value}': isn't supported: ")
        assert problem.endswith(f"(or start with --ignore-unsupported {key})")
        assert read(line, ignore=(key,)).warnings == (
            f"unsupported keys passed over as told: {key}",
        )

    def test_only_what_is_unsupported_can_be_passed_over(self) -> None:
        with pytest.raises(ConfigError, match="log_level: is no unsupported key"):
            read(ignore=("log_level",))

    def test_keys_that_nobody_knows_name_the_nearest(self) -> None:
        assert refused("proxy_lisen = off\nfrobnicate = 1", flags={"Role": "x"}) == (
            "--set: Role: unknown key; did you mean role?",
            "test.conf:1: proxy_lisen: unknown key; did you mean proxy_listen?",
            "test.conf:2: frobnicate: unknown key; remove it; `grapevine check --keys` lists the "
            "keys",
        )

    def test_plugins_of_kongs_that_arent_built_are_a_warning(self) -> None:
        assert read("plugins = bundled,jwt").warnings == (
            "plugins that this version doesn't run yet: jwt",
        )


class TestRulesBetweenKeys:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("role = data_plane", "role = 'data_plane': is not built yet"),
            ("proxy_listen = 0.0.0.0:80 proxy_protocol", "the PROXY protocol is not built yet"),
            ("real_ip_header = proxy_protocol", "name a header"),
            ("ssl_cert = test.conf", "ssl_cert_key: is unset but its other half is set"),
            ("ssl_cert = no.pem\nssl_cert_key = test.conf", "'no.pem': can't be read"),
            ("admin_listen = 0.0.0.0:8000", "proxy_listen has 0.0.0.0:8000; give one another"),
            ("admin_listen = 127.0.0.1:8000", "proxy_listen has 0.0.0.0:8000"),
            ("status_listen = 127.0.0.1:8005", "cluster_listen has 127.0.0.1:8005"),
        ],
    )
    def test_what_cant_be_together_is_refused(self, text: str, problem: str) -> None:
        assert problem in refused(text)[0]

    @pytest.mark.parametrize(
        "text",
        [
            "admin_listen = [::1]:8000",
            "proxy_listen = 127.0.0.2:8001",
            "admin_listen = 127.0.0.1:0\nstatus_listen = 127.0.0.1:0",
        ],
    )
    def test_addresses_that_dont_meet_are_fine(self, text: str) -> None:
        assert read(text).warnings == ()

    def test_http2_is_accepted_with_one_warning(self) -> None:
        (warning,) = read("proxy_listen = 0.0.0.0:8443 ssl http2").warnings
        assert "HTTP/1.1 is offered instead" in warning


class TestProblems:
    def test_a_broken_file_gives_every_problem_at_once_by_line(self) -> None:
        text = "nonsense\nlog_level = loud\nfoo = 1\nstream_listen = :9\nadmin_listen = x\n[s]"
        assert [
            problem.split(" ")[0] for problem in refused(text, flags={"log_levl": "debug"})
        ] == [
            "--set:",
            *(f"test.conf:{line}:" for line in range(1, 7)),
        ]

    def test_a_long_value_is_cut_in_its_error(self) -> None:
        (problem,) = refused(f"log_level = {'x' * 5000}")
        assert len(problem) < 300

    def test_problems_are_bounded_and_the_rest_counted(self) -> None:
        problems = refused("\n".join(f"unknown_{number} = 1" for number in range(500)))
        assert len(problems) == 101
        assert problems[-1] == "and 400 more"

    def test_a_file_that_is_named_must_be_there(self) -> None:
        with pytest.raises(ConfigError, match=r"absent\.conf: can't be read: No such file"):
            load("absent.conf", {}, {})

    def test_a_key_that_stands_twice_is_a_warning_and_the_last_counts(self) -> None:
        settings = read("log_level = info\n\nlog_level = warn")
        assert settings.log_level == "warn"
        assert settings.warnings == ("test.conf:3: log_level: overrides line 1",)


def test_a_sqlite_file_on_a_network_file_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.config.checks.network_file_system", lambda path: "nfs4")
    (problem,) = refused("database = sqlite\nsqlite_path = /srv/authority.db")
    assert problem.startswith("sqlite_path = '/srv/authority.db': lies on a network file system")
    assert "use Postgres for several machines" in problem
    assert read("database = postgres").database == "postgres", "there the path means nothing"
