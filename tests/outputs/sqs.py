#!/usr/bin/python3
"""Messages in SQS (fauxqs, local-aws-sqs): every row at least once under faults and kills, nothing else.

    sqs.py TUMBLE GENERATE [SEED]"""

import collections
import functools
import json
import sys

from delivery import LONG, Suite, check, counted, event, run, servers


class Sqs(Suite):
    def prepare(self, fauxqs, second):
        self.server, self.second = fauxqs, second
        self.env = servers.environment(fauxqs)
        clicks = self.clicks("clicks.ndjson", 60000, "--groups", "250" if LONG else "60", "--rate", "300")
        self.command = ["replay", "--window", "10", "--timestamp", "timestamp", "--group-by", "eventType", "--aggregate", "n=count()",
                        "--shards", "2", "--partition-key", "userId", "--source", "clicks", clicks]
        self.wanted = sorted(self.rows(self.command, "clicks"))

    @property
    def client(self):
        """A new one: servers close connections that wait while a run goes on."""
        return self.server.client()


def rows_arrive_as_messages(self):
    for server in (self.server, self.second):
        client = server.client()
        url = client.create_queue("rows")
        self.deliver(self.command + ["--output", "sqs:rows"], servers.environment(server))
        check(sorted(server.client().receive_all(url)) == self.wanted, f"{server.name}: other messages than rows")
    return f"{len(self.wanted)} rows"


def faults_and_kills_lose_nothing(self):
    kills, runs, twice = 0, 0, 0
    with servers.FaultProxy(self.server, rate=20, seed=self.seed, hold=0.3, slow=0.3) as proxy:
        while kills < (50 if LONG else 10):
            url = self.client.create_queue(f"killed-{runs}")
            kills += self.deliver_killed(self.command + ["--output", f"sqs:killed-{runs}"], f"killed-{runs}", servers.environment(proxy),
                                         50 if LONG else 10, 1.5)
            got = collections.Counter(self.client.receive_all(url))
            check(sorted(got) == self.wanted, "after kills other rows than those of the undisturbed run")
            twice += sum(got.values()) - len(got)
            runs += 1
    check(not proxy.summary["refused"], f"requests were refused: {proxy.summary}")
    return f"{kills} kills in {runs} runs, faults {sum(proxy.summary['injected'].values())}, {twice} sent twice"


def failures_carry_the_record_and_a_key(self):
    """Late and bad records, with characters that SQS refuses, and one too large for a message."""
    url = self.client.create_queue("rejected")
    payloads = [(1, {"v": 1, "s": "\ufffe\uffff\u0001"}), (2, {"v": "no number"}), (3, {"v": "x\ufffe"}), (4, {"v": "y" * 300000})]
    path = self.work.write("bad.json", event("shardId-000000000000", counted(payloads)))
    command = [self.tumble, "replay", "--window", "60", "--aggregate", "s=sum(v)", "--bad-records", "divert", "--output", "file:/dev/null", path]
    done = run(command + ["--failures", "sqs:rejected"], env=self.env)
    check(done.code == 0, f"exit {done.code}: {done.text()}")
    answer = self.client.sqs("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]
    found = {json.loads(message["Body"])["sequence_number"]: message for message in answer}
    check(sorted(found) == ["2", "3", "4"], f"{sorted(found)}")
    check(json.loads(json.loads(found["3"]["Body"])["data"]) == {"v": "x\ufffe"}, "the record is not as it was")
    for message in found.values():
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        check(attributes["tumble_kind"] == "failure" and len(attributes["tumble_key"]) == 32, f"{attributes}")
    keys = {message["MessageAttributes"]["tumble_key"]["StringValue"] for message in found.values()}
    run(command + ["--failures", "sqs:rejected"], env=self.env)
    again = self.client.sqs("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]
    check({message["MessageAttributes"]["tumble_key"]["StringValue"] for message in again} == keys, "the same record has another key")
    done = run(command + ["--failures", "sqs:rejected?max_bytes=100KiB"], env=self.env)
    check(done.code == 1 and b"the queue takes 102400 at most" in done.err, f"exit {done.code}: {done.text()}")


def a_fifo_queue_takes_a_row_once(self):
    client = self.second.client()
    url = client.create_queue("rows.fifo", FifoQueue="true")
    for _ in range(2):
        self.deliver(self.command + ["--output", f"sqs:{url}"], servers.environment(self.second))
    client = self.second.client()
    count = client.sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
    total = int(count["ApproximateNumberOfMessages"]) + int(count["ApproximateNumberOfMessagesNotVisible"])
    check(total == len(self.wanted), f"{total} messages for {len(self.wanted)} rows")
    first = client.sqs("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"])["Messages"]
    for message in first:
        check(message["Attributes"]["MessageDeduplicationId"] == message["MessageAttributes"]["tumble_key"]["StringValue"], f"{message}")


def what_sqs_refuses_ends_the_run_with_its_words(self):
    done = run([self.tumble, *self.command, "--output", "sqs:no-such-queue"], env=self.env)
    check(done.code == 4 and (b"NonExistentQueue" in done.err or b"QueueDoesNotExist" in done.err), f"exit {done.code}: {done.text()}")
    done = run([self.tumble, *self.command, "--output", "sqs:q?max_bytes=2MiB"], env=self.env)
    check(done.code == 2 and b"max_bytes" in done.err, f"exit {done.code}: {done.text()}")


def main():
    suite = Sqs("sqs", sys.argv)
    with servers.start("fauxqs") as fauxqs, servers.start("local-aws-sqs") as second:
        suite.run([functools.partial(Sqs.prepare, fauxqs=fauxqs, second=second), rows_arrive_as_messages, faults_and_kills_lose_nothing,
                   failures_carry_the_record_and_a_key, a_fifo_queue_takes_a_row_once, what_sqs_refuses_ends_the_run_with_its_words])


if __name__ == "__main__":
    main()
