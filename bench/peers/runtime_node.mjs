// The handler as a function of its own: it asks Lambda's Runtime API for events, as Node's client does, and writes the
// rows of a final to a file.      node runtime_node.mjs GROUP ROWS
import { appendFileSync } from 'node:fs';
import http from 'node:http';

const [groupBy, rows] = process.argv.slice(2);
const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, hostname, port, method, path: `/2018-06-01/runtime/invocation/${path}` }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve({ id: response.headers['lambda-runtime-aws-request-id'], text: Buffer.concat(parts).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

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
  if (event.isFinalInvokeForWindow) {
    appendFileSync(rows, Object.entries(state).map(([group, [n, sum, min, max]]) => `${JSON.stringify({
      window_start: event.window.start, [groupBy]: group, n, sum, min, max })}\n`).join(''));
  }
  return { state };
}

for (;;) {
  const { id, text } = await call('GET', 'next');
  await call('POST', `${id}/response`, JSON.stringify(handler(JSON.parse(text))));
}
