#!/usr/bin/env python3
"""The SAM template of examples/lambda: what must be set together is, the role may do no more than it must, and the
bootstrap starts with the template's variables and spec.

    template.py BOOTSTRAP TUMBLE EXAMPLES_LAMBDA"""

import json
import os
import re
import sys

import yaml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sandbox import Sandbox, event, record  # noqa: E402
from harness import Failed, Workspace, check, run  # noqa: E402


class Loader(yaml.SafeLoader):
    pass


def intrinsic(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    return {suffix: loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", intrinsic)


def values(tree):
    """Every leaf, with what CloudFormation would put in replaced by something of that kind."""
    if isinstance(tree, dict) and set(tree) == {"Sub"}:
        return re.sub(r"\$\{(\w+)[^}]*\}", lambda m: "demo-" + m.group(1).lower(), tree["Sub"])
    return tree


def references(tree, found):
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("Ref", "GetAtt") and isinstance(value, str):
                found.add(value.split(".")[0])
            elif key == "Sub":
                found.update(name.split(".")[0] for name in re.findall(r"\$\{([^}]+)\}", value))
            else:
                references(value, found)
    elif isinstance(tree, list):
        for value in tree:
            references(value, found)
    return found


def main():
    bootstrap, tumble, directory = sys.argv[1:]
    with open(os.path.join(directory, "template.yaml"), encoding="utf-8") as file:
        template = yaml.load(file, Loader)
    resources = template["Resources"]
    strangers = {n for n in references(template, set()) if not n.startswith("AWS::")} - set(resources) - set(template["Parameters"])
    check(not strangers, "refers to what is not there: %s" % strangers)

    mapping, function = resources["Mapping"]["Properties"], resources["Function"]["Properties"]
    variables = function["Environment"]["Variables"]
    check(mapping["FunctionResponseTypes"] == [variables["TUMBLE_FUNCTION_RESPONSE_TYPES"]] == ["ReportBatchItemFailures"], "the two sides differ")
    check(mapping["BisectBatchOnFunctionError"] is True and 0 <= mapping["MaximumRetryAttempts"] <= 10000, "bisect and finite retries")
    check(60 <= mapping["MaximumRecordAgeInSeconds"] <= 604800, "age")
    check(mapping["DestinationConfig"]["OnFailure"]["Destination"] == {"GetAtt": "GivenUp.Arn"}, "on-failure destination")
    check(mapping["TumblingWindowInSeconds"] == {"Ref": "WindowSeconds"}, "window")
    window = template["Parameters"]["WindowSeconds"]
    check(window["MinValue"] == 1 and window["MaxValue"] == 900 and 1 <= window["Default"] <= 900, "range of the window")
    check("ParallelizationFactor" not in mapping and "FilterCriteria" not in mapping, "what AWS refuses beside a window")
    check(function["Runtime"] == "provided.al2023" and function["Handler"] == "bootstrap", "runtime")
    rules = resources["StateBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    check(all(rule["ExpirationInDays"] >= 14 and rule["Status"] == "Enabled" for rule in rules), "lifecycle")

    for statement in resources["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        check(all("*" not in action for action in actions), "a wildcard in %s" % actions)
        targets = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        check(all(isinstance(target, dict) for target in targets), "%s: a resource that is none of the stack's" % statement["Sid"])
    policies = json.dumps(resources["FunctionRole"])
    for action in ("kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStream", "s3:ListBucket", "sqs:SendMessage", "logs:PutLogEvents"):
        check(action in policies, action + " is missing")

    spec = os.path.join(directory, "spec.json")
    done = run([tumble, "check", spec])
    check(done.code == 0, done.text())
    with Workspace("template") as work:
        with open(spec, encoding="utf-8") as file:
            work.write("spec.json", file.read())
        environment = {name: values(value) for name, value in variables.items()}
        environment.update(AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="secret",
                           AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1")
        with Sandbox(bootstrap, work, False, **environment) as sandbox:
            start = 1607497440000
            payload = {"eventType": "purchase", "amount": 19.99, "latency_ms": 12, "userId": 7, "geo": {"country": "DE"}}
            response = sandbox.respond(event([record(1, payload, start)], {}, start))
            check(response["state"]["records"] == "1", repr(response))
    print("ok")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        print("FAILED: %s" % error)
        sys.exit(1)
