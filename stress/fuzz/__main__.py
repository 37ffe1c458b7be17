"""Mutated files, through every reader: what came of them, and the largest time and memory.

    python -m stress.fuzz [--files N] [--seed N] [--keep FOLDER]

Ends with 1 if any reader broke a promise (`readers.py`): the mutant is kept then, with what was printed.  A file that
takes longer than `LIMIT_S` ends the process with the stack.  Memory is bounded for the whole process.
"""

from __future__ import annotations

import argparse
import faulthandler
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmrace.search.pool.cores import pin
from stress.fuzz.mutations import Mutator
from stress.fuzz.readers import READERS, Told
from stress.fuzz.seeds import seeds, traps

LIMIT_S = 60
MEMORY_MAX = 2 << 30  # address space of this process, in bytes
WEIGHTS = {"record": 12, "minimal": 6, "kept": 3, "workload": 4, "corpus": 2, "summary": 1, "rates": 1}
"""Of so many files in turn, how many are of each format."""


def files(numbers: Iterable[int], seed: int, folder: Path) -> Iterator[tuple[int, str, Path]]:
    """Yield these mutants: number, format, file; each is gone when the next one comes."""
    turns = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
    hostile = traps(folder)
    made = {name: Mutator(of_format, seed, hostile) for name, of_format in seeds().items()}
    for i in numbers:
        name = turns[i % len(turns)]
        path = folder / f"{name}-{i}.json"  # what was read under a name may be kept
        path.write_bytes(made[name].mutant(i))
        yield i, name, path
        path.unlink()


def fuzz(numbers: Iterable[int], seed: int, folder: Path, keep: Path | None = None) -> Iterator[tuple[Told, float]]:
    """Have each of these mutants read by all of its readers; yield what came of each, and the seconds that it took."""
    for i, name, path in files(numbers, seed, folder):
        for reader in READERS[name]:
            began = time.perf_counter()
            told = reader(path)
            seconds = time.perf_counter() - began
            if told.breach and keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{i}-{told.reader}.file").write_bytes(path.read_bytes())
                (keep / f"{i}-{told.reader}.out").write_text(f"{told.breach}\n\n{told.out}", errors="replace")
            yield told, seconds


def main() -> int:
    """Read the mutants, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(".mmrace/fuzz"), help="where mutants that broke a promise go")
    options = parser.parse_args()
    pin("fiber")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    codes: Counter[tuple[str, int]] = Counter()
    breaches: Counter[str] = Counter()
    slowest = ("", 0.0)
    before = _peak_mib()
    with tempfile.TemporaryDirectory() as folder:
        faulthandler.dump_traceback_later(LIMIT_S, exit=True)
        for told, seconds in fuzz(range(options.files), options.seed, Path(folder), options.keep):
            faulthandler.cancel_dump_traceback_later()
            faulthandler.dump_traceback_later(LIMIT_S, exit=True)
            codes[told.reader, told.code] += 1
            if told.breach:
                breaches[f"{told.reader}: {told.breach}"] += 1
            slowest = max(slowest, (told.reader, seconds), key=lambda row: row[1])
        faulthandler.cancel_dump_traceback_later()
    _table(codes)
    print(f"{options.files} files (seed {options.seed}), {codes.total()} readings")
    print(f"longest: {slowest[1]:.2f} s ({slowest[0]}); memory: {before:.0f} MiB before, {_peak_mib():.0f} MiB at most")
    for breach, times in breaches.most_common():
        print(f"BROKEN {times} times: {breach}  (kept in {options.keep})")
    return 1 if breaches else 0


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _table(codes: Counter[tuple[str, int]]) -> None:
    columns = sorted({code for _, code in codes})
    print(f"{'reader':16}" + "".join(f"{f'exit {code}':>9}" for code in columns))
    for reader in dict.fromkeys(reader for reader, _ in codes):
        print(f"{reader:16}" + "".join(f"{codes[reader, code]:>9}" for code in columns))


if __name__ == "__main__":
    sys.exit(main())
