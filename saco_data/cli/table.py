"""The table of commands: the module and function of each, imported when it is used."""

from __future__ import annotations

# In the order in which help lists them.
TABLE = {
    "init": "init:init",
    "demo": "demo:demo",
    "annotations": "annotations:get_annotations",
    "plan": "look:show_plan",
    "doctor": "doctor:doctor",
    "download": "stages:download",
    "process": "stages:process",
    "prune": "stages:prune",
    "verify": "stages:verify",
    "prepare": "stages:prepare",
    "sync": "sync:sync",
    "eval": "evaluate:evaluate",
    "clicks": "clicks:clicks",
    "push": "push:push",
    "status": "look:status",
    "history": "memory:history",
    "card": "memory:card",
    "intersect": "memory:intersect",
    "diff": "lock:diff",
    "lock": "lock:lock",
    "compare": "lock:compare",
    "report": "report:write_report",
    "preview": "report:preview",
    "seek-index": "seek_index:seek_index",
    "convert": "convert:convert",
    "export": "export:export",
}
