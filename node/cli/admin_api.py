"""Asking the Admin API of a running node, as several commands do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from node.admin_client import AdminClient, AdminFailed, AdminUnreachable
from node.cli.configuration import gathered, settings
from node.cli.failure import Failure, NotRunning

ADMIN_URL = click.option(
    "--admin-url", metavar="URL", help="Admin API to ask, instead of the configuration's."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


@dataclass(frozen=True, slots=True)
class AdminApi:
    """An Admin API whose failures end the command."""

    client: AdminClient

    def get(self, path: str, *, seconds: float = 0.0) -> Any:
        """The answer to GET, which may take so much longer than others. Raises Failure and
        NotRunning."""
        return self.send("GET", path, seconds=seconds)

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float = 0.0,
    ) -> Any:
        """The answer to one request, None when it has no body. Raises Failure and NotRunning."""
        try:
            return self.client.send(method, path, body, seconds=seconds)
        except AdminUnreachable as error:
            raise NotRunning(str(error)) from None
        except AdminFailed as error:
            raise Failure(str(error)) from None


def admin_api(admin_url: str | None, options: dict[str, Any]) -> AdminApi:
    """The Admin API that the configuration (or --admin-url) names. Raises Failure."""
    found = settings(gathered(options))
    try:
        return AdminApi(AdminClient.at(admin_url, found.admin_listen, found.admin_token))
    except ValueError as error:
        raise Failure(str(error)) from None
