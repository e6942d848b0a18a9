"""Looking at the machine while something runs, from another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_SCRIPT = """
import json, sys, time
from pathlib import Path
stop, folder = map(Path, sys.argv[1:])
seen = set()
def look(path):
    try:
        if path.is_file(): seen.add(path.read_text(errors='replace'))
    except OSError: pass
print('ready', flush=True)
while not stop.exists():
    for process in Path('/proc').glob('[0-9]*'):
        look(process / 'cmdline'); look(process / 'environ')
    for path in folder.rglob('*'): look(path)
    time.sleep(0.01)
print(json.dumps(sorted(seen)))
"""


class watching:  # noqa: N801 -- reads as a verb
    """Collects what any process of this user shows of itself to others, and what stands in the files of a folder."""

    def __init__(self, seen: set[str], folder: Path | None = None) -> None:
        self._seen, self._watched = seen, folder

    def __enter__(self) -> None:
        self._folder = TemporaryDirectory()
        self._stop = Path(self._folder.name) / "stop"
        watched = self._watched or Path(self._folder.name) / "nothing"
        command = [sys.executable, "-c", _SCRIPT, str(self._stop), str(watched)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        self._stop.touch()
        with self._process as process:
            assert process.stdout is not None
            self._seen.update(json.loads(process.stdout.read()))
        self._folder.cleanup()
