"""Outlines as lines and cubic curves, for any tolerance at once.

Each outline is cut at its corners; each piece becomes a tree: a node is one curve fitted to its stretch of the outline
(least squares, after Philip J. Schneider, "An algorithm for automatically fitting digitized curves", Graphics Gems,
1990), its children are the two halves at the point that lies furthest off. A tolerance cuts the trees: the topmost
nodes that are near enough are drawn. All stretches of a level are fitted together, in numpy.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from qwen_svg.svg.values import Command

SAMPLES = 25  # points of a stretch that a curve is fitted to
FINEST = 0.16  # pixels; nearer than that no curve is asked to be
ARM = 4  # points, which are a pixel apart, on both sides that tell a corner
TURN = 0.6  # radians between them, from which it may be one
SIDE = (2, 5)  # points away, between which a side of a corner is a line
MITER = 4  # pixels by which a corner may be cut off between them
ROUND = 0.72  # of the turn twice as far away: a circle's has half of it, a corner's all
PARALLEL = 1e4  # weight that keeps the ends of curves in line where they meet smoothly


@dataclass
class Node:
    start: tuple[float, float]
    curve: tuple[float, ...]  # two handles and the end
    error: float  # of the curve, canvas units
    line_error: float
    children: tuple["Node", "Node"] | None = None


Tree = list[Node]  # of one closed outline, end to end


def trees(outlines: list[Any], step: float) -> list[Tree]:
    """Return a tree for each closed outline, float arrays (n, 2). step: canvas units of a pixel."""
    stretches, owner = [], []
    points, offset = [], 0
    for i, outline in enumerate(outlines):
        p, corner = sharpened(even(outline, step), step)
        n = len(p)
        cuts = _cuts(p, corner)
        # Stretches as indices into all points together: from cut to cut, the last one over the seam.
        for a, b in zip(cuts, [*cuts[1:], cuts[0] + n], strict=True):
            stretches.append((offset + ARM + a, offset + ARM + b, corner[a % n], corner[b % n]))
            owner.append(i)
        # Twice around, so that a stretch over the seam is a slice; and some more, for tangents.
        points.append(np.concatenate([p[-ARM:], p, p, p[:ARM]]))
        offset += len(points[-1])
    if not stretches:
        return [[] for _ in outlines]
    roots = _grow(np.concatenate(points), stretches, FINEST * step)
    found: list[Tree] = [[] for _ in outlines]
    for i, root in zip(owner, roots, strict=True):
        found[i].append(root)
    return found


def even(outline: Any, step: float) -> Any:
    """Return the closed outline with points `step` apart."""
    closed = np.concatenate([outline, outline[:1]])
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    n = max(8, round(along[-1] / step))
    at = np.arange(n) * along[-1] / n
    return np.stack([np.interp(at, along, closed[:, i]) for i in (0, 1)], axis=1)


def sharpened(p: Any, step: float) -> tuple[Any, Any]:
    """Return the points with corners where the lines on both sides meet, and a bool array (n,): which are corners."""
    n = len(p)
    # At a corner the outline turns as much seen from near as from twice as far; on a curve, half as much.
    near, far = _turn(p, ARM), _turn(p, 2 * ARM)
    turn = np.where((near > TURN) & (near > ROUND * far), near, 0)
    corner = np.zeros(n, bool)
    for i in np.argsort(-turn, kind="stable"):  # the sharpest first; it keeps others from its neighbourhood
        if not turn[i]:
            break
        if not corner[np.arange(i - ARM + 1, i + ARM) % n].any():
            corner[i] = True
    q = p.copy()
    for i in np.nonzero(corner)[0]:
        # Two points on each side give a line; where the lines meet, a[1] + s u with s = (w × v) / (u × v), the corner
        # was before it was drawn in pixels.
        a, b = (p[(i + sign * np.array(SIDE)) % n] for sign in (-1, 1))
        u, v = a[0] - a[1], b[0] - b[1]
        cross = u[0] * v[1] - u[1] * v[0]
        if abs(cross) < 1e-6:  # parallel
            continue
        w = b[1] - a[1]
        meet = a[1] + u * (w[0] * v[1] - w[1] * v[0]) / cross
        if np.hypot(*(meet - p[i])) < MITER * step:
            q[i] = meet
            q[i - 1], q[(i + 1) % n] = (a[0] + meet) / 2, (b[0] + meet) / 2
    return q, corner


def _turn(p: Any, arm: int) -> Any:
    """Return by how much the outline turns at each point, in radians, seen `arm` points away."""
    a, b = p - np.roll(p, arm, axis=0), np.roll(p, -arm, axis=0) - p
    return np.abs(np.arctan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(axis=1)))


def _cuts(p: Any, corner: Any) -> list[int]:
    """Return where the outline is cut: at its corners, or at two points that lie far from each other."""
    cuts = [int(i) for i in np.nonzero(corner)[0]]
    if not cuts:
        cuts = sorted({int(p[:, 0].argmin()), int(p[:, 0].argmax())})
    if len(cuts) == 1:
        cuts = sorted([cuts[0], int(((p - p[cuts[0]]) ** 2).sum(axis=1).argmax())])
    return cuts


def _grow(points: Any, stretches: list[tuple[int, int, bool, bool]], finest: float) -> list[Node]:
    """Fit level after level, until all is near enough or too short to be cut again."""
    roots: list[Node] = []
    level, parents = stretches, []
    while level:
        nodes, splits = _fit(points, level)
        # `level` holds the halves of each parent, one after the other.
        for i, parent in enumerate(parents):
            parent.children = (nodes[2 * i], nodes[2 * i + 1])
        roots = roots or nodes
        below, parents = [], []
        for node, split, (a, b, sharp_a, sharp_b) in zip(nodes, splits, level, strict=True):
            if min(node.error, node.line_error) > finest and b - a >= 6:
                below += [(a, split, sharp_a, False), (split, b, False, sharp_b)]
                parents.append(node)
        level = below
    return roots


def _fit(points: Any, level: list[tuple[int, int, bool, bool]]) -> tuple[list[Node], list[int]]:
    """Return a node for each stretch (first point, last, whether these are corners), and where to cut it.

    S stretches at once: arrays of SAMPLES points each, however long the stretches are.
    """
    a, b, sharp_a, sharp_b = (np.array(column) for column in zip(*level, strict=True))
    # The points to be met, at even steps along the outline: between its points, by interpolation.
    share = np.linspace(0, 1, SAMPLES)
    at = a[:, None] + (b - a)[:, None] * share
    below = np.minimum(at.astype(int), len(points) - 2)
    rest = (at - below)[..., None]
    q = points[below] * (1 - rest) + points[below + 1] * rest  # (S, SAMPLES, 2)
    p0, p3 = points[a], points[b]
    ends = np.stack([_tangent(points, a, b, sharp_a, 1), _tangent(points, b, a, sharp_b, -1)], axis=1)
    # Which point of the curve is to meet which of the outline is not known: start from even steps, fit, take for each
    # point the parameter of the nearest one on the curve (a Newton step, without the term of curvature), fit again.
    t = np.broadcast_to(share, at.shape)
    for _ in range(3):
        handles = _handles(q, t, p0, p3, ends, np.stack([sharp_a, sharp_b], axis=1))
        on, velocity = _curve(t, p0, handles, p3)
        off = q - on
        t = np.clip(t + (off * velocity).sum(-1) / np.maximum((velocity**2).sum(-1), 1e-9), 0, 1)
    on, _ = _curve(t, p0, handles, p3)
    off = np.hypot(*np.moveaxis(q - on, -1, 0))
    # The same points against the straight line: |(q - p0) × chord| / |chord|.
    chord = p3 - p0
    length = np.maximum(np.hypot(*chord.T), 1e-9)
    from_p0 = q - p0[:, None]
    beside = np.abs(from_p0[..., 0] * chord[:, None, 1] - from_p0[..., 1] * chord[:, None, 0]) / length[:, None]
    # Of a stretch that ends where it starts, the distance from there.
    beside = np.where(length[:, None] < 1e-6, np.hypot(*np.moveaxis(from_p0, -1, 0)), beside)
    # Cut where the curve is furthest off, but leave both halves something to be fitted to.
    worst = np.clip(off[:, 4:-4].argmax(axis=1) + 4, 4, SAMPLES - 5)
    splits = np.clip(np.rint(at[np.arange(len(a)), worst]).astype(int), a + 2, np.maximum(b - 2, a + 2))
    nodes = [
        Node(tuple(s), (*h.ravel().tolist(), *e), float(error), float(line))
        for s, h, e, error, line in zip(
            p0.tolist(), handles, p3.tolist(), off.max(axis=1), beside.max(axis=1), strict=True
        )
    ]
    return nodes, splits.tolist()


def _tangent(points: Any, i: Any, other: Any, sharp: Any, sign: int) -> Any:
    """Return unit vectors from the ends `i` into the stretches: of both sides where it is smooth."""
    # One-sided at a corner; elsewhere the chord across the end, so that both neighbours have the same tangent there.
    reach = np.minimum(ARM, np.maximum(np.abs(other - i) // 2, 1))
    d = points[i + sign * reach] - points[i - sign * np.where(sharp, 0, reach)]
    return d / np.maximum(np.hypot(*d.T), 1e-9)[:, None]


def _handles(q: Any, t: Any, p0: Any, p3: Any, ends: Any, sharp: Any) -> Any:
    """Return the handles (S, 2, 2) that bring the curve nearest to the points q at the parameters t.

    Each is its end plus (along, across) its tangent; across costs nothing at a corner and a lot elsewhere.
    """
    # With tangents T0, T3 and normals N0, N3 of length 1 the handles are p0 + x0 T0 + x1 N0 and p3 + x2 T3 + x3 N3. The
    # curve is linear in x: base + Σ weights_k axes_k x_k, with the Bernstein polynomials b1, b2 as weights. So least
    # squares are normal equations, four by four for each stretch.
    u = 1 - t
    b1, b2 = 3 * u * u * t, 3 * u * t * t
    base = (u**3 + b1)[..., None] * p0[:, None] + (t**3 + b2)[..., None] * p3[:, None]
    normals = np.stack([-ends[..., 1], ends[..., 0]], axis=-1)
    axes = np.stack([ends[:, 0], normals[:, 0], ends[:, 1], normals[:, 1]], axis=1)  # (S, 4, 2)
    weights = np.stack([b1, b1, b2, b2], axis=1)  # (S, 4, SAMPLES)
    normal = (weights[:, :, None] * weights[:, None]).sum(-1) * (axes[:, :, None] * axes[:, None]).sum(-1)
    wanted = (weights * ((q - base)[:, None] * axes[:, :, None]).sum(-1)).sum(-1)
    # Ridge: x1, x3 may be anything at a corner and next to nothing elsewhere; x0, x2 only get so much that the matrix
    # is never singular.
    across = np.where(sharp, 1e-3, PARALLEL)
    normal[:, [1, 3], [1, 3]] += across
    normal[:, [0, 2], [0, 2]] += 1e-6
    x = np.linalg.solve(normal, wanted[..., None])[..., 0]
    chord = np.hypot(*(p3 - p0).T)
    # A handle that turns back makes a loop: in its place, a third of the chord.
    along = np.where((x[:, [0, 2]] > 0.01 * chord[:, None]) | sharp, x[:, [0, 2]], chord[:, None] / 3)
    steps = along[..., None] * ends + x[:, [1, 3], None] * normals
    return np.stack([p0, p3], axis=1) + steps


def _curve(t: Any, p0: Any, handles: Any, p3: Any) -> tuple[Any, Any]:
    """Return points on the curves and their derivatives (S, SAMPLES, 2)."""
    u, t = 1 - t[..., None], t[..., None]
    c1, c2 = handles[:, None, 0], handles[:, None, 1]
    p0, p3 = p0[:, None], p3[:, None]
    on = u**3 * p0 + 3 * u * u * t * c1 + 3 * u * t * t * c2 + t**3 * p3
    return on, 3 * (u * u * (c1 - p0) + 2 * u * t * (c2 - c1) + t * t * (p3 - c2))


def path(tree: Tree, tolerance: float) -> list[Command]:
    """Return the closed outline in path commands, no further off than the tolerance where the tree goes that deep."""
    commands: list[Command] = [("M", tree[0].start)]
    stack = tree[::-1]  # depth first, in the order of the outline
    while stack:
        node = stack.pop()
        if node.line_error <= tolerance:
            commands.append(("L", node.curve[4:]))
        elif node.error <= tolerance or node.children is None:
            commands.append(("C", node.curve))
        else:
            stack += node.children[::-1]
    return commands
