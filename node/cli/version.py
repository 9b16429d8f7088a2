"""``grapevine version``."""

import platform
import sqlite3
import ssl
from importlib import metadata

import click

from node.kong_version import KONG_API_VERSION
from node.version import VERSION

LIBRARIES = ("aiohttp", "aiosqlite", "asyncio-dgram", "blake3", "cryptography", "uvloop")


@click.command("version")
@click.option("-a", "--all", "everything", is_flag=True, help="With what it runs on.")
def command(everything: bool) -> None:
    """Print the version."""
    click.echo(f"grapevine {VERSION}")
    if not everything:
        return
    rows = {
        "Kong Admin API": KONG_API_VERSION,
        "Python": f"{platform.python_version()} ({platform.system()} {platform.machine()})",
        "OpenSSL": ssl.OPENSSL_VERSION.removeprefix("OpenSSL "),
        "SQLite": sqlite3.sqlite_version,
    }
    rows |= {name: metadata.version(name) for name in LIBRARIES}
    for name, version in rows.items():
        click.echo(f"{name}: {version}")
