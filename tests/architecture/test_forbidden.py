"""What never stands in our code: anything that runs code found in data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import Module, modules

FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {"torch.load", "yaml.load", "os.system", "os.popen"}


def dangers(module: Module) -> Iterator[str]:
    for one in module.imports:
        if one.name.partition(".")[0] in FORBIDDEN_MODULES:
            yield f"{module.name} imports {one.name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield from (f"{module.name}:{node.lineno} {what}" for what in dangers_of_call(node))


def dangers_of_call(node: ast.Call) -> Iterator[str]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in FORBIDDEN_CALLS:
        yield f"calls {function.id}"
    if isinstance(function, ast.Attribute) and ast.unparse(function) in FORBIDDEN_METHODS:
        yield f"calls {ast.unparse(function)}"
    for keyword in node.keywords:
        harmless = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg in ("allow_pickle", "trust_remote_code", "shell") and not harmless:
            yield f"sets {keyword.arg}"


def test_nothing_runs_code_found_in_data() -> None:
    assert [danger for module in modules() for danger in dangers(module)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=chosen)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_a_danger_would_be_found(tmp_path: Path, line: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(line)
    assert len(list(dangers(Module(path, tmp_path)))) == 1


def test_harmless_lines_are_no_danger(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("model.eval()\nnp.load(path, allow_pickle=False)\nre.compile(text)\njson.load(file)\n")
    assert list(dangers(Module(path, tmp_path))) == []
