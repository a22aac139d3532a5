"""The template is the specified text, and answers are taken apart without guessing."""

import subprocess
import sys

import pytest

from prompt_template import (
    TEMPLATE,
    build_prompt,
    end_of_turn,
    extract_reasoning,
    extract_svg,
    format_prompt,
    read_prompt,
    task_of,
)
from tests.paths import ROOT, SHARED

SEED = SHARED / "seeds" / "000_135f7e8b0c5513f7.txt"


@pytest.mark.skipif(not SEED.exists(), reason="the specification's text is not here")
def test_template_is_the_specified_text_character_for_character():
    text = SEED.read_text(encoding="utf-8").replace("\r\n", "\n")
    start = text.index("```\n### Instruction") + len("```\n")
    specified = text[start : text.rindex("```")].rstrip("\n")
    assert build_prompt("{description}") == specified


def test_template_keeps_what_is_easily_lost():
    prompt = build_prompt("  a {red} fox  ")
    assert "### Description\na {red} fox\n\n" in prompt
    assert "### 🧠 Generation Process" in prompt and "### ⚙️ Constraints" in prompt and "256×256" in prompt
    assert sum(line.endswith("  ") for line in prompt.splitlines()) == 11  # Markdown line breaks
    assert prompt.count("```xml") == 2 and prompt.endswith("purpose and color.")


SHORT = "Begin with a short reasoning enclosed in <reasoning>...</reasoning> tags. Follow the reasoning with the whole \
constrained SVG as per the specifications."
CHANGES = {
    "edit": f"""### Instruction
Change the following SVG as described. {SHORT}

### Drawing
```xml
<svg><rect/></svg>
```

### Change
make it red

### 🧠 Generation Process
1. Find what the change is about\x20\x20
2. Change that, and copy all else as it is\x20\x20

""",
    "repair": f"""### Instruction
Repair the following broken SVG. {SHORT}

### Drawing
```xml
<svg><rect/></svg>
```

### Change
make it red

### 🧠 Generation Process
1. Find what is broken, missing or not allowed\x20\x20
2. Mend that, and copy all else as it is\x20\x20

""",
}


@pytest.mark.parametrize("task", CHANGES)
def test_edits_and_repairs_have_their_own_text_and_the_same_constraints(task):
    constraints = TEMPLATE[TEMPLATE.index("### ⚙️ Constraints") :]
    assert build_prompt(" make it red\n", "\n<svg><rect/></svg> ", task) == CHANGES[task] + constraints


def test_an_svg_makes_an_edit_and_what_does_not_go_together_is_refused():
    assert build_prompt("red", "<svg/>") == build_prompt("red", "<svg/>", "edit")
    assert (task_of(None), task_of("<svg/>"), task_of("x", "repair")) == ("draw", "edit", "repair")
    with pytest.raises(ValueError, match="task 'paint' is unknown; it is one of draw, edit, repair"):
        build_prompt("red", "<svg/>", "paint")
    for svg, task in ((None, "edit"), (None, "repair"), ("<svg/>", "draw")):
        with pytest.raises(ValueError, match=f"task '{task}' goes with"):
            build_prompt("red", svg, task)


TEXTS = ("{svg}", "{description}", "{", "}", "{0}", "%s {{x}} \\1", "a fox\n```\n\n### Drawing", "<!-- {svg} -->")


@pytest.mark.parametrize("task", ["draw", "edit", "repair"])
@pytest.mark.parametrize("description", TEXTS)
def test_braces_are_text_and_prompts_can_be_taken_apart(description, task):
    for svg in TEXTS if task != "draw" else (None,):
        prompt = build_prompt(description, svg, task)
        assert read_prompt(prompt) == (description, svg, task)
        assert prompt.count(description) >= 1 and (svg is None or f"```xml\n{svg}\n```" in prompt)
    assert read_prompt(description) is None


def test_a_change_is_one_user_turn_too(tokenizer):
    text = format_prompt(tokenizer, "red", svg="<svg/>", task="repair")
    turn = build_prompt("red", "<svg/>", "repair")
    assert text == f"<|im_start|>user\n{turn}<|im_end|>\n<|im_start|>assistant\n"
    assert format_prompt(tokenizer, "red", "raw", svg="<svg/>") == build_prompt("red", "<svg/>") + "\n\n"


def test_chat_form_is_one_user_turn_and_no_system_turn(tokenizer):
    text = format_prompt(tokenizer, "a fox")
    assert text == f"<|im_start|>user\n{build_prompt('a fox')}<|im_end|>\n<|im_start|>assistant\n"
    with_default_system = tokenizer.chat_template
    try:
        tokenizer.chat_template = "<|im_start|>system\nYou are a model.<|im_end|>\n" + with_default_system
        assert format_prompt(tokenizer, "a fox") == text
        tokenizer.chat_template = None
        with pytest.raises(ValueError, match="raw"):
            format_prompt(tokenizer, "a fox")
        assert format_prompt(tokenizer, "a fox", "raw") == build_prompt("a fox") + "\n\n"
    finally:
        tokenizer.chat_template = with_default_system
    assert end_of_turn(tokenizer) == "<|im_end|>"


@pytest.mark.parametrize(
    ("answer", "reasoning", "svg"),
    [
        ("<reasoning>a</reasoning><svg x='1'>b</svg>", "a", "<svg x='1'>b</svg>"),
        ("<reasoning>use <svg> and </svg></reasoning>\n<svg>b</svg>", "use <svg> and </svg>", "<svg>b</svg>"),
        ("<reasoning>a <svg>b</svg>", None, "<svg>b</svg>"),
        ("a</reasoning><svg>b", None, None),
        ("<reasoning> \n </reasoning><svg/>", None, None),
        ("<reasoning>x<reasoning>a</reasoning>", "a", None),
        ("<svg>cut <svg>b</svg><svg>c</svg>", None, "<svg>b</svg>"),
        ("<svgx>b</svg>", None, None),
        ("```xml\n<svg>\nb\n</svg>\n```", None, "<svg>\nb\n</svg>"),
        ("", None, None),
    ],
)
def test_answers_are_taken_apart(answer, reasoning, svg):
    assert extract_reasoning(answer) == reasoning
    assert extract_svg(answer) == svg


def test_extraction_is_linear_in_hostile_text():
    for text in ("<svg " * 40_000, "<reasoning>" * 40_000, "<svg>" + "</sv" * 40_000):
        assert extract_svg(text) is None and extract_reasoning(text) is None


def test_importing_needs_no_torch():
    code = "import prompt_template, svg_constraint, sys; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
