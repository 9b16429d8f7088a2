"""A configuration file is settings, or a ConfigError that says what is wrong and where; its lines
mean the same with any line ends, in quotes, and once more after they were shown."""

import contextlib
from dataclasses import fields
from pathlib import Path

from node.config import conf_file
from node.config.limits import ENTRIES_MAX, PROBLEMS_MAX
from node.config.listen import HostPort, ListenAddress, parse_host_port, parse_listeners
from node.config.load import ConfigError, load
from node.config.settings import Settings, keys
from tests.fuzz.target import Target, in_memory

_FOLDER = in_memory()
_FILE = Path(_FOLDER.name) / "grapevine.conf"
_WHOLE, _VALUE = 0, 1
_ROWS = [row for row in keys() if row.name != "cluster_keyring_file"]
"""Without the one key whose value is read as a file: what stands there is no input."""
_NAMES = frozenset(row.name for row in _ROWS)


def attack(data: bytes) -> None:
    """A file as it is parsed; or, with another first byte, loaded; or one value of one key."""
    if len(data) < 2:
        return
    if data[0] % 4 == _VALUE:
        _value(_ROWS[data[1] % len(_ROWS)].name, data[2:])
        return
    content = data[1:]
    parsed = conf_file.parse(content)
    _same_whatever_the_line_ends(content, parsed)
    _shown_again(parsed)
    if data[0] % 4 == _WHOLE and _is_quick(parsed):
        _load(content)


def _is_quick(parsed: conf_file.Parsed) -> bool:
    """The nearest of all names is looked for for each that isn't known, which takes long."""
    unknown = [entry for entry in parsed.entries if entry.key not in _NAMES]
    return len(unknown) < 2 and not any("keyring_file" in entry.key for entry in unknown)


def _same_whatever_the_line_ends(content: bytes, parsed: conf_file.Parsed) -> None:
    if b"\r" not in content:
        assert conf_file.parse(content.replace(b"\n", b"\r\n")) == parsed
    assert len(parsed.entries) <= ENTRIES_MAX + 1
    for problem in parsed.problems:
        assert problem.partition(":")[0].isdigit(), "it says in which line"


def _shown_again(parsed: conf_file.Parsed) -> None:
    for entry in parsed.entries:
        quote = next((mark for mark in "\"'" if mark not in entry.value), None)
        if quote is None:
            continue
        line = f"{entry.key} = {quote}{entry.value}{quote} # why"
        assert conf_file.parse(line.encode()).entries == (entry._replace(line=1),)


def _load(content: bytes) -> Settings | None:
    _FILE.write_bytes(content)
    try:
        settings = load(str(_FILE), {}, {"HOME": _FOLDER.name})
    except ConfigError as error:
        assert error.problems
        assert len(error.problems) <= PROBLEMS_MAX + 1
        assert str(error).strip()
        str(error).encode()
        return None
    for field in fields(settings):
        _written_as_read(getattr(settings, field.name))
    return settings


def _value(name: str, raw: bytes) -> None:
    """One value of a key: it is taken or refused by itself as in a file."""
    with contextlib.suppress(UnicodeDecodeError):
        text = raw.decode()
        if "\0" in text or "\n" in text or "\\" in text or not text.strip():
            return
        row = next(row for row in _ROWS if row.name == name)
        try:
            value = row.parse(text.strip())
        except ValueError as error:
            assert str(error)
            return
        _written_as_read(value)


def _written_as_read(value: object) -> None:
    if isinstance(value, ListenAddress):
        assert parse_listeners(str(value)) == (value,)
    elif isinstance(value, HostPort):
        assert parse_host_port(str(value)) == value
    elif isinstance(value, tuple):
        if value and all(isinstance(item, ListenAddress) for item in value):
            assert parse_listeners(", ".join(map(str, value))) == value
        else:
            for item in value:
                _written_as_read(item)


_LINES = [
    b"proxy_listen = 0.0.0.0:8000 reuseport backlog=16384, [::1]:8443 http2 ssl # both",
    b"admin_listen = off\nlog_level = notice\n; a comment\n# another",
    b"prefix = '/tmp/x # y'\ndatabase = off\nnode_name = n\\\nm",
    b"cluster_seeds = gw1, 10.0.0.1:8005, [fe80::1]:1\ncluster_listen = [::]:0",
    b"pg_host = db\npg_port = 5432\npg_password = a\\#b\nmem_cache_size = 128m\nnginx_x = 1",
    b"cluster_encrypt_key = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nunknown_key = 1",
    b"trusted_ips = 10.0.0.0/8,unix:\nadmin_gui_url = http://h:1\nadmin_allowed_origins = *",
    b"ssl_cipher_suite = custom\nssl_ciphers = AES128-GCM-SHA256\nheaders = off\nplugins = bundled",
    b"pg_password = {vault://env/pw}\nshutdown_timeout = 25.5\n[section]\nno equals",
]
_DEFAULTS = [
    bytes([_VALUE, number]) + row.default.encode()
    for number, row in enumerate(_ROWS)
    if row.default
]

TARGET = Target(
    attack,
    seeds=[bytes([kind]) + lines for lines in _LINES for kind in (_WHOLE, 2)] + _DEFAULTS,
    words=[name.encode() + b" = " for name in sorted(_NAMES)]
    + [b"\\\n", b"{vault://env/", b"\xef\xbb\xbf"],
)
