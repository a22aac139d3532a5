"""The question to the vision-language model, varied: captions of one wording teach a model one wording."""

import random

STYLES = (
    "concise",
    "plain",
    "precise",
    "vivid",
    "matter-of-fact",
    "catalogue entry",
    "picture book",
    "drawing instruction",
)
FOCUSES = (
    "this object",
    "this drawing",
    "the main subject",
    "the subject and its colors",
    "the shapes and how they are arranged",
    "the subject and what surrounds it",
    "what a person would search for to find this icon",
)
WORD_LIMITS = (5, 10, 10, 15, 20, 30)  # people's own descriptions are short: ten words are the most frequent limit


def prompt_for(hash: str, seed: int) -> str:
    """Return the question for the drawing with this content hash: the same for the same seed, whatever the order."""
    draw = random.Random(f"{seed}:{hash}")
    focus, limit, style = draw.choice(FOCUSES), draw.choice(WORD_LIMITS), draw.choice(STYLES)
    return (
        f"Describe {focus} in {limit} words or less, {style} style. Say what is shown, not that it is an image or "
        "icon. Respond in English, with the description alone."
    )
