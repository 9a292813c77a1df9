"""A resumed run ends with the same weights, and its export is what was trained.

    python test_train.py
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from checkpoint import load_official
from config import Config
from evaluate import generate
from export import check, export
from model import Model
from quant import rounded_weights
from tokenizer import learn
from train import Run


def arguments(folder: Path) -> argparse.Namespace:
    return argparse.Namespace(folder=folder, steps=6, tokens=256, lr=4e-3, warmup=2, fall=0.34,
                              long_share=0.3, mtp_every=2, seed=1, device="cpu")


def go(run: Run, steps: int) -> None:
    for _ in range(steps):
        run.train_step()
        run.step += 1


def start(folder: Path, tokenizer) -> Run:
    folder.mkdir(exist_ok=True)
    tokenizer.save(folder)
    return Run(arguments(folder))


def main() -> int:
    torch.set_num_threads(1)
    tokenizer = learn(wanted=64, problems=200)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = start(folder / "whole", tokenizer)
        go(whole, 6)
        part = start(folder / "part", tokenizer)
        go(part, 3)
        part.save("latest.pt")
        part = Run(arguments(folder / "part"))
        assert part.step == 3
        go(part, 3)
        for (key, one), two in zip(whole.model.state_dict().items(),
                                   part.model.state_dict().values()):
            assert torch.equal(one, two), key
        print("ok: a resumed run ends with the same weights")

        assert whole.model.rounding
        export(whole.model, folder / "whole", folder / "model")
        check(whole.model, folder / "model")
        read = Model(Config.read(folder / "model" / "config.json")).eval()
        load_official(read, folder / "model")
        read.rounding = True
        prompt = [tokenizer.encode("<｜User｜>1 + 2 = ?<｜Assistant｜>")]
        with torch.no_grad(), rounded_weights(whole.model):
            assert generate(read, prompt, 5, 1) == generate(whole.model.eval(), prompt, 5, 1)
        print("ok: the export is what was trained")
    return 0


if __name__ == "__main__":
    sys.exit(main())
