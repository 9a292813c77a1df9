"""Runs one GGUF in llama.cpp and in Tenon and compares the tokens they would choose.

    python compare.py TENON GOLDEN_FOLDER FILE.gguf [LIMIT]

Prints the share of positions with the same top token and the mean KL divergence; exit status 1
when the share is below LIMIT (0.99). Tenon runs in float mode: llama.cpp knows no rounding of kv rows,
and its own rounding of activations is then the only one.
"""

import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np


def golden_tokens(folder: Path) -> np.ndarray:
    data = (folder / "expected.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    begin, end = json.loads(data[8 : 8 + size])["tokens"]["data_offsets"]
    return np.frombuffer(data[8 + size + begin : 8 + size + end], dtype="<i4")


def llama_logits(path: str, tokens: np.ndarray) -> np.ndarray:
    model = llama_cpp.Llama(path, n_ctx=len(tokens) + 8, n_batch=len(tokens), n_ubatch=64,
                            logits_all=True, n_threads=2, verbose=False,
                            type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32)
    model.eval([int(t) for t in tokens])
    return np.array(model.scores[: len(tokens)], dtype=np.float32)


def tenon_logits(tenon: str, path: str, tokens: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        ids, out = Path(folder) / "ids", Path(folder) / "out"
        ids.write_text(" ".join(map(str, tokens)))
        subprocess.run([tenon, "logits", path, "--tokens", ids, "--out", out, "--float"],
                       check=True, stdout=subprocess.DEVNULL)
        return np.fromfile(out, dtype="<f4").reshape(len(tokens), -1)


def mean_kl(reference: np.ndarray, other: np.ndarray) -> float:
    def log_softmax(x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float64)
        x = x - x.max(axis=1, keepdims=True)
        return x - np.log(np.exp(x).sum(axis=1, keepdims=True))

    p, q = log_softmax(reference), log_softmax(other)
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


def main() -> int:
    tenon, folder, path = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    limit = float(sys.argv[4]) if len(sys.argv) > 4 else 0.99
    tokens = golden_tokens(folder)
    theirs, ours = llama_logits(path, tokens), tenon_logits(tenon, path, tokens)
    same = float((theirs.argmax(axis=1) == ours.argmax(axis=1)).mean())
    print(f"{path}: same top token at {100 * same:.1f} % of {len(tokens)} positions, "
          f"mean KL {mean_kl(ours, theirs):.4f}")
    return 0 if same >= limit else 1


if __name__ == "__main__":
    sys.exit(main())
