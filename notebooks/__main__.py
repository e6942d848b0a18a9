"""Run the notebooks, in one kernel: ``python -m notebooks``. The room is made once and kept in ``build/``, by the digest of what made it.

``--save`` writes them back with their outputs and nothing else: no times, no paths, no counters that change.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

import click
import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.util import run_sync

from notebooks.world import ENTRIES, SEED, make

HERE = Path(__file__).parent
BUILD = HERE.parent / "build"
NAMES = ("consent", "compute", "attestation", "settlement", "suspicious-era")
CLEAR = "%reset -f"


def room_of(entries: int) -> Path:
    """The room of such a world."""
    # Other rules may make another log, and cannot use the old state.
    rules = sorted((HERE.parent / "domain").rglob("*.py"))
    made_by = b"".join(
        path.read_bytes() for path in (HERE / "story.py", HERE / "parties.py", HERE / "world.py", *rules)
    )
    return BUILD / f"notebooks-{entries}-{SEED}-{hashlib.sha256(made_by).hexdigest()[:12]}"


def prepare(entries: int) -> Path:
    """The room, made unless it is there."""
    room = room_of(entries)
    if not (room / "names.json").exists():
        for old in BUILD.glob(f"notebooks-{entries}-*"):
            shutil.rmtree(old)
        make(room, entries, progress=lambda day: print(f"\r  day {day}", end="", file=sys.stderr, flush=True))
        print(file=sys.stderr)
    return room


def run(names: tuple[str, ...], room: Path) -> dict[str, nbformat.NotebookNode]:
    """The notebooks with their outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    os.environ["PROOFROOM_ROOM"] = str(room)
    manager, done = AsyncKernelManager(kernel_name="python3"), {}
    try:
        run_sync(manager.start_kernel)(cwd=str(HERE))
        for name in names:
            notebook = nbformat.read(HERE / f"{name}.ipynb", as_version=4)
            clear = nbformat.v4.new_code_cell(CLEAR)
            notebook.cells.insert(0, clear)
            client = NotebookClient(notebook, km=manager, timeout=600)
            client.execute()
            if client.kc is not None:
                client.kc.stop_channels()
            notebook.cells.remove(clear)
            done[name] = notebook
    finally:
        if manager.has_kernel:
            run_sync(manager.shutdown_kernel)(now=True)
    return done


def strip(notebook: nbformat.NotebookNode) -> None:
    """Leave what a reader sees."""
    notebook.metadata = nbformat.from_dict({"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for place, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = nbformat.from_dict({}), f"cell-{place}"
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                output.pop("metadata", None)
                if output.output_type in ("display_data", "execute_result"):
                    output.metadata = nbformat.from_dict({})
                if output.output_type == "execute_result":
                    output.execution_count = None


def texts_of(notebook: nbformat.NotebookNode) -> list[str]:
    """What its cells print and show, but for pictures."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output for output in outputs if "image/png" not in output.get("data", {})]
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in shown]


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--entries", default=ENTRIES, show_default=True, help="About how many the world has.")
@click.option("--save", is_flag=True, help="Write the notebooks back, with their outputs.")
@click.option("--same", is_flag=True, help="Fail where a text (not: a picture) is another than what was saved.")
def main(names: tuple[str, ...], entries: int, save: bool, same: bool) -> None:
    """Run the notebooks (all, unless named) against the world of this seed."""
    room = prepare(entries)
    for name, notebook in run(names or NAMES, room).items():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        pictures = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
        print(f"{name}: {len(cells)} cells ran, {pictures} pictures")
        strip(notebook)
        text = nbformat.writes(notebook, indent=1) + "\n"
        if found := re.search(rf"{re.escape(str(HERE.parent))}|{re.escape(str(Path.home()))}/", text):
            raise click.ClickException(f"{name} would show a path of this machine: {found[0]}")
        if same and texts_of(notebook) != texts_of(nbformat.read(HERE / f"{name}.ipynb", as_version=4)):
            raise click.ClickException(f"{name} says something else than it did")
        if save:
            (HERE / f"{name}.ipynb").write_text(text)


if __name__ == "__main__":
    main()
