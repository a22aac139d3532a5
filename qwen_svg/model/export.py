"""Export a model for other programs: a merged folder for transformers and vLLM, a GGUF file for llama.cpp and Ollama.

Reads   a model: a run, an adapter, a merged folder, a .gguf, a hub id.
Writes  OUTPUT/: config, safetensors, tokenizer, generation config; OUTPUT/gguf/: the GGUF file and Ollama's Modelfile.

    python -m qwen_svg.model.export --model outputs/first --output exported/first --format both

Each is loaded back and compared with the model it was made from, base and adapter side by side, on the logits of a
prompt. Afterwards: `ollama create first -f exported/first/gguf/Modelfile`, `ollama run first "a red fox"`.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import refuse_existing
from qwen_svg.model.find import find_model

MODEL: str = ""  # a run, by name or folder; an adapter, merged folder, .gguf file, hub id; "" = the newest run
BASE_MODEL: str = ""  # where the base of a run or adapter lies; "" = where its training says
OUTPUT: str = ""  # folder to write, which must not exist
FORMAT: Literal["safetensors", "gguf", "both"] = "safetensors"
# Of the matrices. "float32" is exact, and twice as large; "q8_0", 8 bits, is for GGUF: half as large, faster on a CPU.
DTYPE: Literal["float16", "float32", "q8_0"] = "float16"


def check_constants(c: SimpleNamespace) -> None:
    """Refuse a folder that cannot be written to, before anything heavy is imported."""
    if not c.OUTPUT:
        raise UserError("OUTPUT is empty; name a folder to write with `--output`.")
    refuse_existing("OUTPUT", c.OUTPUT)
    if c.DTYPE == "q8_0" and c.FORMAT != "gguf":
        raise UserError(f"DTYPE {c.DTYPE} is a format of GGUF files alone; add `--format gguf`, or take float16.")
    find_model(c.MODEL)


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import torch
from transformers import GenerationConfig

from prompt_template import format_prompt
from qwen_svg.common.files import atomic_folder, write_json
from qwen_svg.common.tokens import stop_tokens
from qwen_svg.model.chat_template import trained_chat_template
from qwen_svg.model.gguf import require_known, write_gguf
from qwen_svg.model.load import load_base, load_config, load_model
from qwen_svg.model.source import EXPORTED, KEY, SETTINGS, ModelSource, find_source
from qwen_svg.model.tokenizer import load_tokenizer

# Largest difference of a logit, as a share of the largest logit. Half precision rounds each weight by up to 2^-11 of
# itself (0.05 %), and the layers add that up; float32 leaves the order in which sums are taken. In 8 bits 32 weights
# share a scale: each is off by up to 0.4 % of their largest. (4 bits so rounded are another model: 30 % of the best
# tokens of SmolLM2 with an adapter are others.)
TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "q8_0": 0.1}
SUFFIXES = {"float32": "f32", "float16": "f16", "q8_0": "Q8_0"}  # as files on the hub are called
DESCRIPTION = "a blue circular button with power symbol"


def main(c: SimpleNamespace) -> None:
    found, source = find_model(c.MODEL), find_source(c.MODEL, c.BASE_MODEL)
    print(f"model: {found}")
    name = Path(found).stem
    if c.FORMAT != "safetensors":
        require_known(load_config(source.base))  # before minutes of work
    model, tokenizer, prompt, expected = load(source)
    tokenizer.chat_template = trained_chat_template(tokenizer, source.prompt_form)
    settings = {key: getattr(source, key) for key in EXPORTED}
    with atomic_folder(Path(c.OUTPUT)) as output:
        if c.FORMAT != "safetensors":
            write_gguf_folder(output / "gguf", c, name, model, tokenizer, source)
            compare(next((output / "gguf").glob("*.gguf")), prompt, expected, c.DTYPE)
        if c.FORMAT != "gguf":
            write_folder(output, model, tokenizer, c.DTYPE)  # last: it rounds the model itself
            write_json(output / SETTINGS, settings)
            compare(output, prompt, expected, c.DTYPE)
    print(f"exported: {c.OUTPUT}")


def write_gguf_folder(
    folder: Path, c: SimpleNamespace, name: str, model: Any, tokenizer: Any, source: ModelSource
) -> None:
    """Write the GGUF file, Ollama's Modelfile and, where tokens are new, the tokenizer."""
    folder.mkdir()
    file = folder / f"{name}.{SUFFIXES[c.DTYPE]}.gguf"
    write_gguf(file, model, tokenizer, name, c.DTYPE, {KEY + key: getattr(source, key) for key in EXPORTED})
    if source.tokenizer:
        tokenizer.save_pretrained(folder)  # for load_tokenizer; llama.cpp needs the file alone
    text = modelfile(file.name, tokenizer, source.prompt_form, source.max_length)
    (folder / "Modelfile").write_text(text, encoding="utf-8")


def load(source: ModelSource) -> tuple[Any, Any, torch.Tensor, torch.Tensor]:
    """Return (merged model in float32, tokenizer, a prompt's token ids (1, T), logits (T, V) before merging)."""
    whole = replace(source, quantization="")  # also where it was trained in 4 bits
    loaded = load_model(whole, "beside", torch.device("cpu"), torch.float32)
    text = format_prompt(loaded.tokenizer, DESCRIPTION, loaded.prompt_form)
    prompt = loaded.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    expected = logits(loaded.model, prompt)
    merged = loaded.model.merge_and_unload().eval() if source.adapter else loaded.model
    return merged, loaded.tokenizer, prompt, expected


def logits(model: Any, prompt: Any) -> Any:
    with torch.no_grad():
        return model(prompt).logits[0].float()


def write_folder(folder: Path, model: Any, tokenizer: Any, dtype: str) -> None:
    """Write what `from_pretrained` reads. The model's own weights become `dtype`."""
    if hasattr(model.config, "quantization_config"):  # of a GGUF base, whose blocks have been unpacked
        del model.config.quantization_config
        model.hf_quantizer = None
    model.generation_config = GenerationConfig(eos_token_id=stop_tokens(tokenizer), pad_token_id=tokenizer.pad_token_id)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def modelfile(weights: str, tokenizer: Any, prompt_form: str, max_total: int) -> str:
    """Return Ollama's Modelfile. The whole instruction is in its template: a user gives the description alone."""
    template = format_prompt(tokenizer, "{{ .Prompt }}", prompt_form)
    stops = "".join(f'PARAMETER stop "{token}"\n' for token in tokenizer.convert_ids_to_tokens(stop_tokens(tokenizer)))
    return (
        "# The template holds the instruction that the model was trained with, as prompt_template.py writes it;\n"
        '# {{ .Prompt }} is the description: `ollama run NAME "a red fox"`.\n'
        f'FROM ./{weights}\nTEMPLATE """{template}"""\n{stops}PARAMETER num_ctx {max_total}\n'
    )


def compare(path: Path, prompt: Any, expected: Any, dtype: str) -> None:
    """Load what was written and print how far its logits are off. Raises RuntimeError beyond TOLERANCE."""
    read = load_tokenizer(str(path))
    found = logits(load_base(str(path), torch.device("cpu"), torch.float32), prompt)
    off = float((found - expected).abs().max())
    share = off / float(expected.abs().max())
    same = float((found.argmax(-1) == expected.argmax(-1)).float().mean())
    print(
        f"{path}: logits off by {off:.2g} at most ({share:.1e} of the largest); {same:.1%} of the best tokens the same"
    )
    text = read.decode(prompt[0].tolist())
    if share > TOLERANCE[dtype] or read(text, add_special_tokens=False)["input_ids"] != prompt[0].tolist():
        raise RuntimeError(f"{path} is not the model that was exported: {share:.1e} exceeds {TOLERANCE[dtype]:g}")


if __name__ == "__main__":
    run(main, c)
