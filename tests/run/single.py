#!/usr/bin/python3
"""`tumble run` alone, on real servers: rows are those of a replay, kill -9 and the same command again, signals, resharding, faults.

usage: single.py TUMBLE [TEST...]
"""
import base64
import json
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import live  # noqa: E402
from live import check, kinesis, servers  # noqa: E402

QUICK = ["--poll-interval", "30ms", "--commit-interval", "50ms"]


def rows_are_those_of_a_replay(tumble, directory):
    """One shard, so that fragments are the same too: the rows are the replay's, byte for byte but for the source's key."""
    with servers.start("kinesalite") as server:
        client = server.client()
        kinesis.create_stream(client, "stream", 1)
        for part in range(4):
            kinesis.put_records(client, "stream", [live.record(part * 500 + i) for i in range(500)])
            time.sleep(0.4)
        code, rows, told = live.run(tumble, servers.environment(server), "--stream", "stream", *live.SPEC, *QUICK, "--until-idle",
                                    "-q")
        check(code == 0, told)
        records = kinesis.read_all(server.client(), "stream")
        capture = os.path.join(directory, "get-records.json")
        with open(capture, "w", encoding="utf-8") as file:
            json.dump({"Records": [{"SequenceNumber": sequence, "PartitionKey": key, "ApproximateArrivalTimestamp": arrival,
                                    "Data": base64.b64encode(data).decode()} for _, sequence, key, arrival, data in records]}, file)
        replayed = subprocess.run([tumble, "replay", *live.SPEC, "--partials", "-q", "-f", "ndjson", capture], check=True,
                                  capture_output=True).stdout.decode()
        wanted = [json.loads(line) for line in replayed.splitlines()]
        check(rows == wanted, f"{len(rows)} rows, the replay has {len(wanted)}:\n{rows[:2]}\n{wanted[:2]}")
        live.check_rows(rows, records)


def a_reader_that_leaves_ends_it(tumble, _directory):
    """As it ends any filter: by SIGPIPE, silently."""
    with servers.start("kinesalite") as server:
        kinesis.create_stream(server.client(), "stream", 1)
        kinesis.put_records(server.client(), "stream", [live.record(i) for i in range(2000)])
        with subprocess.Popen([tumble, "run", "--stream", "stream", "-w", "1", "-g", "v", "-a", "n=count", *QUICK, "--until-idle"],
                              env=servers.environment(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ran:
            check(ran.stdout.readline().startswith(b'{"window_start"'), "no rows")
            ran.stdout.close()
            said = ran.stderr.read()
            check(ran.wait(30) == -signal.SIGPIPE and not said, ran.returncode, said)


def kill_and_resume(tumble, directory):
    """Five kills at random instants while records come in; the state goes on where it was."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
    chance = random.Random(seed)
    print(f"  SEED={seed}", flush=True)
    output, state = os.path.join(directory, "rows.ndjson"), os.path.join(directory, "state")
    command = ["--stream", "stream", *live.SPEC, *QUICK, "--idle-seconds", "1", "--state", state, "--durability", "none",
               "-o", "file:" + output, "-q"]
    with servers.start("kinesalite") as server:
        client, environment = server.client(), servers.environment(server)
        kinesis.create_stream(client, "stream", 3)
        producer = live.Producer(client, "stream", 1500)
        for _ in range(5):
            with live.Run(tumble, environment, *command, log=sys.stderr) as run:
                time.sleep(chance.uniform(0.1, 0.9))
                check(run.process.poll() is None, "it ended by itself")
                run.kill()
        with live.Run(tumble, environment, *command, log=sys.stderr) as run:
            time.sleep(0.4)
            check(run.terminate() == 0, "SIGTERM is not a clean end")
        producer.stop()
        code, _, told = live.run(tumble, environment, *command, "--until-idle")
        check(code == 0, told)
        live.check_rows(live.read_rows(output), kinesis.read_all(server.client(), "stream"))


def reshard(tumble, directory, name):
    """Split and merge under way, in between a kill."""
    output, state = os.path.join(directory, name + ".ndjson"), os.path.join(directory, name)
    with servers.start(name) as server:
        client, environment = server.client(), servers.environment(server)
        kinesis.create_stream(client, "stream", 2)
        facts = client.kinesis("DescribeStreamSummary", StreamName="stream")["StreamDescriptionSummary"]
        command = ["--stream", facts["StreamARN"] if name == "kinesis-local" else "stream", *live.SPEC, *QUICK, "--state", state,
                   "--durability", "none", "-o", "file:" + output, "-q"]
        producer = live.Producer(client, "stream", 300)
        with live.Run(tumble, environment, *command, log=sys.stderr) as run:
            time.sleep(0.5)
            first = [shard["ShardId"] for shard in kinesis.shards(client, "stream")]
            kinesis.split(client, "stream", first[0])
            time.sleep(0.5)
            run.kill()
        with live.Run(tumble, environment, *command, log=sys.stderr) as run:
            time.sleep(0.3)
            now = [shard["ShardId"] for shard in kinesis.shards(client, "stream")]
            kinesis.merge(client, "stream", now[2], now[3])
            time.sleep(0.7)
            check(run.terminate() == 0, "SIGTERM is not a clean end")
        producer.stop()
        code, _, told = live.run(tumble, environment, *command, "--until-idle")
        check(code == 0, told)
        rows = live.read_rows(output)
        live.check_rows(rows, kinesis.read_all(server.client(), "stream"))
        check(len({row["shard_id"] for row in rows}) == 5, "not every shard was read")


def resharding_where_the_server_tells_children(tumble, directory):
    reshard(tumble, directory, "kinesis-local")  # by the stream's ARN, too


def resharding_where_it_does_not(tumble, directory):
    reshard(tumble, directory, "kinesalite")


def quiet_shards_close(tumble, directory):
    """Windows of a shard that has nothing new are closed after the idle time, and go on as further fragments."""
    output = os.path.join(directory, "rows.ndjson")
    with servers.start("kinesalite") as server:
        client = server.client()
        kinesis.create_stream(client, "stream", 1)
        with live.Run(tumble, servers.environment(server), "--stream", "stream", "-w", "1", "-a", "n=count", *QUICK, "--idle-seconds",
                      "1", "-o", "file:" + output, "-q", log=sys.stderr) as run:
            kinesis.put_records(client, "stream", [live.record(i) for i in range(10)])
            deadline = time.monotonic() + 20
            while not (os.path.exists(output) and live.read_rows(output)):
                check(time.monotonic() < deadline, "the idle window was not closed")
                time.sleep(0.05)
            check(run.terminate() == 0, "SIGTERM is not a clean end")
        check(live.read_rows(output)[0]["n"] == 10, live.read_rows(output))


def troubles_pass(tumble, directory):
    """Throttles, server errors and cut connections are told once and lived through."""
    with servers.start("kinesalite") as server:
        client = server.client()
        kinesis.create_stream(client, "stream", 2)
        kinesis.put_records(client, "stream", [live.record(i) for i in range(3000)])
        with servers.FaultProxy(server, seed=7, rate=25, kinds="throttle,500,503,reset,truncate,lost,corrupt,expired-iterator") as proxy:
            environment = {**servers.environment(server), **proxy.env()}
            code, rows, told = live.run(tumble, environment, "--stream", "stream", *live.SPEC, *QUICK, "--until-idle")
        check(code == 0, told)
        live.check_rows(rows, kinesis.read_all(server.client(), "stream"))


def a_bad_record_stops_behind_what_came_before(tumble, directory):
    output, state = os.path.join(directory, "rows.ndjson"), os.path.join(directory, "state")
    with servers.start("kinesalite") as server:
        client, environment = server.client(), servers.environment(server)
        kinesis.create_stream(client, "stream", 1)
        kinesis.put_records(client, "stream", [live.record(i) for i in range(100)])
        time.sleep(1.1)
        kinesis.put_records(client, "stream", [live.record(100), ("bad", b"{nonsense"), live.record(101)])
        command = ["--stream", "stream", "-w", "1", "-g", "k", "-a", "n=count", "-a", "s=sum(v)", *QUICK, "--state", state]
        for _ in range(2):
            code, _, told = live.run(tumble, environment, *command, "-o", "file:" + output, "--until-idle")
            check(code == 1 and "is not JSON" in told and "shardId-000000000000" in told, code, told)
            rows = live.read_rows(output)
            check(sum(row["n"] for row in rows) == 100, "the window before it is not there:", rows)


def aggregates_are_split(tumble, directory):
    """Of the Kinesis Producer Library."""
    with servers.start("kinesalite") as server:
        client = server.client()
        kinesis.create_stream(client, "stream", 1)
        servers.produce(server, "stream", [live.record(i) for i in range(1000)], aggregate=40)
        code, rows, told = live.run(tumble, servers.environment(server), "--stream", "stream", *live.SPEC, *QUICK, "--until-idle")
        check(code == 0, told)
        check(sum(row["n"] for row in rows) == 1000 and sum(row["s"] for row in rows) == 499500, rows)


def latest_is_when_the_first_run_began(tumble, directory):
    """Also when that run was killed before there was a record."""
    output = os.path.join(directory, "rows.ndjson")
    with servers.start("kinesalite") as server:
        client, environment = server.client(), servers.environment(server)
        kinesis.create_stream(client, "stream", 2)
        kinesis.put_records(client, "stream", [live.record(i) for i in range(100)])
        time.sleep(0.1)
        command = ["--stream", "stream", *live.SPEC, *QUICK, "--starting-position", "LATEST", "--state",
                   os.path.join(directory, "state"), "-o", "file:" + output]
        with live.Run(tumble, environment, *command, log=sys.stderr) as run:
            time.sleep(1)
            run.kill()
        kinesis.put_records(client, "stream", [live.record(i) for i in range(100, 150)])
        code, _, told = live.run(tumble, environment, *command, "--until-idle")
        check(code == 0, told)
        check(sum(row["n"] for row in live.read_rows(output)) == 50, live.read_rows(output), told)


def what_is_gone_ends_the_run(tumble, directory):
    with servers.start("kinesalite", deleteStreamMs=0) as server:
        client, environment = server.client(), servers.environment(server)
        kinesis.create_stream(client, "stream", 1)
        log = os.path.join(directory, "log")
        with open(log, "w", encoding="utf-8") as file, live.Run(tumble, environment, "--stream", "stream", *live.SPEC, *QUICK, "-o",
                                                                "file:" + os.path.join(directory, "rows"), log=file) as run:
            time.sleep(0.5)
            client.kinesis("DeleteStream", StreamName="stream")
            code = run.wait(30)
        with open(log, encoding="utf-8") as file:
            told = file.read()
        check(code == 3, code, told)
    code, _, told = live.run(tumble, {**environment, "AWS_MAX_ATTEMPTS": "1"}, "--stream", "stream", *live.SPEC)
    check(code == 3, "nobody listens, and it says", code, told)


def make_anew(client, shards):
    """Between two polls, nearly always."""
    client.kinesis("DeleteStream", StreamName="stream")
    deadline = time.monotonic() + 10
    while True:
        try:
            kinesis.create_stream(client, "stream", shards)
            return
        except Exception as error:
            check("ResourceInUse" in repr(error) + str(error) and time.monotonic() < deadline, error)


def one_made_anew_is_another_stream(tumble, directory):
    """kinesalite goes on giving records by an iterator of the former stream: the list of shards tells."""
    with servers.start("kinesalite", deleteStreamMs=0) as server:
        client, environment = server.client(), servers.environment(server)
        kinesis.create_stream(client, "stream", 2)
        command = ["--stream", "stream", *live.SPEC, "--state", os.path.join(directory, "state"), "-o", "file:" + os.path.join(directory, "rows")]
        log = os.path.join(directory, "log")
        with open(log, "w", encoding="utf-8") as file, live.Run(tumble, environment, *command, log=file) as run, \
                subprocess.Popen([tumble, "capture", "--stream", "stream", "--follow", "-o", os.path.join(directory, "capture.ndjson")],
                                 env=environment, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as capture:
            try:
                kinesis.put_records(client, "stream", [live.record(i) for i in range(20)])
                time.sleep(1.5)
                make_anew(client, 2)
                kinesis.put_records(client, "stream", [live.record(i) for i in range(20)])
                code = run.wait(30)
                _, said = capture.communicate(timeout=30)
            finally:
                capture.kill()
        with open(log, encoding="utf-8") as file:
            told = file.read()
        check(code == 3 and ("stream stream was deleted and made anew" in told or "is gone" in told), code, told)
        check(capture.returncode == 3 and (b"stream stream was deleted and made anew" in said or b"is gone" in said), capture.returncode, said)
        code, _, told = live.run(tumble, environment, *command, "--until-idle")
        check(code == 5 and "deleted and made anew" in told, code, told)


def one_made_anew_with_fewer_shards(tumble, directory):
    """Its readers are refused, and the reason is found."""
    with servers.start("kinesalite", deleteStreamMs=0, createStreamMs=0) as server:
        client, environment = server.client(), servers.environment(server)
        kinesis.create_stream(client, "stream", 3)
        log = os.path.join(directory, "log")
        with open(log, "w", encoding="utf-8") as file, live.Run(tumble, environment, "--stream", "stream", *live.SPEC, "--poll-interval", "1s", log=file) as run:
            time.sleep(1.6) # stamps are whole seconds
            make_anew(client, 1)
            code = run.wait(30)
        with open(log, encoding="utf-8") as file:
            told = file.read()
        check(code == 3 and ("was deleted and made anew" in told or "gone" in told), code, told)


TESTS = [one_made_anew_is_another_stream, one_made_anew_with_fewer_shards, resharding_where_the_server_tells_children, resharding_where_it_does_not, rows_are_those_of_a_replay, a_reader_that_leaves_ends_it,
         kill_and_resume, quiet_shards_close, troubles_pass,
         a_bad_record_stops_behind_what_came_before, aggregates_are_split, latest_is_when_the_first_run_began, what_is_gone_ends_the_run]


if __name__ == "__main__":
    sys.exit(live.run_tests(TESTS, sys.argv[1:]))
