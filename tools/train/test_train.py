"""A resumed run ends with the same weights, one that was killed too, and an export is what was
trained.

    python test_train.py
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from checkpoint import load_official
from config import Config
from evaluate import generate
from export import check, export
from model import Model
from quant import rounded_weights
from tokenizer import learn
from train import Run, arguments
from workers import Workers

ALONE = Workers(0, 1, Path())


def options(folder: Path, *more: str) -> list[str]:
    return [str(folder), "--steps=6", "--tokens=512", "--warmup=2", "--fall=0.34",
            "--quantised=0.34", "--grow=4", "--mtp-every=2", "--device=cpu", "--width=64",
            "--save-every=2", "--test-every=1000000", *more]


def start(folder: Path, tokenizer) -> Run:
    folder.mkdir(exist_ok=True)
    tokenizer.save(folder)
    return Run(arguments(options(folder)), ALONE)


def go(run: Run, steps: int) -> None:
    for _ in range(steps):
        run.save_phase()
        run.train_step()


def same_weights(one: dict, two: dict) -> None:
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def a_resumed_run_ends_with_the_same_weights(folder: Path, tokenizer) -> Run:
    whole = start(folder / "whole", tokenizer)
    go(whole, 6)
    part = start(folder / "part", tokenizer)
    go(part, 3)
    part.save("latest.pt")
    part = Run(part.args, ALONE)
    assert part.step == 3
    go(part, 3)
    same_weights(whole.model.state_dict(), part.model.state_dict())
    return whole


def a_longer_run_goes_on_from_the_steady_phase(folder: Path) -> None:
    run = Run(arguments(options(folder / "whole", "--steps=30")), ALONE)
    assert run.step == 2, run.step  # the fall of six steps begins there


def the_export_is_what_was_trained(folder: Path, whole: Run, tokenizer) -> None:
    assert whole.model.rounding
    export(whole.model, folder / "whole", folder / "model")
    check(whole.model, folder / "model")
    read = Model(Config.read(folder / "model" / "config.json")).eval()
    load_official(read, folder / "model")
    read.rounding = True
    prompt = [tokenizer.encode("<｜User｜>1 + 2 = ?<｜Assistant｜>")]
    with torch.no_grad(), rounded_weights(whole.model):
        assert generate(read, prompt, 5, 1) == generate(whole.model.eval(), prompt, 5, 1)


def command(folder: Path) -> list[str]:
    program = Path(__file__).with_name("train.py")
    return [sys.executable, program, *options(folder, "--workers=2", "--steps=8")]


def run_and_kill(folder: Path) -> None:
    """With SIGKILL, as soon as a checkpoint is there."""
    process = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, start_new_session=True)
    while not (folder / "latest.pt").exists():
        assert process.poll() is None, "the run ended before its first checkpoint"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def a_killed_run_ends_with_the_same_weights(folder: Path, tokenizer) -> None:
    for name in ("unbroken", "killed"):
        (folder / name).mkdir()
        tokenizer.save(folder / name)
    run_and_kill(folder / "killed")
    step = torch.load(folder / "killed" / "latest.pt", weights_only=True)["step"]
    assert step < 8, "killed too late to prove anything"
    for name in ("unbroken", "killed"):
        subprocess.run(command(folder / name), check=True, stdout=subprocess.DEVNULL)
    one, two = (torch.load(folder / name / "latest.pt", weights_only=True)
                for name in ("unbroken", "killed"))
    assert one["step"] == two["step"] == 8
    same_weights(one["model"], two["model"])


def main() -> int:
    torch.set_num_threads(1)
    tokenizer = learn(wanted=64, problems=50)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = a_resumed_run_ends_with_the_same_weights(folder, tokenizer)
        print("ok: a resumed run ends with the same weights")
        the_export_is_what_was_trained(folder, whole, tokenizer)
        print("ok: the export is what was trained")
        a_longer_run_goes_on_from_the_steady_phase(folder)
        print("ok: a longer run goes on from the steady phase")
        a_killed_run_ends_with_the_same_weights(folder, tokenizer)
        print("ok: a killed run ends with the same weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
