"""Why a file cannot be used."""


class Refused(ValueError):
    """This SVG cannot be brought into the dialect; the text is a short reason that can be counted."""
