"""A run as far as its folder can be read: what is damaged is said, and hides nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from etude.data.kinds import Images
from etude.data.text.description import TextKind, in_short, vocabularies
from etude.errors import EtudeError
from etude.families.abilities import Classifies
from etude.measurement.kept import Kept, KeptResults, kept_results
from etude.metrics.intervals import share_interval
from etude.notebook import rounded
from etude.reports.document import Tile
from etude.reports.places import data_told, told
from etude.reports.wording import counted, duration, recorded
from etude.runs import Run, RunStatus
from etude.runs.checkpoint import Best, Progress, list_steps, load_model, load_progress
from etude.runs.events import Table

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The number that stands for a run."""

    name: str
    value: str
    interval: str = ""
    """As text, such as 0.91 – 0.95."""
    floor: str = ""
    num_examples: int = 0
    about: str = ""

    def tile(self, examples: str) -> Tile:
        """Large, for the header."""
        parts = [self.about] if self.about else []
        parts += [f"95 % interval {self.interval}"] if self.interval else []
        parts += [f"floor {self.floor}"] if self.floor else []
        parts += [f"{self.num_examples:,} {examples}"] if self.num_examples and self.interval else []
        return Tile(name=self.name, value=self.value, about="; ".join(parts))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the folder of a run says."""

    run: Run
    state: RunStatus
    table: Table
    kept: KeptResults
    best: Best | None
    """The checkpoint that the validation split prefers."""
    has_checkpoint: bool
    problems: tuple[str, ...]
    """What could not be read, a sentence each."""

    @property
    def last(self) -> dict[str, float]:
        """The latest value of every number that training recorded."""
        return self.table.last()

    def measured(self, split: str = "test") -> list[Kept]:
        """The kept results of a split."""
        return [each for each in self.kept.results if each.split == split]


def facts_of(run: Run) -> Facts:
    """Read a run's folder. Runs none of its own code."""
    problems: dict[str, None] = {}

    def attempt(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except EtudeError as error:
            problems[told(str(error), run.path)] = None
            return otherwise

    state = attempt(lambda: run.state, RunStatus(status="damaged"))
    empty = Table([], steps_per_epoch=max(1, run.steps_per_epoch))
    table = attempt(run.metrics, empty) if state.status != "damaged" else empty
    has_checkpoint = bool(list_steps(run.path / "checkpoints"))
    best = attempt(lambda: _whole_checkpoint(run).best, None) if has_checkpoint else None
    return Facts(
        run=run,
        state=state,
        table=table,
        kept=kept_results(run),
        best=best,
        has_checkpoint=has_checkpoint,
        problems=tuple(problems),
    )


def _whole_checkpoint(run: Run) -> Progress:
    """Where training stood at the checkpoint in use; `RunError` if a file of it is damaged."""
    folder = run.checkpoint_path()
    load_model(folder)
    return load_progress(folder)


def headline(facts: Facts) -> Headline | None:
    """The main result of the run: measured if that is possible, with its interval; else as training recorded it."""
    run, last = facts.run, facts.last
    name = next((each for each in run.family.series.headline if each in last), None)
    measured = facts.measured()
    if name and name.startswith("test/"):
        same = next((each for each in measured if f"test/{each.metric}" == name), None)
        if same:
            return measured_headline(same)
    if name is None or not name.startswith(("test/", "validation/")):
        directed = [each for each in measured if each.better and each.result.value is not None]
        if directed:
            return measured_headline(directed[0])
    if name is None:
        return None
    split, _, quantity = name.partition("/")
    interval, number = "", run.configuration["dataset"].get(f"{split}_images")
    value = last[name]
    spread = 0.0
    if quantity == "accuracy" and run.can(Classifies) and number and 0 <= value <= 1:
        limits = share_interval(round(value * number), number)
        spread = (limits.high - limits.low) / 2
        interval = f"{rounded(limits.low, spread)} – {rounded(limits.high, spread)}"
    return Headline(
        name=recorded(name), value=rounded(value, spread), interval=interval, num_examples=number if interval else 0
    )


def measured_headline(kept: Kept) -> Headline:
    """A measured number as a headline."""
    value, floor, interval, *_ = kept.result.texts()
    return Headline(
        name=recorded(f"{kept.split}/{kept.metric}"),
        value=value or "not finite",
        interval=interval,
        floor=floor,
        num_examples=kept.result.num_samples,
        about=kept.about,
    )


def data_lines(run: Run) -> list[str]:
    """What the run was trained on: a sentence, then what a reader must know of it."""
    dataset, kind = run.configuration["dataset"], run.kind
    if isinstance(kind, TextKind):
        what = in_short(kind)
    else:
        what = f"{'images' if isinstance(kind, Images) else 'rows'} of {'×'.join(map(str, kind.shape))}"
    classes = f", in {len(kind.class_names):,} classes" if kind.class_names else ""
    numbers = [f"{dataset[f'{split}_images']:,} {word}" for split, word in _SPLITS if dataset[f"{split}_images"]]
    lines = [f"Data: {data_told(dataset['name'])}, {', '.join(numbers)} {what}{classes}."]
    lines += vocabularies(kind) if isinstance(kind, TextKind) else []
    if left_out := dataset["left_out"]:
        lines.append(f"{counted(len(left_out), 'file')} could not be read and are left out.")
    return lines + [told(note, run.path) for note in dataset["notes"]]


_SPLITS = (("train", "training"), ("validation", "validation"), ("test", "test"))


def status_sentence(facts: Facts) -> str:
    """How far the run is and how long it took, in a sentence."""
    run, state = facts.run, facts.state
    took = f"{counted(state.step, 'step')}, {duration(state.seconds)}"
    done = f"{state.epoch:,} of {counted(run.recipe.epochs, 'epoch')} ({took})"
    match state.status:
        case "finished":
            return f"Training finished: {counted(state.epoch, 'epoch')} ({took})."
        case "running":
            written = f"step {facts.table.rows[-1]['step']:,}" if facts.table.rows else "its first step"
            return (
                f"The run is in training, in epoch {min(state.epoch + 1, run.recipe.epochs)} of {run.recipe.epochs}: "
                f"this report shows what it had written up to {written}."
            )
        case "failed":
            return f"Training failed after {done}: {told(state.error or 'no reason was recorded', run.path)}"
        case "interrupted":
            return f"Training stopped after {done}. `etude resume {run.name}` continues it."
        case _:
            return "How far the run got is not known, because its state.json is damaged."
