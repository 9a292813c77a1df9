"""Properties of the model and the formats that need no golden file.

    python test_model.py
"""

import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F

from checkpoint import official, read_safetensors, unpacked, write_safetensors
from config import Config
from model import GroupedLinear, HeadLoss, Model, Permute
from quant import (fp4_sim, fp8_sim, pack_fp4, pack_fp8, round_e2m1, round_fp4, rounded_weights,
                   unpack_fp4, unpack_fp8)


def small() -> Model:
    torch.manual_seed(5)
    return Model(Config(vocab_size=64, index_topk=4))


def hand_written_gradients_are_right() -> None:
    double = {"dtype": torch.float64, "requires_grad": True}
    torch.manual_seed(1)
    x, w = torch.randn(7, 5, **double), torch.randn(3, 2, 5, **double)
    assert torch.autograd.gradcheck(lambda x, w: GroupedLinear.apply(x, w, [4, 0, 3]), (x, w))
    order = torch.randperm(7)
    assert torch.autograd.gradcheck(lambda x: Permute.apply(x, order, order.argsort()), x)
    head, goal = torch.randn(6, 5, **double), torch.randint(0, 6, (7,))
    weight = torch.rand(7, dtype=torch.float64)

    def loss(x, head):
        return HeadLoss.apply(x, head, goal, weight, 3)

    assert torch.autograd.gradcheck(loss, (x, head))
    plain = F.cross_entropy(x @ head.T, goal, reduction="none") @ weight
    assert torch.allclose(loss(x, head), plain)


def no_position_sees_a_later_one() -> None:
    model = small().eval()
    ids = torch.randint(0, 64, (1, 300))
    for rounding in (False, True):
        model.rounding = rounding
        for place in (3, 64, 127, 128, 255):
            other = ids.clone()
            other[:, place] = (other[:, place] + 1) % 64
            with torch.no_grad():
                one, two = model(ids)[0], model(other)[0]
            assert torch.allclose(one[:, :place], two[:, :place], atol=1e-5), place
            assert not torch.allclose(one[:, place], two[:, place], atol=1e-5), place


def every_parameter_gets_a_gradient() -> None:
    model = small().train()
    logits, drafts, index = model(torch.randint(0, 64, (2, 256)), mtp=True)
    (logits.square().mean() + drafts.square().mean() + index).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


def the_indexer_learns_from_its_own_loss_alone() -> None:
    model = small().train()
    model(torch.randint(0, 64, (2, 64)))[2].backward()
    for name, p in model.named_parameters():
        assert (p.grad is not None) == (".indexer." in name), name


def formats_round_as_they_should() -> None:
    edges = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 7.0, -5.1, 0.2])
    assert round_e2m1(edges).tolist() == [0, 1, 1, 2, 2, 4, 4, 6, -6, 0]
    w = torch.randn(130, 160)
    once = unpack_fp8(*pack_fp8(w))
    assert torch.equal(unpack_fp8(*pack_fp8(once)), once)
    assert (once - w).abs().max() <= w.abs().max() / 16
    once = unpack_fp4(*pack_fp4(w))
    assert torch.equal(once, round_fp4(w))
    assert torch.equal(unpack_fp4(*pack_fp4(once)), once)
    rows = torch.randn(5, 128)
    assert torch.equal(fp8_sim(fp8_sim(rows)), fp8_sim(rows))
    assert torch.equal(fp4_sim(fp4_sim(rows)), fp4_sim(rows))


def every_form_reads_back() -> None:
    model = small()
    for form in ("served", "dense4", "bf16"):
        with rounded_weights(model, form):
            rounded = {name: t.clone() for name, t in model.state_dict().items()}
        read = unpacked({name: t for name, (_, t) in official(model, form).items()})
        for name, t in rounded.items():
            if ".experts." in name:
                stem, matrix = name.rsplit(".", 1)
                got = torch.stack([read[f"{stem}.{e}.{matrix}.weight"] for e in range(len(t))])
            else:
                got = read[name]
            assert torch.equal(got, t), (form, name)


def weights_come_back_after_rounding() -> None:
    model = small()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    with rounded_weights(model):
        assert not torch.equal(model.layers[0].attn.wkv.weight, before["layers.0.attn.wkv.weight"])
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def safetensors_come_back() -> None:
    tensors = {"b": ("I8", torch.arange(5, dtype=torch.int8)), "a": ("F32", torch.randn(2, 3)),
               "c": ("I64", torch.arange(4).view(2, 2))}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        write_safetensors(path, tensors)
        read = read_safetensors(path)
    assert all(torch.equal(read[name], values) for name, (_, values) in tensors.items())


def main() -> int:
    for check in (hand_written_gradients_are_right, no_position_sees_a_later_one,
                  every_parameter_gets_a_gradient, the_indexer_learns_from_its_own_loss_alone,
                  formats_round_as_they_should, every_form_reads_back,
                  weights_come_back_after_rounding,
                  safetensors_come_back):
        check()
        print(f"ok: {check.__name__.replace('_', ' ')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
