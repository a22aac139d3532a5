"""The instruction templates, one for each task: building prompts, taking prompts and answers apart.

Every sample, in training, testing and serving, is its task's text with the description put in: "draw", "edit" (a
drawing is changed) or "repair" (one that is broken is made whole). The two lists in it are rendered from
`svg_constraint.py`, so what is asked is what is checked. An answer is, for all three, a whole drawing,

    <reasoning>…</reasoning><svg>…</svg>

followed by the base model's end-of-turn token. This file imports no torch: it starts in milliseconds.
"""

import re
from collections.abc import Iterable
from typing import Any

from svg_constraint import PROMPT_ATTRIBUTES, PROMPT_TAGS, SVG_OPEN


def _code_list(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# Two trailing spaces are Markdown line breaks and part of the templates: the model has seen them in training.
_CONSTRAINTS = f"""\
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

{_CONSTRAINTS}"""

EDIT_TEMPLATE = f"""\
### Instruction
Change the following SVG as described. Begin with a short reasoning enclosed in <reasoning>...</reasoning> tags. \
Follow the reasoning with the whole constrained SVG as per the specifications.

### Drawing
```xml
{{svg}}
```

### Change
{{description}}

### 🧠 Generation Process
1. Find what the change is about\x20\x20
2. Change that, and copy all else as it is\x20\x20

{_CONSTRAINTS}"""

REPAIR_TEMPLATE = f"""\
### Instruction
Repair the following broken SVG. Begin with a short reasoning enclosed in <reasoning>...</reasoning> tags. \
Follow the reasoning with the whole constrained SVG as per the specifications.

### Drawing
```xml
{{svg}}
```

### Change
{{description}}

### 🧠 Generation Process
1. Find what is broken, missing or not allowed\x20\x20
2. Mend that, and copy all else as it is\x20\x20

{_CONSTRAINTS}"""

TEMPLATES = {"draw": TEMPLATE, "edit": EDIT_TEMPLATE, "repair": REPAIR_TEMPLATE}
REPAIR = "Repair this drawing."  # the description of a repair that has none

PROMPT_FORMS = ("chat", "raw")
_PLACE = re.compile(r"\{(description|svg)\}")

# A section is well-delimited when its opening tag is closed before another one opens.
_REASONING = re.compile(r"<reasoning>((?:(?!<reasoning>).)*?)</reasoning>", re.DOTALL)
_SVG = re.compile(r"<svg(?=[\s>])(?:(?!<svg[\s>]).)*?</svg>", re.DOTALL)


def task_of(svg: str | None, task: str | None = None) -> str:
    """Return the task, "draw", "edit" or "repair"; where it is left out (None): "edit" of an SVG, else "draw".

    svg: what is to be changed. Raises ValueError for another task, and for one that goes without an SVG, or with one.
    """
    task = task or ("draw" if svg is None else "edit")
    if task not in TEMPLATES:
        raise ValueError(f"task {task!r} is unknown; it is one of {', '.join(TEMPLATES)}")
    if (task == "draw") != (svg is None):
        raise ValueError(f"task {task!r} goes {'without' if task == 'draw' else 'with'} an 'svg'")
    return task


def build_prompt(description: str, svg: str | None = None, task: str | None = None) -> str:
    """Return the task's template with description and SVG in it (surrounding white space removed).

    description: what to draw, or how to change `svg`, which stays as it is, broken or not. Raises what `task_of` does.
    """
    texts = {"description": description.strip(), "svg": (svg or "").strip()}
    # In one pass, and not by str.format: descriptions and SVGs may hold braces, and each other's place.
    return _PLACE.sub(lambda place: texts[place[1]], TEMPLATES[task_of(svg, task)])


def read_prompt(prompt: str) -> tuple[str, str | None, str] | None:
    """Return (description, SVG or None, task) of what `build_prompt` has built, or None for another text."""
    for task, template in TEMPLATES.items():
        head, *middle, tail = _PLACE.split(template)[::2]
        if prompt.startswith(head) and prompt.endswith(tail):
            inside = prompt[len(head) : len(prompt) - len(tail)]
            if task == "draw":
                return inside, None, task
            svg, found, description = inside.rpartition(middle[0])
            if found:
                return description, svg, task
    return None


def format_prompt(
    tokenizer: Any,
    description: str,
    form: str = "chat",
    before: Iterable[tuple[str, str]] = (),
    svg: str | None = None,
    task: str | None = None,
) -> str:
    """Return the text the answer is appended to. description, svg, task: as of `build_prompt`.

    "chat": the tokenizer's own chat template with one user turn and no system turn. Some templates put in a
    default system message of their own; it is taken out, so that the prompt is the same text for every base.
    "raw": the template alone and an empty line, for bases without a chat template.
    before: earlier descriptions and the answers to them, of a conversation in which a drawing is changed.
    Raises ValueError when the form is unknown or the tokenizer has no chat template, and what `task_of` does.
    """
    turns = [(build_prompt(earlier), answer) for earlier, answer in before]
    prompt = build_prompt(description, svg, task)
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
