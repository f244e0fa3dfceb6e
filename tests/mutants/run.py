#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Take one measure out at a time, and expect the tests that are named for it to fail.

mutants.toml has the measures. Each is taken out of a copy of the tree, which is built; then the tests named run, which
passed before, and in each set of them one at least has to fail. Two copies work at the same time.

    run.py [--folder FOLDER] [--results FILE] [NAME...]    all mutants, or those whose name or trap is given
    run.py --check                                         only see whether the list fits the sources

The copies are kept in FOLDER, build-mutants of the project, so that the next run builds less; logs of what did not go as
it should are in FOLDER/logs. Results are printed as a table, and go to FILE as JUnit XML. The exit status is 0 if every mutant made every set fail.
"""

import argparse
import dataclasses
import fcntl
import fnmatch
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
import xml.etree.ElementTree as tree
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
LIST = HERE / "mutants.toml"
AT_ONCE = 2
BUILD_SECONDS = 1200
SECONDS = {"unit": 200, "scenarios": 500, "vm": 900}
"""Kinds of tests, and how long a set of them may take on a machine that has much else to do."""

WITHOUT_NUMBER = {"minor", "socket", "latching"}
"""Traps of mutants whose trap has no number in docs/hooks.md."""


class Stale(Exception):
    """The list does not fit the sources."""


class Interrupted(Exception):
    """The run is told to end."""


@dataclasses.dataclass(frozen=True)
class Change:
    """A text of a file, which has to be there once, and what replaces it."""

    file: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Tests:
    """A set of tests: "unit FILTER", "scenarios FOLDER", "scenarios FOLDER::TEST", "vm FOLDER",
    "vm FOLDER::TEST"."""

    kind: str
    which: str

    @classmethod
    def of(cls, text):
        kind, _, which = text.partition(" ")
        if kind not in SECONDS or not which:
            raise Stale(f"{text!r} names no tests")
        return cls(kind, which)

    def __str__(self):
        return f"{self.kind} {self.which}"

    @property
    def paths(self):
        """What pytest is given."""
        folder, _, test = self.which.partition("::")
        base = f"tests/{self.kind}/{folder}"
        if not test:
            return [base]
        name = re.sub(r"\[.*", "", test)
        return [
            f"{base}/{file.name}::{test}"
            for file in sorted((REPO / base).glob("test_*.py"))
            if re.search(rf"^def {re.escape(name)}\(", file.read_text(), re.MULTILINE)
        ]

    def exist(self, unit_tests):
        if self.kind == "unit":
            return any(fnmatch.fnmatchcase(test, self.which) for test in unit_tests)
        return all((REPO / path.split("::")[0]).exists() for path in self.paths) and bool(self.paths)


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A measure that is taken out, and what must fail then."""

    name: str
    trap: str
    what: str
    changes: tuple
    red: tuple

    @classmethod
    def of(cls, item, others):
        known = {"name", "trap", "what", "file", "old", "new", "also", "together_with", "red"}
        name = item.get("name", "?")
        if unknown := set(item) - known:
            raise Stale(f"{name}: unknown: {', '.join(sorted(unknown))}")
        try:
            parts = [item, *item.get("also", [])]
            changes = [Change(part.get("file", item["file"]), part["old"], part["new"]) for part in parts]
            for other in item.get("together_with", []):
                changes += others[other].changes
            return cls(name, item["trap"], item["what"], tuple(changes), tuple(Tests.of(text) for text in item["red"]))
        except KeyError as error:
            raise Stale(f"{name}: no {error.args[0]}") from None


def load():
    """The mutants, and the tests that need none."""
    with open(LIST, "rb") as file:
        content = tomllib.load(file)
    mutants = {}
    for item in content["mutant"]:
        mutant = Mutant.of(item, mutants)
        if mutant.name in mutants:
            raise Stale(f"{mutant.name}: there are two")
        mutants[mutant.name] = mutant
    return list(mutants.values()), set(content["without_mutant"])


# Does the list fit the sources?


def traps():
    """Numbers of the traps in docs/hooks.md that have a measure."""
    text = (REPO / "docs" / "hooks.md").read_text()
    return set(re.findall(r"^\| (\d+) \|", text.partition("## The traps")[2].partition("\n## ")[0], re.MULTILINE))


def unit_tests():
    sources = "\n".join(file.read_text() for file in sorted((REPO / "tests" / "unit").glob("*.cpp")))
    return [".".join(names) for names in re.findall(r"^TEST(?:_[FP])?\((\w+), (?:ON_ONE_THREAD\()?(\w+)\)", sources, re.MULTILINE)]


def rogue_tests():
    """The tests that show what a rogue gets, as FOLDER::TEST."""
    found = set()
    for file in sorted((REPO / "tests" / "scenarios").glob("rogues-*/test_*.py")):
        found |= {f"{file.parent.name}::{test}" for test in re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE)}
    return found


def apply(text, change):
    """The text with a change."""
    count = text.count(change.old)
    if count != 1:
        raise Stale(f"{change.file} has {count} times: {change.old.strip().splitlines()[0]!r}")
    if change.old == change.new:
        raise Stale(f"{change.file}: nothing changes: {change.old.strip().splitlines()[0]!r}")
    return text.replace(change.old, change.new)


def mutate(mutant, root=REPO):
    """Texts of the files that a mutant changes."""
    texts = {}
    for change in mutant.changes:
        if change.file not in texts:
            path = root / change.file
            if not path.is_file():
                raise Stale(f"no {change.file}")
            texts[change.file] = path.read_text()
        texts[change.file] = apply(texts[change.file], change)
    return texts


def problems(mutants, without):
    """What is wrong with the list, as sentences."""
    found = []
    there = unit_tests()
    for mutant in mutants:
        try:
            mutate(mutant)
        except Stale as stale:
            found.append(f"{mutant.name}: {stale}")
        found += [f"{mutant.name}: there is no {tests}" for tests in mutant.red if not tests.exist(there)]
        if not mutant.red:
            found.append(f"{mutant.name}: names no tests")
    numbers = traps()
    used = {mutant.trap for mutant in mutants}
    found += [f"trap {trap} of docs/hooks.md has no mutant" for trap in sorted(numbers - used, key=int)]
    found += [f"docs/hooks.md has no trap {trap}" for trap in sorted(used - numbers - WITHOUT_NUMBER)]
    named = {re.sub(r"\[.*", "", tests.which) for mutant in mutants for tests in mutant.red if tests.kind == "scenarios"}
    rogues = rogue_tests()
    found += [f"{test} has no mutant" for test in sorted(rogues - named - without) if test.partition("::")[0] not in named]
    found += [f"{test} does not need to be excused" for test in sorted(without & named | without - rogues)]
    return found


# Programs


class Processes:
    """What runs now, each in a process group of its own; all of it ends when the run has to."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = set()
        self.stopping = False

    def run(self, command, log, seconds, **options):
        """The exit status, None at the end of the time."""
        with open(log, "wb") as output:
            with self.lock:
                if self.stopping:
                    raise Interrupted
                process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                           start_new_session=True, **options)
                self.running.add(process)
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.end([process])
                return None
            finally:
                with self.lock:
                    self.running.discard(process)
                    if self.stopping:
                        raise Interrupted

    @staticmethod
    def end(processes):
        """Ask them to clean up, and kill what does not."""
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + 8
        for process in processes:
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def stop(self):
        with self.lock:
            self.stopping = True
            running = list(self.running)
        self.end(running)


def failed_cases(path):
    """Names of the tests that passed and of those that failed, of a JUnit file."""
    passed, failed = [], []
    try:
        for case in tree.parse(path).getroot().iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                failed.append(case.get("name"))
            elif case.find("skipped") is None and case.get("status") != "notrun":
                passed.append(case.get("name"))
    except (OSError, tree.ParseError):
        pass
    return passed, failed


class Copy:
    """A copy of the tree with a build folder of its own."""

    vm = threading.Lock()
    """One virtual machine at a time."""

    def __init__(self, folder, processes):
        self.folder = folder
        self.source = folder / "tree"
        self.build = folder / "build"
        self.log = folder / "tests.log"
        self.processes = processes
        self.ready = False

    def fill(self):
        """Make it what the project is now; what is the same is not touched, so it is not built again."""
        self.source.mkdir(parents=True, exist_ok=True)
        names = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=REPO, check=True,
                               capture_output=True, text=True).stdout.split("\0")
        wanted = {name for name in names if name and (REPO / name).is_file()}
        for name in wanted:
            here, there = REPO / name, self.source / name
            if not there.is_file() or there.read_bytes() != here.read_bytes():
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(here, there)
            shutil.copymode(here, there)
        for path in sorted(self.source.rglob("*"), reverse=True):
            name = str(path.relative_to(self.source))
            if name == ".cache" or name.startswith(".cache/"):
                continue
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            elif not path.is_dir() and name not in wanted:
                path.unlink()
        cache = self.source / ".cache"
        if not cache.is_symlink():
            cache.symlink_to((REPO / ".cache").resolve())

    def write(self, texts):
        """Write files. Returns what was in them."""
        before = {name: (self.source / name).read_text() for name in texts}
        for name, text in texts.items():
            (self.source / name).write_text(text)
        return before

    def make(self, kinds):
        """Build what tests of these kinds need. Returns what is wrong, nothing if all is well."""
        log = self.folder / "build.log"
        if not (self.build / "build.ninja").exists():
            shutil.rmtree(self.build, ignore_errors=True)
            if self.processes.run(["meson", "setup", str(self.build), str(self.source), "-Dplugin=enabled",
                                   "-Doptimization=0", "-Ddebug=false"], log, BUILD_SECONDS) != 0:
                shutil.rmtree(self.build, ignore_errors=True)
                return self.why(log, "meson failed")
        wanted = {"shared module", "shared library"} if kinds & {"scenarios", "vm"} else set()
        known = subprocess.run(["meson", "introspect", "--targets", str(self.build)], check=True, capture_output=True).stdout
        targets = [os.path.relpath(file, self.build) for target in json.loads(known) if target["type"] in wanted
                   for file in target["filename"]]
        targets += ["tests/unit/unit"] if "unit" in kinds else []
        status = self.processes.run(["ninja", "-C", str(self.build), "-j", "2", *targets], log, BUILD_SECONDS)
        if status == 0:
            return ""
        return self.why(log, "does not build" if status is not None else f"not built within {BUILD_SECONDS} s")

    @staticmethod
    def why(log, what):
        lines = log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines[-1:] or [""]
        return f"{what}: {errors[0].strip()[:200]}"

    def keep_log(self, name):
        """Keep what the last tests or the last build said."""
        logs = self.folder.parent / "logs"
        logs.mkdir(exist_ok=True)
        with open(logs / f"{re.sub('[^A-Za-z0-9.-]+', '-', name)}.log", "wb") as kept:
            for log in (self.folder / "build.log", self.log):
                if log.exists():
                    kept.write(log.read_bytes())

    def run(self, tests, until_failed):
        """Run tests. Returns names of those that passed and that failed, and why there are none."""
        results, log = self.folder / "results.xml", self.log
        results.unlink(missing_ok=True)
        seconds = SECONDS[tests.kind]
        environment = {**os.environ, "BTNS_BUILD": str(self.build), "PYTHONDONTWRITEBYTECODE": "1"}
        if tests.kind == "unit":
            command = [str(self.build / "tests" / "unit" / "unit"), "--gtest_brief=1", f"--gtest_filter={tests.which}",
                       f"--gtest_output=xml:{results}", *(["--gtest_fail_fast"] if until_failed else [])]
            status = self.processes.run(command, log, seconds, cwd=self.source)
        elif tests.kind == "scenarios":
            command = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--tb=short",
                       "--rootdir=tests/scenarios", f"--junit-xml={results}", *(["-x"] if until_failed else []), *tests.paths]
            status = self.processes.run(command, log, seconds, cwd=self.source, env=environment)
        else:
            with self.vm:
                # a folder of its own: it is emptied first
                folder, _, test = tests.which.partition("::")
                command = ["tests/vm/vm.py", "--results", str(self.folder / "vm"), "--timeout", str(seconds - 120), folder,
                           *(["-k", test] if test else [])]
                results = self.folder / "vm" / "results.xml"
                status = self.processes.run(command, log, seconds, cwd=self.source, env=environment)
        passed, failed = failed_cases(results)
        if status is None:
            return passed, [], f"not done within {seconds} s"
        if status < 0 and tests.kind == "unit":
            return passed, [f"ended by {signal.Signals(-status).name}"], ""
        if not passed and not failed:
            return passed, failed, self.why(log, f"no test ran, status {status}")
        return passed, failed, ""


# The run


@dataclasses.dataclass
class Result:
    """What became of a mutant."""

    mutant: Mutant
    problem: str = ""
    red: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0

    @property
    def text(self):
        return self.problem or "red: " + "; ".join(f"{names[0]}" for names in self.red.values())


class Run:
    """Mutants and the tests they name, for a few copies at the same time."""

    def __init__(self, mutants, folder):
        self.processes = Processes()
        self.copies = [Copy(folder / str(number), self.processes) for number in range(AT_ONCE)]
        # neighbours in a file share a compilation
        self.mutants = sorted(mutants, key=lambda mutant: mutant.changes[0].file)
        self.not_green = {}
        self.results = {}
        self.broken = []

    def each(self, items, work):
        """Let the copies do work for the items."""
        waiting = queue.SimpleQueue()
        for item in items:
            waiting.put(item)

        def worker(copy):
            try:
                self.prepare(copy)
                while True:
                    work(copy, waiting.get_nowait())
            except (queue.Empty, Interrupted):
                pass
            except Exception as error:
                self.broken.append(error)
                raise

        threads = [threading.Thread(target=worker, args=(copy,), daemon=True) for copy in self.copies]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)
        if self.broken:
            raise self.broken[0]

    def prepare(self, copy):
        if copy.ready:
            return
        copy.fill()
        if problem := copy.make({tests.kind for mutant in self.mutants for tests in mutant.red}):
            raise RuntimeError(f"with nothing taken out: {problem}")
        copy.ready = True

    def see_green(self, copy, tests):
        passed, failed, problem = copy.run(tests, False)
        if failed or problem:
            self.not_green[tests] = problem or f"fails with nothing taken out: {failed[0]}"
            copy.keep_log(str(tests))
        print(f"  {'ok   ' if passed and tests not in self.not_green else 'FAIL '} unchanged: {tests} {self.not_green.get(tests, '')}",
              flush=True)

    def see_red(self, copy, mutant):
        start = time.monotonic()
        result = Result(mutant)
        before = copy.write(mutate(mutant, copy.source))
        try:
            result.problem = copy.make({tests.kind for tests in mutant.red})
            for tests in mutant.red:
                if not result.problem:
                    result.problem = self.not_green.get(tests, "")
                if not result.problem:
                    _, failed, problem = copy.run(tests, True)
                    result.red[tests] = failed
                    result.problem = f"{tests}: {problem}" if problem else "" if failed else f"NOT RED: {tests}"
        finally:
            copy.write(before)
        if result.problem:
            copy.keep_log(mutant.name)
        result.seconds = time.monotonic() - start
        self.results[mutant.name] = result
        print(f"  {'FAIL ' if result.problem else 'ok   '} {mutant.name} ({mutant.trap}): {result.text} ({result.seconds:.0f} s)",
              flush=True)

    def all(self):
        sets = sorted({tests for mutant in self.mutants for tests in mutant.red}, key=str)
        print(f"{len(self.mutants)} mutants, {len(sets)} sets of tests", flush=True)
        self.each(sets, self.see_green)
        self.each(self.mutants, self.see_red)


def order(mutant):
    return (0, int(mutant.trap)) if mutant.trap.isdigit() else (1, 0)


def print_table(mutants, results):
    print("\n| trap | taken out | expected red | result |\n|---|---|---|---|")
    for mutant in sorted(mutants, key=order):
        red = "; ".join(str(tests) for tests in mutant.red)
        result = results.get(mutant.name)
        print(f"| {mutant.trap} | {mutant.name}: {mutant.what} | {red} | {result.text if result else 'not run'} |")


def write_results(path, mutants, results):
    suite = tree.Element("testsuite", name="mutants")
    for mutant in mutants:
        result = results.get(mutant.name)
        case = tree.SubElement(suite, "testcase", classname=mutant.trap, name=mutant.name)
        if not result or result.problem:
            tree.SubElement(case, "failure", message=result.problem if result else "not run")
    tree.ElementTree(suite).write(path, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--folder", type=Path, default=REPO / "build-mutants")
    parser.add_argument("--results", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    try:
        mutants, without = load()
    except (Stale, tomllib.TOMLDecodeError) as error:
        sys.exit(f"{LIST.name}: {error}")
    found = problems(mutants, without)
    for problem in found:
        print(f"{LIST.name}: {problem}")
    if found:
        sys.exit(1)
    if arguments.check:
        return 0

    chosen = [mutant for mutant in mutants if {mutant.name, mutant.trap} & set(arguments.names)] if arguments.names else mutants
    unknown = set(arguments.names) - {name for mutant in mutants for name in (mutant.name, mutant.trap)}
    if unknown:
        sys.exit(f"no mutant {', '.join(sorted(unknown))}")
    if os.geteuid():
        sys.exit("scenarios need root")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    lock = open(arguments.folder / "lock", "w")  # until the end of the process
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another run uses {arguments.folder}")
    run = Run(chosen, arguments.folder)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        run.all()
    except KeyboardInterrupt:
        run.processes.stop()
        return 130
    except RuntimeError as error:
        print(f"  FAIL  {error}")
    finally:
        if arguments.results:
            write_results(arguments.results, chosen, run.results)
    print_table(chosen, run.results)
    good = [result for result in run.results.values() if not result.problem]
    print(f"\n{len(good)} passed, {len(chosen) - len(good)} failed")
    return 0 if len(good) == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
