"""Random drawings of what goes wrong: clips, masks, dashes, even-odd, gradients, transforms, odd viewBoxes."""

import random
from collections.abc import Iterator

VIEWS = ("0 0 100 100", "-10 5 120 80", "0 0 1000 500", "3.3 -2.7 24 24", "0 0 1 1", "-50 -50 100 300", "1000 1000 9 7")
ASPECTS = ("", 'preserveAspectRatio="none"', 'preserveAspectRatio="xMinYMax slice"', 'preserveAspectRatio="xMaxYMin"')
SIZES = ("", 'width="64"', 'width="30mm" height="5cm"', 'width="200" height="90"', 'height="4em"')
STOPS = (
    '<stop offset="0" stop-color="red"/><stop offset="1" stop-color="blue" stop-opacity=".3"/>',
    '<stop offset="20%" style="stop-color:#0a0"/><stop offset=".2" stop-color="navy"/>'
    '<stop offset="2" stop-color="gold"/>',
    '<stop offset=".5" stop-color="currentColor"/>',
)
ARGUMENTS = {"L": "xy", "H": "x", "V": "y", "Q": "xyxy", "C": "xyxyxy", "T": "xy", "S": "xyxy", "Z": ""}


def random_drawings(seed: int) -> Iterator[str]:
    """Yield SVG documents without end, the same for the same seed."""
    choose = random.Random(seed)
    while True:
        yield Drawer(choose).document()


class Drawer:
    """Draws within one viewBox: `x`, `y` and `length` are in its units."""

    def __init__(self, choose: random.Random):
        self.choose = choose
        self.view = choose.choice(VIEWS)
        self.left, self.top, self.width, self.height = map(float, self.view.split())

    def number(self, low: float, high: float) -> str:
        places = self.choose.choice((1, 2, 3, 5) if high - low < 5 else (0, 1, 2, 3))
        return f"{self.choose.uniform(low, high):.{places}f}"

    def x(self) -> str:
        return self.number(self.left - 0.2 * self.width, self.left + 1.2 * self.width)

    def y(self) -> str:
        return self.number(self.top - 0.2 * self.height, self.top + 1.2 * self.height)

    def length(self, share: float = 0.5) -> str:
        if self.choose.random() < 0.1:
            return self.number(1, 100 * share) + "%"
        return self.number(0.01 * self.width, share * self.width)

    def some(self, *texts: str) -> str:
        """One of the texts, or none."""
        return self.choose.choice(("", "", *texts)) + " "

    def document(self) -> str:
        style = self.some('fill-rule="evenodd"', 'style="clip-rule:evenodd;stroke-width:2%"', 'font-size="7"')
        root = " ".join((self.choose.choice(SIZES), self.choose.choice(ASPECTS), style))
        body = self.definitions() + "".join(self.element(0) for _ in range(self.choose.randint(1, 4)))
        return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{self.view}" {root}>{body}</svg>'

    def definitions(self) -> str:
        units = self.some('gradientUnits="userSpaceOnUse"', f'gradientTransform="{self.transform()}"')
        spread = self.some('spreadMethod="reflect"', 'spreadMethod="repeat"')
        ends = self.some('x2="30%" y2="80%"') if "userSpace" not in units else f'x1="{self.x()}" y2="{self.y()}"'
        overflow = self.some('overflow="visible"')
        focus = self.some("r='70%' fx='30%'", "cx='0' r='1'")
        nested = self.some('clip-path="url(#d)"', 'clip-rule="evenodd"', f'transform="{self.transform()}"')
        return (
            f'<defs><linearGradient id="g" {units}{spread}{ends}>{self.choose.choice(STOPS)}</linearGradient>'
            f'<radialGradient id="r" {spread}{focus}>'
            f"{self.choose.choice(STOPS)}</radialGradient>"
            f'<clipPath id="c" {nested}>{self.bare_shape()}{self.bare_shape()}</clipPath>'
            f'<clipPath id="d">{self.bare_shape()}</clipPath>'
            f'<mask id="m" maskUnits="userSpaceOnUse" x="{self.x()}" y="{self.y()}" width="{self.length(1)}" '
            f'height="{self.length(1)}"><g fill="white">{self.bare_shape()}</g></mask>'
            f'<symbol id="s" viewBox="0 0 10 {self.number(2, 20)}" {overflow}>'
            f'<circle cx="5" cy="5" r="{self.number(1, 9)}"/></symbol><g id="u">{self.shape()}</g></defs>'
        )

    def element(self, depth: int) -> str:
        kind = self.choose.random()
        if kind < 0.15 and depth < 3:
            inner = "".join(self.element(depth + 1) for _ in range(self.choose.randint(1, 3)))
            return f"<g {self.look()}>{inner}</g>"
        if kind < 0.22 and depth < 3:
            size = f'x="{self.x()}" y="{self.y()}" width="{self.length(1)}" height="{self.length(1)}"'
            return f'<svg {size} viewBox="{self.view}" {self.choose.choice(ASPECTS)}>{self.element(depth + 1)}</svg>'
        if kind < 0.29:
            size = f'x="{self.x()}" width="{self.length(1)}" height="{self.length(1)}"'
            return f'<use href="#{self.choose.choice("su")}" {size} {self.look()}/>'
        if kind < 0.36:
            return self.hatching()
        return self.shape()

    def hatching(self) -> str:
        step, first = self.width / self.choose.randint(8, 64), self.choose.uniform(0, 1)
        lines = "".join(f"M{self.left + (i + first) * step:.4f} {self.top}v{self.height}" for i in range(12))
        return f'<path d="{lines}" stroke="green" stroke-width="{step * self.choose.uniform(0.05, 0.6):.4f}"/>'

    def shape(self) -> str:
        return self.bare_shape(self.look())

    def bare_shape(self, look: str = "") -> str:
        kind = self.choose.choice(("path", "path", "path", "rect", "circle", "ellipse", "polygon", "polyline", "line"))
        if kind == "path":
            geometry = f'd="{self.path()}"'
        elif kind == "rect":
            geometry = f'x="{self.x()}" y="{self.y()}" width="{self.length()}" height="{self.length()}" '
            geometry += self.some(f'rx="{self.length(0.2)}"', f'ry="{self.length(0.2)}"', 'rx="-3" ry="20%"')
        elif kind in ("circle", "ellipse"):
            geometry = f'cx="{self.x()}" cy="{self.y()}" r="{self.length(0.3)}" '
            geometry += f'rx="{self.length(0.3)}" ry="{self.length()}"'
        elif kind == "line":
            geometry = f'x1="{self.x()}" y1="{self.y()}" x2="{self.x()}" y2="{self.y()}"'
        else:
            points = " ".join(f"{self.x()},{self.y()}" for _ in range(self.choose.randint(2, 9)))
            geometry = f'points="{points}"'
        return f"<{kind} {geometry} {look}/>"

    def path(self) -> str:
        if self.choose.random() < 0.2:
            flags = f"{self.choose.randint(0, 90)} {self.choose.randint(0, 1)} {self.choose.randint(0, 1)}"
            radii = (self.number(0, self.width), self.number(0.01 * self.width, self.width))
            return f"M{self.x()} {self.y()}A{radii[0]} {radii[1]} {flags} {self.x()} {self.y()}z"
        text = f"M{self.x()} {self.y()}"
        for _ in range(self.choose.randint(0, 6)):
            letter = self.choose.choice("LQCHVTSZM" if "z" not in text else "L")
            text += letter + " ".join(getattr(self, axis)() for axis in ARGUMENTS.get(letter, "xy"))
        return text

    def look(self) -> str:
        text = self.some('fill="url(#g)"', 'fill="url( #r ) lime"', 'fill="none"', 'fill="hsl(40,80%,50%)"')
        if self.choose.random() < 0.45:
            text += f'stroke="{self.choose.choice(("red", "#00f8", "url(#r)"))}" stroke-width="{self.length(0.15)}" '
            text += self.some('stroke-linejoin="round"', 'stroke-linejoin="bevel"', 'stroke-miterlimit="9"')
            text += self.some('stroke-linecap="round"', 'stroke-linecap="square"')
            dashes = f'stroke-dasharray="{self.length(0.2)} {self.length(0.1)}" stroke-dashoffset="{self.length(0.1)}"'
            text += self.some(dashes, dashes, 'paint-order="stroke"')
        text += self.some('fill-rule="evenodd"', 'style="fill-opacity:40%"')
        text += self.some('opacity=".6"', 'clip-path="url(#c)"', 'mask="url(#m)"', f'transform="{self.transform()}"')
        return text

    def transform(self) -> str:
        about = f"{self.x()} {self.y()}"
        return self.choose.choice(
            (
                f"rotate({self.number(0, 360)} {about})",
                f"translate({self.length(0.2).rstrip('%')}) skewX({self.number(-30, 30)})",
                f"scale({self.number(-1.5, 1.5)} 1)",
                f"matrix({self.number(0.2, 1.5)} 0.1 -.3 {self.number(0.5, 2)} 0 0)",
            )
        )
