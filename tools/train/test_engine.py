"""The trainer's model and the engine compute the same logits in float mode: for a checkpoint, and for
one of the same shape with random weights.

    python test_engine.py [MODEL_FOLDER [TENON]]     models/nano and build/tenon unless given
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from checkpoint import load_official
from config import Config
from documents import document, encode
from export import export
from model import Model
from tokenizer import Encoder

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1e-4  # of the largest logit
LENGTH = 600


def engine_logits(tenon: Path, folder: Path, ids: list[int], *more: str) -> torch.Tensor:
    with tempfile.TemporaryDirectory() as name:
        tokens, out = Path(name) / "tokens", Path(name) / "logits"
        tokens.write_text(" ".join(map(str, ids)))
        subprocess.run([tenon, "logits", folder, "--tokens", tokens, "--out", out, "--float", *more],
                       check=True, stdout=subprocess.DEVNULL)
        return torch.frombuffer(bytearray(out.read_bytes()), dtype=torch.float32)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "models" / "nano"
    tenon = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "build" / "tenon"
    if not tenon.exists() or not (folder / "model.safetensors").exists():
        print(f"skipped: needs {tenon} and a model in {folder}")
        return 0
    good = compare(folder, tenon)
    with tempfile.TemporaryDirectory() as name:
        torch.manual_seed(3)
        export(Model(Config.read(folder / "config.json")), folder, Path(name))
        good &= compare(Path(name), tenon)
    return 0 if good else 1


def compare(folder: Path, tenon: Path) -> bool:
    model = Model(Config.read(folder / "config.json")).eval()
    load_official(model, folder)
    encoder = Encoder(folder / "tokenizer.json")
    rng, ids = random.Random("engine"), []
    while len(ids) < LENGTH:
        ids += encode(document(rng, 3), encoder)[0]
    ids = ids[:LENGTH]
    with torch.no_grad():
        logits, drafts, _ = model(torch.tensor([ids]), mtp=True)
    good = True
    for name, want, more in (("logits", logits[0], ()), ("mtp_logits", drafts[0], ("--mtp",))):
        got = engine_logits(tenon, folder, ids, *more).view_as(want)
        off = ((got - want).abs().max() / want.abs().max()).item()
        good &= off <= LIMIT
        print(f"{folder.name} {name}: largest difference {off:.1e} of the largest logit")
    return good


if __name__ == "__main__":
    sys.exit(main())
