"""What does not go together with a model that is divided among GPUs: refused before anything is loaded."""

from types import SimpleNamespace

from qwen_svg.common.errors import UserError
from qwen_svg.model.load import load_config


def refuse_with_sharding(c: SimpleNamespace, sharding: str, gpus: int) -> None:
    """Raise UserError for what would crash after minutes of loading.

    c: constants of train.py. sharding: "FSDP", "DeepSpeed" or "". gpus: of this machine.
    """
    way_out = "leave it out, or train with `torchrun --nproc-per-node N train.py`, with the whole model on each GPU."
    if sharding and c.BASE_QUANTIZATION:
        raise UserError(f"{sharding} cannot divide the weights of BASE_QUANTIZATION {c.BASE_QUANTIZATION!r}; {way_out}")
    if sharding and not gpus:
        raise UserError(f"{sharding} divides a model among GPUs, and here is none; use configs/accelerate/cpu.yml.")
    if sharding and c.DRAW_SAMPLES:
        raise UserError(f"{sharding} has no whole model in any process that could draw DRAW_SAMPLES; {way_out}")
    if sharding != "FSDP":
        return
    if c.OPTIMIZER.endswith("8bit"):
        raise UserError(f"OPTIMIZER {c.OPTIMIZER!r} cannot update what FSDP has divided; {way_out}")
    if c.SVG_TOKENS and load_config(c.BASE_MODEL).get_text_config().tie_word_embeddings:
        raise UserError(
            f"with SVG_TOKENS, FSDP cannot divide {c.BASE_MODEL}, whose output layer is its embeddings; {way_out}"
        )
