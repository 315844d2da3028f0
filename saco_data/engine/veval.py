"""The pictures of SA-V val and test in one folder of links, as SA-Co/VEval asks for them."""

from __future__ import annotations

import os

from saco_data.engine.subset import Subset
from saco_data.storage.disk_errors import explain_errors


def link(subset: Subset) -> str:
    """Links each video of a finished subset into the folder of the config key `veval_path`.

    `<veval_path>/JPEGImages_24fps/<video>` becomes a symbolic link to the folder of its pictures.
    Returns a note if some name is taken, else "". Raises OutputError, DiskFull.
    """
    given, name = subset.config.collection.veval_path, subset.manifest.annotations.pictures
    if given is None or name is None:
        return ""
    pictures, to = subset.config.images / name, subset.config.path(given) / name
    if not pictures.is_dir():
        return ""
    taken = []
    with explain_errors(to):
        to.mkdir(parents=True, exist_ok=True)
        for video in sorted(pictures.iterdir()):
            path = to / video.name
            if path.exists() and path.samefile(video):
                continue
            if path.exists() and not path.is_symlink():
                taken.append(video.name)
                continue
            path.unlink(missing_ok=True)
            path.symlink_to(os.path.relpath(video.resolve(), to.resolve()))
    if not taken:
        return ""
    return f"{to} has its own {', '.join(taken[:5])}: {len(taken)} videos are not linked there"
