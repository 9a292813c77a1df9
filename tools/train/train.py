"""Trains tenon-nano.

    python train.py FOLDER [--steps N] ...

FOLDER gets the tokenizer, a log, and the latest checkpoint; the same command goes on from there.
The learning rate rises, stays, and falls over the last part of the run; the falling part trains
with the quantisation that the model is served with, and starts from `unrounded.pt`.
"""

import argparse
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from config import Config
from documents import batch
from evaluate import exact_share
from model import Model, fuse
from optim import Optimizer
from quant import rounded_weights
from tokenizer import Tokenizer, learn


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--tokens", type=int, default=2048, help="in a batch")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--fall", type=float, default=0.3, help="share of the run, at its end")
    parser.add_argument("--long-share", type=float, default=0.25, help="of the batches")
    parser.add_argument("--mtp-every", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--fuse", action="store_true", help="compile parts of the model")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--test-every", type=int, default=200)
    return parser.parse_args()


def learning_rate(step: int, args: argparse.Namespace) -> float:
    left = (args.steps - step) / max(1, args.steps * args.fall)
    return args.lr * min(1.0, (step + 1) / args.warmup, max(left, 0.02))


def rounds(step: int, args: argparse.Namespace) -> bool:
    return step >= args.steps * (1 - args.fall)


def losses(model: Model, ids: torch.Tensor, weights: torch.Tensor, mtp: bool):
    """Mean cross entropy of the next token, of the one after it, and the indexer's loss."""
    logits, drafts, index = model(ids, mtp)

    def mean_loss(logits, ahead):
        goal, weight = ids[:, ahead:].flatten(), weights[:, ahead:].flatten()
        kept = weight > 0
        each = F.cross_entropy(logits[:, : ids.shape[1] - ahead].flatten(0, 1)[kept], goal[kept],
                               reduction="none")
        return (each * weight[kept]).sum() / weight.sum()

    return mean_loss(logits, 1), mean_loss(drafts, 2) if mtp else torch.zeros(()), index


def balance(model: Model, speed: float = 2e-3) -> float:
    """Moves each router's bias towards equal load; gives the largest load over the mean."""
    worst = 0.0
    for router in model.routers():
        if router.load is None:
            continue
        load = router.load.float()
        router.gate.bias += speed * torch.sign(load.mean() - load)
        worst = max(worst, (load.max() / load.mean()).item())
        router.load = None
    return worst


class Run:
    """What a checkpoint holds."""

    def __init__(self, args: argparse.Namespace):
        torch.manual_seed(args.seed)
        self.args, self.folder = args, args.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "tokenizer.json").exists():
            print("learning the tokenizer", flush=True)
            learn().save(self.folder)
        self.tokenizer = Tokenizer.read(self.folder / "tokenizer.json")
        self.cfg = Config(vocab_size=self.tokenizer.size)
        self.cfg.check()
        self.model = Model(self.cfg).to(args.device)
        self.optimizer = Optimizer(self.model)
        self.step = 0
        if (self.folder / "latest.pt").exists():
            self.load(self.folder / "latest.pt")

    def load(self, path: Path) -> None:
        saved = torch.load(path, map_location=self.args.device, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]
        print(f"goes on from step {self.step}", flush=True)

    def save(self, name: str) -> None:
        unfinished = self.folder / f"{name}.part"
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "step": self.step}, unfinished)
        unfinished.replace(self.folder / name)

    def train_step(self) -> dict:
        args, model = self.args, self.model
        ids, weights = batch(args.seed, self.step, self.tokenizer, args.tokens, args.long_share)
        ids, weights = ids.to(args.device), weights.to(args.device)
        mtp = self.step % args.mtp_every == 0
        if rounds(self.step, args):
            model.rounding = True
            with rounded_weights(model):
                main, drafts, index = losses(model, ids, weights, mtp)
                (main + 0.3 * drafts + 0.1 * index).backward()
        else:
            main, drafts, index = losses(model, ids, weights, mtp)
            (main + 0.3 * drafts + 0.1 * index).backward()
        self.optimizer.step(learning_rate(self.step, args))
        found = {"loss": main.item(), "index": index.item(), "load": balance(model),
                 "tokens": ids.numel()}
        return {**found, "mtp": drafts.item()} if mtp else found

    def test(self) -> str:
        shares = []
        for lang in ("en", "zh"):
            share, by_kind = exact_share(self.model, self.tokenizer, lang, 200, self.args.device)
            kinds = " ".join(f"{kind} {value:.0%}" for kind, value in by_kind.items())
            shares.append(f"{lang} {share:.1%} ({kinds})")
        return ", ".join(shares)


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    if args.fuse:
        fuse()
    run = Run(args)
    count = sum(p.numel() for p in run.model.parameters())
    print(f"{count / 1e6:.2f} M parameters, {args.steps} steps of {args.tokens} tokens", flush=True)
    mean: dict = {}
    done_tokens, since = 0, time.time()
    first_step = run.step
    run.model.train()
    while run.step < args.steps:
        if rounds(run.step, args) and not rounds(run.step - 1, args):
            run.save("unrounded.pt")
        for name, value in run.train_step().items():
            if name == "tokens":
                done_tokens += value
            else:
                mean[name] = value if name not in mean else 0.95 * mean[name] + 0.05 * value
        run.step += 1
        seconds = time.time() - since
        if run.step % 20 == 0 or run.step < first_step + 5:
            left = seconds / (run.step - first_step) * (args.steps - run.step)
            figures = " ".join(f"{name} {value:.3f}" for name, value in mean.items())
            print(f"step {run.step}/{args.steps} {figures} {done_tokens / seconds:.0f} tok/s "
                  f"{clock(left)} left{' rounded' if run.model.rounding else ''}", flush=True)
        if run.step % args.save_every == 0 or run.step == args.steps:
            run.save("latest.pt")
        if run.step % args.test_every == 0 or run.step == args.steps:
            print(f"step {run.step} right: {run.test()}", flush=True)


if __name__ == "__main__":
    main()
