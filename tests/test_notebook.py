"""The notebook runs, as a reader runs it; LIGHTCNN_OPTIONS makes it short and keeps its studies apart."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "studies" / "notebook.ipynb"
SHORT = "--trials 2 --epochs 1 --train-images 3000 --seeds 1 --workers 1"


def test_it_is_short_and_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert len(notebook.cells) == 10 and NOTEBOOK.stat().st_size < 10_000
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
def test_it_runs(tmp_path, monkeypatch, mnist_folder):
    monkeypatch.setenv("LIGHTCNN_OPTIONS", f"{SHORT} --out {tmp_path / 'reports'}")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    imports, tables, figure, search, other_figure, ablation = (cell.outputs for cell in code)
    assert imports == []
    for outputs in (tables, search, ablation):  # sentences, then a table
        assert [it for it in outputs if it.output_type == "stream" and it.name == "stdout"]
        assert "<table" in outputs[-1].data["text/html"]
    for (drawn,) in (figure, other_figure):
        assert drawn.data["application/vnd.plotly.v1+json"]["data"]
    assert "LightCNN (6,218 parameters) reaches " in tables[0].text
    assert "12-24-gap (2,986 parameters) reaches" in "".join(it.get("text", "") for it in search)
    pages = {path.parent.name for path in (tmp_path / "reports").glob("*/report.html")}
    assert pages == {"notebook", "notebook_pooling"}
