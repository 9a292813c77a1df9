"""What shape a DeepSeek-V4 has, in the spelling of its config.json."""

import json
from dataclasses import dataclass, field


@dataclass
class Config:
    vocab_size: int = 4096
    hidden_size: int = 192
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    head_dim: int = 96
    qk_rope_head_dim: int = 32
    q_lora_rank: int = 96
    o_groups: int = 2
    o_lora_rank: int = 64
    sliding_window: int = 128
    # One entry a layer, then one for the MTP block: 0 window only, 4 CSA, 128 HCA.
    compress_ratios: list = field(default_factory=lambda: [0, 4, 128, 4, 128, 0])
    index_n_heads: int = 4
    index_head_dim: int = 64
    index_topk: int = 16
    n_routed_experts: int = 64
    num_experts_per_tok: int = 6
    n_shared_experts: int = 1
    moe_intermediate_size: int = 64
    num_hash_layers: int = 2
    routed_scaling_factor: float = 1.5
    swiglu_limit: float = 10.0
    hc_mult: int = 4
    hc_sinkhorn_iters: int = 20
    hc_eps: float = 1e-6
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000
    compress_rope_theta: float = 160000
    rope_scaling: dict = field(
        default_factory=lambda: {
            "type": "yarn",
            "factor": 16,
            "beta_fast": 32,
            "beta_slow": 1,
            "original_max_position_embeddings": 65536,
        }
    )
    num_nextn_predict_layers: int = 1

    def ratio(self, layer: int) -> int:
        return self.compress_ratios[layer]

    def check(self) -> None:
        """Refuses shapes that the quantised formats cannot hold."""
        assert (self.head_dim - self.qk_rope_head_dim) % 64 == 0, "rows are stored in groups of 64"
        assert self.index_head_dim & (self.index_head_dim - 1) == 0, "Hadamard needs a power of two"
        group_width = self.num_attention_heads // self.o_groups * self.head_dim
        for width in (self.hidden_size, self.q_lora_rank, group_width,
                      self.o_groups * self.o_lora_rank, self.moe_intermediate_size):
            assert width % 32 == 0, "inputs of a quantised linear come in groups of 32"
        assert len(self.compress_ratios) == self.num_hidden_layers + 1

    @classmethod
    def read(cls, path: str) -> "Config":
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return cls(**{name: found[name] for name in cls.__dataclass_fields__ if name in found})

    def config_json(self) -> dict:
        """config.json, as Hugging Face spells it."""
        fixed = {
            "architectures": ["DeepseekV4ForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "expert_dtype": "fp4",
            "hidden_act": "silu",
            "initializer_range": 0.02,
            "max_position_embeddings": 1048576,
            "model_type": "deepseek_v4",
            "norm_topk_prob": True,
            "num_key_value_heads": 1,
            "scoring_func": "sqrtsoftplus",
            "tie_word_embeddings": False,
            "topk_method": "noaux_tc",
            "torch_dtype": "bfloat16",
            "use_cache": True,
            "quantization_config": {
                "activation_scheme": "dynamic",
                "fmt": "e4m3",
                "quant_method": "fp8",
                "scale_fmt": "ue8m0",
                "weight_block_size": [128, 128],
            },
        }
        ours = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return dict(sorted({**fixed, **ours}.items()))

    def inference_json(self) -> dict:
        """inference/config.json, as DeepSeek's own code spells it."""
        rope = self.rope_scaling
        return {
            "vocab_size": self.vocab_size,
            "dim": self.hidden_size,
            "moe_inter_dim": self.moe_intermediate_size,
            "n_layers": self.num_hidden_layers,
            "n_hash_layers": self.num_hash_layers,
            "n_heads": self.num_attention_heads,
            "n_routed_experts": self.n_routed_experts,
            "n_shared_experts": self.n_shared_experts,
            "n_activated_experts": self.num_experts_per_tok,
            "score_func": "sqrtsoftplus",
            "route_scale": self.routed_scaling_factor,
            "swiglu_limit": self.swiglu_limit,
            "q_lora_rank": self.q_lora_rank,
            "head_dim": self.head_dim,
            "rope_head_dim": self.qk_rope_head_dim,
            "o_groups": self.o_groups,
            "o_lora_rank": self.o_lora_rank,
            "window_size": self.sliding_window,
            "original_seq_len": rope["original_max_position_embeddings"],
            "rope_theta": self.rope_theta,
            "rope_factor": rope["factor"],
            "beta_fast": rope["beta_fast"],
            "beta_slow": rope["beta_slow"],
            "index_n_heads": self.index_n_heads,
            "index_head_dim": self.index_head_dim,
            "index_topk": self.index_topk,
            "hc_mult": self.hc_mult,
            "hc_sinkhorn_iters": self.hc_sinkhorn_iters,
            "compress_rope_theta": self.compress_rope_theta,
            "dtype": "fp8",
            "scale_fmt": "ue8m0",
            "expert_dtype": "fp4",
            "compress_ratios": self.compress_ratios,
        }
