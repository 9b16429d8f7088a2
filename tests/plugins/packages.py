"""A package of somebody else's with a plugin in it, as pip would have installed it."""

from pathlib import Path

SOURCE = """
import asyncio

from node.plugins.interface import Plugin, PluginRefused
from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config


class Stamp(Plugin):
    schema = PluginSchema(
        name="stamp",
        priority=905,
        config=config(
            {
                "text": Field("string", "What is stamped.", required=True),
                "how": Field("string", "How it goes.", default="at once"),
            }
        ),
    )
    version = "2.5.0"

    def __init__(self, config, bound, worker):
        if config["text"] == "unmakeable":
            raise PluginRefused("text: of all texts, this one")
        self.text, self.how = config["text"], config["how"]

    @classmethod
    def problem(cls, config):
        return "text: not today" if config["text"] == "never" else None

    def rewrite(self, context):
        if self.how == "rewrite":
            context.exit(418, {"path": context.path})

    async def access(self, context):
        if self.how == "sleep":
            await asyncio.sleep(0.01)
        elif self.how == "time out":
            await context.wait(self.time_out())
        elif self.how == "for ever":
            await asyncio.sleep(3600)
        elif self.how == "raise later":
            await asyncio.sleep(0)
            raise ValueError("later")
        elif self.how == "raise":
            raise ValueError("now")
        elif self.how == "leave":
            raise SystemExit(3)
        elif self.how == "exit":
            context.exit(201, {"stamp": self.text}, {"X-Stamped": "here"})
        context.set_upstream_header("X-Stamp", self.text)

    async def time_out(self):
        async with asyncio.timeout(5):
            await asyncio.sleep(0)

    def header_filter(self, context):
        if self.how == "raise at the head":
            raise ValueError("head")
        context.response.set_header("X-Stamped", self.text)

    def body_filter(self, context, data, last):
        if self.how == "raise at the body":
            raise ValueError("body")
        if self.how == "shout":
            return data.upper() + (b"!" if last else b"")
        return data

    async def log(self, context):
        if self.how == "log":
            await asyncio.sleep(0)
            context.worker.log.error("stamped", status=context.facts.status)
        elif self.how == "raise in the log":
            raise ValueError("log")
"""

ENTRY_POINTS = "[grapevine.plugins]\nstamp = stamping:Stamp\nbroken = stamping:Nothing\n"


def install(folder: Path) -> Path:
    """Put the package there; the folder is then to be on the path."""
    about = folder / "stamping-2.5.0.dist-info"
    about.mkdir(parents=True)
    (folder / "stamping.py").write_text(SOURCE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stamping\nVersion: 2.5.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder
