#!/usr/bin/python3
"""Memory: the whole process at 12 groups, and what a group takes at 1,000,000.

    memory.py [--quick] [--core N] [--bin DIR] [--directory DIR]"""

import array
import fcntl
import os
import subprocess
import sys
import termios
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import flags, machine, parse_arguments, say, table, verdict, write  # noqa: E402


def status(pid, name):
    """A line of /proc/PID/status in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":")), 0)


def settled(settings, group, *options):
    """(peak RSS, RssAnon) of a replay that has consumed all its input and waits for more: the end of the pipe stays open."""
    fifo = os.path.join(settings.memory, "fifo")
    os.mkfifo(fifo)
    command = ["taskset", "-c", str(settings.core), settings.program("tumble"), "replay", "--window", "86400", "--timestamp", "timestamp", *flags(group),
               "--batch-size", "1000", "--durability", "none", "--format", "ndjson", "--quiet", "--input-format", "ndjson", fifo]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    feed = None
    try:
        feed = os.open(fifo, os.O_WRONLY)
        done = threading.Event()

        def generate():
            subprocess.run([settings.program("tumble-generate"), "--records", "2000000", "--rate", "1000000", *options], stdout=feed, check=True)
            done.set()

        threading.Thread(target=generate, daemon=True).start()
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
        return status(process.pid, "VmHWM"), status(process.pid, "RssAnon")
    finally:
        if feed is not None:
            os.close(feed)
        process.kill() if sys.exc_info()[0] else process.wait()
        os.unlink(fifo)


def measure(settings):
    say("== memory: 12 groups, 1,000,000 groups")
    groups = 1000000
    rss, few = settled(settings, "eventType")
    _, many = settled(settings, "userId", "--users", str(groups), "--users-in-turn")
    return {"machine": machine(settings), "rss": rss, "rss_anon": few, "rss_anon_many": many, "groups": groups, "bytes_per_group": (many - few) / (groups - 12)}


def report(result):
    return ["# Memory", ""] + table(("what", "measured", "goal: must / after"), [
        ("peak RSS at 12 groups, MB", f"{result['rss'] / 1e6:.1f}", verdict(result["rss"] / 1e6, 32, None, False)),
        (f"bytes a group at {result['groups']:,} (RssAnon at steady state, less that of 12 groups; keys of 11 bytes)", f"{result['bytes_per_group']:.0f}",
         verdict(result["bytes_per_group"], 160, 120, False))])


def main():
    settings = parse_arguments(__doc__)
    result = measure(settings)
    write(settings, "memory", report(result), result)


if __name__ == "__main__":
    main()
