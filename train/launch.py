"""Carry a run out: start a process for each device, follow them, keep the run's row, make the model of what they leave.

One machine: the processes are ours, so that the death of one ends all, and the death of this one too. Several machines:
DeepSpeed's launcher reads the hostfile and starts them over ssh; the run's folder must be at the same path on all.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from kb.errors import KBError
from train.deepspeed_config import clear_locks, compiles, free_port
from train.fit import CANCEL
from train.make_model import make_model
from train.rank import WITH_PARENT, Outcome
from train.recipe import Plan, Recipe
from train.runs import METRICS, Progress, Run, Runs

Told = Callable[[str], None]
"""What happens, in words."""
Watch = Callable[[Progress], None]

_LOOK_S = 0.5
_END_S = 120.0  # time to write a checkpoint after a second request to stop
_LOG_TAIL = 4000


def carry_out(runs: Runs, run: Run, told: Told = lambda text: None, watch: Watch = lambda progress: None) -> Run:
    """Train `run` (from its last whole checkpoint, if it has one) and make its model. Returns it as it ended.

    Raises UsageError if another process carries it out or it is done. Ctrl-C stops it with a checkpoint.
    """
    plan = Plan.load(run.folder)
    run = runs.begin(run.id)
    for stale in [run.folder / CANCEL, *run.folder.glob("outcome.*.json")]:
        stale.unlink(missing_ok=True)
    reason = "it was ended before it was over"
    try:
        outcome = _Following(runs, run, plan, told, watch).to_the_end()
        if outcome.state != "done":
            reason = outcome.reason
            return runs.end(run.id, "cancelled" if outcome.state == "cancelled" else "failed", reason=reason)
        told("making the model")
        result = _result(runs, run, outcome)
        made = make_model(plan, run, result)
        return runs.end(run.id, "done", result=result, model=made.name)
    except KBError as error:
        reason = str(error)
        return runs.end(run.id, "failed", reason=reason)
    finally:
        if runs.run(run.id).state == "running":
            runs.end(run.id, "failed", reason=reason)


def detach(run: Run, home: Path) -> int:
    """Carry the run out in a process of its own that outlives this one; its process id."""
    command = [sys.executable, "-m", "cli", "train", "resume", run.id, "--home", str(home)]
    with run.log.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment({})
        )
    return process.pid


class _Following:
    """The processes of a run, from their start to their end."""

    def __init__(self, runs: Runs, run: Run, plan: Plan, told: Told, watch: Watch) -> None:
        self._runs = runs
        self._run = run
        self._plan = plan
        self._told = told
        self._watch = watch
        self._metrics = run.folder / METRICS
        self._read = self._metrics.stat().st_size if self._metrics.exists() else 0
        self._asked = 0
        self._failed: list[int] = []  # exit codes of those that failed before the others were ended

    def to_the_end(self) -> Outcome:
        """Start the processes, follow them, end what is left of them."""
        with self._run.log.open("ab") as log:
            processes = self._start(log)
            try:
                while any(process.poll() is None for process in processes):
                    self._look(processes)
                self._take_metrics()
            finally:
                _end(processes)
        return self._outcome([process.returncode for process in processes])

    def _start(self, log: IO[bytes]) -> list[subprocess.Popen[bytes]]:
        import torch

        recipe, cuda = self._plan.recipe, torch.cuda.is_available()
        extensions = self._run.folder.parent / ".extensions"
        if compiles(recipe, cuda=cuda):
            self._told("DeepSpeed compiles its CPU optimizer first: some minutes, once on each machine")
        if not any(other.state == "running" for other in self._runs.runs() if other.id != self._run.id):
            stale = clear_locks(extensions)
            if stale:
                self._told(f"removed {len(stale)} locks of a compilation that was killed")
        return [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment({"TORCH_EXTENSIONS_DIR": str(extensions), **own}),
                start_new_session=True,
            )
            for command, own in commands(recipe, self._run.folder, cuda=cuda)
        ]

    def _look(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        try:
            time.sleep(_LOOK_S)
            self._take_metrics()
            if self._runs.wanted(self._run.id) == "cancel":
                (self._run.folder / CANCEL).touch()
        except KeyboardInterrupt:
            self._asked += 1
            if self._asked > 1:
                _end(processes)
            self._told("stopping after a checkpoint; press Ctrl-C again to stop at once")
            (self._run.folder / CANCEL).touch()
        if any(process.poll() not in (None, 0) for process in processes):
            time.sleep(_LOOK_S)  # the one that failed first has written why
            self._failed = [code for process in processes if (code := process.poll())]
            _end(processes)

    def _take_metrics(self) -> None:
        """Bring the row level with the file."""
        if not self._metrics.exists():
            return
        with self._metrics.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        if not whole:
            return
        self._read += len(whole) + 1
        for line in whole.splitlines():
            row = json.loads(line)
            progress = Progress(**{name: row[name] for name in Progress.__dataclass_fields__})
            self._watch(progress)
        self._runs.report(self._run.id, progress)

    def _outcome(self, codes: Sequence[int]) -> Outcome:
        left = sorted(self._run.folder.glob("outcome.*.json"))
        found = [Outcome(**json.loads(path.read_text(encoding="utf-8"))) for path in left]
        failed = next((one for one in found if one.state == "failed"), None)
        if failed:
            return failed
        if any(codes) or not found:
            return Outcome("failed", self._told_by_log(codes))
        return found[0]

    def _told_by_log(self, codes: Sequence[int]) -> str:
        code = min(self._failed or filter(None, codes), default=0)  # a signal's is negative: the others fail for it
        if code < 0:
            name = signal.Signals(-code).name
            memory = " (the system does that when memory runs out)" if -code == signal.SIGKILL else ""
            how = f"was ended by {name}{memory}"
        else:
            how = f"ended with code {code}"
        with self._run.log.open("rb") as file:
            file.seek(max(0, self._run.log.stat().st_size - _LOG_TAIL))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
        last = f" after: {lines[-1][:300]}" if lines and code >= 0 else ""
        return f"A process of the run {how}{last}. The log is {self._run.log}; resume it with `vademecum train resume`."


def commands(recipe: Recipe, folder: Path, *, cuda: bool) -> list[tuple[list[str], dict[str, str]]]:
    """What is started, each with the variables of its own."""
    rank = [sys.executable, "-m", "train.rank", str(folder)]
    if recipe.hostfile:
        launcher = [sys.executable, "-m", "deepspeed.launcher.runner", "--hostfile", recipe.hostfile]
        launcher += ["--master_port", str(free_port()), "--no_local_rank", "--module", "train.rank", str(folder)]
        return [(launcher, {} if cuda else {"DS_ACCELERATOR": "cpu"})]
    if recipe.devices == 1:
        return [([*rank, WITH_PARENT], {})]
    port = str(free_port())
    threads = {} if cuda else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // recipe.devices))}
    shared = {"WORLD_SIZE": str(recipe.devices), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **threads}
    shared |= {} if cuda else {"DS_ACCELERATOR": "cpu"}
    return [([*rank, WITH_PARENT], {"RANK": str(n), "LOCAL_RANK": str(n), **shared}) for n in range(recipe.devices)]


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """This process's, with our packages and the tools of its environment to be found, and no way to the network."""
    root, tools = str(Path(__file__).parents[1]), str(Path(sys.executable).parent)
    known = dict(os.environ)
    known["PYTHONPATH"] = os.pathsep.join(part for part in (root, known.get("PYTHONPATH", "")) if part)
    known["PATH"] = os.pathsep.join(part for part in (tools, known.get("PATH", "")) if part)
    known |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**known, **own}


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Close their inputs (which ends them) and kill, with all their children, those that do not mind it."""
    for process in processes:
        with suppress(BrokenPipeError):
            if process.stdin:
                process.stdin.close()
    for process in processes:
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _result(runs: Runs, run: Run, outcome: Outcome) -> dict[str, Any]:
    import math

    now = runs.run(run.id)
    held = {"held_out_loss_before": outcome.held_out_loss_before, "held_out_loss": outcome.held_out_loss}
    told = {name: round(value, 5) for name, value in held.items() if value is not None}
    if outcome.held_out_loss is not None:
        told["held_out_perplexity"] = round(math.exp(min(outcome.held_out_loss, 50.0)), 3)
    return {
        "steps": outcome.steps,
        "trained_tokens": now.trained_tokens,
        "seconds": round(now.seconds, 1),
        **told,
    }
