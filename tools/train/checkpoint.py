"""Checkpoints in the official layout: safetensors files and the names in them."""

import json
import mmap
import struct
from pathlib import Path

import torch

from quant import pack_fp4, pack_fp8, round_fp4, stored_as, unpack_fp4, unpack_fp8

DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E8M0": torch.uint8,  # the exponent bytes themselves
    "I8": torch.int8,
    "U8": torch.uint8,
    "I32": torch.int32,
    "I64": torch.int64,
}


def read_safetensors(path: str | Path) -> dict[str, torch.Tensor]:
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, about in header.items():
        if name == "__metadata__":
            continue
        start, end = about["data_offsets"]
        dtype = DTYPES[about["dtype"]]
        flat = torch.frombuffer(data, dtype=torch.uint8, offset=8 + length + start,
                                count=end - start) if end > start else torch.empty(0, dtype=torch.uint8)
        tensors[name] = flat.clone().view(dtype).view(about["shape"])
    return tensors


def write_safetensors(path: str | Path, tensors: dict[str, tuple[str, torch.Tensor]]) -> None:
    """tensors: name to (dtype as the format spells it, values). Widest elements first, then by
    name, so that every tensor is aligned to its element size and the ranges leave no gap."""
    order = sorted(tensors, key=lambda name: (-tensors[name][1].element_size(), name))
    header, at = {}, 0
    for name in order:
        dtype, values = tensors[name]
        assert DTYPES[dtype] == values.dtype, name
        size = values.numel() * values.element_size()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(tensors[name][1].contiguous().view(torch.uint8).numpy().tobytes())


def read_folder(folder: str | Path) -> dict[str, torch.Tensor]:
    tensors = {}
    for path in sorted(Path(folder).glob("model*.safetensors")):
        tensors.update(read_safetensors(path))
    return tensors


def unpacked(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Official tensors to f32 (tables stay as they are), scales applied and left out."""
    values = {}
    for name, t in tensors.items():
        if name.endswith(".scale") and name.removesuffix("scale") + "weight" in tensors:
            continue
        scale = tensors.get(name.removesuffix("weight") + "scale")
        if t.dtype == torch.int8:
            t = unpack_fp4(t, scale)
        elif t.dtype == torch.float8_e4m3fn:
            t = unpack_fp8(t, scale)
        values[name] = t if t.dtype == torch.int64 else t.float()
    return values


def load_official(model: torch.nn.Module, folder: str | Path) -> None:
    """Fills the model from a folder; every parameter must be there and nothing may be left."""
    values = unpacked(read_folder(folder))
    stacked = {}
    for name, own in model.state_dict().items():
        if ".experts." in name:
            stem, matrix = name.rsplit(".", 1)
            parts = [values.pop(f"{stem}.{e}.{matrix}.weight") for e in range(own.shape[0])]
            stacked[name] = torch.stack(parts)
        else:
            stacked[name] = values.pop(name)
    left = [name for name in values if not name.startswith(("mtp.0.emb.", "mtp.0.head."))]
    assert not left, f"{folder}: tensors without a place: {left[:3]}"
    model.load_state_dict(stacked)


def official(model: torch.nn.Module, form: str = "served") -> dict[str, tuple[str, torch.Tensor]]:
    """The model's tensors under their official names, as they are stored in a form (quant.py)."""
    out = {}
    for name, t in model.state_dict().items():
        t, kind = t.detach().cpu(), stored_as(name, form)
        if ".experts." in name:
            stem, matrix = name.rsplit(".", 1)
            for e, w in enumerate(t):
                out |= stored(f"{stem}.{e}.{matrix}.weight", w, kind)
        else:
            out |= stored(name, t, kind)
    return out


def stored(name: str, t: torch.Tensor, kind: str) -> dict[str, tuple[str, torch.Tensor]]:
    """One tensor, and its scales where it has some."""
    scale = name.removesuffix("weight") + "scale"
    if kind == "fp4":
        values, byte = pack_fp4(t)
        assert torch.equal(unpack_fp4(values, byte), round_fp4(t))
        return {name: ("I8", values), scale: ("F8_E8M0", byte)}
    if kind == "fp8":
        values, byte = pack_fp8(t)
        return {name: ("F8_E4M3", values), scale: ("F8_E8M0", byte)}
    if kind == "i64":
        return {name: ("I64", t.long())}
    return {name: ("F32", t.float()) if kind == "f32" else ("BF16", t.bfloat16())}
