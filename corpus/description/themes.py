"""What descriptions are about, with a few of each to show the form: short, concrete, in lower case, a thing to draw."""

# The competition "Drawing with LLMs" names about a dozen categories, landscapes, abstract art and fashion among them.
THEMES: dict[str, tuple[str, ...]] = {
    "landscapes and sky": (
        "two pine trees on a snowy slope under a pale moon",
        "an orange desert with a single flat-topped rock",
    ),
    "animals": (
        "a gray heron standing in shallow water",
        "a striped snail on a green leaf",
    ),
    "plants and gardens": (
        "three tulips in a clay pot",
        "a round cactus with one pink flower",
    ),
    "food and drink": (
        "a slice of watermelon with black seeds",
        "a steaming bowl of noodles with chopsticks across it",
    ),
    "clothes and fashion": (
        "a mustard yellow raincoat with four round buttons",
        "knee-high brown boots with red laces",
    ),
    "abstract shapes": (
        "seven thin circles, each inside the next, from navy to white",
        "teal triangles pointing at a coral square",
    ),
    "buildings": (
        "a narrow blue house between two taller ones",
        "a stone bridge with three arches over a canal",
    ),
    "vehicles": (
        "a green tractor seen from the side",
        "a small sailboat with a patched white sail",
    ),
    "household things": (
        "a brass desk lamp with a bent neck",
        "an armchair with a checkered blanket over its back",
    ),
    "tools and machines": (
        "a claw hammer lying across a saw",
        "three gears of different sizes that mesh",
    ),
    "weather and seasons": (
        "a gray cloud with slanting rain over a puddle",
        "bare branches with a few last yellow leaves",
    ),
    "music, games and sport": (
        "a violin leaning on a wooden chair",
        "a chessboard with only two black rooks left",
    ),
}
