"""Muon for the matrices inside blocks, AdamW for everything else.

Muon moves a matrix along its momentum made orthogonal (five Newton-Schulz steps); the result is
scaled so that an element moves as far as under AdamW with the same learning rate.
"""

import torch
from torch import Tensor

ADAM_NAMES = ("embed.", "head.", "gate.weight", "hc_", "ape", "norm.", "attn_sink", "weights_proj")


def uses_muon(name: str, p: Tensor) -> bool:
    return p.dim() >= 2 and not any(part in name for part in ADAM_NAMES)


def orthogonal(g: Tensor) -> Tensor:
    """[..., r, c]: singular values to about 1."""
    turned = g.shape[-2] > g.shape[-1]
    x = g.transpose(-2, -1) if turned else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.transpose(-2, -1)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.transpose(-2, -1) if turned else x


class Optimizer:
    def __init__(self, model: torch.nn.Module, decay: float = 0.05):
        self.muon, self.adam = [], []
        for name, p in model.named_parameters():
            (self.muon if uses_muon(name, p) else self.adam).append((name, p))
        self.decay, self.state, self.count = decay, {}, 0

    def step(self, lr: float) -> None:
        """One update from the gradients, which are cleared."""
        self.count += 1
        with torch.no_grad():
            self.step_muon(lr)
            self.step_adam(lr)

    def step_muon(self, lr: float) -> None:
        for name, p in self.muon:
            if p.grad is None:
                continue
            momentum = self.state.setdefault(name, torch.zeros_like(p))
            momentum.lerp_(p.grad, 0.05)
            update = orthogonal(p.grad.lerp(momentum, 0.95))
            p.mul_(1 - lr * self.decay)
            p.add_(update, alpha=-0.2 * lr * max(p.shape[-2:]) ** 0.5)
            p.grad = None

    def step_adam(self, lr: float, clip: float = 1.0) -> None:
        params = [(name, p) for name, p in self.adam if p.grad is not None]
        torch.nn.utils.clip_grad_norm_([p for _, p in params], clip)
        for name, p in params:
            if name not in self.state:
                self.state[name] = torch.zeros(2, *p.shape, device=p.device)
                self.state[name + " count"] = torch.zeros(())
            mean, square = self.state[name]
            count = self.state[name + " count"].add_(1).item()
            mean.lerp_(p.grad, 0.1)
            square.lerp_(p.grad.square(), 0.02)
            size = (square / (1 - 0.98**count)).sqrt().add_(1e-8)
            if p.dim() >= 2 and "hc_" not in name:
                p.mul_(1 - lr * self.decay)
            p.addcdiv_(mean / (1 - 0.9**count), size, value=-lr)
            p.grad = None

    def state_dict(self) -> dict:
        return {"state": self.state, "count": self.count}

    def load_state_dict(self, saved: dict) -> None:
        self.state, self.count = saved["state"], saved["count"]
