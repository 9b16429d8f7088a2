"""The mistakes that a source has room for.

Each is a piece of the text that is replaced by another; the rest of the file, and the numbers of
its lines up to there, stay as they are. Left out is what says nothing about behaviour: annotations,
docstrings, texts of errors, assertions, and statements that only count something.
"""

import ast
from typing import NamedTuple


class Mutation(NamedTuple):
    """One mistake in one file."""

    line: int
    """From 1 on."""
    operator: str
    begin: int
    end: int
    """Offsets in the file's bytes, of what is replaced."""
    new: str

    def apply(self, source: str) -> str:
        """The source with the mistake."""
        data = source.encode()
        return (data[: self.begin] + self.new.encode() + data[self.end :]).decode()

    def shown(self, source: str) -> str:
        """What is replaced by what, in a line."""
        old = " ".join(source.encode()[self.begin : self.end].decode().split())
        return f"{old}  →  {self.new}"


_COMPARISONS: dict[type[ast.cmpop], tuple[tuple[str, type[ast.cmpop]], ...]] = {
    ast.Lt: (("boundary", ast.LtE), ("comparison", ast.GtE)),
    ast.LtE: (("boundary", ast.Lt), ("comparison", ast.Gt)),
    ast.Gt: (("boundary", ast.GtE), ("comparison", ast.LtE)),
    ast.GtE: (("boundary", ast.Gt), ("comparison", ast.Lt)),
    ast.Eq: (("comparison", ast.NotEq),),
    ast.NotEq: (("comparison", ast.Eq),),
    ast.Is: (("comparison", ast.IsNot),),
    ast.IsNot: (("comparison", ast.Is),),
    ast.In: (("comparison", ast.NotIn),),
    ast.NotIn: (("comparison", ast.In),),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}
_SWAPPED_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_COUNTING = ("counters", "_counters")


def mutations(source: str) -> list[Mutation]:
    """All mistakes of one at a time, in the order of their places."""
    found = _Finder(source)
    found.visit(ast.parse(source))
    return sorted(set(found.mutations), key=lambda one: (one.begin, one.end, one.operator, one.new))


class _Finder(ast.NodeVisitor):
    def __init__(self, source: str) -> None:
        self.mutations: list[Mutation] = []
        self._begins = [0]
        for line in source.encode().splitlines(keepends=True):
            self._begins.append(self._begins[-1] + len(line))

    # What is left out

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_arg(self, node: ast.arg) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    # What is changed

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            for name, other in _COMPARISONS[type(operator)]:
                ops = [*node.ops]
                ops[place] = other()
                self._add(node, name, ast.Compare(node.left, ops, node.comparators))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._add(node, "boolean", ast.BoolOp(other, node.values))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(node, "negation", node.operand)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self._condition(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        other = _ARITHMETIC.get(type(node.op))
        if other is not None and not isinstance(node.left, ast.Constant | ast.JoinedStr):
            self._add(node, "arithmetic", ast.BinOp(node.left, other(), node.right))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._add(node, "constant", ast.Constant(not node.value))
        elif isinstance(node.value, int):
            self._add(node, "constant", ast.Constant(node.value + 1))
            if node.value > 0:
                self._add(node, "constant", ast.Constant(node.value - 1))
        elif isinstance(node.value, float):
            self._add(node, "constant", ast.Constant(node.value * 2 or 1.0))

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in _SWAPPED_CALLS:
            swapped = ast.Name(_SWAPPED_CALLS[node.func.id])
            self._add(node.func, "call", swapped)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) or _only_counts(node.value):
            return
        if isinstance(node.value, ast.Call | ast.Await):
            self._add(node, "removal", ast.Pass())
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if all(isinstance(one, ast.Attribute | ast.Subscript) for one in node.targets):
            self._add(node, "removal", ast.Pass())
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._add(node, "removal", ast.Pass())
        self.visit(node.value)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._add(node, "removal", ast.Pass())

    def visit_Break(self, node: ast.Break) -> None:
        self._add(node, "jump", ast.Continue())

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(node, "jump", ast.Break())

    def _condition(self, test: ast.expr) -> None:
        """The opposite; of a comparison or a negation that is there already."""
        if not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant):
            self._add(test, "condition", ast.UnaryOp(ast.Not(), test))

    def _add(self, node: ast.expr | ast.stmt, operator: str, new: ast.AST) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = self._begins[node.lineno - 1] + node.col_offset
        end = self._begins[node.end_lineno - 1] + node.end_col_offset
        text = ast.unparse(ast.fix_missing_locations(new))
        if isinstance(new, ast.Compare | ast.BoolOp | ast.BinOp | ast.UnaryOp):
            text = f"({text})"
        self.mutations.append(Mutation(node.lineno, operator, begin, end, text))


def _only_counts(value: ast.expr) -> bool:
    """``….counters.add(…)``."""
    return any(
        isinstance(part, ast.Attribute) and part.attr in _COUNTING for part in ast.walk(value)
    ) and isinstance(value, ast.Call)
