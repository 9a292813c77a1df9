"""The model in model.py computes what DeepSeek's own code computed for the golden checkpoints.

    python test_golden.py [FOLDER]     FOLDER defaults to tests/golden; skipped if it is not there
"""

import sys
from pathlib import Path

import torch

import model as v4
from checkpoint import load_official, read_safetensors
from config import Config

LIMIT = 1e-4  # of the largest logit


def compare(name: str, got: torch.Tensor, want: torch.Tensor, limit: float = LIMIT) -> bool:
    off = (got - want).abs().max().item() / want.abs().max().item()
    good = off <= limit
    print(f"{name:24} {'ok' if good else 'WRONG'}  largest difference {off:.1e} of the largest logit")
    return good


def check(folder: Path) -> bool:
    model = v4.Model(Config.read(folder / "config.json")).eval()
    load_official(model, folder)
    want = read_safetensors(folder / "expected.safetensors")
    ids = want["tokens"].long()[None]
    model.double()  # so that a router's near tie is not decided by the order of our sums
    with torch.no_grad():
        logits, drafts, _ = model(ids, mtp=True)
    places = want["trace_positions"].long()
    places = places[places < ids.shape[1] - 1]
    good = compare(f"{folder.name} logits", logits[0].float(), want["logits"])
    good &= compare(f"{folder.name} mtp_logits", drafts[0, places].float(), want["mtp_logits"])
    model.float().rounding = True
    v4.bf16_sim = lambda x: x  # the golden runs left the rotated part of a row in f32
    with torch.no_grad():
        logits, _, _ = model(ids)
    stable = want["stable_rounded"].bool()
    return good & compare(f"{folder.name} logits_rounded", logits[0, stable],
                          want["logits_rounded"][stable], 3e-4)


def main() -> int:
    here = Path(__file__).resolve().parents[2] / "tests" / "golden"
    golden = Path(sys.argv[1]) if len(sys.argv) > 1 else here
    folders = sorted(path.parent for path in golden.glob("*/expected.safetensors"))
    if not folders:
        print(f"skipped: no golden checkpoints in {golden}")
        return 0
    return 0 if all([check(folder) for folder in folders]) else 1


if __name__ == "__main__":
    sys.exit(main())
