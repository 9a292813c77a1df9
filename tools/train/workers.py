"""Several processes train one model: each takes a batch of its own, and gradients are averaged
before every update, so that all keep the same weights. For one process these do nothing.

Sums are taken in a fixed order: a repetition with as many workers gives the same bits."""

from pathlib import Path

import torch
import torch.distributed as dist


class Workers:
    def __init__(self, rank: int, count: int, meeting: Path):
        """meeting: a file that no other run uses, nor one that was killed and has not ended yet."""
        self.rank, self.count = rank, count
        if count > 1:
            dist.init_process_group("gloo", f"file://{meeting.resolve()}", rank=rank,
                                    world_size=count)

    def average_gradients(self, model: torch.nn.Module) -> None:
        """A gradient that any worker has is everybody's; the others count as zero."""
        if self.count == 1:
            return
        params = list(model.parameters())
        has = torch.tensor([p.grad is not None for p in params], dtype=torch.int32)
        dist.all_reduce(has, dist.ReduceOp.MAX)
        used = [p for p, any_has in zip(params, has.tolist()) if any_has]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten()
                          for p in used])
        dist.all_reduce(flat)
        flat /= self.count
        for p, grad in zip(used, flat.split([p.numel() for p in used])):
            p.grad = grad.view_as(p)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        if self.count > 1:
            dist.all_reduce(values)
        return values
