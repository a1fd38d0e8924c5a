#!/usr/bin/python3
"""Objects in S3 (radosgw): what is there after faults and kills is what an undisturbed run puts there, byte for byte.

    s3.py TUMBLE GENERATE [SEED]"""

import concurrent.futures
import functools
import gzip
import json
import os
import subprocess
import sys

from delivery import HERE, LONG, Suite, check, counted, event, run, servers

BUCKET = "tumble-rows"


def objects(client, prefix):
    """Everything under a prefix, its key without the prefix → its bytes."""
    keys = client.s3_keys(BUCKET, prefix + "/")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        bodies = pool.map(lambda key: client.s3("GET", "/" + BUCKET + "/" + key).body, keys)
        return {key[len(prefix) + 1:]: body for key, body in zip(keys, bodies)}


def uploads_left(client):
    return client.s3("GET", "/" + BUCKET, query=[("uploads", "")]).body.count(b"<Upload>")


def unpacked(key, body):
    if key.endswith(".gz"):
        return gzip.decompress(body)
    if key.endswith(".zst"):
        return subprocess.run(["zstd", "-dc"], input=body, stdout=subprocess.PIPE, check=True).stdout
    return body


def rows_of(found):
    return sorted(line for key, body in found.items() if not key.startswith("_manifests/")
                  for line in unpacked(key, body).decode().splitlines())


def check_manifests(found, prefix):
    manifests = {key: json.loads(body) for key, body in found.items() if key.startswith("_manifests/")}
    check(len(manifests) * 2 == len(found), f"{len(found)} objects, {len(manifests)} manifests among them")
    for key, manifest in manifests.items():
        name = manifest["object"][len(prefix) + 1:]
        rows = unpacked(name, found[name]).decode().splitlines()
        check(manifest["rows"] == len(rows) and manifest["bytes"] == len(found[name]), f"{key} does not fit its object")
        check(manifest["records"] == sum(json.loads(row)["records"] for row in rows), f"{key}: other records")
        first = json.loads(rows[0])
        for name, column in (("shard_id", "shard_id"), ("first_sequence", "fragment"), ("last_sequence", "last_sequence"),
                             ("window_start", "window_start"), ("window_end", "window_end")):
            check(manifest[name] == first[column], f"{key}: {name} is not that of its rows")


def same_under(found, prefix):
    """Bytes with the prefix taken out of manifests."""
    return {key: body.replace(b'"' + prefix.encode() + b"/", b'"/') if key.startswith("_manifests/") else body
            for key, body in found.items()}


class S3(Suite):
    def prepare(self, server):
        self.server, self.env = server, servers.environment(server)
        self.client.s3("PUT", "/" + BUCKET)
        clicks = self.clicks("clicks.ndjson", 60000, "--groups", "250", "--rate", "300")
        self.command = ["replay", "--window", "10", "--timestamp", "timestamp", "--group-by", "eventType", "--aggregate", "n=count()",
                        "--aggregate", "sum(amount)", "--shards", "2", "--partition-key", "userId", "--source", "clicks", clicks]
        self.wanted = self.rows(self.command, "clicks")

    @property
    def client(self):
        """A new one: servers close connections that wait while a run goes on."""
        return self.server.client()


def an_undisturbed_run_delivers_its_rows(self):
    self.deliver(self.command + ["--output", f"s3://{BUCKET}/whole"], self.env)
    self.whole = objects(self.client, "whole")
    check(rows_of(self.whole) == sorted(self.wanted), "the objects hold other rows than the file")
    check_manifests(self.whole, "whole")
    self.deliver(self.command + ["--output", f"s3://{BUCKET}/whole"], self.env)
    check(objects(self.client, "whole") == self.whole, "a second delivery changed objects")
    return f"{len(self.wanted)} rows in {len(self.whole) // 2} objects"


def faults_and_kills_leave_no_trace(self):
    kills, runs = 0, 0
    with servers.FaultProxy(self.server, rate=20, seed=self.seed, hold=0.3, slow=0.3) as proxy:
        while kills < (50 if LONG else 6):
            prefix = f"killed-{runs}"
            kills += self.deliver_killed(self.command + ["--output", f"s3://{BUCKET}/{prefix}"], prefix, servers.environment(proxy), 50, 0.8)
            found = objects(self.client, prefix)
            check(rows_of(found) == sorted(self.wanted), "after kills the objects hold other rows")
            check(same_under(found, prefix) == same_under(self.whole, "whole"), "after kills objects have other bytes")
            runs += 1
    check(not proxy.summary["refused"], f"requests were refused: {proxy.summary}")
    return f"{kills} kills in {runs} runs, faults {sum(proxy.summary['injected'].values())}"


def two_processes_at_once_give_one_result(self):
    pair = [subprocess.Popen([self.tumble, *self.command, "--output", f"s3://{BUCKET}/pair"], env=self.env, stderr=subprocess.PIPE)
            for _ in range(2)]
    for process in pair:
        text = process.communicate()[1]
        check(process.returncode == 0, f"one of two ended with {process.returncode}: {text.decode()}")
    check(same_under(objects(self.client, "pair"), "pair") == same_under(self.whole, "whole"), "two at once wrote other objects")


def every_compression_holds_the_same_rows(self):
    for compression in ("zstd", "none"):
        prefix = "packed-" + compression
        self.deliver(self.command + ["--output", f"s3://{BUCKET}/{prefix}?compression={compression}&if_none_match=1"], self.env)
        found = objects(self.client, prefix)
        check(rows_of(found) == sorted(self.wanted), f"{compression}: other rows")
        check_manifests(found, prefix)


def large_objects_go_in_parts(self):
    clicks = self.clicks("large.ndjson", 60000, "--users-in-turn", "--users", "60000")
    command = ["replay", "--window", "3600", "--timestamp", "timestamp", "--group-by", "userId", "--aggregate", "n=count()",
               "--source", "large", clicks]
    wanted = self.rows(command, "large")
    check(sum(map(len, wanted)) > 12 * 1024 * 1024, "this object is too small to go in parts")
    url = f"s3://{BUCKET}/large?compression=none&if_none_match=1"
    self.deliver(command + ["--output", url], self.env)
    first = objects(self.client, "large")
    check(rows_of(first) == sorted(wanted), "a large object holds other rows")
    # Its manifest lost: written again under If-None-Match, it is found to be there.
    manifest = next(key for key in first if key.startswith("_manifests/"))
    self.client.s3("DELETE", f"/{BUCKET}/large/" + manifest)
    self.deliver(command + ["--output", url], self.env)
    check(objects(self.client, "large") == first, "a large object delivered again has other bytes")
    with servers.FaultProxy(self.server, rate=20, seed=self.seed, hold=0.3, slow=0.3) as proxy:
        kills = self.deliver_killed(command + ["--output", f"s3://{BUCKET}/parts?compression=none"], "parts.state",
                                    servers.environment(proxy), 4, 0.8)
    found = objects(self.client, "parts")
    check(rows_of(found) == sorted(wanted), "after kills a large object holds other rows")
    return f"{len(first[manifest])} bytes of manifest, {kills} kills, {uploads_left(self.client)} uploads left to the lifecycle rule"


def fragments_supersede_or_overlap(self):
    """Rule R8: same beginning, longer: replaced; shorter: passed over; same records, other rows: rejected."""
    def payloads(last, value=1):
        return [(number, {"g": "a", "v": value}) for number in range(1, last + 1)]

    def deliver(name, records, compression="gzip", failures=()):
        path = self.work.write(name + ".json", event("shardId-000000000000", counted(records)))
        return run([self.tumble, "replay", "--window", "60", "--group-by", "g", "--aggregate", "s=sum(v)", "--source", "r8",
                    "--output", f"s3://{BUCKET}/r8?compression={compression}", *failures, path], env=self.env)

    check(deliver("five", payloads(5)).code == 0, "a fragment is not taken")
    check([json.loads(row)["s"] for row in rows_of(objects(self.client, "r8"))] == [5], "wrong rows")
    check(deliver("nine", payloads(9), "zstd").code == 0, "a longer fragment is not taken")
    found = objects(self.client, "r8")
    check(len(found) == 2 and [json.loads(row)["s"] for row in rows_of(found)] == [9], f"a longer fragment does not replace: {list(found)}")
    check(deliver("five", payloads(5)).code == 0 and objects(self.client, "r8") == found, "a shorter fragment changed something")
    path = self.work.file("r8.failures")
    check(deliver("other", payloads(9, 2), failures=["--failures", "file:" + path]).code == 0, "a rejected row failed the run")
    with open(path, encoding="utf-8") as file:
        failures = [json.loads(line) for line in file]
    check(len(failures) == 1 and failures[0]["fate"] == "rejected" and failures[0]["reason"].startswith("overlap"), f"{failures}")
    check(objects(self.client, "r8") == found, "other rows of the same records were written")


def a_foreign_object_is_never_replaced_under_if_none_match(self):
    path = self.work.write("one.json", event("shardId-000000000000", counted([(1, {"v": 1})])))
    command = [self.tumble, "replay", "--window", "60", "--aggregate", "n=count()", "--source", "x", path, "--output"]
    check(run(command + [f"s3://{BUCKET}/foreign"], env=self.env).code == 0, "not delivered")
    found = objects(self.client, "foreign")
    for key in found:
        if key.startswith("_manifests/"):
            self.client.s3("DELETE", f"/{BUCKET}/foreign/" + key)
        else:
            self.client.s3("PUT", f"/{BUCKET}/foreign/" + key, b"mine")
    done = run(command + [f"s3://{BUCKET}/foreign?if_none_match=1"], env=self.env)
    check(done.code != 0 and b"forbids to replace" in done.err, f"exit {done.code}: {done.text()}")
    check(list(objects(self.client, "foreign").values()) == [b"mine"], "a foreign object was replaced")


def what_s3_refuses_ends_the_run_with_its_words(self):
    for url, code, words in (("s3://no-such-bucket/p", 4, b"output s3://no-such-bucket/p: s3 PUT no-such-bucket: 404 NoSuchBucket"),
                             ("s3:bucket", 2, b"s3://BUCKET/PREFIX"),
                             (f"s3://{BUCKET}/p?compression=lz4", 2, b"gzip"), (f"s3://{BUCKET}/{'p' * 1000}", 2, b"names of objects")):
        done = run([self.tumble, *self.command, "--output", url], env=self.env)
        check(done.code == code and words in done.err, f"{url}: exit {done.code}: {done.text()}")
    env = dict(self.env, AWS_SECRET_ACCESS_KEY="wrong")
    done = run([self.tumble, *self.command, "--output", f"s3://{BUCKET}/p"], env=env)
    check(done.code == 4 and b"SignatureDoesNotMatch" in done.err and b"wrong" not in done.err, f"exit {done.code}: {done.text()}")


def duckdb_reads_the_objects_as_one_table(self):
    directory = self.work.file("downloaded")
    for key, body in self.whole.items():
        path = os.path.join(directory, key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(body)
    tools = os.environ.get("TUMBLE_TOOLS_DIR") or os.path.join(HERE, "..", "..", "build", "tools")
    done = subprocess.run([servers.node(), os.path.join(HERE, "read_objects.mjs"), tools, directory], stdout=subprocess.PIPE, check=True)
    got = json.loads(done.stdout)
    rows = [json.loads(row) for row in self.wanted]
    check(int(got["rows"]) == len(rows) and int(got["n"]) == sum(row["n"] for row in rows), f"DuckDB reads {got}")
    check(got["hours"] == len({row["window_start"][:13] for row in rows}), f"DuckDB sees other partitions: {got}")
    return f"{got['rows']} rows"


def main():
    suite = S3("s3", sys.argv)
    with servers.start("radosgw") as server:
        suite.run([functools.partial(S3.prepare, server=server), an_undisturbed_run_delivers_its_rows, faults_and_kills_leave_no_trace,
                   two_processes_at_once_give_one_result, every_compression_holds_the_same_rows, large_objects_go_in_parts,
                   fragments_supersede_or_overlap, a_foreign_object_is_never_replaced_under_if_none_match,
                   what_s3_refuses_ends_the_run_with_its_words, duckdb_reads_the_objects_as_one_table])


if __name__ == "__main__":
    main()
