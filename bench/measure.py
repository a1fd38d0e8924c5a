"""What every part of the suite needs: commands timed in interleaved rounds, answers compared, tables written.

Absolute times drift by a third within minutes on a machine that others use too, so nothing here but ratios formed inside
a round, and their median, is ever held against a goal. Beside the wall clock each command's own processor time is taken,
which neighbours disturb less."""

import argparse
import atexit
import datetime
import json
import os
import platform
import resource
import shutil
import signal
import statistics
import string
import subprocess
import sys
import tempfile
import time
from decimal import Decimal

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
AGGREGATES = [("n", "count", None), ("sum", "sum", "amount"), ("min", "min", "amount"), ("max", "max", "amount")]
WINDOW = 60
RATE = 1667  # 100,020 records a window
PARTS = ("figures", "commits", "ingest", "scaling", "memory", "latency", "matrix")
OF_RECORDS = PARTS[:3]  # so many records as --records says; the others have sizes of their own
PROGRAMS = ("tumble", "tumble-generate", "tumble-events", "tumble-limits")  # without them nothing can be measured
GOALS_RECORDS = 1000000
QUIET_SPREAD = 0.3  # of half the figures, between their least and their greatest round
QUIET_OTHERS = 0.2  # cores that other programs use


def say(text):
    print(text, file=sys.stderr, flush=True)


def spec(group, aggregates=AGGREGATES):
    listed = [dict({"name": name, "function": function}, **({"field": field} if field else {}), **(more[0] if more else {}))
              for name, function, field, *more in aggregates]
    return json.dumps({"group_by": [group], "aggregates": listed})


def flags(group, aggregates=AGGREGATES):
    """The same for the command."""
    return ["--group-by", group] + [part for name, function, field in aggregates for part in ("-a", f"{name}={function}({field or ''})")]


def refuse(why):
    say(f"{os.path.basename(sys.argv[0])}: {why}")
    sys.exit(2)


class Settings:
    """Where things are, and how often to measure."""

    def __init__(self, args):
        self.args = args
        self.bin = os.path.abspath(args.bin)
        self.tools = os.path.abspath(args.tools)
        self.out = os.path.abspath(args.directory)
        self.rounds, self.core, self.quick, self.long = args.rounds, args.core, args.quick, args.long
        cores = sorted(os.sched_getaffinity(0))
        if self.core not in cores:
            refuse(f"--core {self.core}: this process may use {', '.join(map(str, cores))}")
        if not shutil.which("taskset"):
            refuse("taskset is not there: it comes with util-linux")
        missing = [name for name in PROGRAMS if not self.program(name)]
        if missing:
            refuse(f"--bin {args.bin}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there; ./dev bench builds them")
        try:
            os.makedirs(self.out, exist_ok=True)
            self.disk = tempfile.mkdtemp(prefix="work-", dir=self.out)  # states: what is synced must reach a disk
        except OSError as error:
            refuse(f"--directory {args.directory}: {error.strerror}")
        self.memory = tempfile.mkdtemp(prefix="tumble-bench-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else self.out)
        atexit.register(self.clean_up)

    def clean_up(self):
        for directory in (self.disk, self.memory):
            shutil.rmtree(directory, ignore_errors=True)

    def forget(self):
        """Inputs and rows of a part that is over: gigabytes of memory."""
        for directory in (self.disk, self.memory):
            for entry in os.scandir(directory):
                shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)

    def program(self, name):
        path = os.path.join(self.bin, name)
        return path if os.access(path, os.X_OK) else None

    def node(self):
        architecture = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        own = os.path.join(self.tools, "node_modules", f"node-linux-{architecture}", "bin", "node")
        return own if os.access(own, os.X_OK) else shutil.which("node")

    def has_duckdb(self):
        return self.node() and os.path.isdir(os.path.join(self.tools, "node_modules", "@duckdb", "node-api"))

    def generate(self, name, *options):
        """A file of the seeded click stream, in the page cache of a disk, as one has it (from tmpfs a run
        of ours takes a seventh longer). It is written in large pieces, so that the cache has it in large folios: read()
        copies from them twice as fast as from single pages."""
        path = os.path.join(self.disk, "input-" + name)
        if not os.path.exists(path):
            command = [self.program("tumble-generate"), *map(str, options)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as generator, open(path, "wb", buffering=0) as file:
                shutil.copyfileobj(generator.stdout, file, 4 << 20)
                os.fsync(file.fileno())  # writing it back is not what is measured
            if generator.returncode:
                raise SystemExit(f"{' '.join(command)}: exit {generator.returncode}")
        return path

    def events(self, name, records, batch, *options):
        return self.generate(f"{name}-{records}", "--format", "lambda", "--window", WINDOW, "--rate", RATE, "--records", records, "--batch", batch, *options)

    def peer(self, name):
        return os.path.join(ROOT, "bench", "peers", name)


def pythons():
    """Debian's, and the first one on PATH where that is another: builds of one version differ by a factor of two."""
    found = {}
    for path in ("/usr/bin/python3", shutil.which("python3")):
        if path and os.access(path, os.X_OK):
            real = output_of(path, "-c", "import os, sys; print(os.path.realpath(sys.executable))")
            if real and real not in found.values():
                found["CPython" if not found else f"CPython {real}"] = real
    return found


def at_least_one(text):
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number of at least 1, not '{text}'")
    return int(text)


def parse_arguments(description, more=None):
    """The same options for the suite and for each part alone."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=at_least_one, metavar="N", help="interleaved rounds (7; 3 with --quick)")
    parser.add_argument("--records", type=at_least_one, metavar="N",
                        help=f"of {', '.join(OF_RECORDS)} ({GOALS_RECORDS}, which goals are for; 200000 with --quick)")
    parser.add_argument("--core", type=int, metavar="N", default=max(os.sched_getaffinity(0)),
                        help="everything is pinned to it (the last one that there is: %(default)s)")
    parser.add_argument("--bin", metavar="DIR", default=os.path.join(ROOT, "build/release/bin"), help="where tumble's programs are (%(default)s)")
    parser.add_argument("--tools", metavar="DIR", default=os.path.join(ROOT, "build/tools"), help="where node_modules with Node and DuckDB is (%(default)s)")
    parser.add_argument("--directory", metavar="DIR", default=os.path.join(ROOT, "build/bench"),
                        help="for tables, figures, plots, inputs and states: on a disk (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a first impression")
    parser.add_argument("--long", action="store_true", help="also what takes an hour")
    if more:
        more(parser)
    args = parser.parse_args()
    args.rounds = args.rounds or (3 if args.quick else 7)
    args.records = args.records or (200000 if args.quick else GOALS_RECORDS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended too
    return Settings(args)


class Case:
    """A command to measure. inner: it prints {"seconds":…,"cpu_seconds":…} of its own as its last line, and these count.
    summary: a file where it writes {"seconds":…}. fresh: a directory that is empty at its start."""

    def __init__(self, name, command, rows=None, inner=False, fresh=None, rows_on_stdout=False, cores=1, summary=None, stdin=None):
        self.name, self.command, self.rows, self.inner, self.fresh = name, command, rows, inner, fresh
        self.rows_on_stdout, self.cores, self.summary, self.stdin = rows_on_stdout, cores, summary, stdin


def forget_rows(case):
    """To free their pages is nobody's work, and before the kernel begins to write them to the disk beside what is measured."""
    if case.rows and os.path.exists(case.rows):
        os.unlink(case.rows)


def run(settings, case):
    """{"wall": s, "cpu": s, …what it printed}."""
    if case.fresh:
        shutil.rmtree(case.fresh, ignore_errors=True)
        os.makedirs(case.fresh)
    forget_rows(case)
    command = (["taskset", "-c", str(settings.core)] if case.cores == 1 else []) + [str(part) for part in case.command]
    out = case.rows if case.rows_on_stdout else os.path.join(settings.memory, "stdout")
    feed = subprocess.Popen([str(part) for part in case.stdin], stdout=subprocess.PIPE) if case.stdin else None
    with open(out, "wb") as stdout, open(os.path.join(settings.memory, "stderr"), "w+b") as stderr:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, stdin=feed.stdout if feed else subprocess.DEVNULL,
                                   start_new_session=True)
        if feed:
            feed.stdout.close()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            if feed:
                feed.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started
            if feed:
                feed.kill()
            raise
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            stderr.seek(0)
            raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{stderr.read().decode(errors='replace')[-2000:]}")
    result = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime}
    if case.summary:
        with open(case.summary, encoding="utf-8") as file:
            result["printed"] = json.load(file)
        result["inner"] = result["printed"]["seconds"]
    elif not case.rows_on_stdout:
        with open(out, encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
        if lines and lines[-1].startswith("{"):
            printed = json.loads(lines[-1])
            result["printed"] = printed
            if case.inner:
                result["wall"], result["cpu"] = printed["seconds"], printed["cpu_seconds"]
    return result


def interleaved(settings, cases, rounds=None, check=None):
    """{case name: [result of each round]}. A round before the first warms up, is checked, and does not count."""
    rounds = rounds or settings.rounds
    results = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        began = time.perf_counter()
        for case in cases:
            result = run(settings, case)
            if number:
                results[case.name].append(result)
                forget_rows(case)
        if number == 0 and check:
            check()
        for case in cases:
            forget_rows(case)
        say(f"   round {number} of {rounds}: {time.perf_counter() - began:.1f} s" + ("" if number else " (not counted)"))
    return results


def middle(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(above, below, clock="wall"):
    return middle([a[clock] / b[clock] for a, b in zip(above, below)])


# ---- answers ----

def answer(path, group):
    """{(window, group): (count, sum, least, greatest)} of NDJSON rows, whoever wrote them; shards' rows are folded."""
    total = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line, parse_float=Decimal, parse_int=Decimal)
            key = (row["window_start"], row[group])
            old = total.get(key)
            new = (row["n"], row["sum"], row["min"], row["max"])
            total[key] = new if old is None else (old[0] + new[0], old[1] + new[1], min(old[2], new[2]), max(old[3], new[3]))
    return total


def same(ours, theirs, exact):
    """Counts and extremes alike; sums exact, or as near as doubles come that were added up."""
    if not ours or ours.keys() != theirs.keys():
        return False
    slack = Decimal(0) if exact else Decimal("1e-9")
    return all(a[0] == b[0] and a[2:] == b[2:] and abs(a[1] - b[1]) <= abs(a[1]) * slack for a, b in ((ours[key], theirs[key]) for key in ours))


def check_answers(group, ours, others, exact=()):
    wanted = answer(ours, group)
    for name, path in others.items():
        if not same(wanted, answer(path, group), name in exact):
            raise SystemExit(f"{name} does not give tumble's answer: {path} against {ours}")
    say(f"   {len(others) + 1} programs give the same {len(wanted):,} rows")


# ---- the page ----

def output_of(*command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def absent(settings):
    """Peers and tools that are not here, so that no table leaves one out without a word."""
    here = {"simdjson (libsimdjson-dev, built with -DTUMBLE_SIMDJSON=ON)": settings.program("tumble-simdjson"), "Node": settings.node(),
            "DuckDB (npm, in --tools)": settings.has_duckdb(), "SQLite": shutil.which("sqlite3"), "jq": shutil.which("jq"), "mawk": shutil.which("mawk"),
            "Miller": shutil.which("mlr"), "gnuplot, so no plots": shutil.which("gnuplot")}
    return [name for name, found in here.items() if not found]


def machine(settings):
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), platform.machine())
    versions = {"tumble": output_of(settings.program("tumble"), "--version"), "commit": output_of("git", "-C", ROOT, "rev-parse", "--short", "HEAD"),
                "gcc": output_of("gcc", "-dumpfullversion"), "node": output_of(settings.node() or "node", "--version"),
                "python": output_of("/usr/bin/python3", "--version"), "sqlite": output_of("sqlite3", "--version").split(" ")[0],
                "jq": output_of("jq", "--version"), "mawk": output_of("mawk", "-W", "version").splitlines()[0:1] and output_of("mawk", "-W", "version").splitlines()[0],
                "miller": output_of("mlr", "--version"), "simdjson": settings.program("tumble-simdjson") and output_of("pkg-config", "--modversion", "simdjson")}
    package = os.path.join(settings.tools, "node_modules", "@duckdb", "node-api", "package.json")
    if os.path.exists(package):
        versions["duckdb"] = json.load(open(package, encoding="utf-8"))["version"]
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "system": platform.platform(), "load": os.getloadavg()[0],
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%MZ"), "versions": {k: v for k, v in versions.items() if v},
            "rounds": settings.rounds, "core": settings.core, "quick": settings.quick, "absent": absent(settings)}


def shown(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(value, unit=""):
    return f"{shown(value['median'])}{unit} ({shown(value['min'])}–{shown(value['max'])})"


def table(header, rows):
    return ["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def verdict(value, must, after, at_least):
    """A figure against the goal that it must reach and the one it is after."""
    reached = (lambda goal: value >= goal) if at_least else (lambda goal: value <= goal)
    sign = "≥" if at_least else "≤"  # GOAL_NOTE says how to read what this makes
    goal = f"{sign} {must:g}" + (f" / {after:g}" if after is not None else "")
    if not reached(must):
        return f"{goal}: **missed**, {value / must:.2f} of it"
    return f"{goal}: {'both met' if after is not None and reached(after) else 'met'}"


GOAL_NOTE = ("A goal is what a figure must reach, and behind the stroke what it is after; \"0.39 of it\" is what was measured over what it must reach. "
             "Where a table has both, goals are held against wall time.")


def busy_seconds():
    """(processor time of the whole machine, of this process and what it has waited for)."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, *more = map(int, file.readline().split()[1:9])  # idle, and waiting for the disk
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK"), sum(one.ru_utime + one.ru_stime for one in own)


def spreads(result):
    """Of every figure of wall time: how far its rounds lie apart, over their median."""
    if not isinstance(result, dict):
        return []
    own = [(one["max"] - one["min"]) / one["median"] for key, one in result.items() if key == "wall" and isinstance(one, dict) and one.get("median")]
    return own + [each for one in result.values() for each in spreads(one)]


def head(settings, name, result):
    """What stands above a part's tables."""
    host = result["machine"]
    lines = [f"{host['cpu']}, {host['cores']} cores; {host['system']}; " + ", ".join(f"{name} {version if name == 'commit' else version.lstrip(string.ascii_letters + ' -')}" for name, version in host["versions"].items()) +
             f"; {host['date']}; {result['workload']}; {host['rounds']} rounds, core {host['core']}; memory {'put in order before' if host['memory_in_order'] else 'as it was: only root may put it in order'}", ""]
    if host["absent"]:
        lines += [f"Not here, and so not measured: {', '.join(host['absent'])}.", ""]
    others, apart = host["others"], host["spread"]
    if others > QUIET_OTHERS or apart > QUIET_SPREAD:
        lines += [f"The machine was not quiet (load {host['load_before']:.1f} before, {host['load']:.1f} after; others used {others:.1f} cores"
                  f"{f'; rounds lie {apart:.0%} apart' if apart else ''}): trust processor time.", ""]
    if name in OF_RECORDS and settings.args.records != GOALS_RECORDS:
        lines += [f"Goals are for {GOALS_RECORDS:,} records.{' This run had --quick.' if settings.quick else ''}", ""]
    elif settings.quick:
        lines += ["This run had --quick.", ""]
    return lines


def put_memory_in_order():
    """Page cache dropped and free memory made whole, where one may: what a machine did for a day leaves it in small pieces, and files that come to lie in
    these are read and written a sixth slower. Before the inputs are made, for all programs alike."""
    try:
        os.sync()
        for name, value in (("drop_caches", "1"), ("compact_memory", "1")):
            with open(os.path.join("/proc/sys/vm", name), "w", encoding="ascii") as file:
                file.write(value)
    except OSError:
        return False
    return True


def run_part(settings, name, measure, report):
    """Measures a part and writes its page, and the page of all parts that there are. The result names its "workload"."""
    in_order = put_memory_in_order()
    load, began, (machine_before, own_before) = os.getloadavg()[0], time.monotonic(), busy_seconds()
    result = measure(settings)
    machine_after, own_after = busy_seconds()
    others = ((machine_after - machine_before) - (own_after - own_before)) / (time.monotonic() - began)
    result["machine"].update(machine(settings), load_before=load, memory_in_order=in_order, others=max(0.0, others), spread=statistics.median(spreads(result) or [0]))
    title, *lines = report(result)
    lines = [title, "", *head(settings, name, result), *lines[1 if lines and not lines[0] else 0:]]
    if any("≥ " in line or "≤ " in line for line in lines):
        lines += [GOAL_NOTE, ""]
    write(settings, name, lines, result)
    with open(os.path.join(settings.out, "results.md"), "w", encoding="utf-8") as out:
        for part in PARTS:
            path = os.path.join(settings.out, part + ".md")
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    out.write(file.read() + "\n")


def write(settings, name, lines, data):
    """name.md and name.json; earlier parts stay beside them."""
    with open(os.path.join(settings.out, name + ".md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    with open(os.path.join(settings.out, name + ".json"), "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
    print("\n".join(lines), flush=True)


def plot(settings, name, title, script, data, height=480):
    """name.svg by gnuplot; data: rows that the script finds as "$data". Without gnuplot there are no plots."""
    if not shutil.which("gnuplot"):
        return
    block = "\n".join(" ".join(f'"{part}"' if isinstance(part, str) else f"{part:.9g}" for part in row) for row in data)
    host = machine(settings)
    title = f"{title}; {host['cpu']}, {host['date'][:10]}".replace("'", "")
    text = (f"set terminal svg size 900,{height} dynamic font 'sans,13' background '#ffffff'\nset output '{os.path.join(settings.out, name)}.svg'\n"
            f"$data << END\n{block}\nEND\nset grid ytics lt 1 lc rgb '#dddddd'\nset border 3\nset tics nomirror out\nset key top left Left reverse\n"
            f"set label 1 '{title}' at screen 0.5, screen 1 offset 0,-1.2 center noenhanced\nset tmargin 3\n{script}\n")
    subprocess.run(["gnuplot"], input=text.encode(), check=True)


def plot_bars(settings, name, title, axis, series, data, goal=None):
    """Bars from left to right, so that their names can be read. series: (title, colour) each; data: (name, value of each
    of the series…, and what it is to reach, where goal is the title of that)."""
    if not data:
        return
    widest, most, thick = max(len(row[0]) for row in data), max(max(row[1:]) for row in data), 0.8 / len(series)
    parts = []
    for column, (legend, colour) in enumerate(series, 2):
        low = f"$0 - 0.4 + {(column - 2) * thick:g}"
        parts += [f"$data using (0):($0):(0):{column}:({low}):({low} + {thick * 0.92:g}) with boxxyerror fs solid 1 noborder lc rgb '{colour}' title '{legend}'",
                  f"$data using {column}:({low} + {thick / 2:g}):(sprintf('%.{0 if most >= 100 else 1}f', ${column})) with labels left offset 0.6,0 notitle"]
    if goal:  # a stroke across its bar
        parts.append(f"$data using {len(series) + 2}:($0 - 0.46):(0):(0.92) with vectors nohead lw 3 lc rgb '#d62728' title '{goal}'")
    names = ", ".join(f"'{row[0]}' {number}" for number, row in enumerate(data))
    plot(settings, name, title, "unset grid\nset grid xtics lt 1 lc rgb '#dddddd'\nset border 1\nset tmargin 4.5\nset rmargin 4\n"
         f"set lmargin {widest * 0.8 + 2:g}\nset xrange [0:{most * 1.1:g}]\nset yrange [{len(data) - 0.4}:-0.6]\nset xlabel '{axis}'\n"
         f"set ytics scale 0 noenhanced ({names})\nset key at graph 1, graph 1 right bottom horizontal maxrows 1\nplot " + ", ".join(parts),
         data, height=140 + len(data) * (12 + 16 * len(series)))
