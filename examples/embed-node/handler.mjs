// A Lambda handler for a Kinesis mapping with a tumbling window: `handler.handler`, Node 18 or later.
//
// Rows of finals are appended to ROWS_FILE here; put your own destination into `deliver`. It may see a row twice, with
// the same key, when an invocation failed behind it.
import { appendFileSync } from 'node:fs';
import { TumbleFunction } from './tumble.mjs';

const spec = {
  group_by: ['kind'],
  aggregates: [
    { name: 'n', function: 'count' },
    { name: 'total', function: 'sum', field: 'amount' },
  ],
};

function deliver(row, _key) {
  appendFileSync(process.env.ROWS_FILE, JSON.stringify(row) + '\n');
}

const tumble = new TumbleFunction(spec, deliver);

export const handler = async (event, context) => tumble.invoke(event, context);
