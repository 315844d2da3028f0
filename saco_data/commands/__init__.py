"""One file a group of commands; `TABLE` says where each is, and a command is imported when used."""

from __future__ import annotations

# In the order in which help lists them.
TABLE = {
    "demo": "demo:demo",
    "plan": "look:show_plan",
    "download": "stages:download",
    "process": "stages:process",
    "prune": "stages:prune",
    "verify": "stages:verify",
    "prepare": "stages:prepare",
    "status": "look:status",
}
