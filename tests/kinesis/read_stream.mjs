// What a stream holds, as AWS's own client for JavaScript reads it.
//
// usage: node read_stream.mjs DIRECTORY STREAM      DIRECTORY holds the node_modules
//
// Prints one {"shard", "sequence", "key", "arrival", "data"} a line: arrival in milliseconds, data in base64; a shard after the other.
import { createRequire } from "node:module";
import path from "node:path";

const [directory, StreamName] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(directory), "package.json"));
const { KinesisClient, ListShardsCommand, GetShardIteratorCommand, GetRecordsCommand } = require("@aws-sdk/client-kinesis");
const { NodeHttpHandler } = require("@smithy/node-http-handler");

const client = new KinesisClient({ requestHandler: new NodeHttpHandler() });
const { Shards } = await client.send(new ListShardsCommand({ StreamName }));
for (const { ShardId } of Shards) {
    let { ShardIterator } = await client.send(
        new GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" }));
    while (ShardIterator) {
        const answer = await client.send(new GetRecordsCommand({ ShardIterator, Limit: 1000 }));
        for (const record of answer.Records) {
            console.log(JSON.stringify({
                shard: ShardId,
                sequence: record.SequenceNumber,
                key: record.PartitionKey,
                arrival: record.ApproximateArrivalTimestamp.getTime(),
                data: Buffer.from(record.Data).toString("base64"),
            }));
        }
        ShardIterator = answer.Records.length > 0 ? answer.NextShardIterator : undefined;
    }
}
