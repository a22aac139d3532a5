"""A small ModernBERT in the layout of its authors' code: a random checkpoint, and a forward pass written from scratch.

Independent of transformers and of encoder/: it follows what src/bert_layers of AnswerDotAI/ModernBERT computes (the
tokens of one sequence, no padding), with explicit sums where the library has modules.
"""

import math

import torch

CONFIG = {
    "attention_layer": "rope", "bert_layer": "prenorm", "embedding_layer": "sans_pos", "mlp_layer": "glu",
    "normalization": "layernorm", "norm_kwargs": {"eps": 1e-5, "bias": False}, "embed_norm": True, "final_norm": True,
    "skip_first_prenorm": True, "head_pred_act": "gelu", "hidden_act": "gelu", "padding": "unpadded",
    "num_hidden_layers": 4, "hidden_size": 48, "intermediate_size": 72, "num_attention_heads": 3,
    "sliding_window": 64, "global_attn_every_n_layers": 3, "rotary_emb_base": 160000.0,
    "local_attn_rotary_emb_base": 10000.0, "attn_out_dropout_prob": 0.1,
}  # fmt: skip


def random_state(vocabulary: int) -> dict[str, torch.Tensor]:
    """Tensors by FlexBERT's names, as FlexBertForMaskedLM.state_dict() has them for CONFIG."""
    random = torch.Generator().manual_seed(0)
    width, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=random) / math.sqrt(columns)

    def scale() -> torch.Tensor:
        return 1 + torch.randn(width, generator=random) / 4

    state = {
        "bert.embeddings.tok_embeddings.weight": matrix(vocabulary, width),
        "bert.embeddings.norm.weight": scale(),
        "bert.final_norm.weight": scale(),
        "head.dense.weight": matrix(width, width),
        "head.norm.weight": scale(),
        "decoder.bias": torch.randn(vocabulary, generator=random),
    }
    for i in range(CONFIG["num_hidden_layers"]):
        layer = f"bert.encoder.layers.{i}"
        if i:
            state[f"{layer}.attn_norm.weight"] = scale()
        state[f"{layer}.attn.Wqkv.weight"] = matrix(3 * width, width)
        state[f"{layer}.attn.Wo.weight"] = matrix(width, width)
        state[f"{layer}.mlp_norm.weight"] = scale()
        state[f"{layer}.mlp.Wi.weight"] = matrix(2 * inner, width)
        state[f"{layer}.mlp.Wo.weight"] = matrix(width, inner)
    state["decoder.weight"] = state["bert.embeddings.tok_embeddings.weight"]
    return state


def logits(state: dict[str, torch.Tensor], ids: list[int]) -> torch.Tensor:
    """Return (tokens, vocabulary) for one sequence, in double precision."""
    s = {name: tensor.double() for name, tensor in state.items()}

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        return centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() * s[f"{name}.weight"]

    def gelu(x: torch.Tensor) -> torch.Tensor:
        return x * (1 + torch.erf(x / math.sqrt(2))) / 2

    x = norm(s["bert.embeddings.tok_embeddings.weight"][ids], "bert.embeddings.norm")
    for i in range(CONFIG["num_hidden_layers"]):
        layer = f"bert.encoder.layers.{i}"
        y = norm(x, f"{layer}.attn_norm") if i else x
        x = x + _attention(y @ s[f"{layer}.attn.Wqkv.weight"].T, is_local=i % 3 != 0) @ s[f"{layer}.attn.Wo.weight"].T
        value, gate = (norm(x, f"{layer}.mlp_norm") @ s[f"{layer}.mlp.Wi.weight"].T).split(72, dim=-1)
        x = x + (gelu(value) * gate) @ s[f"{layer}.mlp.Wo.weight"].T
    x = norm(gelu(norm(x, "bert.final_norm") @ s["head.dense.weight"].T), "head.norm")
    return x @ s["decoder.weight"].T + s["decoder.bias"]


def _attention(qkv: torch.Tensor, is_local: bool) -> torch.Tensor:
    tokens, size = len(qkv), 16
    q, k, v = qkv.view(tokens, 3, 3, size).unbind(dim=1)  # (tokens, heads, size)
    base = 10000.0 if is_local else 160000.0
    turns = torch.arange(tokens)[:, None] / base ** (torch.arange(0, size, 2).double() / size)

    def rotated(x: torch.Tensor) -> torch.Tensor:
        a, b = x.split(size // 2, dim=-1)
        cos, sin = turns.cos()[:, None], turns.sin()[:, None]
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    scores = torch.einsum("qhd,khd->hqk", rotated(q), rotated(k)) / math.sqrt(size)
    if is_local:
        distance = (torch.arange(tokens)[:, None] - torch.arange(tokens)).abs()
        scores = scores.masked_fill(distance > 32, float("-inf"))
    return torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), v).reshape(tokens, -1)
