"""DeepSeek-V4 for training: one forward pass over whole sequences that start at position 0.

Letters: B sequences, T positions, N = B*T rows, D model width, H heads, d head width, r its
rotated part, R compression ratio, n compressed entries, E experts, k experts a token, I expert
width, V vocabulary. Parameters carry the official tensor names, except that the routed experts
of a layer are stacked in one tensor.

Nothing is rounded unless `model.rounding` is set; then kv rows, compressed rows and the indexer
get the formats they have when served.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from config import Config
from quant import bf16_sim, fp4_sim, fp8_sim

NEVER = float("-inf")


def fused(*dims: tuple[int, ...]):
    """The same function, compiled when `fuse` below has been called (it needs a C++ compiler).
    dims: for each argument those dimensions whose size varies from batch to batch. They vary from
    the first call on, so that a resumed run computes with the kernels of the first."""

    def wrap(function):
        fusible[function.__name__] = function

        def call(*args):
            fast = compiled.get(function.__name__)
            if not fast:
                return function(*args)
            for arg, varying in zip(args, dims):
                for dim in varying:
                    torch._dynamo.maybe_mark_dynamic(arg, dim)
            return fast(*args)

        return call

    return wrap


fusible: dict = {}
compiled: dict = {}


def fuse() -> None:
    torch._dynamo.config.automatic_dynamic_shapes = False
    torch._dynamo.config.recompile_limit = 64
    for name, function in fusible.items():
        compiled[name] = torch.compile(function)


def rms(x: Tensor, eps: float, weight: Tensor | None = None) -> Tensor:
    return rms_rows(x.reshape(-1, x.shape[-1]), eps, weight).view(x.shape)


@fused((0,))
def rms_rows(x: Tensor, eps: float, weight: Tensor | None) -> Tensor:
    y = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    return y if weight is None else y * weight


class Norm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return rms(x, self.eps, self.weight)


def linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=gain * inputs**-0.5)
    return layer


# Rotary positions


def rope_frequencies(cfg: Config, ratio: int) -> Tensor:
    """[r/2] f32. Compressed layers have their own base and always YaRN, without magnitude."""
    r = cfg.qk_rope_head_dim
    base = cfg.compress_rope_theta if ratio else cfg.rope_theta
    freq = base ** (-torch.arange(0, r, 2, dtype=torch.float64) / r)
    if ratio:
        yarn = cfg.rope_scaling

        def turns(count: float) -> float:
            length = yarn["original_max_position_embeddings"]
            return r * math.log(length / (2 * math.pi * count)) / (2 * math.log(base))

        low = max(math.floor(turns(yarn["beta_fast"])), 0)
        high = min(math.ceil(turns(yarn["beta_slow"])), r - 1)
        ramp = ((torch.arange(r // 2) - low) / max(high - low, 1e-3)).clamp(0, 1)
        freq = freq * (1 - ramp) + freq / yarn["factor"] * ramp
    return freq.float()


class Rope:
    """Turns the last r values of x [B, T, d] or [B, T, H, d] by the angle of each position."""

    def __init__(self, freq: Tensor, positions: Tensor):
        angle = positions.float()[:, None] * freq.to(positions.device)
        self.cos, self.sin = angle.cos(), angle.sin()

    def turn(self, x: Tensor, back: bool = False) -> Tensor:
        B, T, d = x.shape[0], x.shape[1], x.shape[-1]
        cos, sin = self.cos.repeat(B, 1), self.sin.repeat(B, 1)
        return turn_pairs(x.reshape(B * T, -1, d), cos, -sin if back else sin).view(x.shape)


@fused((0,), (0,), (0,))
def turn_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [N, H, d]; cos, sin [N, r/2]. Neighbours are a pair."""
    r = 2 * cos.shape[-1]
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    rest, pairs = x[..., :-r], x[..., -r:].unflatten(-1, (-1, 2))
    even, odd = pairs[..., 0], pairs[..., 1]
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1)
    return torch.cat((rest, turned.flatten(-2)), -1)


def hadamard(size: int) -> Tensor:
    """Sylvester's matrix, scaled to be orthogonal."""
    matrix = torch.ones(1, 1)
    while matrix.shape[0] < size:
        matrix = torch.cat((torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)))
    return matrix * size**-0.5


def row_sim(x: Tensor, r: int) -> Tensor:
    """A kv row as it is stored: e4m3 in groups of 64, the rotated part in bf16."""
    return torch.cat((fp8_sim(x[..., :-r]), bf16_sim(x[..., -r:])), -1)


# Attention


class Compressor(nn.Module):
    """Pools every R positions into one entry by a softmax per channel; at R = 4 windows overlap."""

    def __init__(self, cfg: Config, ratio: int, width: int):
        super().__init__()
        self.ratio, self.width, self.overlap = ratio, width, ratio == 4
        channels = width * (2 if self.overlap else 1)
        self.wkv = linear(cfg.hidden_size, channels)
        self.wgate = linear(cfg.hidden_size, channels)
        self.ape = nn.Parameter(torch.zeros(ratio, channels))
        self.norm = Norm(width, cfg.rms_norm_eps)
        self.freq = rope_frequencies(cfg, ratio)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, D] to entries [B, T // R, width], turned but not rounded."""
        R, n = self.ratio, x.shape[1] // self.ratio
        x = x[:, : n * R]
        keys = self.wkv(x).unflatten(1, (n, R))
        gates = self.wgate(x).unflatten(1, (n, R)) + self.ape
        if self.overlap:
            keys, gates = self.with_previous(keys, 0.0), self.with_previous(gates, NEVER)
        pooled = (gates.softmax(2) * keys).sum(2)
        return Rope(self.freq, torch.arange(n, device=x.device) * R).turn(self.norm(pooled))

    def with_previous(self, x: Tensor, absent: float) -> Tensor:
        """[B, n, R, 2e] to [B, n, 2R, e]: the low half belongs to the NEXT entry."""
        low, high = x.chunk(2, -1)
        before = F.pad(low[:, :-1], (0, 0, 0, 0, 1, 0), value=absent)
        return torch.cat((before, high), 2)


class Indexer(nn.Module):
    """Scores the compressed entries for each position; the best index_topk are attended to."""

    def __init__(self, cfg: Config, ratio: int):
        super().__init__()
        self.heads, self.width, self.topk = cfg.index_n_heads, cfg.index_head_dim, cfg.index_topk
        self.wq_b = linear(cfg.q_lora_rank, self.heads * self.width)
        self.weights_proj = linear(cfg.hidden_size, self.heads)
        self.compressor = Compressor(cfg, ratio, self.width)
        self.register_buffer("mix", hadamard(self.width), persistent=False)

    def forward(self, x: Tensor, qr: Tensor, rope: Rope, visible: Tensor,
                rounding: bool) -> tuple[Tensor, Tensor]:
        """Scores [B, T, n] (-inf where not visible) and the selection [B, T, n] of bools."""
        B, T, _ = x.shape
        q = rope.turn(self.wq_b(qr).view(B, T, self.heads, self.width))
        keys = self.compressor(x)
        if rounding:
            q, keys = fp4_sim(q @ self.mix), fp4_sim(keys @ self.mix)
        weight = self.weights_proj(x) * (self.width * self.heads) ** -0.5
        dots = (q.flatten(1, 2) @ keys.transpose(1, 2)).view(B, T, self.heads, -1)
        scores = torch.einsum("bthn,bth->btn", dots.relu(), weight).masked_fill(~visible, NEVER)
        if scores.shape[2] <= self.topk:
            return scores, visible.expand_as(scores)
        # A stable sort prefers the lower entry among equals.
        best = scores.detach().sort(dim=-1, descending=True, stable=True)[1][..., : self.topk]
        chosen = torch.zeros_like(scores, dtype=torch.bool).scatter_(2, best, True)
        return scores, chosen & visible


@fused((0, 2))
def softmax_with_sink(scores: Tensor, sink: Tensor) -> Tensor:
    """scores [N, H, n], sink [H]: one more score per head, whose share goes nowhere."""
    sink = sink.view(1, -1, 1)
    most = torch.maximum(scores.amax(-1, keepdim=True), sink).detach()
    e = (scores - most).exp()
    return e / (e.sum(-1, keepdim=True) + (sink - most).exp())


class Band:
    """Keys near each position. Positions come in blocks of the window's size W, whose queries look at
    their own block and the one before; one block when the text is shorter. rows [B, T, d]."""

    def __init__(self, rows: Tensor, window: int):
        self.T = rows.shape[1]
        self.block = min(window, self.T)
        self.blocks = -(-self.T // self.block)
        own = torch.arange(self.block, device=rows.device)
        if self.blocks == 1:
            self.keys, back = rows.unsqueeze(1), own[:, None] - own
        else:
            padded = F.pad(rows, (0, 0, self.block, self.blocks * self.block - self.T))
            padded = padded.unflatten(1, (self.blocks + 1, self.block))
            self.keys = torch.cat((padded[:, :-1], padded[:, 1:]), 2)
            back = self.block + own[:, None] - torch.cat((own, own + self.block))
        self.width = self.keys.shape[2]
        allowed = ((back >= 0) & (back < window)).repeat(self.blocks, 1, 1)
        if self.blocks > 1:
            allowed[0, :, : self.block] = False  # before the first position there is nothing
        self.allowed = allowed.flatten(0, 1)[: self.T]  # [T, width]

    def in_blocks(self, x: Tensor) -> Tensor:
        """[B, T, H, c] to [B, blocks, block * H, c]."""
        x = F.pad(x, (0, 0, 0, 0, 0, self.blocks * self.block - self.T))
        return x.unflatten(1, (self.blocks, self.block)).flatten(2, 3)

    def scores(self, q: Tensor) -> Tensor:
        """[B, T, H, d] to [B, T, H, width]."""
        s = self.in_blocks(q) @ self.keys.transpose(2, 3)
        return s.view(q.shape[0], -1, q.shape[2], self.width)[:, : self.T]

    def mix(self, p: Tensor) -> Tensor:
        """[B, T, H, width] to [B, T, H, d]."""
        o = self.in_blocks(p) @ self.keys
        return o.view(p.shape[0], -1, p.shape[2], self.keys.shape[3])[:, : self.T]


class Attention(nn.Module):
    def __init__(self, cfg: Config, layer: int):
        super().__init__()
        D, H, d = cfg.hidden_size, cfg.num_attention_heads, cfg.head_dim
        self.cfg, self.ratio = cfg, cfg.ratio(layer)
        self.wq_a = linear(D, cfg.q_lora_rank)
        self.q_norm = Norm(cfg.q_lora_rank, cfg.rms_norm_eps)
        self.wq_b = linear(cfg.q_lora_rank, H * d)
        self.wkv = linear(D, d)
        self.kv_norm = Norm(d, cfg.rms_norm_eps)
        self.wo_a = linear(H // cfg.o_groups * d, cfg.o_groups * cfg.o_lora_rank)
        self.wo_b = linear(cfg.o_groups * cfg.o_lora_rank, D, 0.3)
        self.attn_sink = nn.Parameter(torch.zeros(H))
        self.freq = rope_frequencies(cfg, self.ratio)
        if self.ratio:
            self.compressor = Compressor(cfg, self.ratio, d)
        if self.ratio == 4:
            self.indexer = Indexer(cfg, self.ratio)

    def forward(self, x: Tensor, rounding: bool) -> tuple[Tensor, Tensor | None]:
        """x [B, T, D] to the same; also the indexer's loss where there is an indexer."""
        cfg, r = self.cfg, self.cfg.qk_rope_head_dim
        B, T, D = x.shape
        H, d = cfg.num_attention_heads, cfg.head_dim
        t = torch.arange(T, device=x.device)
        rope = Rope(self.freq, t)

        qr = self.q_norm(self.wq_a(x))
        q = rope.turn(rms(self.wq_b(qr).view(B, T, H, d), cfg.rms_norm_eps))
        rows = rope.turn(self.kv_norm(self.wkv(x)))
        band = Band(row_sim(rows, r) if rounding else rows, cfg.sliding_window)
        scores, allowed, learn = band.scores(q), band.allowed, None

        n = T // self.ratio if self.ratio else 0
        if n:
            entries = self.compressor(x)
            entries = row_sim(entries, r) if rounding else entries
            visible = torch.arange(n, device=x.device) < ((t + 1) // self.ratio)[:, None]
            chosen = visible
            if self.ratio == 4:
                index, chosen = self.indexer(x.detach(), qr.detach(), rope, visible, rounding)
            far = (q.reshape(B, T * H, d) @ entries.transpose(1, 2)).view(B, T, H, n)
            if self.ratio == 4 and self.training:
                learn = indexer_loss(index, far * d**-0.5, visible)
            scores = torch.cat((scores, far), -1)
            allowed = torch.cat((allowed.expand(*chosen.shape[:-2], T, -1), chosen), -1)

        scores = (scores * d**-0.5).masked_fill(~allowed.view(-1, T, 1, allowed.shape[-1]), NEVER)
        p = softmax_with_sink(scores.flatten(0, 1), self.attn_sink).view(scores.shape)
        o = band.mix(p[..., : band.width])
        if n:
            o = o + (p[..., band.width :].reshape(B, T * H, n) @ entries).view(B, T, H, d)
        o = rope.turn(o, back=True).reshape(B * T, cfg.o_groups, -1)

        wo_a = self.wo_a.weight.unflatten(0, (cfg.o_groups, -1))
        a = torch.cat([o[:, g] @ wo_a[g].T for g in range(cfg.o_groups)], -1)
        return self.wo_b(a).view(B, T, D), learn


def indexer_loss(index: Tensor, attention: Tensor, visible: Tensor) -> Tensor:
    """KL of the indexer's distribution over entries from where attention would look, all entries
    being allowed. Teaches the indexer alone: attention is detached, and so were its inputs."""
    hidden = ~visible
    with torch.no_grad():
        goal = attention.masked_fill(hidden[:, None], NEVER).softmax(-1).nan_to_num(0.0).mean(2)
    guess = index.masked_fill(hidden, -1e4).log_softmax(-1)
    each = (torch.xlogy(goal, goal) - goal * guess).sum(-1)
    return each[:, visible.sum(-1) > 1].sum() / max(each.numel(), 1)


# Mixture of experts


class Permute(torch.autograd.Function):
    """x[order] for a permutation: its gradient is a gather too, not a scattered sum."""

    @staticmethod
    def forward(ctx, x, order, inverse):
        ctx.save_for_backward(inverse)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx, grad):
        (inverse,) = ctx.saved_tensors
        return grad.index_select(0, inverse), None, None


class GroupedLinear(torch.autograd.Function):
    """Rows sorted by expert times that expert's matrix. x [M, i], weight [E, o, i], sizes [E]."""

    @staticmethod
    def forward(ctx, x, weight, sizes):
        ctx.sizes = sizes
        ctx.save_for_backward(x, weight)
        out = x.new_empty(x.shape[0], weight.shape[1])
        for w, rows, y in zip(weight, x.split(sizes), out.split(sizes)):
            torch.mm(rows, w.T, out=y)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()
        dx, dw = torch.empty_like(x), torch.empty_like(weight)
        parts = zip(weight, x.split(ctx.sizes), grad.split(ctx.sizes), dx.split(ctx.sizes), dw)
        for w, rows, g, to_x, to_w in parts:
            torch.mm(g, w, out=to_x)
            torch.mm(g.T, rows, out=to_w)
        return dx, dw, None


@fused((0,), (0,))
def swiglu(gate: Tensor, up: Tensor, limit: float) -> Tensor:
    return F.silu(gate.clamp(max=limit)) * up.clamp(-limit, limit)


class SharedExpert(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        D, width = cfg.hidden_size, cfg.moe_intermediate_size * cfg.n_shared_experts
        self.w1, self.w3 = linear(D, width), linear(D, width)
        self.w2 = linear(width, D, 0.3)
        self.limit = cfg.swiglu_limit

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(swiglu(self.w1(x), self.w3(x), self.limit))


class Experts(nn.Module):
    """All routed experts of a layer, stacked."""

    def __init__(self, cfg: Config):
        super().__init__()
        E, D, width = cfg.n_routed_experts, cfg.hidden_size, cfg.moe_intermediate_size
        self.w1 = nn.Parameter(torch.randn(E, width, D) * D**-0.5)
        self.w3 = nn.Parameter(torch.randn(E, width, D) * D**-0.5)
        self.w2 = nn.Parameter(torch.randn(E, D, width) * 0.3 * width**-0.5)


class Gate(nn.Module):
    def __init__(self, cfg: Config, hashed: bool):
        super().__init__()
        self.weight = linear(cfg.hidden_size, cfg.n_routed_experts).weight
        if hashed:
            order = torch.rand(cfg.vocab_size, cfg.n_routed_experts).argsort(-1)
            self.register_buffer("tid2eid", order[:, : cfg.num_experts_per_tok].contiguous())
        else:
            self.register_buffer("bias", torch.zeros(cfg.n_routed_experts))


class MoE(nn.Module):
    def __init__(self, cfg: Config, layer: int):
        super().__init__()
        self.cfg, self.hashed = cfg, layer < cfg.num_hash_layers
        self.gate = Gate(cfg, self.hashed)
        self.experts = Experts(cfg)
        self.shared_experts = SharedExpert(cfg)
        self.load = None  # tokens each expert got in the last forward pass, [E]

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        """x [N, D]; ids [N] are the tokens at these positions."""
        cfg, k = self.cfg, self.cfg.num_experts_per_tok
        p = F.softplus(x @ self.gate.weight.T).sqrt()
        if self.hashed:
            chosen = self.gate.tid2eid[ids]
        else:
            chosen = (p.detach() + self.gate.bias).topk(k, -1)[1]
        weight = p.gather(1, chosen)
        weight = weight / weight.sum(-1, keepdim=True) * cfg.routed_scaling_factor

        order = chosen.flatten().argsort(stable=True)
        inverse = torch.empty_like(order)
        inverse[order] = torch.arange(len(order), device=x.device)
        self.load = torch.bincount(chosen.flatten(), minlength=cfg.n_routed_experts)
        sizes = self.load.tolist()

        rows = x.unsqueeze(1).expand(-1, k, -1).reshape(-1, x.shape[1])
        rows = Permute.apply(rows, order, inverse)
        gate = GroupedLinear.apply(rows, self.experts.w1, sizes)
        up = GroupedLinear.apply(rows, self.experts.w3, sizes)
        inside = swiglu(gate, up, cfg.swiglu_limit)
        inside = inside * Permute.apply(weight.reshape(-1, 1), order, inverse)
        y = GroupedLinear.apply(inside, self.experts.w2, sizes)
        y = Permute.apply(y, inverse, order)
        return y.view(-1, k, x.shape[1]).sum(1) + self.shared_experts(x)


# Hyper-connections: four residual streams, mixed by weights that depend on them


def mixes(streams: Tensor, fn: Tensor, eps: float) -> Tensor:
    """streams [N, 4, D], fn [m, 4D] to [N, m]."""
    v = streams.flatten(1)
    return F.linear(v, fn) * torch.rsqrt(v.square().mean(-1, keepdim=True) + eps)


def sinkhorn(c: Tensor, iterations: int, eps: float) -> Tensor:
    """c [4, 4, N], source stream first: to nearly doubly stochastic, by one softmax over rows and
    then column, row, column, ... sums."""
    c = c.softmax(1) + eps
    for turn in range(2 * iterations - 1):
        c = c / (c.sum(turn % 2, keepdim=True) + eps)
    return c


@fused((0,))
def hc_weights(m: Tensor, base: Tensor, scale: Tensor, S: int, iterations: int,
               eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """m [N, 24] to pre [N, 4], post [N, 4] and comb [4, 4, N] (first: source stream)."""
    pre = torch.sigmoid(m[:, :S] * scale[0] + base[:S]) + eps
    post = 2 * torch.sigmoid(m[:, S : 2 * S] * scale[1] + base[S : 2 * S])
    comb = (m[:, 2 * S :] * scale[2] + base[2 * S :]).T.reshape(S, S, -1)
    return pre, post, sinkhorn(comb, iterations, eps)


@fused((0,), (0,))
def collapse(streams: Tensor, weight: Tensor) -> Tensor:
    """The block's input [N, D]: streams [N, 4, D] weighted by [N, 4]."""
    return (weight.unsqueeze(2) * streams).sum(1)


@fused((0,), (0,), (0,), (2,))
def hc_post(y: Tensor, streams: Tensor, post: Tensor, comb: Tensor) -> Tensor:
    """y [N, D], streams [N, 4, D], post [N, 4], comb [4, 4, N] to streams."""
    comb = comb.permute(2, 0, 1)
    mixed = (comb.unsqueeze(3) * streams.unsqueeze(2)).sum(1)
    return mixed + post.unsqueeze(2) * y.unsqueeze(1)


def hc_pre(streams: Tensor, fn: Tensor, base: Tensor, scale: Tensor,
           cfg: Config) -> tuple[Tensor, Tensor, Tensor]:
    """Gives the block's input [N, D], post and comb."""
    m = mixes(streams, fn, cfg.rms_norm_eps)
    pre, post, comb = hc_weights(m, base, scale, cfg.hc_mult, cfg.hc_sinkhorn_iters, cfg.hc_eps)
    return collapse(streams, pre), post, comb


def hc_head(streams: Tensor, fn: Tensor, base: Tensor, scale: Tensor, cfg: Config) -> Tensor:
    m = mixes(streams, fn, cfg.rms_norm_eps)
    return collapse(streams, torch.sigmoid(m * scale + base) + cfg.hc_eps)


def add_hc_parameters(module: nn.Module, name: str, cfg: Config, favourite: int = 0) -> None:
    """fn, base and scale of one mix. At the start a block reads mostly one stream, writes to all,
    and the streams hardly mix; a head reads the mean."""
    S, head = cfg.hc_mult, name == "hc_head"
    count = S if head else 2 * S + S * S
    base = torch.full((count,), -1.1)
    if not head:
        base[:S] = -2.0
        base[favourite % S] = 1.0
        base[S : 2 * S] = 0.0
        base[2 * S :] = 3 * torch.eye(S).flatten()
    width = S * cfg.hidden_size
    setattr(module, f"{name}_fn", nn.Parameter(torch.randn(count, width) * 0.3 * width**-0.5))
    setattr(module, f"{name}_base", nn.Parameter(base))
    setattr(module, f"{name}_scale", nn.Parameter(torch.full((1 if head else 3,), 1.0)))


class HeadLoss(torch.autograd.Function):
    """Sum of weight * cross entropy of the head's logits, a few hundred rows at a time, so that
    the logits of all rows never exist at once. x [N, D], head [V, D], goal [N], weight [N]."""

    @staticmethod
    def forward(ctx, x, head, goal, weight, rows=512):
        dx, dhead, total = torch.empty_like(x), torch.zeros_like(head), x.new_zeros(())
        for at in range(0, len(goal), rows):
            part = slice(at, at + rows)
            log_p = (x[part] @ head.T).log_softmax(-1)
            total -= log_p.gather(1, goal[part, None])[:, 0] @ weight[part]
            slope = log_p.exp_()
            slope.scatter_add_(1, goal[part, None], slope.new_full((len(slope), 1), -1.0))
            slope *= weight[part, None]
            torch.mm(slope, head, out=dx[part])
            dhead.addmm_(slope.T, x[part])
        ctx.save_for_backward(dx, dhead)
        return total

    @staticmethod
    def backward(ctx, grad):
        dx, dhead = ctx.saved_tensors
        return grad * dx, grad * dhead, None, None, None


# The whole


class Block(nn.Module):
    def __init__(self, cfg: Config, layer: int):
        super().__init__()
        self.cfg = cfg
        self.attn_norm = Norm(cfg.hidden_size, cfg.rms_norm_eps)
        self.ffn_norm = Norm(cfg.hidden_size, cfg.rms_norm_eps)
        self.attn = Attention(cfg, layer)
        self.ffn = MoE(cfg, layer)
        add_hc_parameters(self, "hc_attn", cfg, 2 * layer)
        add_hc_parameters(self, "hc_ffn", cfg, 2 * layer + 1)

    def forward(self, h: Tensor, ids: Tensor, rounding: bool) -> tuple[Tensor, Tensor | None]:
        """h [N, 4, D]; ids [B, T]."""
        cfg = self.cfg
        x, post, comb = hc_pre(h, self.hc_attn_fn, self.hc_attn_base, self.hc_attn_scale, cfg)
        y, learn = self.attn(self.attn_norm(x).view(*ids.shape, -1), rounding)
        h = hc_post(y.flatten(0, 1), h, post, comb)
        x, post, comb = hc_pre(h, self.hc_ffn_fn, self.hc_ffn_base, self.hc_ffn_scale, cfg)
        y = self.ffn(self.ffn_norm(x), ids.flatten())
        return hc_post(y, h, post, comb), learn


class MTP(Block):
    """Predicts the token after the next one from the trunk's streams and the next token."""

    def __init__(self, cfg: Config):
        super().__init__(cfg, cfg.num_hidden_layers)
        D, eps = cfg.hidden_size, cfg.rms_norm_eps
        self.e_proj, self.h_proj = linear(D, D, 0.7), linear(D, D, 0.7)
        self.enorm, self.hnorm, self.norm = Norm(D, eps), Norm(D, eps), Norm(D, eps)
        add_hc_parameters(self, "hc_head", cfg)

    def draft(self, h: Tensor, embed: Tensor, ids: Tensor, rounding: bool) -> Tensor:
        """h [N, 4, D] after the last layer, ids [B, T] and embed [N, D] of the NEXT tokens."""
        e = self.e_proj(self.enorm(embed))
        h = e.unsqueeze(1) + self.h_proj(self.hnorm(h))
        h, _ = self(h, ids, rounding)
        out = hc_head(h, self.hc_head_fn, self.hc_head_base, self.hc_head_scale, self.cfg)
        return self.norm(out)


class Model(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.cfg, self.rounding = cfg, False
        self.embed = nn.Embedding(cfg.vocab_size, cfg.hidden_size)
        self.layers = nn.ModuleList(Block(cfg, n) for n in range(cfg.num_hidden_layers))
        self.norm = Norm(cfg.hidden_size, cfg.rms_norm_eps)
        self.head = linear(cfg.hidden_size, cfg.vocab_size)
        self.mtp = nn.ModuleList(MTP(cfg) for _ in range(cfg.num_nextn_predict_layers))
        add_hc_parameters(self, "hc_head", cfg)

    def trunk(self, ids: Tensor, mtp: bool = False) -> tuple[Tensor, Tensor | None, Tensor]:
        """ids [B, T] to what the head reads: [B, T, D], of the MTP block [B, T-1, D]; and the
        indexer's loss."""
        cfg = self.cfg
        h = self.embed(ids).flatten(0, 1).unsqueeze(1).repeat(1, cfg.hc_mult, 1)
        learn = torch.zeros((), device=ids.device)
        for layer in self.layers:
            h, extra = layer(h, ids, self.rounding)
            learn = learn if extra is None else learn + extra
        out = hc_head(h, self.hc_head_fn, self.hc_head_base, self.hc_head_scale, cfg)
        out = self.norm(out).view(*ids.shape, -1)
        if not mtp:
            return out, None, learn
        B, T = ids.shape
        h = h.view(B, T, cfg.hc_mult, -1)[:, :-1].flatten(0, 1)
        following = ids[:, 1:]
        draft = self.mtp[0].draft(h, self.embed(following).flatten(0, 1), following, self.rounding)
        return out, draft.view(B, T - 1, -1), learn

    def forward(self, ids: Tensor, mtp: bool = False) -> tuple[Tensor, Tensor | None, Tensor]:
        """ids [B, T] to logits [B, T, V], those of the MTP block [B, T-1, V], indexer loss."""
        out, draft, learn = self.trunk(ids, mtp)
        return self.head(out), self.head(draft) if mtp else None, learn

    def routers(self) -> list[MoE]:
        """The layers whose router learns, MTP included."""
        blocks = list(self.layers) + list(self.mtp)
        return [block.ffn for block in blocks if not block.ffn.hashed]
