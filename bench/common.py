"""What the benchmarks have in common: running commands, trees, the input, and the facts of the machine."""

import json
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

REPOSITORY = Path(__file__).resolve().parent.parent
OURS = "local-cache"
MIB = 1 << 20


# --- Measuring -------------------------------------------------------------------------------------------------------


@dataclass
class Sample:
    """One timed run of a command."""

    seconds: float
    peak_bytes: int
    stdout: str = ""


class Others:
    """The share of processor time that other processes took: on a busy machine the figures are unreliable."""

    def __init__(self):
        self.busy = self.capacity = 0.0
        self.servers: list[int] = []  # processes that belong to the measurement

    def add(self, busy: float, own: float, elapsed: float):
        self.busy += max(busy - own, 0)
        self.capacity += elapsed * os.cpu_count()

    def servers_seconds(self) -> float:
        """Processor time used by the servers since they started."""
        return sum(processor_seconds(pid) for pid in self.servers)

    def share(self) -> float:
        return self.busy / self.capacity if self.capacity else 0.0


OTHERS = Others()


def busy_seconds() -> float:
    """Processor time used by all processes and by the host since boot."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(command: list, cwd: Path | None = None, env: dict[str, str] | None = None) -> Sample:
    """Runs a command and exits if it fails."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        busy, start = busy_seconds() - OTHERS.servers_seconds(), time.perf_counter()
        process = subprocess.Popen(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        busy = busy_seconds() - OTHERS.servers_seconds() - busy
        OTHERS.add(busy, usage.ru_utime + usage.ru_stime, seconds)
        output, errors = (text_of(file) for file in (stdout, stderr))
    if process.returncode != 0:
        sys.exit(f"{shlex.join(words)} ended with {process.returncode}:\n{output}{errors}")
    return Sample(seconds, usage.ru_maxrss * 1024, output)


def text_of(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def output_of(command: list, cwd: Path | None = None) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def drop_caches() -> bool:
    """Drops the page cache and the caches of names and inodes; requires root."""
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
        return True
    except OSError:
        return False


def say(text: str):
    print(f"{Path(sys.argv[0]).name}: {text}", file=sys.stderr, flush=True)


# --- Trees -----------------------------------------------------------------------------------------------------------


def remove(path: Path):
    run(["rm", "-rf", path])


def copy(tree: Path, to: Path):
    """Copies a tree into an empty or missing directory."""
    to.mkdir(parents=True, exist_ok=True)
    run(["cp", "-a", f"{tree}/.", to])


def files_in(tree: Path) -> list[str]:
    found = (os.path.join(directory, name) for directory, _, names in os.walk(tree) for name in names)
    return sorted(path for path in found if not os.path.islink(path))


def change_one_percent(tree: Path, number: int):
    """Appends to every hundredth file; each number selects other files."""
    for path in files_in(tree)[number % 100 :: 100]:
        os.chmod(path, os.stat(path).st_mode | 0o200)
        with open(path, "a", encoding="ascii") as file:
            file.write(f"// changed {number}\n")


def bytes_on_disk(tree: Path) -> int:
    return int(output_of(["du", "-s", "--block-size=1", tree]).split()[0])


def demand_equal(one: Path, other: Path):
    differences = output_of(["rsync", "-aHni", "--checksum", "--delete", f"{one}/", f"{other}/"])
    if differences:
        sys.exit(f"{other} is not as {one}:\n{differences[:2000]}")


def demand(condition: bool, text: str):
    if not condition:
        sys.exit(text)


def demand_space(disk: Path, needed: int):
    free = shutil.disk_usage(disk).free
    demand(free > needed, f"{disk} has less than {needed >> 30} GiB free; choose another directory with --work")


@contextmanager
def directory_in(parent: Path) -> Iterator[Path]:
    """A directory that is removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="local-cache-bench-", dir=parent))
    try:
        yield path
    finally:
        say(f"removing {path}")
        remove(path)


# --- The peer of saves and restores ----------------------------------------------------------------------------------


def tar_create(archive: Path) -> list:
    """The command that actions/cache runs to save (actions/toolkit, packages/cache, tar.ts)."""
    return ["tar", "--posix", "-cf", archive, "--use-compress-program", "zstd -T0", "tree"]


def tar_extract(archive: Path) -> list:
    return ["tar", "-xf", archive, "--use-compress-program", "zstd -d"]


# --- Input -----------------------------------------------------------------------------------------------------------


def cargo(work: Path, *words):
    """Runs cargo on a copy of bench/input with a separate CARGO_HOME."""
    project = work / "input/project"
    shutil.copytree(REPOSITORY / "bench/input", project, dirs_exist_ok=True)
    unset = ("CARGO_", "RUSTFLAGS", "RUSTC_WRAPPER")
    env = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
    env["CARGO_HOME"] = str(work / "input/cargo")
    subprocess.run(["cargo", *words, "--locked"], cwd=project, env=env, check=True, stdout=sys.stderr)


def registry(work: Path) -> Path:
    cargo(work, "fetch")
    return work / "input/cargo/registry"


def target(work: Path) -> Path:
    cargo(work, "fetch")
    cargo(work, "build", "--offline", "--target-dir", work / "input/target")
    return work / "input/target"


def built_binary() -> Path:
    command = ["cargo", "build", "--profile", "dist", "--locked", "--message-format", "json"]
    built = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = (json.loads(line) for line in built.splitlines())
    return Path([found["executable"] for found in artifacts if found.get("executable")][-1])


# --- Results ---------------------------------------------------------------------------------------------------------


def shown_peak(peak: int) -> str:
    """A command's peak memory. It starts as a copy of this program, so smaller values cannot be measured."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"{peak / MIB:.0f} MiB" if peak > own else f"< {own / MIB:.0f} MiB"


def size_of(tree: Path) -> str:
    return f"{len(files_in(tree)):,} files, {bytes_on_disk(tree) / MIB:,.0f} MiB on disk"


def machine() -> dict[str, str]:
    cpu = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").open() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    commit = output_of(["git", "describe", "--always", "--dirty", "--exclude=*"], REPOSITORY).strip()
    versions = [output_of([name, "--version"]).split("\n")[0].strip() for name in ("rsync", "cp", "tar", "zstd")]
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit,
        "machine": f"{cpu[0] if cpu else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, "
        f"Linux {platform.release()}",
        "tools": "; ".join(" ".join(version.split()) for version in versions),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def markdown(facts: dict[str, str], columns: list[str], rows: list[list[str]]) -> str:
    """The facts as a list, and a table. Columns of figures are aligned to the right."""
    figures = ("median", "min - max", "peak memory", "ratio", "up", "down", "requests")
    rule = ["---:" if column in figures else "---" for column in columns]
    text = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    return text + "\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in [columns, rule, *rows])
