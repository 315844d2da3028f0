"""The files for unattended runs: their syntax, and what they do when they run."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset
from tests.helpers.waiting import wait_until

PIPELINES = ROOT / "pipelines"
UNITS = ("saco-sync.service", "saco-sync.timer", "saco-mail@.service")
SACO = Path(sys.executable).with_name("saco")


def shell(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> TinySubset:
    """A silver folder as the files expect it, with the command where they look for it."""
    small = TinySubset(tmp_path / "silver")
    small.install(f'exec {SACO} "$@"')
    return small


def verified(folder: Path, service: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of the units, with this service, where %h is `folder`."""
    for name in UNITS:
        text = service if name == UNITS[0] else (PIPELINES / name).read_text()
        (folder / name).write_text(text.replace("%h", str(folder)))
    return subprocess.run(
        ["systemd-analyze", "verify", "--user", *UNITS],
        cwd=folder,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_image_installs_extras_that_exist() -> None:
    recipe = (PIPELINES / "saco-data.def").read_text()
    (named,) = re.findall(r"/opt/saco-data\[([a-z,]+)\]", recipe)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(named.split(",")) <= project["optional-dependencies"].keys()
    assert (ROOT / "constraints.txt").is_file()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_accepts_the_units(home: TinySubset) -> None:
    text = (PIPELINES / UNITS[0]).read_text()
    said = verified(home.folder.parent, text)
    assert (said.returncode, said.stderr) == (0, "")
    assert verified(home.folder.parent, text.replace("Type=oneshot", "Type=unheard")).stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_timer_has_a_next_time() -> None:
    (when,) = re.findall(r"^OnCalendar=(.*)$", (PIPELINES / UNITS[1]).read_text(), re.M)
    said = subprocess.run(["systemd-analyze", "calendar", when], capture_output=True, text=True)
    assert said.returncode == 0 and "Next elapse" in said.stdout


def test_what_the_service_starts_works(home: TinySubset) -> None:
    (command,) = re.findall(r"^ExecStart=(.*)$", (PIPELINES / UNITS[0]).read_text(), re.M)
    ended = shell(f"{command} {SUBSET}".replace("%h", str(home.folder.parent)), home.folder)
    assert ended.returncode == 0, ended.stderr
    assert "saco sync: complete" in ended.stderr


FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def jobs() -> list[str]:
    """The commands of the crontab; its five time fields are checked on the way."""
    commands = []
    for line in (PIPELINES / "crontab").read_text().splitlines():
        if not line or line.startswith("#") or re.match(r"[A-Z]+=", line):
            continue
        *times, command = line.split(None, 5)
        assert len(times) == 5
        for value, (least, most) in zip(times, FIELDS, strict=True):
            numbers = [int(n) for n in re.findall(r"\d+", value)]
            assert re.fullmatch(r"\*|\d+([-,]\d+)*", value)
            assert all(least <= number <= most for number in numbers)
        # An unescaped % ends the command.
        assert not re.search(r"(?<!\\)%", command)
        commands.append(command.replace("\\%", "%"))
    return commands


def test_cron_mails_only_what_needs_a_person(home: TinySubset) -> None:
    assert len(jobs()) == 2
    # Nine subsets have no annotations here: to name one is all that a test may change.
    nightly, monthly = (
        command.replace(" sync", f" sync {SUBSET}").replace(f"sync {SUBSET} --", "sync --")
        for command in jobs()
    )
    monthly = monthly.replace("--full", f"--full {SUBSET}")
    for command in (nightly, monthly):
        quiet = shell(command, home.folder.parent, SILVER=str(home.folder))
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    home.tar.unlink()
    home.product(NAMES[0]).unlink()
    loud = shell(nightly, home.folder.parent, SILVER=str(home.folder))
    assert loud.returncode == 4
    assert "blocked, needs you (exit 4)" in loud.stdout.splitlines()[-1]
    nowhere = shell(nightly, home.folder.parent, SILVER="/nowhere")
    assert nowhere.returncode and "/nowhere" in nowhere.stderr


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 130, 143])
def test_cron_mails_the_exit_codes_that_the_table_gives_to_a_person(
    home: TinySubset, code: int
) -> None:
    table = (PIPELINES / "README.md").read_text()
    (acts,) = [
        answer
        for codes, answer in re.findall(r"^\| ([\d, ]+) \|.*\| ([^|]*) \|$", table, re.M)
        if str(code) in codes.split(", ")
    ]
    # Whatever the command says, and however it ends.
    home.install(f"echo said >&2\nexit {code}")
    for job in jobs():
        ended = shell(job, home.folder.parent, SILVER=str(home.folder))
        mailed = acts.startswith("yes")
        assert (ended.stdout, ended.stderr) == ("said\n" if mailed else "", "")
        assert ended.returncode == (code if mailed else 0)


def slurm(home: TinySubset, **environment: str) -> subprocess.CompletedProcess[str]:
    script = shlex_quote(PIPELINES / "saco-sync.slurm")
    return shell(f"exec bash {script}", home.folder, **environment)


def shlex_quote(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))


def test_a_slurm_task_syncs_its_subset(home: TinySubset) -> None:
    number = "1"  # bdd100k
    done = slurm(home, SLURM_ARRAY_TASK_ID=number)
    assert (done.returncode, done.stdout) == (0, f"{SUBSET}: 5 made\n"), done.stderr
    full = slurm(home, SLURM_ARRAY_TASK_ID=number, SACO_FULL="1")
    assert full.returncode == 0
    assert "saco sync: complete" in full.stderr
    home.tar.unlink()
    home.product(NAMES[0]).unlink()
    assert slurm(home, SLURM_ARRAY_TASK_ID=number).returncode == 4
    assert slurm(home).returncode != 0


def test_the_slurm_array_names_all_subsets_one_at_a_time() -> None:
    from tests.helpers.names import SILVER

    text = (PIPELINES / "saco-sync.slurm").read_text()
    (names,) = re.findall(r"^subsets=\((.*)\)$", text, re.M)
    assert tuple(names.split()) == SILVER
    assert f"#SBATCH --array=0-{len(SILVER) - 1}%1" in text


def stand_in(home: TinySubset, script: str) -> str:
    """Puts a script in the place of saco, and a scontrol that notes what it is asked."""
    home.install('echo "$@" > requeued', "scontrol")
    return f"{home.install(script).parent}:{os.environ['PATH']}"


def signalled(home: TinySubset, script: str, number: int, **environment: str) -> tuple[int, bool]:
    """Signals a task whose saco is this script, once it has begun: exit code, whether requeued."""
    process = subprocess.Popen(
        ["bash", PIPELINES / "saco-sync.slurm"],
        cwd=home.folder,
        env={
            **os.environ,
            "SLURM_ARRAY_TASK_ID": "1",
            "SLURM_JOB_ID": "77",
            "PATH": stand_in(home, script),
            **environment,
        },
    )
    wait_until((home.folder / "begun").exists)
    process.send_signal(number)
    code = process.wait(300)
    requeued = home.folder / "requeued"
    assert not requeued.exists() or requeued.read_text() == "requeue 77\n"
    return code, requeued.exists()


SLOW = "trap 'exit 130' TERM\ntouch begun\nwhile :; do sleep 0.05; done"


def test_a_slurm_task_passes_the_signal_before_its_end_on(home: TinySubset) -> None:
    """The time limit comes: saco ends cleanly, and the task is put into the queue again."""
    text = (PIPELINES / "saco-sync.slurm").read_text()
    (name,) = re.findall(r"^#SBATCH --signal=B:(\w+)@300$", text, re.M)
    assert signalled(home, SLOW, signal.Signals[f"SIG{name}"]) == (0, True)


def test_a_slurm_task_that_is_cancelled_stays_so(home: TinySubset) -> None:
    assert signalled(home, SLOW, signal.SIGTERM) == (130, False)


@pytest.mark.parametrize(
    "number, ended", [(signal.SIGTERM, (130, False)), (signal.SIGUSR1, (0, True))]
)
def test_a_slurm_task_that_waits_for_another_run_can_be_stopped(
    home: TinySubset, number: int, ended: tuple[int, bool]
) -> None:
    # It is stopped while it waits, not in the moment between.
    script = "trap '' TERM\ntouch begun\nexit 6"
    assert signalled(home, script, number, SACO_RETRY_SECONDS="60") == ended


@pytest.mark.parametrize("free_at, code, asked", [(3, 4, 3), (99, 0, 5)])
def test_a_slurm_task_waits_for_a_lock_that_may_be_a_dead_ones(
    home: TinySubset, free_at: int, code: int, asked: int
) -> None:
    path = stand_in(
        home, f'echo x >> asked\n[ "$(wc -l < asked)" -lt {free_at} ] || exit 4\nexit 6'
    )
    ended = slurm(home, SLURM_ARRAY_TASK_ID="1", SACO_RETRY_SECONDS="0", PATH=path)
    assert ended.returncode == code
    assert len((home.folder / "asked").read_text().split()) == asked


def test_a_slurm_task_waits_longer_than_a_dead_lock_is_respected() -> None:
    from saco_data.state.lock import STALE_SECONDS

    text = (PIPELINES / "saco-sync.slurm").read_text()
    (attempts,) = re.findall(r"^for attempt in ([\d ]+);", text, re.M)
    (seconds,) = re.findall(r"SACO_RETRY_SECONDS:-(\d+)", text)
    assert (len(attempts.split()) - 1) * int(seconds) > STALE_SECONDS


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="needs shellcheck")
@pytest.mark.parametrize("script", ["saco-sync.slurm", "saco-cluster.slurm"])
def test_shellcheck_has_nothing_to_say(script: str) -> None:
    said = subprocess.run(["shellcheck", PIPELINES / script], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "")
