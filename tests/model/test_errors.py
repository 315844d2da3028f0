"""The error tree: one exit code for each class, messages in three parts, pickling."""

from __future__ import annotations

import ast
import contextlib
import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import saco_data
from saco_data.model import errors
from saco_data.model.reasons import Reason


def tree(kind: type[errors.SacoError]) -> Iterator[type[errors.SacoError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


@pytest.mark.parametrize("kind", list(tree(errors.SacoError)))
def test_every_class_names_event_item_and_remedy(kind: type[errors.SacoError]) -> None:
    error = kind("it broke", item="thing.jpg", remedy="Mend it")
    assert str(error) == "thing.jpg: it broke. Mend it"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error)
    assert kind.exit_code in errors.SEVERITY


def test_blocked_keeps_its_reason_across_processes() -> None:
    error = errors.Blocked("closed", reason=Reason.THROTTLED)
    assert pickle.loads(pickle.dumps(error)).reason is Reason.THROTTLED


@pytest.mark.parametrize(
    ("codes", "wins"),
    [([], 0), ([0, 3], 3), ([3, 4], 4), ([4, 5], 5), ([5, 6], 6), ([6, 2], 2), ([2, 1], 1)],
)
def test_the_most_severe_code_wins(codes: list[int], wins: int) -> None:
    assert errors.most_severe(codes) == wins
    assert errors.most_severe(codes[::-1]) == wins


def modules() -> Iterator[tuple[str, Path]]:
    """Imports every module of the package, so that the tree of errors is complete."""
    package = Path(saco_data.__file__).parent
    for path in sorted(package.rglob("*.py")):
        parts = ("saco_data", *path.relative_to(package).with_suffix("").parts)
        name = ".".join(parts).removesuffix(".__init__")
        with contextlib.suppress(ModuleNotFoundError):  # an extra that is not installed
            importlib.import_module(name)
        yield name, path


def test_every_raised_error_has_a_remedy() -> None:
    paths = dict(modules())
    kinds = {kind.__name__: kind for kind in tree(errors.SacoError)}
    # Classes with a built-in remedy; creating each one shows that it has it.
    own = set()
    for name, kind in kinds.items():
        try:
            error = kind("it broke", item="thing")
        except TypeError:
            error = kind("it broke", item="thing", reason=Reason.NETWORK)  # type: ignore[call-arg]
        if error.remedy:
            own.add(name)
    without_remedy = []
    for name, path in paths.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called not in kinds or called in own:
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            remedy = given.get("remedy")
            if remedy is None or (isinstance(remedy, ast.Constant) and not remedy.value):
                without_remedy.append(f"{name}:{node.lineno}: {called}")
    assert without_remedy == []
    assert own >= {"Failure", "ArchiveDamaged"} and len(kinds) > 10
