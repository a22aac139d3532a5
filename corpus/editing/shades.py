"""What is darker or lighter than a colour and still the same hue: CSS names."""

DARKER = {
    "red": "darkred", "orange": "chocolate", "yellow": "goldenrod", "green": "darkgreen", "blue": "darkblue",
    "purple": "indigo", "pink": "palevioletred", "brown": "maroon", "gray": "dimgray", "teal": "darkslategray",
    "white": "lightgray", "light-blue": "steelblue", "light-gray": "gray", "light-green": "seagreen", "beige": "tan",
    "lavender": "mediumpurple", "tan": "peru",
}  # fmt: skip
LIGHTER = {
    "red": "salmon", "green": "limegreen", "blue": "cornflowerblue", "purple": "mediumorchid", "navy": "royalblue",
    "gray": "lightgray", "brown": "indianred", "teal": "mediumturquoise", "black": "dimgray",
    "tan": "wheat", "light-blue": "azure",
}  # fmt: skip
