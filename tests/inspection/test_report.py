# ruff: noqa: E501 (messages are compared as they are printed)
"""What a person sees of an inspection: table, JSON, graph, picture, command line."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.cli import main
from etude.inspection.graph import svg
from etude.inspection.inspecting import inspect
from etude.inspection.table import size_text
from inspection.architectures import ARCHITECTURES, resnet50

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_json_has_the_keys_that_were_promised(run: Run) -> None:
    code, out, _ = run("inspect", "lenet", "--json")
    found = json.loads(out)
    assert code == 0
    first = found["layers"][0]
    assert {"path", "op", "input", "output", "parameters", "macs", "flops", "receptive_field"} <= set(first)
    assert {"size", "stride", "offset"} <= set(first["receptive_field"])
    assert (first["path"], first["input"], first["output"]) == ("features.conv1", [1, 3, 32, 32], [1, 6, 28, 28])
    assert first["receptive_field"]["size"] == [5, 5]
    assert found["total"]["parameters"] == 62_006
    assert found["total"]["macs"] == 651_720
    code, out, _ = run("solve", "conv", "--in", "64", "--out", "32", "--kernel", "3", "--json")
    solutions = json.loads(out)
    assert solutions[0] == {"kernel": 3, "stride": 2, "padding": 1, "dilation": 1, "output": 32, "dropped": 1}
    assert {"kernel": 3, "stride": 3, "padding": 16, "dilation": 1, "output": 32, "dropped": 0} in solutions


def test_every_section_as_json(run: Run) -> None:
    flags = ["--probe", "--gradcheck", "--flow", "--modes", "--simplify"]
    code, out, _ = run("inspect", "lenet", *flags, "--batch-size", "2", "--json")
    found = json.loads(out)
    assert code == 0
    assert [axis["agrees"] for axis in found["probe"]] == [True, True]
    assert [check["wrong"] for check in found["gradcheck"]] == [False] * 11
    assert found["flow"]["verdict"] == "healthy"
    assert found["modes"]["layers"] == []
    assert found["simplify"]["folds"] == []


def test_a_picture_and_a_graph_are_written(run: Run, tmp_path: Path) -> None:
    picture, graph = tmp_path / "field.png", tmp_path / "graph.svg"
    code, out, _ = run("inspect", "lenet", "--picture", str(picture), "--layer", "features.conv2", "--svg", str(graph))
    assert code == 0
    assert out.split() == [str(graph), str(picture)]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(graph).getroot().tag.endswith("svg")


@pytest.mark.parametrize("name", ["resnet", "unet, transposed", "lstm", "transformer layer", "inception"])
def test_the_graph_shows_every_layer_and_what_flows(name: str) -> None:
    module, shape, keywords = ARCHITECTURES[name]()
    found = inspect(module, torch.rand(shape), **keywords)
    root = ElementTree.fromstring(svg(found))
    groups = [element for element in root.iter() if element.tag.endswith("}g")]
    assert len(groups) == len(found.layers) + len(found.trace.inputs)
    arrows = [element for element in root.iter() if element.get("marker-end")]
    assert len(arrows) >= len(found.layers)
    boxes = [(e.get("x"), e.get("y")) for e in root.iter() if e.tag.endswith("rect") and e.get("rx")]
    assert len(set(boxes)) == len(boxes)  # none hides another


def test_shared_parameters_count_once_and_are_marked() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
            self.out.weight = self.embed.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.embed(x)) + F.linear(self.embed(x), self.embed.weight)

    found = inspect(Tied(), torch.zeros(1, 3, dtype=torch.long))
    assert found.parameters == 40
    assert sum(layer.parameters for layer in found.layers) == 40
    assert [layer.shared for layer in found.layers if layer.op in ("Linear", "linear")] == [["embed.weight"]] * 2
    assert "tied: embed.weight and out.weight are one parameter; it is counted once." in found.findings
    assert "shared" in found.text()


def test_repeated_modules_are_warned_of() -> None:
    found = inspect(nn.Sequential(*[nn.Linear(4, 4), nn.Sigmoid()] * 24), torch.rand(1, 4))
    assert found.parameters == 20
    assert len(found.layers) == 48
    assert found.findings == [
        "repeated module: 0, 2, 4, 6 … (24 in all) are one Linear object, used 24 times with the same weights; build "
        "a new one each time (a list comprehension, not `[…] * n`) if that is not meant."
    ]


def test_unused_and_unregistered_parameters_are_findings() -> None:
    class Careless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(2, 2)
            self.hidden = [nn.Linear(3, 3)]

        def forward(self, x: Tensor) -> Tensor:
            return self.hidden[0](x)

    assert inspect(Careless(), torch.rand(1, 3)).findings == [
        "unused: unused.weight, unused.bias took no part in the forward pass; they get no gradient.",
        "unregistered: the forward pass uses 2 parameters (3×3, 3) that the module does not register, so an optimizer misses "
        "them; keep modules in nn.ModuleList or nn.Sequential, not in a list.",
    ]


def test_a_resnet_of_25_million_parameters_is_quick() -> None:
    import time

    module, x = resnet50(), torch.rand(1, 3, 224, 224)
    start = time.process_time()
    found = inspect(module, x)
    seconds = time.process_time() - start
    assert found.parameters == 25_557_032
    assert found.cost.macs == 4_089_184_256
    assert found.uncounted == []
    assert seconds < 15  # 3 on the machine of docs/log.md


FILE = """
import torch
from torch import nn
print("imported")

class Two(nn.Module):
    def forward(self, x, y):
        print("running")
        return x.sum() + y.sum()

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LazyLinear(3)

    def forward(self, x):
        return self.layer(x) * float("inf")
"""


def test_inputs_may_be_given_together_or_one_by_one(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FILE)
    for flags in (["--input", "4", "5"], ["--input", "4", "--input", "5"]):
        code, out, _ = run("inspect", "net.py:Two", *flags)
        assert (code, out.splitlines()[0].partition(",")[0]) == (0, "net.py:Two on 1×4")
    assert run("derive", "x * y", "--wrt", "x", "--at", "x=2", "--at", "y=3")[1].splitlines()[3] == "  derivative = 3"


def test_json_is_json_whatever_a_network_prints_or_gives(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FILE)
    code, out, err = run("inspect", "net.py:Two", "--input", "4", "5", "--json")
    assert (code, json.loads(out)["total"]["flops"]) == (0, 10)
    assert err.startswith("imported\nrunning\n")

    def no_constants(name: str) -> None:
        raise AssertionError(name)

    code, out, _ = run("inspect", "net.py:Lazy", "--input", "4", "--flow", "--json")
    found = json.loads(out, parse_constant=no_constants)
    assert (found["total"]["parameters"], found["flow"]["verdict"], found["flow"]["ratio"]) == (15, "not finite", None)


def test_sizes_of_memory() -> None:
    assert [size_text(n) for n in (0, 1023, 1024, 1536, 3 * 2**20, 2**31)] == [
        "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "3.0 MiB", "2.0 GiB"
    ]  # fmt: skip


def test_public_api() -> None:
    import etude

    assert str(etude.inspect(nn.Linear(2, 3), torch.rand(1, 2))).startswith("Linear on 1×2, eval mode; 1 MAC = 2 FLOPs")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "lenet", "--layer", "x"], "--layer chooses the layer of --picture; give --picture FILE.png too."),
        (["inspect", "lenet", "--batch-size", "0"], "--batch-size is 0; allowed: 1 or more."),
        (
            ["inspect", "gan-generator", "--picture", "x.png"],
            "--picture draws fields on images (N, C, H, W); gan-generator takes none.",
        ),
        (
            ["inspect", "lenet", "--picture", "x.png", "--layer", "fc"],
            "lenet has no layer fc with positions to draw a field of; it has features.conv1, features.relu1, features.pool1, "
            "features.conv2, features.relu2, features.pool2.",
        ),
        (["inspect", "lenet", "--data", "digits"], "images of digits are 1×28×28, but lenet takes 3×32×32; give --input or "
         "other --data."),
        (
            ["inspect", "gan-generator", "--probe"],
            "a probe needs an input of real numbers with positions: (N, C, L), (N, C, H, W) or (N, C, D, H, W).",
        ),
        (["solve", "conv", "--in", "8", "--kernel", "3", "--stride", "0"], "--stride is 0; allowed: 1 or more."),
        (["solve"], "`etude solve` needs a command after it: conv; `etude --help` describes them."),
        (["solve", "conf"], "unknown solve command 'conf': did you mean 'conv'? Choose from conv."),
        (["solve", "conv", "--in", "8"], "give --out to find convolutions, --kernel to compute an output, --chain for several layers, or --mirror to undo "
         "an encoder."),
        (["solve", "conv", "--in", "8", "--mirror", "k3", "--kernel", "3"], "--mirror holds every layer's settings; leave "
         "--kernel out."),
        (["derive", "x", "--wrt", "x", "--at", "x:3"], "--at has 'x:3'; allowed: NAME=VALUE, such as x=3."),
        (["derive", "x", "--wrt", "x", "--at", "x=a"], "--at has x=a; allowed: numbers, such as 0.8,0.2, with `;` "
         "between the rows of a matrix."),
        (["derive", "x + y", "--wrt", "x", "--at", "x=1"], "--at lacks y; give a value for every name, as x=0.8,0.2."),
    ],
)  # fmt: skip
def test_mistakes_are_told_on_one_line(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, err) == (2, "", f"etude: {message}\n")


def test_a_report_leaves_the_random_state_of_python_alone() -> None:
    code = (
        "import random; random.seed(1); state = random.getstate(); import etude, torch; "
        "print(etude.inspect(torch.nn.Linear(2, 3), torch.rand(1, 2)), etude.recipes, etude.sweeps, etude.data); "
        "assert random.getstate() == state"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
