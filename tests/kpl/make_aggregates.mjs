// Real aggregates: records that the npm package aws-kinesis-agg packs, one aggregate a line, beside what went in.
//
//     node make_aggregates.mjs DIRECTORY-WITH-NODE_MODULES SEED COUNT [orders]
//
// Their data is anything, or (orders) all of it JSON: {"order":…,"country":…,"amount":…}. A line:
// {"partitionKey":…,"data":base64 of the aggregate,"records":[{"partitionKey":…,"explicitHashKey":…,"data":base64}]}
//
// The package numbers its tables by insertion and writes them by Object.keys, which puts keys that look like small integers
// first; so no key here does.
import { createRequire } from "node:module";
import { join } from "node:path";

const [directory, seed, count, orders] = process.argv.slice(2);
const { RecordAggregator } = createRequire(join(directory, "node_modules", "x.js"))("aws-kinesis-agg");

let state = (Number(seed) >>> 0) || 1;
function below(limit) { // xorshift32
  state ^= state << 13; state >>>= 0;
  state ^= state >>> 17;
  state ^= state << 5; state >>>= 0;
  return state % limit;
}

const words = ["a", "käse", "日本", "user-with-a-longer-name-than-a-length-of-one-byte-can-tell".repeat(3), " ", "\"quoted\"", "😀", "__proto_"];
function partitionKey() { return words[below(words.length)] + "-" + below(5); }
function explicitHashKey() { // most of them above 2^64
  return below(3) ? undefined : (BigInt(below(2 ** 31)) * (1n << BigInt(33 + below(64))) + (1n << 40n)).toString();
}
let order = 0;
function payload(kind) {
  if (orders) {
    const country = ["DE", "FR", "PT"][below(3)];
    return Buffer.from(JSON.stringify({ order: ++order, country, amount: below(100000) / 100 }));
  }
  const length = [0, 20, 200, 5000][kind] && 1 + below([1, 20, 200, 5000][kind]);
  if (below(2)) {
    return Buffer.from(JSON.stringify({ n: below(1000), text: "x".repeat(length) }));
  }
  return Buffer.from(Array.from({ length: length || 1 }, () => below(256)));
}

for (let i = 0; i < Number(count); i++) {
  const aggregator = new RecordAggregator();
  const records = Array.from({ length: 1 + below(i % 7 === 6 ? 60 : 8) }, () => ({
    partitionKey: partitionKey(), explicitHashKey: explicitHashKey(), data: payload(below(i % 7 === 5 ? 4 : 3)),
  }));
  for (const record of records) {
    aggregator.addUserRecord({ ...record });
  }
  const made = aggregator.build();
  console.log(JSON.stringify({
    partitionKey: made.partitionKey, data: made.data.toString("base64"),
    records: records.map((r) => ({ ...r, data: r.data.toString("base64") })),
  }));
}
