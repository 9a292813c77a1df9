"""The number formats of a V4 checkpoint: FP8 e4m3, FP4 e2m1, E8M0 scales.

Two uses. Activations (`fp8_sim`, `fp4_sim`) are rounded inside the model and let the gradient
pass unchanged. Weights are rounded as a whole around a training step (`rounded_weights`), so that
the loss and its gradient belong to the weights that will be served, while the optimiser keeps
moving the unrounded ones.
"""

from contextlib import contextmanager

import torch

FP8_MAX = 448.0
FP4_MAX = 6.0


def power_above(x: torch.Tensor) -> torch.Tensor:
    """The exponent e of the least power of two 2^e that is not below x > 0."""
    mantissa, exponent = torch.frexp(x)
    return exponent - (mantissa == 0.5).to(exponent.dtype)


def round_e4m3(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(-FP8_MAX, FP8_MAX).to(torch.float8_e4m3fn).float()


def round_e2m1(x: torch.Tensor) -> torch.Tensor:
    """To the nearest of 0 .5 1 1.5 2 3 4 6 and negatives, ties to the even code."""
    size = x.abs().clamp(max=FP4_MAX)
    step = torch.where(size < 2, 0.5, torch.where(size < 4, 1.0, 2.0))
    return torch.round(size / step) * step * torch.sign(x)


def straight_through(x: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    return x + (rounded - x).detach()


def fp8_sim(x: torch.Tensor, group: int = 64) -> torch.Tensor:
    """Rows of the kv cache: e4m3 with a power-of-two scale for every `group` values."""
    with torch.no_grad():
        groups = x.unflatten(-1, (-1, group))
        largest = groups.abs().amax(-1, keepdim=True).clamp(min=1e-4)
        exponent = power_above(largest * (1 / FP8_MAX))
        scale = torch.ldexp(torch.ones_like(largest), exponent)
        rounded = (round_e4m3(groups / scale) * scale).bfloat16().float().flatten(-2)
    return straight_through(x, rounded)


def fp4_sim(x: torch.Tensor, group: int = 32) -> torch.Tensor:
    """Indexer queries and keys."""
    with torch.no_grad():
        groups = x.unflatten(-1, (-1, group))
        largest = groups.abs().amax(-1, keepdim=True).clamp(min=FP4_MAX * 2.0**-126)
        exponent = power_above(largest / FP4_MAX)
        scale = torch.ldexp(torch.ones_like(largest), exponent)
        rounded = (round_e2m1(groups / scale) * scale).bfloat16().float().flatten(-2)
    return straight_through(x, rounded)


def bf16_sim(x: torch.Tensor) -> torch.Tensor:
    return straight_through(x, x.detach().bfloat16().float())


# Weights. Each pack_ function gives what is stored: values and E8M0 bytes.


def scale_byte(largest: torch.Tensor, limit: float) -> torch.Tensor:
    """E8M0 byte of the scale that brings `largest` to at most `limit`; 127 stands for 1."""
    exponent = power_above((largest / limit).clamp(min=2.0**-100))
    return (exponent + 127).to(torch.uint8)


def byte_scale(byte: torch.Tensor) -> torch.Tensor:
    return torch.ldexp(torch.ones(byte.shape, device=byte.device), byte.int() - 127)


def blocks_of_128(w: torch.Tensor) -> torch.Tensor:
    """[out, in] to [ceil(out/128), 128, ceil(in/128), 128], filled up with zeros."""
    out, width = w.shape
    w = torch.nn.functional.pad(w, (0, -width % 128, 0, -out % 128))
    return w.unflatten(1, (-1, 128)).unflatten(0, (-1, 128))


def unblock(blocks: torch.Tensor, out: int, width: int) -> torch.Tensor:
    return blocks.flatten(2).flatten(0, 1)[:out, :width]


def pack_fp8(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[out, in] f32 to float8_e4m3fn [out, in] and bytes [ceil(out/128), ceil(in/128)]."""
    blocks = blocks_of_128(w)
    byte = scale_byte(blocks.abs().amax((1, 3)), FP8_MAX)
    scaled = blocks / byte_scale(byte)[:, None, :, None]
    values = unblock(scaled, *w.shape).clamp(-FP8_MAX, FP8_MAX).to(torch.float8_e4m3fn)
    return values.contiguous(), byte


def unpack_fp8(values: torch.Tensor, byte: torch.Tensor) -> torch.Tensor:
    blocks = blocks_of_128(values.float()) * byte_scale(byte)[:, None, :, None]
    return unblock(blocks, *values.shape)


def fp4_groups(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[..., in] to rounded groups [..., in/32, 32] in units of their scale, and its bytes."""
    groups = w.unflatten(-1, (-1, 32))
    byte = scale_byte(groups.abs().amax(-1), FP4_MAX)
    return round_e2m1(groups / byte_scale(byte)[..., None]), byte


def round_fp4(w: torch.Tensor) -> torch.Tensor:
    groups, byte = fp4_groups(w)
    return (groups * byte_scale(byte)[..., None]).flatten(-2)


E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def pack_fp4(w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[out, in] f32 to int8 [out, in/2], low nibble first, and bytes [out, in/32]."""
    groups, byte = fp4_groups(w)
    flat = groups.flatten(-2)
    code = torch.bucketize(flat.abs(), torch.tensor(E2M1, device=w.device))
    code = (code + 8 * (flat < 0)).to(torch.uint8)
    return (code[..., 0::2] | code[..., 1::2] << 4).view(torch.int8), byte


def unpack_fp4(packed: torch.Tensor, byte: torch.Tensor) -> torch.Tensor:
    table = torch.tensor(E2M1 + [-v for v in E2M1], device=packed.device)
    pairs = packed.view(torch.uint8).int()
    values = table[torch.stack((pairs & 15, pairs >> 4), -1).flatten(-2)]
    return (values.unflatten(-1, (-1, 32)) * byte_scale(byte)[..., None]).flatten(-2)


# Which tensor is stored how. Names are those of the model's parameters.

FP8_NAMES = ("wq_a", "wq_b", "wkv", "wo_a", "wo_b", "e_proj", "h_proj",
             "shared_experts.w1", "shared_experts.w2", "shared_experts.w3")
F32_NAMES = ("hc_", "attn_sink", "ape", "gate.bias")


def stored_as(name: str, form: str = "served") -> str:
    """fp4, fp8, bf16, f32 or i64 (the table of hash routing). Forms: `served` as V4 is; `dense4`
    with FP4 where that has FP8; `bf16` with BF16 where that has FP4 and FP8."""
    if name.endswith("tid2eid"):
        return "i64"
    kind = "bf16"
    if "ffn.experts." in name:
        kind = "fp4"
    elif any(part in name for part in F32_NAMES):
        kind = "f32"
    else:
        stem = name.removesuffix(".weight")
        if not stem.endswith("compressor.wkv") and stem.endswith(FP8_NAMES):
            kind = "fp4" if form == "dense4" else "fp8"
    return "bf16" if form == "bf16" and kind in ("fp4", "fp8") else kind


def round_weight(name: str, w: torch.Tensor, form: str = "served") -> torch.Tensor:
    """The values that a reader of the stored tensor gets back."""
    kind = stored_as(name, form)
    if kind == "fp4":
        return round_fp4(w)
    if kind == "fp8":
        return unpack_fp8(*pack_fp8(w))
    if kind == "bf16":
        return w.bfloat16().float()
    return w


@contextmanager
def rounded_weights(model: torch.nn.Module, form: str = "served"):
    """Inside, the model has its weights as stored; afterwards it has its own again."""
    own = {}
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.is_floating_point() and stored_as(name) != "f32":
                own[name] = p.detach().clone()
                p.copy_(round_weight(name, p, form))
    try:
        yield
    finally:
        with torch.no_grad():
            for name, p in model.named_parameters():
                if name in own:
                    p.copy_(own[name])
