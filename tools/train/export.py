"""Writes a training checkpoint in the official layout.

    python export.py CHECKPOINT.pt TOKENIZER_FOLDER OUT_FOLDER [served|dense4|bf16]

The result is model.safetensors, config.json, inference/config.json and the tokenizer's files. It is
read back and compared before this says so. Forms: `served` (FP4 experts, FP8 linears, BF16, F32),
`dense4` (FP4 linears too), `bf16` (neither).
"""

import json
import shutil
import sys
from pathlib import Path

import torch

from checkpoint import load_official, official, write_safetensors
from config import Config
from model import Model
from quant import rounded_weights
from tokenizer import Tokenizer

FORMS = ("served", "dense4", "bf16")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def export(model: Model, tokenizer_folder: Path, out: Path, form: str = "served") -> int:
    """Gives the size of model.safetensors in bytes."""
    (out / "inference").mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer_folder / name, out / name)
    config = model.cfg.config_json()
    if form == "bf16":
        del config["quantization_config"], config["expert_dtype"]
    for name, content in (("config.json", config),
                          ("inference/config.json", model.cfg.inference_json())):
        (out / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    path = out / "model.safetensors"
    write_safetensors(path, official(model, form))
    return path.stat().st_size


def check(model: Model, out: Path, form: str = "served") -> None:
    """The folder holds what the model computes with its weights rounded."""
    again = Model(Config.read(out / "config.json"))
    load_official(again, out)
    with rounded_weights(model, form):
        for (name, own), (_, read) in zip(model.state_dict().items(), again.state_dict().items()):
            assert torch.equal(own, read), name


def main() -> int:
    if len(sys.argv) not in (4, 5) or (form := ([*sys.argv, "served"])[4]) not in FORMS:
        print(__doc__, file=sys.stderr)
        return 2
    checkpoint, tokenizer_folder, out = map(Path, sys.argv[1:4])
    tokenizer = Tokenizer.read(tokenizer_folder / "tokenizer.json")
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model = Model(Config(vocab_size=tokenizer.size, hidden_size=saved["width"]))
    model.load_state_dict(saved["model"])
    size = export(model, tokenizer_folder, out, form)
    check(model, out, form)
    print(f"step {saved['step']} as {form}: {out}, {size / 1e6:.2f} MB, read back and equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
