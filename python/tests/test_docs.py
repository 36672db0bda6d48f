"""The examples of the documentation run as they stand."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import spikegrad

HERE = Path(__file__).resolve().parent.parent
MODULES = [name for _, name, _ in pkgutil.iter_modules(spikegrad.__path__, "spikegrad.")] + ["spikegrad"]
CLASSES = ["Engine", "Network", "Predictor", "State", "firing_rates", "gradcheck"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_modules(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", CLASSES)
def test_examples_of_the_extension(name):
    item = getattr(spikegrad, name)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    tests = doctest.DocTestParser().get_doctest(item.__doc__, {}, name, None, None)
    runner.run(tests)
    assert finder and runner.failures == 0 and (tests.examples or name == "State")


@pytest.mark.parametrize("page, told", [("README.md", "by spike count"), ("TUTORIAL5.md", "by membrane, as the loss")])
def test_pages(page, told, tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").symlink_to(HERE.parent / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (HERE / page).read_text(), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    out = capsys.readouterr().out
    assert told in out
    # What the pages say of their networks: they learn.
    percent = [float(found) for found in re.findall(r"([\d.]+)%", out)]
    assert percent[-1] > 90, out


def test_notebook(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(HERE / "notebooks" / "quickstart.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": HERE / "notebooks"}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    plots = [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert len(plots) >= 4 and all("<svg" in plot for plot in plots)
    assert not [output for output in outputs if output.output_type == "error"]
    assert "accuracy" in "".join(output.get("text", "") for output in outputs)
