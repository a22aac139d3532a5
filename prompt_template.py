"""The one instruction template: building prompts, taking answers apart.

Every sample, in training, testing and serving, is the same text with the description put in. The two lists in
it are rendered from `svg_constraint.py`, so what is asked is what is checked. An answer is

    <reasoning>…</reasoning><svg>…</svg>

followed by the base model's end-of-turn token. This file imports no torch: it starts in milliseconds.
"""

import re
from collections.abc import Iterable
from typing import Any

from svg_constraint import PROMPT_ATTRIBUTES, PROMPT_TAGS, SVG_OPEN


def _code_list(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# Two trailing spaces are Markdown line breaks and part of the template: the model has seen them in training.
TEMPLATE = f"""\
### Instruction
Generate an SVG for the following description. Begin with a short reasoning enclosed in \
<reasoning>...</reasoning> tags. Follow the reasoning with a constrained SVG as per the specifications.

### Description
{{description}}

### 🧠 Generation Process
Always start with a short reasoning section:
1. Identify visual elements from the prompt\x20\x20
2. Choose a consistent and expressive color palette\x20\x20
3. Lay out the composition within the 256×256 viewBox\x20\x20
4. Create base shapes and background\x20\x20
5. Add details, layering, and visual interest\x20\x20
6. Use `<g>` and `transform` for grouping or transformations\x20\x20
7. Review for clarity, balance, completeness, and constraint compliance\x20\x20

### ⚙️ Constraints
- **Allowed Tags:**\x20\x20
  {_code_list(PROMPT_TAGS)}
- **Allowed Attributes:**\x20\x20
  {_code_list(PROMPT_ATTRIBUTES)}
- **Output Format:**\x20\x20
  Always begin the SVG with:
  ```xml
  {SVG_OPEN}
  ```
  And end with:
  ```xml
  </svg>
  ```
- **No `<text>` elements**, and no tags or attributes outside the allowed lists.\x20\x20
- **Use HTML-style comments** (`<!-- ... -->`) before each visual block explaining its purpose and color."""

PROMPT_FORMS = ("chat", "raw")

# A section is well-delimited when its opening tag is closed before another one opens.
_REASONING = re.compile(r"<reasoning>((?:(?!<reasoning>).)*?)</reasoning>", re.DOTALL)
_SVG = re.compile(r"<svg(?=[\s>])(?:(?!<svg[\s>]).)*?</svg>", re.DOTALL)


def build_prompt(description: str) -> str:
    """Return the template with the description in it (surrounding white space removed)."""
    # str.replace, not str.format: descriptions may hold braces.
    return TEMPLATE.replace("{description}", description.strip())


def format_prompt(tokenizer: Any, description: str, form: str = "chat", before: Iterable[tuple[str, str]] = ()) -> str:
    """Return the text the answer is appended to.

    "chat": the tokenizer's own chat template with one user turn and no system turn. Some templates put in a
    default system message of their own; it is taken out, so that the prompt is the same text for every base.
    "raw": the template alone and an empty line, for bases without a chat template.
    before: earlier descriptions and the answers to them, of a conversation in which a drawing is changed.
    Raises ValueError when the form is unknown or the tokenizer has no chat template.
    """
    turns = [(build_prompt(earlier), answer) for earlier, answer in before]
    prompt = build_prompt(description)
    if form == "raw":
        return "".join(f"{asked}\n\n{answer}\n\n" for asked, answer in turns) + prompt + "\n\n"
    if form != "chat":
        raise ValueError(f"prompt form {form!r} is unknown; use one of {', '.join(PROMPT_FORMS)}")
    if not tokenizer.chat_template:
        raise ValueError("this base's tokenizer has no chat template; use the prompt form 'raw'")
    messages = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    messages.append({"role": "user", "content": prompt})
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    first = messages[0]["content"]
    head, tail = text.split(first, 1)
    start_of_user_turn = max(head.rfind("<|im_start|>"), 0)  # ChatML; other templates are left as they are
    return head[start_of_user_turn:] + first + tail


def end_of_turn(tokenizer: Any) -> str:
    """Return the token an answer ends with: `<|im_end|>` where the base knows it (ChatML), else its EOS.

    Base (not instruct) checkpoints of ChatML families name another EOS, and GGUF files may name none.
    """
    return "<|im_end|>" if "<|im_end|>" in tokenizer.get_vocab() else tokenizer.eos_token


def extract_reasoning(answer: str) -> str | None:
    """Return the text of the first well-delimited reasoning section, or None when it is missing or blank."""
    match = _REASONING.search(answer)
    return match.group(1).strip() or None if match else None


def extract_svg(answer: str) -> str | None:
    """Return the first well-delimited `<svg …>…</svg>` behind the reasoning, tags included, or None."""
    # The reasoning may name the tag (`<svg>`) in passing: look behind it first.
    reasoning = _REASONING.search(answer)
    match = _SVG.search(answer, reasoning.end() if reasoning else 0)
    return match.group(0) if match else None


def find_sections(answer: str) -> tuple[re.Match | None, re.Match | None]:
    """Return where the reasoning and the SVG are; the SVG also where it stands, against the rule, before the other."""
    reasoning = _REASONING.search(answer)
    if reasoning is None or not reasoning.group(1).strip():
        return None, _SVG.search(answer)
    return reasoning, _SVG.search(answer, reasoning.end()) or _SVG.search(answer, 0, reasoning.start())
