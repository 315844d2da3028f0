"""Typical mistakes: each one gets one clear line with the next step, and the right exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from saco_data.cli.main import main
from saco_data.cli.table import TABLE
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.hub import HuggingFace
from tests.conftest import Saco
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one

PAGE = "<!DOCTYPE html><html><title>Log in</title></html>"


@dataclass
class Mistake:
    """A command line, what is in its folder, and what the answer must say."""

    command: str
    code: int
    # What the one line says: the key, file or word that is wrong, and the next step.
    says: tuple[str, ...]
    # The config: keys, or its text.
    keys: dict[str, Any] = field(default_factory=dict)
    text: str | None = None
    # Files by name, and what else to do in the folder beforehand.
    files: dict[str, str] = field(default_factory=dict)
    before: Callable[[Path], object] = lambda folder: None


def _geode(folder: Path) -> None:
    build_one(folder, "geode")


def _closed(folder: Path) -> None:
    build_one(folder, "geode")
    (folder / "file").write_text("")


def _pipe(folder: Path) -> None:
    (folder / "CONFIG_FRAMES.yaml").unlink()
    os.mkfifo(folder / "CONFIG_FRAMES.yaml")


def _mask_folders(folder: Path) -> None:
    for name in ("p", "t"):
        (folder / name).mkdir()


def _no_config(folder: Path) -> None:
    (folder / "CONFIG_FRAMES.yaml").unlink()


MISTAKES = {
    "subset": Mistake("prepare geod", 2, ("unknown subset 'geod'", "Did you mean 'geode'?")),
    "export format": Mistake("export cooc nga --to x", 2, ("'cooc'", "Did you mean 'coco'?")),
    "metric": Mistake("eval nga=p.json --metric cgf2", 2, ("'cgf2'", "Did you mean 'cgf1'?")),
    "layout": Mistake("convert vso x", 2, ("'vso'", "Did you mean 'vos'?")),
    "what eval does": Mistake("eval chekc nga=p.json", 2, ("chekc", "Did you mean 'check'?")),
    "seed below 0": Mistake("eval nga=p.json --seed -1", 2, ("seed: -1", "from 0")),
    "seed of 30 digits": Mistake(f"eval nga=p.json --seed {10**30}", 2, ("seed", "2**63")),
    "ground truth that is not there": Mistake(
        "eval p.json --gt nope.json",
        2,
        ("nope.json", "there is no such file"),
        files={"p.json": "[]"},
    ),
    "folder of masks against what is not there": Mistake(
        "eval p --gt nope",
        2,
        ("nope: there is no such file", "Name the ground truth"),
        before=_mask_folders,
    ),
    "J&F of what is not there": Mistake(
        "eval p --gt nope --metric jf", 2, ("nope: there is no such folder",), before=_mask_folders
    ),
    "prediction without a file": Mistake("eval geode=", 2, ("names no file", "geode=FILE")),
    "this folder as prediction": Mistake(
        "eval geode=.", 2, (".: cannot be read", "Name a prediction file"), before=_geode
    ),
    "prediction as ground truth": Mistake(
        "eval p.json --gt q.json",
        4,
        ("q.json: is a list, as prediction files are", "Name the annotation file"),
        files={"p.json": "[]", "q.json": "[]"},
    ),
    "prediction in place of a result": Mistake(
        "report --eval p.json",
        2,
        ("p.json: holds no counts of image-NPs. Write it with `saco eval PRED --to FILE`",),
        files={"p.json": '[{"image_id": 1}]'},
    ),
    "prediction in place of a card": Mistake(
        "intersect p.json", 2, ("p.json: is not a card. Give the",), files={"p.json": "[]"}
    ),
    "folder as ground truth": Mistake(
        "eval p.json --gt .", 2, ("is a folder", "annotation file"), files={"p.json": "[]"}
    ),
    "check of folders of masks": Mistake(
        "eval check p --gt t",
        2,
        ("eval check is for prediction files", "`saco eval` checks such folders"),
        before=_mask_folders,
    ),
    "comparison of folders of masks": Mistake(
        "eval compare p p --gt t",
        2,
        ("eval compare is for prediction files",),
        before=_mask_folders,
    ),
    "folder without annotations": Mistake(
        "annotations nga --from .", 4, ("has no silver_nga_art_merged_test.json", "--from")
    ),
    "lock of another name": Mistake("lock nga --to l.txt", 2, ("l.txt", ".parquet"), before=_geode),
    "subset that is not prepared": Mistake(
        "card sa-v/val", 2, ("nothing is prepared yet", "`saco prepare sa-v/val`")
    ),
    "manifests that are not there": Mistake(
        "status",
        2,
        ("collection.yaml", "is missing", "`manifests`"),
        text="collections: {mine: {manifests: nope}}\n",
    ),
    "range of shards from high to low": Mistake(
        "plan sa-v/train",
        2,
        ("sa-v/train", "no shard", "0-3"),
        keys={"collections": {"sa-v": {"shards": ["5-1"]}}},
    ),
    "no shards": Mistake(
        "plan sa-v/train",
        2,
        ("sa-v/train", "no shard", "0-3"),
        keys={"collections": {"sa-v": {"shards": []}}},
    ),
    "subset of a collection": Mistake("plan sa-v/tran", 2, ("Did you mean 'sa-v/train'?",)),
    "collection where one subset is needed": Mistake(
        "preview silver", 2, ("'silver' is a collection", "Name one of its subsets: geode")
    ),
    "command": Mistake("prepar", 2, ("No such command: 'prepar'", "Did you mean 'prepare'?")),
    "option": Mistake("status --jason", 2, ("--jason", "Did you mean '--json'?")),
    "dry run": Mistake("prepare --dry-run", 2, ("--dry-run", "`saco plan` shows what")),
    "subset as an option": Mistake(
        "prepare --subset geode", 2, ("--subset", "without an option: `saco prepare geode nga`")
    ),
    "no item": Mistake("history", 2, ("ITEM", "See `saco history --help`")),
    "number": Mistake("plan --jobs 0", 2, ("--jobs", "See `saco plan --help`")),
    "no config": Mistake(
        "status", 2, ("no CONFIG_FRAMES.yaml", "`saco init`", "--config"), before=_no_config
    ),
    "config that is not there": Mistake(
        "status --config none.yaml", 2, ("none.yaml", "Give the path of a config")
    ),
    "pipe as config": Mistake(
        "status", 2, ("CONFIG_FRAMES.yaml", "a pipe", "Give the path of a config"), before=_pipe
    ),
    "key": Mistake(
        "status", 2, (":1: silver_pth", "Did you mean 'silver_path'?"), text="silver_pth: x\n"
    ),
    "nested key": Mistake(
        "status",
        2,
        (":3: limits.nga.concurency", "Did you mean 'concurrency'?"),
        text="limits:\n  nga:\n    concurency: 3\n",
    ),
    "nested key of a collection": Mistake(
        "status",
        2,
        (":2: collections.sa-v.shard", "Did you mean 'shards'?"),
        text="collections:\n  sa-v: {shard: [1]}\n",
    ),
    "wrong type": Mistake("status", 2, (":1: jobs", "Write a whole number"), text="jobs: many\n"),
    "out of range": Mistake(
        "status",
        2,
        (":1: limits.nga.concurrency: 0 does not fit", "Write at least 1"),
        text="limits: {nga: {concurrency: 0}}\n",
    ),
    "no YAML": Mistake("status", 2, (":2: is not YAML", "Correct that line"), text="a: [\n"),
    "endpoint that is no URL": Mistake(
        "status",
        2,
        (":1: endpoints.nga_iiif: 'example.org/iiif' is neither a URL nor a file", "https://"),
        text="endpoints: {nga_iiif: example.org/iiif}\n",
    ),
    "tab": Mistake(
        "status",
        2,
        (":2: nga: is not YAML (there is a tab)", "Write blanks"),
        text="limits:\n\tnga: {concurrency: 2}\n",
    ),
    "bucket with a slash too few": Mistake(
        "status",
        2,
        (":1: silver_path: 's3:/bucket/x' is no address", "Write s3://, then the bucket"),
        text="silver_path: s3:/bucket/x\n",
    ),
    "address without a bucket": Mistake(
        "status",
        2,
        ("silver_path: 'gs://' is no address", "gs://, then"),
        text="silver_path: gs://",
    ),
    "address with a slash too few": Mistake(
        "status",
        2,
        (":1: geode_raw: 'http:/host/geode.zip' is no address", "Write http://"),
        text="geode_raw: http:/host/geode.zip\n",
    ),
    "placeholder": Mistake(
        "status",
        2,
        (":1: geode_raw: the placeholder <YOUR_GEODE>", "Write your own value"),
        text="geode_raw: <YOUR_GEODE>\n",
    ),
    "variable": Mistake(
        "status",
        2,
        (":1: geode_raw: $NO_SUCH is not set", "Set NO_SUCH"),
        text="geode_raw: $NO_SUCH\n",
    ),
    "transport": Mistake(
        "status", 2, (":1: transport.droid", "Write one of https"), text="transport: {droid: ftp}\n"
    ),
    "bucket for a raw medium": Mistake(
        "status",
        2,
        (":1: geode_raw: s3://", "Write the path"),
        text="geode_raw: s3://b/geode.zip\n",
    ),
    "raw path": Mistake(
        "prepare geode",
        4,
        ("nowhere.zip does not exist", "Correct geode_raw in the config"),
        keys={"geode_raw": "nowhere.zip"},
        before=_geode,
    ),
    "login page as archive": Mistake(
        "prepare geode",
        4,
        ("geode.zip: is a web page, not the archive", "Log in with a browser", "`geode_raw`"),
        keys={"geode_raw": "geode.zip"},
        files={"geode.zip": PAGE},
        before=_geode,
    ),
    "links file": Mistake(
        "prepare sav",
        4,
        ("links.txt: the links file cannot be read", "`sav_links_file`"),
        keys={"sav_links_file": "links.txt"},
        before=lambda folder: build_one(folder, "sav"),
    ),
    "login page as links file": Mistake(
        "prepare sav",
        4,
        ("links.txt", "web page", "`sav_links_file`"),
        keys={"sav_links_file": "links.txt"},
        files={"links.txt": PAGE},
        before=lambda folder: build_one(folder, "sav"),
    ),
    "empty cookies": Mistake(
        "prepare yt1b",
        4,
        ("cookies.txt: the cookies file cannot be used: it is empty", "`cookies_path`"),
        keys={"cookies_path": "cookies.txt"},
        files={"cookies.txt": ""},
        before=lambda folder: build_one(folder, "yt1b"),
    ),
    "folder that is a file": Mistake(
        "prepare geode",
        2,
        ("silver_path", "is not a folder", "Choose another folder"),
        keys={"silver_path": "file/silver"},
        before=_closed,
    ),
    "unknown item": Mistake("history x.jpg", 2, ("x.jpg: is not in the ledger", "`saco prepare`")),
    "card": Mistake(
        "intersect nowhere", 2, ("nowhere: is not a card (No such file", "`saco card` wrote")
    ),
    "folder of annotations": Mistake(
        "annotations nga --from nowhere", 2, ("nowhere: is neither", "Name one of them")
    ),
    "folder of masks": Mistake(
        "convert vos nowhere", 2, ("nowhere: is not a folder", "Give a folder")
    ),
    "raw path of init": Mistake(
        "init sub --geode-raw nope.zip",
        2,
        ("geode_raw: sub/nope.zip is not there", "Give the path"),
    ),
    "second init": Mistake("init", 2, ("CONFIG_FRAMES.yaml is there already", "Change it by hand")),
}


def _set_up(folder: Path, mistake: Mistake) -> None:
    if mistake.text is None:
        config(folder, **mistake.keys)
    else:
        (folder / "CONFIG_FRAMES.yaml").write_text(mistake.text)
    for name, content in mistake.files.items():
        (folder / name).write_text(content)
    mistake.before(folder)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_clear_line_and_the_right_exit_code(
    tmp_path: Path, saco: Saco, name: str
) -> None:
    mistake = MISTAKES[name]
    _set_up(tmp_path, mistake)
    done = saco(*mistake.command.split(), cwd=tmp_path)
    assert done.returncode == mistake.code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    said = [line for line in lines[:-1] or lines if all(each in line for each in mistake.says)]
    assert len(said) == 1, done.stderr
    if mistake.command.startswith("prepare ") and len(lines) > 1:
        assert lines[-1].startswith("saco prepare: ") and len(lines[-1]) <= 200
    else:
        assert len(lines) == 1 and done.stdout == ""


@pytest.mark.parametrize("name", ["subset", "option", "key", "folder of masks"])
def test_with_json_a_mistake_is_one_object(tmp_path: Path, saco: Saco, name: str) -> None:
    mistake = MISTAKES[name]
    _set_up(tmp_path, mistake)
    done = saco(*mistake.command.split(), "--json", cwd=tmp_path)
    assert done.returncode == mistake.code and done.stderr == ""
    told = json.loads(done.stdout)
    assert set(told) == {"version", "exit_code", "error"}
    assert (told["version"], told["exit_code"]) == (1, mistake.code)
    error = told["error"]
    assert set(error) == {"what", "item", "remedy", "findings"} and error["remedy"]
    line = f"{error['item']}: {error['what']}. {error['remedy']}"
    assert all(each in line for each in mistake.says)


# A line that fails, for each command.
FAILING = {
    "init": "init",
    "demo": "demo CONFIG_FRAMES.yaml",
    "history": "history x.jpg",
    "eval": "eval nothing.json",
    "clicks": "clicks nag --to prompts.jsonl",
    "push": "push place nag",
    "intersect": "intersect nowhere",
    "diff": "diff nowhere nowhere",
    "compare": "compare nowhere.parquet",
    "seek-index": "seek-index nag --to i.gz",
    "convert": "convert vos nowhere",
    "export": "export coco nag --to new",
}


@pytest.mark.parametrize("name", TABLE)
def test_with_json_the_error_of_each_command_is_one_object(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    config(tmp_path)
    monkeypatch.chdir(tmp_path)
    line = FAILING.get(name, f"{name} nag")
    monkeypatch.setattr(sys, "argv", ["saco", *line.split(), "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert printed.err == "" and set(told) == {"version", "exit_code", "error"}
    assert told["version"] == 1 and told["exit_code"] == end.value.code == 2
    assert set(told["error"]) == {"what", "item", "remedy", "findings"}
    assert told["error"]["what"] and told["error"]["remedy"]


def test_without_a_token_the_page_of_the_terms_is_named(
    tmp_path: Path, server: FileServer, saco: Saco
) -> None:
    HuggingFace("facebook/SACo-Silver", {}, token="hf_x").mount(server)
    config(tmp_path, endpoints={"hub": server.url})
    done = saco("annotations", "nga", cwd=tmp_path, HF_HOME=str(tmp_path / "none"), HF_TOKEN="")
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert "huggingface.co/datasets/facebook/SACo-Silver" in line and "HF_TOKEN" in line


def test_a_wrong_annotation_path_is_named_with_the_folder_that_is_there(
    tmp_path: Path, saco: Saco
) -> None:
    build_one(tmp_path, "geode")
    config(tmp_path, path_annotations="anotations", endpoints={"hub": "http://127.0.0.1:9"})
    done = saco("prepare", "geode", cwd=tmp_path, HF_TOKEN="", HF_HOME=str(tmp_path / "none"))
    assert done.returncode in (3, 4)
    said = [
        line for line in done.stderr.splitlines() if "has no anotations, but annotations" in line
    ]
    assert len(said) == 1 and "path_annotations" in said[0]
    assert len(done.stderr.splitlines()[-1]) <= 200
