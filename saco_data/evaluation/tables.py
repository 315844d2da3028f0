"""Results as people read them: on a terminal, and as the table that papers print."""

from __future__ import annotations

import csv
import html
import io
import textwrap
from collections.abc import Sequence

from saco_data.evaluation import published
from saco_data.evaluation.results import SUBSETS, Result, SubsetResult
from saco_data.model.words import plain

FORMATS = ("md", "latex", "csv", "html")
NAMES = ("cgF1", "IL_MCC", "pmF1")
THIS = "this run"
_LATEX = {each: f"\\{each}" for each in "&%$#_{}"} | {"\\": r"\textbackslash{}"}


def as_text(result: Result, width: int | None = None) -> str:
    """The numbers with their coverage, and below what must be known to read them.

    `width`: the columns of a terminal; longer lines are wrapped.
    """
    lines = [numbers(result, width)]
    for name, each in result.subsets.items():
        lines += [_wrap(f"{plain(name)}: {line}", width) for line in _below(each)]
    return "\n".join(lines)


def _wrap(line: str, width: int | None) -> str:
    if width is None:
        return line
    return textwrap.fill(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def numbers(result: Result, columns: int | None = None) -> str:
    """The numbers with their coverage: one line for each subset, and their mean.

    Where a line is longer than `columns`, coverage stands on a line of its own.
    """
    width = max(8, *map(len, result.subsets))
    lines = [f"{'':{width}}    cgF1  IL_MCC    pmF1  95 % of cgF1"]
    for name, each in result.subsets.items():
        marks = "" if each.shown == "official" else ", only what is here"
        where = f"{each.coverage.in_words()}{marks}"
        line = f"{plain(name):{width}}  {_row(each.headline)}  {_interval(each)}"
        is_short = columns is None or len(line) + 2 + len(where) <= columns
        lines += [f"{line}  {where}"] if is_short else [line.rstrip(), f"{'':{width}}  {where}"]
    if len(result.subsets) > 1:
        lines.append(f"{mean_name(len(result.subsets)):{width}}  {_row(result.average)}")
    return "\n".join(lines)


def mean_name(subsets: int) -> str:
    """What a mean over so many subsets is called: Average is that of all ten."""
    return "Average" if subsets == SUBSETS else f"mean of {subsets}"


def as_table(result: Result, kind: str, *, with_published: bool = False) -> str:
    """One row for the run, as in the benchmark's README; `kind` is one of FORMATS.

    Each subset has cgF1, IL_MCC and pmF1; the coverage of each and the source of published rows
    stand below.
    """
    subsets = _in_order(result)
    several = len(subsets) > 1
    groups = [mean_name(len(subsets))] * several + [published.COLUMNS.get(s, s) for s in subsets]
    rows = [[THIS, *_cells([result.average] * several + [_three(result, s) for s in subsets])]]
    if with_published:
        for model, found in published.rows().items():
            triples = [found.get(s) for s in subsets]
            # A published average is that of ten subsets: it stands beside no other mean.
            first = [found[""] if len(subsets) == SUBSETS else None] if several else []
            cells = [
                "" if triple is None else f"{triple[at]:.2f}"
                for triple in [*first, *triples]
                for at in range(3)
            ]
            rows.append([model, *cells])
    notes = [f"{published.COLUMNS.get(s, s)}: {_note(result.subsets[s])}" for s in subsets]
    if with_published:
        notes.append(f"Other rows: {published.SOURCE}")
    write = {"md": _markdown, "latex": _latex, "csv": _csv, "html": _html}[kind]
    return write([plain(each) for each in groups], rows, [plain(each) for each in notes])


def _in_order(result: Result) -> list[str]:
    known = [name for name in published.COLUMNS if name in result.subsets]
    return known + [name for name in result.subsets if name not in known]


def _three(result: Result, subset: str) -> dict[str, float]:
    return result.subsets[subset].headline


def _cells(found: Sequence[dict[str, float]]) -> list[str]:
    return [cell for each in found for cell in _row(each).split()]


def _row(found: dict[str, float]) -> str:
    """cgF1 and pmF1 times 100, IL_MCC plain, as published."""
    cgf1, mcc, pmf1 = (found[name] for name in NAMES)
    return f"{_times_100(cgf1):>6}  {mcc:6.2f}  {_times_100(pmf1):>6}"


def _times_100(value: float) -> str:
    return f"{100 * value:.2f}" if value != -1 else "-1"


def _interval(each: SubsetResult) -> str:
    if each.interval is None:
        return " " * 13
    low, high = each.interval.cgF1
    return f"{100 * low:.2f} to {100 * high:.2f}".ljust(13)


def _note(each: SubsetResult) -> str:
    return f"{each.coverage.in_words()}{', only what is here' * (each.shown == 'here')}"


def _below(each: SubsetResult) -> list[str]:
    lines = []
    if each.views is not None:
        views = each.views
        lines += [
            f"as the official evaluator counts (missing: nothing predicted) "
            f"{_three_words(views.as_official)}",
            f"only what is here {_three_words(views.here)}",
            f"if all that is missing were wrong {_three_words(views.worst)}",
            f"if all that is missing were right {_three_words(views.best)}",
        ]
    if each.interval is not None:
        made = each.interval
        lines.append(
            f"interval: bootstrap over {made.units:,} {made.unit}s, {made.samples:,} draws, "
            f"seed {made.seed}; IL_MCC {made.IL_MCC[0]:.3f} to {made.IL_MCC[1]:.3f}, "
            f"pmF1 {100 * made.pmF1[0]:.2f} to {100 * made.pmF1[1]:.2f}"
        )
    lines += [f"note: {plain(note)}" for note in each.notes]
    return lines + [f"warning: {finding.in_words()}" for finding in each.findings]


def _three_words(found: dict[str, float]) -> str:
    cgf1, mcc, pmf1 = _row(found).split()
    return f"cgF1 {cgf1}, IL_MCC {mcc}, pmF1 {pmf1}"


def _heads(groups: Sequence[str]) -> list[str]:
    return ["", *(f"{group} {name}" for group in groups for name in NAMES)]


def _markdown(groups: list[str], rows: list[list[str]], notes: list[str]) -> str:
    lines = [_heads(groups), ["---", *["---:"] * (3 * len(groups))], *rows]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([*table, "", *(f"{note}  " for note in notes)])


def _latex(groups: list[str], rows: list[list[str]], notes: list[str]) -> str:
    def escape(text: str) -> str:
        return "".join(_LATEX.get(each, each) for each in text)

    titles = " & ".join(f"\\multicolumn{{3}}{{c}}{{{escape(each)}}}" for each in groups)
    names = " & ".join(escape(name) for _ in groups for name in NAMES)
    lines = [
        *(f"% {note}" for note in notes),
        f"\\begin{{tabular}}{{l{'rrr' * len(groups)}}}",
        f" & {titles} \\\\",
        f" & {names} \\\\",
        *(" & ".join(map(escape, row)) + " \\\\" for row in rows),
        "\\end{tabular}",
    ]
    return "\n".join(lines)


def _csv(groups: list[str], rows: list[list[str]], notes: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([["model", *_heads(groups)[1:]], *rows])
    text.writelines(f"# {note}\n" for note in notes)
    return text.getvalue().rstrip("\n")


def _html(groups: list[str], rows: list[list[str]], notes: list[str]) -> str:
    titles = "".join(f'<th colspan="3">{html.escape(each)}</th>' for each in groups)
    names = "".join(f"<th>{name}</th>" for _ in groups for name in NAMES)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    below = "<br>".join(map(html.escape, notes))
    return (
        f"<table>\n<thead><tr><th></th>{titles}</tr>\n<tr><th></th>{names}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody>\n<caption>{below}</caption>\n</table>"
    )
