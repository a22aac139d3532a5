"""The user's data: JSONL of `{id, description, svg_content}`, read line by line, checked, split without leaks."""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import BinaryIO, Literal, TypeVar

from tqdm import tqdm

from prompt_template import extract_reasoning, extract_svg, task_of
from qwen_svg.common.answers import KINDS, tidied
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import require_data_file
from qwen_svg.common.kinship import description_key, drawing_key, group_of, unseen_kind
from qwen_svg.common.union_find import UnionFind

SHOW_BAR = 20 * 2**20  # bytes; a smaller file is read in a few seconds
LINE_LIMIT = 8 * 2**20  # bytes; an answer of 10,000 tokens has 30,000
FIELDS = ("id", "description", "svg_content")
SPLIT_SHARES = {"train": 0.90, "valid": 0.05, "test": 0.05}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the file. `answer` is `svg_content`: the reasoning and the SVG, as the model shall write it.

    Of an edit or a repair, `svg` is the drawing as it was, and `description` says what to do with it.
    """

    id: str
    description: str
    answer: str
    group: str | None = None  # samples of one group never fall on both sides of a split
    svg: str | None = None
    task: str = "draw"  # or "edit", "repair"

    def digest(self) -> bytes:
        """SHA-256 of what the model learns from."""
        learned = [self.id, self.description, self.answer] + ([self.svg, self.task] if self.svg is not None else [])
        return hashlib.sha256(json.dumps(learned).encode()).digest()

    @property
    def asked(self) -> tuple[str, str | None, str]:
        """What its prompt is built from."""
        return self.description, self.svg, self.task

    @property
    def drawings(self) -> tuple[bytes, ...]:
        """What samples with the same drawing share: the answer's, and the one that an edit begins with.

        What a repair begins with is no drawing: cut off early, many are alike.
        """
        svgs = [extract_svg(self.answer), (extract_svg(self.svg or "") or self.svg) if self.task == "edit" else None]
        return tuple(dict.fromkeys(drawing_key(svg) for svg in svgs if svg))


@dataclass(frozen=True, slots=True)
class SampleKey:
    """What splitting needs of a sample, without its answer: a large file's answers do not fit in memory."""

    id: str
    description: str
    group: str | None
    task: str
    drawings: tuple[bytes, ...]
    fingerprint: bytes

    @classmethod
    def of(cls, sample: Sample) -> "SampleKey":
        return cls(sample.id, sample.description, sample.group, sample.task, sample.drawings, sample.digest())

    def digest(self) -> bytes:
        return self.fingerprint


AnySample = TypeVar("AnySample", Sample, SampleKey)


@dataclass(frozen=True)
class Fault:
    """What is wrong with one line. "mended": harmless, and put right while reading (a BOM, a CRLF line end)."""

    line: int
    kind: str
    message: str
    fate: Literal["skipped", "mended", "kept"] = "skipped"


@dataclass
class ReadResult:
    path: Path
    ids: dict[str, int] = field(default_factory=dict)  # of usable samples, with their lines
    samples: list[Sample] = field(default_factory=list)  # empty after `stream_samples`, which hands them out
    read: int = 0  # usable samples
    no_group: int = 0  # of these, samples whose group says that there is none
    faults: list[Fault] = field(default_factory=list)

    def counts(self) -> dict:
        """Figures to print and save: samples read; lines skipped, mended and kept, by kind of fault."""
        fates = ("skipped", "mended", "kept")
        kinds = {fate: dict(Counter(fault.kind for fault in self.faults if fault.fate == fate)) for fate in fates}
        return {"read": self.read, **kinds}

    def report(self, at_most: int = 5) -> Iterator[str]:
        """Yield lines for the terminal: the counts, then the first faults with file and line number."""
        counts = self.counts()
        yield f"{self.path}: {counts['read']} samples read, {sum(counts['skipped'].values())} lines skipped"
        for fault in self.faults[:at_most]:
            yield f"  {self.path}:{fault.line}: {fault.message} ({fault.fate})"
        if len(self.faults) > at_most:
            kinds = {fate: kinds for fate, kinds in counts.items() if fate != "read" and kinds}
            yield f"  … and {len(self.faults) - at_most} more; in all: " + "; ".join(
                f"{fate} " + ", ".join(f"{n} × {kind}" for kind, n in found.items()) for fate, found in kinds.items()
            )
        if counts["kept"]:
            yield (
                "  answers are to hold a reasoning, an SVG and nothing else: `--mend-answers mend` takes the rest out, "
                "`drop` leaves such samples out, `keep` trains on them as they are"
            )
        if self.no_group:
            yield f"  {self.no_group} samples have a group that is blank, null or NaN: they are in none"


def read_samples(path: str | Path, on_fault: str = "skip", answers: str = "keep") -> ReadResult:
    """Read the whole file and return the samples with every fault found. Arguments and errors of `stream_samples`."""
    result = ReadResult(Path(path))
    result.samples = list(stream_samples(result, on_fault, answers))
    return result


def stream_samples(result: ReadResult, on_fault: str = "skip", answers: str = "keep") -> Iterator[Sample]:
    """Yield the samples of the file `result.path`, line by line, and note in `result` what was found.

    on_fault: "skip" counts a bad line and goes on; "stop" raises at the first fault of any kind. answers: what becomes
    of those that hold more than their two sections: "keep" them, "mend" them, "drop" the sample. Raises UserError for a
    missing or unreadable file, for a file without one usable sample, and in "stop". Shows a bar while it reads, as
    checking and tokenising what it yields may take minutes.
    """
    if on_fault not in ("skip", "stop"):
        raise UserError(f"ON_BAD_LINE must be 'skip' or 'stop', not {on_fault!r}.")
    path = result.path
    require_data_file(path)
    try:
        with path.open("rb") as file, _bar(path) as bar:
            for number, raw in enumerate(_lines(file, bar), 1):
                sample, faults = _read_line(raw, number, result, answers)
                for fault in faults:
                    if on_fault == "stop" and not (fault.kind in KINDS and answers != "keep"):
                        raise UserError(
                            f"{path}:{fault.line}: {fault.message}; mend the line or skip bad lines with "
                            "`--on-bad-line skip`."
                        )
                    result.faults.append(fault)
                if sample:
                    result.read += 1
                    yield sample
    except OSError as error:
        raise UserError(f"data file {path} cannot be read ({error.strerror}); mend that, or give another.") from None
    if not result.read:
        first = f" (first fault, line {result.faults[0].line}: {result.faults[0].message})" if result.faults else ""
        way_out = f"each line must be a JSON object with {', '.join(FIELDS)}"
        if result.faults and result.faults[0].kind == "no <reasoning>":
            way_out = (
                f"`python -m corpus.build_dataset --sources {quote(str(path))} --svg-column svg_content "
                "--output data/with-reasoning.jsonl` writes it"
            )
        raise UserError(f"data file {path} holds no usable sample{first}; {way_out}.")


def stream_files(results: list[ReadResult], on_fault: str = "skip", answers: str = "keep") -> Iterator[Sample]:
    """Yield the samples of several files, one file after the other. Arguments and errors of `stream_samples`.

    Raises UserError, too, for an id that two files have: samples are known by their ids.
    """
    for i, result in enumerate(results):
        for sample in stream_samples(result, on_fault, answers):
            for earlier in results[:i]:
                if sample.id in earlier.ids:
                    raise UserError(
                        f"id {sample.id!r} is in {earlier.path} (line {earlier.ids[sample.id]}) and in {result.path} "
                        f"(line {result.ids[sample.id]}); give the samples of one of the files other ids."
                    )
            yield sample


def together(results: list[ReadResult]) -> ReadResult:
    """Return what was found in several files as if in one, to be counted."""
    faults = [fault for result in results for fault in result.faults]
    read, no_group = (sum(figures) for figures in zip(*((r.read, r.no_group) for r in results), strict=True))
    return ReadResult(results[0].path, read=read, no_group=no_group, faults=faults)


def _lines(file: BinaryIO, bar: tqdm) -> Iterator[bytes | None]:
    """Yield the lines; None for one over LINE_LIMIT, which is passed over by pieces."""
    while raw := file.readline(LINE_LIMIT):
        bar.update(len(raw))
        too_long = len(raw) == LINE_LIMIT and not raw.endswith(b"\n")
        rest = raw
        while too_long and rest and not rest.endswith(b"\n"):
            rest = file.readline(2**20)
            bar.update(len(rest))
        yield None if too_long else raw


def in_batches(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    samples = iter(samples)
    while batch := list(islice(samples, size)):
        yield batch


def _bar(path: Path) -> tqdm:
    size = path.stat().st_size
    quiet = True if size < SHOW_BAR else None  # None: on a terminal only
    return tqdm(total=size, desc="reading", unit="B", unit_scale=True, leave=False, disable=quiet)


def _read_line(raw: bytes | None, number: int, result: ReadResult, answers: str) -> tuple[Sample | None, list[Fault]]:
    """Return the line's sample, if it has one, and its faults."""
    if raw is None:
        return None, [Fault(number, "line too long", f"the line is longer than {LINE_LIMIT:,} bytes")]
    faults = []
    if raw.startswith(b"\xef\xbb\xbf"):
        faults.append(Fault(number, "byte order mark", "the line begins with a byte order mark (BOM)", "mended"))
        raw = raw[3:]
    if raw.endswith(b"\r\n"):
        faults.append(Fault(number, "CRLF", "the line ends with CRLF", "mended"))
    if not raw.strip():
        return None, faults  # empty lines, often the last one, are nobody's mistake
    try:
        record = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return None, [*faults, Fault(number, "invalid UTF-8", f"invalid UTF-8 at byte {error.start + 1} of the line")]
    except (ValueError, RecursionError) as error:
        return None, [*faults, _json_fault(error, number)]
    fault = _record_fault(record, number) or _task_fault(record, number) or _duplicate_fault(record, number, result.ids)
    if fault:
        return None, [*faults, fault]
    answer, more = _usable_answer(record["svg_content"].strip(), number, answers)
    faults += more
    if answer is None:
        return None, faults
    result.ids[str(record["id"])] = number
    svg = record.get("svg")
    sample = Sample(
        str(record["id"]), record["description"], answer, group_of(record.get("group")), svg,
        task_of(svg, record.get("task")),
    )  # fmt: skip
    result.no_group += "group" in record and sample.group is None
    return sample, faults


def _json_fault(error: ValueError | RecursionError, number: int) -> Fault:
    if isinstance(error, json.JSONDecodeError):
        return Fault(number, "not JSON", f"not JSON ({error.msg})")
    if isinstance(error, RecursionError):
        return Fault(number, "not JSON", "not JSON (nested too deep)")
    return Fault(number, "number too long", f"a number has more than {sys.get_int_max_str_digits()} digits")


def _usable_answer(answer: str, number: int, answers: str) -> tuple[str | None, list[Fault]]:
    """Return the answer as it is to be learned, None where it cannot be, and what is wrong with it."""
    tidy, kinds = tidied(answer)
    if kinds:
        unreadable = extract_svg(answer) is None  # it is looked for behind the reasoning
        fate = {"mend": "mended", "drop": "skipped", "keep": "skipped" if unreadable else "kept"}[answers]
        hint = "; `--mend-answers mend` puts it before" if unreadable and fate == "skipped" else ""
        faults = [Fault(number, kind, f"'svg_content' has {KINDS[kind]}{hint}", fate) for kind in kinds]
        return {"mended": tidy, "kept": answer, "skipped": None}[fate], faults
    for section, found in (("svg", extract_svg(answer)), ("reasoning", extract_reasoning(answer))):
        if found is None:
            message = f"'svg_content' has no <{section}>…</{section}> section"
            return None, [Fault(number, f"no <{section}>", message)]
    return answer, []


def _record_fault(record: object, number: int) -> Fault | None:
    if not isinstance(record, dict):
        return Fault(number, "wrong type", f"a JSON object is wanted, this is {type(record).__name__}")
    for name in FIELDS:
        value = record.get(name)
        if value is None:
            return Fault(number, "missing field", f"field {name!r} is missing")
        if not isinstance(value, str) and not (name == "id" and type(value) is int):
            return Fault(number, "wrong type", f"field {name!r} must be text, not {type(value).__name__}")
        if not description_key(str(value)):
            return Fault(number, "empty field", f"field {name!r} is empty")
        if not is_unicode(str(value)):
            return Fault(number, "invalid UTF-8", f"field {name!r} holds a lone surrogate, which is not text")
    return None


def _task_fault(record: dict, number: int) -> Fault | None:
    """Say what is wrong with what an edit or a repair begins with, and with its task. None: they may be left out."""
    svg, task = record.get("svg"), record.get("task")
    for name, value in (("svg", svg), ("task", task)):
        if value is not None and not isinstance(value, str):
            return Fault(number, "wrong type", f"field {name!r} must be text, not {type(value).__name__}")
    if svg is not None and not description_key(svg):
        return Fault(number, "empty field", "field 'svg' is empty")
    if not is_unicode(f"{svg}{task}"):
        return Fault(number, "invalid UTF-8", "field 'svg' or 'task' holds a lone surrogate, which is not text")
    try:
        task_of(svg, task)
    except ValueError as error:
        return Fault(number, "wrong task", str(error))
    return None


def is_unicode(text: str) -> bool:
    r"""JSON can spell a lone surrogate ("\ud83d") that no tokenizer or file can take."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _duplicate_fault(record: dict, number: int, ids: dict[str, int]) -> Fault | None:
    first = ids.get(str(record["id"]))
    if first is None:
        return None
    return Fault(number, "duplicate id", f"id {record['id']!r} was used before, on line {first}")


def split_samples(samples: list[AnySample], seed: int) -> dict[str, list[AnySample]]:
    """Split 90/5/5 into train, valid and test; deterministic by seed, whatever the order of the file.

    Samples that share a description (Unicode form, letter case and spacing aside), a drawing or a `group` form one
    family, and a family never falls on both sides. What an edit or a repair asks for joins none: many a drawing is made
    red. Families are put in an order given by a hash of the seed, then dealt out: test first, then valid, each until it
    has its 5 % (at least one family); the rest trains, the largest family always, so that a very uneven file still
    trains on most of its samples.
    Families with a sample that is never to be trained on (`kinship.unseen_kind`) are tested beside those 5 %.
    Raises UserError when there are fewer than three families otherwise.
    """
    families = sorted(families_of(samples), key=lambda family: _hash(seed, min(s.id for s in family)))
    unseen = [family for family in families if _is_unseen(family)]
    families = [family for family in families if not _is_unseen(family)]
    to_deal = sum(map(len, families))
    if len(families) < 3:
        raise UserError(
            f"the data has {len(families)} distinct description(s) in {to_deal} sample(s), where those with the same "
            "drawing or group count as one; a split into train, valid and test needs at least 3."
        )
    families.append(families.pop(families.index(max(families, key=len))))
    parts: dict[str, list[Sample]] = {"train": families.pop()}
    for part, still_needed in (("test", 1), ("valid", 0)):
        wanted = max(1, round(SPLIT_SHARES[part] * to_deal))
        parts[part] = families.pop(0)
        passed_over = []
        while families and len(families) > still_needed and len(parts[part]) < wanted:
            family = families.pop(0)
            if len(parts[part]) + len(family) <= wanted:
                parts[part] = parts[part] + family
            else:
                passed_over.append(family)
        families = passed_over + families
    parts["train"] = parts["train"] + [sample for family in families for sample in family]
    parts["test"] = parts["test"] + [sample for family in unseen for sample in family]
    return {part: sorted(parts[part], key=lambda sample: _hash(seed, sample.id)) for part in SPLIT_SHARES}


def _is_unseen(family: list[AnySample]) -> bool:
    return any(unseen_kind(sample.group) for sample in family)


def take(samples: list[AnySample], at_most: int, seed: int) -> list[AnySample]:
    """Return a deterministic subset of at most `at_most` samples (0 = all), in an order given by the seed."""
    chosen = sorted(samples, key=lambda sample: _hash(seed, sample.id))
    return chosen[:at_most] if at_most else chosen


def fingerprint(samples: list[AnySample]) -> str:
    """Return a SHA-256 over the samples, independent of their order: two runs saw the same data or not."""
    return hashlib.sha256(b"".join(sorted(sample.digest() for sample in samples))).hexdigest()


def families_of(samples: list[AnySample], by_drawing: bool = True) -> list[list[AnySample]]:
    """Group samples connected through a shared description, group and, if wanted, drawing."""
    together = UnionFind()
    for i, sample in enumerate(samples):
        for kind, key in _kinds_of_kin(sample):
            if by_drawing or kind != "drawing":
                together.join((kind, key), i)
    families: dict[object, list[AnySample]] = {}
    for i, sample in enumerate(samples):
        families.setdefault(together.find(i), []).append(sample)
    return list(families.values())


def _kinds_of_kin(sample: AnySample) -> Iterator[tuple[str, object]]:
    if sample.task == "draw":
        yield "description", description_key(sample.description)
    for drawing in sample.drawings:
        yield "drawing", drawing
    if sample.group is not None:
        yield "group", sample.group


def kin_counts(samples: list[AnySample]) -> dict[str, int]:
    """Return how many families there are, and how many samples share a description, a drawing, a group with another.

    "spelling": samples whose description another one has in another Unicode form, letter case or spacing.
    """
    sharing: dict[tuple, int] = Counter(kin for sample in samples for kin in _kinds_of_kin(sample))
    spellings: dict[str, set[str]] = {}
    for sample in samples:
        key = description_key(sample.description)
        if sample.task == "draw" and sharing["description", key] > 1:
            spellings.setdefault(key, set()).add(sample.description.strip())
    counts = {"families": len(families_of(samples)), "description": 0, "spelling": 0, "drawing": 0, "group": 0}
    for (kind, key), n in sharing.items():
        if n > 1:
            counts[kind] += n
            if kind == "description" and len(spellings[key]) > 1:
                counts["spelling"] += n
    return counts


def _hash(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()
