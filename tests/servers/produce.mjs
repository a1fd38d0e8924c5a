// Puts records as producers do: with AWS's own client for JavaScript, and aggregated as the Kinesis Producer Library does it.
//
// usage: node produce.mjs DIRECTORY STREAM [AGGREGATE]      DIRECTORY holds the node_modules
//
// Standard input: one {"key": ..., "data": base64, "hash": ...} a line; hash (an explicit hash key) may be missing. With AGGREGATE, that
// many records make one Kinesis record. Endpoint, region and keys come from AWS_*. Prints what was put: {"records": N, "put": M}.
//
// aws-kinesis-agg 4.2.8 mixes up partition keys that look like integers ("7"): give it others.
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const [directory, stream, aggregate = "0"] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(directory), "package.json"));
const { KinesisClient, PutRecordsCommand } = require("@aws-sdk/client-kinesis");
const { NodeHttpHandler } = require("@smithy/node-http-handler");
const { RecordAggregator } = require("aws-kinesis-agg");

// The client would speak HTTP/2, which no emulator of Kinesis does in the clear.
const client = new KinesisClient({ requestHandler: new NodeHttpHandler() });
const perRecord = Number(aggregate);
const aggregator = perRecord > 0 ? new RecordAggregator() : null;
let [records, put, entries, bytes] = [0, 0, [], 0];

async function flush() {
    let todo = entries;
    [entries, bytes] = [[], 0];
    while (todo.length > 0) {
        const answer = await client.send(new PutRecordsCommand({ StreamName: stream, Records: todo }));
        put += todo.length - (answer.FailedRecordCount ?? 0);
        todo = todo.filter((_, at) => answer.Records[at].ErrorCode);
    }
}

async function add(entry) {
    const size = entry.Data.length + entry.PartitionKey.length;
    if (entries.length === 500 || bytes + size > 4 << 20) {
        await flush();
    }
    entries.push(entry);
    bytes += size;
}

async function build() {
    if (aggregator.length() > 0) {
        const made = aggregator.build();
        await add({ PartitionKey: made.partitionKey, Data: made.data, ExplicitHashKey: made.ExplicitHashKey });
    }
}

for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const { key, data, hash } = JSON.parse(line);
    const bytes = Buffer.from(data, "base64");
    records++;
    if (aggregator) {
        const one = { partitionKey: key, data: bytes, explicitHashKey: hash };
        if (aggregator.length() === perRecord || !aggregator.checkIfUserRecordFits(one)) {
            await build();
        }
        aggregator.addUserRecord(one);
    } else {
        await add({ PartitionKey: key, Data: bytes, ExplicitHashKey: hash });
    }
}
if (aggregator) {
    await build();
}
await flush();
console.log(JSON.stringify({ records, put }));
