// The handler one writes without tumble, for Node: state through JSON on every invocation, as Lambda carries it.
//     node handler_node.mjs EVENTS GROUP
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const [path, groupBy] = process.argv.slice(2);

function handler(event) {
  const { state } = event;
  for (const record of event.Records) {
    const payload = JSON.parse(Buffer.from(record.kinesis.data, 'base64').toString());
    const group = payload[groupBy];
    const { amount } = payload;
    const entry = state[group];
    if (entry === undefined) {
      state[group] = [1, amount, amount, amount];
    } else {
      entry[0] += 1;
      entry[1] += amount;
      if (amount < entry[2]) entry[2] = amount;
      if (amount > entry[3]) entry[3] = amount;
    }
  }
  return { state };
}

function emit(window, state) {
  const rows = Object.keys(state).sort().map((group) => {
    const [n, sum, min, max] = state[group];
    return `${JSON.stringify({ window_start: window, [groupBy]: group, n, sum, min, max })}\n`;
  });
  const bytes = Buffer.from(rows.join(''));
  for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
}

// The lines of the file, in pieces as they come; an event is up to 6 MB.
function* lines(file) {
  let buffer = Buffer.allocUnsafe(16 << 20);
  let begin = 0;
  let end = 0;
  for (;;) {
    const at = buffer.subarray(begin, end).indexOf(10);
    if (at >= 0) {
      yield buffer.toString('utf8', begin, begin + at);
      begin += at + 1;
      continue;
    }
    buffer.copy(buffer, 0, begin, end);
    end -= begin;
    begin = 0;
    const got = readSync(file, buffer, end, buffer.length - end);
    if (got === 0) return;
    end += got;
  }
}

const file = openSync(path, 'r');
const shards = new Map(); // Lambda's part: each shard's window, and the state between invocations
for (const line of lines(file)) {
  const event = JSON.parse(line);
  const held = shards.get(event.shardId) ?? { window: event.window.start, state: '{}' };
  shards.set(event.shardId, held);
  if (event.window.start !== held.window) {
    emit(held.window, JSON.parse(held.state));
    held.window = event.window.start;
    held.state = '{}';
  }
  event.state = JSON.parse(held.state);
  held.state = JSON.stringify(handler(event).state);
}
for (const { window, state } of shards.values()) emit(window, JSON.parse(state));
closeSync(file);
