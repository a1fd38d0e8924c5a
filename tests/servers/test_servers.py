#!/usr/bin/python3
"""The servers themselves: each starts, answers botocore (or raw JSON, where Debian's botocore is too old), and is gone afterwards.

usage: test_servers.py [Class[.test]...]
"""
import base64
import datetime
import hashlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

import botocore.session
from botocore.config import Config

import aws_client
import kinesis
import servers
from aws_client import ACCESS_KEY, REGION, SECRET_KEY, ServiceError
from identity import ROLE_ARN, issued_keys

ODD_KEYS = ["plain", "space and+plus", "per%cent %41", "a//b/./c/../d", "ü/日本/é", "=&?#;:@$,'\"<>!*()[]{}|\\^`~", "x" * 900]


def botocore_client(service, endpoint, **more):
    os.environ.update(servers.quiet_environment())
    settings = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "region_name": REGION, **more}
    config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, read_timeout=10)
    return botocore.session.Session().create_client(service, endpoint_url=endpoint, config=config, **settings)


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def descendants(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[1]) == pid:
                found += [int(name), *descendants(int(name))]
    return found


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def put(client, key, value="1"):
    return client.dynamodb("PutItem", TableName="rows", Item={"k": {"S": key}, "v": {"N": value}})


def held(client):
    return sorted(item["k"]["S"] for item in client.scan("rows"))


class Each(unittest.TestCase):
    """One server each: starts, answers one real call, is gone afterwards."""

    def life(self, name, call):
        server = servers.start(name)
        with server:
            self.assertEqual(server.endpoint, f"http://127.0.0.1:{server.port}")
            self.assertEqual("directory" in server.told, name == "radosgw")
            call(server)
            everyone = [server.pid, *descendants(server.pid)]
            directory = server.told.get("directory")
        for pid in everyone:
            self.assertFalse(running(pid), f"process {pid} of {name} outlives it")
        self.assertFalse(answers(server.port))
        self.assertFalse(directory and os.path.exists(directory), directory)
        print(f"{name}: {server.start_seconds:.2f} s to its first answer", flush=True)

    def dynamodb(self, name):
        def call(server):
            client = botocore_client("dynamodb", server.endpoint)
            server.client().create_table("rows")
            client.put_item(TableName="rows", Item={"k": {"S": "a"}}, ConditionExpression="attribute_not_exists(k)")
            with self.assertRaises(client.exceptions.ConditionalCheckFailedException):
                client.put_item(TableName="rows", Item={"k": {"S": "a"}}, ConditionExpression="attribute_not_exists(k)")
        self.life(name, call)

    def test_dynalite(self):
        self.dynamodb("dynalite")

    def test_dynamodb_local_is_asked_for(self):
        if os.environ.get("TEST_DYNAMODB_LOCAL") == "1":
            self.dynamodb("dynamodb-local")
        else:
            with self.assertRaisesRegex(servers.Missing, "TEST_DYNAMODB_LOCAL=1"):
                servers.start("dynamodb-local")

    def kinesis(self, server):
        client = botocore_client("kinesis", server.endpoint)
        client.create_stream(StreamName="clicks", ShardCount=2)
        client.get_waiter("stream_exists").wait(StreamName="clicks", WaiterConfig={"Delay": 0.05})
        put_record = client.put_record(StreamName="clicks", PartitionKey="p", Data=b"\x00data")
        iterator = client.get_shard_iterator(StreamName="clicks", ShardId=put_record["ShardId"],
                                             ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        records = client.get_records(ShardIterator=iterator)["Records"]
        self.assertEqual([(each["Data"], each["SequenceNumber"]) for each in records],
                         [(b"\x00data", put_record["SequenceNumber"])])

    def test_kinesalite(self):
        self.life("kinesalite", self.kinesis)

    def test_kinesis_local(self):
        def call(server):
            self.kinesis(server)
            self.assertTrue(answers(server.told["tls_port"]))
        self.life("kinesis-local", call)

    def sqs(self, server):
        client = server.client()
        url = client.sqs("CreateQueue", QueueName="failures")["QueueUrl"]
        sent = client.sqs("SendMessage", QueueUrl=url, MessageBody="a\u00fc\n")
        self.assertEqual(sent["MD5OfMessageBody"], hashlib.md5("a\u00fc\n".encode()).hexdigest())
        self.assertEqual([each["Body"] for each in client.sqs("ReceiveMessage", QueueUrl=url)["Messages"]], ["a\u00fc\n"])

    def test_fauxqs(self):
        def call(server):
            self.sqs(server)
            client = server.client()
            url = client.sqs("GetQueueUrl", QueueName="failures")["QueueUrl"]
            entries = [{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "\u0001"}]
            answer = client.sqs("SendMessageBatch", QueueUrl=url, Entries=entries)
            self.assertEqual([each["Id"] for each in answer["Failed"]], ["bad"])
        self.life("fauxqs", call)

    def test_local_aws_sqs(self):
        def call(server):
            self.sqs(server)
            client = botocore_client("sqs", server.endpoint)  # the query protocol
            self.assertEqual(len(client.list_queues()["QueueUrls"]), 1)
        self.life("local-aws-sqs", call)

    def test_radosgw(self):
        def call(server):
            client = botocore_client("s3", server.endpoint)
            client.create_bucket(Bucket="rows")
            for key in ODD_KEYS:
                client.put_object(Bucket="rows", Key=key, Body=key.encode())
            self.assertEqual(server.client().s3_keys("rows"), sorted(ODD_KEYS))
            self.assertEqual(server.client().s3("GET", "/rows/" + ODD_KEYS[4]).body, ODD_KEYS[4].encode())
            with self.assertRaises(ServiceError) as raised:
                server.client(secret_key="wrong").s3("GET", "/rows/plain")
            self.assertEqual((raised.exception.status, raised.exception.code), (403, "SignatureDoesNotMatch"))
            with self.assertRaises(ServiceError) as raised:
                server.client().s3("PUT", "/rows/plain", b"other", headers={"If-None-Match": "*"})
            self.assertEqual(raised.exception.status, 412)
        self.life("radosgw", call)


class Life(unittest.TestCase):
    """Starting and ending."""

    def test_a_server_ends_with_the_process_that_started_it(self):
        for name in ("dynalite", "radosgw", "identity"):
            with self.subTest(name), subprocess.Popen(
                    [sys.executable, os.path.join(servers.HERE, "servers.py"), "serve", name],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
                self.assertIn(b"AWS_ACCESS_KEY_ID=", parent.stdout.readline())
                children = descendants(parent.pid)
                self.assertTrue(children)
                parent.send_signal(signal.SIGKILL)
                parent.wait()
                deadline = time.monotonic() + 20
                while any(map(running, children)) and time.monotonic() < deadline:
                    time.sleep(0.02)
                self.assertEqual([pid for pid in children if running(pid)], [])

    def test_run_hands_on_the_exit_code_and_only_its_own_variables(self):
        command = [sys.executable, os.path.join(servers.HERE, "servers.py"), "run", "dynalite", "--", "sh", "-c",
                   'env | grep ^AWS_ | sort; exit 7']
        ran = subprocess.run(command, env={**os.environ, "AWS_PROFILE": "mine"}, stdout=subprocess.PIPE, check=False)
        self.assertEqual(ran.returncode, 7)
        self.assertNotIn(b"AWS_PROFILE", ran.stdout)
        self.assertIn(b"AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:", ran.stdout)

    def test_what_is_missing_is_said_and_is_no_skip(self):
        with self.assertRaisesRegex(servers.Missing, "no such server: mysql; there are dynalite"):
            servers.start("mysql")
        ran = subprocess.run([sys.executable, os.path.join(servers.HERE, "servers.py"), "run", "dynalite", "--", "true"],
                             env={**os.environ, "TUMBLE_SERVERS_DIR": "/nonexistent"}, stderr=subprocess.PIPE, check=False)
        self.assertEqual(ran.returncode, 3)
        self.assertIn(b"no npm packages in /nonexistent: ./dev test", ran.stderr)

    def test_a_server_that_dies_tells_its_last_words(self):
        with self.assertRaisesRegex(servers.Missing, "(?s)kinesis-local did not start: .*no-such-file"):
            servers.start("kinesis-local", KINESIS_MOCK_CERT_PATH="/no-such-file")


class Judge(unittest.TestCase):
    """The fault proxy as judge of signatures."""

    def test_what_botocore_signs_passes(self):
        with servers.start("radosgw") as behind, servers.FaultProxy(behind) as proxy:
            client = botocore_client("s3", proxy.endpoint)
            client.create_bucket(Bucket="rows")
            for key in ODD_KEYS:
                client.put_object(Bucket="rows", Key=key, Body=key.encode(), Metadata={"a": "x  y", "a-b": "z"})
                self.assertEqual(client.get_object(Bucket="rows", Key=key)["Body"].read(), key.encode())
            self.assertEqual(sorted(each["Key"] for each in client.list_objects_v2(Bucket="rows", Prefix="")["Contents"]),
                             sorted(ODD_KEYS))
            client.list_objects_v2(Bucket="rows", Prefix="a/ü=&+ %", StartAfter="~")
            upload = client.create_multipart_upload(Bucket="rows", Key="big")["UploadId"]
            part = client.upload_part(Bucket="rows", Key="big", UploadId=upload, PartNumber=1, Body=b"x" * (5 << 20))
            client.complete_multipart_upload(Bucket="rows", Key="big", UploadId=upload, MultipartUpload={
                "Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
            self.assertEqual(client.head_object(Bucket="rows", Key="big")["ContentLength"], 5 << 20)
        self.assertEqual(proxy.summary["refused"], {})
        with servers.start("dynalite") as behind, servers.FaultProxy(behind) as proxy:
            botocore_client("dynamodb", proxy.endpoint).list_tables()
        self.assertEqual(proxy.summary["executed"], {"ListTables": 1})
        with servers.start("local-aws-sqs") as behind, servers.FaultProxy(behind) as proxy:
            botocore_client("sqs", proxy.endpoint).create_queue(QueueName="q")
        self.assertEqual(proxy.summary["refused"], {})

    def test_keys_that_the_identity_server_hands_out_pass_with_their_token_only(self):
        with servers.start("dynalite") as behind, servers.FaultProxy(behind, credential=["AKIDOTHER:s3cret:tok:en"]) as proxy:
            secret, token = issued_keys("ASIAIMDS0000000001")
            good = {"access_key": "ASIAIMDS0000000001", "secret_key": secret}
            proxy.client(token=token, **good).dynamodb("ListTables")
            proxy.client(access_key="AKIDOTHER", secret_key="s3cret", token="tok:en").dynamodb("ListTables")
            for wrong in ({"token": None}, {"token": token + "x"}):
                with self.assertRaises(ServiceError) as raised:
                    proxy.client(**good, **wrong).dynamodb("ListTables")
                self.assertEqual(raised.exception.code, "UnrecognizedClientException")
            with self.assertRaises(ServiceError):
                proxy.client(token="unasked").dynamodb("ListTables")

    def test_what_is_wrong_is_refused_by_name_and_not_carried_out(self):
        with servers.start("dynalite") as behind, servers.FaultProxy(behind) as proxy:
            client = proxy.client()
            now = time.time()

            def send(body=b"{}", change=None, at=0, **keys):
                stamp = datetime.datetime.fromtimestamp(now + at, datetime.timezone.utc)
                headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.ListTables"}
                keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, **keys}
                headers = aws_client.sign("POST", client.url.netloc, "/", [], headers, b"{}", "dynamodb", now=stamp, **keys)
                if change:
                    change(headers)
                return client.send("POST", "/", (), body, headers)

            def of(response):
                return response.status, response.json()["message"]

            self.assertEqual(send().status, 200)
            self.assertEqual(send(at=290).status, 200)
            for response, text in [
                (send(secret_key="wrong"), "not botocore's"),
                (send(body=b'{"Limit": 1}'), "not botocore's"),
                (send(change=lambda headers: headers.update({"x-amz-more": "1"})), "not signed: x-amz-more"),
                (send(change=lambda headers: headers.pop("x-amz-target")), "signed and not sent: x-amz-target"),
                (send(change=lambda headers: headers.update({"Content-Type": "text/plain"})), "header sent twice: content-type"),
                (send(at=400), "Signature expired"),
                (send(at=-400), "Signature expired"),
                (send(access_key="AKIDNOBODY"), "no such key"),
                (send(region="eu-west-1", change=lambda headers: headers.update(
                    authorization=headers["authorization"].replace("eu-west-1", "us-east-1"))), "not botocore's"),
            ]:
                body = response.body.decode()
                self.assertEqual(response.status, 403, body)
                self.assertIn(text, body)
        self.assertEqual(proxy.summary["executed"], {"ListTables": 2})
        self.assertEqual(sum(proxy.summary["refused"].values()), 9)

    def test_s3_wants_the_hash_of_the_body_and_right_checksums(self):
        with servers.start("radosgw") as behind, servers.FaultProxy(behind) as proxy:
            client = proxy.client()
            client.s3("PUT", "/rows")
            digest = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
            client.s3("PUT", "/rows/a", b"x", headers={"x-amz-checksum-sha256": digest})
            with self.assertRaises(ServiceError) as raised:
                client.s3("PUT", "/rows/a", b"y", headers={"x-amz-checksum-sha256": digest})
            self.assertEqual(raised.exception.code, "BadDigest")
            headers = aws_client.sign("PUT", client.url.netloc, "/rows/b", [], {}, b"x", "s3", access_key=ACCESS_KEY,
                                              secret_key=SECRET_KEY)
            self.assertIn(b"XAmzContentSHA256Mismatch", client.send("PUT", "/rows/b", (), b"y", headers).body)
            self.assertEqual(behind.client().s3_keys("rows"), ["a"])

    def test_a_clock_that_is_ahead_is_told_by_the_date_header(self):
        with servers.start("dynalite") as behind, servers.FaultProxy(behind, skew=3600) as proxy:
            with self.assertRaises(ServiceError) as raised:
                proxy.client().dynamodb("ListTables")
            self.assertIn("Signature expired", raised.exception.message)
            told = datetime.datetime.strptime(raised.exception.response.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")
            self.assertAlmostEqual((told - datetime.datetime.utcnow()).total_seconds(), 3600, delta=60)


class Faults(unittest.TestCase):
    """What each kind of fault looks like from outside, and whether the request was carried out."""

    def test_each_kind(self):
        gone = (ConnectionError, http.client.HTTPException)
        expected = {
            "throttle": (False, ServiceError, 400), "429": (False, ServiceError, 429), "500": (False, ServiceError, 500),
            "503": (False, ServiceError, 503), "reset": (False, gone, None), "cut-upload": (False, gone, None),
            "lost": (True, gone, None), "timeout": (True, gone, None), "cut-reset": (True, gone, None),
            "expired-token": (False, ServiceError, 400), "expired-iterator": (True, None, None),
            "truncate": (True, gone, None), "slow": (True, None, None), "delay": (True, None, None), "ok": (True, None, None),
        }
        with servers.start("dynalite") as behind, servers.FaultProxy(behind, hold=0.4, slow=0.5, delay=0.2, retry_after=70) as proxy:
            behind.client().create_table("rows")
            client = proxy.client()
            for kind, (done, raises, status) in expected.items():
                with self.subTest(kind):
                    proxy.plan(script=kind)
                    began = time.monotonic()
                    if raises:
                        with self.assertRaises(raises) as raised:
                            put(client, kind)
                        if status:
                            self.assertEqual(raised.exception.status, status)
                            if kind in ("throttle", "429", "503"):
                                self.assertEqual(raised.exception.response.headers["x-amz-retry-after"], "70")
                        client.close()
                    else:
                        put(client, kind)
                    took = time.monotonic() - began
                    self.assertGreater(took, {"timeout": 0.35, "slow": 0.35}.get(kind, 0))
                    self.assertEqual(kind in held(behind.client()), done)
        kinds = [kind for kind in expected if kind not in ("ok", "expired-iterator")]
        self.assertEqual(proxy.summary["injected"], {kind: 1 for kind in kinds})
        self.assertEqual(proxy.summary["executed"], {"PutItem": sum(done for done, _, _ in expected.values())})

    def test_a_slow_client_meets_its_own_time_out_and_the_write_is_there(self):
        with servers.start("dynalite") as behind, servers.FaultProxy(behind, hold=5, script="timeout") as proxy:
            behind.client().create_table("rows")
            with self.assertRaises(TimeoutError):
                put(proxy.client(timeout=0.3), "a")
            self.assertEqual(held(behind.client()), ["a"])

    def test_the_corrupt_answer_is_told_by_its_checksum(self):
        with servers.start("dynalite") as behind, servers.FaultProxy(behind, script="ok,corrupt") as proxy:
            headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.ListTables"}
            right = []
            for _ in range(2):
                response = proxy.client().signed("dynamodb", "POST", "/", (), b"{}", headers)
                right.append(int(response.headers["x-amz-crc32"]) == zlib.crc32(response.body))
            self.assertEqual(right, [True, False])

    def test_throttles_speak_the_services_languages(self):
        with servers.start("radosgw") as behind, servers.FaultProxy(behind, rate=100, kinds="throttle") as proxy:
            with self.assertRaises(ServiceError) as raised:
                proxy.client().s3("GET", "/")
            self.assertEqual((raised.exception.status, raised.exception.code), (503, "SlowDown"))
        with servers.start("fauxqs") as behind, servers.FaultProxy(behind, rate=100, kinds="throttle") as proxy:
            with self.assertRaises(ServiceError) as raised:
                proxy.client().sqs("ListQueues")
            self.assertEqual((raised.exception.status, raised.exception.code), (403, "RequestThrottled"))
            self.assertEqual(raised.exception.response.headers["x-amzn-query-error"], "RequestThrottled;Sender")

    def test_iterators_expire(self):
        with servers.start("kinesalite") as behind, servers.FaultProxy(behind, script="expired-iterator") as proxy:
            kinesis.create_stream(behind.client(), "clicks", 1)
            iterator = behind.client().kinesis("GetShardIterator", StreamName="clicks", ShardId="shardId-000000000000",
                                               ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            with self.assertRaises(ServiceError) as raised:
                proxy.client().kinesis("GetRecords", ShardIterator=iterator)
            self.assertEqual((raised.exception.status, raised.exception.code), (400, "ExpiredIteratorException"))
            self.assertEqual(proxy.client().kinesis("GetRecords", ShardIterator=iterator)["Records"], [])

    def test_a_partial_batch_hands_back_what_it_did_not_do(self):
        with servers.start("dynalite") as behind, servers.FaultProxy(behind, script="partial") as proxy:
            behind.client().create_table("rows")
            requests = [{"PutRequest": {"Item": {"k": {"S": f"{number:02}"}}}} for number in range(25)]
            answer = proxy.client().dynamodb("BatchWriteItem", RequestItems={"rows": requests})
            rest = [each["PutRequest"]["Item"]["k"]["S"] for each in answer["UnprocessedItems"]["rows"]]
            self.assertTrue(0 < len(rest) < 25)
            self.assertEqual(sorted(rest + held(behind.client())), [f"{number:02}" for number in range(25)])
        with servers.start("fauxqs") as behind, servers.FaultProxy(behind, script="partial") as proxy:
            client = proxy.client()
            url = behind.client().sqs("CreateQueue", QueueName="q")["QueueUrl"]
            entries = [{"Id": str(number), "MessageBody": "x"} for number in range(10)]
            answer = client.sqs("SendMessageBatch", QueueUrl=url, Entries=entries)
            self.assertEqual(sorted(each["Id"] for each in answer["Successful"] + answer["Failed"]), [str(at) for at in range(10)])
            self.assertEqual(len(behind.client().receive_all(url)), len(answer["Successful"]))
        with servers.start("kinesalite") as behind, servers.FaultProxy(behind, script="partial") as proxy:
            kinesis.create_stream(behind.client(), "clicks", 1)
            records = [{"Data": "eA==", "PartitionKey": str(number)} for number in range(20)]
            answer = proxy.client().kinesis("PutRecords", StreamName="clicks", Records=records)
            done = [each for each in answer["Records"] if "SequenceNumber" in each]
            self.assertEqual((len(answer["Records"]), len(done)), (20, 20 - answer["FailedRecordCount"]))
            self.assertEqual(len(kinesis.read_all(behind.client(), "clicks")), len(done))

    def test_the_same_seed_gives_the_same_faults(self):
        def faults(seed):
            with servers.FaultProxy(behind, rate=30, seed=seed, hold=0.01, slow=0.01, delay=0.01, only="^ListTables$") as proxy:
                client, seen = proxy.client(), []
                for _ in range(60):
                    try:
                        client.dynamodb("ListTables")
                        seen.append("ok")
                    except ServiceError as error:
                        seen.append(error.status)
                    except (OSError, http.client.HTTPException):
                        client.close()
                        seen.append("gone")
            return seen, proxy.summary["injected"]

        with servers.start("dynalite") as behind:
            first, again, other = faults(5), faults(5), faults(6)
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertTrue(8 <= sum(first[1].values()) <= 30, first)

    def test_a_plan_of_nonsense_is_refused(self):
        with servers.start("dynalite") as behind:
            with self.assertRaisesRegex(servers.Missing, "no such kind of fault: thunder"):
                servers.FaultProxy(behind, kinds="thunder")
            with servers.FaultProxy(behind) as proxy, self.assertRaisesRegex(ValueError, "no such settings"):
                proxy.plan(speed=1)


class Identities(unittest.TestCase):
    """STS, IMDSv2 and the container endpoint, as botocore meets them."""

    def keys(self, environment):
        """What botocore's own resolver finds with these variables."""
        program = ("import botocore.session, json; keys = botocore.session.Session().get_credentials();"
                   "frozen = keys and keys.get_frozen_credentials(); print(json.dumps(keys and [keys.method, *frozen]))")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        ran = subprocess.run([servers.PYTHON, "-c", program], env={**clean, **environment}, stdout=subprocess.PIPE, check=True)
        return json.loads(ran.stdout)

    def check(self, found, method, source):
        self.assertEqual(found[0], method)
        self.assertRegex(found[1], f"^ASIA{source}[0-9]{{10}}$")
        self.assertEqual(tuple(found[2:]), issued_keys(found[1]))

    def test_container(self):
        with servers.start("identity") as identity:
            self.check(self.keys(identity.env_container()), "container-role", "CONTAINER")
            self.assertEqual([each["status"] for each in identity.asked()], [200])
            identity.set(authorization="another", expires=5)
            response = identity.client().send("GET", "/v2/credentials/tests", headers={"Authorization": "tests-authorization"})
            self.assertEqual(response.status, 401)

    def test_imds(self):
        with servers.start("identity") as identity:
            self.check(self.keys(identity.env_imds()), "iam-role", "IMDS")
            self.assertEqual([each["detail"].rsplit("/", 1)[-1] for each in identity.asked()], ["token", "", "tests-role"])
            client = identity.client()
            self.assertEqual(client.send("GET", "/latest/meta-data/placement/region").status, 401)
            self.assertEqual(client.send("PUT", "/latest/api/token").status, 400)
            token = client.send("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}).body.decode()
            region = client.send("GET", "/latest/meta-data/placement/region", headers={"X-aws-ec2-metadata-token": token})
            self.assertEqual(region.body, b"eu-central-1")
            identity.set(fail={"imds": 1})
            statuses = [client.send("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}).status
                        for _ in range(2)]
            self.assertEqual(statuses, [500, 200])

    def test_web_identity(self):
        with servers.start("identity") as identity:
            form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": ROLE_ARN,
                    "RoleSessionName": "me", "WebIdentityToken": "tests-web-identity"}

            def ask(**changes):
                body = aws_client.encode_query({**form, **changes}.items()).encode()
                headers = {"content-type": "application/x-www-form-urlencoded"}
                return identity.client().send("POST", "/", (), body, headers)

            response = ask()
            self.assertEqual(response.status, 200)
            found = dict(re.findall("<(AccessKeyId|SecretAccessKey|SessionToken)>([^<]*)<", response.body.decode()))
            self.assertEqual((found["SecretAccessKey"], found["SessionToken"]), issued_keys(found["AccessKeyId"]))
            self.assertIn(b"InvalidIdentityToken", ask(WebIdentityToken="x").body)
            self.assertIn(b"AccessDenied", ask(RoleArn="arn:aws:iam::1:role/other").body)
            # botocore 1.29 knows no AWS_ENDPOINT_URL_STS: an unsigned client of its own instead.
            sts = botocore.session.Session().create_client(
                "sts", endpoint_url=identity.endpoint, region_name=REGION, config=Config(signature_version=botocore.UNSIGNED))
            answer = sts.assume_role_with_web_identity(RoleArn=ROLE_ARN, RoleSessionName="you",
                                                       WebIdentityToken="tests-web-identity")
            self.check(["sts", *(answer["Credentials"][name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))],
                       "sts", "STS")


class Tls(unittest.TestCase):
    """TLS with the tests' own authority."""

    def test_good_is_trusted_and_the_others_are_not(self):
        with tempfile.TemporaryDirectory() as directory, servers.start("dynalite") as behind:
            servers.make_certificates(directory)
            with servers.TlsFront(behind, directory) as front:
                self.assertEqual(front.env()["AWS_ENDPOINT_URL_DYNAMODB"], f"https://localhost:{front.port}")
                self.assertEqual(front.client(ca_file=front.ca_file).dynamodb("ListTables"), {"TableNames": []})
                with self.assertRaises(ssl.SSLCertVerificationError):
                    front.client().dynamodb("ListTables")
            self.assertEqual(front.summary["handshakes"], 1)
            for name, text in (("wrong_host", "Hostname mismatch"), ("expired", "certificate has expired"),
                               ("untrusted", "unable to get local issuer|self.signed")):
                with self.subTest(name), servers.TlsFront(behind, directory, name) as front:
                    with self.assertRaisesRegex(ssl.SSLCertVerificationError, text):
                        front.client(ca_file=front.ca_file).dynamodb("ListTables")


class Clients(unittest.TestCase):
    """What comes from npm to talk to tumble, or to be compared with."""

    def test_aws_client_for_javascript_puts_records_and_aggregates(self):
        records = [(f"user{number % 7}", f"record {number}".encode()) for number in range(1200)]
        with servers.start("kinesalite") as server:
            client = server.client()
            kinesis.create_stream(client, "plain", 1)
            self.assertEqual(servers.produce(server, "plain", records), {"records": 1200, "put": 1200})
            self.assertEqual([(each[2], each[4]) for each in kinesis.read_all(client, "plain")], records)
            kinesis.create_stream(client, "aggregated", 1)
            self.assertEqual(servers.produce(server, "aggregated", records, 100), {"records": 1200, "put": 12})
            found = kinesis.read_all(client, "aggregated")
            self.assertEqual(len(found), 12)
            for at, (_, _, key, _, data) in enumerate(found):
                self.assertEqual((data[:4], data[-16:]), (b"\xf3\x89\x9a\xc2", hashlib.md5(data[4:-16]).digest()))
                self.assertEqual(key, records[100 * at][0])
                for _, payload in records[100 * at:100 * at + 100]:
                    self.assertIn(payload, data)

    def test_streams_split_and_merge(self):
        for name in ("kinesalite", "kinesis-local"):
            with self.subTest(name), servers.start(name) as server:
                client = server.client()
                kinesis.create_stream(client, "clicks", 1)
                records = [(f"user{number}", str(number).encode()) for number in range(60)]
                placed = kinesis.put_records(client, "clicks", records[:20])
                self.assertEqual([shard for shard, _ in placed], ["shardId-000000000000"] * 20)
                kinesis.split(client, "clicks", "shardId-000000000000")
                placed = kinesis.put_records(client, "clicks", records[20:40])
                self.assertEqual({shard for shard, _ in placed}, {"shardId-000000000001", "shardId-000000000002"})
                kinesis.merge(client, "clicks", "shardId-000000000001", "shardId-000000000002")
                kinesis.put_records(client, "clicks", records[40:])
                shards = kinesis.shards(client, "clicks")
                self.assertEqual([each.get("ParentShardId") for each in shards],
                                 [None, "shardId-000000000000", "shardId-000000000000", "shardId-000000000001"])
                self.assertEqual(sorted((each[2], each[4]) for each in kinesis.read_all(client, "clicks")), sorted(records))

    def test_a_node_function_runs_under_the_runtime_interface_client(self):
        answers_given = []

        class Runtime(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):  # noqa: N802
                if answers_given:
                    threading.Event().wait()  # one event is all there is
                body = b'{"n": 20}'
                self.send_response(200)
                for name, value in (("Lambda-Runtime-Aws-Request-Id", "r-1"), ("Lambda-Runtime-Deadline-Ms", "99999999999999"),
                                    ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:f"),
                                    ("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):  # noqa: N802
                answers_given.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                done.set()

        done = threading.Event()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
        server.daemon_threads, server.handle_error = True, lambda *_: None  # the function is killed while it waits
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "index.mjs"), "w", encoding="utf-8") as file:
                file.write("export const handler = async (event) => ({ doubled: event.n * 2 });\n")
            variables = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_address[1]}", "LAMBDA_TASK_ROOT": directory,
                         "_HANDLER": "index.handler", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                         "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_LOG_GROUP_NAME": "g",
                         "AWS_LAMBDA_LOG_STREAM_NAME": "s"}
            with open(os.path.join(directory, "log"), "w+", encoding="utf-8") as log, subprocess.Popen(
                    servers.lambda_ric(), cwd=directory, env={**os.environ, **variables}, stdout=log,
                    stderr=log) as process:
                answered = done.wait(30)
                process.kill()
                process.wait()
                log.seek(0)
                self.assertTrue(answered, log.read())
        server.shutdown()
        server.server_close()
        self.assertEqual([(path, json.loads(body)) for path, body in answers_given],
                         [("/2018-06-01/runtime/invocation/r-1/response", {"doubled": 40})])

    def test_koffi_calls_c(self):
        program = ("const koffi = require('koffi'); const libc = koffi.load('libc.so.6');"
                   "console.log(libc.func('size_t strlen(const char *text)')('tumble'))")
        ran = subprocess.run([servers.node(), "-e", program], cwd=servers.npm_directory(), stdout=subprocess.PIPE, check=True)
        self.assertEqual(ran.stdout, b"6\n")


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
