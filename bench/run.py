#!/usr/bin/python3
"""Measures tumble against a plain CPython handler on the same events, and the memory of a group.

    run.py [--rounds N] [--records N] [--core N] [--tumble PATH] [--generate PATH] [--directory DIR]

Rounds are interleaved: every program once a round, pinned to one core; what counts are medians and the ratios inside a
round, for absolute times drift by a third within minutes. Writes results.md and results.json into DIR (build/bench)."""

import argparse
import array
import datetime
import fcntl
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import termios
import threading
import time
from decimal import Decimal

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
AGGREGATES = ["-a", "n=count()", "-a", "sum=sum(amount)", "-a", "min=min(amount)", "-a", "max=max(amount)"]
GOALS = {"ratio": 15, "rss_mb": 40, "bytes_per_group": 250}


def pinned(core, command):
    return ["taskset", "-c", str(core)] + command


def timed(command, out):
    began = time.perf_counter()
    with open(out, "wb") as file:
        subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=True)
    return time.perf_counter() - began


def status(pid, name):
    """A line of /proc/PID/status in bytes; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def peak_rss(command):
    """The process's own high water mark, read while it runs (rusage would count what the parent had before exec)."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, status(process.pid, "VmHWM") or 0)
        time.sleep(0.005)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return peak


def rows(path):
    """Totals of all windows by group, whoever wrote them."""
    total = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line, parse_float=Decimal, parse_int=Decimal)
            old = total.get(row["eventType"], (0, Decimal(0), row["min"], row["max"]))
            total[row["eventType"]] = (old[0] + row["n"], old[1] + row["sum"], min(old[2], row["min"]), max(old[3], row["max"]))
    return total


def same_totals(ours, theirs):
    """Counts and extremes alike; sums as near as doubles that were added up can be."""
    if ours.keys() != theirs.keys() or not ours:
        return False
    return all(a[0] == b[0] and a[2:] == b[2:] and abs(a[1] - b[1]) <= abs(a[1]) * Decimal("1e-9")
               for a, b in ((ours[group], theirs[group]) for group in ours))


def quartiles(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def interpreters():
    """Every python3 on PATH, the one that runs this first: builds of one version differ by a factor of two."""
    found = {os.path.realpath(sys.executable): sys.executable}
    for directory in os.environ.get("PATH", "").split(os.pathsep) + ["/usr/bin"]:
        path = os.path.join(directory, "python3")
        if os.access(path, os.X_OK):
            real = output_of([path, "-c", "import os, sys; print(os.path.realpath(sys.executable))"])
            found.setdefault(real, path)
    return {f"CPython {output_of([path, '-c', 'import platform; print(platform.python_version())'])} handler, {real}": path
            for real, path in found.items()}


def against_python(args, work):
    events = os.path.join(work, "events.ndjson")
    with open(events, "wb") as file:
        subprocess.run([args.generate, "--records", str(args.records), "--format", "lambda", "--batch", "1000", "--groups", "8",
                        "--rate", "1667"], stdout=file, check=True)
        os.fsync(file.fileno())  # writing it back is not what is measured
    replay = [args.tumble, "replay", "--window", "60", "--group-by", "eventType", *AGGREGATES, "--batch-size", "1000", "--format",
              "ndjson", "--quiet"]
    state = os.path.join(work, "state")
    programs = {
        "tumble": replay + ["--durability", "none", events],
        "tumble, every commit synced": replay + ["--durability", "commit", "--state", state, events],
    }
    pythons = interpreters()
    for name, path in pythons.items():
        programs[name] = [path, os.path.join(ROOT, "bench", "handler_python.py"), events]
    times = {name: [] for name in programs}
    out = {name: os.path.join(work, f"rows-{i}") for i, name in enumerate(programs)}
    for number in range(args.rounds + 1):  # the first one warms the page cache and does not count
        for name, command in programs.items():
            shutil.rmtree(state, ignore_errors=True)
            seconds = timed(pinned(args.core, command), out[name])
            if number:
                times[name].append(seconds)
        print(f"round {number} of {args.rounds}", file=sys.stderr)
    for name in programs:
        if not same_totals(rows(out["tumble"]), rows(out[name])):
            raise SystemExit(f"{name} and tumble give other totals: {out}")
    size = os.path.getsize(events)
    python = times[next(iter(pythons))]
    result = {}
    for name, seconds in times.items():
        shutil.rmtree(state, ignore_errors=True)
        result[name] = {"seconds": quartiles(seconds), "ns_per_record": statistics.median(seconds) / args.records * 1e9,
                        "mb_per_second": size / 1e6 / statistics.median(seconds),
                        "ratio": quartiles([b / a for a, b in zip(seconds, python)]),
                        "peak_rss_mb": peak_rss(pinned(args.core, programs[name])) / 1e6}
    ratios = {name: statistics.median([b / a for a, b in zip(times["tumble"], times[name])]) for name in pythons}
    return {"records": args.records, "bytes": size, "programs": result, "ratios": ratios}


def steady_rss_anon(args, work, users):
    """RssAnon of a replay that has consumed all its input and waits for more: the end of the pipe stays open."""
    fifo = os.path.join(work, f"fifo-{users}")
    os.mkfifo(fifo)
    command = [args.tumble, "replay", "--window", "86400", "--timestamp", "timestamp", "--group-by", "userId", *AGGREGATES,
               "--batch-size", "1000", "--durability", "none", "--format", "ndjson", "--quiet", "--input-format", "ndjson", fifo]
    process = subprocess.Popen(pinned(args.core, command), stdout=subprocess.DEVNULL)
    feed = os.open(fifo, os.O_WRONLY)
    done = threading.Event()

    def write():
        generate = [args.generate, "--records", "2000000", "--users", str(users), "--users-in-turn", "--rate", "1000000"]
        subprocess.run(generate, stdout=feed, check=True)
        done.set()

    threading.Thread(target=write, daemon=True).start()
    last, quiet = None, 0
    while quiet < 10:
        if process.poll() is not None:
            raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
        time.sleep(0.1)
        waiting = array.array("i", [0])
        fcntl.ioctl(feed, termios.FIONREAD, waiting)
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            cpu = file.read().rsplit(")", 1)[1].split()[11:13]
        quiet = quiet + 1 if done.is_set() and waiting[0] == 0 and cpu == last else 0
        last = cpu
    anon = status(process.pid, "RssAnon")
    os.close(feed)
    process.wait()
    os.unlink(fifo)
    return anon


def memory(args, work):
    many, few = 1000000, 8
    anon = {users: steady_rss_anon(args, work, users) for users in (many, few)}
    return {"groups": many, "rss_anon": anon[many], "rss_anon_8_groups": anon[few],
            "bytes_per_group": (anon[many] - anon[few]) / (many - few)}


def output_of(command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":")[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "system": platform.platform(),
            "python": platform.python_version(), "compiler": output_of(["gcc", "-dumpfullversion"]),
            "date": datetime.date.today().isoformat()}


def verdict(value, goal, at_least):
    met = value >= goal if at_least else value < goal
    return f"{'≥' if at_least else '<'} {goal}: {'met' if met else 'MISSED'}"


def report(result):
    host, speed, groups = result["machine"], result["against_python"], result["memory"]
    ours = speed["programs"]["tumble"]
    lines = [f"{host['cpu']}, {host['cores']} cores; {host['system']}; CPython {host['python']}, gcc {host['compiler']}; "
             f"{result['tumble']}; {host['date']}", "",
             f"{speed['records']:,} records in Lambda events of 1,000 ({speed['bytes'] / 1e6:.0f} MB), 8 groups, 4 aggregates, one core, "
             f"{result['rounds']} interleaved rounds:", "",
             "| program | median s (min–max) | ns/record | MB/s | CPython's time / its own, in-round median (min–max) | peak RSS MB |",
             "|---|---|---|---|---|---|"]
    for name, one in speed["programs"].items():
        seconds, ratio = one["seconds"], one["ratio"]
        lines.append(f"| {name} | {seconds['median']:.3f} ({seconds['min']:.3f}–{seconds['max']:.3f}) | {one['ns_per_record']:.0f} | "
                     f"{one['mb_per_second']:.0f} | {ratio['median']:.1f} ({ratio['min']:.1f}–{ratio['max']:.1f}) | {one['peak_rss_mb']:.1f} |")
    lines += ["", "| goal | measured | |", "|---|---|---|",
              *(f"| times {name} | {ratio:.1f} | {verdict(ratio, GOALS['ratio'], True)} |"
                for name, ratio in speed["ratios"].items()),
              f"| peak RSS, MB | {ours['peak_rss_mb']:.1f} | {verdict(ours['peak_rss_mb'], GOALS['rss_mb'], False)} |",
              f"| bytes a group, {groups['groups']:,} alive (RssAnon, less that of 8 groups) | {groups['bytes_per_group']:.0f} | "
              f"{verdict(groups['bytes_per_group'], GOALS['bytes_per_group'], False)} |"]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--records", type=int, default=500000)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--tumble", default=os.path.join(ROOT, "build/release/bin/tumble"))
    parser.add_argument("--generate", default=os.path.join(ROOT, "build/release/bin/tumble-generate"))
    parser.add_argument("--directory", default=os.path.join(ROOT, "build/bench"))
    args = parser.parse_args()
    os.makedirs(args.directory, exist_ok=True)
    # A file on disk, as one has it, read from the page cache: the first round puts it there. (A tmpfs is read a sixth slower.)
    with tempfile.TemporaryDirectory(prefix="tumble-bench-", dir=args.directory) as work:
        result = {"machine": machine(), "tumble": output_of([args.tumble, "version"]), "rounds": args.rounds,
                  "against_python": against_python(args, work), "memory": memory(args, work)}
    text = report(result)
    with open(os.path.join(args.directory, "results.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    with open(os.path.join(args.directory, "results.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
    return 1 if "MISSED" in text else 0


if __name__ == "__main__":
    sys.exit(main())
