"""Plain aligned columns, for people and for ``awk``."""

from collections.abc import Sequence

from node.logs import escape

GAP = "  "


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A header line and the rows, columns padded to their widest cell.

    Cells come from other machines: control characters in them are escaped.
    """
    lines = [header, *([escape(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
