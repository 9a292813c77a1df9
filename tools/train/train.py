"""Trains tenon-nano.

    python train.py FOLDER [--steps N] ...

FOLDER gets the tokenizer and the checkpoints; the same command goes on from the latest. Three
phases, of which checkpoints stay:

    steady      the learning rate rises and stays; sizes of numbers grow        steady.pt
    fall        it falls to a twentieth                                         unrounded.pt
    quantised   from a quarter of it to nothing, weights, kv rows and the
                indexer rounded as they are served                              latest.pt

A run with more --steps than the one before goes on from steady.pt.
"""

import argparse
import os
import time
from pathlib import Path

import torch
import torch.multiprocessing

from config import Config
from documents import LONGEST, Batches
from evaluate import exact_share
from model import HeadLoss, Model, fuse
from optim import Optimizer
from quant import rounded_weights
from tokenizer import Encoder, learn
from workers import Workers


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--tokens", type=int, default=3072, help="in a worker's batch")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--fall", type=float, default=0.15, help="share of the steps")
    parser.add_argument("--quantised", type=float, default=0.15, help="share of the steps")
    parser.add_argument("--grow", type=int, default=800, help="steps until numbers have their size")
    parser.add_argument("--long-share", type=float, default=0.25, help="of the batches")
    parser.add_argument("--mtp-every", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its batches")
    parser.add_argument("--threads", type=int, default=1, help="of a worker")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--fuse", action="store_true", help="compile parts of the model")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--test-every", type=int, default=500)
    parser.add_argument("--width", type=int, default=Config.hidden_size)
    args = parser.parse_args(given)
    if args.tokens < 2 * LONGEST:
        parser.error(f"--tokens: at least {2 * LONGEST}, two long problems")
    return args


class Schedule:
    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.quantised = round(args.steps * (1 - args.quantised))  # the first step of each phase
        self.fall = self.quantised - round(args.steps * args.fall)

    def learning_rate(self, step: int) -> float:
        lr = self.args.lr
        if step < self.fall:
            return lr * min(1.0, (step + 1) / self.args.warmup)
        if step < self.quantised:
            return lr * (1 - 0.95 * (step - self.fall + 1) / (self.quantised - self.fall))
        return lr / 4 * (self.args.steps - step) / (self.args.steps - self.quantised)

    def size(self, step: int) -> float:
        """Of numbers and lists, in tenths: see problems.Teller."""
        return min(10, 2 + 8 * step // max(1, self.args.grow)) / 10


def losses(model: Model, ids: torch.Tensor, weights: torch.Tensor, mtp: bool):
    """Mean cross entropy of the next token, of the one after it, and the indexer's loss."""
    out, drafts, index = model.trunk(ids, mtp)

    def mean_loss(out, ahead):
        goal, weight = ids[:, ahead:].flatten(), weights[:, ahead:].flatten()
        kept = weight.nonzero()[:, 0]
        rows = out[:, : ids.shape[1] - ahead].flatten(0, 1)[kept]
        weight = weight[kept] / weight.sum()
        return HeadLoss.apply(rows, model.head.weight, goal[kept], weight)

    return mean_loss(out, 1), mean_loss(drafts, 2) if mtp else torch.zeros(()), index


def balance(model: Model, workers: Workers, speed: float = 2e-3) -> float:
    """Moves each router's bias towards equal load; gives the largest load over the mean."""
    worst = 0.0
    for router in model.routers():
        if router.load is None:
            continue
        load = workers.sum(router.load).float()
        router.gate.bias += speed * torch.sign(load.mean() - load)
        worst = max(worst, (load.max() / load.mean()).item())
        router.load = None
    return worst


class Run:
    """What a checkpoint holds."""

    def __init__(self, args: argparse.Namespace, workers: Workers):
        torch.manual_seed(args.seed)
        self.args, self.folder, self.schedule = args, args.folder, Schedule(args)
        self.workers = workers
        self.encoder = Encoder(self.folder / "tokenizer.json")
        self.cfg = Config(vocab_size=self.encoder.size, hidden_size=args.width)
        self.cfg.check()
        self.model = Model(self.cfg).to(args.device)
        self.optimizer = Optimizer(self.model)
        self.batches = Batches(args.seed, self.encoder, args.tokens, args.long_share,
                               workers.count)
        self.step = 0
        for name in ("latest.pt", "steady.pt"):
            if self.load(self.folder / name):
                break

    def load(self, path: Path) -> bool:
        if not path.exists():
            return False
        saved = torch.load(path, map_location=self.args.device, weights_only=True)
        if saved["step"] > min(self.schedule.fall, Schedule(saved_args(saved)).fall) and (
                saved["steps"] != self.args.steps):
            print(f"{path.name} belongs to a run of {saved['steps']} steps", flush=True)
            return False
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]
        print(f"goes on from step {self.step} of {path.name}", flush=True)
        return True

    def save(self, name: str) -> None:
        unfinished = self.folder / f"{name}.part"
        with open(unfinished, "wb") as file:
            torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                        "step": self.step, "steps": self.args.steps, "width": self.args.width,
                        "phases": (self.args.fall, self.args.quantised)}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.folder / name)

    def train_step(self) -> dict:
        args, model = self.args, self.model
        number = self.step * self.workers.count + self.workers.rank
        ids, weights = self.batches.get(number, self.schedule.size(self.step))
        ids, weights = ids.to(args.device), weights.to(args.device)
        mtp = self.step % args.mtp_every == 0
        if self.step >= self.schedule.quantised:
            model.rounding = True
            with rounded_weights(model):
                main, drafts, index = losses(model, ids, weights, mtp)
                (main + 0.3 * drafts + 0.1 * index).backward()
        else:
            main, drafts, index = losses(model, ids, weights, mtp)
            (main + 0.3 * drafts + 0.1 * index).backward()
        self.workers.average_gradients(model)
        self.optimizer.step(self.schedule.learning_rate(self.step))
        found = {"loss": main.item(), "index": index.item(), "load": balance(model, self.workers),
                 "tokens": ids.numel() * self.workers.count}
        self.step += 1
        return {**found, "mtp": drafts.item()} if mtp else found

    def save_phase(self) -> None:
        """Before the first step of a phase."""
        if self.step == self.schedule.fall:
            self.save("steady.pt")
        if self.step == self.schedule.quantised:
            self.save("unrounded.pt")


def saved_args(saved: dict) -> argparse.Namespace:
    fall, quantised = saved["phases"]
    return argparse.Namespace(steps=saved["steps"], fall=fall, quantised=quantised)


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def work(rank: int, args: argparse.Namespace, parent: int | None = None) -> None:
    """One worker; the first one alone prints and saves. Ends when its parent is gone."""
    torch.set_num_threads(args.threads)
    if args.fuse:
        fuse()
    run = Run(args, Workers(rank, args.workers, args.folder / f"workers-{parent}"))
    say = print if rank == 0 else lambda *_, **__: None
    count = sum(p.numel() for p in run.model.parameters())
    say(f"{count / 1e6:.2f} M parameters, {args.steps} steps, from {run.step}", flush=True)
    mean: dict = {}
    done_tokens, since, first_step = 0, time.time(), run.step
    run.model.train()
    while run.step < args.steps:
        if parent and os.getppid() != parent:
            raise SystemExit("the run was killed")
        if rank == 0:
            run.save_phase()
        for name, value in run.train_step().items():
            if name == "tokens":
                done_tokens += value
            else:
                mean[name] = value if name not in mean else 0.95 * mean[name] + 0.05 * value
        seconds = time.time() - since
        if run.step % 20 == 0 or run.step < first_step + 5:
            left = seconds / (run.step - first_step) * (args.steps - run.step)
            figures = " ".join(f"{name} {value:.3f}" for name, value in mean.items())
            say(f"step {run.step}/{args.steps} {figures} {done_tokens / seconds:.0f} tok/s "
                f"{clock(left)} left{' quantised' if run.model.rounding else ''}", flush=True)
        last = run.step == args.steps
        if rank == 0 and (run.step % args.save_every == 0 or last):
            run.save("latest.pt")
        if rank == 0 and (run.step % args.test_every == 0 or last):
            say(f"step {run.step} right: {exact_share(run.model, run.encoder, args.device)}",
                flush=True)


def main() -> None:
    args = arguments()
    args.folder.mkdir(parents=True, exist_ok=True)
    if not (args.folder / "tokenizer.json").exists():
        print("learning the tokenizer", flush=True)
        learn().save(args.folder)
    for left in args.folder.glob("workers*"):  # of runs that were killed
        left.unlink(missing_ok=True)
    if args.workers == 1:
        work(0, args)
    else:
        torch.multiprocessing.spawn(work, (args, os.getpid()), args.workers)


if __name__ == "__main__":
    main()
