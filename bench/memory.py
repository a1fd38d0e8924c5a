#!/usr/bin/python3
"""Memory: the whole process at 12 groups, and what a group takes at 1,000,000."""

import array
import errno
import fcntl
import os
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from measure import flags, machine, parse_arguments, run_part, say, table, verdict  # noqa: E402

RECORDS = 2000000


def status(pid, name):
    """A line of /proc/PID/status in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":")), 0)


def check(process, command):
    if process.poll() is not None:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")


def settled(settings, group, *options):
    """(peak RSS, RssAnon) of a replay that has consumed all its input and waits for more: the end of the pipe stays open."""
    fifo = os.path.join(settings.memory, "fifo")
    os.mkfifo(fifo)
    command = ["taskset", "-c", str(settings.core), settings.program("tumble"), "replay", "--window", "86400", "--timestamp", "timestamp", *flags(group),
               "--batch-size", "1000", "--durability", "none", "--format", "ndjson", "--quiet", "--input-format", "ndjson", fifo]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    feed = generator = None
    try:
        while feed is None:
            try:
                feed = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)  # which fails as long as nobody reads
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                check(process, command)
                time.sleep(0.01)
        os.set_blocking(feed, True)
        generating = [settings.program("tumble-generate"), "--records", str(RECORDS), "--rate", "1000000", *options]
        generator = subprocess.Popen(generating, stdout=feed)
        last, quiet = None, 0
        while quiet < 10:
            check(process, command)
            if generator.poll():
                check(generator, generating)
            time.sleep(0.1)
            waiting = array.array("i", [0])
            fcntl.ioctl(feed, termios.FIONREAD, waiting)
            with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
                cpu = file.read().rsplit(")", 1)[1].split()[11:13]
            quiet = quiet + 1 if generator.poll() == 0 and waiting[0] == 0 and cpu == last else 0
            last = cpu
        return status(process.pid, "VmHWM"), status(process.pid, "RssAnon")
    finally:
        if feed is not None:
            os.close(feed)
        if generator and generator.poll() is None:
            generator.kill()
        process.kill() if sys.exc_info()[0] else process.wait()
        os.unlink(fifo)


def measure(settings):
    say("== memory: 12 groups, 1,000,000 groups")
    groups = 1000000
    rss, few = settled(settings, "eventType")
    _, many = settled(settings, "userId", "--users", str(groups), "--users-in-turn")
    return {"machine": machine(settings), "workload": f"{RECORDS:,} records", "rss": rss, "rss_anon": few, "rss_anon_many": many, "groups": groups, "bytes_per_group": (many - few) / (groups - 12)}


def report(result):
    return ["# Memory", ""] + table(("what", "measured", "goal: must / after"), [
        ("peak RSS at 12 groups, MB", f"{result['rss'] / 1e6:.1f}", verdict(result["rss"] / 1e6, 32, None, False)),
        (f"bytes a group at {result['groups']:,} (RssAnon at steady state, less that of 12 groups; keys of 11 bytes)", f"{result['bytes_per_group']:.0f}",
         verdict(result["bytes_per_group"], 160, 120, False))])


def main():
    run_part(parse_arguments(__doc__), "memory", measure, report)


if __name__ == "__main__":
    main()
